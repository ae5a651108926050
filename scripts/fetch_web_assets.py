"""Fetch the browser's ONNX Runtime for the page /local: ``make web-assets``.

Takes three files out of the npm package ``onnxruntime-web`` and puts them where the service
serves them from and the wheel packages them from. Needs npm.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "1.30.0"
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
TARGET = Path(__file__).resolve().parent.parent / "src/mien/service/static/vendor"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"onnxruntime-web@{VERSION}"]
        try:
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        except FileNotFoundError:
            sys.exit("npm is not installed: install Node.js, then run this again")
        except subprocess.CalledProcessError:
            sys.exit("npm could not fetch onnxruntime-web: see its message above")
        (archive,) = Path(folder).glob("*.tgz")
        TARGET.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as package:
            for name in FILES:
                source = package.extractfile(f"package/dist/{name}")
                if source is None:
                    sys.exit(f"onnxruntime-web {VERSION} has no dist/{name}")
                (TARGET / name).write_bytes(source.read())
                print(TARGET / name)


if __name__ == "__main__":
    main()

"""Score the same pictures out of and into stores that speak S3 and Google's protocol.

    pip install 'mien[scale,cloud]' 'moto[server]' gcp-storage-emulator
    python -m tests.support.stores

starts a server of each kind on this machine and gives ``mien score`` single files, tars,
Parquet and a video at ``s3://`` and ``gs://``; a run is stopped half-way and taken up. The
rows must be those of the same files on the disk. Nothing outside this machine is asked.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from tests.support.clips import encode_clip
from tests.support.documents import ROOT
from tests.support.ports import free_port

from mien.images import read

PHOTO = ROOT / "examples" / "astronaut.jpg"
BUCKET = "faces"
SOURCES = ("photos", "shards/*.tar", "more/*.parquet", "talk.mp4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    # what both packages and the emulators take for rights; they check none
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # asks by gRPC, which the emulator has not
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_sources(folder / "in")
        (folder / "in" / "photos" / "broken.jpg").write_bytes(PHOTO.read_bytes()[:2000])
        expected = _score([str(folder / "in" / each) for each in SOURCES], str(folder / "out"))
        print(f"disk: {len(expected)} rows")
        wrong = 0
        for scheme, command, variable in (
            ("s3", ["moto.server", "-p{}"], "AWS_ENDPOINT_URL"),
            ("gs", ["gcp_storage_emulator", "start", "--in-memory", "--port={}"],
             "STORAGE_EMULATOR_HOST"),
        ):  # fmt: skip
            with _server(command) as address:
                os.environ[variable] = address
                wrong += not _check(scheme, folder / "in", expected)
    sys.exit(bool(wrong))


def _check(scheme: str, sources: Path, expected: list[dict[str, object]]) -> bool:
    files = fsspec.filesystem(scheme)
    files.mkdir(BUCKET)
    for path in (path for path in sources.rglob("*") if path.is_file()):
        files.pipe_file(f"{BUCKET}/{path.relative_to(sources)}", path.read_bytes())
    base = f"{scheme}://{BUCKET}"
    out = f"{base}/readings.parquet"
    asked = [f"{base}/{each}" for each in SOURCES]
    _score(asked, out)
    parts = sorted(files.glob(f"{BUCKET}/readings.parquet/part-*"))
    before = {part: files.cat_file(part) for part in parts}
    for part in parts[::2]:  # as if the run had been stopped
        files.rm_file(part)
    files.invalidate_cache()
    found = _score(asked, out)
    again = {part: files.cat_file(part) for part in parts}
    good = found == expected and again == before
    print(f"{base}: {len(found)} rows in {len(parts)} parts, {'the same' if good else 'OTHERS'}")
    return good


def _score(sources: list[str], out: str) -> list[dict[str, object]]:
    """Run the command, and return its rows without what depends on where the files lie."""
    command = [sys.executable, "-m", "mien", "score", *sources, "-o", out, "--part-images", "4"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    files, path = fsspec.core.url_to_fs(out)
    rows = []
    for part in files.glob(f"{path}/part-*"):
        rows += pq.read_table(files.open(part)).to_pylist()
    for row in rows:
        for column in ("image", "error.message"):
            row[column] = str(row[column]).rsplit("/", 1)[-1]
    return sorted(rows, key=repr)


def make_sources(folder: Path) -> None:
    """Lay the example photo out in every kind of source: files, tars, Parquet, a video."""
    for name in ("photos", "shards", "more"):
        (folder / name).mkdir(parents=True)
    for number in range(6):
        shutil.copyfile(PHOTO, folder / "photos" / f"{number}.jpg")
    for number in range(2):
        with tarfile.open(folder / "shards" / f"{number}.tar", "w") as tar:
            for index in range(5):
                tar.add(PHOTO, f"{number}-{index}.jpg")
    table = pa.table({"image": [PHOTO.read_bytes()] * 5})
    pq.write_table(table, folder / "more" / "a.parquet")
    (folder / "talk.mp4").write_bytes(encode_clip([read(PHOTO)] * 12, fps=4))


@contextlib.contextmanager
def _server(command: list[str]) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", *(part.format(port) for part in command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()

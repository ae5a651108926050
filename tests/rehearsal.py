"""Run every ``mien`` command that the documents show, where all files they name lie.

    python -m tests.rehearsal docs/rehearsal.md

The files are drawn faces, copies of ``examples/astronaut.jpg`` and of the models that ship,
so that nobody's data is needed. Long commands are cut short by an option at their end, which
the table of the result shows. A command that waits for people is interrupted after 20 seconds.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from tests.support import layouts
from tests.support.documents import ROOT, blocks, command_lines, commands
from tests.support.drawn import write_folder
from tests.support.stores import PHOTO, make_sources

from mien import Predictor
from mien.data.synthetic import write_drawn
from mien.types import EMOTIONS

#: Copies of the example photo.
_PICTURES = (
    *("photo.jpg", "crowd.jpg", "portrait.jpg", "new.jpg"),
    *("holiday/1.jpg", "scans/a/1.png", "large/1.jpg", "many/1.jpg"),
    *("pictures/joy/1.jpg", "pictures/anger/1.jpg", "pictures/boredom/1.jpg"),
    *("labelled/happy/1.jpg", "labelled/sad/1.jpg"),
)

#: Put behind what would take long.
_SHORTER = {"train": "--epochs 6", "benchmark": "--iterations 10"}

#: With these, no network is trained.
_SHORT = ("--summary", "--show-augmentation")

#: Wait for people until they are interrupted.
_WAITING = ("serve", "app")

#: Need what this machine may not have.
_ELSEWHERE = {
    "s3://": "`tests/support/stores.py`",
    "--device cuda": "needs a graphics card",
    "--devices 2": "`tests/train/test_devices.py`",
    "mien live$": "needs a camera",
}

#: Documents whose commands leave what those of others take up.
_FIRST = ("docs/how-to/own-data.md",)

_WAIT_S, _LONGEST_S = 20, 900


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="where the Markdown goes")
    table = parser.parse_args().table.absolute()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        _lay_out(Path(name))
        rows = [_row(documents, line) for line, documents in shown()]
    table.write_text(_HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows), encoding="utf-8")
    failed = [row for row in rows if row[2].startswith("**")]
    print(f"{len(rows)} commands, {len(failed)} failed")
    sys.exit(bool(failed))


_HEAD = """# Every command, run

All `mien` commands of these pages, as run one after the other in a folder of drawn faces, copies
of the example photo and the models that ship. What begins with a plus was put behind a long command
to cut it short.

```
python -m tests.rehearsal docs/rehearsal.md
```

| command | shown in | what came of it |
|---|---|---|
"""


def shown() -> Iterator[tuple[str, list[str]]]:
    """Yield each line that calls ``mien``, and the documents that have it."""
    found: dict[str, list[str]] = {}
    for said in sorted(command_lines(), key=lambda said: said.document not in _FIRST):
        line = said.text.split("  #")[0].strip().removeprefix("time ")
        ours = any(each[0] == "mien" for each in commands(line)) and "..." not in line
        if ours and said.document not in found.setdefault(line, []):
            found[line].append(said.document)
    yield from found.items()


def _row(documents: list[str], line: str) -> tuple[str, str, str]:
    where = ", ".join(document.removeprefix("docs/") for document in documents)
    cell = f"`{line}`".replace("|", "\\|")
    for mark, instead in _ELSEWHERE.items():
        if re.search(mark, line):
            return cell, where, f"not here: {instead}"
    (name, *options) = next(each[1:] for each in commands(line) if each[0] == "mien")
    added = _SHORTER.get(name, "") if not set(options) & set(_SHORT) else ""
    if added:
        cell += f" + `{added}`"
        line += f" {added}"
    print(line, flush=True)
    begin = time.monotonic()
    code, told = _run(line, waits=name in _WAITING)
    seconds = time.monotonic() - begin
    if code == 0:
        return cell, where, f"done in {seconds:.0f} s"
    print(told, flush=True)
    return cell, where, f"**exit code {code}**: {told.strip().splitlines()[-1:]}"


def _run(line: str, *, waits: bool) -> tuple[int, str]:
    """Run a line by the shell; return its exit code and what it told."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(
            line,
            shell=True,
            executable="/bin/bash",
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            code = process.wait(_WAIT_S if waits else _LONGEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
            code = process.wait(60)
            if waits and code in (0, 130, -signal.SIGINT):
                code = 0
        told.seek(0)
        return code, told.read()


def _lay_out(folder: Path) -> None:
    """Put everything there that the documents name."""
    for name in ("models", "examples", "config.yaml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "src" / "mien" / "assets", folder / "src" / "mien" / "assets")
    for name in ("glance.onnx", "glance.card.json"):
        shutil.copyfile(ROOT / "src" / "mien" / "assets" / name, folder / name)
    make_sources(folder)
    for name in _PICTURES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.open(PHOTO).save(folder / name)
    _draw_data(folder)
    _fill_raf_db(folder / "RAF-DB" / "basic")


def _draw_data(folder: Path) -> None:
    rows = {"Training": 24, "PublicTest": 8, "PrivateTest": 8}
    data, _ = write_drawn(folder, rows)
    write_drawn(folder / "drawn", {"Training": 8, "PublicTest": 2, "PrivateTest": 2})
    (folder / "fer2013.csv.gz").write_bytes(gzip.compress(data.read_bytes()))
    write_folder(folder / "faces", 24)
    begin, count = (len(EMOTIONS) * rows[split] for split in ("Training", "PublicTest"))
    lines = [f"{begin + row},{'dim' if row % 2 else 'bright'},yes" for row in range(1, count + 1)]
    (folder / "groups.csv").write_text("\n".join(["row,light,glasses", *lines]) + "\n")
    for name, document in (("map.yaml", "datasets.md"), ("own.yaml", "how-to/own-data.md")):
        (block,) = [text for kind, text in blocks(ROOT / "docs" / document) if kind == "yaml"]
        (folder / name).write_text(block)


def _fill_raf_db(folder: Path) -> None:
    """Lay RAF-DB's files out, with the example photo and its face in place of drawn ones."""
    layouts.raf_db(folder.parent)
    box = Predictor().predict(str(PHOTO))[0].face.box
    corners = f"{box.x} {box.y} {box.x + box.w} {box.y + box.h}\n"
    for path in folder.rglob("*.jpg"):
        shutil.copyfile(PHOTO, path)
    for path in folder.rglob("*_boundingbox.txt"):
        path.write_text(corners)


if __name__ == "__main__":
    main()

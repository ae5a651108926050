from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.scale.test_part import rows_of

from mien.errors import ModelError
from mien.scale import Job, Options, PartReport, read_locally
from mien.scale.local import _Worker
from mien.scale.part import PartReader


@pytest.fixture(scope="module")
def expected(
    tmp_path_factory: pytest.TempPathFactory, photos: Path, model: str
) -> dict[str, bytes]:
    """The parts as this process reads them."""
    folder = tmp_path_factory.mktemp("expected") / "out"
    job = Job.open(str(folder), [str(photos)], Options(model=model, part_images=2))
    for number in job.missing():
        PartReader(job.folder)(number)
    return parts_in(folder)


def parts_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("part-*")}


def test_nothing_to_read_starts_nothing(tmp_path: Path) -> None:
    assert list(read_locally(str(tmp_path / "none"), [], workers=2)) == []


def test_one_and_two_workers_write_the_same_bytes_and_a_killed_one_changes_nothing(
    tmp_path: Path, photos: Path, model: str, expected: dict[str, bytes]
) -> None:
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        job = Job.open(str(folder), [str(photos)], Options(model=model, part_images=2))
        with closing(read_locally(job.folder, job.missing(), workers=workers)) as reports:
            found = [next(reports)]
            if workers == 2:
                _kill_a_child()
            found += reports

        assert sorted(report.number for report in found) == [0, 1, 2, 3]
        assert sum(report.images for report in found) == 8
        assert parts_in(folder) == expected


def _kill_a_child() -> None:
    """Kill one of the two processes that read, whatever it is at."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    if not children.exists():
        pytest.skip("this system does not list a process's children")
    workers = [
        int(child)
        for child in children.read_text().split()
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)


class _Mortal:
    """A worker in this process, which dies of some parts and fails at others."""

    def __init__(self, folder: str) -> None:
        self.pipe, self._theirs = multiprocessing.Pipe()
        self.part: int | None = None

    def give(self, number: int) -> None:
        self.part = number
        report = PartReport(number, images=2)
        self._theirs.send(ModelError("broken") if number == 9 else report)
        if number == 7:
            self.pipe.recv()
            self._theirs.close()

    take = _Worker.take

    def kill(self) -> None:
        self.pipe.close()


def test_a_part_that_kills_again_and_again_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.scale.local._Worker", _Mortal)

    found = {report.number: report.failure for report in read_locally("x", [6, 7, 8], workers=1)}

    assert found == {6: None, 7: "it killed 2 processes", 8: None}


def test_what_is_wrong_for_all_parts_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.scale.local._Worker", _Mortal)

    with pytest.raises(ModelError, match="broken"):
        list(read_locally("x", [6, 9, 8], workers=2))


def test_ctrl_c_leaves_whole_parts_and_the_same_command_goes_on(
    tmp_path: Path, photos: Path, model: str, expected: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    command = [
        *(sys.executable, "-m", "mien", "score", str(photos), "-o", str(out)),
        *("--model", model, "--part-images", "2", "--workers", "1"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not parts_in(out) and time.monotonic() < end:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]

    there = parts_in(out)
    assert 0 < len(there) <= 4
    assert there.items() <= expected.items()
    if len(there) < 4:  # quick machines may have been done before the signal
        assert process.returncode == 130, told
        assert "is whole. The same command goes on with" in told
    again = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert parts_in(out) == expected
    assert [name for name in os.listdir(out) if name.startswith(".")] == []
    assert len(rows_of(out)) == 8

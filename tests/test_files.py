from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mien import files
from mien.errors import ConfigError
from mien.files import PendingFile, atomic_write, check_writable


class TestAtomicWrite:
    def test_a_block_that_fails_leaves_the_old_file(self, tmp_path: Path) -> None:
        path = tmp_path / "card.json"
        path.write_text("old")
        with pytest.raises(UnicodeEncodeError), atomic_write(path) as temporary:
            temporary.write_text("new " * 10_000 + "\udc80", encoding="utf-8")

        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_missing_folders_are_created(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "b" / "card.json"
        with atomic_write(path) as temporary:
            assert temporary.suffix == ".json"
            temporary.write_text("new")

        assert path.read_text() == "new"
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.parametrize("name", ["a-folder", "a-file/x"])
    def test_what_cannot_be_written_is_one_error(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "a-folder").mkdir()
        (tmp_path / "a-file").touch()
        with pytest.raises(ConfigError), atomic_write(tmp_path / name):
            pytest.fail("the block is not entered")

    def test_a_full_disk_is_that_error_too(self, tmp_path: Path) -> None:
        with (
            pytest.raises(ConfigError, match=r"cannot write .*card\.json: No space left"),
            atomic_write(tmp_path / "card.json"),
        ):
            raise OSError(28, "No space left on device")
        assert list(tmp_path.iterdir()) == []

    def test_a_file_read_in_the_block_keeps_its_own_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="source"), atomic_write(tmp_path / "copy"):
            (tmp_path / "source").read_bytes()

    def test_a_file_removed_under_the_writer_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError), atomic_write(tmp_path / "card.json") as temporary:
            temporary.unlink()

    def test_threads_may_write_one_path_at_once(self, tmp_path: Path) -> None:
        path, both = tmp_path / "card.json", threading.Barrier(8)

        def write(letter: str) -> None:
            with atomic_write(path) as temporary:
                both.wait()
                temporary.write_text(letter * 10_000)

        threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcdefgh"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert set(path.read_text()) < set("abcdefgh")
        assert len(set(path.read_text())) == 1
        assert list(tmp_path.iterdir()) == [path]

    def test_processes_may_write_one_path_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "card.json"
        program = (
            "import sys, pathlib; from mien.files import atomic_write\n"
            "for _ in range(50):\n"
            "    with atomic_write(pathlib.Path(sys.argv[1])) as temporary:\n"
            "        temporary.write_text(sys.argv[2] * 10_000)\n"
        )
        running = [
            subprocess.Popen([sys.executable, "-c", program, str(path), letter]) for letter in "ab"
        ]
        assert [process.wait(60) for process in running] == [0, 0]
        assert path.read_text() in ("a" * 10_000, "b" * 10_000)
        assert list(tmp_path.iterdir()) == [path]


class TestPendingFile:
    def test_the_folder_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="choose another place"):
            PendingFile(tmp_path / "missing" / "a.mp4")

    def test_nothing_is_there_before_the_first_byte(self, tmp_path: Path) -> None:
        PendingFile(tmp_path / "a.mp4")

        assert list(tmp_path.iterdir()) == []

    def test_a_discarded_file_leaves_nothing(self, tmp_path: Path) -> None:
        pending = PendingFile(tmp_path / "a.mp4")
        pending.part.write_bytes(b"half")
        pending.discard()
        pending.discard()

        assert list(tmp_path.iterdir()) == []

    def test_content_is_on_the_disk_before_the_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done: list[str] = []
        monkeypatch.setattr(files.os, "fsync", lambda _: done.append("fsync"))
        monkeypatch.setattr(files.os, "replace", lambda *_: done.append("replace"))
        pending = PendingFile(tmp_path / "a.mp4")
        pending.part.write_bytes(b"all")
        pending.commit()

        assert done == ["fsync", "replace"]


class TestCheckWritable:
    def test_nothing_is_left_and_nothing_changed(self, tmp_path: Path) -> None:
        there = tmp_path / "there.csv"
        there.write_text("precious")
        check_writable(there)
        check_writable(tmp_path / "new.csv")

        assert there.read_text() == "precious"
        assert list(tmp_path.iterdir()) == [there]

    @pytest.mark.parametrize("name", ["", "missing/a.csv"])
    def test_what_cannot_be_written(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ConfigError, match="cannot write"):
            check_writable(tmp_path / name)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe with a name is POSIX's")
    def test_a_pipe_is_not_opened(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        check_writable(tmp_path / "pipe")


class TestAbandonedFiles:
    def test_what_a_killed_process_left_is_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "film.mp4"
        program = (
            "import os, signal, sys; from pathlib import Path; from mien.files import PendingFile;"
            "pending = PendingFile(Path(sys.argv[1])); pending.part.write_bytes(b'half');"
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        subprocess.run([sys.executable, "-c", program, str(path)], check=False)
        (left,) = tmp_path.iterdir()
        other = tmp_path / left.name.replace("film", "other")
        other.touch()
        running = PendingFile(path)
        assert not left.exists()
        running.part.touch()
        PendingFile(path)
        assert sorted(tmp_path.iterdir()) == sorted([other, running.part])

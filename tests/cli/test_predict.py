"""``mien predict`` with the real detector and a network of one random layer."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.models import make_card, write_tiny_model

from mien.card import Calibration, write_card
from mien.cli import main
from mien.cli.batch import stop_on_interrupt
from mien.cli.output import TerminalOutput
from mien.concurrency import cores, in_order
from mien.images import encode, read
from mien.result import Result
from mien.runtime import open_session
from mien.types import EMOTIONS, Box, Face, Image, Reading
from mien.wire import csv_fields, reading_from_dict

ROOT = Path(__file__).parents[2]
ASTRONAUT = ROOT / "examples" / "astronaut.jpg"

Run = Callable[..., "Ran"]


class Ran:
    """How a run of the command ended."""

    def __init__(self, code: object, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    return write_tiny_model(folder, calibration=Calibration(set_threshold=0.2, abstain_below=0.99))


@pytest.fixture
def run(model: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object, with_model: bool = True) -> Ran:
        chosen = ["--model", str(model)] if with_model else []
        with pytest.raises(SystemExit) as ended:
            main(["predict", *chosen, *map(str, arguments)])
        out, err = capsys.readouterr()
        return Ran(ended.value.code, out, err)

    return call


@pytest.fixture(scope="session")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nobody") / "nobody.png"
    path.write_bytes(encode(np.full((80, 120, 3), 90, np.uint8), "png"))
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, nobody: Path) -> Path:
    """Two portraits of one name, a picture of nobody and two files that cannot be read."""
    top = tmp_path_factory.mktemp("folder")
    for name in ("a", "b"):
        (top / name).mkdir()
        (top / name / "portrait.jpg").write_bytes(ASTRONAUT.read_bytes())
    (top / "nobody.png").write_bytes(nobody.read_bytes())
    (top / "broken.jpg").write_bytes(ASTRONAUT.read_bytes()[:9000])
    (top / "empty.jpg").touch()
    (top / "notes.txt").write_text("no image")
    return top


def huge_png() -> bytes:
    """Make a picture of 20,000 x 20,000 pixels that takes 400 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


class TestBadInput:
    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("empty.jpg", b"", "has 0 bytes"),
            ("text.jpg", b"hello", "this is not an image"),
            ("page.png", b"<!doctype html>", "looks like HTML"),
            ("cut.jpg", ASTRONAUT.read_bytes()[:9000], "truncated or damaged"),
            ("huge.png", huge_png(), "20000 x 20000 pixels, at most"),
        ],
    )
    def test_one_image_that_cannot_be_read_is_one_line(
        self, run: Run, tmp_path: Path, name: str, content: bytes, message: str
    ) -> None:
        path = tmp_path / name
        path.write_bytes(content)

        ran = run(path, "--json")

        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"mien: {path}: ")
        assert message in ran.err
        assert ran.err.count("\n") == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "expected an IMAGE, several, or --batch DIR: see mien predict --help"),
            (["missing.jpg"], "missing.jpg: there is no such file; check the path"),
            (["a\n\x1b[31mb.jpg"], r"a \x1b[31mb.jpg: there is no such file"),
            (["."], ". holds no images: expected files ending in"),
            (["--batch", "missing"], "missing cannot be listed as a folder"),
            (["--batch", "empty"], "empty holds no images: expected files ending in .bmp, "),
            (["-", "-"], "- is standard input and can be read only once"),
            (["a.jpg", "--json", "--jsonl"], "all print: choose one of them"),
            (["a.jpg", "--json", "--csv", "-"], "all print: choose one of them"),
            (["a.jpg", "--csv", "missing/a.csv"], "cannot write missing/a.csv: No such file"),
            (["a.jpg", "--csv", "empty"], "cannot write empty: Is a directory"),
            (["a.jpg", "--annotate", "file/under"], "cannot write file/under: Not a directory"),
            (["a.jpg", "--annotate", "file"], "cannot write file: File exists"),
            (["a.jpg", "--device", "tpu"], "no device 'tpu'"),
            (["a.jpg", "--head", "age"], "tiny has no head 'age': choose one of emotion, ferplus"),
            (["a.jpg", "--model", "none.onnx"], "none.onnx: there is no such model file"),
            (["a.jpg", "--model", "none.keras"], "none.keras: there is no such model file"),
            (["a.jpg", "--model", "none.pt"], "expected a model file ending in"),
        ],
        ids=str,
    )
    def test_what_cannot_be_done_is_one_line(
        self,
        run: Run,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        arguments: list[str],
        message: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "empty").mkdir()
        (tmp_path / "file").touch()

        ran = run(*arguments)

        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("mien: ")
        assert message in ran.err
        assert ran.err.count("\n") == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--faces", "some"],
            ["--smallest", "0"],
            ["--min-face", "-1"],
            ["--min-score", "1.1"],
            ["--threads", "-1"],
            ["--frobnicate"],
        ],
        ids=str,
    )
    def test_options_out_of_range_are_usage_errors(self, run: Run, arguments: list[str]) -> None:
        ran = run(ASTRONAUT, *arguments)

        assert (ran.code, ran.out) == (2, "")
        assert arguments[0] in ran.err

    @pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
    )
    def test_a_file_without_permission(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "secret.jpg"
        path.write_bytes(ASTRONAUT.read_bytes())
        path.chmod(0)

        ran = run(path)

        assert (ran.code, ran.err) == (2, f"mien: {path} cannot be opened: Permission denied\n")

    def test_a_file_that_the_system_will_not_open(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "loop.jpg"
        path.symlink_to(path)

        ran = run(path)

        assert ran.code == 2
        assert ran.err.startswith(f"mien: {path} cannot be opened: ")

    def test_an_old_table_is_not_lost_to_a_bad_image(self, run: Run, tmp_path: Path) -> None:
        table = tmp_path / "faces.csv"
        table.write_text("precious")

        assert run(tmp_path / "missing.jpg", "--csv", table).code == 2
        assert table.read_text() == "precious"

    def test_keras_models_are_an_extra(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.keras"
        path.touch()
        write_card(make_card(path), tmp_path / "a.card.json")
        monkeypatch.setitem(sys.modules, "keras", None)

        ran = run(ASTRONAUT, "--model", path)

        assert ran.code == 2
        assert "pip install 'mien[train]'" in ran.err


class TestOneImage:
    def test_text(self, run: Run) -> None:
        ran = run(ASTRONAUT)

        assert (ran.code, ran.err) == (0, "")
        (line,) = ran.out.splitlines()
        assert line.startswith(f"{ASTRONAUT}: face 1: ")
        assert "; box 180," in line
        assert all(f" {emotion} " in line for emotion in EMOTIONS)

    @pytest.mark.parametrize("form", [(), ("--jsonl",), ("--json",), ("--csv", "-")], ids=str)
    def test_no_face_is_said_and_no_error(
        self, run: Run, nobody: Path, form: tuple[str, ...]
    ) -> None:
        ran = run(nobody, *form)

        image = {"image": str(nobody), "width": 120, "height": 80, "faces": []}
        expected = {
            (): f"{nobody}: no face found\n",
            ("--jsonl",): json.dumps(image) + "\n",
            ("--json",): '{"model": {"name": "tiny", "version": "0"}, "images": [\n'
            + json.dumps(image)
            + "\n]}\n",
            ("--csv", "-"): ",".join(["image", "face", *csv_fields()]) + "\n",
        }
        assert (ran.code, ran.out, ran.err) == (0, expected[form], "")

    def test_all_forms_say_the_same(self, run: Run, tmp_path: Path) -> None:
        table = tmp_path / "faces.csv"

        document = json.loads(run(ASTRONAUT, "--json", "--csv", table).out)
        line = json.loads(run(ASTRONAUT, "--jsonl").out)

        assert document["images"] == [line]
        (face,) = line["faces"]
        (row,) = csv.DictReader(io.StringIO(table.read_text()))
        assert (row["image"], row["face"]) == (str(ASTRONAUT), "1")
        assert row["emotion"] == face["emotion"]
        assert float(row["confidence"]) == face["confidence"]
        assert reading_from_dict(face).labels == EMOTIONS

    def test_abstaining_names_no_emotion(self, run: Run) -> None:
        (face,) = json.loads(run(ASTRONAUT, "--jsonl", "--abstain").out)["faces"]
        (plain,) = json.loads(run(ASTRONAUT, "--jsonl").out)["faces"]

        assert face["uncertain"] is True
        assert face["emotion"] is None
        (row,) = csv.DictReader(io.StringIO(run(ASTRONAUT, "--csv", "-", "--abstain").out))
        assert (row["uncertain"], row["emotion"]) == ("True", "")
        assert plain["emotion"] in EMOTIONS
        assert "?; box" in run(ASTRONAUT, "--abstain").out
        assert "%, uncertain; box" in run(ASTRONAUT).out

    def test_another_head(self, run: Run) -> None:
        (face,) = json.loads(run(ASTRONAUT, "--jsonl", "--head", "ferplus").out)["faces"]
        assert list(face["probabilities"])[-1] == "contempt"

    def test_standard_input(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ASTRONAUT.read_bytes())))

        ran = run("-", "--jsonl")

        assert ran.code == 0
        assert json.loads(ran.out)["image"] == "stdin"
        assert len(json.loads(ran.out)["faces"]) == 1

    def test_standard_input_that_is_empty_or_a_keyboard(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keyboard = io.TextIOWrapper(io.BytesIO())
        monkeypatch.setattr(sys, "stdin", keyboard)
        assert "has 0 bytes" in run("-").err
        monkeypatch.setattr(keyboard, "isatty", lambda: True)
        assert "expected an image to be piped into it" in run("-").err

    @pytest.mark.parametrize(("which", "count"), [("all", 2), ("largest", 1)])
    def test_all_faces_or_the_largest(
        self, run: Run, tmp_path: Path, astronaut: Image, which: str, count: int
    ) -> None:
        canvas = np.full((512, 900, 3), 90, np.uint8)
        canvas[:, :512] = astronaut
        canvas[256:, 600:856] = astronaut[::2, ::2]
        (tmp_path / "two.png").write_bytes(encode(canvas, "png"))

        faces = json.loads(run(tmp_path / "two.png", "--jsonl", "--faces", which).out)["faces"]

        assert len(faces) == count
        assert max(face["box"]["w"] for face in faces) > 70

    def test_a_smallest_face_is_kept_to(self, run: Run) -> None:
        assert "face 1" in run(ASTRONAUT, "--smallest", "60", "--threads", "1").out
        assert "face 1" in run(ASTRONAUT, "--detector", "centerface").out
        assert "no face" in run(ASTRONAUT, "--min-face", "5000").out
        assert "no face" in run(ASTRONAUT, "--min-score", "1").out

    def test_the_annotated_copy(self, run: Run, tmp_path: Path, astronaut: Image) -> None:
        ran = run(ASTRONAUT, "--annotate", tmp_path / "new" / "folder")

        assert ran.code == 0
        copy = read(tmp_path / "new" / "folder" / "astronaut.annotated.jpg")
        assert copy.shape == astronaut.shape
        changed = np.abs(copy.astype(int) - astronaut).max(axis=2) > 60
        assert 500 < changed.sum() < 40_000


class TestFolder:
    def test_it_reads_on_past_bad_files_and_names_them_at_the_end(
        self, run: Run, folder: Path
    ) -> None:
        ran = run("--batch", folder)

        assert ran.code == 1
        assert [line.split(": ")[0] for line in ran.out.splitlines()] == [
            str(folder / name) for name in ("a/portrait.jpg", "b/portrait.jpg", "nobody.png")
        ]
        title, *failures = ran.err.splitlines()
        assert title == "mien: 2 of 5 images could not be read:"
        assert [line.split(": ")[0].strip() for line in failures] == [
            str(folder / "broken.jpg"), str(folder / "empty.jpg"),
        ]  # fmt: skip

    def test_json_accounts_for_every_file_in_order(self, run: Run, folder: Path) -> None:
        images = json.loads(run("--batch", folder, "--json", "--threads", "3").out)["images"]

        names = ["a/portrait.jpg", "b/portrait.jpg", "broken.jpg", "empty.jpg", "nobody.png"]
        assert [image["image"] for image in images] == [str(folder / name) for name in names]
        assert [len(image.get("faces", "-")) for image in images] == [1, 1, 1, 1, 0]
        assert [image.get("error", {}).get("code") for image in images] == [
            None, None, "broken_image", "broken_image", None,
        ]  # fmt: skip

    def test_jsonl_is_the_same_line_by_line(self, run: Run, folder: Path) -> None:
        lines = run("--batch", folder, "--jsonl").out.splitlines()
        document = json.loads(run("--batch", folder, "--json").out)
        assert [json.loads(line) for line in lines] == document["images"]

    def test_copies_of_one_name_do_not_overwrite_each_other(
        self, run: Run, folder: Path, tmp_path: Path
    ) -> None:
        run("--batch", folder, "--annotate", tmp_path)

        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "nobody.annotated.png",
            "portrait-2.annotated.jpg",
            "portrait.annotated.jpg",
        ]

    def test_copies_are_not_read_the_next_time(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_bytes(ASTRONAUT.read_bytes())

        first = run("--batch", tmp_path, "--annotate", tmp_path)
        second = run("--batch", tmp_path, "--annotate", tmp_path)

        assert first.code == second.code == 0
        assert first.out == second.out
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.annotated.jpg", "a.jpg"]

    @pytest.mark.parametrize("name", ["a.why.jpg", "a.why-faces.png"])
    def test_pictures_of_reasons_are_not_read(self, run: Run, tmp_path: Path, name: str) -> None:
        (tmp_path / "a.jpg").write_bytes(ASTRONAUT.read_bytes())
        alone = run("--batch", tmp_path)
        (tmp_path / name).write_bytes(b"no picture at all")

        beside = run("--batch", tmp_path)

        assert alone.code == beside.code == 0
        assert alone.out == beside.out

    def test_images_and_a_folder_together(self, run: Run, folder: Path, nobody: Path) -> None:
        ran = run(nobody, "--batch", folder / "a", "--jsonl")

        assert ran.code == 0
        assert [json.loads(line)["image"] for line in ran.out.splitlines()] == [
            str(nobody),
            str(folder / "a" / "portrait.jpg"),
        ]

    def test_several_images_are_read_like_a_folder(self, run: Run, nobody: Path) -> None:
        ran = run("missing.jpg", nobody, nobody.parent)

        assert ran.code == 1
        assert ran.out == f"{nobody}: no face found\n" * 2
        assert "1 of 3 images" in ran.err

    def test_names_that_are_no_text(self, run: Run, nobody: Path, tmp_path: Path) -> None:
        name = os.fsdecode(b'\xff,\n"\x1b.png')
        (tmp_path / name).write_bytes(nobody.read_bytes())

        text = run("--batch", tmp_path)
        line = run("--batch", tmp_path, "--jsonl")
        table = run("--batch", tmp_path, "--csv", tmp_path / "a.csv")

        assert (text.code, line.code, table.code) == (0, 0, 0)
        assert r"\udcff, \"" not in text.out
        assert "\x1b" not in text.out
        assert text.out.count("\n") == 1
        assert os.fsencode(json.loads(line.out)["image"]) == os.fsencode(tmp_path / name)

    def test_a_copy_that_cannot_be_written_ends_the_run(
        self, run: Run, folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "portrait.annotated.jpg").mkdir()

        ran = run("--batch", folder / "a", "--annotate", tmp_path)

        assert ran.code == 2
        assert "portrait.annotated.jpg is a folder: expected the name of a file to write" in ran.err


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("many")
    for number in range(300):
        (top / f"{number:03}.jpg").symlink_to(ASTRONAUT)
    return top


def start(model: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mien", "predict", "--model", model, *arguments]
    return subprocess.Popen(
        [str(each) for each in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


class TestInterrupted:
    def test_what_was_read_is_written_whole(self, model: Path, many: Path, tmp_path: Path) -> None:
        process = start(model, "--batch", many, "--json", "--csv", tmp_path / "faces.csv")
        assert process.stdout is not None
        assert process.stderr is not None
        head = process.stdout.read(200)  # until the first result is there

        process.send_signal(signal.SIGINT)
        rest, errors = process.stdout.read(), process.stderr.read()
        process.stdout.close()
        process.stderr.close()

        assert process.wait(timeout=60) == 130
        images = json.loads(head + rest)["images"]
        assert 0 < len(images) < 300
        rows = list(csv.DictReader(io.StringIO((tmp_path / "faces.csv").read_text())))
        assert [row["image"] for row in rows] == [image["image"] for image in images]
        assert all(row["uncertain"] in ("True", "False") for row in rows)
        assert "Traceback" not in errors
        assert "interrupted; what was read until then is written" in errors

    def test_a_reader_that_leaves_is_no_error_worth_a_word(self, model: Path, many: Path) -> None:
        process = start(model, "--batch", many, "--jsonl")
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()

        process.stdout.close()
        errors = process.stderr.read()
        process.wait(timeout=60)
        process.stderr.close()

        assert json.loads(first)["image"].endswith("000.jpg")
        assert errors == ""

    def test_the_first_signal_is_an_event_and_the_second_acts_as_ever(self) -> None:
        before = signal.getsignal(signal.SIGINT)
        with stop_on_interrupt() as stopped:
            assert not stopped.is_set()
            signal.raise_signal(signal.SIGINT)
            assert stopped.is_set()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is before

    def test_outside_the_main_thread_signals_are_left_alone(self) -> None:
        seen: list[bool] = []

        def work() -> None:
            with stop_on_interrupt() as stopped:
                seen.append(stopped.is_set())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == [False]


class TestInOrder:
    @pytest.mark.parametrize("count", [0, 1, 2, 50])
    @pytest.mark.parametrize("workers", [1, 2, 8])
    def test_results_come_in_the_order_of_the_items(self, count: int, workers: int) -> None:
        def work(number: int) -> int:
            time.sleep(0.002 * (number % 3 == 0))
            return number * number

        assert list(in_order(work, range(count), workers)) == [n * n for n in range(count)]

    def test_few_are_held_at_a_time(self) -> None:
        taken: list[int] = []

        def items() -> Iterator[int]:
            for number in range(1000):
                taken.append(number)
                yield number

        given = 0
        for _ in in_order(lambda number: number, items(), 4):
            given += 1
            assert len(taken) - given <= 3 * 4
        assert given == 1000

    def test_an_error_is_raised_in_its_place_and_ends_the_work(self) -> None:
        done: list[int] = []

        def work(number: int) -> int:
            if number == 3:
                raise ArithmeticError
            done.append(number)
            return number

        results = in_order(work, range(1000), 2)
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ArithmeticError):
            next(results)
        assert max(done) < 20

    def test_closing_it_stops_the_work(self) -> None:
        done: list[int] = []
        results = in_order(done.append, range(1000), 2)

        next(results)
        results.close()

        assert len(done) <= 7

    def test_there_is_at_least_one_core(self) -> None:
        assert cores() >= 1


def result(count: int, **rest: Any) -> Result:
    face = Face(Box(10, 20, 30, 40), 0.9)
    shares = (0.02, 0.02, 0.02, 0.8, 0.1, 0.02, 0.02)
    return Result("photo.jpg", (480, 640), (Reading(face, shares, **rest),) * count)


class TestTerminal:
    """The form for people; rich leaves out colours where there is no terminal."""

    @pytest.fixture
    def shown(self, model: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
        card = open_session(model).card

        def show(*results: Result, abstain: bool = False) -> str:
            output = TerminalOutput(card, abstain=abstain)
            for each in results:
                output.write(each)
            output.close()
            return capsys.readouterr().out

        return show

    def test_no_face(self, shown: Callable[..., str]) -> None:
        assert shown(result(0)) == "photo.jpg  640 × 480, no face found\n"

    def test_a_few_faces_have_bars(self, shown: Callable[..., str]) -> None:
        lines = shown(result(1, set=("happy", "neutral"))).splitlines()

        assert lines[:2] == ["photo.jpg  640 × 480, 1 face", "  happy 80 %  at 10,20 30x40"]
        assert lines[2] == f"    happy     {'█' * 24}{' ' * 6}  80 %"
        assert lines[3].startswith("    neutral   ███ ")
        assert lines[-1] == "    90 % set: happy, neutral"
        assert len(lines) == 10

    def test_many_faces_have_a_line_each(self, shown: Callable[..., str]) -> None:
        lines = shown(result(5), result(5)).splitlines()

        assert lines[1].startswith("    1  ▁▁▁▇▁▁▁ ● happy 80 %")
        assert len(lines) == 6 + 1 + 1 + 6
        assert "bars: █ angry █ disgust" in lines[6]

    def test_uncertain_readings(self, shown: Callable[..., str]) -> None:
        torn = result(1, set=("happy", "neutral", "sad"), uncertain=True)
        assert "  happy 80 %, uncertain  at" in shown(torn)
        assert "  happy or neutral?  at" in shown(torn, abstain=True)

    def test_colours_are_the_palettes(
        self, shown: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLORTERM", "truecolor")
        assert "38;2;213;164;24" in shown(result(1))

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
    def test_a_real_terminal_shows_results_and_progress(self, model: Path, folder: Path) -> None:
        import pty

        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "mien", "predict", "--model", model, "--batch", folder]
        with subprocess.Popen([str(c) for c in command], stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            seen = b""
            try:
                while block := os.read(ours, 65536):
                    seen += block
            except OSError:  # Linux says so when the other end is closed
                pass
            os.close(ours)
        text = seen.decode()
        assert process.returncode == 1
        assert "1 face" in text
        assert "no face found" in text
        assert "reading" in text
        assert "2 of 5 images could not be read" in text


def test_help_has_examples(run: Run) -> None:
    ran = run("-h", with_model=False)

    assert ran.code == 0
    assert "mien predict --batch holiday/" in ran.out
    for option in ("--json", "--jsonl", "--csv", "--annotate", "--abstain", "--threads"):
        assert option in ran.out


def test_the_core_is_all_it_loads(model: Path, nobody: Path) -> None:
    program = (
        "import sys; from mien.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    arguments = ["predict", "--model", str(model), str(nobody)]
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )

    said, modules = ran.stdout.splitlines()
    assert said == f"{nobody}: no face found"
    heavy = {"keras", "tensorflow", "torch", "matplotlib", "pandas", "fastapi", "av", "sklearn"}
    assert heavy & set(modules.split()) == set()

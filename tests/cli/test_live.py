"""``mien live``, with a file for a camera."""

from __future__ import annotations

import io
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tests.support.clips import Clip, fake_predictor
from tests.support.commands import exit_code

from mien.cli import live
from mien.types import Box, Face, Reading
from mien.video import FrameReadings


@pytest.fixture(autouse=True)
def _without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.cli.live.open_predictor", lambda choice: fake_predictor())


run = partial(exit_code, "live")


def frame(readings: tuple[Reading, ...] = (), detect_ms: float = 8.0) -> FrameReadings:
    timings = {"decode": 1.0, "detect": detect_ms, "read": 2.0}
    return FrameReadings(0, 0.0, np.zeros((48, 64, 3), np.uint8), readings, timings)


def reading(*, uncertain: bool = False) -> Reading:
    shares = (0.0, 0.0, 0.0, 0.75, 0.25, 0.0, 0.0)
    face = Face(Box(5, 5, 20, 20), 0.9)
    labels = ("happy", "neutral")
    return Reading(face, shares, set=labels, uncertain=uncertain, identity=3)


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        ("88", "no camera 88 on this machine"),
        ("none.mp4", "no such file"),
        ("rtsp://a/b", "network"),
    ],
)
def test_no_camera_is_one_sentence(
    camera: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--camera", camera) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_a_file_is_shown_in_the_terminal_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = Clip(frames=12).write(tmp_path / "a.mp4")
    assert run("--camera", str(clip), "--terminal") == 0
    told = capsys.readouterr().out
    assert "a.mp4" in told
    assert "#1 happy" in told
    assert "frames/s" in told


class FakeTk:
    """As much of Tk as a window needs."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.closing: Any = None

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: object, **options: object) -> None:
            self.calls.append(name)
            if name == "protocol":
                self.closing = arguments[1]

        return call


def test_a_window_shows_frames_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tkinter")
    monkeypatch.setattr("tkinter.Label", lambda *arguments, **options: FakeTk())
    monkeypatch.setattr("PIL.ImageTk.PhotoImage", lambda picture, master: picture.size)
    root = FakeTk()
    window = live.WindowView(root, "mien")
    assert window.show(frame((reading(),)), "25 frames/s") is True
    root.closing()
    assert window.show(frame(), "25 frames/s") is False
    window.close()
    window.close()
    assert root.calls.count("destroy") == 1


def test_without_a_display_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    tkinter = pytest.importorskip("tkinter")

    def refuse() -> None:
        raise tkinter.TclError("no display name and no $DISPLAY environment variable")

    monkeypatch.setattr(tkinter, "Tk", refuse)
    assert live._try_window("mien") is None
    monkeypatch.setitem(sys.modules, "tkinter", None)
    assert live._try_window("mien") is None


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ((), ["no face in sight"]),
        ((reading(),), ["#3 happy", "75 %", "25 %", "██████"]),
        ((reading(uncertain=True),), ["#3 happy or neutral?"]),
    ],
)
def test_the_terminal_shows_bars(readings: tuple[Reading, ...], expected: list[str]) -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(live.render("mien: camera 0", readings, "25 frames/s"))
    told = console.file.getvalue()  # type: ignore[attr-defined]
    for part in (*expected, "camera 0", "25 frames/s"):
        assert part in told


def test_the_pulse_tells_rate_and_stages() -> None:
    pulse = live.Pulse()
    assert pulse.text(0).startswith("0 frames/s; detect 0.0 ms")
    for number in range(11):
        pulse.beat(frame(detect_ms=8.0), show_ms=3.0, now_s=number * 0.05)
    assert pulse.text(2) == (
        "20 frames/s; detect 8.0 ms, read 2.0 ms, show 3.0 ms, in all 13.0 ms; 2 dropped"
    )


def test_ctrl_c_ends_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "TerminalView", lambda *_: SimpleNamespace(show=interrupt))
    clip = Clip(frames=12).write(tmp_path / "a.mp4")
    assert run("--camera", str(clip), "--terminal") == 0
    assert "Traceback" not in capsys.readouterr().err

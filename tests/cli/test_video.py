"""``mien video`` as people use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import av
import pytest
from tests.support.clips import Clip, fake_predictor
from tests.support.commands import exit_code


@pytest.fixture(autouse=True)
def _without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.cli.video.open_predictor", lambda choice: fake_predictor())


run = partial(exit_code, "video")


def count_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4"], "no such file"),
        (["99"], "no camera 99"),
        (["rtsp://localhost/x"], "--allow-network"),
        (["text.mp4", "-o", "out.mp4"], "not a video that can be read"),
        (["in.mp4", "-o", "out.avi"], "ending in .mp4"),
        (["in.mp4", "-o", "in.mp4"], "written over"),
        (["in.mp4", "--csv", "in.mp4"], "written over"),
        (["in.mp4", "--csv", "a", "--jsonl", "./a"], "written over"),
        (["in.mp4", "--timeline", "a.pdf"], ".png or .html"),
        (["in.mp4", "--summary", "a.txt"], ".json or .csv"),
        (["in.mp4", "--summary", "none/a.json"], "cannot write"),
        (["in.mp4", "--csv", "none/a.csv"], "cannot write"),
        (["in.mp4", "--start", "9"], "before its end"),
        (["in.mp4", "--start", "0.5", "--end", "0.2"], "start < end"),
        (["in.mp4", "--smooth", "inf"], "smooth_s"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Clip(frames=3).write(tmp_path / "in.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    assert run(*arguments) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "text.mp4"]


def test_everything_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    clip = Clip(frames=50, brightness=lambda t: 30 if t < 1 else 250)
    clip.write(tmp_path / "in.mp4")
    out = tmp_path / "out"
    out.mkdir()
    options = {
        "-o": "a.mp4",
        "--csv": "a.csv",
        "--jsonl": "a.jsonl",
        "--parquet": "a.parquet",
        "--timeline": "a.html",
        "--summary": "a.json",
    }
    arguments = [part for name, file in options.items() for part in (name, out / file)]
    assert run(tmp_path / "in.mp4", *arguments) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(options.values())
    assert count_frames(out / "a.mp4") == 50
    content = json.loads((out / "a.json").read_text())
    assert (content["video"], content["frames"], content["complete"]) == ("in.mp4", 50, True)
    (person,) = content["people"]
    first, second = person["episodes"]
    assert (first["emotion"], second["emotion"]) == ("angry", "surprise")
    assert second["start_s"] == pytest.approx(1.0, abs=0.3)
    told = capsys.readouterr().out
    assert "50 frames, 2.0 s, 1 person" in told
    assert "person 1: 2.0 s in sight; " in told


@pytest.mark.parametrize(
    ("name", "begin"), [("a.png", b"\x89PNG"), ("a.html", b"<!doctype"), ("a.csv", b"identity,")]
)
def test_stories_by_ending(name: str, begin: bytes, tmp_path: Path) -> None:
    clip = Clip().write(tmp_path / "in.mp4")
    option = "--summary" if name.endswith("csv") else "--timeline"
    assert run(clip, option, tmp_path / name) == 0
    assert (tmp_path / name).read_bytes().startswith(begin)


def test_a_video_without_faces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = Clip(frames=10, face=False).write(tmp_path / "in.mp4")
    arguments = ("--summary", tmp_path / "a.json", "--timeline", tmp_path / "a.html")
    assert run(source, "-o", tmp_path / "a.mp4", *arguments) == 0
    assert "10 frames, 0.4 s, 0 people" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["people"] == []
    assert count_frames(tmp_path / "a.mp4") == 10


_SLOW = """
import sys, time
import mien.cli.video
from mien.cli import main
from tests.support.clips import fake_predictor

predictor = fake_predictor()
find = predictor.detector

def slowly(image):
    print("frame", flush=True)
    time.sleep(0.02)
    return find(image)

predictor.detector = slowly
mien.cli.video.open_predictor = lambda choice: predictor
main(["video", *sys.argv[1:]])
"""


def _with_root(path: str) -> str:
    return os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [path])])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one process")
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_keeps_what_there_is_and_twice_keeps_nothing(presses: int, tmp_path: Path) -> None:
    Clip(frames=400, sound="aac").write(tmp_path / "in.mp4")
    out = tmp_path / "out"
    out.mkdir()
    names = (
        "-o",
        str(out / "a.mp4"),
        "--csv",
        str(out / "a.csv"),
        "--summary",
        str(out / "a.json"),
    )
    child = subprocess.Popen(
        [sys.executable, "-c", _SLOW, str(tmp_path / "in.mp4"), *names, "--every", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": _with_root(os.environ.get("PYTHONPATH", ""))},
    )
    assert child.stdout is not None
    for _ in range(20):
        child.stdout.readline()
    for _ in range(presses):
        child.send_signal(signal.SIGINT)
        time.sleep(0.002)
    _, told = child.communicate(timeout=60)
    assert child.returncode == 130, told
    if presses == 2:
        assert list(out.iterdir()) == []
        return
    assert "stopped after" in told
    frames = count_frames(out / "a.mp4")
    assert 19 <= frames < 400
    assert len((out / "a.csv").read_text().splitlines()) == frames + 1
    content = json.loads((out / "a.json").read_text())
    assert (content["frames"], content["complete"]) == (frames, False)
    assert sorted(path.name for path in out.iterdir()) == ["a.csv", "a.json", "a.mp4"]


def test_the_script_is_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import runpy

    clip = Clip(frames=5).write(tmp_path / "in.mp4")
    out = tmp_path / "out.mp4"
    monkeypatch.setattr(
        sys, "argv", ["x", "--input", str(clip), "--output", str(out), "--every", "1"]
    )
    script = Path(__file__).parents[2] / "scripts" / "video_emotion_detection.py"
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(script), run_name="__main__")
    assert count_frames(out) == 5

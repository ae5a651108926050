from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from tests.support import layouts
from tests.support.clips import find_square
from tests.support.commands import exit_code
from tests.support.small_net import write_small_net

from mien import faces
from mien.card import read_card
from mien.types import EMOTIONS


@pytest.fixture(autouse=True)
def a_network_and_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "open_detector", lambda: find_square)
    monkeypatch.chdir(tmp_path)
    write_small_net(Path("small.keras"))
    for number in range(6):
        layouts.draw(Path("photos") / f"{number}.png", 60 + 20 * number)
    layouts.draw(Path("photos/empty.png"), face=False)
    Path("photos/broken.jpg").write_bytes(b"no picture")


run = partial(exit_code, "adapt")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "models/best_model.keras: there is no such model file"),
        (("--model", "small.keras", "-o", "a.tflite"), "ending in .keras or .onnx"),
        (("--model", "small.keras", "-o", "./small.keras"), "choose another name with -o"),
        (("--model", "small.keras", "--prior", "-1"), "from 0 on, not -1"),
        (("--model", "small.keras", "--labelled", "photos"), "expected <label>/*.jpg"),
    ],
)
def test_a_mistake_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run("photos", *arguments) == 2

    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_photos_without_a_face_cannot_be_adapted_to(capsys: pytest.CaptureFixture[str]) -> None:
    layouts.draw(Path("walls/a.png"), face=False)

    assert run("walls", "--model", "small.keras") == 2
    assert "no face in walls (1 pictures)" in capsys.readouterr().err
    assert not Path("adapted.keras").exists()


def test_without_labels_nothing_is_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("photos", "--model", "small.keras", "-o", "out/mine.keras") == 0

    captured = capsys.readouterr()
    assert "6 faces: 27% of the statistics of 2 layers are new" in captured.out
    assert "cannot be told without labels" in captured.out
    assert "skipped photos/broken.jpg" in captured.err
    assert "no face found in 1 of 8 pictures" in captured.err
    card = read_card(Path("out/mine.keras.card.json"))
    assert card.calibration == read_card(Path("small.keras.card.json")).calibration


def test_with_labels_it_is_said_whether_it_helped(capsys: pytest.CaptureFixture[str]) -> None:
    for emotion in EMOTIONS:
        for number in range(15):
            path = Path("labelled") / emotion / f"{number}.png"
            layouts.draw(path, layouts.grey_of(emotion) + number % 5)

    options = ("--labelled", "labelled", "--prior", "0")
    assert run("photos", "--model", "small.keras", *options) == 0

    output = capsys.readouterr().out
    assert "on 105 labelled faces" in output
    assert "95 %:" in output
    assert "fitted on the 105 labelled faces" in output
    card = read_card(Path("adapted.keras.card.json"))
    assert card.calibration.temperature != 1.0


def test_crops_need_no_detector(capsys: pytest.CaptureFixture[str]) -> None:
    layouts.draw(Path("labelled/happy/a.png"))
    options = ("--cropped", "--labelled", "labelled")

    assert run("photos", "--model", "small.keras", *options) == 0

    output = capsys.readouterr().out
    assert "7 faces" in output  # the wall, too: it was said to be one
    assert "fitting it takes 100 labelled faces, there are 1" in output

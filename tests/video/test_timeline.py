"""The timeline's picture and page."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from mien.errors import MissingExtra
from mien.images import decode
from mien.palette import EXPRESSION_COLORS
from mien.types import EMOTIONS, Box, Face, Image, Reading
from mien.video.story import Person, Story
from mien.video.timeline import timeline_html, timeline_png


def people(count: int, *, pictures: bool = True) -> tuple[Person, ...]:
    image: Image = np.full((60, 60, 3), 128, np.uint8)
    story = Story(frame_s=0.1)
    for number in range(60):
        emotion = EMOTIONS.index("happy" if number < 30 else "sad")
        shares = tuple(0.7 if column == emotion else 0.05 for column in range(7))
        readings = [
            Reading(Face(Box(5, 5, 20, 20), 0.9), shares, identity=identity + 1)
            for identity in range(count)
            if not 10 < number < 20
        ]
        story.add(number * 0.1, readings, image if pictures else None)
    return story.people()


@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_the_picture_shows_everyone_there_is_room_for(count: int) -> None:
    pytest.importorskip("matplotlib")
    image = decode(timeline_png(people(count), (0.0, 6.0), "a $talk$.mp4"))
    assert image.shape[1] == 1680
    assert image.shape[0] == pytest.approx(120 * (1.35 + 1.5 * min(max(count, 1), 12)), abs=1)
    for emotion in ("happy", "sad"):
        colour = [int(EXPRESSION_COLORS[emotion][start : start + 2], 16) for start in (1, 3, 5)]
        alike = (np.abs(image.astype(int) - colour) < 4).all(axis=2).sum()
        assert (alike > 10_000) == (count > 0)


def test_without_matplotlib_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match="matplotlib"):
        timeline_png((), (0.0, 1.0), "a.mp4")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "img", "i") or tag == "i":
            self.open.append(tag)
        if tag in ("meta", "img"):
            return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize("count", [0, 1, 20])
def test_the_page_is_whole_and_asks_nobody(count: int, pictures: bool) -> None:
    page = timeline_html(people(count, pictures=pictures), (0.0, 6.0), "<b>&.mp4")
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert "script" not in tags.seen
    assert "<b>&.mp4" in tags.text
    assert re.findall(r"(?:https?:)?//", page) == []
    assert tags.seen.count("section") == min(count, 12)
    assert ("no face was seen" in tags.text.lower()) == (count == 0)
    if count:
        assert "happy 0:00 to 0:01.1, at most 70 % at 0:00" in tags.text

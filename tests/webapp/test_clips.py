from __future__ import annotations

import csv
import gc
import io
import json
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("av")

from mien.predictor import Predictor
from mien.types import Box, Face, Reading
from mien.video import FrameReadings
from mien.video.story import Story
from mien.webapp.clips import ClipResult, Timeline, read_clip
from mien.webapp.jobs import Job, JobState

from .conftest import clip

FACE = Face(Box(0, 0, 9, 9), 0.9)


def frame(time_s: float, *shown: tuple[int | None, str]) -> FrameReadings:
    readings = tuple(
        Reading(
            FACE,
            tuple(float(label == each) for each in ("happy", "sad")),
            ("happy", "sad"),
            identity=identity,
        )
        for identity, label in shown
    )
    return FrameReadings(0, time_s, np.zeros((1, 1, 3), np.uint8), readings, {})


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([], {}),
        ([frame(0), frame(1, (None, "sad"))], {}),
        ([frame(0, (1, "sad")), frame(0.2, (1, "sad"))], {1: [(0, 0.2, "sad")]}),
        (
            [frame(0, (1, "sad")), frame(0.2, (1, "happy")), frame(0.4, (1, "happy"))],
            {1: [(0, 0.2, "sad"), (0.2, 0.4, "happy")]},
        ),
        (
            [frame(0, (1, "sad")), frame(3, (1, "sad")), frame(3.1, (1, "sad"))],
            {1: [(0, 0, "sad"), (3, 3.1, "sad")]},
        ),
    ],
)
def test_timeline_joins_frames(
    frames: list[FrameReadings], expected: dict[int, list[tuple[float, float, str]]]
) -> None:
    timeline = Timeline(Story(("happy", "sad")))
    for each in frames:
        timeline.write(each)
    found = {
        person.identity: [(span.start_s, span.end_s, span.emotion) for span in person.spans]
        for person in timeline.people()
    }
    assert found == expected


def test_timeline_has_everybody_however_many_and_however_short() -> None:
    timeline = Timeline(Story(("happy", "sad"), frame_s=0.1))
    for index in range(30):
        shown = [(each, "sad" if each % 2 else "happy") for each in range(1, 21) if each <= index]
        timeline.write(frame(index / 10, *shown))
    people = timeline.people()
    assert [person.identity for person in people] == list(range(1, 21))
    assert people[0].summary.seen_s > people[-1].summary.seen_s > 0
    assert people[0].summary.shares["sad"] == pytest.approx(1)
    assert people[0].summary.thumbnail is not None


def done(work: Callable[[JobState], ClipResult]) -> Job[ClipResult]:
    job = Job(work)
    job.wait(60)
    return job


@pytest.mark.parametrize("data", [b"", b"no video", b"#EXTM3U\nfile:///etc/passwd\n"])
def test_what_is_no_video_is_told_by_its_own_name(data: bytes, predictor: Predictor) -> None:
    job = done(read_clip("talk.mp4", data, predictor))
    assert job.result is None
    assert "talk.mp4" in job.error
    assert "upload" not in job.error


def test_video_is_read_into_files_that_go_with_the_result(predictor: Predictor) -> None:
    job = done(read_clip("talk.mp4", clip(frames=8), predictor))
    assert job.error == ""
    result = job.result
    assert result is not None
    assert (result.outcome.frames, result.outcome.complete) == (8, True)
    assert job.state.done == 8
    rows = list(csv.DictReader(io.StringIO(result.text_of("readings.csv"))))
    assert {row["identity"] for row in rows} == {"1"}
    assert len(result.text_of("readings.jsonl").splitlines()) == 8
    assert [person.identity for person in result.people] == [1]
    (told,) = json.loads(result.summary())["people"]
    assert told["shares"]["happy"] == pytest.approx(1)
    assert result.video.read_bytes()[4:8] == b"ftyp"
    folder = result.folder
    assert not (folder / "upload").exists()
    del result, job
    gc.collect()
    assert not folder.exists()


def test_stopped_video_keeps_what_is_done(predictor: Predictor) -> None:
    state = JobState()
    state.wish_stop()
    result = read_clip("talk.mp4", clip(frames=8), predictor)(state)
    assert (result.outcome.frames, result.outcome.complete) == (1, False)
    assert result.video.is_file()

from __future__ import annotations

import csv
import gc
import io
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("av")

from mien.predictor import Predictor
from mien.types import Box, Face, Reading
from mien.video import FrameReadings
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
    timeline = Timeline()
    for each in frames:
        timeline.write(each)
    found = {
        person.identity: [(span.start_s, span.end_s, span.emotion) for span in person.spans]
        for person in timeline.people()
    }
    assert found == expected


def test_timeline_keeps_those_seen_longest() -> None:
    timeline = Timeline()
    for time_s in (0, 0.1, 0.2, 0.3):
        timeline.write(frame(time_s, (1, "sad"), *([(2, "sad")] if time_s else []), (3, "sad")))
    assert [person.identity for person in timeline.people(2)] == [1, 3]


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

from __future__ import annotations

import csv
import gc
import io
import json
from collections.abc import Callable

import pytest

pytest.importorskip("av")

from mien.predictor import Predictor
from mien.webapp.clips import ClipResult, read_clip
from mien.webapp.jobs import Job, JobState

from .conftest import clip


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
    assert [each.emotion for each in result.people[0].episodes]
    assert "Person 1" in result.text_of("timeline.html")
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

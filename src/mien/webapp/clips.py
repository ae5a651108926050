"""One video, read into files that are gone with its result."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mien.errors import InputError, MienError
from mien.predictor import Predictor
from mien.video import (
    CsvTable,
    FrameReadings,
    JsonLines,
    Outcome,
    VideoLimits,
    VideoWriter,
    open_source,
    run,
)
from mien.video.story import Person as Summary
from mien.video.story import Story, story_to_dict
from mien.webapp.jobs import JobState
from mien.wire import to_json

__all__ = ["ClipResult", "Person", "Span", "Timeline", "read_clip"]

_LIMITS = VideoLimits(max_pixels=4096 * 2304, max_duration_s=3600)
# A face that is away for longer ends its span; shorter gaps are the detector's.
_GAP_S = 0.5


@dataclass(slots=True)
class Span:
    """While one person showed one thing: seconds of the video, from first to last frame."""

    start_s: float
    end_s: float
    emotion: str
    uncertain: bool


@dataclass(slots=True)
class Person:
    """One identity of the video.

    Attributes:
        spans: in the order of time.
        summary: over the whole video, as ``mien video --summary`` writes it.
    """

    identity: int
    spans: list[Span]
    summary: Summary


class Timeline:
    """Joins readings into spans as frames come; an output of :func:`mien.video.run`.

    Args:
        story: takes every frame too.
    """

    def __init__(self, story: Story) -> None:
        self._story = story
        self._spans: dict[int, list[Span]] = {}

    def write(self, frame: FrameReadings) -> None:
        """Take one frame."""
        self._story.add(frame.time_s, frame.readings, frame.image)
        for reading in frame.readings:
            if reading.identity is None:
                continue
            spans = self._spans.setdefault(reading.identity, [])
            last = spans[-1] if spans else None
            seen = last is not None and frame.time_s - last.end_s <= _GAP_S
            if last is not None and seen:
                last.end_s = frame.time_s
            if last is None or not seen or _shown(last) != (reading.top, reading.uncertain):
                spans.append(Span(frame.time_s, frame.time_s, reading.top, reading.uncertain))

    def commit(self) -> None:
        """Nothing is left to do."""

    def discard(self) -> None:
        """Nothing was written anywhere."""

    def people(self) -> tuple[Person, ...]:
        """Return everybody who was seen, however shortly, by number."""
        return tuple(
            Person(summary.identity, self._spans[summary.identity], summary)
            for summary in self._story.people(min_seen_s=0)
        )


@dataclass(frozen=True)
class ClipResult:
    """What became of a video.

    Attributes:
        name: as it was handed in.
        folder: holds ``annotated.mp4``, ``readings.csv`` and ``readings.jsonl``; deleted when
            nobody holds the result any more.
        people: everybody in the video, by number.
    """

    name: str
    folder: Path
    outcome: Outcome
    people: tuple[Person, ...]

    def summary(self) -> str:
        """Return everybody's fractions of time and episodes, as JSON."""
        content = story_to_dict(
            [person.summary for person in self.people],
            video=self.name,
            duration_s=self.outcome.duration_s,
            frames=self.outcome.frames,
            complete=self.outcome.complete,
        )
        return to_json(content, indent=2) + "\n"

    @property
    def video(self) -> Path:
        """The annotated video."""
        return self.folder / "annotated.mp4"

    def text_of(self, name: str) -> str:
        """Return one of the tables."""
        return (self.folder / name).read_text(encoding="utf-8")


def read_clip(name: str, data: bytes, predictor: Predictor) -> Callable[[JobState], ClipResult]:
    """Return the work of a job: it reads a video, or its part before it was told to stop.

    The work raises an InputError if the bytes are not a video that can be read.
    """

    def work(state: JobState) -> ClipResult:
        folder = Path(tempfile.mkdtemp(prefix="mien-"))
        path = folder / "upload"
        path.write_bytes(data)
        try:
            result = ClipResult(name, folder, *_run(path, predictor, state))
        except MienError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise InputError(str(error).replace(str(path), name)) from None
        weakref.finalize(result, shutil.rmtree, folder, ignore_errors=True)
        path.unlink()
        return result

    return work


def _run(path: Path, predictor: Predictor, state: JobState) -> tuple[Outcome, tuple[Person, ...]]:
    source = open_source(str(path), limits=_LIMITS)
    state.report(0, source.info.frames or 0)
    labels = predictor.labels
    timeline = Timeline(Story(labels, frame_s=1 / (source.info.fps or 25)))
    outputs = [
        VideoWriter(path.with_name("annotated.mp4"), source),
        CsvTable(path.with_name("readings.csv"), labels),
        JsonLines(path.with_name("readings.jsonl")),
        timeline,
    ]
    outcome = run(
        source,
        predictor,
        outputs,
        on_frame=lambda frame: state.report(frame.index + 1),
        stop=lambda: state.stop_wished,
    )
    return outcome, timeline.people()


def _shown(span: Span) -> tuple[str, bool]:
    return span.emotion, span.uncertain

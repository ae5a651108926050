"""One video, read into files that are gone with its result."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
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
from mien.webapp.jobs import JobState

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
    """One identity's spans, in the order of time."""

    identity: int
    spans: list[Span] = field(default_factory=list)

    @property
    def seen_s(self) -> float:
        """For how long the face was seen."""
        return sum(span.end_s - span.start_s for span in self.spans)


class Timeline:
    """Joins readings into spans as frames come; an output of :func:`mien.video.run`."""

    def __init__(self) -> None:
        self._people: dict[int, Person] = {}

    def write(self, frame: FrameReadings) -> None:
        """Give one frame."""
        for reading in frame.readings:
            if reading.identity is None:
                continue
            person = self._people.setdefault(reading.identity, Person(reading.identity))
            last = person.spans[-1] if person.spans else None
            seen = last is not None and frame.time_s - last.end_s <= _GAP_S
            if last is not None and seen:
                last.end_s = frame.time_s
            if last is None or not seen or _shown(last) != (reading.top, reading.uncertain):
                span = Span(frame.time_s, frame.time_s, reading.top, reading.uncertain)
                person.spans.append(span)

    def commit(self) -> None:
        """Nothing is left to do."""

    def discard(self) -> None:
        """Nothing was written anywhere."""

    def people(self, most: int = 8) -> tuple[Person, ...]:
        """Return those who were seen longest, in the order of their numbers."""
        longest = sorted(self._people.values(), key=lambda each: -each.seen_s)[:most]
        return tuple(sorted(longest, key=lambda each: each.identity))


@dataclass(frozen=True)
class ClipResult:
    """What became of a video.

    Attributes:
        name: as it was handed in.
        folder: holds ``annotated.mp4``, ``readings.csv`` and ``readings.jsonl``; deleted when
            nobody holds the result any more.
    """

    name: str
    folder: Path
    outcome: Outcome
    people: tuple[Person, ...]

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
    timeline = Timeline()
    outputs = [
        VideoWriter(path.with_name("annotated.mp4"), source),
        CsvTable(path.with_name("readings.csv"), predictor.labels),
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

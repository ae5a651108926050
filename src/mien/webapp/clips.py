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
    Output,
    VideoLimits,
    VideoWriter,
    open_source,
    run,
)
from mien.video.story import Person, Story, story_to_dict
from mien.video.timeline import timeline_html
from mien.webapp.jobs import JobState
from mien.wire import to_json

__all__ = ["ClipResult", "read_clip"]

_LIMITS = VideoLimits(max_pixels=4096 * 2304, max_duration_s=3600)


@dataclass(frozen=True)
class ClipResult:
    """What became of a video.

    Attributes:
        name: as it was handed in.
        folder: holds ``annotated.mp4``, ``readings.csv``, ``readings.jsonl`` and
            ``timeline.html``; deleted when nobody holds the result any more.
        people: everybody in the video, by number.
    """

    name: str
    folder: Path
    outcome: Outcome
    people: tuple[Person, ...]

    def summary(self) -> str:
        """Return everybody's fractions of time and episodes, as JSON."""
        content = story_to_dict(
            self.people,
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
            result = ClipResult(name, folder, *_run(name, path, predictor, state))
        except MienError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise InputError(str(error).replace(str(path), name)) from None
        weakref.finalize(result, shutil.rmtree, folder, ignore_errors=True)
        path.unlink()
        return result

    return work


def _run(
    name: str, path: Path, predictor: Predictor, state: JobState
) -> tuple[Outcome, tuple[Person, ...]]:
    source = open_source(str(path), limits=_LIMITS)
    state.report(0, source.info.frames or 0)
    labels = predictor.labels
    story = Story(labels, frame_s=1 / (source.info.fps or 25))
    outputs: list[Output] = [
        VideoWriter(path.with_name("annotated.mp4"), source),
        CsvTable(path.with_name("readings.csv"), labels),
        JsonLines(path.with_name("readings.jsonl")),
    ]

    def on_frame(frame: FrameReadings) -> None:
        story.add(frame.time_s, frame.readings, frame.image)
        state.report(frame.index + 1)

    outcome = run(source, predictor, outputs, on_frame=on_frame, stop=lambda: state.stop_wished)
    people = story.people(min_seen_s=0.0)
    page = timeline_html(people, (0.0, max(outcome.duration_s, 0.1)), name)
    path.with_name("timeline.html").write_text(page, encoding="utf-8")
    return outcome, people

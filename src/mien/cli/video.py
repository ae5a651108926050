"""``mien video``: a video or camera in, an annotated video, tables and a summary out."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.choice import Choice
from mien.cli.options import (
    AllowNetwork,
    Detector,
    Device,
    EveryNth,
    Head,
    MinFace,
    MinScore,
    Model,
    Smallest,
    Smooth,
)
from mien.concurrency import cores
from mien.errors import ConfigError
from mien.files import atomic_write, check_writable
from mien.text import count, one_line, percent

if TYPE_CHECKING:
    from mien.predictor import Predictor
    from mien.video import FrameReadings, Outcome, Output, Source, VideoInfo
    from mien.video.story import Person, Story

__all__ = ["open_predictor", "video"]

_INTERRUPTED = 130  # the exit code of a command that Ctrl-C ended


def video(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN", help="A video file, a camera's number such as 0, or an rtsp:// address."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT.mp4", help="Write the video, annotated."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a row for each face of each frame.")
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a line of JSON for each frame.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the rows of --csv as Parquet.")
    ] = None,
    timeline: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png|.html", help="Draw each person's emotions over time."),
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json|.csv", help="Write shares of time and episodes."),
    ] = None,
    every: EveryNth = None,
    smooth: Smooth = 0.6,
    start: Annotated[float, typer.Option(metavar="S", min=0, help="Begin at S seconds.")] = 0.0,
    end: Annotated[float | None, typer.Option(metavar="S", help="End at S seconds.")] = None,
    model: Model = None,
    head: Head = None,
    device: Device = "auto",
    detector: Detector = None,
    smallest: Smallest = None,
    min_score: MinScore = 0.0,
    min_face: MinFace = 0,
    allow_network: AllowNetwork = False,
) -> None:
    """Read the faces of a video, person by person.

    Ctrl-C finishes what there is so far; press it again to throw that away. Files get their
    names when they are whole.

    **Examples**

        mien video talk.mp4 -o annotated.mp4 --timeline talk.html

        mien video talk.mp4 --csv rows.csv --summary talk.json --start 60 --end 90

        mien video 0 -o me.mp4

    Exit codes: 0 read; 2 the video or an option cannot be used; 130 stopped before its end.
    """
    files = _Files(output, csv, jsonl, parquet, timeline, summary)
    files.check(source)
    from mien.video import FollowOptions, open_source, run
    from mien.video.story import Story

    options = FollowOptions(every=every, smooth_s=smooth)
    predictor = open_predictor(Choice(model, head, device, detector, smallest, min_score, min_face))
    labels = predictor.labels
    opened = open_source(source, start_s=start, end_s=end, allow_network=allow_network)
    with ExitStack() as stack:
        stack.callback(opened.close)
        outputs = files.open(opened, labels)
        story = Story(labels, frame_s=1 / (opened.info.fps or 25))
        show = stack.enter_context(_progress(opened.info))
        stop = stack.enter_context(_stopping())

        def on_frame(frame: FrameReadings) -> None:
            story.add(frame.time_s, frame.readings, frame.image)
            show(frame)

        outcome = run(opened, predictor, outputs, options, on_frame=on_frame, stop=stop)
    files.write_story(story, source, outcome, start)
    _report(files, story.people(), outcome)
    endless = source.isdecimal() or "://" in source
    if not outcome.complete and not endless:
        raise typer.Exit(_INTERRUPTED)


def open_predictor(choice: Choice) -> Predictor:
    """Return the predictor for the frames of a video.

    Half of the cores look for faces; the others are for everything else. Threads that wait for
    each other on the same cores were measured slower: 23 frames/s instead of 33.

    Raises:
        ModelError, ConfigError: as :meth:`Choice.open`.
    """
    return choice.open(threads=1, detector_threads=max(1, cores() // 2), same_size=True)


@dataclass(frozen=True, slots=True)
class _Files:
    """What is to be written, and where."""

    video: Path | None
    csv: Path | None
    jsonl: Path | None
    parquet: Path | None
    timeline: Path | None
    summary: Path | None

    def check(self, source: str) -> None:
        """Refuse names that cannot be meant, before anything is read."""
        if self.timeline is not None and self.timeline.suffix not in (".png", ".html"):
            raise ConfigError(f"{self.timeline}: expected a name ending in .png or .html")
        if self.summary is not None and self.summary.suffix not in (".json", ".csv"):
            raise ConfigError(f"{self.summary}: expected a name ending in .json or .csv")
        taken = {Path(source).resolve()}
        for path in self.names():
            if path.resolve() in taken:
                raise ConfigError(f"{path} would be written over what is read or written already")
            taken.add(path.resolve())

    def names(self) -> list[Path]:
        every = (self.video, self.csv, self.jsonl, self.parquet, self.timeline, self.summary)
        return [path for path in every if path is not None]

    def open(self, source: Source, labels: tuple[str, ...]) -> list[Output]:
        """Return the outputs that take frames; see :func:`mien.video.run`."""
        from mien.video import CsvTable, JsonLines, ParquetTable, VideoWriter

        for path in (self.timeline, self.summary):
            if path is not None:
                check_writable(path)
        outputs: list[Output] = []
        if self.video is not None:
            outputs.append(VideoWriter(self.video, source))
        if self.csv is not None:
            outputs.append(CsvTable(self.csv, labels))
        if self.jsonl is not None:
            outputs.append(JsonLines(self.jsonl))
        if self.parquet is not None:
            outputs.append(ParquetTable(self.parquet, labels))
        return outputs

    def write_story(self, story: Story, source: str, outcome: Outcome, start_s: float) -> None:
        """Write the summary and the timeline, if they are wanted."""
        from mien.video.story import episode_rows, story_to_dict
        from mien.video.timeline import timeline_html, timeline_png
        from mien.wire import to_csv, to_json

        people = story.people()
        name = source if "://" in source else Path(source).name
        if self.summary is not None and self.summary.suffix == ".csv":
            columns = ("identity", "emotion", "start_s", "end_s", "peak_s", "peak")
            _write(self.summary, to_csv(episode_rows(people), columns).encode())
        elif self.summary is not None:
            content = story_to_dict(
                people,
                video=name,
                duration_s=outcome.duration_s,
                frames=outcome.frames,
                complete=outcome.complete,
            )
            _write(self.summary, (to_json(content, indent=2) + "\n").encode())
        span_s = (start_s, start_s + max(outcome.duration_s, 0.1))
        if self.timeline is not None and self.timeline.suffix == ".png":
            _write(self.timeline, timeline_png(people, span_s, name))
        elif self.timeline is not None:
            _write(self.timeline, timeline_html(people, span_s, name).encode())


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Yield what tells whether the user asked to stop; asked twice, it is an interrupt."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, ask) for each in signals]
    try:
        yield lambda: asked
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)


@contextmanager
def _progress(info: VideoInfo) -> Iterator[Callable[[FrameReadings], None]]:
    """Show frames, frames per second and the time left, if someone looks."""
    if not sys.stderr.isatty():
        yield lambda frame: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.completed:.0f} frames"),
        BarColumn(),
        TextColumn("{task.fields[fps]:.0f} frames/s"),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=info.frames, fps=0.0)

        def show(frame: FrameReadings) -> None:
            elapsed = progress.tasks[0].elapsed or 0.0
            fps = (frame.index + 1) / elapsed if elapsed else 0.0
            progress.update(task, completed=frame.index + 1, fps=fps)

        yield show


def _report(files: _Files, people: tuple[Person, ...], outcome: Outcome) -> None:
    typer.echo(
        f"{outcome.frames} frames, {outcome.duration_s:.1f} s, "
        f"{count(len(people), 'person', 'people')}"
    )
    for person in people:
        shares = sorted(person.shares.items(), key=lambda share: -share[1])
        led = ", ".join(f"{label} {percent(share)}" for label, share in shares if share >= 0.005)
        changes = count(person.changes, "change")
        typer.echo(f"person {person.identity}: {person.seen_s:.1f} s in sight; {led}; {changes}")
    if outcome.damaged:
        typer.echo(f"{outcome.damaged} parts of the video are damaged and were left out", err=True)
    written = ", ".join(one_line(str(path)) for path in files.names())
    if not outcome.complete:
        told = f": {written} hold what was read until then" if written else ""
        typer.echo(f"stopped after {outcome.duration_s:.1f} s{told}", err=True)
    elif written:
        typer.echo(f"written: {written}")

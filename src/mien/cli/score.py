"""``mien score``: readings of millions of pictures, by many processes or machines."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import Detector, Head, MinFace, MinScore, Smallest
from mien.cli.predict import Faces
from mien.concurrency import cores
from mien.errors import ConfigError, MissingExtra
from mien.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from mien.scale import Job, PartReport

__all__ = ["Engine", "score"]

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class Engine(str, Enum):
    """Who reads."""

    LOCAL = "local"
    RAY = "ray"


def score(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders of images; images, Parquet files, tars and videos by name or pattern; "
            "here or at s3://, gs:// ...",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="OUT.parquet", help="Folder for the parts of the result."
        ),
    ],
    engine: Annotated[
        Engine, typer.Option(help="Processes of this machine, or a Ray cluster.")
    ] = Engine.LOCAL,
    address: Annotated[
        str | None,
        typer.Option(
            help="Of the Ray cluster; auto is the one this machine belongs to.",
            show_default="a cluster of this machine alone",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(metavar="N", min=0, help="A core each; 0 takes all cores.")
    ] = 0,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="A .onnx or .tflite file with its card, there for every worker."
        ),
    ] = None,
    head: Head = None,
    faces: Annotated[
        Faces, typer.Option(help="Read all faces of an image or the largest one.")
    ] = Faces.ALL,
    detector: Detector = None,
    smallest: Smallest = None,
    min_score: MinScore = 0.0,
    min_face: MinFace = 0,
    abstain: Annotated[
        bool, typer.Option("--abstain", help="Name no emotion where the model is uncertain.")
    ] = False,
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of Parquet files: images or their paths.",
            show_default="image, bytes, path or the like",
        ),
    ] = None,
    fps: Annotated[
        float, typer.Option(metavar="N", help="Frames of a video to read each second.")
    ] = 1.0,
    part_images: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Pictures of a part: what a killed worker has to read again.",
            show_default="1000, fewer in small jobs",
        ),
    ] = None,
) -> None:
    """Read the faces of millions of pictures into a folder of Parquet files.

    A row is a face, a picture without one, or a file that could not be read and why. Stopped
    or killed, the same command goes on: it reads only the parts that are missing.

    **Examples**

        mien score photos/ -o readings.parquet

        mien score 's3://bucket/shards/*.tar' -o s3://bucket/readings.parquet --engine ray
        --address auto

    Exit codes: 0 all parts are there, also if files in them could not be read; 1 parts are
    left out; 2 a source or an option cannot be used; 130 interrupted.
    """
    try:
        from mien.scale import Job, Options
    except ModuleNotFoundError as error:
        raise MissingExtra("scale", error.name or "pyarrow") from None
    if address is not None and engine is not Engine.RAY:
        raise ConfigError("--address is for --engine ray: add it, or leave the address out")
    options = Options(
        model=None if model is None else str(model),
        head=head,
        largest_face=faces is Faces.LARGEST,
        detector=detector,
        smallest_px=smallest,
        min_score=min_score,
        min_face_px=min_face,
        abstain=abstain,
        column=column,
        frames_per_s=fps,
        part_images=part_images,
    )
    try:
        with _status("planning"):
            job = Job.open(output, sources, options)
            missing = job.missing()
    except KeyboardInterrupt:
        _say("interrupted before anything was read")
        raise typer.Exit(_INTERRUPTED) from None
    if not missing:
        _say(f"nothing is missing: all {job.parts:,} parts are in {job.folder}")
        return
    if len(missing) < job.parts:
        _say(f"going on: {job.parts - len(missing):,} of {job.parts:,} parts are there")
    _read(job, missing, _Crew(engine, address, workers or None))


@dataclass(frozen=True, slots=True)
class _Crew:
    engine: Engine
    address: str | None
    workers: int | None

    def read(self, job: Job, missing: list[int]) -> Generator[PartReport, None, None]:
        """Start reading."""
        if self.engine is Engine.LOCAL:
            from mien.scale import read_locally

            return read_locally(job.folder, missing, workers=self.workers or cores())
        try:
            from mien.scale.cluster import read_on_cluster
        except ModuleNotFoundError as error:
            raise MissingExtra("scale", error.name or "ray") from None
        return read_on_cluster(job.folder, missing, workers=self.workers, address=self.address)


@dataclass(slots=True)
class _Tally:
    begin: float = field(default_factory=time.monotonic)
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[PartReport] = field(default_factory=list)

    def add(self, report: PartReport) -> None:
        """Count a part."""
        if report.failure is not None:
            self.failures.append(report)
            return
        for name in ("images", "faces", "errors"):
            self.counts[name] += getattr(report, name)
        self.counts["parts"] += 1

    def __str__(self) -> str:
        seconds = time.monotonic() - self.begin
        counts = {name: f"{self.counts[name]:,}" for name in ("images", "faces", "errors", "parts")}
        return (
            f"{counts['images']} images, {counts['faces']} faces, {counts['errors']} errors in "
            f"{counts['parts']} parts: {seconds:,.1f} s, "
            f"{self.counts['images'] / max(seconds, 1e-9):,.1f} images/s"
        )


def _read(job: Job, missing: list[int], crew: _Crew) -> None:
    tally, stopped = _Tally(), False
    try:
        with _progress(len(missing)) as advance, closing(crew.read(job, missing)) as reports:
            for report in reports:
                tally.add(report)
                advance(tally)
    except KeyboardInterrupt:
        stopped = True
    _say(str(tally))
    for report in tally.failures:
        _say(f"part {report.number} is left out: {report.failure}")
    if stopped:
        _say(
            f"interrupted; what is in {job.folder} is whole. The same command goes on with the "
            f"other {len(missing) - tally.counts['parts']:,} parts"
        )
        raise typer.Exit(_INTERRUPTED)
    if tally.failures:
        raise typer.Exit(1)


def _say(text: str) -> None:
    typer.echo(f"mien: {one_line(text)}", err=True)


@contextmanager
def _status(text: str) -> Iterator[None]:
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


@contextmanager
def _progress(parts: int) -> Iterator[Callable[[_Tally], None]]:
    """Show how far it is, where that is seen."""
    if not sys.stderr.isatty():
        yield lambda tally: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn

    columns = (
        *Progress.get_default_columns(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=parts, rate="")

        def advance(tally: _Tally) -> None:
            rate = tally.counts["images"] / (time.monotonic() - tally.begin)
            text = f"{tally.counts['images']:,} images, {rate:,.1f} images/s"
            progress.update(task, advance=1, rate=text)

        yield advance

"""What the commands around training share: their imports, their data, their progress bars."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from mien.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.data import Dataset
    from mien.types import Image

__all__ = [
    "Data",
    "SkipBad",
    "Votes",
    "bar",
    "load_data",
    "middle_frame",
    "needs",
    "needs_train",
    "status",
    "steps_bar",
]

Data: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="FER2013: fer2013.csv, fer2013.csv.gz, or the folder with train/ and test/.",
        metavar="PATH",
    ),
]
Votes: TypeAlias = Annotated[
    Path | None,
    typer.Option("--votes", help="FER+: fer2013new.csv, which goes with the CSV.", metavar="PATH"),
]
SkipBad: TypeAlias = Annotated[
    bool, typer.Option("--skip-bad", help="Leave bad rows out and list them, instead of stopping.")
]

#: Where progress and notes go, so that standard output holds results alone.
status = Console(stderr=True)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn a missing package of an extra into one clear sentence."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(extra, error.name or extra) from None


def needs_train() -> AbstractContextManager[None]:
    """Turn a missing package of the extra ``train`` into one clear sentence."""
    return needs("train")


def load_data(path: Path | None, votes: Path | None, *, skip_bad: bool = False) -> Dataset:
    """Read the data with a progress bar, and list what was skipped.

    Raises:
        DataError: no path was given, or the data is not as it should be.
    """
    from mien import data
    from mien.errors import DataError

    if path is None:
        raise DataError("no data given: name FER2013 with --data fer2013.csv (or its folder)")
    with bar("reading the data") as progress:
        dataset = data.load(path, votes, skip_bad=skip_bad, progress=progress)
    if dataset.skipped:
        status.print(f"skipped {len(dataset.skipped)} bad rows or files:")
        for line in dataset.skipped:
            status.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    return dataset


def middle_frame(path: Path) -> Image:
    """Return the frame in the middle of a video; see :func:`mien.video.middle_frame`.

    Raises:
        MissingExtra: the extra ``video`` is not installed; data sets of photos do without it.
    """
    from mien import video

    return video.middle_frame(path)


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar while the block runs; yields what is to be called with (done, total)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=status, transient=True) as progress:
        task = progress.add_task(title, total=None, visible=False)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)

        yield show


def steps_bar() -> Progress:
    """Return the progress bar of a training run."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=status,
    )

"""Many pictures, loose or in archives, as one piece of work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from mien.errors import InputError
from mien.predictor import Predictor
from mien.webapp.archives import ArchiveLimits, PictureArchive
from mien.webapp.jobs import JobState
from mien.webapp.pictures import PictureResult, read_picture

__all__ = ["Batch", "Upload", "collect", "read_all"]


class Upload(Protocol):
    """A file that was handed in: Streamlit's own, or a test's."""

    name: str

    def getvalue(self) -> bytes:
        """Return its content."""
        ...


@dataclass(frozen=True)
class Batch:
    """Pictures to read, each behind a call, so that one at a time is in memory.

    Attributes:
        pictures: name and what returns the bytes; it may raise an InputError.
        skipped: files in archives that do not end like a picture.
    """

    pictures: tuple[tuple[str, Callable[[], bytes]], ...]
    skipped: int = 0


def collect(
    files: Sequence[Upload],
    open_archive: Callable[[Upload], BinaryIO],
    limits: ArchiveLimits | None = None,
) -> Batch:
    """Find the pictures in loose files and archives (by the ending ``.zip``).

    Args:
        open_archive: returns an archive's content, open for reading for as long as the batch
            is used.

    Raises:
        InputError: an archive is refused, or there are more pictures than the limits allow.
    """
    limits = limits or ArchiveLimits()
    pictures: list[tuple[str, Callable[[], bytes]]] = []
    skipped = 0
    for file in files:
        if not file.name.lower().endswith(".zip"):
            pictures.append((file.name, file.getvalue))
            continue
        archive = PictureArchive(open_archive(file), limits)
        skipped += archive.skipped
        pictures += [(name, _unpacker(archive, at)) for at, name in enumerate(archive.names)]
    if len(pictures) > limits.max_pictures:
        raise InputError(
            f"these are {len(pictures):,} pictures, at most {limits.max_pictures:,} are read at "
            "once: use several batches, or the command line: mien predict --batch DIR"
        )
    return Batch(tuple(pictures), skipped)


def read_all(batch: Batch, predictor: Predictor) -> Callable[[JobState], list[PictureResult]]:
    """Return the work of a job: it reads all pictures, or those before it was told to stop."""

    def work(state: JobState) -> list[PictureResult]:
        results: list[PictureResult] = []
        for name, load in batch.pictures:
            if state.stop_wished:
                break
            try:
                results.append(read_picture(name, load(), predictor))
            except InputError as error:
                results.append(PictureResult(name, error=error))
            state.report(len(results))
        return results

    return work


def _unpacker(archive: PictureArchive, index: int) -> Callable[[], bytes]:
    return lambda: archive.unpack(index)

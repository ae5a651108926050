"""Writing files: atomically, or not at all; and whether a file can be written.

A file is written under a temporary name in its folder and takes its own name when it is
complete. Whoever reads it sees the old content or the new, never a part, whatever else
writes to the same path at the same time and whenever the process is killed.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.errors import ConfigError

__all__ = ["PendingFile", "atomic_write", "cannot_write", "check_writable"]


class PendingFile:
    """A file that is going to be written, under the temporary name ``part``.

    The temporary name is unique, so that processes and threads may write the same path at
    once; the last to commit wins. Its suffix is that of the path, since some writers choose
    a format by it. One thread at a time uses an object.

    Raises:
        ConfigError: the path is a folder, or its folder is missing or cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}.part{path.suffix}")
        if path.is_dir():
            raise ConfigError(f"{path} is a folder: expected the name of a file to write")
        try:
            self.part.touch(exist_ok=False)
            self.part.unlink()  # nothing is left if the first byte is never written
        except OSError as error:
            raise cannot_write(path, error) from None

    def commit(self) -> None:
        """Give the file its name; one that had it before is replaced.

        Raises:
            ConfigError: the system refuses.
        """
        try:
            with self.part.open("rb+") as file:
                os.fsync(file.fileno())  # or a power cut could leave an empty file with the name
            os.replace(self.part, self.path)
        except OSError as error:
            raise cannot_write(self.path, error) from None

    def discard(self) -> None:
        """Remove what there is; harmless after :meth:`commit`."""
        self.part.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary file to write to, which takes the place of ``path`` at the end.

    If the block fails, ``path`` stays as it was. Missing folders are created.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None
    pending = PendingFile(path)
    try:
        yield pending.part
        pending.commit()
    except OSError as error:
        if error.filename not in (None, str(pending.part)):  # of another file, read in the block
            raise
        raise cannot_write(path, error) from None
    finally:
        pending.discard()


def check_writable(path: Path) -> None:
    """Find out whether a file can be written, and leave it as it is.

    Pipes and devices are taken on trust: opening one would be noticed at its other end.

    Raises:
        ConfigError: it cannot.
    """
    there = path.exists()
    if there and not path.is_file() and not path.is_dir():
        return
    try:
        with path.open("ab"):
            pass
        if not there:
            path.unlink()
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path | str, error: OSError) -> ConfigError:
    """Return the one error for a file or folder that cannot be written."""
    return ConfigError(f"cannot write {path}: {error.strerror or error}; choose another place")

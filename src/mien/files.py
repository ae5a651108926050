"""Writing files: atomically, or not at all; and whether a file can be written.

A file is written under a temporary name in its folder and takes its own name when it is
complete. Whoever reads it sees the old content or the new, never a part, whatever else
writes to the same path at the same time and whenever the process is killed.
"""

from __future__ import annotations

import os
import re
import socket
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.errors import ConfigError

__all__ = ["PendingFile", "atomic_write", "cannot_write", "check_writable"]


#: Folders may be shared with other machines, whose processes are not seen here.
_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"


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
        mark = f"{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.part = path.with_name(f".{path.stem}.{mark}.part{path.suffix}")
        if path.is_dir():
            raise ConfigError(f"{path} is a folder: expected the name of a file to write")
        _remove_abandoned(path)
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


def _remove_abandoned(path: Path) -> None:
    """Remove temporary files of the same name whose process was killed on this machine."""
    pattern = re.compile(
        rf"\.{re.escape(path.stem)}\.{_HOST}-(\d+)-[0-9a-f]{{8}}\.part{re.escape(path.suffix)}"
    )
    try:
        there = [(each, pattern.fullmatch(each.name)) for each in path.parent.iterdir()]
    except OSError:
        return
    for each, found in there:
        if found is not None and not _is_running(int(found[1])):
            each.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


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

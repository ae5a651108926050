"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
from pathlib import Path

from mien.errors import ConfigError, VideoError

__all__ = ["PendingFile"]


class PendingFile:
    """A file in the making, ``part``, beside the one it will become. Nothing is there yet.

    Raises:
        ConfigError: the folder is not there or cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
        if path.is_dir():
            raise ConfigError(f"{path} is a folder: expected the name of a file to write")
        try:
            self.part.touch()
            self.part.unlink()
        except OSError as error:
            raise ConfigError(
                f"cannot write {path}: {error.strerror}; choose another place"
            ) from None

    def commit(self) -> None:
        """Give the file its name; one that had it before is replaced.

        Raises:
            VideoError: the system refuses.
        """
        try:
            os.replace(self.part, self.path)
        except OSError as error:
            raise VideoError(f"cannot write {self.path}: {error.strerror}") from None

    def discard(self) -> None:
        """Remove what there is; harmless after :meth:`commit`."""
        self.part.unlink(missing_ok=True)

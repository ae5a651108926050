"""Files here and elsewhere: paths, and addresses such as ``s3://bucket/key``.

Paths go straight to the system; addresses go through fsspec, which knows S3, Google Cloud
Storage and many more, each by a package of its own.
"""

from __future__ import annotations

import glob
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

from mien.errors import ConfigError, InputError, MissingExtra
from mien.files import atomic_write

__all__ = [
    "fetch",
    "is_address",
    "joined",
    "list_below",
    "list_names",
    "matching",
    "open_binary",
    "write_whole",
]

_T = TypeVar("_T")

# Where a file appears when its upload is complete, and not before.
_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "memory"}

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.5  # doubled after each attempt


def is_address(place: str) -> bool:
    """Tell addresses from paths."""
    return "://" in place


def joined(folder: str, name: str) -> str:
    """Return the place of a name in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_address(folder) else os.path.join(folder, name)


def open_binary(place: str) -> IO[bytes]:
    """Open for reading; it can be sought in.

    Raises:
        InputError: there is no such file, or it is one of this machine and cannot be opened.
        ConfigError: elsewhere, it could not be opened after several attempts.
    """
    if is_address(place):
        files, path = _file_system(place)
        opened: IO[bytes] = _insist(place, lambda: files.open(path, "rb"))
        return opened
    try:
        return open(place, "rb")
    except OSError as error:
        raise InputError(f"{place} cannot be opened: {error.strerror or error}") from None


def fetch(address: str, most_bytes: int) -> bytes:
    """Return what is at an address, cut off after ``most_bytes``.

    Raises:
        InputError: there is nothing.
        ConfigError: it could not be read after several attempts. That is a matter of network
            or rights and not of the file, so that a run should stop and go on later.
    """
    files, path = _file_system(address)

    def act() -> bytes:
        try:
            return bytes(files.cat_file(path, end=most_bytes))
        except FileNotFoundError:
            raise
        except Exception:
            if files.size(path) == 0:  # S3 has no range of nothing
                return b""
            raise

    return _insist(address, act)


def write_whole(place: str, content: bytes) -> None:
    """Write a file atomically; one that was there is replaced.

    Raises:
        ConfigError: it cannot be written.
    """
    if is_address(place):
        files, path = _file_system(place)
        _insist(place, lambda: _put_whole(files, path, content))
        return
    with atomic_write(Path(place)) as temporary:
        temporary.write_bytes(content)


def _put_whole(files: Any, path: str, content: bytes) -> None:
    if set(files.protocol if isinstance(files.protocol, tuple) else [files.protocol]) & _STORES:
        files.pipe_file(path, content)
        return
    folder, name = path.rsplit("/", 1)
    beside = f"{folder}/.{name}.{uuid.uuid4().hex}"
    files.makedirs(folder, exist_ok=True)
    files.pipe_file(beside, content)
    files.mv(beside, path)


def list_names(folder: str) -> set[str]:
    """Return the names in a folder; none if it is not there.

    Raises:
        ConfigError: it cannot be listed.
    """
    if not is_address(folder):
        try:
            return set(os.listdir(folder))
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise ConfigError(f"cannot list {folder}: {error.strerror or error}") from None
    files, path = _file_system(folder)
    files.invalidate_cache()
    try:
        found: list[str] = _insist(folder, lambda: files.ls(path, detail=False))
    except InputError:
        return set()
    return {name.rstrip("/").rsplit("/", 1)[-1] for name in found}


def list_below(folder: str) -> list[str]:
    """Return the addresses of all files below a folder, sorted; names with a dot are left out.

    Raises:
        InputError: there are none.
    """
    files, path = _file_system(folder)
    found: list[str] = _insist(folder, lambda: files.find(path))
    below = [name for name in found if not _is_hidden(name[len(path) :])]
    if not below:
        raise InputError(f"{folder} holds no files; check the address")
    return sorted(files.unstrip_protocol(name) for name in below)


def matching(pattern: str) -> list[str]:
    """Return the files that a pattern with ``*``, ``?``, ``[..]`` or ``**`` stands for, sorted.

    Raises:
        InputError: there are none.
    """
    if is_address(pattern):
        files, path = _file_system(pattern)
        names: list[str] = _insist(pattern, lambda: files.glob(path))
        found = [files.unstrip_protocol(name) for name in names]
    else:
        found = [name for name in glob.glob(pattern, recursive=True) if os.path.isfile(name)]
    if not found:
        raise InputError(f"{pattern} stands for no file; check the pattern")
    return sorted(found)


def _is_hidden(name: str) -> bool:
    return any(step.startswith(".") for step in name.split("/"))


def _file_system(address: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError:
        raise MissingExtra("scale", "fsspec") from None
    try:
        files, path = fsspec.core.url_to_fs(address)
    except ImportError as error:  # fsspec says which package, for example s3fs
        raise ConfigError(
            f"{address}: {error}; for S3 and Google, pip install 'mien[cloud]'"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{address}: {error}") from None
    return files, path


def _insist(place: str, act: Callable[[], _T], attempts: int = _ATTEMPTS) -> _T:
    """Try again where networks fail; what is not there is not asked for twice."""
    try:
        return act()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(f"{place}: there is no such file; check the address") from error
    except Exception as error:  # the edge: each file system has errors of its own
        if attempts == 1:
            raise ConfigError(
                f"{place} cannot be reached: {type(error).__name__}: {error}; see to network "
                "and rights, then go on by the same command"
            ) from error
    time.sleep(_FIRST_PAUSE_S * 2 ** (_ATTEMPTS - attempts))
    return _insist(place, act, attempts - 1)

"""Pictures out of a ZIP archive that a stranger may have made.

Nothing is written to disk. What an archive claims is checked before anything is unpacked,
and what comes out is counted, since a claim may be a lie.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from mien.errors import InputError
from mien.images import IMAGE_ENDINGS

__all__ = ["ArchiveLimits", "PictureArchive"]

_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1
_UNIX = 3

# What the standard library raises on damaged archives and on methods it does not know.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    LookupError,
)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """The largest archive that is unpacked; all bounds are inclusive.

    Attributes:
        max_members: files and folders of any kind.
        max_pictures: files that end like a picture.
        max_member_bytes: of one picture, unpacked.
        max_total_bytes: of all pictures, unpacked.
        max_ratio: unpacked to packed bytes of all pictures; pictures are packed already, so
            that a great ratio is a trap, or empty pixels.
    """

    max_members: int = 10_000
    max_pictures: int = 500
    max_member_bytes: int = 64 * 1024 * 1024
    max_total_bytes: int = 1024 * 1024 * 1024
    max_ratio: float = 100.0


_DEFAULT_LIMITS = ArchiveLimits()


class PictureArchive:
    """The pictures of a ZIP archive, in its order.

    Args:
        file: the archive, open for reading; it stays the caller's.
        limits: what is refused.

    Attributes:
        names: of the pictures, with their folders.
        skipped: how many files do not end like a picture.

    Raises:
        InputError: not an archive, damaged, encrypted, beyond the limits, or with a path that
            leaves it.
    """

    def __init__(self, file: BinaryIO, limits: ArchiveLimits = _DEFAULT_LIMITS) -> None:
        self._limits = limits
        try:
            self._zip = zipfile.ZipFile(file)
        except _DAMAGE as error:
            raise InputError(
                f"this is no ZIP archive that can be read ({error}): pack the pictures again"
            ) from None
        members = self._zip.infolist()
        if len(members) > limits.max_members:
            raise InputError(
                f"the archive lists {len(members):,} files, at most {limits.max_members:,} are "
                "taken: split it"
            )
        for member in members:
            _check_path(member)
        files = [each for each in members if not each.is_dir() and not _is_litter(each.filename)]
        self._pictures = [each for each in files if _is_picture(each.filename)]
        self.names = [each.filename for each in self._pictures]
        self.skipped = len(files) - len(self._pictures)
        _check_claims(self._pictures, limits)
        self._left_bytes = limits.max_total_bytes

    def unpack(self, index: int) -> bytes:
        """Return the picture that ``names[index]`` names.

        Raises:
            InputError: it is damaged, or all that was unpacked is beyond the limits.
        """
        member = self._pictures[index]
        most = min(self._left_bytes, self._limits.max_member_bytes)
        data = bytearray()
        try:
            with self._zip.open(member) as file:
                while chunk := file.read(min(_CHUNK_BYTES, most + 1 - len(data))):
                    data += chunk
                    if len(data) > most:
                        raise InputError(f"{member.filename} unpacks to more than is allowed")
        except _DAMAGE as error:
            raise InputError(
                f"{member.filename} is damaged in the archive ({error}): pack it again"
            ) from None
        finally:
            self._left_bytes -= len(data)
        return bytes(data)


def _check_path(member: zipfile.ZipInfo) -> None:
    """Refuse paths that would leave a folder if they were unpacked, on any system."""
    # zipfile turns the system's separator into a slash, and cuts names at a NUL
    name = member.orig_filename.replace("\\", "/")
    parts = PurePosixPath(name).parts
    leaves = name.startswith("/") or ".." in parts or ":" in (parts[0] if parts else "")
    linked = member.create_system == _UNIX and stat.S_ISLNK(member.external_attr >> 16)
    if leaves or linked or "\0" in name:
        what = "is a link" if linked else "leads out of the archive"
        raise InputError(f"the archive is refused: {member.orig_filename[:80]!r} {what}")
    if member.flag_bits & _ENCRYPTED:
        raise InputError("the archive is encrypted: pack it again without a password")


def _check_claims(pictures: list[zipfile.ZipInfo], limits: ArchiveLimits) -> None:
    if len(pictures) > limits.max_pictures:
        raise InputError(
            f"the archive holds {len(pictures):,} pictures, at most {limits.max_pictures:,} are "
            "read at once: split it"
        )
    for member in pictures:
        if member.file_size > limits.max_member_bytes:
            raise InputError(
                f"{member.filename} claims {member.file_size:,} bytes, at most "
                f"{limits.max_member_bytes:,} are unpacked: leave it out"
            )
    total = sum(member.file_size for member in pictures)
    packed = sum(member.compress_size for member in pictures)
    if total > limits.max_total_bytes:
        raise InputError(
            f"the archive unpacks to {total:,} bytes, at most {limits.max_total_bytes:,} are "
            "taken: split it"
        )
    if total > limits.max_ratio * max(packed, 1):
        raise InputError(
            f"the archive unpacks to {total / max(packed, 1):,.0f} times its size, which pictures "
            "do not: it is refused"
        )


def _is_litter(name: str) -> bool:
    """Tell whether a packer put it there, not a person."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_ENDINGS

"""Bodies: read into memory, never onto disk, and given up as soon as they are too large.

Frameworks' own form parsing writes large uploads into temporary files and looks at sizes
when all has arrived; faces should do neither. Parsing is in slices, between which the event
loop serves others: a hostile form costs its sender time, and nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from mien.service.errors import ClientGone, ServiceError

__all__ = ["Hold", "UploadMemory", "check_encoding", "read_body", "read_files"]

#: What a form may have around its files: boundaries, headers and small fields.
FORM_OVERHEAD_BYTES = 64 * 1024
_PART_OVERHEAD_BYTES = 1024
_FIELD_BYTES = 16 * 1024
_PART_HEADER_BYTES = 8 * 1024

#: Parts of a form beyond its files: fields that clients add.
_MORE_PARTS = 10

#: What is parsed before others get their turn: about a millisecond of the worst form.
_SLICE_BYTES = 4 * 1024

_CLOSE = {"Connection": "close"}


class UploadMemory:
    """The bytes that all bodies being held may have together. Lives on one event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """Hold memory for one request; given back on leaving."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            self._used -= hold.bytes

    def _take(self, size: int) -> None:
        if self._used + size > self._limit:
            raise ServiceError(
                "overloaded",
                "too many uploads at once: try again later",
                headers={"Retry-After": "1", **_CLOSE},
            )
        self._used += size


@dataclass(slots=True)
class Hold:
    """The memory that one request holds."""

    memory: UploadMemory
    bytes: int = 0

    def add(self, size: int) -> None:
        """Hold more.

        Raises:
            ServiceError: ``overloaded``: all bodies together would be too large.
        """
        self.memory._take(size)
        self.bytes += size


async def read_body(request: Request, limit: int, hold: Hold) -> bytes:
    """Read a raw body of at most ``limit`` bytes.

    Raises:
        ServiceError: ``too_large``, seen in the length announced or in what arrives.
    """
    body = bytearray()
    async for chunk in _chunks(request, limit, hold):
        body += chunk
    return bytes(body)


async def read_files(
    request: Request, *, max_files: int, max_bytes: int, hold: Hold
) -> list[bytes]:
    """Read the files of a form, in their order; fields without a file name are passed over.

    Raises:
        ServiceError: ``too_large``: more files or bytes than allowed; ``bad_request``: not a
            well-formed form.
    """
    form = _Form(max_files)
    try:
        kind, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise ServiceError(
                "unsupported_media_type",
                "expected a form: multipart/form-data with a boundary",
                headers=_CLOSE,
            )
        parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
        limit = max_bytes + FORM_OVERHEAD_BYTES + _PART_OVERHEAD_BYTES * max_files
        async for chunk in _chunks(request, limit, hold):
            for start in range(0, len(chunk), _SLICE_BYTES):
                parser.write(chunk[start : start + _SLICE_BYTES])
                await asyncio.sleep(0)
        parser.finalize()
    except FormParserError as error:
        raise ServiceError("bad_request", f"not a form: {error}", headers=_CLOSE) from None
    if not form.complete:
        raise ServiceError("bad_request", "the form ends before its last boundary")
    return [bytes(part) for part in form.files]


def check_encoding(request: Request) -> None:
    """Refuse a compressed body: nobody may send 10 MiB that are 10 GiB.

    Raises:
        ServiceError: ``unsupported_media_type``.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ServiceError(
            "unsupported_media_type",
            "expected a body without Content-Encoding: send it uncompressed, image formats are "
            "compressed already",
            headers={**_CLOSE, "Accept-Encoding": "identity"},
        )


async def _chunks(request: Request, limit: int, hold: Hold) -> AsyncIterator[bytes]:
    check_encoding(request)
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit, f"{int(announced):,} announced")
    seen = 0
    try:
        async for chunk in request.stream():
            seen += len(chunk)
            if seen > limit:
                raise _too_large(limit, "more arrived")
            hold.add(len(chunk))
            yield chunk
    except ClientDisconnect:
        raise ClientGone from None


def _too_large(limit: int, received: str) -> ServiceError:
    return ServiceError(
        "too_large", f"the body may have {limit:,} bytes here, {received}", headers=_CLOSE
    )


@dataclass(slots=True)
class _Form:
    """Gathers what python-multipart finds."""

    max_files: int
    files: list[bytearray] = field(default_factory=list)
    complete: bool = False
    _name: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _is_file: bool = False
    _field_bytes: int = 0
    _parts: int = 0
    _header_bytes: int = 0

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._extend(self._name, data, start, end),
            "on_header_value": lambda data, start, end: self._extend(self._value, data, start, end),
            "on_header_end": self._header,
            "on_headers_finished": self._start_file,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._is_file = False
        self._parts += 1
        if self._parts > self.max_files + _MORE_PARTS:
            raise ServiceError(
                "too_large",
                f"a form may have {self.max_files + _MORE_PARTS} parts here, more were sent",
                headers=_CLOSE,
            )
        self._header_bytes = 0
        self._name.clear()
        self._value.clear()

    def _extend(self, to: bytearray, data: bytes, start: int, end: int) -> None:
        self._header_bytes += end - start
        if self._header_bytes > _PART_HEADER_BYTES:
            raise ServiceError("too_large", "the headers of a part are too large", headers=_CLOSE)
        to += data[start:end]

    def _header(self) -> None:
        if bytes(self._name).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._is_file = b"filename" in options
        self._name.clear()
        self._value.clear()

    def _start_file(self) -> None:
        if not self._is_file:
            return
        if len(self.files) == self.max_files:
            raise ServiceError(
                "too_large",
                f"at most {self.max_files} images are allowed at once, more were sent",
                headers=_CLOSE,
            )
        self.files.append(bytearray())

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.files[-1] += data[start:end]
            return
        self._field_bytes += end - start
        if self._field_bytes > _FIELD_BYTES:
            raise ServiceError("too_large", "the form's fields are too large", headers=_CLOSE)

    def _end(self) -> None:
        self.complete = True

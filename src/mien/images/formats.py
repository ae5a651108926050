"""Which formats are read, and what bytes look like: told by the content, never by the name."""

from __future__ import annotations

__all__ = ["FORMATS", "WEB_FORMATS", "describe", "sniff"]

#: Every format that is read.
FORMATS = ("JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF")

#: The formats to take from strangers: without TIFF's many codecs and without animation.
WEB_FORMATS = ("JPEG", "PNG", "WebP", "BMP")

# Pictures that people do send and that are not read; the brand stands at byte 4 of HEIC, AVIF.
_FOREIGN = (
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyp", "a HEIC picture or a video"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"<", "HTML, SVG or XML text"),
)


def sniff(data: bytes) -> str:
    """Return the name of one of :data:`FORMATS`, or an empty string."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith(b"BM"):
        return "BMP"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    return ""


def describe(data: bytes, name: str) -> str:
    """Say what bytes are, for an error; ``name`` is what :func:`sniff` found."""
    if name:
        return f"this is a {name}"
    for offset, mark, kind in _FOREIGN:
        if data[offset:].lstrip()[: len(mark)] == mark:
            return f"this looks like {kind}"
    return "this is not an image"

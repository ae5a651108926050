"""What the internet sends: bytes that try a limit. Each generator is bounded in size and time."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
import zlib
from collections.abc import Iterator

__all__ = [
    "brackets",
    "connect",
    "endless_chunks",
    "endless_headers",
    "flat_png",
    "listen_to",
    "one_long_header",
    "post",
    "smuggled",
    "tiny_parts",
]

MIB = 1024 * 1024


def connect(port: int, timeout_s: float = 10.0) -> socket.socket:
    """Open a connection on loopback."""
    return socket.create_connection(("127.0.0.1", port), timeout=timeout_s)


def listen_to(connection: socket.socket, most_s: float = 10.0) -> bytes:
    """Return what arrives until the other side closes."""
    connection.settimeout(most_s)
    received = b""
    with contextlib.suppress(OSError):
        while piece := connection.recv(65536):
            received += piece
    return received


def post(path: str, length: int, *headers: str) -> bytes:
    """Return the head of a POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def endless_headers(total: int) -> Iterator[bytes]:
    """Yield a head of very many headers that does not end."""
    yield b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
    piece = b"".join(b"X-%05d: %s\r\n" % (number, b"a" * 100) for number in range(600))
    for _ in range(total // len(piece)):
        yield piece


def one_long_header(total: int) -> Iterator[bytes]:
    """Yield a head whose only header does not end."""
    yield b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Long: "
    for _ in range(total // 65536):
        yield b"a" * 65536


def endless_chunks(total: int) -> Iterator[bytes]:
    """Yield a chunked body of single bytes with long extensions."""
    yield b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"1;" + b"e" * 1000 + b"\r\na\r\n"
    for _ in range(total // len(chunk) // 60):
        yield chunk * 60


def tiny_parts(total: int, boundary: str = "x") -> bytes:
    """Return a form of very many parts of one byte."""
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'.encode()
    return part * (total // len(part)) + f"--{boundary}--\r\n".encode()


def brackets(total: int) -> bytes:
    """Return a JSON document of very many empty lists where numbers should be."""
    inner = b"[]," * (total // 3)
    return (
        b'{"inputs":[{"name":"crops","datatype":"UINT8","shape":[1,48,48,1],"data":['
        + inner
        + b"[]]}]}"
    )


def flat_png(width: int, height: int) -> bytes:
    """Return a small PNG of one colour that unpacks into a large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    packer = zlib.compressobj(9)
    row = b"\0" + b"\x80" * (3 * width)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def smuggled() -> list[bytes]:
    """Return requests that two readers could understand differently: each holds a second one."""
    second = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    start, end = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n", b"\r\n\r\n"
    size = b"%d" % len(second)
    headers = [
        b"Content-Length: 0\r\nContent-Length: " + size,
        b"Content-Length: 0, " + size,
        b"Content-Length: +0",
        b"Content-Length: 0x0",
        b"Content-Length: -1",
        b"Content-Length : 0",
        b"Content-Length: 0\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 0",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding:\x0bchunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding\r\n : chunked",
        b"X: y\rContent-Length: 0",
        b"X: y\nContent-Length: 0",
        b"X: \0",
        b" X: folded",
    ]
    bodies = [b"0\r\n\r\n", b""]
    return [start + header + end + body + second for header in headers for body in bodies]


def send_all(connection: socket.socket, pieces: Iterator[bytes], most_s: float = 20.0) -> int:
    """Send until refused, or time is up; return how many bytes went out."""
    sent, end = 0, time.monotonic() + most_s
    with contextlib.suppress(OSError):
        for piece in pieces:
            if time.monotonic() > end:
                break
            connection.sendall(piece)
            sent += len(piece)
    return sent

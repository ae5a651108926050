"""Thousands of damaged, lying and foreign files: never a 5xx, and memory stays flat."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from mien.images import WEB_FORMATS

from .conftest import Running
from .test_rest import bomb

MUTANTS = 2100
ALLOWED = {200, 413, 415, 422}


def pictures() -> dict[str, bytes]:
    """Return one small picture of every format, and of every EXIF orientation."""
    rng = np.random.default_rng(1)
    pixels = np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((6, 6, 1))).astype(np.uint8)
    image = PillowImage.fromarray(pixels)
    made = {}
    for kind in (*WEB_FORMATS, "GIF", "TIFF"):
        buffer = io.BytesIO()
        image.save(buffer, kind)
        made[kind] = buffer.getvalue()
    for orientation in range(1, 9):
        exif = PillowImage.Exif()
        exif[0x0112] = orientation
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", exif=exif)
        made[f"EXIF {orientation}"] = buffer.getvalue()
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", progressive=True)
    made["progressive"] = buffer.getvalue()
    return made


def specials() -> dict[str, bytes]:
    """Return files made to hurt."""
    made = pictures()
    jpeg, png = made["JPEG"], made["PNG"]
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    bmp = made["BMP"]
    return {
        "nothing": b"",
        "one byte": b"\xff",
        "svg": svg,
        "html": b"<!doctype html><img src=x onerror=alert(1)>",
        "zip": b"PK\x03\x04" + bytes(50),
        "pdf": b"%PDF-1.7\n",
        "jpeg and html": jpeg + b"<html><script>alert(1)</script>",
        "gif and jpeg": b"GIF89a" + jpeg,
        "png and zip": png + b"PK\x03\x04" + bytes(100),
        "jpeg in png's name": b"\x89PNG\r\n\x1a\n" + jpeg,
        "bomb": bomb(30_000, 30_000),
        "long bomb": bomb(16_385, 2),
        "lying png": bomb(4000, 4000),
        "bmp of negative size": bmp[:18] + struct.pack("<ii", -(2**31), -(2**31)) + bmp[26:],
        "bmp of huge size": bmp[:18] + struct.pack("<ii", 2**31 - 1, 2**31 - 1) + bmp[26:],
        "zlib bomb as png text": png[:33]
        + b"\0\0\x27\x10zTXt"
        + b"a\0\0"
        + zlib.compress(bytes(9_000_000))[:9997]
        + bytes(4)
        + png[33:],
        "webp of lying length": b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(30),
        "nested": b"\xff\xd8\xff\xe1\xff\xff" * 1000,
    }


def mutants(count: int) -> Iterator[bytes]:
    """Damage pictures: cut, flip, overwrite, repeat, splice; the same ones every time."""
    rng = np.random.default_rng(2)
    seeds = list(pictures().values())
    for number in range(count):
        data = bytearray(seeds[number % len(seeds)])
        match number % 5:
            case 0:
                del data[int(rng.integers(0, len(data))) :]
            case 1:
                for at in rng.integers(0, len(data), int(rng.integers(1, 9))):
                    data[at] ^= 1 << int(rng.integers(0, 8))
            case 2:
                at, size = rng.integers(0, len(data)), int(rng.integers(1, 40))
                data[at : at + size] = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
            case 3:
                at = int(rng.integers(0, len(data)))
                data[at:at] = data[at : at + 64] * int(rng.integers(1, 8))
            case _:
                other = seeds[int(rng.integers(0, len(seeds)))]
                at = int(rng.integers(0, len(data)))
                data = data[:at] + other[at:]
        yield bytes(data)


def memory_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def test_mutants_are_read_or_refused(service: Running) -> None:
    counts: Counter[int] = Counter()
    corpus = list(mutants(MUTANTS))
    for data in corpus[:300]:
        counts[service.client.post("/predict", content=data).status_code] += 1
    before = memory_mib()
    for start in range(300, MUTANTS, 60):
        files = [("images", ("x", data)) for data in corpus[start : start + 60]]
        response = service.client.post("/predict_batch", files=files)
        assert response.status_code == 200
        for result in response.json()["results"]:
            counts[200 if "faces" in result else 422] += 1
    assert set(counts) <= ALLOWED
    assert counts.total() == MUTANTS
    assert counts[200] > 100, "the damage should leave some pictures readable"
    if Path("/proc/self/statm").exists():
        assert memory_mib() - before < 40


@pytest.mark.parametrize("name", [*pictures(), *specials()])
def test_every_special_file(service: Running, name: str) -> None:
    data = {**pictures(), **specials()}[name]
    response = service.client.post("/predict", content=data)
    assert response.status_code in ALLOWED, response.text
    if name in ("JPEG", "PNG", "WebP", "BMP", "progressive"):
        assert (response.json()["width"], response.json()["height"]) == (48, 36)
    if name.startswith("EXIF"):
        turned = int(name[-1]) > 4
        assert (response.json()["width"] == 36) is turned
    if name in ("GIF", "TIFF", "svg", "html", "zip", "pdf", "gif and jpeg"):
        assert response.status_code == 415


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.binary(max_size=300),
    kind=st.sampled_from(["image/png", "multipart/form-data; boundary=x", "text/plain", ""]),
    path=st.sampled_from(["/predict", "/predict_batch", "/v2/models/fake/infer"]),
)
def test_any_bytes_anywhere(service: Running, content: bytes, kind: str, path: str) -> None:
    headers = {"content-type": kind} if kind else {}
    assert service.client.post(path, content=content, headers=headers).status_code < 500


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from([b'name="image"; filename="a"', b'name="x"', b"", b"filename=", b'"']),
            st.binary(max_size=60),
        ),
        max_size=4,
    ),
    end=st.sampled_from([b"--x--\r\n", b"--x", b""]),
)
def test_any_form(service: Running, parts: list[tuple[bytes, bytes]], end: bytes) -> None:
    body = b"".join(
        b"--x\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    )
    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = service.client.post("/predict", content=body + end, headers=headers)
    assert response.status_code < 500, response.text


def test_many_hostile_clients_at_once_leave_it_well(service: Running, jpeg: bytes) -> None:
    corpus = list(specials().values())

    def attack() -> None:
        with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as client:
            for data in corpus:
                assert client.post("/predict", content=data).status_code in ALLOWED

    threads = [threading.Thread(target=attack) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert service.client.post("/predict", content=jpeg).status_code == 200

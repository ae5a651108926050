"""The parts that need no server: settings, rates, origins, batching, logs."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from starlette.datastructures import Headers

from mien.errors import ConfigError
from mien.hosts import is_loopback
from mien.service.access import Access, RateLimiter
from mien.service.batching import MicroBatcher
from mien.service.errors import ServiceError
from mien.service.logs import JsonLines
from mien.service.origins import origin_allowed
from mien.service.run import check_binding
from mien.service.settings import MIB, Settings, read_settings
from mien.service.socket import Frames
from mien.types import Crops, Logits


def test_defaults_are_those_of_the_documentation() -> None:
    settings = Settings()
    assert (settings.image_bytes, settings.batch_bytes) == (10 * MIB, 64 * MIB)
    assert (settings.image_pixels, settings.batch_pixels) == (50_000_000, 200_000_000)
    assert (settings.image_side_px, settings.batch_images) == (16_384, 100)
    assert (settings.timeout_s, settings.batch_timeout_s, settings.keep_alive_s) == (30, 120, 5)
    assert (settings.queue, settings.batch_crops, settings.batch_wait_ms) == (64, 16, 5)
    assert (settings.sockets, settings.socket_queue, settings.socket_idle_s) == (16, 2, 60)
    assert (settings.socket_bytes, settings.drain_s) == (2 * MIB, 30)
    assert settings.cors_origins == settings.api_keys == ()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_API_KEYS", "sesame, two,")
    monkeypatch.setenv("MIEN_QUEUE", "3")
    settings = read_settings(port=1234, host=None)
    assert (settings.api_keys, settings.queue, settings.port) == (("sesame", "two"), 3, 1234)
    assert "sesame" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QUEUE", ""),
        ("QUEUE", "-1"),
        ("PORT", "70000"),
        ("LOG_LEVEL", "loud"),
        ("TIMEOUT_S", "0"),
        ("TIMEOUT_S", "inf"),
        ("TIMEOUT_S", "nan"),
        ("RATE_PER_S", "inf"),
        ("TRUSTED_PROXIES", "nonsense"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("PIXELS_IN_FLIGHT", "5"),
        ("WORKERS", "2"),
    ],
)
def test_wrong_settings_are_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MIEN_{name}", value)
    with pytest.raises(ConfigError, match=f"MIEN_{name}"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("MIEN_API_KEY", "MIEN_API_KEYS"),
        ("MIEN_TIMEOUT", "MIEN_TIMEOUT_S"),
        ("MIEN_IMAGES_BYTES", "MIEN_IMAGE_BYTES"),
        ("MIEN_WORKERS", "MIEN_THREADS"),
        ("MIEN_WORKERS", "--workers"),
        ("MIEN_", "MIEN_"),
    ],
)
def test_unknown_variables_are_refused(
    name: str, near: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "2")
    with pytest.raises(ConfigError, match=name) as caught:
        read_settings()
    assert near in str(caught.value)


def test_variables_of_other_parts_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_NOTEBOOK_ROWS", "8")
    monkeypatch.setenv("MIENS", "8")
    assert read_settings().queue == 64


@pytest.mark.parametrize("content", ["", "\n\n", "# only a comment\n"])
def test_a_file_without_keys_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(content)
    with pytest.raises(ConfigError, match="has no key"):
        Settings(api_keys_file=path).key_digests()


def test_keys_come_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# ours\none\n\ntwo\n")
    settings = Settings(api_keys=("three",), api_keys_file=path)
    access = Access(settings)
    assert [access.knows(key) for key in ("", "one", "two", "three", "# ours")] == [
        False,
        True,
        True,
        True,
        False,
    ]
    with pytest.raises(ConfigError, match="MIEN_API_KEYS_FILE"):
        Access(Settings(api_keys_file=tmp_path / "none"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", False),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("example.org", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
    if expected:
        check_binding(Settings(host=host))
    else:
        with pytest.raises(ConfigError, match="--insecure"):
            check_binding(Settings(host=host))
        check_binding(Settings(host=host, insecure=True))
        check_binding(Settings(host=host, api_keys=("k",)))


@pytest.mark.parametrize(
    ("origin", "host", "expected"),
    [
        (None, "a", True),
        ("", "", False),
        ("null", "a", False),
        ("http://a", "a", True),
        ("https://a:8443", "a:8443", True),
        ("http://a.evil", "a", False),
        ("http://a@evil", "a", False),
        ("https://friend", "a", True),
    ],
)
def test_origins(origin: str | None, host: str, expected: bool) -> None:
    headers = Headers({"host": host, **({"origin": origin} if origin is not None else {})})
    assert origin_allowed(headers, ["https://friend"]) is expected


def test_rates() -> None:
    now = [0.0]
    limiter = RateLimiter(2, 3, max_callers=2, clock=lambda: now[0])
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert limiter.take("b") == 0
    now[0] = 0.5
    assert limiter.take("a") == 0
    limiter.take("b"), limiter.take("c")
    assert len(limiter._buckets) == 2
    assert [RateLimiter(0, 1).take("a") for _ in range(9)] == [0] * 9


def test_addresses_of_one_ipv6_network_are_one_caller() -> None:
    access = Access(Settings(rate_per_s=0.001, rate_burst=1))
    access.check(Headers({}), "2001:db8::1")
    with pytest.raises(ServiceError) as caught:
        access.check(Headers({}), "2001:db8::2")
    assert (caught.value.status, caught.value.headers["Retry-After"].isdigit()) == (429, True)
    access.check(Headers({}), "2001:db8:0:1::1")


def test_frames_keep_the_newest() -> None:
    async def run() -> list[int]:
        frames = Frames(1)
        assert [frames.put(b"x") for _ in range(3)] == [0, 1, 1]
        taken = [(await frames.take()).number]
        frames.put(b"y")
        return [*taken, (await frames.take()).number, frames.dropped]

    assert asyncio.run(run()) == [3, 4, 2]


def crops_of(*values: int) -> Crops:
    return np.stack([np.full((48, 48, 1), value, np.uint8) for value in values])


def batcher(sizes: list[int], **changes: Any) -> MicroBatcher:
    async def run(crops: Crops) -> dict[str, Logits]:
        await asyncio.sleep(0.01)
        if (crops == 99).any():
            raise ValueError("bad")
        return {"head": crops[:, 0, 0, :].astype(np.float32)}

    options: dict[str, Any] = {"max_crops": 4, "max_wait_s": 0.05, "on_batch": sizes.append}
    return MicroBatcher(run, **{**options, **changes})


def test_batches_gather_and_answers_go_to_their_callers() -> None:
    sizes: list[int] = []

    async def run() -> list[list[float]]:
        one = batcher(sizes)
        answers = await asyncio.gather(
            *(one.submit(crops_of(*values)) for values in ([1], [2, 3], [4, 5], [6]))
        )
        await one.close()
        return [answer["head"][:, 0].tolist() for answer in answers]

    assert asyncio.run(run()) == [[1], [2, 3], [4, 5], [6]]
    assert sizes == [3, 3]


def test_a_lone_caller_does_not_wait() -> None:
    async def run() -> float:
        one = batcher([], max_wait_s=5, alone=lambda: True)
        start = asyncio.get_running_loop().time()
        await one.submit(crops_of(1))
        await one.close()
        return asyncio.get_running_loop().time() - start

    assert asyncio.run(run()) < 2


def test_a_cancelled_caller_takes_its_crops_out() -> None:
    sizes: list[int] = []

    async def run() -> None:
        one = batcher(sizes)
        gone = asyncio.create_task(one.submit(crops_of(1)))
        await asyncio.sleep(0)
        stays = asyncio.create_task(one.submit(crops_of(2)))
        await asyncio.sleep(0)
        gone.cancel()
        assert (await stays)["head"][:, 0].tolist() == [2]
        await one.close()

    asyncio.run(run())
    assert sizes == [1]


def test_a_failed_batch_tells_its_callers_and_the_next_runs() -> None:
    async def run() -> list[Any]:
        one = batcher([])
        answers: list[Any] = await asyncio.gather(
            one.submit(crops_of(99)), one.submit(crops_of(1)), return_exceptions=True
        )
        answers.append((await one.submit(crops_of(7)))["head"][0, 0])
        await one.close()
        return answers

    first, second, third = asyncio.run(run())
    assert isinstance(first, ValueError)
    assert isinstance(second, ValueError)
    assert third == 7


def test_log_lines_are_json() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.Logger("x")
    logger.addHandler(handler)
    logger.info('a "quote"\nand %s', "more", extra={"request_id": "r", "secret": "s"})
    (line,) = stream.getvalue().splitlines()
    content = json.loads(line)
    assert (content["message"], content["request_id"]) == ('a "quote"\nand more', "r")
    assert "secret" not in content

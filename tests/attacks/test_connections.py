"""Connections that say nothing, stop in the middle, or do not read: each has its deadline."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import httpx
import numpy as np
import pytest
from tests.service.conftest import picture

from mien.images import encode

from .conftest import Target, process, target
from .generators import connect, listen_to, post


def seconds_until_closed(connection: socket.socket, most_s: float = 15.0) -> float:
    start = time.monotonic()
    listen_to(connection, most_s)
    return time.monotonic() - start


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "slow_head"),
        (b"GET /health/live HTT", "slow_head"),
        (b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: y\r\n", "slow_head"),
        (post("/predict", 99) + b"abc", "slow_body"),
        (post("/nothing", 99) + b"abc", "slow_body"),
    ],
)
def test_who_stops_in_the_middle_is_cut_off(sent: bytes, reason: str) -> None:
    with target(head_timeout_s=1, body_timeout_s=1, keep_alive_s=60) as service:
        with connect(service.port) as silent:
            silent.sendall(sent)
            assert 0.7 < seconds_until_closed(silent) < 4
        assert f'reason="{reason}"' in service.metrics()


def test_a_slow_client_that_goes_on_is_served() -> None:
    data = encode(picture(), "jpeg")
    with target(head_timeout_s=2, body_timeout_s=1) as service, connect(service.port) as slow:
        slow.sendall(post("/predict", len(data), "Connection: close"))
        for start in range(0, len(data), len(data) // 5 + 1):
            time.sleep(0.5)
            slow.sendall(data[start : start + len(data) // 5 + 1])
        assert listen_to(slow).startswith(b"HTTP/1.1 200")


def test_a_head_byte_by_byte_is_cut_off() -> None:
    with target(head_timeout_s=1.5) as service, connect(service.port) as slow:
        start = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 50:
                slow.sendall(bytes([byte]))
                time.sleep(0.05)
        assert 1 < time.monotonic() - start < 5


def test_silent_connections_do_not_stop_health_checks() -> None:
    with process(descriptors=256) as service:
        silent = []
        try:
            for _ in range(400):
                with contextlib.suppress(OSError):
                    silent.append(connect(service.port))
            assert service.health_s() < 3
            assert service.read().status_code == 200
            assert 'reason="evicted"' in service.metrics()
        finally:
            for each in silent:
                each.close()


def test_a_request_in_progress_is_never_evicted() -> None:
    with target(delay_s=1.5, connections=4) as service:
        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(service.read().status_code))
        asking.start()
        time.sleep(0.5)
        silent = [connect(service.port) for _ in range(12)]
        asking.join()
        for each in silent:
            each.close()
    assert answers == [200]


def test_connections_of_one_address_are_limited() -> None:
    with target(connections_per_address=3, trusted_proxies="10.0.0.1") as service:
        held = [connect(service.port) for _ in range(3)]
        time.sleep(0.2)
        with connect(service.port) as fourth:
            answer = listen_to(fourth)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"overloaded" in answer
        for each in held:
            each.close()
        time.sleep(0.3)
        assert service.health_s() < 2


def unread_answers(service: Target, count: int) -> list[socket.socket]:
    """Ask for large answers on connections that are never read."""
    noise = np.random.default_rng(1).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    data = encode(noise, "png")
    request = post("/predict?annotate=true", len(data)) + data
    held = []
    for _ in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", service.port))
        with contextlib.suppress(OSError):
            client.sendall(request * 8)
        held.append(client)
    return held


def test_an_answer_that_is_not_read_is_given_up() -> None:
    with target(unread_timeout_s=1.5) as service:
        held = unread_answers(service, 4)
        time.sleep(8)
        text = service.metrics()
        assert 'mien_connections_cut_total{reason="unread"}' in text
        assert "mien_connections 1.0" in text
        for each in held:
            each.close()


def test_all_unread_answers_together_are_limited() -> None:
    with target(unread_bytes=100_000) as service:
        held = unread_answers(service, 4)
        time.sleep(5)
        assert 'reason="unread_memory"' in service.metrics()
        for each in held:
            each.close()


def test_kept_connections_are_closed_when_idle() -> None:
    with target(keep_alive_s=1) as service, connect(service.port) as kept:
        kept.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert 0.5 < seconds_until_closed(kept) < 4


def test_an_ordinary_client_notices_nothing(service: Target) -> None:
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        for _ in range(20):
            assert client.get("/health/live").status_code == 200

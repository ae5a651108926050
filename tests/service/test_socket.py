"""Frames over a real WebSocket."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from mien.service.settings import MIB

from .conftest import Running, fake_predictor, running

HELLO = '{"type": "hello"}'


def receive(socket: ClientConnection) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(socket.recv(timeout=10))
    return content


def close_code(socket: ClientConnection) -> int:
    try:
        while True:
            socket.recv(timeout=10)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None, "closed without saying why"  # noqa: PT017
        return closed.rcvd.code


def test_a_conversation(service: Running, jpeg: bytes) -> None:
    with connect(service.socket_url) as socket:
        socket.send(HELLO)
        ready = receive(socket)
        assert ready["type"] == "ready"
        assert ready["labels"][0] == "angry"
        for number in (1, 2, 3):
            socket.send(jpeg)
            reading = receive(socket)
            assert (reading["type"], reading["frame"], reading["dropped"]) == ("reading", number, 0)
            assert reading["latency_ms"] > 0
            (face,) = reading["faces"]
            assert face["identity"] == 1, "the same face keeps its number"


def test_a_hello_is_not_needed_without_keys(service: Running, jpeg: bytes) -> None:
    with connect(service.socket_url) as socket:
        socket.send(jpeg)
        assert receive(socket)["frame"] == 1


@pytest.mark.parametrize("data", [b"", b"nonsense", b"GIF89a", b"\xff\xd8\xff\x00"])
def test_a_bad_frame_is_answered_and_the_socket_stays(
    service: Running, data: bytes, jpeg: bytes
) -> None:
    with connect(service.socket_url) as socket:
        socket.send(data)
        answer = receive(socket)
        assert (answer["type"], answer["frame"]) == ("error", 1)
        assert set(answer["error"]) == {"code", "message", "request_id"}
        socket.send(jpeg)
        assert receive(socket)["frame"] == 2


@pytest.mark.parametrize(
    "hello",
    [
        "",
        "[]",
        "{}",
        "nonsense",
        '{"type": "bye"}',
        '{"type": "hello", "more": 1}',
        '{"type": "hello", "key": 1}',
        '{"type": "hello", "smooth": "yes"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_hello_ends_it(service: Running, hello: str) -> None:
    with connect(service.socket_url) as socket:
        socket.send(hello)
        assert close_code(socket) == 1007


def test_a_second_hello_ends_it(service: Running) -> None:
    with connect(service.socket_url) as socket:
        socket.send(HELLO)
        receive(socket)
        socket.send(HELLO)
        assert close_code(socket) == 1007


@pytest.mark.parametrize("size", [2 * MIB + 1, 5 * MIB, 12 * MIB])
def test_a_frame_that_is_too_large_ends_it(service: Running, size: int) -> None:
    with connect(service.socket_url) as socket:
        socket.send(bytes(size))
        assert close_code(socket) == 1009


def test_the_newest_frame_wins(jpeg: bytes) -> None:
    with running(fake_predictor(0.3)) as service, connect(service.socket_url) as socket:
        for _ in range(10):
            socket.send(jpeg)
            time.sleep(0.01)
        first, last = receive(socket), receive(socket)
        assert (first["frame"], first["dropped"]) == (1, 8)
        assert (last["frame"], last["dropped"]) == (10, 8)
        assert 'mien_frames_total{outcome="dropped"} 8' in service.client.get("/metrics").text


def test_sockets_are_counted_and_limited(jpeg: bytes) -> None:
    with running(sockets=2) as service:
        with connect(service.socket_url) as one, connect(service.socket_url) as two:
            for socket in (one, two):
                socket.send(jpeg)
                receive(socket)
            with connect(service.socket_url) as three:
                three.send(HELLO)
                assert close_code(three) == 1013
            assert "mien_sockets 2" in service.client.get("/metrics").text
        time.sleep(0.3)
        with connect(service.socket_url) as four:
            four.send(jpeg)
            assert receive(four)["frame"] == 1


def test_an_idle_socket_is_closed() -> None:
    with running(socket_idle_s=0.3) as service, connect(service.socket_url) as socket:
        assert close_code(socket) == 1000


def test_who_is_silent_is_pinged() -> None:
    with running(socket_ping_s=0.2) as service, connect(service.socket_url) as socket:
        time.sleep(0.7)
        socket.send(HELLO)
        assert receive(socket)["type"] == "ready"


def test_other_pages_are_kept_out(service: Running, jpeg: bytes) -> None:
    with connect(service.socket_url, origin=Origin(service.url)) as socket:
        socket.send(jpeg)
        receive(socket)
    stranger = Origin("https://evil.example")
    with pytest.raises(InvalidStatus) as caught, connect(service.socket_url, origin=stranger):
        pass
    assert caught.value.response.status_code == 403
    with running(socket_origins=("https://friend.example",)) as open_service:
        friend = Origin("https://friend.example")
        with connect(open_service.socket_url, origin=friend) as socket:
            socket.send(HELLO)
            assert receive(socket)["type"] == "ready"


def test_keys_come_by_header_or_hello(jpeg: bytes) -> None:
    with running(api_keys=("k1",)) as service:
        for first in (HELLO, '{"type": "hello", "key": "wrong"}', jpeg):
            with connect(service.socket_url) as socket:
                socket.send(first)
                assert close_code(socket) == 1008
        with connect(service.socket_url) as socket:
            socket.send('{"type": "hello", "key": "k1"}')
            assert receive(socket)["type"] == "ready"
        with connect(service.socket_url, additional_headers={"x-api-key": "k1"}) as socket:
            socket.send(jpeg)
            assert receive(socket)["frame"] == 1


def test_a_failure_inside_closes_in_order(jpeg: bytes) -> None:
    predictor = fake_predictor()
    with running(predictor) as service, connect(service.socket_url) as socket:
        predictor.detector = lambda image: 1 / 0  # type: ignore[assignment, return-value]
        socket.send(jpeg)
        assert close_code(socket) == 1011

"""Heads without an end, URLs, framing, trailers, and requests with two meanings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from .conftest import Target, process
from .generators import (
    MIB,
    connect,
    endless_chunks,
    endless_headers,
    listen_to,
    one_long_header,
    send_all,
    smuggled,
)


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:80]
    return int(answer[9:12])


@pytest.mark.parametrize("head", [endless_headers, one_long_header])
def test_a_head_without_an_end_is_refused(head: Callable[[int], Iterator[bytes]]) -> None:
    with process() as service:
        before = service.peak_mib()
        with connect(service.port) as attacker:
            send_all(attacker, head(256 * MIB), most_s=3)
            answer = listen_to(attacker)
        assert status_of(answer) == 431
        error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
        assert error["code"] == "headers_too_large"
        assert set(error) == {"code", "message", "request_id"}
        assert b"connection: close" in answer.lower()
        assert service.peak_mib() - before < 30
        assert 'reason="headers_too_large"' in service.metrics()


@pytest.mark.parametrize(("size", "status"), [(0, 200), (60_000, 200), (66_000, 431)])
def test_the_limit_of_a_head(service: Target, size: int, status: int) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: %s\r\n\r\n"
    with connect(service.port) as client:
        client.sendall(head % (b"a" * size))
        assert status_of(listen_to(client)) == status


def test_a_head_after_a_large_body_is_not_mistaken_for_one(service: Target) -> None:
    body = b"\0" * 300_000
    request = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    last = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with connect(service.port) as client:
        client.sendall(request + body + request + body + last)
        answer = listen_to(client)
    assert answer.count(b"HTTP/1.1 404") == 2
    assert answer.count(b"HTTP/1.1 200") == 1


def test_more_than_a_hundred_headers_are_refused(service: Target) -> None:
    many = b"".join(b"X-%d: y\r\n" % number for number in range(101))
    with connect(service.port) as attacker:
        attacker.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n")
        assert status_of(listen_to(attacker)) == 431


def test_a_long_url_is_refused(service: Target) -> None:
    with connect(service.port) as attacker:
        attacker.sendall(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status_of(listen_to(attacker)) == 414


def test_framing_that_outgrows_its_content_is_refused(service: Target) -> None:
    with connect(service.port) as attacker:
        sent = send_all(attacker, endless_chunks(8 * MIB), most_s=5)
        answer = listen_to(attacker)
    assert sent == 0 or status_of(answer) == 400


def test_trailers_are_limited_and_are_no_headers(service: Target) -> None:
    head = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    with connect(service.port) as attacker:
        attacker.sendall(head)
        send_all(attacker, iter([b"X-T: " + b"a" * 1000 + b"\r\n"] * 500), most_s=5)
        assert b" 431 " in listen_to(attacker)
    with connect(service.port) as client:
        client.sendall(head + b"X-Request-ID: trailed\r\nConnection: close\r\n\r\n")
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"trailed" not in listen_to(client)


@pytest.mark.parametrize("request_bytes", smuggled(), ids=range(len(smuggled())))
def test_nothing_is_smuggled(service: Target, request_bytes: bytes) -> None:
    with connect(service.port) as attacker:
        attacker.sendall(request_bytes)
        attacker.shutdown(1)
        answer = listen_to(attacker)
    assert b"# HELP" not in answer or answer.count(b"HTTP/1.1 ") == 2
    first = answer[:12]
    if first != b"HTTP/1.1 400":
        # understood as the specification says: the body ends, and the second is a request
        assert b"HTTP/1.1 5" not in answer


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\r\n" * 50 + b"NOT HTTP\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_in_the_one_shape(service: Target, garbage: bytes) -> None:
    with connect(service.port) as attacker:
        attacker.sendall(garbage)
        answer = listen_to(attacker)
    assert status_of(answer) == 400
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "bad_request"

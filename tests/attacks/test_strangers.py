"""Pages and programs that should not be served: by Host, by origin, without a key."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.service.conftest import (
    Running,
    picture,
    running,
    service,
    write_random_model,
)
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from mien.images import encode

from .generators import connect as connect_raw
from .generators import listen_to

__all__ = ["service"]

HELLO = '{"type": "hello", "key": "k"}'


def port_of(server: Running) -> int:
    return int(server.url.rpartition(":")[2])


def close_code(socket: ClientConnection, most_s: float = 10.0) -> int:
    try:
        while True:
            socket.recv(timeout=most_s)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None, "closed without a code"  # noqa: PT017
        return closed.rcvd.code


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example"])
@pytest.mark.parametrize("path", ["/predict", "/model_info", "/", "/health/live"])
def test_a_rebound_name_is_not_answered_to(service: Running, host: str, path: str) -> None:
    answer = service.client.request(
        "POST" if path == "/predict" else "GET", path, headers={"host": host}
    )
    assert answer.status_code == 421
    assert answer.json()["error"]["code"] == "wrong_host"


def test_a_rebound_name_opens_no_socket(service: Running) -> None:
    headers = {"Host": "evil.example", "Origin": "http://evil.example"}
    with connect_raw(port_of(service)) as client:
        lines = ["GET /ws HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]
        client.sendall("\r\n".join(lines).encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 421")


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:1", "[::1]:8000", "10.1.2.3", "LOCALHOST."]
)
def test_names_of_this_machine_and_addresses_are(service: Running, host: str) -> None:
    assert service.client.get("/health/live", headers={"host": host}).status_code == 200


def test_hosts_can_be_named() -> None:
    with running(hosts=("mien.example", "*.faces.example")) as server:
        statuses = [
            server.client.get("/health/live", headers={"host": host}).status_code
            for host in ("mien.example", "a.faces.example:443", "faces.example", "evil.example")
        ]
    assert statuses == [200, 200, 421, 421]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /health/live HTTP/1.1\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nHost:\r\n", 421),
        (b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n", 200),
    ],
)
def test_one_host_and_no_more(service: Running, head: bytes, status: int) -> None:
    with connect_raw(port_of(service)) as client:
        client.sendall(head + b"Connection: close\r\n\r\n")
        assert listen_to(client).startswith(b"HTTP/1.1 %d" % status)


@pytest.mark.parametrize("path", ["/predict/", "/static", "/v2/", "/local/"])
def test_nothing_redirects_to_a_foreign_host(path: str) -> None:
    with running(host="127.0.0.1", hosts=("evil.example",)) as server:
        answer = server.client.get(path, headers={"host": "evil.example"})
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://friend.example", "sec-fetch-site": "cross-site"}, 200),
    ],
)
def test_other_sites_post_nothing(headers: dict[str, str], status: int) -> None:
    with running(cors_origins=("https://friend.example",)) as server:
        files = {"image": ("x", encode(picture(), "jpeg"))}
        answer = server.client.post("/predict", files=files, headers=headers)
        own = {"origin": server.url}
        assert server.client.post("/predict", files=files, headers=own).status_code == 200
    assert answer.status_code == status


def test_keyless_sockets_take_no_places() -> None:
    with running(api_keys=("k",), sockets=2, socket_hello_s=1.5) as server, ExitStack() as open_now:
        silent = [open_now.enter_context(connect(server.socket_url)) for _ in range(6)]
        with connect(server.socket_url) as talk:
            talk.send(HELLO)
            assert json.loads(talk.recv(timeout=10))["type"] == "ready"
        start = time.monotonic()
        assert {close_code(each) for each in silent} == {1000}
        assert time.monotonic() - start < 6


def test_places_of_one_address_are_limited() -> None:
    with running(sockets_per_address=2) as server, ExitStack() as open_now:
        one, two, three = (open_now.enter_context(connect(server.socket_url)) for _ in range(3))
        for each in (one, two):
            each.send('{"type": "hello"}')
            each.recv(timeout=10)
        three.send('{"type": "hello"}')
        assert close_code(three) == 1013


def test_addresses_of_one_ipv6_network_share_places() -> None:
    """A proxy says where each comes from."""
    jpeg = encode(picture(), "jpeg")
    with running(sockets_per_address=1) as server:

        def open_from(address: str) -> ClientConnection:
            return connect(server.socket_url, additional_headers={"X-Forwarded-For": address})

        with open_from("2001:db8::1") as one:
            one.send(jpeg)
            one.recv(timeout=10)
            with open_from("2001:db8::2") as neighbour:
                neighbour.send(jpeg)
                assert close_code(neighbour) == 1013
            with open_from("2001:db8:0:1::1") as other:
                other.send(jpeg)
                assert json.loads(other.recv(timeout=10))["frame"] == 1


def test_a_private_model_is_behind_the_keys(tmp_path: Path) -> None:
    model = write_random_model(tmp_path)
    with running(api_keys=("k",), model=model) as server:
        assert server.client.get("/local/model.onnx").status_code == 401
        answer = server.client.get("/local/model.onnx", headers={"x-api-key": "k"})
        assert answer.content == model.read_bytes()
        for name in ("detector", "aligner"):
            assert server.client.get(f"/local/{name}.onnx").status_code == 200


def test_the_local_page_can_be_off() -> None:
    with running(local_page=False) as server:
        files = ("model.onnx", "detector.onnx", "aligner.onnx", "settings.json")
        for path in ("/local", *(f"/local/{name}" for name in files)):
            assert server.client.get(path).status_code == 404


def test_other_pages_still_open_no_socket(service: Running) -> None:
    stranger = {"Origin": "https://evil.example"}
    with (
        pytest.raises(InvalidStatus) as caught,
        connect(service.socket_url, additional_headers=stranger),
    ):
        pass
    assert caught.value.response.status_code == 403
    assert httpx.get(service.url + "/health/live", trust_env=False).status_code == 200

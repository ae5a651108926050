"""Several processes behind one port, Unix sockets, proxies, and signals in a hurry."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.support.ports import free_port
from websockets.sync.client import connect

from .conftest import ROOT, Running, running, wait_until_ready
from .test_stopping import SERVE_FAKE, process

READY_S = 60.0


def children(parent: int) -> list[int]:
    """Return the processes that a process has started and that serve."""
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [
        int(each) for each in listed if "spawn_main" in Path(f"/proc/{each}/cmdline").read_text()
    ]


def gone(process_id: int, most_s: float = 15.0) -> bool:
    end = time.monotonic() + most_s
    while time.monotonic() < end:
        status = Path(f"/proc/{process_id}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return True
        time.sleep(0.1)
    return False


@contextmanager
def two_processes() -> Iterator[tuple[subprocess.Popen[str], str]]:
    with process(str(SERVE_FAKE), "0", MIEN_PROCESSES="2") as (service, url):
        with httpx.Client(base_url=url, trust_env=False) as client:
            wait_until_ready(client, READY_S)
            end = time.monotonic() + READY_S
            while len(children(service.pid)) < 2 and time.monotonic() < end:
                time.sleep(0.1)
        yield service, url


def test_processes_share_a_port_and_their_metrics(jpeg: bytes) -> None:
    with two_processes() as (service, url):
        time.sleep(2)
        for _ in range(20):
            assert httpx.post(url + "/predict", content=jpeg, trust_env=False).status_code == 200
        for _ in range(4):
            text = httpx.get(url + "/metrics", trust_env=False).text
            (line,) = re.findall(r'mien_requests_total\{.*route="/predict".*\} (\S+)', text)
            assert float(line) == 20
        first, second = children(service.pid)
        os.kill(first, signal.SIGKILL)
        time.sleep(0.5)
        for _ in range(5):
            assert httpx.post(url + "/predict", content=jpeg, trust_env=False).status_code == 200
        end = time.monotonic() + READY_S
        while len(children(service.pid)) < 2 and time.monotonic() < end:
            time.sleep(0.1)
        crew = children(service.pid)
        assert len(crew) == 2
        assert second in crew
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=60) == 0
        assert all(gone(each) for each in crew)


def test_a_killed_parent_takes_its_processes_along() -> None:
    with two_processes() as (service, _):
        crew = children(service.pid)
        service.kill()
        assert all(gone(each) for each in crew)


def test_a_unix_socket(tmp_path: Path, jpeg: bytes) -> None:
    path = tmp_path / "mien.sock"
    for _ in range(2):  # the second finds what the first, killed, has left
        with process(str(SERVE_FAKE), "0", MIEN_UNIX_SOCKET=str(path)):
            wait_for(path)
            with httpx.Client(
                transport=httpx.HTTPTransport(uds=str(path)), base_url="http://mien"
            ) as client:
                wait_until_ready(client, READY_S)
                answer = client.post("/predict", content=jpeg)
                assert answer.status_code == 200


def wait_for(path: Path) -> None:
    """Return when somebody listens there."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("nobody listens there")


NGINX = shutil.which("nginx")


def nginx_snippet() -> str:
    text = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"```nginx\n(.*?)```", text, re.S)
    return str(found)


@pytest.fixture
def behind_nginx(tmp_path: Path) -> Iterator[tuple[Running, int]]:
    """The documented snippet, with this test's ports and a certificate of its own."""
    port = free_port()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=mien.example", "-addext", "subjectAltName=DNS:mien.example", "-keyout",
         str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
        check=True,
        capture_output=True,
    )  # fmt: skip
    with running(hosts=("mien.example",), rate_per_s=0.001, rate_burst=3) as server:
        snippet = (
            nginx_snippet()
            .replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
            .replace("/etc/ssl/mien/", f"{tmp_path}/")
            .replace("http://127.0.0.1:8000", server.url)
        )
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; pid {tmp_path}/nginx.pid; error_log stderr; worker_processes 1;\n"
            "events {}\n"
            f"http {{ access_log off; client_body_temp_path {tmp_path}/body;\n"
            f"proxy_temp_path {tmp_path}/proxy; fastcgi_temp_path {tmp_path}/f;\n"
            f"uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n{snippet}\n}}\n"
        )
        assert NGINX is not None
        proxy = subprocess.Popen([NGINX, "-c", str(tmp_path / "nginx.conf")])
        time.sleep(1)
        try:
            yield server, port
        finally:
            proxy.terminate()
            proxy.wait()


@pytest.mark.skipif(NGINX is None, reason="needs nginx: apt install nginx")
def test_behind_nginx_with_tls(
    behind_nginx: tuple[Running, int], jpeg: bytes, tmp_path: Path
) -> None:
    _, port = behind_nginx
    trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    headers = {"host": "mien.example"}
    extensions = {"sni_hostname": "mien.example"}
    url = f"https://127.0.0.1:{port}"
    with httpx.Client(verify=trusted, trust_env=False, headers=headers, timeout=20) as client:

        def read(**more: str) -> httpx.Response:
            return client.post(url + "/predict", content=jpeg, headers=more, extensions=extensions)

        assert read(origin="https://mien.example").status_code == 200
        assert read(origin="https://evil.example").status_code == 403
        large = client.post(url + "/predict", content=bytes(20 * 2**20), extensions=extensions)
        assert large.status_code == 413
        statuses = {
            read(**{"x-forwarded-for": f"203.0.113.{last}"}).status_code for last in range(4)
        }
        assert 429 in statuses, "a client chose its own address"
    with connect(
        f"wss://mien.example:{port}/ws",
        sock=socket.create_connection(("127.0.0.1", port)),
        ssl=trusted,
    ) as talk:
        talk.send(jpeg)
        assert '"frame":1' in str(talk.recv(timeout=10)).replace(" ", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once_and_quietly(jpeg: bytes, number: int) -> None:
    with process(str(SERVE_FAKE), "8") as (service, url):
        with httpx.Client(base_url=url, trust_env=False) as client:
            wait_until_ready(client, READY_S)
        statuses: list[int] = []

        def ask() -> None:
            answer = httpx.post(url + "/predict", content=jpeg, trust_env=False, timeout=30)
            statuses.append(answer.status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(1)
        service.send_signal(number)
        time.sleep(1.5)
        start = time.monotonic()
        service.send_signal(number)
        assert service.wait(timeout=20) == 128 + number
        assert time.monotonic() - start < 5
        asking.join()
        assert service.stderr is not None
        told = service.stderr.read()
    assert statuses == [503]
    assert "Traceback" not in told
    assert "stopped at once" in told


def test_work_that_is_cut_off_after_the_drain_is_told_so(jpeg: bytes) -> None:
    with process(str(SERVE_FAKE), "6", MIEN_DRAIN_S="1") as (service, url):
        with httpx.Client(base_url=url, trust_env=False) as client:
            wait_until_ready(client, READY_S)
        statuses: list[int] = []

        def ask() -> None:
            answer = httpx.post(url + "/predict", content=jpeg, trust_env=False, timeout=30)
            statuses.append(answer.status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(1)
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=30) == 0
        asking.join()
        assert service.stderr is not None
        assert "Traceback" not in service.stderr.read()
    assert statuses == [503]


def test_a_signal_while_loading_is_told() -> None:
    with process(str(SERVE_FAKE), "0", "30") as (service, url):
        host, port = url.removeprefix("http://").split(":")
        end = time.monotonic() + READY_S
        while time.monotonic() < end:  # bound, so that loading has begun
            with socket.socket() as probe:
                try:
                    probe.bind((host, int(port)))
                except OSError:
                    break
            time.sleep(0.1)
        time.sleep(0.5)
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=20) == 0
        assert service.stderr is not None
        assert "while the model was being loaded" in service.stderr.read()


def test_a_hangup_is_refused(jpeg: bytes) -> None:
    with process(str(SERVE_FAKE), "0") as (service, url):
        with httpx.Client(base_url=url, trust_env=False) as client:
            wait_until_ready(client, READY_S)
            service.send_signal(signal.SIGHUP)
            assert client.post("/predict", content=jpeg).status_code == 200
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=20) == 0
        assert service.stderr is not None
        assert "SIGHUP is ignored" in service.stderr.read()


def test_the_old_name_of_threads_stops_the_start() -> None:
    with process("-m", "mien", "serve", MIEN_WORKERS="2") as (service, _):
        assert service.wait(timeout=60) == 2
        assert service.stderr is not None
        told = service.stderr.read()
    assert "MIEN_THREADS" in told
    assert "--workers" in told
    assert sys.platform != "linux" or "Traceback" not in told

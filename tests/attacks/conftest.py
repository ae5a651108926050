"""A service, attacked from outside: by its port, with sockets and clients of its own.

It is the server as installed, on a thread of the test's process, which starts in milliseconds;
or in a process of its own where memory or descriptors are measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.service.conftest import fake_predictor, picture, running, wait_until_ready
from tests.support.ports import free_port

from mien.images import encode

ROOT = Path(__file__).resolve().parents[2]
SERVE_FAKE = ROOT / "tests" / "service" / "serve_fake.py"


@dataclass
class Target:
    """A service that runs."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def peak_mib(self) -> float:
        """Return the most memory that the process has held."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (line,) = [each for each in status.splitlines() if each.startswith("VmHWM")]
        return int(line.split()[1]) / 1024

    def health_s(self) -> float:
        """Return how long a health check takes, on a connection of its own."""
        start = time.perf_counter()
        answer = httpx.get(self.url + "/health/live", timeout=20, trust_env=False)
        assert answer.status_code == 200
        return time.perf_counter() - start

    def metrics(self) -> str:
        return httpx.get(self.url + "/metrics", trust_env=False, timeout=20).text

    def read(self) -> httpx.Response:
        data = encode(picture(), "jpeg")
        return httpx.post(self.url + "/predict", content=data, timeout=20, trust_env=False)


@contextmanager
def target(*, delay_s: float = 0.0, **settings: Any) -> Iterator[Target]:
    """Serve on a thread, with a fake, slow detector."""
    with running(fake_predictor(delay_s), **settings) as server:
        yield Target(int(server.url.rpartition(":")[2]), os.getpid())


@contextmanager
def process(
    *, delay_s: float = 0.0, descriptors: int | None = None, **settings: object
) -> Iterator[Target]:
    """Serve as a process of its own; settings are variables without their prefix."""
    port = free_port()
    variables = {f"MIEN_{name.upper()}": str(value) for name, value in settings.items()}
    defaults = {"MIEN_PORT": str(port), "MIEN_RATE_PER_S": "0", "MIEN_LOG_LEVEL": "warning"}
    command = [sys.executable, str(SERVE_FAKE), str(delay_s)]
    if descriptors is not None:
        limited = f'ulimit -n {descriptors}; exec "$@"'
        command = ["bash", "-c", limited, "bash", *command]
    served = subprocess.Popen(
        command,
        env={**os.environ, **defaults, **variables},
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            wait_until_ready(client, 60)
        yield Target(port, served.pid)
    finally:
        served.kill()
        served.wait()


@pytest.fixture(scope="module")
def service() -> Iterator[Target]:
    with process() as served:
        yield served


@contextmanager
def slowest_health_check(served: Target) -> Iterator[list[float]]:
    """Ask for health all the time; the list has the seconds that each answer took."""
    seconds: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            seconds.append(served.health_s())
            time.sleep(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seconds
    finally:
        done.set()
        thread.join()

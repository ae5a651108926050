"""Mixes of clients that get in each other's way, against one service or two versions of it.

    python benchmarks/mixes.py --seconds 10 --against ../old/src

Starts a service for each mix, on loopback, and measures what one kind of client does to another:
what matters is the ratio of two figures of the same service in the same minute, so that a busy
machine spoils little. With ``--against``, the sources of another version, both are measured in
turn. Every mix is bounded in clients and time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.attacks.generators import flat_png  # noqa: E402

from mien.images import encode  # noqa: E402

PHOTO = (ROOT / "examples" / "astronaut.jpg").read_bytes()


class Service:
    """A service that runs, and how to ask it."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid

    async def ask(self, data: bytes, path: str = "/predict", kind: str = "image/jpeg") -> int:
        """Send a body on a connection of its own; return the status, 0 if there was none."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
            writer.write(f"{head}Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode())
            writer.write(data)
            line = await asyncio.wait_for(reader.readline(), 120)
            await reader.read()
            writer.close()
            return int(line.split()[1])
        except (OSError, IndexError, ValueError, asyncio.TimeoutError):
            return 0

    async def timed(self, data: bytes) -> float:
        """Return the seconds that one image takes."""
        start = time.perf_counter()
        await self.ask(data)
        return time.perf_counter() - start

    def peak_mib(self) -> float:
        """Return the most memory held so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@asynccontextmanager
async def started(source: Path, descriptors: int | None = None) -> AsyncIterator[Service]:
    """Start a service from the sources given, without a rate limit."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"PORT": str(port), "RATE_PER_S": "0", "LOG_LEVEL": "error"}
    environment = {
        **os.environ,
        "PYTHONPATH": str(source),
        **{f"MIEN_{k}": v for k, v in settings.items()},
    }
    command = [sys.executable, "-m", "mien", "serve"]
    if descriptors:
        command = ["bash", "-c", f'ulimit -n {descriptors}; exec "$@"', "bash", *command]
    process = subprocess.Popen(command, env=environment, cwd="/", stderr=subprocess.DEVNULL)
    service = Service(port, process.pid)
    try:
        for _ in range(1200):
            if await service.ask(PHOTO) == 200:
                break
            await asyncio.sleep(0.1)
        yield service
    finally:
        process.kill()
        process.wait()


async def repeated(work: Callable[[], Awaitable[object]], seconds: float) -> list[float]:
    """Do something again and again; return how long each took."""
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.perf_counter()
        await work()
        times.append(time.perf_counter() - start)
    return times


@asynccontextmanager
async def meanwhile(*works: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Do things again and again while the block runs."""

    async def endless(work: Callable[[], Awaitable[object]]) -> None:
        while True:
            await work()

    tasks = [asyncio.create_task(endless(work)) for work in works]
    await asyncio.sleep(1)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def form(count: int) -> bytes:
    """Return a form of many images."""
    part = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
    return (part + PHOTO + b"\r\n") * count + b"--x--\r\n"


async def batches(source: Path, seconds: float) -> str:
    """Singles beside eight batches of 40."""
    body, kind = form(40), "multipart/form-data; boundary=x"
    async with started(source) as service:
        alone = median(await repeated(lambda: service.ask(PHOTO), seconds))
        async with meanwhile(*[lambda: service.ask(body, "/predict_batch", kind)] * 8):
            beside = median(await repeated(lambda: service.ask(PHOTO), seconds))
    told = f"p50 {alone * 1000:.0f} ms alone, {beside * 1000:.0f} ms beside"
    return f"{told}: {beside / alone:.1f} times"


async def overload(source: Path, seconds: float) -> str:
    """Answers with 200 a second: 256 clients against 64."""
    rates = []
    async with started(source) as service:
        for clients in (64, 256):
            good = 0

            async def ask() -> None:
                nonlocal good
                status = await service.ask(PHOTO)
                good += status == 200
                if status != 200:
                    await asyncio.sleep(1)

            await asyncio.gather(*(repeated(ask, seconds) for _ in range(clients)))
            rates.append(good / seconds)
    return f"{rates[0]:.0f}/s with 64, {rates[1]:.0f}/s with 256: {rates[1] / rates[0]:.0%}"


async def large(source: Path, seconds: float) -> str:
    """Small images beside four PNGs of 50 megapixels, and the memory."""
    png = flat_png(7070, 7070)
    async with started(source) as service:
        alone = median(await repeated(lambda: service.ask(PHOTO), seconds))
        before = service.peak_mib()
        async with meanwhile(*[lambda: service.ask(png)] * 4):
            beside = median(await repeated(lambda: service.ask(PHOTO), seconds * 2))
        grown = service.peak_mib() - before
    return f"p50 {beside / alone:.1f} times that of small ones alone; {grown:.0f} MiB more"


async def sockets(source: Path, seconds: float) -> str:
    """REST beside four sockets that send frames as fast as they are answered."""
    from websockets.asyncio.client import connect

    async with started(source) as service:
        alone = median(await repeated(lambda: service.ask(PHOTO), seconds))
        latencies: list[float] = []

        async def talk() -> None:
            async with connect(f"ws://127.0.0.1:{service.port}/ws") as open_socket:
                while True:
                    await open_socket.send(PHOTO)
                    latencies.append(json.loads(await open_socket.recv())["latency_ms"])

        async with meanwhile(*[talk] * 4):
            beside = median(await repeated(lambda: service.ask(PHOTO), seconds))
    return f"REST p50 {beside / alone:.1f} times alone; frames p50 {median(latencies):.0f} ms"


async def unread(source: Path, seconds: float) -> str:
    """Twelve clients that ask for large answers and read none, after 45 s."""
    head = "POST /predict?annotate=true HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
    noise = np.random.default_rng(1).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    png = encode(noise, "png")
    request = f"{head}{len(png)}\r\n\r\n".encode() + png
    async with started(source) as service:
        before, held = service.peak_mib(), []
        for _ in range(12):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", service.port))
            held.append(client)
        await asyncio.gather(*(asyncio.to_thread(_send, each, request * 6) for each in held))
        await asyncio.sleep(45)
        still = sum(
            each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\1" for each in held
        )
        for client in held:
            client.close()
        grown = service.peak_mib() - before
    return f"{still} of 12 connected; {grown:.0f} MiB more"


def _send(client: socket.socket, data: bytes) -> None:
    client.settimeout(20)
    with contextlib.suppress(OSError):
        client.sendall(data)


async def silent(source: Path, seconds: float) -> str:
    """A health check beside 400 silent connections under 256 descriptors."""
    async with started(source, descriptors=256) as service:
        held = []
        for _ in range(400):
            with contextlib.suppress(OSError):
                held.append(socket.create_connection(("127.0.0.1", service.port), 1))
        await asyncio.sleep(1)
        start = time.perf_counter()
        url = f"http://127.0.0.1:{service.port}/health/live"
        try:
            await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read())
            told = f"answered in {(time.perf_counter() - start) * 1000:.0f} ms"
        except OSError as error:
            told = f"not answered: {type(error).__name__}"
        for client in held:
            client.close()
    return told


async def refused(source: Path, seconds: float) -> str:
    """Ten bodies that are too large, from a client that sends first and reads later."""
    read = 0
    async with started(source) as service:
        url = f"http://127.0.0.1:{service.port}/predict"
        for _ in range(10):
            asked = urllib.request.Request(url, bytes(20 * 2**20), {"Content-Type": "image/png"})
            try:
                await asyncio.to_thread(urllib.request.urlopen, asked, timeout=30)
            except urllib.error.HTTPError as error:
                read += error.code == 413
            except OSError:
                pass
    return f"{read} of 10 saw the 413"


MIXES = (batches, overload, large, sockets, unread, silent, refused)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--against", type=Path, help="the sources of another version")
    parser.add_argument("--only", nargs="*", default=[mix.__name__ for mix in MIXES])
    options = parser.parse_args()
    sources = [*([options.against.resolve()] if options.against else []), ROOT / "src"]
    print("| mix |" + " before |" * (len(sources) - 1) + " now |")
    print("|---|" + "---|" * len(sources), flush=True)
    for mix in (each for each in MIXES if each.__name__ in options.only):
        found = [asyncio.run(mix(source, options.seconds)) for source in sources]
        print(f"| {(mix.__doc__ or '').strip().rstrip('.')} | {' | '.join(found)} |", flush=True)


if __name__ == "__main__":
    main()

"""Drive the real service on loopback as hard and as rudely as the internet would.

    python benchmarks/load.py --minutes 10

Starts ``mien serve`` as a process of its own and measures, on this machine:

* a bare ``Predictor`` loop over the same picture, in faces a second: what could be had;
* the service with 64 clients at once: throughput, p50, p99, and the part of the bare loop's;
* the service's memory over the run, with slow readers, half-closed uploads and killed clients
  all the time;
* SIGTERM in the middle: every request whose connection was accepted has to be answered.

Prints a table in Markdown. Run it while nothing else uses the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

PICTURE = Path(__file__).resolve().parent.parent / "examples" / "astronaut.jpg"


@dataclass
class Tally:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    faces: int = 0
    rude: int = 0


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--model", type=Path, help="weights; mien's own if left out")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    parser.add_argument("--polite", action="store_true", help="without rude clients")
    options = parser.parse_args()
    data = options.picture.read_bytes()
    bare = measure_bare(data, options.model, seconds=min(30.0, options.minutes * 60))
    port = free_port()
    service = start(port, options.model)
    try:
        tally, memory, answered = asyncio.run(drive(service, port, data, options))
        status = service.wait(timeout=60)
    finally:
        service.kill()
    report(options, bare, tally, memory, answered, status)


def measure_bare(data: bytes, model: Path | None, seconds: float) -> float:
    """Return the faces a second of a plain loop in this process, with every default."""
    from mien import Predictor
    from mien.runtime import open_session

    predictor = Predictor(session=open_session(model))
    predictor.predict(data)
    faces, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        faces += len(predictor.predict(data))
    return faces / (time.perf_counter() - start)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(port: int, model: Path | None) -> subprocess.Popen[bytes]:
    """Start the service without a rate limit: all clients share one address here."""
    environment = {**os.environ, "MIEN_RATE_PER_S": "0", "MIEN_LOG_LEVEL": "error"}
    command = [sys.executable, "-m", "mien", "serve", "--port", str(port)]
    if model:
        command += ["--model", str(model)]
    return subprocess.Popen(command, env=environment)


async def drive(
    service: subprocess.Popen[bytes], port: int, data: bytes, options: argparse.Namespace
) -> tuple[Tally, list[float], Counter[str]]:
    """Load the service for the time given, then stop it in the middle of a last volley."""
    url = f"http://127.0.0.1:{port}"
    await wait_until_ready(url)
    tally, memory = Tally(), []
    end = time.monotonic() + options.minutes * 60
    rude = [] if options.polite else [slow_reader, half_closed, killed, stranger] * 2
    await asyncio.gather(
        *(client(url, data, end, tally) for _ in range(options.clients)),
        *(misbehave(behave, port, data, end, tally) for behave in rude),
        watch(service.pid, end, memory),
    )
    return tally, memory, await stop_in_the_middle(service, port, data, options.clients)


async def wait_until_ready(url: str) -> None:
    """Return when the warm-up reading has run."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as asking:
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                if (await asking.get("/health/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    sys.exit("the service did not become ready")


async def client(url: str, data: bytes, end: float, tally: Tally) -> None:
    """Ask again and again; when told to come back later, do."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as asking:
        while time.monotonic() < end:
            begun = time.perf_counter()
            try:
                response = await asking.post("/predict", content=data)
            except httpx.TransportError as error:
                tally.statuses[type(error).__name__] += 1
                continue
            tally.statuses[str(response.status_code)] += 1
            if response.status_code == 200:
                tally.seconds.append(time.perf_counter() - begun)
                tally.faces += len(response.json()["faces"])
            else:
                await asyncio.sleep(float(response.headers.get("retry-after", 1)))


async def misbehave(
    behave: Callable[[int, bytes], Awaitable[None]],
    port: int,
    data: bytes,
    end: float,
    tally: Tally,
) -> None:
    """Be rude again and again, with pauses."""
    while time.monotonic() < end:
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await behave(port, data)
        tally.rude += 1
        await asyncio.sleep(random.uniform(0.2, 1))


def request(data: bytes, length: int | None = None) -> bytes:
    """Return a request with a picture; its announced length may lie."""
    size = len(data) if length is None else length
    return (
        f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode()
        + data
    )


async def slow_reader(port: int, data: bytes) -> None:
    """Take the answer a byte at a time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=64)
    writer.write(request(data))
    for _ in range(50):
        await asyncio.wait_for(reader.read(1), 5)
        await asyncio.sleep(0.05)
    writer.close()


async def half_closed(port: int, data: bytes) -> None:
    """Announce a picture, send half, close that side."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(data[: len(data) // 2], len(data)))
    writer.write_eof()
    await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def killed(port: int, data: bytes) -> None:
    """Ask, and be gone at once."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(data))
    await writer.drain()
    writer.transport.abort()


async def stranger(port: int, data: bytes) -> None:
    """Send damaged pictures."""
    damaged = bytearray(data)
    damaged[random.randrange(len(data)) :] = random.randbytes(100)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(bytes(damaged)))
    await asyncio.wait_for(reader.read(100), 30)
    writer.close()


async def watch(pid: int, end: float, memory: list[float]) -> None:
    """Note the service's resident memory in MiB, twice a second."""
    while time.monotonic() < end:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
        await asyncio.sleep(0.5)


async def stop_in_the_middle(
    service: subprocess.Popen[bytes], port: int, data: bytes, clients: int
) -> Counter[str]:
    """Open connections, ask on all of them, send SIGTERM, and see who is answered."""
    answers: Counter[str] = Counter()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
        except OSError:
            line = b""
        answers[line.split(b" ")[1].decode() if line else "not answered"] += 1
        writer.close()

    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(clients)]
    for _, writer in connections:
        writer.write(request(data))
        await writer.drain()
    await asyncio.sleep(0.2)
    service.send_signal(signal.SIGTERM)
    await asyncio.gather(*(ask(*each) for each in connections))
    return answers


def report(
    options: argparse.Namespace,
    bare: float,
    tally: Tally,
    memory: list[float],
    answered: Counter[str],
    status: int,
) -> None:
    """Print the table."""
    seconds = sorted(tally.seconds)
    served = tally.faces / (options.minutes * 60)
    # the first tenth fills pools and caches; growth is from there to the last tenth
    tenth = max(1, len(memory) // 10)
    early = max(memory[tenth : 2 * tenth] or memory, default=float("nan"))
    late = max(memory[-tenth:], default=float("nan"))
    rows = [
        ("machine", f"{platform.machine()}, {os.cpu_count()} cores"),
        ("time, clients", f"{options.minutes:g} min, {options.clients}"),
        ("bare loop", f"{bare:.1f} faces/s"),
        ("service", f"{served:.1f} faces/s, {served / bare:.0%} of the bare loop"),
        (
            "latency p50, p99",
            f"{at(seconds, 0.5) * 1000:.0f} ms, {at(seconds, 0.99) * 1000:.0f} ms",
        ),
        ("answers", ", ".join(f"{key}: {count}" for key, count in sorted(tally.statuses.items()))),
        ("rude clients", f"{tally.rude} visits"),
        ("memory", f"{early:.0f} MiB early, {late:.0f} MiB late, {late / early - 1:+.1%}"),
        ("SIGTERM in the middle", ", ".join(f"{k}: {v}" for k, v in sorted(answered.items()))),
        ("exit status", str(status)),
    ]
    print("| what | measured |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")


def at(values: list[float], part: float) -> float:
    """Return the quantile of sorted values."""
    return values[min(len(values) - 1, int(part * len(values)))] if values else float("nan")


if __name__ == "__main__":
    main()

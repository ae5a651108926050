"""Places, turns and the budget of pixels, without a server."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from mien.service.admission import (
    Abandoned,
    PixelBudget,
    Places,
    SocketPlaces,
    Turns,
    as_batch,
    checkpoint,
)
from mien.service.errors import ServiceError


def test_places_run_out_and_come_back() -> None:
    async def run() -> list[int]:
        seen: list[int] = []
        places = Places(1, seen.append)
        with places.hold() as place:
            place.arrived()
            with pytest.raises(ServiceError, match="try again later"), places.hold():
                pass
        with places.hold():
            pass
        return seen

    assert asyncio.run(run()) == [1, 0, 1, 0]


def test_socket_places_are_counted_by_address() -> None:
    places = SocketPlaces(3, 2)
    assert [bool(places.take(each)) for each in ("a", "a", "a", "b", "c")] == [
        False,
        False,
        True,
        False,
        True,
    ]
    places.give("a")
    assert not places.take("c")
    assert len(places) == 3


def test_singles_come_before_batches_and_batches_are_not_starved() -> None:
    async def run() -> list[str]:
        turns, order = Turns(1), []
        gate = threading.Event()

        async def batch(name: str) -> None:
            with as_batch():
                await asyncio.gather(*(turns.run(lambda: order.append(name)) for _ in range(2)))

        works = [asyncio.create_task(turns.run(gate.wait))]
        await asyncio.sleep(0)
        works += [asyncio.create_task(batch(name)) for name in ("b", "c")]
        await asyncio.sleep(0.05)
        works += [asyncio.create_task(turns.run(lambda: order.append("s"))) for _ in range(6)]
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.gather(*works)
        await turns.close()
        return order

    order = "".join(asyncio.run(run()))
    assert order.startswith("ss")
    assert order.index("b") <= 4, "batches get every fourth turn"
    assert order.replace("s", "") == "bcbc", "and take turns"


def test_cancelled_work_ends_at_its_checkpoint_and_gives_its_thread_back() -> None:
    ended: list[type[BaseException]] = []

    def work() -> None:
        time.sleep(0.2)
        try:
            checkpoint()
        except Abandoned as error:
            ended.append(type(error))
            raise

    async def run() -> int:
        turns = Turns(1)
        task = asyncio.create_task(turns.run(work))
        await asyncio.sleep(0.05)
        task.cancel()
        answer = await turns.run(lambda: 7)
        await turns.close()
        return answer

    assert asyncio.run(run()) == 7
    assert ended == [Abandoned]


def test_small_images_pass_a_large_one_that_waits() -> None:
    async def run() -> list[str]:
        budget, order = PixelBudget(100), []

        async def read(name: str, pixels: int, seconds: float) -> None:
            async with budget.hold(pixels):
                order.append(name)
                await asyncio.sleep(seconds)

        first = asyncio.create_task(read("large", 80, 0.2))
        await asyncio.sleep(0)
        await asyncio.gather(
            first, read("next", 80, 0), read("small", 10, 0), read("more than all", 500, 0)
        )
        async with budget.hold(100):  # all has been given back
            pass
        return order

    assert asyncio.run(run()) == ["large", "small", "next", "more than all"]


def test_room_is_held_as_long_as_a_thread_uses_it() -> None:
    async def run() -> float:
        budget, turns = PixelBudget(10), Turns(1)

        async def read() -> None:
            async with budget.hold(10):
                await turns.run(lambda: time.sleep(0.3))

        start = time.monotonic()
        task = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        task.cancel()
        async with budget.hold(10):
            waited = time.monotonic() - start
        await turns.close()
        return waited

    assert asyncio.run(run()) > 0.25

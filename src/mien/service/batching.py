"""Crops of several requests through the network at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from mien.types import Crops, Logits

__all__ = ["Answers", "MicroBatcher"]

#: By head, float32 (N, C): what the network gives for N crops.
Answers: TypeAlias = Mapping[str, Logits]


@dataclass(eq=False, slots=True)
class _Job:
    crops: Crops
    answer: asyncio.Future[Answers] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class MicroBatcher:
    """Collects crops until there are enough, or the first has waited long enough.

    Lives on one event loop; only ``run`` leaves it. A caller that goes away (is cancelled)
    takes its crops with it, if they have not been sent through the network yet.

    Args:
        run: sends crops through the network, off the event loop.
        max_crops: a batch this large leaves at once; one caller's crops stay together.
        max_wait_s: the longest that a crop waits for company.
        alone: whether no other crops are on their way, so that waiting is pointless.
        on_batch: told the size of every batch.
    """

    def __init__(
        self,
        run: Callable[[Crops], Awaitable[Answers]],
        *,
        max_crops: int,
        max_wait_s: float,
        alone: Callable[[], bool] = lambda: False,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._run, self._max_crops, self._max_wait_s = run, max_crops, max_wait_s
        self._alone, self._on_batch = alone, on_batch
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, crops: Crops) -> Answers:
        """Return the logits of the crops, in their order.

        Raises:
            whatever ``run`` raises for the batch that the crops were in.
        """
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="micro-batcher")
        job = _Job(crops)
        self._jobs.append(job)
        self._arrived.set()
        return await job.answer

    async def close(self) -> None:
        """Stop; callers that still wait are cancelled."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for job in self._jobs:
            job.answer.cancel()

    async def _work(self) -> None:
        while True:
            await self._company()
            batch = self._take()
            if batch:
                await self._answer(batch)

    async def _company(self) -> None:
        """Return when there is a first job and it is time to go."""
        while not self._jobs:
            self._arrived.clear()
            await self._arrived.wait()
        loop = asyncio.get_running_loop()
        end = loop.time() + self._max_wait_s
        while not self._alone() and sum(len(job.crops) for job in self._jobs) < self._max_crops:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), end - loop.time())
            except asyncio.TimeoutError:
                return

    def _take(self) -> list[_Job]:
        batch: list[_Job] = []
        size = 0
        while self._jobs and (not batch or size + len(self._jobs[0].crops) <= self._max_crops):
            job = self._jobs.popleft()
            if not job.answer.done():
                batch.append(job)
                size += len(job.crops)
        return batch

    async def _answer(self, batch: list[_Job]) -> None:
        crops = np.concatenate([job.crops for job in batch]) if len(batch) > 1 else batch[0].crops
        self._on_batch(len(crops))
        try:
            logits = await self._run(crops)
            start = 0
            for job in batch:
                rows = slice(start, start + len(job.crops))
                if not job.answer.done():
                    job.answer.set_result({head: each[rows] for head, each in logits.items()})
                start = rows.stop
        except Exception as error:  # an edge: each caller gets it, the worker lives on
            for job in batch:
                if not job.answer.done():
                    job.answer.set_exception(error)

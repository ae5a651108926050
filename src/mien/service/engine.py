"""From the bytes of an image to readings, for many callers at once.

    bytes > open, detect, crop (a pool of threads) > crops of all callers (micro-batcher)
          > classify (a thread for the network) > interpret

The stages are those of :class:`mien.predictor.Predictor`. The event loop only waits: whatever
takes CPU time runs on a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from mien.errors import ImageError
from mien.faces import FaceCrops
from mien.images import ImageLimits, Picture, probe
from mien.predictor import Predictor
from mien.service.admission import PixelBudget, Places, Turns, checkpoint
from mien.service.batching import MicroBatcher
from mien.service.metrics import Metrics
from mien.service.settings import Settings
from mien.types import Crops, Logits, Reading

__all__ = ["Engine", "Outcome"]

_T = TypeVar("_T")


@dataclass(slots=True)
class Outcome:
    """The readings of one image, with what later steps need of it.

    Attributes:
        picture: the pixels as they were decoded, and the full size that boxes refer to.
        crops: what the network saw.
        readings: most confident detection first.
        timings_ms: by stage; ``classify`` includes waiting for company in a batch.
    """

    picture: Picture
    crops: FaceCrops
    readings: tuple[Reading, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)


class Engine:
    """A predictor behind a pool, a queue and a micro-batcher. Lives on one event loop."""

    def __init__(self, predictor: Predictor, settings: Settings, metrics: Metrics) -> None:
        self.predictor = predictor
        self.card = predictor.card
        self._settings, self._metrics = settings, metrics
        self.places = Places(settings.threads + settings.queue, metrics.queue_depth.set)
        self._turns = Turns(settings.threads)
        self._pixels = PixelBudget(settings.pixel_budget)
        self._headers = ThreadPoolExecutor(1, thread_name_prefix="headers")
        self._network = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._preparing = 0
        self._batcher = MicroBatcher(
            self._run_network,
            max_crops=settings.batch_crops,
            max_wait_s=settings.batch_wait_ms / 1000,
            alone=lambda: self._preparing == 0,
            on_batch=metrics.batch_crops.observe,
        )

    @asynccontextmanager
    async def room_for(self, data: bytes) -> AsyncIterator[None]:
        """Hold room for an image, as large as its header says, while anything of it is decoded."""
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self._headers, _pixels_of, data)
        async with self._pixels.hold(pixels):
            yield

    async def read(self, data: bytes, limits: ImageLimits) -> Outcome:
        """Read one encoded image.

        Cancelling drops whatever has not been started.

        Raises:
            ImageError: it cannot be read.
        """
        start = time.perf_counter()
        self._preparing += 1
        try:
            outcome = await self.on_thread(lambda: self._prepare(data, limits))
        finally:
            self._preparing -= 1
        ready = time.perf_counter()
        logits = await self.classify(outcome.crops.pixels)
        outcome.readings = self.predictor.interpret(logits, outcome.crops)
        outcome.timings_ms["classify"] = _since(ready)
        outcome.timings_ms["total"] = _since(start)
        self._observe(outcome)
        return outcome

    async def classify(self, crops: Crops) -> Mapping[str, Logits]:
        """Send crops through the network, together with those of other callers.

        Returns:
            As :meth:`mien.predictor.Predictor.classify`.
        """
        step = self._settings.batch_crops
        parts = [
            await self._batcher.submit(crops[start : start + step])
            for start in range(0, max(len(crops), 1), step)
        ]
        return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}

    async def on_thread(self, work: Callable[[], _T]) -> _T:
        """Run CPU work on a thread in its turn; see :class:`Turns` for cancelling."""
        return await self._turns.run(work)

    async def warm_up(self) -> None:
        """Read an empty picture and a few empty crops, so that no caller pays for it."""
        height, width = self.card.framing.size_hw
        image = np.full((480, 640, 3), 127, np.uint8)
        await self.on_thread(lambda: self.predictor.detect(self.predictor.open(image)))
        for count in (1, self._settings.batch_crops):
            await self._run_network(np.zeros((count, height, width, 1), np.uint8))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time of a stage."""
        start = time.perf_counter()
        yield
        self._metrics.stage_seconds.labels(stage).observe(time.perf_counter() - start)

    async def close(self) -> None:
        """Stop; what is running on a thread is waited for, what waits is dropped."""
        await self._batcher.close()
        await self._turns.close()
        for pool in (self._headers, self._network):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    def _prepare(self, data: bytes, limits: ImageLimits) -> Outcome:
        start = time.perf_counter()
        picture = self.predictor.open(data, limits)
        decoded = time.perf_counter()
        checkpoint()
        faces = self.predictor.detect(picture)
        checkpoint()
        crops = self.predictor.crop(picture, faces)
        timings = {"decode": (decoded - start) * 1000, "detect": _since(decoded)}
        return Outcome(picture, crops, timings_ms=timings)

    async def _run_network(self, crops: Crops) -> Mapping[str, Logits]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._network, self.predictor.classify, crops)

    def _observe(self, outcome: Outcome) -> None:
        for stage in ("decode", "detect", "classify"):
            self._metrics.stage_seconds.labels(stage).observe(outcome.timings_ms[stage] / 1000)
        self._metrics.faces.inc(len(outcome.readings))


def _pixels_of(data: bytes) -> int:
    try:
        height, width = probe(data)
    except ImageError:
        return 0
    return height * width


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000

"""From the bytes of a picture to readings, for many callers at once.

    bytes > decode, detect, crop (a pool of threads) > crops of all callers (micro-batcher)
          > network (its own thread) > readings

The event loop only waits: whatever takes CPU time runs on a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from mien.confidence import softmax
from mien.errors import ImageError
from mien.images import ImageLimits, decode, probe
from mien.predictor import Predictor, readings_from
from mien.service.admission import PixelBudget, Places, Turns, checkpoint
from mien.service.batching import MicroBatcher
from mien.service.metrics import Metrics
from mien.service.settings import Settings
from mien.types import Crops, Face, Image, Logits, Reading

__all__ = ["Engine", "Outcome"]

_T = TypeVar("_T")


@dataclass(slots=True)
class Outcome:
    """What came of one picture.

    Attributes:
        size_hw: of the upright picture, in pixels.
        readings: surest face first.
        timings_ms: by stage; ``classify`` includes waiting for company in a batch.
        image: the pixels, kept only if they were asked for.
    """

    size_hw: tuple[int, int]
    readings: tuple[Reading, ...]
    timings_ms: dict[str, float]
    image: Image | None = None


@dataclass(slots=True)
class _Prepared:
    image: Image
    faces: tuple[Face, ...]
    crops: Crops
    timings_ms: dict[str, float] = field(default_factory=dict)


class Engine:
    """A predictor behind a pool, a queue and a micro-batcher. Lives on one event loop."""

    def __init__(self, predictor: Predictor, settings: Settings, metrics: Metrics) -> None:
        self.predictor = predictor
        self.card = predictor.session.card
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

    async def read(self, data: bytes, limits: ImageLimits, *, keep_image: bool = False) -> Outcome:
        """Read one encoded picture.

        Cancelling gives up whatever has not been started.

        Raises:
            ImageError: it cannot be read.
        """
        start = time.perf_counter()
        self._preparing += 1
        try:
            prepared = await self.on_thread(lambda: self._prepare(data, limits))
        finally:
            self._preparing -= 1
        ready = time.perf_counter()
        logits = await self.classify(prepared.crops)
        readings = self._readings(logits, prepared.faces)
        timings = prepared.timings_ms
        timings["classify"] = _since(ready)
        timings["total"] = _since(start)
        self._observe(timings, len(readings))
        return Outcome(
            (prepared.image.shape[0], prepared.image.shape[1]),
            readings,
            timings,
            prepared.image if keep_image else None,
        )

    async def classify(self, crops: Crops) -> Logits:
        """Send crops through the network, in company if there is any."""
        if len(crops) == 0:
            return np.empty((0, len(self.card.labels)), np.float32)
        step = self._settings.batch_crops
        parts = [
            await self._batcher.submit(crops[start : start + step])
            for start in range(0, len(crops), step)
        ]
        return np.concatenate(parts)

    async def on_thread(self, work: Callable[[], _T]) -> _T:
        """Run CPU work on a thread in its turn; see :class:`Turns` for cancelling."""
        return await self._turns.run(work)

    async def warm_up(self) -> None:
        """Read an empty picture and a few empty crops, so that no caller pays for it."""
        height, width = self.card.input_hw
        image = np.full((480, 640, 3), 127, np.uint8)
        await self.on_thread(lambda: self.predictor.detector(image))
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

    def _prepare(self, data: bytes, limits: ImageLimits) -> _Prepared:
        start = time.perf_counter()
        image = decode(data, limits)
        decoded = time.perf_counter()
        checkpoint()
        faces = self.predictor.detector(image)
        checkpoint()
        crops = self.predictor.crop(image, faces)
        timings = {"decode": (decoded - start) * 1000, "detect": _since(decoded)}
        return _Prepared(image, faces, crops, timings)

    async def _run_network(self, crops: Crops) -> Logits:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._network, self.predictor.session, crops)

    def _readings(self, logits: Logits, faces: tuple[Face, ...]) -> tuple[Reading, ...]:
        probabilities = softmax(logits, self.card.confidence.temperature)
        return readings_from(probabilities, faces, self.predictor.session)

    def _observe(self, timings_ms: dict[str, float], faces: int) -> None:
        for stage in ("decode", "detect", "classify"):
            self._metrics.stage_seconds.labels(stage).observe(timings_ms[stage] / 1000)
        self._metrics.faces.inc(faces)


def _pixels_of(data: bytes) -> int:
    try:
        height, width = probe(data)
    except ImageError:
        return 0
    return height * width


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000

"""The way of a frame: find faces, read them, follow them, and give it to every output."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mien.errors import ConfigError, VideoError
from mien.images import Picture
from mien.predictor import Predictor
from mien.types import Face, Image, Reading
from mien.video.source import Frame, Source
from mien.video.tracking import Tracker, TrackingRules

__all__ = ["FollowOptions", "FrameReadings", "Outcome", "Output", "follow", "run"]

_T = TypeVar("_T")

# Unless told otherwise a detector looks 15 times a second: of videos at 25 to 30 frames/s, at
# every second frame. Between, faces are moved on as they moved, and read all the same.
_SEARCH_EVERY_S = 1 / 15
_TOLERANCE_S = 0.002

_FRAMES_BEHIND = 3


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """How the faces of a video are followed.

    Attributes:
        every: the detector looks at every ``every``-th frame; ``None`` is 15 times a second
            or at every frame, whichever is rarer.
        smooth_s: see :class:`mien.video.tracking.TrackingRules`.

    Raises:
        ConfigError: ``every`` is below 1.
    """

    every: int | None = None
    smooth_s: float = TrackingRules().smooth_s

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise ConfigError(f"every must be at least 1 frame, not {self.every}")


@dataclass(frozen=True, slots=True)
class FrameReadings:
    """A frame and what its faces were read as, with identities and smoothed.

    Attributes:
        index: from 0, of the frames that were read.
        time_s: in the source.
        image: RGB uint8 (H, W, 3), without drawings.
        readings: in no particular order.
        timings_ms: of ``decode`` (with waiting for a camera), ``detect`` and ``read``.
    """

    index: int
    time_s: float
    image: Image
    readings: tuple[Reading, ...]
    timings_ms: dict[str, float]


class Output(Protocol):
    """Takes frames in order, and keeps all of them or nothing.

    Everything is written beside its final name and gets it by :meth:`commit`.
    """

    def write(self, frame: FrameReadings) -> None:
        """Give one frame."""
        ...

    def commit(self) -> None:
        """Finish: what was given so far is whole."""
        ...

    def discard(self) -> None:
        """Leave nothing behind; harmless after :meth:`commit`."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a video.

    Attributes:
        frames: how many were read.
        duration_s: how much of the source they span.
        complete: it was read to its end, or the end asked for; else it was stopped.
        damaged: packets that could not be decoded and are left out.
    """

    frames: int
    duration_s: float
    complete: bool
    damaged: int = 0


def follow(
    frames: Iterator[Frame], predictor: Predictor, options: FollowOptions | None = None
) -> Iterator[FrameReadings]:
    """Read the faces of frames and follow them; one frame is held at a time.

    Raises:
        VideoError: the source breaks off.
        MissingExtra: a package for following is not installed.
    """
    options = options or FollowOptions()
    confidence = predictor.calibration
    tracker = Tracker(TrackingRules(confidence, smooth_s=options.smooth_s))
    searched_s = float("-inf")
    while True:
        frame, decode_ms = _timed(lambda: next(frames, None))
        if frame is None:
            return
        picture, time_s = predictor.open(frame.image), frame.time_s
        if options.every is not None:
            searched = frame.index % options.every == 0
        else:
            searched = time_s - searched_s >= _SEARCH_EVERY_S - _TOLERANCE_S
        if searched:
            searched_s = time_s
            faces, detect_ms = _timed(lambda: predictor.detect(picture))  # noqa: B023
        else:
            faces, detect_ms = tracker.expected(time_s), 0.0
        found, read_ms = _timed(lambda: _read(predictor, picture, faces))  # noqa: B023
        readings = tracker.follow(found, time_s, searched=searched)
        timings_ms = {"decode": decode_ms, "detect": detect_ms, "read": read_ms}
        yield FrameReadings(frame.index, time_s, frame.image, readings, timings_ms)


def _read(predictor: Predictor, picture: Picture, faces: Sequence[Face]) -> tuple[Reading, ...]:
    crops = predictor.crop(picture, faces)
    return predictor.interpret(predictor.classify(crops), crops)


def run(
    source: Source,
    predictor: Predictor,
    outputs: Sequence[Output],
    options: FollowOptions | None = None,
    *,
    on_frame: Callable[[FrameReadings], None] = lambda frame: None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Read a source into outputs and close it; on any error no output is left behind.

    Frames are written by a thread of their own, a few frames behind: of two cores, one can
    look for faces while the other draws and encodes.

    Args:
        source: it is used up and closed.
        predictor: finds and reads faces.
        outputs: get every frame, in this order, always from one other thread.
        options: how faces are followed.
        on_frame: is called after each frame in the caller's thread, for progress.
        stop: is asked after each frame; if it says so, what there is so far is finished and
            the outcome is not ``complete``.

    Raises:
        VideoError: the source breaks off, or an output cannot be written.
    """
    frames, first_s, last_s, complete = 0, 0.0, 0.0, True
    try:
        with _Behind(outputs) as behind:
            for frame in follow(source.frames(), predictor, options):
                first_s = frame.time_s if frames == 0 else first_s
                last_s = frame.time_s
                frames += 1
                behind.write(frame)
                on_frame(frame)
                if stop():
                    complete = False
                    break
            behind.finish()
        if frames == 0:
            raise VideoError(f"{source.info.name} gave no frame: there is nothing to write")
        for output in outputs:
            output.commit()
    except OSError as error:
        raise VideoError(
            f"cannot write what {source.info.name} was read as: {error.strerror or error}"
        ) from None
    finally:
        for output in outputs:
            output.discard()
        source.close()
    step_s = 1 / source.info.fps if source.info.fps else 0.0
    return Outcome(frames, last_s - first_s + step_s, complete, source.damaged)


class _Behind:
    """Writes frames to outputs on a thread of its own, at most `_FRAMES_BEHIND` late."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = outputs
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="video")
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> _Behind:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def write(self, frame: FrameReadings) -> None:
        """Give one frame; raises what went wrong with an earlier one."""
        while len(self._pending) >= _FRAMES_BEHIND:
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._write, frame))

    def finish(self) -> None:
        """Wait until every frame is written; raises what went wrong with one."""
        while self._pending:
            self._pending.popleft().result()

    def _write(self, frame: FrameReadings) -> None:
        for output in self._outputs:
            output.write(frame)


def _timed(call: Callable[[], _T]) -> tuple[_T, float]:
    start = time.perf_counter()
    result = call()
    return result, (time.perf_counter() - start) * 1000

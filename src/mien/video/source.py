"""What gives frames: files and cameras have this in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from mien.types import Image

if TYPE_CHECKING:
    from mien.video.sound import Sound

__all__ = ["Frame", "Source", "VideoInfo", "VideoLimits"]


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """The largest video that is read; all bounds are inclusive.

    Attributes:
        max_pixels: width times height; the default is 8K.
        max_duration_s: by what the file states and by its frames' times.
    """

    max_pixels: int = 8192 * 4320
    max_duration_s: float = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of a source before its frames.

    Attributes:
        name: as the user gave it.
        size_hw: of the upright frames, in pixels.
        fps: mean frames per second; ``None`` if not stated.
        duration_s: from the start asked for to the end; ``None`` if not stated or endless.
        frames: about how many there are; ``None`` if not stated or endless.
        start_s: the time of the first frame asked for.
        time_base: the unit in seconds that the frames' times are whole multiples of.
        sample_aspect_ratio: width of an upright pixel by its height.
    """

    name: str
    size_hw: tuple[int, int]
    fps: float | None = None
    duration_s: float | None = None
    frames: int | None = None
    start_s: float = 0.0
    time_base: Fraction = Fraction(1, 90_000)
    sample_aspect_ratio: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture, RGB uint8 (H, W, 3), upright; ``time_s`` never runs backwards."""

    index: int
    time_s: float
    image: Image


class Source(Protocol):
    """Gives frames, once, in the order of time. Not shared between threads.

    Attributes:
        info: see :class:`VideoInfo`.
        damaged: how many parts could not be decoded so far.
    """

    info: VideoInfo
    damaged: int

    def frames(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            VideoError: the source breaks off.
        """
        ...

    def open_sound(self) -> Sound | None:
        """Return the sound that goes with the frames, or ``None``; it is kept from now on."""
        ...

    def close(self) -> None:
        """Let go of the file or camera; closing twice is harmless."""
        ...

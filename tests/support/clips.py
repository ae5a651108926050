"""Small videos made for tests, and a predictor that reads them without weights."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mien.faces import FaceTemplate
from mien.predictor import Predictor
from mien.runtime import FakeSession
from mien.types import Box, Face, Image

SIDE = 40  # of the square that stands for a face, in pixels
BACKGROUND = (30, 60, 90)


@dataclass(frozen=True)
class Clip:
    """A grey square on blue, which the fake detector takes for a face.

    ``brightness`` gives its grey by time: FakeSession makes an emotion of it.
    """

    size_hw: tuple[int, int] = (96, 128)
    fps: int = 25
    frames: int = 25
    codec: str = "libx264"
    sound: str | None = None
    times_ms: Callable[[int], int] | None = None
    rotation: float = 0.0
    brightness: Callable[[float], int] = lambda t: 140
    face: bool = True

    def picture(self, t: float) -> Image:
        height, width = self.size_hw
        image = np.full((height, width, 3), BACKGROUND, np.uint8)
        x = 10 + round(20 * t)
        if self.face:
            image[20 : 20 + SIDE, x : x + SIDE] = self.brightness(t)
        return image

    def write(self, path: Path) -> Path:
        with av.open(str(path), "w") as container:
            video = container.add_stream(self.codec, rate=self.fps)
            video.height, video.width = self.size_hw
            video.pix_fmt = "yuv420p"
            if self.times_ms:
                video.codec_context.time_base = Fraction(1, 1000)
            if self.rotation:
                video.set_display_rotation(self.rotation)
            sound = container.add_stream(self.sound, rate=48_000) if self.sound else None
            for number in range(self.frames):
                ms = self.times_ms(number) if self.times_ms else number * 1000 / self.fps
                frame = av.VideoFrame.from_ndarray(self.picture(ms / 1000), format="rgb24")
                if self.times_ms:
                    frame.pts, frame.time_base = int(ms), Fraction(1, 1000)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            if sound is not None:
                for frame in tone(self.frames / self.fps):
                    container.mux(sound.encode(frame))
                container.mux(sound.encode(None))
        return path


def encode_clip(pictures: list[Image], fps: int = 10) -> bytes:
    """Return RGB pictures as H.264 in MP4."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def tone(seconds: float) -> list[av.AudioFrame]:
    """A note of 440 Hz, which begins after half of the time."""
    times = np.arange(round(seconds * 48_000)) / 48_000
    wave = np.sin(2 * math.pi * 440 * times) * (times >= seconds / 2)
    frames = []
    for start in range(0, len(wave), 960):
        part = (wave[start : start + 960] * 20_000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(part[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, start
        frames.append(frame)
    return frames


def find_square(image: Image) -> tuple[Face, ...]:
    """Find what is as red as it is blue: the square."""
    grey = np.abs(image[..., 0].astype(int) - image[..., 2]) < 25
    rows, columns = np.nonzero(grey)
    if len(rows) < SIDE:
        return ()
    top, left = int(rows.min()), int(columns.min())
    return (Face(Box(left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1), 0.9),)


# The codec blurs the square's edges, which would count as contrast: its inside is cut out.
find_square.template = FaceTemplate(box_scale=0.8)  # type: ignore[attr-defined]


def fake_predictor() -> Predictor:
    """Reads squares: 10 is angry, 250 is surprise, those between in order."""
    return Predictor(find_square, FakeSession(logits_of=_by_brightness))


def _by_brightness(crops: np.ndarray) -> np.ndarray:
    label = crops.mean(axis=(1, 2, 3)) * 7 / 256
    return np.asarray(-4 * np.abs(np.arange(7) + 0.5 - label[:, None]))

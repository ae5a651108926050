"""Cameras on this machine, by number, and the newest of frames that come too fast."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from mien.errors import VideoError
from mien.types import Image
from mien.video.source import Frame, Source, VideoInfo

__all__ = ["Camera", "Latest"]

_SILENT = 0  # of OpenCV's log levels
_WARM_UP_FRAMES = 30  # some cameras give nothing at first


class Camera:
    """A camera, through OpenCV: by number on every system, where FFmpeg wants names on some.

    Raises:
        VideoError: there is no such camera, it is in use, or gives no picture.
    """

    damaged = 0

    def __init__(self, number: int, *, end_s: float = math.inf) -> None:
        self._capture = _open_quietly(number)
        self._end_s = end_s
        if not self._capture.isOpened():
            raise VideoError(
                f"there is no camera {number} on this machine, or another program uses it: "
                "connect one, choose another number, or give a video file"
            )
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        tries = (self._grab() for _ in range(_WARM_UP_FRAMES))
        first = next((image for image in tries if image is not None), None)
        if first is None:
            self._capture.release()
            raise VideoError(f"camera {number} is there but gives no picture")
        height, width = first.shape[:2]
        fps = self._capture.get(cv2.CAP_PROP_FPS) or None
        self.info = VideoInfo(f"camera {number}", (height, width), fps)

    def frames(self) -> Iterator[Frame]:
        """Yield frames as they come, with the time since the first call."""
        start, index = time.monotonic(), 0
        while (image := self._grab()) is not None:
            time_s = time.monotonic() - start
            if time_s >= self._end_s:
                return
            yield Frame(index, time_s, image)
            index += 1
        raise VideoError(f"{self.info.name} gives no more pictures: was it unplugged?")

    def open_sound(self) -> None:
        """Return ``None``: cameras are read without sound."""

    def close(self) -> None:
        """Let go of the camera."""
        self._capture.release()

    def _grab(self) -> Image | None:
        there, image = self._capture.read()
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8) if there else None


class Latest:
    """Reads a source on a thread of its own; whoever is slower gets the newest frame.

    Args:
        source: any; it belongs to this from now on.
        paced: hold frames back until their time has come: a file as if it were a camera.
    """

    def __init__(self, source: Source, *, paced: bool = False) -> None:
        self.info = source.info
        self.dropped = 0
        self._source, self._paced = source, paced
        self._newest: Frame | None = None
        self._error: VideoError | None = None
        self._over = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)

    def frames(self) -> Iterator[Frame]:
        """Yield the newest frame, each at most once, until the source ends.

        Raises:
            VideoError: the source breaks off.
        """
        self._thread.start()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or self._over)
                frame, self._newest = self._newest, None
            if frame is None:
                if self._error is not None:
                    raise self._error
                return
            yield frame

    @property
    def damaged(self) -> int:
        """How many parts could not be decoded so far."""
        return self._source.damaged

    def open_sound(self) -> None:
        """Return ``None``: frames are left out, and sound would run away from them."""

    def close(self) -> None:
        """Stop reading and let go of the source."""
        self._over = True
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)
        self._source.close()

    def _read(self) -> None:
        start = time.monotonic()
        try:
            for frame in self._source.frames():
                if self._paced:
                    time.sleep(max(0.0, frame.time_s - (time.monotonic() - start)))
                if self._over:
                    break
                with self._changed:
                    self.dropped += self._newest is not None
                    self._newest = frame
                    self._changed.notify()
        except VideoError as error:
            self._error = error
        with self._changed:
            self._over = True
            self._changed.notify()


def _open_quietly(number: int) -> cv2.VideoCapture:
    """Open a camera without OpenCV's own lines on the terminal when there is none."""
    # OpenCV 5 moved the log level to a module of its own.
    log: Any = getattr(cv2.utils, "logging", cv2)
    level = log.getLogLevel()
    log.setLogLevel(_SILENT)
    try:
        return cv2.VideoCapture(number)
    finally:
        log.setLogLevel(level)

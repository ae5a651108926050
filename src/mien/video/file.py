"""Video files and streams, read by FFmpeg.

The format is recognised by content, and only formats that hold pictures themselves are read:
a playlist, which could name other files or addresses, is refused whatever its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

from mien.errors import ConfigError, VideoError
from mien.types import Image
from mien.video.sound import Sound
from mien.video.source import Frame, VideoInfo, VideoLimits

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["FORMATS", "VideoFile"]

#: Containers by FFmpeg's names. Not among them: hls, dash, concat, sdp, image2, lavfi.
FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,gif,mxf,dv,ivf,nut"
_FORMATS_IN_WORDS = "MP4, MOV, WebM, MKV, AVI, MPEG, FLV, OGG, WMV and GIF"
_NETWORK_WAIT_S = 10.0
_TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}
# A whole file may end a little before the length it states, by its last frame's duration.
_MISSING_S = 0.5


class VideoFile:
    """A video that FFmpeg reads. Opening it decodes the first frame; see
    :func:`mien.video.open_source`.

    Attributes:
        info: see :class:`VideoInfo`.
        damaged: how many packets could not be decoded so far.
    """

    def __init__(
        self,
        name: str,
        url: str,
        options: dict[str, str],
        limits: VideoLimits,
        start_s: float = 0.0,
        end_s: float = math.inf,
    ) -> None:
        self.damaged = 0
        self._sound: Sound | None = None
        self._start_s, self._end_s = start_s, end_s
        self._name, self._limits = name, limits
        self._container = _open(name, url, {**options, "max_pixels": str(limits.max_pixels)})
        try:
            self._video = self._choose_video()
            self._audio: AudioStream | None = next(iter(self._container.streams.audio), None)
            self._zero_s = (self._container.start_time or 0) / av.time_base
            self._check_stated()
            self._early: list[Packet[AudioStream]] | None = []
            self._size_hw: tuple[int, int] | None = None
            if start_s > 0:
                self._seek()
            self._decoded = self._decode()
            first = next(self._decoded, None)
            if first is None:
                raise VideoError(self._nothing())
            self._first: Frame = first
        except BaseException:
            self._container.close()
            raise
        self.info = self._describe()

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; see :class:`Source`."""
        early, self._early = self._early or [], None
        for packet in early:
            self._give_sound(packet)
        yield self._first
        yield from self._decoded

    def open_sound(self) -> Sound | None:
        """Return the sound, whose packets are kept from now on; see :class:`Source`."""
        if self._sound is None and self._audio is not None:
            self._sound = Sound(self._audio, self._zero_s, self._start_s, self._end_s)
        return self._sound

    def close(self) -> None:
        """Let go of the file; closing twice is harmless."""
        self._container.close()

    def _choose_video(self) -> VideoStream:
        for stream in self._container.streams.video:
            if not stream.disposition & av.stream.Disposition.attached_pic:
                stream.thread_type = "AUTO"
                return stream
        raise VideoError(f"{self._name} has no pictures in it, only sound or other data")

    def _check_stated(self) -> None:
        width, height = self._video.codec_context.width, self._video.codec_context.height
        self._check_size(width, height)
        self._stated_s = _stated_duration(self._container, self._video)
        if self._stated_s is not None:
            self._check_time(min(self._stated_s, self._end_s))
            if self._start_s >= self._stated_s:
                raise ConfigError(
                    f"{self._name} is {self._stated_s:.2f} s long: expected a start before "
                    f"its end, got {self._start_s:g} s"
                )

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._limits.max_pixels:
            raise VideoError(
                f"{self._name} is {width} x {height}: at most {self._limits.max_pixels:,} "
                "pixels a frame are read; make it smaller first"
            )

    def _check_time(self, time_s: float) -> None:
        if time_s > self._limits.max_duration_s:
            raise VideoError(
                f"{self._name} is {time_s:,.0f} s long: at most "
                f"{self._limits.max_duration_s:,.0f} s are read; cut it first, or choose a part "
                "with a start and an end"
            )

    def _seek(self) -> None:
        """Go to the key frame before the start; if that fails, frames are left out one by one."""
        with suppress(av.FFmpegError):
            self._container.seek(int((self._start_s + self._zero_s) * av.time_base))

    def _decode(self) -> Iterator[Frame]:
        """Yield frames, and give away sound in between."""
        index, last_s, self._turned_by = 0, self._start_s, 0
        step_s = 1 / float(self._video.guessed_rate or 25)
        streams = [self._video] if self._audio is None else [self._video, self._audio]
        for packet in self._packets(streams):
            if packet.stream.index != self._video.index:
                self._give_sound(packet)
                continue
            for picture in self._pictures(packet):
                time_s = last_s + step_s if picture.time is None else picture.time - self._zero_s
                self._check_time(time_s)
                if time_s < self._start_s:
                    continue
                if time_s >= self._end_s:
                    return
                last_s = max(time_s, last_s)
                yield Frame(index, last_s, self._upright(picture))
                index += 1
        if index:
            self._check_whole(last_s + step_s)

    def _packets(self, streams: list[Any]) -> Iterator[Any]:
        try:
            yield from self._container.demux(streams)
        except av.FFmpegError as error:
            raise VideoError(
                f"{self._name} breaks off: it is truncated or damaged ({error.strerror})"
            ) from None

    def _pictures(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            return packet.decode()
        except av.FFmpegError:
            self.damaged += 1
            return []

    def _upright(self, picture: VideoFrame) -> Image:
        self._turned_by = picture.rotation % 360
        self._check_size(picture.width, picture.height)
        image = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
        if (turn := _TURNS.get(self._turned_by)) is not None:
            image = np.asarray(cv2.rotate(image, turn), np.uint8)
        if self._size_hw is None:
            self._size_hw = (image.shape[0], image.shape[1])
        elif image.shape[:2] != self._size_hw:
            # A stream may change its size; what is written keeps the first.
            image = np.asarray(cv2.resize(image, self._size_hw[::-1]), np.uint8)
        return image

    def _give_sound(self, packet: Packet[AudioStream]) -> None:
        if self._early is not None:
            self._early.append(packet)
        elif self._sound is not None:
            self._sound.put(packet)

    def _check_whole(self, end_s: float) -> None:
        stated_s = self._stated_s
        if stated_s is not None and end_s < min(stated_s, self._end_s) - _MISSING_S:
            raise VideoError(
                f"{self._name} is truncated or damaged: its pictures end at {end_s:.2f} s of "
                f"{stated_s:.2f} s; to read what is there, set the end to {end_s:.2f} s"
            )

    def _nothing(self) -> str:
        if self._start_s > 0:
            return f"{self._name} has no frame between {self._start_s:g} s and {self._end_s:g} s"
        return f"{self._name} has no frame that can be decoded: it is empty or damaged"

    def _describe(self) -> VideoInfo:
        height, width = self._first.image.shape[:2]
        fps = float(self._video.average_rate or self._video.guessed_rate or 0) or None
        duration_s = None
        if self._stated_s is not None:
            duration_s = min(self._stated_s, self._end_s) - self._start_s
        frames = round(duration_s * fps) if duration_s and fps else None
        ratio = Fraction(self._video.sample_aspect_ratio or 1)
        return VideoInfo(
            self._name,
            (height, width),
            fps,
            duration_s,
            frames,
            start_s=self._start_s,
            time_base=self._video.time_base or Fraction(1, 90_000),
            sample_aspect_ratio=1 / ratio if self._turned_by in (90, 270) else ratio,
        )


def _open(name: str, url: str, options: dict[str, str]) -> av.container.InputContainer:
    try:
        return av.open(url, options=options, timeout=_NETWORK_WAIT_S, metadata_errors="replace")
    except (PermissionError, TimeoutError, ConnectionError) as error:
        raise VideoError(f"{name} cannot be opened: {error.strerror or error}") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(
            f"{name} is not a video that can be read ({reason}): expected {_FORMATS_IN_WORDS}, "
            "whole and not a playlist"
        ) from None


def _stated_duration(container: av.container.InputContainer, video: VideoStream) -> float | None:
    """Return the length of the pictures in seconds, if the file states it."""
    if video.duration is not None and video.time_base is not None:
        return float(video.duration * video.time_base)
    if match := re.match(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", video.metadata.get("DURATION", "")):
        hours, minutes, seconds = match.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration is not None and not container.streams.audio:
        return container.duration / av.time_base
    return None

"""Where frames come from: video files, network cameras by address, cameras by number.

A file is told by its content, and only by formats that hold pictures themselves: a playlist,
which could name other files or addresses, is refused whatever its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import av
import cv2
import numpy as np

from mien.errors import ConfigError, VideoError
from mien.types import Image

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["Frame", "Source", "VideoFile", "VideoInfo", "VideoLimits", "open_source"]

# Containers by FFmpeg's names. Not among them: hls, dash, concat, sdp, image2, lavfi.
_FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,gif,mxf,dv,ivf,nut"
_FORMATS_IN_WORDS = "MP4, MOV, WebM, MKV, AVI, MPEG, FLV, OGG, WMV and GIF"
_NETWORK = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,crypto"
_NETWORK_WAIT_S = 10.0
_TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}
# A whole file may end a little before the length it states, by its last frame's duration.
_MISSING_S = 0.5


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
    """

    name: str
    size_hw: tuple[int, int]
    fps: float | None = None
    duration_s: float | None = None
    frames: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture, RGB uint8 (H, W, 3), upright; ``time_s`` never runs backwards."""

    index: int
    time_s: float
    image: Image


class Source(Protocol):
    """Gives frames, once, in the order of time. Not shared between threads."""

    info: VideoInfo

    def frames(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            VideoError: the source breaks off.
        """
        ...

    def close(self) -> None:
        """Let go of the file or camera; closing twice is harmless."""
        ...


def open_source(
    name: str,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    limits: VideoLimits | None = None,
    allow_network: bool = False,
) -> Source:
    """Open a video file, a camera by its number, or an ``rtsp://`` address.

    Args:
        name: a path, ``"0"`` and up, or an address.
        start_s: frames before it are left out.
        end_s: frames from it on are left out.
        limits: what is refused as too large.
        allow_network: open addresses, too.

    Raises:
        VideoError: it cannot be opened, is no video, has no frame, or is too large.
        ConfigError: the times are impossible, or it is an address and those are not allowed.
    """
    end = math.inf if end_s is None else end_s
    if not (math.isfinite(start_s) and 0 <= start_s < end):
        raise ConfigError(f"expected 0 <= start < end in seconds, got {start_s} and {end_s}")
    limits = limits or VideoLimits()
    if name.isdecimal():
        from mien.video.camera import Camera

        return Camera(int(name), end_s=end)
    if re.match(r"rtsps?://", name, re.IGNORECASE):
        if not allow_network:
            raise ConfigError(f"{name} is an address: say --allow-network to open it")
        options = {
            "protocol_whitelist": _NETWORK,
            "rtsp_transport": "tcp",
            "format_whitelist": "rtsp",
        }
        return VideoFile(name, name, options, limits, start_s, end)
    path = _checked(name)
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
    return VideoFile(name, f"file:{path.resolve()}", options, limits, start_s, end)


class VideoFile:
    """A video that FFmpeg reads. Opening it decodes the first frame; see `open_source`.

    Attributes:
        info: see :class:`VideoInfo`.
        audio: the stream of sound that goes with it, or ``None``.
        on_audio: is given the sound's packets between frames, if set; their times are the
            file's, in which ``zero_s`` is the start.
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
        self.on_audio: Callable[[Packet[AudioStream]], None] | None = None
        self.damaged = 0
        self.start_s, self.end_s = start_s, end_s
        self._name, self._limits = name, limits
        self._container = _open(name, url, {**options, "max_pixels": str(limits.max_pixels)})
        try:
            self._video = self._choose_video()
            self.audio: AudioStream | None = next(iter(self._container.streams.audio), None)
            self.zero_s = (self._container.start_time or 0) / av.time_base
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
            self._give_audio(packet)
        yield self._first
        yield from self._decoded

    def close(self) -> None:
        """Let go of the file; closing twice is harmless."""
        self._container.close()

    @property
    def time_base(self) -> Fraction:
        """The unit of the pictures' times, in seconds."""
        return self._video.time_base or Fraction(1, 90_000)

    @property
    def sample_aspect_ratio(self) -> Fraction:
        """Width of an upright pixel by its height."""
        ratio = Fraction(self._video.sample_aspect_ratio or 1)
        return 1 / ratio if self._turned_by in (90, 270) else ratio

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
            self._check_time(min(self._stated_s, self.end_s))
            if self.start_s >= self._stated_s:
                raise ConfigError(
                    f"{self._name} is {self._stated_s:.2f} s long: expected a start before "
                    f"its end, got {self.start_s:g} s"
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
            self._container.seek(int((self.start_s + self.zero_s) * av.time_base))

    def _decode(self) -> Iterator[Frame]:
        """Yield frames, and give away sound in between."""
        index, last_s, self._turned_by = 0, self.start_s, 0
        step_s = 1 / float(self._video.guessed_rate or 25)
        streams = [self._video] if self.audio is None else [self._video, self.audio]
        for packet in self._packets(streams):
            if packet.stream.index != self._video.index:
                self._give_audio(packet)
                continue
            for picture in self._pictures(packet):
                time_s = last_s + step_s if picture.time is None else picture.time - self.zero_s
                self._check_time(time_s)
                if time_s < self.start_s:
                    continue
                if time_s >= self.end_s:
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

    def _give_audio(self, packet: Packet[AudioStream]) -> None:
        if self._early is not None:
            self._early.append(packet)
        elif self.on_audio is not None:
            self.on_audio(packet)

    def _check_whole(self, end_s: float) -> None:
        stated_s = self._stated_s
        if stated_s is not None and end_s < min(stated_s, self.end_s) - _MISSING_S:
            raise VideoError(
                f"{self._name} is truncated or damaged: its pictures end at {end_s:.2f} s of "
                f"{stated_s:.2f} s; to read what is there, set the end to {end_s:.2f} s"
            )

    def _nothing(self) -> str:
        if self.start_s > 0:
            return f"{self._name} has no frame between {self.start_s:g} s and {self.end_s:g} s"
        return f"{self._name} has no frame that can be decoded: it is empty or damaged"

    def _describe(self) -> VideoInfo:
        height, width = self._first.image.shape[:2]
        fps = float(self._video.average_rate or self._video.guessed_rate or 0) or None
        duration_s = None
        if self._stated_s is not None:
            duration_s = min(self._stated_s, self.end_s) - self.start_s
        frames = round(duration_s * fps) if duration_s and fps else None
        return VideoInfo(self._name, (height, width), fps, duration_s, frames)


def _checked(name: str) -> Path:
    """Return the path of a regular file that holds something."""
    path = Path(name)
    if path.is_dir():
        raise VideoError(f"{path} is a folder: expected a video file")
    if not path.exists():
        if "://" in name:
            raise VideoError(f"{name}: only files, camera numbers and rtsp:// addresses are read")
        raise VideoError(f"{path}: there is no such file; check the path")
    if not path.is_file():
        raise VideoError(f"{path} is not a regular file: expected a video file")
    if path.stat().st_size == 0:
        raise VideoError(f"{path} has 0 bytes: expected a video file")
    return path


def _open(name: str, url: str, options: dict[str, str]) -> av.container.InputContainer:
    try:
        return av.open(url, options=options, timeout=_NETWORK_WAIT_S, metadata_errors="replace")
    except (PermissionError, TimeoutError, ConnectionError) as error:
        raise VideoError(f"{name} cannot be opened: {error.strerror or error}") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(
            f"{name} is no video that can be read ({reason}): expected {_FORMATS_IN_WORDS}, "
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

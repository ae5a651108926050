"""An annotated video: H.264 in MP4 that every browser plays, with the source's sound."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import numpy as np

from mien.draw import annotate
from mien.errors import ConfigError, VideoError
from mien.files import PendingFile
from mien.types import Image
from mien.video.pipeline import FrameReadings
from mien.video.source import Source

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.packet import Packet

__all__ = ["VideoWriter"]

_ENDINGS = (".mp4", ".m4v")
# Sound that both MP4 and browsers take is passed on as it is; other sound becomes AAC.
_PASSED_ON = frozenset(("aac", "mp3"))
_AAC_RATES_HZ = frozenset((16_000, 22_050, 24_000, 32_000, 44_100, 48_000))
_BT709, _LIMITED_RANGE = 1, 1  # by ITU-T H.273 and FFmpeg's numbers
_QUALITY = {"preset": "veryfast", "crf": "21"}


class VideoWriter:
    """Draws the readings on frames and encodes them, at the frames' own times.

    Args:
        path: ends in ``.mp4``; replaced if it is there.
        source: which is written; its sound is taken over.

    Raises:
        ConfigError: the path cannot be written, ends otherwise, or is the source itself.
        VideoError: this PyAV was built without an H.264 encoder.
    """

    def __init__(self, path: Path, source: Source) -> None:
        if path.suffix.lower() not in _ENDINGS:
            raise ConfigError(f"{path}: expected a name ending in {' or '.join(_ENDINGS)}")
        if path.exists() and Path(source.info.name).exists() and path.samefile(source.info.name):
            raise ConfigError(f"{path} is the video that is read: choose another name")
        if "libx264" not in av.codecs_available:
            raise VideoError("this PyAV cannot encode H.264: install PyAV's own wheel from PyPI")
        self._file = PendingFile(path)
        self._info, self._sound = source.info, source.open_sound()
        self._last_pts = -1
        self._passes_on = False
        self._streams: _Streams | None = None

    def write(self, frame: FrameReadings) -> None:
        """Draw and encode one frame.

        Raises:
            VideoError: it cannot be written.
        """
        self._write_sound()
        image = _even(annotate(frame.image, frame.readings) if frame.readings else frame.image)
        picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED_RANGE
        )
        pts = round((frame.time_s - self._info.start_s) / self._info.time_base)
        self._last_pts = max(pts, self._last_pts + 1)
        picture.pts, picture.time_base = self._last_pts, self._info.time_base
        self._encode(self._opened().video, picture)

    def commit(self) -> None:
        """Finish the file and give it its name.

        Raises:
            VideoError: it cannot be written.
        """
        self._write_sound()
        streams = self._opened()
        self._encode(streams.video, None)
        if streams.audio is not None and not self._passes_on:
            self._encode(streams.audio, None)
        try:
            self._close()
        except (av.FFmpegError, OSError) as error:
            raise self._failure(error) from None
        self._file.commit()

    def discard(self) -> None:
        """Leave nothing behind; harmless after :meth:`commit`."""
        with suppress(av.FFmpegError, OSError):  # it is removed anyway
            self._close()
        self._file.discard()

    def _opened(self) -> _Streams:
        if self._streams is None:
            path, options = str(self._file.part), {"movflags": "+faststart"}
            try:
                container = av.open(path, "w", format="mp4", options=options)
            except (av.FFmpegError, OSError) as error:
                raise self._failure(error) from None
            video = self._add_video(container)
            self._streams = _Streams(container, video, self._add_audio(container))
        return self._streams

    def _add_video(self, container: av.container.OutputContainer) -> Any:
        fps = Fraction(self._info.fps or 30).limit_denominator(1001)
        video = container.add_stream("libx264", rate=fps, options=_QUALITY)
        height, width = self._info.size_hw
        video.width, video.height = width + width % 2, height + height % 2
        video.pix_fmt = "yuv420p"
        context = video.codec_context
        context.colorspace, context.color_range = _BT709, _LIMITED_RANGE
        context.color_primaries = context.color_trc = _BT709
        context.time_base = self._info.time_base
        context.sample_aspect_ratio = self._info.sample_aspect_ratio
        return video

    def _add_audio(self, container: av.container.OutputContainer) -> Any:
        if self._sound is None:
            return None
        source = self._sound.stream
        self._passes_on = source.codec_context.name in _PASSED_ON
        if self._passes_on:
            return container.add_stream_from_template(source)
        rate = source.codec_context.sample_rate
        audio = container.add_stream("aac", rate=rate if rate in _AAC_RATES_HZ else 48_000)
        audio.layout = "mono" if source.codec_context.layout.nb_channels == 1 else "stereo"
        return audio

    def _write_sound(self) -> None:
        for packet in self._sound.packets() if self._sound is not None else ():
            stream = self._opened().audio
            if self._passes_on:
                packet.stream = stream
                self._mux(packet)
                continue
            for frame in _decoded(packet):
                self._encode(stream, frame)

    def _encode(self, stream: Any, frame: Any) -> None:
        try:
            packets = stream.encode(frame)
        except (av.FFmpegError, OSError) as error:
            raise self._failure(error) from None
        for packet in packets:
            self._mux(packet)

    def _mux(self, packet: Any) -> None:
        try:
            self._opened().container.mux_one(packet)
        except (av.FFmpegError, OSError) as error:
            raise self._failure(error) from None

    def _close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams.container.close()

    def _failure(self, error: Exception) -> VideoError:
        reason = getattr(error, "strerror", None) or error
        return VideoError(f"cannot write {self._file.path}: {reason}; is the disk full?")


class _Streams(NamedTuple):
    container: av.container.OutputContainer
    video: Any
    audio: Any


def _decoded(packet: Packet[AudioStream]) -> list[AudioFrame]:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []  # a gap in the sound


def _even(image: Image) -> Image:
    """Return the image with even sides, as 4:2:0 needs them; the last pixels are repeated."""
    odd = image.shape[0] % 2, image.shape[1] % 2
    return np.pad(image, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge") if any(odd) else image

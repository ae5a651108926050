"""From a name to what gives frames: a file, a camera or an address."""

from __future__ import annotations

import math
import re
from collections import deque
from pathlib import Path

import numpy as np

from mien.errors import ConfigError, VideoError
from mien.types import Image
from mien.video.camera import Camera
from mien.video.file import FORMATS, VideoFile
from mien.video.source import Source, VideoLimits

__all__ = ["middle_frame", "open_source"]

_NETWORK = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,crypto"


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
        VideoError: it cannot be opened, is not a video, has no frame, or is too large.
        ConfigError: the times are impossible, or it is an address and those are not allowed.
    """
    end = math.inf if end_s is None else end_s
    if not (math.isfinite(start_s) and 0 <= start_s < end):
        raise ConfigError(f"expected 0 <= start < end in seconds, got {start_s} and {end_s}")
    limits = limits or VideoLimits()
    if name.isdecimal():
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
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    return VideoFile(name, f"file:{path.resolve()}", options, limits, start_s, end)


def middle_frame(path: Path) -> Image:
    """Return the frame in the middle of a video's frames; the later one of two.

    Raises:
        VideoError: the video cannot be read to the end.
    """
    source = open_source(str(path))
    try:
        latter_half: deque[Image] = deque()
        for frame in source.frames():
            latter_half.append(frame.image)
            if frame.index % 2:
                latter_half.popleft()
        return np.ascontiguousarray(latter_half[0])
    finally:
        source.close()


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

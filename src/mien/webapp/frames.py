"""One frame of the camera, as the page's script sends it, and the answer to it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from mien.errors import BrokenImage, ImageError, MienError
from mien.images import WEB_FORMATS, ImageLimits
from mien.predictor import Predictor
from mien.video.tracking import Tracker
from mien.wire import reading_to_dict

__all__ = ["FRAME_LIMITS", "answer_frame"]

#: Far above what the script sends: 640 pixels a side.
FRAME_LIMITS = ImageLimits(
    max_bytes=2 * 1024 * 1024, max_pixels=1920 * 1080, max_side_px=1920, formats=WEB_FORMATS
)


def answer_frame(
    frame: Mapping[str, Any], predictor: Predictor, tracker: Tracker, time_s: float
) -> dict[str, Any]:
    """Read one frame.

    Args:
        frame: ``id``, any JSON value, and ``jpeg``, base64.
        time_s: when it came, on any clock that does not run backwards.

    Returns:
        The frame's ``id`` with ``width``, ``height`` and ``faces``, each as in
        :mod:`mien.wire`; or with ``error``, in words.
    """
    try:
        result = predictor.predict(_bytes_of(frame.get("jpeg")), limits=FRAME_LIMITS)
        readings = tracker.follow(result.readings, time_s)
    except MienError as error:
        return {"id": frame.get("id"), "error": str(error)}
    height, width = result.size_hw
    return {
        "id": frame.get("id"),
        "width": width,
        "height": height,
        "faces": [reading_to_dict(reading) for reading in readings],
    }


def _bytes_of(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ImageError("expected a frame as base64 text: reload the page")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BrokenImage("the frame is not base64 text: reload the page") from None

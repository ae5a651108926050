"""What the page ``/local`` needs besides weights, so that it reads as the service does.

Every number that Python and the browser share comes from here; ``static/js/local`` holds none.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mien.card import Framing
from mien.faces import (
    REASONS,
    UNCLEAR,
    alignment,
    centerface,
    detections,
    framing,
    looks,
    needs_px_of,
    smallest_face_of,
    template,
    visibility,
    yunet,
)
from mien.faces.detections import needs_px_for, smallest_face_for
from mien.predictor import Predictor

__all__ = ["settings_of"]


def settings_of(predictor: Predictor) -> dict[str, Any]:
    """Return the settings of the networks in the browser, as plain JSON values.

    The page always runs mien's default detector. How small it looks, and which faces are left
    out, follow the service's predictor.
    """
    return {
        "head": predictor.head,
        "labels": list(predictor.labels),
        "calibration": asdict(predictor.calibration),
        "detector": _detector(predictor),
        "aligner": _aligner(),
        "framing": _framing(predictor.card.framing),
        "visibility": _visibility(),
        "contrast": {
            "low_deviation": visibility.LOW_DEVIATION,
            "min_contrast": visibility.Limits().min_contrast,
            "percentiles": visibility.PERCENTILES,
            "stretched_to": visibility.STRETCHED_TO,
        },
    }


def _detector(predictor: Predictor) -> dict[str, Any]:
    detector = predictor.detector
    smallest = smallest_face_of(detector) or smallest_face_for(None)
    return {
        "needs_px": needs_px_of(detector) or needs_px_for(None),
        "min_score": predictor.min_score,
        "min_face_px": predictor.min_face_px,
        "input": {
            "smallest": smallest._asdict(),
            "min_px": detections.MIN_INPUT_PX,
            "max_px": detections.MAX_INPUT_PX,
            "reducing_gap": detections.REDUCING_GAP,
        },
        "max_overlap": detections.MAX_OVERLAP,
        "yunet": {
            "strides": yunet.STRIDES,
            "workable_px": yunet.WORKABLE_FACE_PX,
            "threshold": yunet.THRESHOLD,
            "low_range": yunet.LOW_RANGE,
            "tail": yunet.TAIL,
            "max_gain": yunet.MAX_GAIN,
        },
        "turned": {"threshold": looks.TURNED_THRESHOLD},
        "centerface": {
            "stride": centerface.STRIDE,
            "cell_px": detections.CELL_PX,
            "workable_px": centerface.WORKABLE_FACE_PX,
            "threshold": centerface.THRESHOLD,
        },
        "every_empty_frame": looks.EVERY_EMPTY_FRAME,
    }


def _aligner() -> dict[str, Any]:
    return {
        "view_px": alignment.VIEW_PX,
        "view_scale": alignment.VIEW_SCALE,
        "cell_px": detections.CELL_PX,
        "middle": [alignment.MIDDLE.start, alignment.MIDDLE.stop],
        "least_score": alignment.LEAST_SCORE,
        "batch": alignment.BATCH,
        "reducing_gap": detections.REDUCING_GAP,
    }


def _framing(card: Framing) -> dict[str, Any]:
    return {
        **asdict(card),
        "max_samples": framing.MAX_SAMPLES,
        "template": asdict(template.YUNET),
        "max_ratio": template.MAX_RATIO,
        "max_offset": template.MAX_OFFSET,
        "max_residual": template.MAX_RESIDUAL,
    }


def _visibility() -> dict[str, Any]:
    return {
        "white": visibility.WHITE,
        "nose_depth": visibility.NOSE_DEPTH,
        "percentiles": visibility.RANGE_PERCENTILES,
        "outside_samples": visibility.OUTSIDE_SAMPLES,
        "limits": asdict(visibility.Limits()),
        "dark_below": visibility.DARK_BELOW,
        "reasons": REASONS,
        "unclear": UNCLEAR,
    }

"""Framing: the square of an image in which a face lies as in the pictures that taught the network.

Landmarks and box of a face both say how large it is and where its middle lies. Landmarks are the
steadier of the two from a whole head to a tight picture, the box where a face is turned away.
The constants of both belong to the detector: :class:`FaceTemplate`.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.types import Face, Point

__all__ = ["CENTERFACE", "YUNET", "FaceTemplate", "Square", "frame"]

# Beyond these, landmarks contradict the box or each other. Of 2,121 pasted FER2013 pictures 2 %
# of YuNet's landmarks, fitted, differ from the box by more, and 0.2 % are no face's landmarks.
MAX_RATIO = 1.25  # of the side by landmarks to the side by the box, either way
MAX_OFFSET = 0.2  # between the centres, in sides by the box
MAX_RESIDUAL = 0.14  # of the fit: root mean square, in sides of the fitted square


@dataclass(frozen=True, slots=True)
class FaceTemplate:
    """Where a detector's answers lie in the frame of a face, the square that is cut out.

    Attributes:
        landmarks: right eye, left eye, nose tip, right and left mouth corner, x and y in sides
            of the frame from its centre; empty where the detector gives none.
        box_scale: side of the frame as a multiple of the box's longer side.
        box_shift_y: how far the frame's centre lies below the box's, in longer sides.
        landmark_weight: how much the landmarks count against the box, 0 to 1.
    """

    landmarks: tuple[Point, ...] = ()
    box_scale: float = 1.0
    box_shift_y: float = 0.0
    landmark_weight: float = 0.5


@dataclass(frozen=True, slots=True)
class Square:
    """A square of an image, maybe turned.

    Attributes:
        centre: in pixels.
        side: in pixels.
        roll: by how much it is turned clockwise, in radians.
    """

    centre: Point
    side: float
    roll: float = 0.0


def _symmetric(
    eyes: tuple[float, float], nose_y: float, mouth: tuple[float, float]
) -> tuple[Point, ...]:
    """Return five landmarks; eyes and mouth corners lie at x to either side, at the same y."""
    return (
        Point(-eyes[0], eyes[1]),
        Point(eyes[0], eyes[1]),
        Point(0.0, nose_y),
        Point(-mouth[0], mouth[1]),
        Point(mouth[0], mouth[1]),
    )


# From experiments/detectors/measure_framing.py: medians over FER2013's Training rows, pasted into
# scenes, and corrected by how the same answers differ between whole heads and such pictures.
# YuNet's weight of landmarks: of 0, 0.3, 0.5, 0.7 and 1 it costs the chain least on 2,000 pasted
# held-out rows (70.1 % right, 70.7 % of the crops themselves), and 30 whole heads framed twice come
# back at 0.959 of their side.
YUNET = FaceTemplate(_symmetric((0.185, -0.100), 0.099, (0.144, 0.2585)), 0.993, 0.0, 0.5)
CENTERFACE = FaceTemplate(_symmetric((0.185, -0.105), 0.101, (0.146, 0.265)), 0.965, -0.02, 1.0)


def frame(face: Face, template: FaceTemplate) -> Square:
    """Return the square in which the face lies as the template says.

    Landmarks give its roll. They are left out of account where the face has none, or where they
    are improbable; where they differ much from the box, they count as if they differed less.
    """
    by_box = _by_box(face, template)
    by_landmarks = _by_landmarks(face, template)
    if by_landmarks is None:
        return by_box
    side = min(max(by_landmarks.side, by_box.side / MAX_RATIO), by_box.side * MAX_RATIO)
    # The box's shift goes along the face, whose roll is known now.
    by_box = _by_box(face, template, by_landmarks.roll)
    offset = np.subtract(by_landmarks.centre, by_box.centre)
    distance = math.hypot(*offset) / by_box.side
    weight = template.landmark_weight
    centre = np.asarray(by_box.centre) + offset * (
        weight * min(1.0, MAX_OFFSET / max(distance, 1e-9))
    )
    blended = side**weight * by_box.side ** (1 - weight)
    return Square(Point(*centre.tolist()), blended, by_landmarks.roll)


def _by_box(face: Face, template: FaceTemplate, roll: float = 0.0) -> Square:
    box = face.box
    longer = max(box.w, box.h)
    shift = longer * template.box_shift_y
    centre = Point(
        box.x + box.w / 2 - math.sin(roll) * shift, box.y + box.h / 2 + math.cos(roll) * shift
    )
    return Square(centre, longer * template.box_scale, roll)


def _by_landmarks(face: Face, template: FaceTemplate) -> Square | None:
    """Fit the template to the landmarks; ``None`` if there are none, or they are improbable.

    The similarity of least squares, in complex numbers: point = turn * template + centre.
    """
    if not template.landmarks or len(face.landmarks) != len(template.landmarks):
        return None
    points, model = _complex(face.landmarks), _complex(template.landmarks)
    from_mean = model - model.mean()
    turn = complex(np.vdot(from_mean, points - points.mean()) / np.vdot(from_mean, from_mean))
    centre = complex(points.mean() - turn * model.mean())
    residual = np.sqrt(np.mean(np.abs(points - turn * model - centre) ** 2))
    if not residual <= MAX_RESIDUAL * abs(turn) or turn == 0:
        return None
    return Square(Point(centre.real, centre.imag), abs(turn), cmath.phase(turn))


def _complex(points: tuple[Point, ...]) -> NDArray[np.complex128]:
    return np.array([complex(*point) for point in points])

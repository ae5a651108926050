"""CenterFace, a detector in a single pass with five landmarks a face."""

from __future__ import annotations

import math
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Resampling, fromarray

from mien.faces.detections import (
    CELL_PX,
    REDUCING_GAP,
    Detections,
    check_options,
    input_scale,
    needs_px_for,
    smallest_face_for,
)
from mien.faces.detector import require_rgb
from mien.faces.template import CENTERFACE
from mien.runtime import make_session
from mien.types import Face, Image

__all__ = ["CenterFace"]

# The longer side, in pixels of its input, from which the detector finds a face reliably: of the
# 29 faces of the Solvay photograph of 1927, 12 to 21 pixels there, the lowest score is 0.56.
WORKABLE_FACE_PX = 16
THRESHOLD = 0.4  # of the detection score
STRIDE = 32  # of the network's coarsest layer: input sides are multiples of it


class CenterFace:
    """A detector that is quick on one core, with five landmarks per face.

    Threads may share one: its session is created here and never changes.

    Args:
        min_face_px: the longer side, in pixels of the image, of the smallest face to look
            for. A larger number is faster, by its square. If ``None``, a 20th of the image's
            shorter side, and at least 20. Images are never enlarged for it, and never
            looked at with more than 2048 pixels a side.
        threshold: faces with a lower score are left out, 0 to 1.
        threads: for one image; 0 leaves it to ONNX Runtime.
        same_size: the images will all have one size, as those of a video; memory is then kept
            from one to the next.
        device: ``auto`` or one of :data:`mien.runtime.DEVICES`.

    Raises:
        ConfigError: an argument is out of range.

    Source:
        Xu et al. 2019, CenterFace: Joint Face Detection and Alignment Using Face as Point.
    """

    def __init__(
        self,
        *,
        min_face_px: int | None = None,
        threshold: float = THRESHOLD,
        threads: int = 0,
        same_size: bool = False,
        device: str = "cpu",
    ) -> None:
        check_options(min_face_px, threshold)
        self.min_face_px = min_face_px
        self.needs_px = needs_px_for(min_face_px)
        self.smallest_face = smallest_face_for(min_face_px)
        self.template = CENTERFACE
        self.threshold = threshold
        weights = resources.files("mien") / "assets" / "centerface.onnx"
        # Memory kept would stay that of the largest image; without it, the memory of a video
        # swings between 300 and 400 MB instead of staying at 255.
        self._session = make_session(
            weights.read_bytes(), device=device, threads=threads, keep_memory=same_size
        )

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces of an RGB image uint8 (H, W, 3), most confident first.

        Raises:
            InputError: the image is not uint8 (H, W, 3).
        """
        require_rgb(image)
        height, width = image.shape[:2]
        scale = input_scale((height, width), self.min_face_px, WORKABLE_FACE_PX)
        blob, size_hw = _to_input(image, scale)
        maps = self._session.run(["heatmap", "log_size", "offset", "landmarks"], {"image": blob})
        found = _decode(*(each[0] for each in maps), threshold=self.threshold)
        return found.to_faces((width / size_hw[1], height / size_hw[0]))


def _to_input(image: Image, scale: float) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Return the detector's input, float32 (1, 3, h, w), and the image's size inside it.

    The image is resized in proportion; black to the right and below fills up the stride.
    """
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    picture = fromarray(image)
    if picture.size != (width, height):  # a triangle over all source pixels, so nothing aliases
        picture = picture.resize((width, height), Resampling.BILINEAR, reducing_gap=REDUCING_GAP)
    padded_hw = (math.ceil(side / STRIDE) * STRIDE for side in (height, width))
    blob = np.zeros((1, 3, *padded_hw), np.float32)
    blob[0, :, :height, :width] = np.asarray(picture).transpose(2, 0, 1)
    return blob, (height, width)


def _decode(
    heatmap: NDArray[np.float32],
    log_size: NDArray[np.float32],
    offset: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    *,
    threshold: float,
) -> Detections:
    """Read the network's maps, each (channels, rows, columns).

    Channels: 1 score; logarithms of height and width in cells; offset of the centre from
    the cell's, y and x in cells; five landmarks, y and x in parts of the box.
    """
    rows, columns = np.nonzero(heatmap[0] > threshold)
    scores = heatmap[0, rows, columns]
    size = np.exp(log_size[::-1, rows, columns].T) * CELL_PX
    cells = np.stack([columns, rows], axis=1) + 0.5
    centres = (cells + offset[::-1, rows, columns].T) * CELL_PX
    boxes = np.concatenate([centres - size / 2, size], axis=1).astype(np.float32)
    parts = landmarks[:, rows, columns].T.reshape(-1, 5, 2)[:, :, ::-1]
    points = parts * boxes[:, None, 2:] + boxes[:, None, :2]
    return Detections(boxes, scores, points).without_overlaps()

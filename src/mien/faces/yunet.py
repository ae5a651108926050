"""YuNet, a detector in a single pass with five landmarks a face: the default one.

``tools/make_yunet.py`` made its file from libfacedetection's own weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from mien.faces.alignment import Aligner
from mien.faces.detections import (
    REDUCING_GAP,
    Detections,
    check_options,
    input_scale,
    needs_px_for,
    smallest_face_for,
)
from mien.faces.detector import require_rgb
from mien.faces.template import YUNET
from mien.runtime import make_session
from mien.types import Face, Image

__all__ = ["YuNet"]

STRIDES = (8, 16, 32)  # input pixels per cell of each map; input sides are multiples of the last
WORKABLE_FACE_PX = 16
THRESHOLD = 0.6  # of the detection score

# A photo lacks contrast, being dim or hazy, if all but the darkest and the brightest 0.5 % of its
# values lie this close together. It is then looked at a second time, stretched until they are
# black and white: of 75 faces at 3 % of their light YuNet finds none as they are, and all after
# it. The first look keeps faces that stand in their own light in the dark. More gain than 30
# would only enlarge the steps of 8 bits.
LOW_RANGE = 128
TAIL = 0.005
MAX_GAIN = 30.0


class YuNet:
    """The default detector: 54,000 weights, a fraction of CenterFace's time.

    Its own landmarks stay level however a face is rolled, so each face gets those that
    CenterFace's network sees in a small view of it.

    Threads may share one: its sessions are created here and never change. Dim and hazy
    images are looked at a second time, stretched.

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
        Wu, Peng and Yu 2023, YuNet: A Tiny Millisecond-level Face Detector.
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
        self.threshold = threshold
        self.template = YUNET
        self.aligner = Aligner(threads=threads, device=device)
        weights = resources.files("mien") / "assets" / "yunet.onnx"
        # Memory kept would stay that of the largest image.
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
        resized = _resized(image, scale)
        looks = [self._look(each) for each in (resized, *_stretched(resized))]
        found = Detections(*(np.concatenate(parts) for parts in zip(*looks, strict=True)))
        scale_xy = (width / resized.width, height / resized.height)
        return self.aligner(image, found.without_overlaps().to_faces(scale_xy))

    def _look(self, resized: PillowImage.Image) -> Detections:
        stride = STRIDES[-1]  # black to the right and below fills it up
        height, width = (math.ceil(side / stride) * stride for side in resized.size[::-1])
        pixels = np.zeros((1, height, width, 3), np.uint8)
        pixels[0, : resized.height, : resized.width] = np.asarray(resized)
        maps = self._session.run(["stride_8", "stride_16", "stride_32"], {"image": pixels})
        return decode(maps, self.threshold)


def decode(maps: Sequence[NDArray[np.float32]], threshold: float) -> Detections:
    """Return what the network's maps, each (1, 16, rows, columns), say; boxes overlap.

    Channels: logits of the class and of the object, the root of whose probabilities' product is
    the score; the box's centre, x and y in cells from the cell's corner; logarithms of its width
    and height in cells; five landmarks, x and y in cells from the cell's corner.
    """
    levels = [
        _decode_level(level[0], stride, threshold)
        for level, stride in zip(maps, STRIDES, strict=True)
    ]
    return Detections(*(np.concatenate(parts) for parts in zip(*levels, strict=True)))


def _decode_level(level: NDArray[np.float32], stride: int, threshold: float) -> Detections:
    with np.errstate(over="ignore"):  # exp of a very negative logit is infinite: a score of 0
        inverse = (1 + np.exp(-level[0])) * (1 + np.exp(-level[1]))
    rows, columns = np.nonzero(inverse < threshold**-2)
    values = level[:, rows, columns]
    corners = np.stack([columns, rows]).astype(np.float32)
    sizes = np.exp(values[4:6]) * stride
    starts = (values[2:4] + corners) * stride - sizes / 2
    points = (values[6:].reshape(5, 2, -1) + corners) * stride
    scores = inverse[rows, columns] ** -0.5
    return Detections(np.concatenate([starts, sizes]).T, scores, points.transpose(2, 0, 1))


def _resized(image: Image, scale: float) -> PillowImage.Image:
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    whole = PillowImage.fromarray(image)
    if whole.size == (width, height):
        return whole
    # a triangle over all source pixels, so that nothing aliases
    return whole.resize((width, height), PillowImage.Resampling.BILINEAR, reducing_gap=REDUCING_GAP)


def _stretched(resized: PillowImage.Image) -> Iterator[PillowImage.Image]:
    """Yield an image of low contrast stretched to all of it, and nothing for any other image."""
    counts = np.array(resized.histogram()).reshape(3, 256).sum(axis=0)
    below = np.cumsum(counts) / counts.sum()
    dark, bright = np.searchsorted(below, (TAIL, 1 - TAIL)).tolist()
    if bright - dark < LOW_RANGE:
        values = (np.arange(256) - dark) * min(255 / max(bright - dark, 1), MAX_GAIN)
        table = np.clip(np.rint(values), 0, 255).astype(int).tolist()
        yield resized.point(table * 3)

"""From a listing to crops: pictures are opened, faces found and cut out.

How faces are found comes in as an object, so that this layer needs no detector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Resampling, fromarray

from mien import images
from mien.data.datasets.common import Framing, Listing, Sample
from mien.errors import DataError, ImageError, VideoError
from mien.types import CROP_HW, Box, Crops, Image

__all__ = [
    "CropFace",
    "Faces",
    "MiddleFrame",
    "Unlabelled",
    "collect",
    "collect_unlabelled",
    "whole_as_crop",
]

#: Reads the middle frame of a video; raises :class:`~mien.errors.VideoError`.
MiddleFrame = Callable[[Path], Image]


class CropFace(Protocol):
    """Finds the labelled face of a picture and cuts it out as the model's card says."""

    def __call__(self, image: Image, box: Box | None = None) -> Crops:
        """Return one crop, or none if no face is found.

        Args:
            box: where the labelled face is said to be; the largest face if ``None``.
        """
        ...


@dataclass(frozen=True)
class Faces:
    """Labelled crops, one row each, in the order of their listing.

    Attributes:
        crops: uint8 (N, 48, 48, 1).
        emotion: int64 (N,), column in :data:`mien.types.EMOTIONS`.
        names: what each is called; see :class:`~mien.data.datasets.common.Sample`.
        persons: the same text for the same person; empty where it is not known.
        groups: the rows' values by the name of the group, empty where not known.
        no_face: the names of pictures in which the labelled face was not found.
        skipped: one line for every picture that could not be read.
        dropped: how many labelled pictures have no place here, by the reason.
    """

    crops: Crops
    emotion: NDArray[np.int64]
    names: tuple[str, ...]
    persons: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    no_face: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.emotion)


def collect(
    listing: Listing,
    crop_face: CropFace,
    middle_frame: MiddleFrame,
    *,
    skip_bad: bool = False,
    on_sample: Callable[[int, int], None] = lambda done, total: None,
) -> Faces:
    """Open every picture of a listing and cut its face out.

    A picture without a face is left out and named in ``no_face``.

    Args:
        skip_bad: name pictures that cannot be read in ``skipped``, instead of stopping.
        on_sample: called with (done, total).

    Raises:
        DataError: a picture cannot be read, or no face is found in any.
    """
    crops: list[Crops] = []
    kept: list[Sample] = []
    no_face: list[str] = []
    skipped: list[str] = []
    for done, sample in enumerate(listing.samples, start=1):
        try:
            found = _crop(sample, listing.framing, crop_face, middle_frame)
        except (ImageError, VideoError, OSError) as error:
            message = f"{sample.name}: {error}"
            if not skip_bad:
                raise DataError(f"{message}; to leave such files out, say --skip-bad") from None
            skipped.append(message)
        else:
            if len(found):
                crops.append(found[:1])
                kept.append(sample)
            else:
                no_face.append(sample.name)
        on_sample(done, len(listing.samples))
    if not crops:
        raise DataError(
            f"no face was found in any of {len(listing.samples)} pictures "
            f"({len(skipped)} could not be read)"
        )
    return Faces(
        np.concatenate(crops),
        np.array([sample.emotion for sample in kept], np.int64),
        tuple(sample.name for sample in kept),
        tuple(sample.person for sample in kept),
        _groups(kept),
        tuple(no_face),
        tuple(skipped),
        listing.dropped,
    )


@dataclass(frozen=True)
class Unlabelled:
    """The faces of a folder of images, without labels.

    Attributes:
        crops: uint8 (N, 48, 48, 1).
        images: how many files there are.
        no_face: how many of them have no face.
        skipped: one line for every file that could not be read.
    """

    crops: Crops
    images: int
    no_face: int
    skipped: tuple[str, ...]


def collect_unlabelled(
    folder: Path,
    crop_faces: Callable[[Image], Crops],
    *,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> Unlabelled:
    """Open every image below a folder and cut its faces out.

    Args:
        crop_faces: returns the crops (N, 48, 48, 1) of an image; N may be 0.
        on_image: called with (done, total).

    Raises:
        DataError: no face is found in any image.
    """
    found: list[Crops] = []
    skipped: list[str] = []
    files = images.find_images(folder)
    for done, file in enumerate(files, start=1):
        try:
            found.append(crop_faces(images.read(file)))
        except ImageError as error:
            skipped.append(f"{file}: {error}")
        on_image(done, len(files))
    if sum(map(len, found)) == 0:
        raise DataError(
            f"no face in {folder} ({len(files)} pictures): expected photos of faces, or face "
            "crops with --cropped"
        )
    no_face = sum(len(crops) == 0 for crops in found)
    return Unlabelled(np.concatenate(found), len(files), no_face, tuple(skipped))


def whole_as_crop(image: Image) -> Crops:
    """Return the picture's central square as a crop, uint8 (1, 48, 48, 1), in grey.

    Each pixel is the mean of the pixels under it, as in crops that are cut out.
    """
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = fromarray(image[top : top + side, left : left + side]).convert("L")
    how = Resampling.BOX if side >= CROP_HW[0] else Resampling.BILINEAR
    return np.asarray(square.resize(CROP_HW, how), np.uint8)[None, ..., None]


def _crop(
    sample: Sample, framing: Framing, crop_face: CropFace, middle_frame: MiddleFrame
) -> Crops:
    if framing == "clip":
        return crop_face(middle_frame(sample.file), sample.box)
    image = images.read(sample.file)
    return whole_as_crop(image) if framing == "crop" else crop_face(image, sample.box)


def _groups(samples: Sequence[Sample]) -> dict[str, tuple[str, ...]]:
    names = dict.fromkeys(name for sample in samples for name in sample.groups)
    return {name: tuple(sample.groups.get(name, "") for sample in samples) for name in names}

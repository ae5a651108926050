"""Resampling, held to OpenCV's, with which the networks' training data was degraded."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.evaluation.resampling import averaged, cubic, linear, warped


@pytest.fixture
def image() -> NDArray[np.float32]:
    """Smooth noise, as different along rows as along columns."""
    coarse = np.random.default_rng(0).uniform(0, 255, (7, 9)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (48, 40), interpolation=cv2.INTER_CUBIC))


@pytest.mark.parametrize("size", [(32, 24), (10, 16), (6, 7), (40, 48)])
def test_a_smaller_image_has_the_means_of_areas(
    image: NDArray[np.float32], size: tuple[int, int]
) -> None:
    expected = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)

    np.testing.assert_allclose(averaged(image, *size), expected, atol=1e-2)


@pytest.mark.parametrize(
    ("resize", "method"), [(linear, cv2.INTER_LINEAR), (cubic, cv2.INTER_CUBIC)]
)
@pytest.mark.parametrize("size", [(48, 50), (96, 64), (40, 48)])
def test_a_larger_image_is_interpolated(
    image: NDArray[np.float32], resize: object, method: int, size: tuple[int, int]
) -> None:
    expected = cv2.resize(image, size[::-1], interpolation=method)

    np.testing.assert_allclose(resize(image, *size), expected, atol=1e-2)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("degrees", "zoom", "shift"),
    [(0, 1, (0, 0)), (0, 1, (0.1, -0.2)), (25, 1, (0, 0)), (0, 0.8, (0, 0)), (-20, 1.2, (0.1, 0))],
)
def test_a_warped_image_turns_grows_and_moves(
    image: NDArray[np.float32], degrees: float, zoom: float, shift: tuple[float, float]
) -> None:
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, zoom)
    matrix[:, 2] += (shift[0] * width, shift[1] * height)
    expected = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )

    # OpenCV may round positions to 1/32 of a pixel.
    np.testing.assert_allclose(warped(image, degrees, zoom, shift), expected, atol=2)


def test_an_image_of_one_grey_stays_as_it_is() -> None:
    grey = np.full((12, 12), 77, np.uint8)

    for found in (averaged(grey, 5, 5), linear(grey, 30, 31), cubic(grey, 30, 31)):
        np.testing.assert_allclose(found, 77, rtol=1e-5)

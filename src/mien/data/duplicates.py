"""Pictures that stand in a data set more than once: pixel by pixel, or nearly."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors

from mien.types import CROP_HW, Crops

__all__ = ["SAME_PICTURE", "exact_groups", "near_groups", "repeated"]

#: Correlation of two pictures' pixels from which they are the same picture: in FER2013, pairs
#: above it are copies that were compressed, lit, cut or sized a little differently, and at 0.93
#: the first are two photographs of one face.
SAME_PICTURE = 0.95

_THUMBNAIL_PX = 12  # for looking through all pairs; what is alike there is compared in full
_THUMBNAIL_MARGIN = 0.01  # by which two thumbnails may be less alike than their pictures


def exact_groups(crops: Crops) -> NDArray[np.int64]:
    """Return int64 (N,): the number of each crop's group; all pixels of a group are equal."""
    flat = np.ascontiguousarray(crops).reshape(len(crops), math.prod(CROP_HW))
    whole = flat.view(np.dtype((np.void, flat.shape[1]))).ravel()
    return np.asarray(np.unique(whole, return_inverse=True)[1], np.int64)


def near_groups(crops: Crops, correlation: float = SAME_PICTURE) -> NDArray[np.int64]:
    """Return int64 (N,): the number of each crop's group; its members are the same picture.

    Two crops are the same if their pixels, or one's and the other's mirror image, correlate
    at least this much, so that brightness and contrast do not count; or if they are equal.
    A crop belongs to a group if it is the same as one of its members.
    """
    exact = exact_groups(crops)
    first = np.unique(exact, return_index=True)[1]
    pictures = crops[first, :, :, 0].astype(np.float32)
    left, right = _alike(pictures, correlation)
    links = coo_array((np.ones(len(left), bool), (left, right)), shape=(len(first), len(first)))
    merged = connected_components(links, directed=False)[1]
    return np.asarray(merged[exact], np.int64)


def repeated(groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the rows of every group of more than one, ascending, in order of the first."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order])) + 1
    found = [rows for rows in np.split(order, starts) if len(rows) > 1]
    return sorted(found, key=lambda rows: int(rows[0]))


def _alike(
    pictures: NDArray[np.float32], correlation: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the two rows of every pair of alike pictures."""
    whole = _centred(pictures.reshape(len(pictures), math.prod(CROP_HW)))
    usable = np.flatnonzero(whole.any(axis=1))  # one colour all over is like nothing
    if len(usable) < 2:
        return usable[:0], usable[:0]
    whole = whole[usable]
    mirrored = whole.reshape(-1, *CROP_HW)[:, :, ::-1].reshape(len(whole), -1)
    small = _centred(_thumbnails(pictures[usable]))
    turned = _centred(_thumbnails(pictures[usable, :, ::-1]))
    # unit vectors that correlate by r are sqrt(2 - 2 r) apart
    radius = float(np.sqrt(2 - 2 * (correlation - _THUMBNAIL_MARGIN)))
    index = NearestNeighbors(radius=radius, algorithm="brute").fit(small)
    pairs: list[NDArray[np.int64]] = []
    for query, full in ((small, whole), (turned, mirrored)):
        near = index.radius_neighbors(query, return_distance=False)
        left = np.repeat(np.arange(len(near)), [len(each) for each in near])
        right = np.concatenate(near).astype(np.int64)
        left, right = left[left < right], right[left < right]
        same = np.einsum("ij,ij->i", full[left], whole[right]) >= correlation
        pairs.append(np.stack([left[same], right[same]]))
    left, right = np.concatenate(pairs, axis=1)
    return usable[left], usable[right]


def _thumbnails(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    step = CROP_HW[0] // _THUMBNAIL_PX
    blocks = pictures.reshape(len(pictures), _THUMBNAIL_PX, step, _THUMBNAIL_PX, step)
    return np.asarray(blocks.mean(axis=(2, 4)).reshape(len(pictures), -1), np.float32)


def _centred(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows of mean 0 and length 1, or all 0 where a row is constant."""
    moved = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.where(length > 1e-3, moved / np.maximum(length, 1e-3), 0).astype(np.float32)

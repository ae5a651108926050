"""Detectors by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from mien.errors import ConfigError
from mien.faces.centerface import CenterFace
from mien.faces.detector import Detector
from mien.faces.looks import default_detector

__all__ = ["DEFAULT_DETECTOR", "DETECTORS", "open_detector"]

#: mien's own detectors. Others plug in by an entry point of the group ``mien.detectors``: a
#: callable that takes the keyword arguments of :func:`open_detector`.
DETECTORS: dict[str, Callable[..., Detector]] = {
    "yunet": default_detector,
    "centerface": CenterFace,
}

#: What is used where none is named.
DEFAULT_DETECTOR = "yunet"


def open_detector(name: str | None = None, **options: Any) -> Detector:
    """Open a detector by its name.

    Args:
        name: one of :data:`DETECTORS`, or of an installed package's; the default if ``None``.
        options: ``min_face_px``, ``threshold``, ``threads``, ``same_size`` and ``device``, as for
            :class:`CenterFace`.

    Raises:
        ConfigError: there is no detector of this name, or an option is out of range.
    """
    name = DEFAULT_DETECTOR if name is None else name
    opener = DETECTORS.get(name)
    if opener is None:
        plugged = {each.name: each for each in entry_points(group="mien.detectors")}
        if name not in plugged:
            known = ", ".join([*DETECTORS, *plugged])
            raise ConfigError(f"no detector '{name}': choose one of {known}")
        opener = plugged[name].load()
    detector: Detector = opener(**options)
    return detector

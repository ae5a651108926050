"""The notice as the service gives it: on its pages and in ``/model_info``."""

from __future__ import annotations

from mien import notice

__all__ = ["NOTICE"]

NOTICE: tuple[str, ...] = (
    *map(str, notice.NOTICE),
    "Images are read in memory and forgotten: none is stored, logged or sent on.",
)

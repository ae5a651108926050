"""The predictor that the options of a command choose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.predictor import Predictor

__all__ = ["Choice"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What the options that reading commands share say; see :mod:`mien.cli.options`."""

    model: Path | None = None
    head: str | None = None
    device: str = "auto"
    detector: str | None = None
    smallest_px: int | None = None
    min_score: float = 0.0
    min_face_px: int = 0

    def open(
        self, *, threads: int = 0, detector_threads: int | None = None, same_size: bool = False
    ) -> Predictor:
        """Open the predictor.

        Args:
            threads: of the network.
            detector_threads: of the detector; as many if ``None``.
            same_size: see :class:`mien.faces.CenterFace`.

        Raises:
            ModelError, ConfigError, MissingExtra: as :func:`mien.predictor.open_predictor`.
        """
        from mien.faces import open_detector
        from mien.predictor import open_predictor

        detector = open_detector(
            self.detector,
            min_face_px=self.smallest_px,
            threads=threads if detector_threads is None else detector_threads,
            same_size=same_size,
            device=self.device,
        )
        return open_predictor(
            self.model,
            head=self.head,
            detector=detector,
            device=self.device,
            threads=threads,
            min_score=self.min_score,
            min_face_px=self.min_face_px,
        )

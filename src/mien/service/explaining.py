"""What readings rest on, by the engine that everybody shares: never in its way for long.

A face is 82 crops. They go through the micro-batcher a batch at a time, so that other
callers' crops come in between, and of one picture only so many faces are explained.
"""

from __future__ import annotations

import time
from typing import Any

from mien.explain import Explanation, Occlusion
from mien.faces import Framer, crop_corners
from mien.service.engine import Engine, Outcome
from mien.types import Crops

__all__ = ["add_explanations", "explain_faces"]

_OCCLUSION = Occlusion()
_DIGITS = 4  # of the probabilities in a map: 15 kB a face


async def explain_faces(engine: Engine, outcome: Outcome, most: int) -> tuple[Explanation, ...]:
    """Explain the first faces of an image, at most ``most``.

    The time that this takes is added to the outcome's.
    """
    crops = outcome.crops.pixels[:most]
    if len(crops) == 0:
        return ()
    start = time.perf_counter()
    with engine.timed("explain"):
        found = [await _explain(engine, crops[at : at + 1]) for at in range(len(crops))]
    spent_ms = (time.perf_counter() - start) * 1000
    outcome.timings_ms["explain"] = spent_ms
    outcome.timings_ms["total"] += spent_ms
    return tuple(found)


def add_explanations(
    faces: list[dict[str, Any]],
    outcome: Outcome,
    explanations: tuple[Explanation, ...],
    framer: Framer,
) -> None:
    """Give each face, as JSON, its ``explanation``; ``null`` to those beyond the limit."""
    for face in faces:
        face["explanation"] = None
    for face, reading, why in zip(faces, outcome.readings, explanations, strict=False):
        region = why.region
        face["explanation"] = {
            "label": why.label,
            "probability": why.probability,
            "map": [[round(value, _DIGITS) for value in row] for row in why.heatmap.tolist()],
            "corners": [list(point) for point in crop_corners(reading.face, framer)],
            "region": region._asdict(),
            "probability_without": why.hidden,
        }


async def _explain(engine: Engine, crop: Crops) -> Explanation:
    hidden = await engine.on_thread(lambda: _OCCLUSION.batch(crop))
    logits = await engine.classify(hidden)
    predictor, size_hw = engine.predictor, (crop.shape[1], crop.shape[2])
    return await engine.on_thread(
        lambda: _OCCLUSION.explanation(predictor.probabilities(logits), predictor.labels, size_hw)
    )

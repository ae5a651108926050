"""From a finished run to the files that others use: weights, graph, card.

    models/best_model.keras          the network with its softmax heads, plain Keras layers
    models/best_model.card.json      its card
    models/model_architecture.json   its layers, as ``keras.models.model_from_json`` reads them
    src/mien/assets/glance.onnx      logits of every head from raw crops
    src/mien/assets/glance.card.json the same card

The graph is written only if its logits are the network's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

import mien
from mien.card import Confidence, ModelCard, record_of, write_card
from mien.confidence import fit_confidence
from mien.errors import ConfigError, ModelError
from mien.runtime import OnnxSession, Session
from mien.train import nets
from mien.train.data import FERPLUS_LABELS, Dataset, hold_out
from mien.train.evaluate import card_metrics, classify, evaluate, truth_of
from mien.train.files import replacing
from mien.train.onnx_graph import write_onnx
from mien.train.recipes import Recipe, load_recipe
from mien.train.runs import Origins, check_same_data, read_origins, trained_model
from mien.types import EMOTIONS, CropGeometry, Crops, Logits

__all__ = ["GEOMETRY", "Exported", "export_run", "parity"]

#: How CenterFace's box lies in FER2013's frame: ``scripts/measure_crop_geometry.py``.
GEOMETRY = CropGeometry(scale=1.07, shift_y=-0.02)

#: Largest difference between the logits of two forms of one network.
TOLERANCE = 1e-4

HEAD_LABELS = {"emotion": EMOTIONS, "ferplus": FERPLUS_LABELS, "second_opinion": EMOTIONS}
_PARITY_CROPS = 256


@dataclass(frozen=True)
class Exported:
    """What an export wrote, and how far the graph's logits lie from the network's."""

    card: ModelCard
    files: tuple[Path, ...]
    parity: float


def export_run(
    run_dir: Path,
    dataset: Dataset,
    models_dir: Path,
    onnx_path: Path,
    *,
    geometry: CropGeometry = GEOMETRY,
    on_crops: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Export a run, fit its confidence on its held-out rows and judge it on the test splits.

    Args:
        dataset: the data that the run was trained on; its held-out rows are drawn again
            by the recipe's ``validation_split`` and ``seed``.
        models_dir: where the Keras file, its card and the architecture go.
        onnx_path: ``<name>.onnx``; its card goes beside it. The name is the model's name.
        on_crops: called with (done, total) while the test splits are judged.

    Raises:
        ConfigError: the run held nothing out, so that no confidence can be fitted.
        TrainingError: the run holds no weights, or was trained on other data.
        ModelError: the graph's logits differ from the network's; nothing is written then.
    """
    recipe = load_recipe(run_dir / "recipe.yaml")
    check_same_data(run_dir, dataset)
    _, held_out = hold_out(dataset, recipe.training.validation_split, recipe.training.seed)
    if len(held_out) == 0:
        raise ConfigError("the run held no rows out (validation_split is 0): nothing to fit on")
    model = trained_model(run_dir)
    logits_model = nets.logits_of(model)
    card = _card(onnx_path.stem, recipe, model, geometry, read_origins(run_dir))

    with replacing(onnx_path) as beside:
        write_onnx(nets.with_features(model), beside)
        rows = dataset.crops[held_out[:_PARITY_CROPS]]
        distance = parity(logits_model, beside, card, rows)
        judged = _judged(beside, card, dataset, held_out, on_crops)
    keras_path = models_dir / "best_model.keras"
    with replacing(keras_path) as beside:
        model.save(beside)
    architecture = models_dir / "model_architecture.json"
    with replacing(architecture) as beside:
        content = json.loads(model.to_json())
        beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    files = {path.name: record_of(path) for path in (keras_path, onnx_path)}
    finished = replace(judged, files=files)
    cards = [path.with_name(f"{path.stem}.card.json") for path in (keras_path, onnx_path)]
    for path in cards:
        write_card(finished, path)
    return Exported(finished, (keras_path, architecture, onnx_path, *cards), distance)


def parity(logits_model: keras.Model, onnx_path: Path, card: ModelCard, crops: Crops) -> float:
    """Return the largest difference of any logit, on ``crops`` and on random ones.

    Raises:
        ModelError: it is above :data:`TOLERANCE`.
    """
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (64, *card.input_hw, 1), np.uint8)
    probe = np.concatenate([noise, np.zeros_like(noise[:1]), np.full_like(noise[:1], 255), crops])
    expected = logits_model.predict_on_batch(probe.astype(np.float32))
    distance = max(
        float(np.abs(expected[head] - OnnxSession(onnx_path, card.with_head(head))(probe)).max())
        for head in card.heads
    )
    if not distance <= TOLERANCE:
        raise ModelError(
            f"the ONNX graph's logits differ from the network's by {distance:.2g}, "
            f"expected at most {TOLERANCE:g}; nothing was written"
        )
    return distance


def _card(
    name: str,
    recipe: Recipe,
    model: keras.Model,
    geometry: CropGeometry,
    origins: Origins,
) -> ModelCard:
    cost = nets.summarise(model)
    heads = {head: HEAD_LABELS[head] for head in nets.logits_of(model).output}
    voted = " and FER+ votes" if recipe.training.ferplus_weight > 0 and "ferplus" in heads else ""
    return ModelCard(
        name=name,
        version=mien.__version__,
        heads=heads,
        geometry=geometry,
        parameters=cost.parameters,
        multiply_adds=cost.multiply_adds,
        data=f"FER2013's Training split{voted}",
        protocol=(
            f"{recipe.training.validation_split:.0%} of Training held out, stratified, exact "
            f"duplicates on one side; weights of the {recipe.training.keep} epoch; temperature "
            "and thresholds fitted on the held-out rows; nothing trained or fitted on "
            f"PublicTest or PrivateTest{_descent(origins)}"
        ),
        recipe=recipe.to_dict(),
        intended_use=_INTENDED_USE,
        prohibited_use=_PROHIBITED_USE,
    )


def _descent(origins: Origins) -> str:
    """Say which models the run built on; eight digits of a SHA-256 name one."""
    began = f"; began with the weights of {origins.start[:8]}" if origins.start else ""
    teachers = " and ".join(teacher[:8] for teacher in origins.teachers)
    return began + (f"; taught by {teachers}" if teachers else "")


def _judged(
    onnx_path: Path,
    card: ModelCard,
    dataset: Dataset,
    held_out: NDArray[np.int64],
    on_crops: Callable[[int, int], None],
) -> ModelCard:
    """Return the card with its confidence fitted and its figures filled in."""
    heads = [head for head in card.heads if head != "ferplus" or dataset.votes is not None]
    rows = dataset.take(held_out)
    fitted = {
        head: _fit(OnnxSession(onnx_path, card.with_head(head)), head, rows) for head in heads
    }
    first = next(iter(card.heads))
    calibrated = replace(card, confidence=fitted.pop(first), head_confidence=fitted)
    sessions: list[Session] = [OnnxSession(onnx_path, calibrated.with_head(head)) for head in heads]
    results = evaluate(sessions, dataset, flip=True, on_crops=on_crops)
    return replace(calibrated, metrics=card_metrics(results))


def _fit(session: Session, head: str, rows: Dataset) -> Confidence:
    truth, usable = truth_of(head, rows)
    logits: Logits = classify(session, rows.crops[usable])
    return fit_confidence(logits, truth[usable])


_INTENDED_USE = (
    "Reading the facial expression that a person shows in a picture, frontal faces above all: "
    "research, teaching, interfaces, art, statistics over many faces. An expression is not a "
    "feeling: what a face shows says little about what its owner feels."
)
_PROHIBITED_USE = (
    "Decisions about single people (work, school, credit, policing, borders, health, lie "
    "detection); inferring emotions at work or in education, which Regulation (EU) 2024/1689, "
    "Article 5(1)(f), forbids; watching people without their knowledge."
)

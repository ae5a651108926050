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

from mien.calibration import fit_calibration
from mien.card import Framing, Head, ModelCard, record_of, write_card
from mien.data import FERPLUS_LABELS, Dataset, hold_out
from mien.errors import ConfigError, ModelError
from mien.evaluation.evaluate import card_metrics, classify, evaluate, heads_with_truth, truth_of
from mien.files import atomic_write
from mien.notice import INTENDED_USE, PROHIBITED_USE
from mien.runtime import OnnxSession
from mien.train import nets
from mien.train.onnx_graph import write_onnx
from mien.train.recipes import Recipe, load_recipe
from mien.train.runs import Origins, check_same_data, read_origins, trained_model
from mien.types import EMOTIONS, Crops

__all__ = ["Exported", "export_run", "parity"]

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
    version: str = "1",
    framing: Framing | None = None,
    on_crops: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Export a run, fit its confidence on its held-out rows and judge it on the test splits.

    Args:
        dataset: the data that the run was trained on; its held-out rows are drawn again
            by the recipe's ``validation_split`` and ``seed``.
        models_dir: where the Keras file, its card and the architecture go.
        onnx_path: ``<name>.onnx``; its card goes beside it. The name is the model's name.
        version: of these weights, in their card: another one for each run of a name.
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
    card = _card(
        onnx_path.stem, version, recipe, model, framing or Framing(), read_origins(run_dir)
    )

    with atomic_write(onnx_path) as temporary:
        write_onnx(nets.with_features(model), temporary)
        rows = dataset.crops[held_out[:_PARITY_CROPS]]
        distance = parity(logits_model, temporary, card, rows)
        judged = _judged(temporary, card, dataset, held_out, on_crops)
    keras_path = models_dir / "best_model.keras"
    with atomic_write(keras_path) as temporary:
        model.save(temporary)
    architecture = models_dir / "model_architecture.json"
    with atomic_write(architecture) as temporary:
        content = json.loads(model.to_json())
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

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
    noise = generator.integers(0, 256, (64, *card.framing.size_hw, 1), np.uint8)
    probe = np.concatenate([noise, np.zeros_like(noise[:1]), np.full_like(noise[:1], 255), crops])
    expected = logits_model.predict_on_batch(probe.astype(np.float32))
    distance = max(
        float(np.abs(expected[head] - logits).max())
        for head, logits in OnnxSession(onnx_path, card)(probe).items()
    )
    if not distance <= TOLERANCE:
        raise ModelError(
            f"the ONNX graph's logits differ from the network's by {distance:.2g}, "
            f"expected at most {TOLERANCE:g}; nothing was written"
        )
    return distance


def _card(
    name: str,
    version: str,
    recipe: Recipe,
    model: keras.Model,
    framing: Framing,
    origins: Origins,
) -> ModelCard:
    cost = nets.summarise(model)
    heads = {head: Head(HEAD_LABELS[head]) for head in nets.logits_of(model).output}
    voted = " and FER+ votes" if recipe.training.ferplus_weight > 0 and "ferplus" in heads else ""
    return ModelCard(
        name=name,
        version=version,
        heads=heads,
        framing=framing,
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
        intended_use=INTENDED_USE,
        prohibited_use=PROHIBITED_USE,
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
    """Return the card with its calibration fitted and its figures filled in."""
    rows = dataset.take(held_out)
    logits = classify(OnnxSession(onnx_path, card), rows.crops)
    heads = dict(card.heads)
    for name in heads_with_truth(card, dataset):
        truth, usable = truth_of(name, rows)
        fitted = fit_calibration(logits[name][usable], truth[usable])
        heads[name] = replace(heads[name], calibration=fitted)
    calibrated = replace(card, heads=heads)
    results = evaluate(OnnxSession(onnx_path, calibrated), dataset, flip=True, on_crops=on_crops)
    return replace(calibrated, metrics=card_metrics(results))

"""A model fitted to one's own faces without labels, and the truth about what that brought.

Batch normalisation remembers mean and variance of what each layer saw in training. Other
cameras and other light move them; putting the faces' own in their place often helps, and
needs no label. Everything else stays as it was trained.

Source:
    Li et al., "Revisiting Batch Normalization For Practical Domain Adaptation", 2016
    (AdaBN); Schneider et al., "Improving robustness against common corruptions by covariate
    shift adaptation", NeurIPS 2020, for the weight of the old statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from mien.calibration import fit_calibration
from mien.card import Calibration, ModelCard, record_of, write_card
from mien.data.datasets import Faces
from mien.errors import ConfigError, DataError, ModelError
from mien.evaluation.comparison import ENOUGH_LABELLED, Comparison, compare
from mien.evaluation.cross_dataset import check_labels
from mien.evaluation.evaluate import classify
from mien.files import atomic_write
from mien.train.nets import logits_of
from mien.train.session import KerasSession
from mien.types import Crops, Logits

__all__ = [
    "MOST_FACES",
    "PRIOR",
    "Adaptation",
    "adapt",
    "cross_adapted",
    "evaluate_adapted",
    "fit_on_labelled",
    "write_adapted",
]

#: The weight of the old statistics, in faces: with as many new ones, both count the same.
#: Chosen among 0, 16, 64 and 256 on held-out Training rows: see docs/datasets.md.
PRIOR = 16

#: More faces than these are not looked at: the statistics of so many no longer move.
MOST_FACES = 2000

_BATCH = 256


@dataclass(frozen=True)
class Adaptation:
    """What was done to a network.

    Attributes:
        faces: how many the new statistics are of.
        weight: of the new statistics, a part of 1; the rest is that of the old ones.
        layers: how many layers have such statistics.
        moved: how far the means lie from the old ones, in the old standard deviations, on
            average over channels and layers; before mixing. Near 0: these faces look to the
            network as those in training did.
    """

    faces: int
    weight: float
    layers: int
    moved: float


def adapt(
    model: keras.Model,
    crops: Crops,
    *,
    prior: float = PRIOR,
    seed: int = 0,
    on_layer: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[keras.Model, Adaptation]:
    """Return a copy of a network whose normalisation goes by ``crops``, and what was done.

    Layer by layer, since what a layer sees depends on the adapted ones before it. The new
    mean and variance are ``n / (n + prior)`` of those of ``n`` crops, the rest the old ones.

    Args:
        model: functional, taking raw crops 0-255, its channels last.
        crops: uint8 (N, 48, 48, 1), unlabelled; of more than :data:`MOST_FACES`, as many
            are drawn. Which emotions they show matters: if nearly all smile, smiling
            becomes the norm.
        prior: in faces; 0 forgets the old statistics.
        on_layer: called with (done, total).

    Raises:
        DataError: there is no crop.
        ConfigError: the prior is below 0.
        ModelError: the network has no batch normalisation.
    """
    if len(crops) == 0:
        raise DataError("there is no face to adapt to")
    if not 0 <= prior < np.inf:
        raise ConfigError(f"the prior must be a number of faces from 0 on, not {prior}")
    if len(crops) > MOST_FACES:
        chosen = np.random.default_rng(seed).choice(len(crops), MOST_FACES, replace=False)
        crops = crops[np.sort(chosen)]
    weight = len(crops) / (len(crops) + prior)
    adapted = keras.models.clone_model(model)
    adapted.set_weights(model.get_weights())
    layers = [
        layer for layer in adapted.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not layers:
        raise ModelError(f"the network '{model.name}' has no batch normalisation to adapt")
    moved = []
    for done, layer in enumerate(layers, start=1):
        mean, variance = _moments(keras.Model(adapted.input, layer.input), crops)
        old_mean, old_variance = (
            keras.ops.convert_to_numpy(each) for each in (layer.moving_mean, layer.moving_variance)
        )
        layer.moving_mean.assign(weight * mean + (1 - weight) * old_mean)
        layer.moving_variance.assign(weight * variance + (1 - weight) * old_variance)
        deviation = np.sqrt(old_variance + layer.epsilon)
        moved.append(float(np.mean(np.abs(mean - old_mean) / deviation)))
        on_layer(done, len(layers))
    return adapted, Adaptation(len(crops), weight, len(layers), float(np.mean(moved)))


def cross_adapted(
    model: keras.Model,
    card: ModelCard,
    crops: Crops,
    people: Sequence[str],
    *,
    prior: float = PRIOR,
    seed: int = 0,
    on_layer: Callable[[int, int], None] = lambda done, total: None,
) -> Logits:
    """Return logits (N, C) of a network adapted to faces that it does not read.

    The faces are halved, by people where they are known; each half is read by the network
    adapted to the other half. No label is looked at.

    Raises:
        DataError: there are not two people (or faces of unknown ones) to halve.
        ConfigError, ModelError: as :func:`adapt`.
    """
    names = [person or str(row) for row, person in enumerate(people)]
    units = list(dict.fromkeys(names))
    if len(units) < 2:
        raise DataError("adaptation is judged on other people than it is done with: one is few")
    first = set(np.random.default_rng(seed).permutation(units)[: len(units) // 2].tolist())
    half = np.array([name in first for name in names])
    logits = np.empty((len(crops), len(card.labels)), np.float32)
    for done, read in enumerate((half, ~half)):

        def count(layer: int, layers: int, done: int = done) -> None:
            on_layer(done * layers + layer, 2 * layers)

        adapted, _ = adapt(model, crops[~read], prior=prior, seed=seed, on_layer=count)
        logits[read] = classify(KerasSession(adapted, card), crops[read])[card.default_head]
    return logits


def fit_on_labelled(card: ModelCard, logits: Logits, truth: NDArray[np.int64]) -> Calibration:
    """Return the calibration of the adapted model: fitted, if there are labels enough.

    Without labels nothing says how often the model is right on new faces, and no temperature
    can be found; the old one is kept, as it is with fewer than :data:`ENOUGH_LABELLED`.
    """
    if len(truth) < ENOUGH_LABELLED:
        return card.calibration
    return fit_calibration(logits, truth, coverage=card.calibration.coverage)


def evaluate_adapted(
    card: ModelCard, model: keras.Model, adapted: keras.Model, faces: Faces
) -> tuple[Comparison, Calibration]:
    """Compare a network with its adapted copy on labelled faces, and fit what they allow.

    Returns:
        The comparison, and the calibration of the adapted network: see `fit_on_labelled`.

    Raises:
        ModelError: the card's labels are not those of data sets.
    """
    check_labels(card)
    before, after = (
        classify(KerasSession(network, card), faces.crops)[card.default_head]
        for network in (model, adapted)
    )
    comparison = compare(card, before, after, faces.emotion)
    return comparison, fit_on_labelled(card, after, faces.emotion)


def write_adapted(
    model: keras.Model, card: ModelCard, adaptation: Adaptation, path: Path, crops: Crops
) -> tuple[Path, Path]:
    """Write the network as ``.keras`` or ``.onnx``, and its card; return both paths.

    The card is named after the whole file, so that it is no other model's. Figures of the
    model as it was are left out: they are not this one's.

    Args:
        card: with the calibration of the adapted model.
        crops: some that an ONNX graph is held against the network on.

    Raises:
        ConfigError: another ending.
        ModelError: an ONNX graph cannot be written, or gives other logits than the network.
    """
    if path.suffix not in (".keras", ".onnx"):
        raise ConfigError(f"{path}: expected a name ending in .keras or .onnx")
    own = replace(
        card,
        name=path.name.split(".")[0],
        data=f"{card.data}; normalisation adapted to {adaptation.faces} other faces",
        protocol=(
            f"{card.protocol}; then mean and variance of {adaptation.layers} normalisation "
            f"layers replaced by {adaptation.weight:.0%} those of {adaptation.faces} unlabelled "
            f"faces and {1 - adaptation.weight:.0%} the old ones"
        ),
        files={},
        metrics={},
    )
    with atomic_write(path) as temporary:
        if path.suffix == ".keras":
            model.save(temporary)
        else:
            from mien.train.export import parity
            from mien.train.onnx_graph import write_onnx

            write_onnx(logits_of(model), temporary)
            parity(logits_of(model), temporary, own, crops[:_BATCH])
    card_file = path.with_name(f"{path.name}.card.json")
    write_card(replace(own, files={path.name: record_of(path)}), card_file)
    return path, card_file


def _moments(inner: keras.Model, crops: Crops) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of each channel of what a network gives, over everything."""
    inner.compile(run_eagerly=True)  # each is used once: tracing it would take longer
    count, total, squares = 0, 0.0, 0.0
    for start in range(0, len(crops), _BATCH):
        batch = crops[start : start + _BATCH].astype(np.float32)
        output = np.asarray(inner.predict_on_batch(batch), np.float64)
        values = output.reshape(-1, output.shape[-1])
        count += len(values)
        total = total + values.sum(axis=0)
        squares = squares + np.square(values).sum(axis=0)
    mean = np.asarray(total) / count
    return mean, np.maximum(np.asarray(squares) / count - np.square(mean), 0)

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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from mien.card import Confidence, ModelCard, record_of, write_card
from mien.confidence import fit_confidence, fit_temperature
from mien.errors import ConfigError, DataError, ModelError
from mien.train.evaluate import classify
from mien.train.files import replacing
from mien.train.nets import logits_of, with_features
from mien.train.resample import Counts, Figure, Judged, changes
from mien.train.session import KerasSession
from mien.types import Crops, Logits

__all__ = [
    "ENOUGH_LABELLED",
    "MOST_FACES",
    "PRIOR",
    "Adaptation",
    "Comparison",
    "adapt",
    "compare",
    "cross_adapted",
    "fit_on_labelled",
    "verdict",
    "write_adapted",
]

#: The weight of the old statistics, in faces: with as many new ones, both count the same.
#: Chosen among 0, 16, 64 and 256 on held-out Training rows: see docs/datasets.md.
PRIOR = 16

#: More faces than these are not looked at: the statistics of so many no longer move.
MOST_FACES = 2000

#: So many labelled faces it takes to fit a temperature: one number, from rows that differ.
ENOUGH_LABELLED = 100

_BATCH = 256
_FOLDS = 5


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


@dataclass(frozen=True)
class Comparison:
    """The model before and after, on the same labelled faces.

    Attributes:
        count: how many faces.
        before: figures by name; see :class:`~mien.train.groups.GroupScore`.
        after: with the new statistics and the old temperature.
        change: after less before, with 95 % bootstrap intervals over faces.
        fitted_ece: the calibration error after, with a temperature fitted on the other
            faces (in five parts, each read with that of the other four); ``None`` if there
            are too few.
    """

    count: int
    before: Mapping[str, float]
    after: Mapping[str, float]
    change: Mapping[str, Figure]
    fitted_ece: float | None


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
        logits[read] = classify(KerasSession.of(adapted, card), crops[read])
    return logits


def compare(
    card: ModelCard,
    before: Logits,
    after: Logits,
    truth: NDArray[np.int64],
    people: Sequence[str] = (),
    *,
    seed: int = 0,
) -> Comparison:
    """Hold the logits of both networks for the same labelled faces against the truth.

    Args:
        people: (N,) the same text for the same person, empty where not known.

    Raises:
        InputError: there is no face, or not one truth for each.
    """
    earlier, later = (
        Judged(logits, truth, card.labels, card.confidence, people) for logits in (before, after)
    )
    fitted_ece = None
    parts = np.random.default_rng(seed).permutation(len(truth)) % _FOLDS
    part = parts[Counts.of(later).units]  # a person is in one part alone
    if len(truth) >= ENOUGH_LABELLED and len(np.unique(part)) > 1:
        scaled = after / _cross_fitted(after, truth, part)[:, None]
        level = replace(card.confidence, temperature=1.0)
        fitted_ece = _figures(Judged(scaled, truth, card.labels, level))["ece"]
    return Comparison(
        len(truth),
        _figures(earlier),
        _figures(later),
        changes(earlier, later, seed=seed),
        fitted_ece,
    )


def verdict(comparison: Comparison) -> str:
    """Return one sentence on whether the adaptation helped, as far as the faces can tell."""
    change = comparison.change["accuracy"]
    low, high = change.interval.low, change.interval.high
    moved = f"accuracy {100 * change.value:+.1f} points"
    span = f"{moved}, 95 %: {100 * low:+.1f} to {100 * high:+.1f}"
    if low > 0:
        return f"the adaptation helped: {span}"
    if high < 0:
        return f"the adaptation did harm, so keep the model as it was: {span}"
    return f"no difference that {comparison.count} pictures can show: {span}"


def fit_on_labelled(card: ModelCard, logits: Logits, truth: NDArray[np.int64]) -> Confidence:
    """Return the confidence of the adapted model: fitted, if there are labels enough.

    Without labels nothing says how often the model is right on new faces, and no temperature
    can be found; the old one is kept, as it is with fewer than :data:`ENOUGH_LABELLED`.
    """
    if len(truth) < ENOUGH_LABELLED:
        return card.confidence
    return fit_confidence(logits, truth, coverage=card.confidence.coverage)


def write_adapted(
    model: keras.Model, card: ModelCard, adaptation: Adaptation, path: Path, crops: Crops
) -> tuple[Path, Path]:
    """Write the network as ``.keras`` or ``.onnx``, and its card; return both paths.

    The card is named after the whole file, so that it is no other model's. Figures of the
    model as it was are left out: they are not this one's.

    Args:
        card: with the confidence of the adapted model.
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
    with replacing(path) as beside:
        if path.suffix == ".keras":
            model.save(beside)
        else:
            from mien.train.export import parity
            from mien.train.onnx_graph import write_onnx

            write_onnx(with_features(model), beside)
            parity(logits_of(model), beside, own, crops[:_BATCH])
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


def _cross_fitted(
    logits: Logits, truth: NDArray[np.int64], part: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return each row's temperature, fitted on the parts that the row is not in."""
    temperatures = np.ones(len(truth), np.float32)
    for each in np.unique(part):
        inside = part == each
        temperatures[inside] = fit_temperature(logits[~inside], truth[~inside])
    return temperatures


def _figures(judged: Judged) -> dict[str, float]:
    counts = Counts.of(judged)
    figures = counts.figures(counts.columns.sum(axis=0))
    return {name: float(value) for name, value in figures.items() if np.isfinite(value)}

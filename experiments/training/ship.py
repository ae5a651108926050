"""From a finished run of ``student.py`` to the files that ship, by way of ``mien export``.

    python -m experiments.training.ship RUN -o models --onnx src/mien/assets/glance.onnx \
        --data fer2013.csv.gz --votes fer2013new.csv

Two choices are made here, on held-out rows alone. Both are linear in what the heads read, so that
they can be folded into the head ``emotion`` and cost nothing when reading:

* The strength ``t`` of logit adjustment: ``t`` times the log prior is taken off the logits. For a
  network whose last layer has a bias, training with the adjustment in the loss finds the same
  network, the bias apart, so that ``t`` can be chosen after training: the best macro F1 at no
  loss of accuracy.
* The weight ``w`` of the second opinion, whose logits are added: the largest that costs at most
  half a point of accuracy. The card names it; ``--pool`` folds it in, and the logits without
  it are then ``emotion - w * second_opinion``.

Source:
    Menon et al., "Long-Tail Learning via Logit Adjustment", ICLR 2021; Genest and Zidek 1986
    for the logarithmic opinion pool.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
from experiments.training.data import HELD_OUT, SEED
from experiments.training.figures import macro_f1
from experiments.training.recipe import Recipe as Student
from experiments.training.recipe import read_recipe
from experiments.training.soup import views_of
from numpy.typing import NDArray

from mien.card import card_path, write_card
from mien.data import Dataset, hold_out, load
from mien.train import nets, runs
from mien.train.export import Exported, export_run
from mien.train.recipes import Recipe

__all__ = ["Choice", "choose", "fold", "ship"]

_ARCHITECTURE = "glance_54m"
_STRENGTHS = np.arange(0, 1.01, 0.1)
_WEIGHTS = np.arange(0, 1.01, 0.1)
_COST = 0.005  # of accuracy, that the second opinion may cost at most

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """What was chosen on held-out rows, and what it does there; fractions.

    Attributes:
        adjustment: strength of logit adjustment.
        opinion: weight of the second opinion's logits.
        figures: accuracy and macro F1 of the plain head, adjusted, and pooled.
    """

    adjustment: float
    opinion: float
    figures: dict[str, dict[str, float]]


def choose(emotion: _Floats, opinion: _Floats, truth: NDArray[np.int64], prior: _Floats) -> Choice:
    """Choose strength and weight by logits (V, N, 7) of V views of the held-out rows."""

    def measured(logits: _Floats) -> tuple[float, float]:
        read = logits.argmax(axis=2)
        return float((read == truth).mean()), float(np.mean([macro_f1(r, truth) for r in read]))

    least, _ = measured(emotion)
    best, strength = -1.0, 0.0
    for each in _STRENGTHS:
        accuracy, f1 = measured(emotion - each * np.log(prior))
        if accuracy >= least and f1 > best:
            best, strength = f1, float(each)
    adjusted = emotion - strength * np.log(prior)
    least = measured(adjusted)[0] - _COST
    weight = float(max(w for w in _WEIGHTS if measured(adjusted + w * opinion)[0] >= least))
    found = {"plain": emotion, "adjusted": adjusted, "pooled": adjusted + weight * opinion}
    figures = {
        name: dict(zip(("accuracy", "macro_f1"), measured(logits), strict=True))
        for name, logits in found.items()
    }
    return Choice(round(strength, 2), round(weight, 2), figures)


def fold(model: keras.Model, choice: Choice, prior: _Floats) -> None:
    """Make the head ``emotion`` give what was chosen."""
    head, other = (model.get_layer(f"{name}_logits") for name in ("emotion", "second_opinion"))
    (kernel, bias), (more, shift) = head.get_weights(), other.get_weights()
    adjusted = bias - choice.adjustment * np.log(prior) + choice.opinion * shift
    head.set_weights([kernel + choice.opinion * more, adjusted.astype(np.float32)])


def carried_over(run: Path) -> keras.Model:
    """Return the Keras network with a run's weights."""
    model = nets.build(_ARCHITECTURE)
    with np.load(run / "weights.npz") as arrays:
        for layer in model.layers:
            if layer.weights:
                count = len(layer.weights)
                layer.set_weights([arrays[f"{layer.name}/{n}"] for n in range(count)])
    return model


def _as_recipe(student: Student) -> Recipe:
    """Return what ``mien export`` and its readers look for: the network and the rows held out.

    The student's own recipe stands beside it in the card.
    """
    training = {
        "batch_size": student.batch * student.workers,
        "epochs": student.epochs,
        "learning_rate": student.rate,
        "min_learning_rate": 0.0,
        "warmup_epochs": 1,
        "optimiser": "sgd",
        "l2": 0.0,
        "weight_decay": student.decay,
        "class_weight": "none",
        "ferplus_weight": 0.5,
        "teacher_weight": student.teacher_weight,
        "teacher_votes": student.voters,
        "teacher_sees": "augmented",
        "teacher_strays": True,
        "ema": student.ema,
        "precision": "bfloat16",
        "validation_split": HELD_OUT,
        "seed": SEED,
        "keep": "last",
    }
    augmentation = {
        "rotation_range": 15,
        "width_shift_range": 0.08,
        "height_shift_range": 0.08,
        "shear_range": 0.1,
        "zoom_range": 0.15,
        "horizontal_flip": 0.5,
        "brightness_range": 0.08,
        "contrast_range": 0.25,
        "erasing": student.degrading.erasing,
        "erasing_area": 0.2,
    }
    return Recipe.model_validate(
        {
            "model": {"architecture": _ARCHITECTURE},
            "training": training,
            "preprocessing": {"augmentation": augmentation},
        }
    )


def ship(
    run: Path, dataset: Dataset, models_dir: Path, onnx_path: Path, *, pool: bool = False
) -> tuple[Exported, Choice]:
    """Choose, fold and export; the test rows are read once, by the export.

    Args:
        pool: fold the second opinion in.
    """
    student = read_recipe(run / "recipe.yaml")
    recipe = _as_recipe(student)
    fit, held_out = hold_out(dataset, recipe.training.validation_split, recipe.training.seed)
    prior = np.bincount(dataset.emotion[fit], minlength=7) / len(fit)
    model = carried_over(run)
    logits = nets.logits_of(model)
    views = [
        logits.predict(view[..., None].astype(np.float32), batch_size=256, verbose=0)
        for view in views_of(dataset.crops[held_out, ..., 0])
    ]
    emotion, opinion = (
        np.stack([view[head] for view in views]).astype(np.float64)
        for head in ("emotion", "second_opinion")
    )
    choice = choose(emotion, opinion, dataset.emotion[held_out], prior)
    print(json.dumps(asdict(choice), indent=1))
    fold(model, choice if pool else replace(choice, opinion=0.0), prior)

    folder = run / "keras"
    folder.mkdir(exist_ok=True)
    runs.open_folder(folder, recipe, dataset, resume=True)
    weights = nets.logits_of(model).get_weights()
    runs.save_arrays(folder / "last.npz", {f"w{n}": array for n, array in enumerate(weights)})
    exported = export_run(folder, dataset, models_dir, onnx_path)

    card = replace(
        exported.card,
        data="FER2013's Training split and FER+ votes; the head second_opinion imitates "
        "face_expression_model of the npm package @vladmandic/face-api (MIT)",
        protocol=f"{exported.card.protocol}; logits of emotion less {choice.adjustment:g} times "
        f"the log of FER2013's prior (logit adjustment); {choice.opinion:g} times the logits of "
        f"second_opinion {'are added to them' if pool else 'can be added to them'}, the largest "
        "weight that costs at most half a point: both chosen on the held-out rows",
        recipe={**recipe.to_dict(), "student": student.model_dump(mode="json")},
    )
    for path in (models_dir / "best_model.keras", onnx_path):
        write_card(card, card_path(path))
    return replace(exported, card=card), choice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--votes", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MODELS")
    parser.add_argument("--onnx", type=Path, required=True)
    options = parser.parse_args()
    exported, _ = ship(options.run, load(options.data, options.votes), options.output, options.onnx)
    print(json.dumps(exported.card.metrics, indent=1))


if __name__ == "__main__":
    main()

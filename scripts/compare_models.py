"""Lay all models beside each other and beside the reference document's figures, as Markdown.

    python scripts/compare_models.py models/*.card.json models/*/*.card.json models/*/*report.json
    python scripts/compare_models.py models/*.card.json models/*/*.card.json models/*/*report.json --write docs/models.md

Sizes and test figures come from model cards, figures of each class from the reports that
``mien evaluate -o`` writes; a model is the card and the report of one name. Nothing is
measured here. Sets are shown of models with a card alone, since others were never fitted for
them. ``--write`` puts the tables between the two marks of a page.
"""  # noqa: E501

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SPLITS = ("PublicTest", "PrivateTest", "PublicTest + PrivateTest")
BOTH = SPLITS[-1]
BEGIN, END = "<!-- compare_models: begin -->", "<!-- compare_models: end -->"
HEAD = "emotion"  # the head that reads FER2013's labels
NONE = "-"

#: What the reference document states: precision, recall, F1 and support of each class.
REFERENCE = {
    "angry": (0.58, 0.54, 0.56, 958),
    "disgust": (0.62, 0.15, 0.24, 111),
    "fear": (0.51, 0.48, 0.49, 1024),
    "happy": (0.81, 0.84, 0.82, 1774),
    "neutral": (0.61, 0.66, 0.63, 1233),
    "sad": (0.52, 0.58, 0.55, 1247),
    "surprise": (0.75, 0.77, 0.76, 831),
}
#: Its figures of the whole, for Mini-Xception, by the rows of the first table.
REFERENCE_WHOLE = {
    "Parameters": "3.8 M",
    "Weights": "15 MB",
    "Accuracy, both": "63 to 66 %",
    "Macro F1, both": "0.62",
}


@dataclass
class Model:
    """What is known of one model; a report's figures go before a card's."""

    name: str
    card: dict[str, Any] = field(default_factory=dict)
    results: dict[tuple[str, bool, bool], dict[str, Any]] = field(default_factory=dict)

    def figure(self, split: str, name: str, *, unseen: bool = False, flip: bool = False) -> Any:
        """Return a figure of the head for FER2013's labels, or ``None``."""
        if result := self.results.get((split, unseen, flip)):
            return result[name]
        suffix = ("_flip" if flip else "") + ("_unseen" if unseen else "")
        return self.card.get("metrics", {}).get(split, {}).get(name + suffix)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, help="model cards and reports, any order")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="renew a page's tables")
    options = parser.parse_args()
    models = list(read(options.files).values())
    tables = f"{whole(models)}\n\n{classes(models)}"
    if options.write is None:
        print(tables)
        return
    page = options.write.read_text(encoding="utf-8")
    if not (page.count(BEGIN) == page.count(END) == 1 and page.index(BEGIN) < page.index(END)):
        sys.exit(f"{options.write}: expected one {BEGIN} and one {END} after it")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    options.write.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", encoding="utf-8")


def read(files: list[Path]) -> dict[str, Model]:
    """Return the models by name, in the order of their first file."""
    models: dict[str, Model] = {}
    for path in files:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            name = content["name"] if "heads" in content else content["model"]
            results = content.get("results", ())
            found = {
                (each["split"], each["unseen"], each["flip"]): each
                for each in results
                if each["head"] == HEAD
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            sys.exit(f"{path} is neither a model card nor a report: {type(error).__name__} {error}")
        model = models.setdefault(name, Model(name))
        if "heads" in content:
            model.card = model.card or content
        else:
            model.results = model.results or found
    return models


def whole(models: list[Model]) -> str:
    """Return the table of the whole: a row for each figure, a column for each model."""
    rows = {
        "Parameters": [millions(model.card.get("parameters")) for model in models],
        "Multiply-adds": [millions(model.card.get("multiply_adds")) for model in models],
        "Weights": [weights(model.card) for model in models],
        **{
            f"Accuracy, {short(split)}": [
                percent(model.figure(split, "accuracy")) for model in models
            ]
            for split in SPLITS
        },
        "95 % interval, both": [interval(model) for model in models],
        "Accuracy, both, unseen": [
            percent(model.figure(BOTH, "accuracy", unseen=True)) for model in models
        ],
        "Accuracy, both, flip": [
            percent(model.figure(BOTH, "accuracy", flip=True)) for model in models
        ],
        "Macro F1, both": [decimal(model.figure(BOTH, "macro_f1"), 3) for model in models],
        "ECE, both": [percent(model.figure(BOTH, "ece")) for model in models],
        "90 % sets hold the truth, both": [
            percent(model.figure(BOTH, "set_coverage") if model.card else None) for model in models
        ],
        "Labels in a set, both": [
            decimal(model.figure(BOTH, "mean_set_size") if model.card else None) for model in models
        ],
        "Accuracy of the surest 80 %, both": [
            percent(model.figure(BOTH, "accuracy_at_80")) for model in models
        ],
    }
    head = ["", "reference document", *(model.name for model in models)]
    return table(
        head, [[name, REFERENCE_WHOLE.get(name, NONE), *row] for name, row in rows.items()]
    )


def classes(models: list[Model]) -> str:
    """Return the table of the classes: precision / recall / F1 in each cell."""
    rows = []
    for label, (*expected, support) in REFERENCE.items():
        cells = [triple(expected)]
        for model in models:
            result = model.results.get((BOTH, False, False), {"per_class": ()})
            found = [each for each in result["per_class"] if each["label"] == label]
            cells += [
                triple([each[key] for key in ("precision", "recall", "f1")]) for each in found
            ] or [NONE]
            if found and found[0]["support"] != support:
                sys.exit(f"{model.name}: {found[0]['support']} rows of {label}, not {support}")
        rows.append([label.capitalize(), str(support), *cells])
    return table(
        ["Emotion", "Support", "reference document", *(each.name for each in models)], rows
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def short(split: str) -> str:
    return "both" if split == BOTH else split


def interval(model: Model) -> str:
    both = model.results.get((BOTH, False, False))
    if both:
        low, high = both["accuracy_interval"]["low"], both["accuracy_interval"]["high"]
    else:
        low, high = model.figure(BOTH, "accuracy_low"), model.figure(BOTH, "accuracy_high")
    return NONE if low is None else f"{100 * low:.1f} to {100 * high:.1f} %"


def weights(card: dict[str, Any]) -> str:
    sizes = {name: record["size_bytes"] for name, record in card.get("files", {}).items()}
    chosen = [size for name, size in sizes.items() if name.endswith(".onnx")] or [*sizes.values()]
    return f"{chosen[0] / 1e6:.1f} MB" if chosen else NONE


def millions(count: int | None) -> str:
    return f"{count / 1e6:.2f} M" if count else NONE


def percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.2f} %"


def decimal(value: float | None, digits: int = 2) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def triple(values: list[float]) -> str:
    return " / ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    main()

"""A folder in the layout of the Hugging Face Hub, made without asking any server.

    mien export --hub hub/

    hub/README.md           the model card: YAML front matter, then prose and figures
    hub/config.json         labels and input, as the Hub's own libraries name them
    hub/glance.onnx         the graph
    hub/glance.keras        the network
    hub/glance.card.json    mien's card of both
    hub/LICENSE

Source:
    "Model Cards", Mitchell et al. 2019, and the Hub's documentation of model cards.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata, resources
from pathlib import Path
from string import Template
from typing import Any

import yaml

from mien.card import FileRecord, ModelCard, card_path, read_card, record_of, write_card
from mien.errors import ModelError
from mien.faces.template import YUNET
from mien.files import atomic_write
from mien.notice import NOTICE
from mien.text import percent

__all__ = ["config_of", "write_hub"]

_SPLITS = ("PublicTest", "PrivateTest", "PublicTest + PrivateTest")
_FORMATS = {".onnx": "ONNX", ".keras": "Keras", ".tflite": "LiteRT"}


def write_hub(folder: Path, models: Sequence[Path]) -> tuple[Path, ...]:
    """Write the files of one network, and what describes them, into ``folder``.

    Args:
        models: weights files of the same network, each with its card; the first one's card
            is the one described. A ``.keras`` file is named after the network.

    Returns:
        The files written, README.md first.

    Raises:
        ModelError: a file is missing, is not what its card describes, or is of another network.
    """
    cards = [_checked(path) for path in models]
    first = cards[0]
    for path, card in zip(models, cards, strict=True):
        if not _same_network(path, card, first):
            raise ModelError(
                f"{path} ({card.name} {card.version}) and {models[0]} ({first.name} "
                f"{first.version}) are not of one training: export the run again, or name both"
            )
    names = [_name_on_hub(path, first) for path in models]
    records = {
        name: card.files.get(path.name, record_of(path))
        for name, path, card in zip(names, models, cards, strict=True)
    }
    card = replace(first, files=records)
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in zip(names, models, strict=True):
        with atomic_write(folder / name) as temporary:
            shutil.copyfile(path, temporary)
    texts = {
        "README.md": _readme(card),
        "config.json": json.dumps(config_of(card), indent=2) + "\n",
        "LICENSE": _licence(),
    }
    for name, text in texts.items():
        with atomic_write(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    own = folder / f"{card.name}.card.json"
    write_card(card, own)
    return (folder / "README.md", folder / "config.json", *(folder / name for name in names), own,
            folder / "LICENSE")  # fmt: skip


def config_of(card: ModelCard) -> dict[str, Any]:
    """Return ``config.json``: labels by index and the input, by the Hub's names."""
    return {
        "model_type": card.name,
        "architectures": [card.recipe.get("model", {}).get("architecture", card.name)],
        "id2label": {str(index): label for index, label in enumerate(card.labels)},
        "label2id": {label: index for index, label in enumerate(card.labels)},
        "heads": {name: list(head.labels) for name, head in card.heads.items()},
        "image_size": list(card.framing.size_hw),
        "num_channels": 1,
        "pixel_range": [0, 255],
        "mien_version": metadata.version("mien"),
    }


def _checked(path: Path) -> ModelCard:
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file; check the path")
    card = read_card(card_path(path))
    described = card.files.get(path.name)
    if card.files and (described is None or described.sha256 != record_of(path).sha256):
        raise ModelError(
            f"{path} is not the file its card describes: export the run again, or name the file "
            "that the card was written for"
        )
    return card


def _same_network(path: Path, card: ModelCard, first: ModelCard) -> bool:
    named = first.files.get(path.name)
    same_weights = named is None or named.sha256 == record_of(path).sha256
    return same_weights and (card.name, card.heads) == (first.name, first.heads)


def _name_on_hub(path: Path, card: ModelCard) -> str:
    """Name a file so that ``<network>.card.json`` is its card."""
    return path.name if path.name.startswith(f"{card.name}.") else card.name + path.suffix


def _readme(card: ModelCard) -> str:
    template = resources.files(__package__).joinpath("hub_card.md").read_text(encoding="utf-8")
    body = Template(template).substitute(
        name=card.name,
        title=card.name.capitalize(),
        version=card.version,
        parameters=f"{card.parameters / 1e6:.2f} M",
        multiply_adds=f"{card.multiply_adds / 1e6:.1f} M",
        size="x".join(map(str, card.framing.size_hw)),
        labels=", ".join(card.labels),
        heads=_heads(card),
        files=_files(card.files),
        notice="\n\n".join(f"**{each.title}** {each.text}" for each in NOTICE),
        intended=card.intended_use,
        prohibited=card.prohibited_use,
        data=card.data,
        protocol=card.protocol,
        figures=_figures(card),
        temperature=f"{card.calibration.temperature:.3f}",
        coverage=percent(card.calibration.coverage),
        abstain=f"{card.calibration.abstain_below:.2f}",
        landmarks=_landmarks(),
        scale=card.framing.scale,
        shift=card.framing.shift_y,
    )
    front = yaml.safe_dump(_front_matter(card), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{body}"


def _landmarks() -> str:
    """Say where the landmarks of mien's default detector lie in the frame."""
    right_eye, _, nose, right_corner, _ = YUNET.landmarks
    rows = (
        ("eyes", f"{-right_eye.x:.3f} on either side", f"{-right_eye.y:.3f} above"),
        ("tip of the nose", "in the middle", f"{nose.y:.3f} below"),
        (
            "corners of the mouth",
            f"{-right_corner.x:.3f} on either side",
            f"{right_corner.y:.3f} below",
        ),
    )
    return "\n".join(
        (
            "| landmark | across | down |",
            "| --- | --- | --- |",
            *(f"| {' | '.join(row)} |" for row in rows),
        )
    )


def _front_matter(card: ModelCard) -> dict[str, Any]:
    results = [_result(split, card.metrics[split]) for split in _SPLITS if split in card.metrics]
    return {
        "license": card.licence.lower(),
        "library_name": "mien",
        "pipeline_tag": "image-classification",
        "tags": ["facial-expression-recognition", "fer2013", "onnx", "keras"],
        "metrics": ["accuracy", "f1"],
        "model-index": [{"name": card.name, "results": results}],
    }


def _result(split: str, figures: Mapping[str, float]) -> dict[str, Any]:
    kinds = (("accuracy", "accuracy"), ("f1", "macro_f1"), ("ece", "ece"))
    return {
        "task": {"type": "image-classification", "name": "Facial expression recognition"},
        "dataset": {"type": "fer2013", "name": "FER2013", "split": split},
        "metrics": [
            {"type": kind, "name": key.replace("_", " "), "value": round(figures[key], 4)}
            for kind, key in kinds
            if key in figures
        ],
    }


def _heads(card: ModelCard) -> str:
    return "\n".join(
        f"* `{name}` ({len(head.labels)}): {', '.join(head.labels)}"
        for name, head in card.heads.items()
    )


def _files(files: Mapping[str, FileRecord]) -> str:
    rows = ["| file | format | precision | bytes | SHA-256 |", "|---|---|---|---:|---|"]
    for name, record in files.items():
        format_name = _FORMATS.get(Path(name).suffix, Path(name).suffix)
        rows.append(
            f"| `{name}` | {format_name} | {record.precision} | {record.size_bytes:,} | "
            f"`{record.sha256[:16]}...` |"
        )
    return "\n".join(rows)


def _figures(card: ModelCard) -> str:
    if not card.metrics:
        return "This network has not been judged."
    columns = {
        "accuracy": "accuracy",
        "accuracy_low": "95 % from",
        "accuracy_high": "to",
        "accuracy_unseen": "unseen",
        "accuracy_flip": "flip",
        "macro_f1": "macro F1",
        "ece": "ECE",
        "set_coverage": "sets hold the truth",
        "mean_set_size": "labels a set",
    }
    rows = [f"| rows | {' | '.join(columns.values())} |", "|---|" + "---:|" * len(columns)]
    rows += [
        f"| {split} | {' | '.join(_figure(figures, key) for key in columns)} |"
        for split, figures in card.metrics.items()
        if "accuracy" in figures
    ]
    if "unreadable" in card.metrics:
        answered = _figure(card.metrics["unreadable"], "answered")
        rows += ["", f"Of crops that show no expression, {answered} are not marked uncertain."]
    return "\n".join(rows)


def _figure(figures: Mapping[str, float], key: str) -> str:
    if key not in figures:
        return ""
    value = figures[key]
    return f"{value:.2f}" if key == "mean_set_size" else percent(value, 1)


def _licence() -> str:
    text = metadata.distribution("mien").read_text("licenses/LICENSE")
    if text is None:
        raise ModelError("mien's licence is not installed beside it: install mien again")
    return text

"""Write the forms of a network, check every one, and only then put them in place."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from mien.calibration import Probabilities
from mien.card import FileRecord, ModelCard, read_card, record_of, sha256_of, write_card
from mien.data import Dataset
from mien.errors import ConfigError, DataError, MissingExtra, ModelError
from mien.evaluation.evaluate import TEST_SPLITS, card_metrics, evaluate
from mien.files import atomic_write
from mien.runtime import LiteRtSession, OnnxSession, Session
from mien.train import nets
from mien.train.optimise.checks import (
    Check,
    Probe,
    answers,
    compare,
    generated_probe,
    held_out_probe,
)
from mien.train.optimise.forms import FORMS, PRECISIONS, Form
from mien.train.optimise.table import MARK, as_markdown
from mien.train.session import KerasSession, load_network

__all__ = ["Optimised", "optimise"]

# Of a split's figures, those that a form can change; the network's card has the rest.
_KEPT = ("accuracy", "accuracy_unseen", "macro_f1", "nll", "ece")


@dataclass(frozen=True)
class Optimised:
    """What was written: files, card and table; and the card, which may list earlier files."""

    card: ModelCard
    files: tuple[Path, ...]


def optimise(
    keras_path: Path,
    precisions: Collection[str],
    output_dir: Path,
    dataset: Dataset | None = None,
    *,
    max_drop_points: float = 1.0,
    on_step: Callable[[str], None] = lambda step: None,
) -> Optimised:
    """Write a network in other precisions, if they answer as it does.

    The probabilities of every form are compared with those of Keras, and its accuracy too, on
    the rows that training held out. What it reaches on the test splits is measured besides
    and stands in the card, but decides nothing. Forms of the same weights that are in the
    folder already stay in its card.

    Args:
        keras_path: a ``.keras`` file with its card.
        precisions: one or more of :data:`PRECISIONS`.
        output_dir: where files, card and ``README.md`` go.
        dataset: FER2013; ``None`` compares on generated crops and measures no accuracy.
        max_drop_points: of accuracy on held-out rows, in percentage points.
        on_step: called with what is done next.

    Raises:
        ConfigError: a precision is unknown, or the folder has a README of somebody else's.
        DataError: int8 is wanted without data, or the data has no Training rows.
        MissingExtra: LiteRT, which checks its files, is not installed.
        ModelError: the weights or their card cannot be used, or a form strays too far from
            the network; nothing is written then.
    """
    forms = _forms_of(precisions, dataset)
    readme = _readme_in(output_dir)
    on_step(f"reading {keras_path.name}")
    network = _Network(keras_path, dataset)
    with TemporaryDirectory() as folder:
        made = {form: Path(folder) / f"{network.stem}{form.ending}" for form in forms}
        checks: dict[Form, list[Check]] = {}
        for form, path in made.items():
            on_step(f"writing {path.name}")
            form.write(network.outputs_model, network.probe.calibration, path)
            on_step(f"checking {path.name}")
            checks[form] = network.check(path)
        _refuse_strays(made, checks, max_drop_points)
        records = {}
        for form, path in made.items():
            on_step(f"judging {path.name}")
            metrics = network.metrics(checks[form], network.opened(path))
            records[path.name] = replace(record_of(path, form.precision), metrics=metrics)
        on_step(f"judging {keras_path.name}")
        card = network.family_card(records, output_dir)
        files = [_put(path, output_dir / path.name) for path in made.values()]
    card_file = output_dir / f"{network.stem}.card.json"
    write_card(card, card_file)
    with atomic_write(readme) as temporary:
        temporary.write_text(as_markdown(card), encoding="utf-8")
    return Optimised(card, (*files, card_file, readme))


class _Network:
    """The Keras file: what it answers, and how others compare.

    Attributes:
        outputs_model: gives ``{head: logits}`` and features.
        stem: what the names of its files begin with.
        probe: what is compared on.
    """

    def __init__(self, path: Path, dataset: Dataset | None) -> None:
        model, card = load_network(path)
        self.outputs_model = nets.with_features(model)
        self.stem = re.sub(r"[^\w-]+", "-", card.name)
        self.probe: Probe = generated_probe() if dataset is None else held_out_probe(card, dataset)
        self._path, self._dataset = path, dataset
        self._session: Session = KerasSession(model, card)
        self._answers = answers(self._session, self.probe)

    def opened(self, path: Path) -> Session:
        """Open a form of the network."""
        kind = OnnxSession if path.suffix == ".onnx" else LiteRtSession
        return kind(path, self._session.card)

    def check(self, path: Path) -> list[Check]:
        """Compare each head of a form with the network's, the default one first."""
        return self._compare(answers(self.opened(path), self.probe))

    def metrics(self, checks: list[Check], session: Session) -> dict[str, dict[str, float]]:
        """Return the checks and the figures on the test splits, as a card holds them."""
        metrics = {
            " ".join([*([check.head] if number else []), self.probe.name]): check.figures()
            for number, check in enumerate(checks)
        }
        if self._dataset is None or not len(self._dataset.rows(*_TESTS)):
            return metrics
        for split, figures in card_metrics(evaluate(session, self._dataset)).items():
            metrics[split] = {name: figures[name] for name in _KEPT if name in figures}
        return metrics

    def family_card(self, records: dict[str, FileRecord], output_dir: Path) -> ModelCard:
        """Return the card of the Keras file, these forms, and earlier ones in the folder."""
        metrics = self.metrics(self._compare(self._answers), self._session)
        files = {self._path.name: replace(record_of(self._path), metrics=metrics)}
        card = replace(self._session.card, files=files)
        earlier = dict(_earlier(output_dir / f"{self.stem}.card.json", card))
        return replace(card, files={**files, **earlier, **records})

    def _compare(self, given: Mapping[str, Probabilities]) -> list[Check]:
        default = self._session.card.default_head
        heads = sorted(self._answers, key=lambda head: head != default)
        return [compare(head, self._answers[head], given[head], self.probe) for head in heads]


_TESTS = tuple(dict.fromkeys(split for splits in TEST_SPLITS for split in splits))


def _forms_of(precisions: Collection[str], dataset: Dataset | None) -> list[Form]:
    """Return the forms that are wanted, and refuse what cannot be made."""
    if not precisions or not set(precisions) <= set(PRECISIONS):
        raise ConfigError(
            f"expected one or more of {', '.join(PRECISIONS)}, "
            f"got {', '.join(precisions) or 'none'}"
        )
    forms = [form for form in FORMS if form.precision in precisions]
    if dataset is None and any(form.calibrated for form in forms):
        raise DataError(
            "int8 needs faces, to learn how large the values inside the network become: name "
            "FER2013 with --data fer2013.csv (or its folder), or leave int8 out"
        )
    if find_spec("ai_edge_litert") is None:
        raise MissingExtra("litert", "ai-edge-litert")
    return forms


def _readme_in(folder: Path) -> Path:
    path = folder / "README.md"
    if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        raise ConfigError(f"{path} would be written over, and is not mien's: choose another folder")
    return path


def _refuse_strays(
    made: dict[Form, Path], checks: dict[Form, list[Check]], max_drop_points: float
) -> None:
    problems = [
        f"{path.name}: {problem}"
        for form, path in made.items()
        for check in checks[form]
        for problem in check.problems(form, max_drop_points)
    ]
    if problems:
        raise ModelError(f"{'; '.join(problems)}; nothing was written")


def _earlier(path: Path, card: ModelCard) -> Iterator[tuple[str, FileRecord]]:
    """Yield the files that an earlier card lists, if it is of the same weights."""
    try:
        earlier = read_card(path)
    except ModelError:  # none is there, or none that can be read: it is written anew
        return
    if replace(earlier, files={}) != replace(card, files={}):
        return
    if any(
        earlier.files.get(name, record).sha256 != record.sha256
        for name, record in card.files.items()
    ):
        return
    for name, record in earlier.files.items():
        file = path.with_name(name)
        if file.is_file() and sha256_of(file) == record.sha256:
            yield name, record


def _put(source: Path, target: Path) -> Path:
    with atomic_write(target) as temporary:
        shutil.copyfile(source, temporary)
    return target

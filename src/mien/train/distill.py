"""Knowledge distillation: what trained networks say of every row, as targets for another.

A network learns more from the probabilities of a good one than from one label a picture,
which on FER2013 is often wrong. There are two ways to ask:

* once, on the plain crops and their mirror images (:func:`teacher_answers`). The answers are
  cached; a student then trains as fast as without a teacher.
* at every step, on the very pictures that the student sees (:class:`Watching`). Each epoch
  brings answers to pictures that no teacher has learned by heart, at the price of running the
  teachers all along.

Source:
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015;
    Furlanello et al., "Born-Again Neural Networks", ICML 2018, for a student like its teacher;
    Beyer et al., "Knowledge Distillation: A Good Teacher Is Patient and Consistent", CVPR
    2022, for teachers that see what the student sees.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import platformdirs
from numpy.typing import NDArray

from mien.calibration import softmax
from mien.card import sha256_of
from mien.data import Dataset
from mien.errors import ConfigError
from mien.files import atomic_write
from mien.runtime import open_session
from mien.train import nets
from mien.train.augment import moved
from mien.train.devices import Devices
from mien.train.session import load_network

__all__ = ["Targets", "Watching", "blend", "mean_answers", "teacher_answers"]

Targets = dict[str, NDArray[np.float32]]

_BATCH = 256


def teacher_answers(
    teachers: Sequence[Path],
    dataset: Dataset,
    heads: Sequence[str],
    *,
    cache_dir: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Targets]:
    """Return what each teacher says of every row, for those of the heads that it has.

    Args:
        teachers: model files of any format, each with its card; their rows held out have to
            be the student's, or the student's held-out figures flatter it.
        heads: the student's heads.
        cache_dir: where the answers are kept; the user's cache directory if ``None``.
        progress: called with (done, total) while the networks are asked.

    Returns:
        Per teacher and head float32 (N, C), rows as in ``dataset``.

    Raises:
        ConfigError: a teacher has none of the student's heads.
        ModelError: a teacher cannot be opened.
    """
    answers = [
        _answers(teacher, dataset, heads, cache_dir, progress, (index, len(teachers)))
        for index, teacher in enumerate(teachers)
    ]
    for teacher, answer in zip(teachers, answers, strict=True):
        if not answer:
            raise ConfigError(_no_common_head(teacher, heads))
    return answers


class Watching:
    """Teachers that look over the student's shoulder.

    Args:
        teachers: ``.keras`` files, each with its card.
        heads: the student's heads.
        devices: that run the teachers.

    Raises:
        ConfigError: a teacher is no ``.keras`` file, or has none of the heads.
        ModelError: a teacher cannot be opened.
    """

    def __init__(self, teachers: Sequence[Path], heads: Sequence[str], devices: Devices) -> None:
        self._devices = devices
        self._networks: list[tuple[keras.Model, dict[str, float]]] = []
        for path in teachers:
            if path.suffix != ".keras":
                raise ConfigError(
                    f"{path}: a teacher that sees what the student sees is a .keras file; give "
                    "one, or set teacher_sees to plain"
                )
            model, card = load_network(path)
            temperatures = {
                head: card.head(head).calibration.temperature
                for head in heads
                if head in card.heads
            }
            if not temperatures:
                raise ConfigError(_no_common_head(path, heads))
            self._networks.append((nets.in_training_form(model), temperatures))

    def __call__(
        self, crops: NDArray[np.float32], stray: np.random.Generator | None = None
    ) -> Targets:
        """Return the mean calibrated probabilities per head, of the teachers that have it.

        Args:
            crops: float32 (N, H, W, 1), 0-255.
            stray: draws a view of its own for each teacher: half of the crops mirrored, all
                moved by up to a pixel. A loss that is linear in its targets, as cross-entropy
                is, then learns over the epochs from the mean over all such views, which says
                more than any one, at the price of one.
        """
        answers = []
        for network, temperatures in self._networks:
            seen = crops if stray is None else _beside(crops, stray)
            logits = self._devices.ask(network, seen)
            answers.append(
                {
                    head: softmax(np.asarray(logits[head], np.float32), temperature)
                    for head, temperature in temperatures.items()
                }
            )
        return mean_answers(answers)


def mean_answers(answers: Sequence[Targets]) -> Targets:
    """Return the mean probabilities per head, of the teachers that have it."""
    heads = dict.fromkeys(head for answer in answers for head in answer)
    return {
        head: np.mean(
            [answer[head] for answer in answers if head in answer], axis=0, dtype=np.float32
        )
        for head in heads
    }


def blend(targets: Targets, teachers: Targets, weight: float) -> Targets:
    """Return targets that are ``weight`` parts the teachers' and the rest one's own."""
    return {
        head: (1 - weight) * own + weight * teachers[head] if head in teachers else own
        for head, own in targets.items()
    }


def _beside(crops: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Return crops (N, H, W, 1), half of them mirrored, all moved by -1 to 1 pixels."""
    mirrored = generator.random(len(crops)) < 0.5
    seen = np.where(mirrored[:, None, None, None], crops[:, :, ::-1], crops)
    down, right = 1 - generator.integers(0, 3, 2)
    return np.ascontiguousarray(moved(seen, down, right))


def _no_common_head(teacher: Path, heads: Sequence[str]) -> str:
    return f"{teacher} has none of the student's heads {', '.join(heads)}"


def _answers(
    teacher: Path,
    dataset: Dataset,
    heads: Sequence[str],
    cache_dir: Path | None,
    progress: Callable[[int, int], None],
    place: tuple[int, int],
) -> Targets:
    """Ask one teacher, or find what it answered before."""
    session = open_session(teacher)
    common = [head for head in heads if head in session.card.heads]
    key = hashlib.blake2b(
        f"{sha256_of(teacher)} {dataset.fingerprint()} {sorted(common)}".encode(), digest_size=16
    ).hexdigest()
    cached = (cache_dir or Path(platformdirs.user_cache_dir("mien"))) / f"teacher-{key}.npz"
    with contextlib.suppress(OSError, ValueError), np.load(cached) as arrays:
        return dict(arrays)
    index, count = place
    steps = range(0, len(dataset), _BATCH)
    parts: dict[str, list[NDArray[np.float32]]] = {head: [] for head in common}
    for step, start in enumerate(steps):
        crops = dataset.crops[start : start + _BATCH]
        plain, mirrored = session(crops), session(np.ascontiguousarray(crops[:, :, ::-1]))
        for head in common:
            temperature = session.card.head(head).calibration.temperature
            both = softmax(plain[head], temperature) + softmax(mirrored[head], temperature)
            parts[head].append((both / 2).astype(np.float32))
        progress(index * len(steps) + step + 1, count * len(steps))
    answers = {head: np.concatenate(found) for head, found in parts.items()}
    with contextlib.suppress(ConfigError), atomic_write(cached) as temporary:
        np.savez(temporary, **answers)
    return answers

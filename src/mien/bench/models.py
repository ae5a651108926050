"""The models to compare: found in folders, named apart, opened again and again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.card import ModelCard, card_path
from mien.errors import MienError, ModelError
from mien.runtime import Session

__all__ = ["MODEL_ENDINGS", "Model", "Opener", "find_models", "names_of", "open_models"]

#: The files that are taken for models.
MODEL_ENDINGS = (".onnx", ".tflite", ".keras")

#: Opens a model file; has the keyword arguments ``device`` and ``threads``.
Opener = Callable[..., Session]


@dataclass(frozen=True)
class Model:
    """One model file, open.

    Attributes:
        sessions: by number of threads; 0 where the framework chooses that itself.
        load_ms: the median time from the file to a session that is ready; the imports of
            its runtime are not part of it.
    """

    name: str
    path: Path
    sessions: dict[int, Session]
    load_ms: float

    @property
    def session(self) -> Session:
        """The session with the first number of threads."""
        return next(iter(self.sessions.values()))

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self.session.card

    @property
    def precision(self) -> str:
        """What the weights are stored as, by the card; empty if it does not say."""
        record = self.card.files.get(self.path.name)
        return "" if record is None else record.precision

    @property
    def size_bytes(self) -> int:
        """Of the file on disk."""
        return self.path.stat().st_size


def find_models(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """List model files: those named, and all in folders and the folders in them.

    Returns:
        The models, each once, and what was left out in folders: it has no card, and so is
        not a model of this kind.

    Raises:
        ModelError: a path does not exist, is no model, or a folder holds none.
    """
    found: dict[Path, None] = {}
    left_out: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found[_checked(path)] = None
            continue
        inside = [file for file in _files(path) if file.suffix in MODEL_ENDINGS]
        models = [file for file in inside if card_path(file).is_file()]
        if not models:
            raise ModelError(
                f"{path} holds no models: expected files ending in {_endings()} with their cards"
            )
        found.update(dict.fromkeys(models))
        left_out += [file for file in inside if file not in found]
    return list(found), left_out


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths that tell them apart."""
    names = [path.name for path in paths]
    for depth in range(2, max((len(path.parts) for path in paths), default=0) + 1):
        names = [
            Path(*path.parts[-depth:]).as_posix() if names.count(name) > 1 else name
            for path, name in zip(paths, names, strict=True)
        ]
    return names


def open_models(
    paths: Sequence[Path],
    opener: Opener,
    *,
    device: str,
    threads: Sequence[int],
    loads: int = 3,
) -> tuple[list[Model], list[MienError]]:
    """Open every model once for each number of threads, and time that.

    The timed openings of all models take turns. Keras chooses its threads itself.

    Args:
        loads: how often each model is opened for ``load_ms``, after one opening that is not
            timed.

    Returns:
        The models, and why others could not be opened.
    """
    models, failures = [], []
    for path, name in zip(paths, names_of(paths), strict=True):
        counts = (0,) if path.suffix == ".keras" else threads
        try:
            sessions = {each: opener(path, device=device, threads=each) for each in counts}
        except MienError as error:
            failures.append(error)
        else:
            models.append(Model(name, path, sessions, 0.0))
    times_ms: list[list[float]] = [[] for _ in models]
    for _ in range(loads):
        for model, taken_ms in zip(models, times_ms, strict=True):
            begun = time.perf_counter()
            opener(model.path, device=device, threads=next(iter(model.sessions)))
            taken_ms.append((time.perf_counter() - begun) * 1000)
    timed = [
        Model(model.name, model.path, model.sessions, sorted(taken_ms)[len(taken_ms) // 2])
        for model, taken_ms in zip(models, times_ms, strict=True)
    ]
    return timed, failures


def _checked(path: Path) -> Path:
    if path.suffix not in MODEL_ENDINGS:
        raise ModelError(f"{path}: expected a folder or a file ending in {_endings()}")
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file; check the path")
    return path


def _files(folder: Path) -> Iterable[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(files) if not name.startswith("."))


def _endings() -> str:
    return ", ".join(MODEL_ENDINGS)

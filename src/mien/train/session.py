"""Sessions over Keras files, so that whatever reads faces also reads with these."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.card import ModelCard, card_path, read_card, sha256_of
from mien.errors import MissingExtra, ModelError
from mien.runtime import check_crops
from mien.types import Crops, Logits

if TYPE_CHECKING:
    import keras

__all__ = ["KerasSession", "load_network", "open_keras"]


def open_keras(path: Path, card: ModelCard, device: str, threads: int) -> KerasSession:
    """Open a ``.keras`` file: the entry point ``keras`` of the group ``mien.sessions``.

    Keras chooses device and threads itself: both are ignored.

    Raises:
        ModelError: the file is damaged, or does not match its card.
        MissingExtra: Keras is not installed.
    """
    network, _ = load_network(path)
    return KerasSession(network, card)


def load_network(path: Path) -> tuple[keras.Model, ModelCard]:
    """Load a ``.keras`` file, and the card beside it.

    Raises:
        ModelError: the file or its card is missing or damaged, or the two do not match.
        MissingExtra: Keras is not installed.
    """
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file; check the path")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings
    try:
        import keras
    except ImportError:
        raise MissingExtra("train", "keras") from None

    card = read_card(card_path(path))
    record = card.files.get(path.name)
    if record is not None and record.sha256 != sha256_of(path):
        raise ModelError(f"{path} is not the file its card describes: export it again")
    try:
        return keras.saving.load_model(path, compile=False), card
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} is not a usable Keras model: {error}") from None


class KerasSession:
    """A network run by Keras: slower than ONNX Runtime, and the truth the others are held to.

    Any thread may call it.
    """

    def __init__(self, network: keras.Model, card: ModelCard) -> None:
        """Make a session over a network in memory; it sees changes of the weights.

        Raises:
            ModelError: the network has no layer for a head of the card.
        """
        from mien.train.nets import logits_of

        self.card = card
        self._model = logits_of(network)
        for head in card.heads:
            if head not in self._model.output:
                raise ModelError(
                    f"the network '{network.name}' has no layer '{head}_logits', which its "
                    "card names"
                )

    def __call__(self, crops: Crops) -> Mapping[str, Logits]:
        """Return logits; see :class:`mien.runtime.Session`."""
        check_crops(crops, self.card)
        heads = self.card.heads.items()
        if len(crops) == 0:
            return {name: np.empty((0, len(head.labels)), np.float32) for name, head in heads}
        logits = self._model.predict_on_batch(crops.astype(np.float32))
        return {name: np.asarray(logits[name], np.float32) for name, _ in heads}

    def weights(self) -> dict[str, list[NDArray[np.float32]]]:
        """Return copies of the weights by the name of their layer."""
        return {
            layer.name: [np.array(array) for array in layer.get_weights()]
            for layer in self._model.layers
            if layer.weights
        }

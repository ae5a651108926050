"""The one place where the command line opens a network, whichever format it has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import MissingExtra

if TYPE_CHECKING:
    from mien.runtime import Session

__all__ = ["open_model"]


def open_model(
    path: Path | None, *, head: str | None = None, device: str = "auto", threads: int = 0
) -> Session:
    """Open a ``.onnx``, ``.tflite`` or ``.keras`` file; mien's own model if ``None``.

    Raises:
        ModelError, ConfigError, MissingExtra: as :func:`mien.runtime.open_session`; the last
            also where Keras is asked for and not installed.
    """
    if path is None or path.suffix != ".keras":
        from mien.runtime import open_session

        return open_session(path, head=head, device=device, threads=threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings
    try:
        from mien.train.session import open_any_session
    except ModuleNotFoundError as error:
        raise MissingExtra("train", error.name or "keras") from None
    return open_any_session(path, head=head, device=device, threads=threads)

"""mien: facial expressions read off photos, fast, on a plain CPU, with calibrated confidence.

from mien import Predictor

for reading in Predictor().predict("photo.jpg"):
    print(reading.face.box, reading.top, f"{reading.confidence:.0%}")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.draw import annotate
    from mien.errors import MienError
    from mien.faces import CenterFace, everyone, largest
    from mien.predictor import Predictor, open_predictor
    from mien.result import Result, results_to_dataframe
    from mien.runtime import FakeSession, list_models, open_session
    from mien.types import EMOTIONS, Box, Face, Point, Reading

__all__ = [
    "EMOTIONS",
    "Box",
    "CenterFace",
    "Face",
    "FakeSession",
    "MienError",
    "Point",
    "Predictor",
    "Reading",
    "Result",
    "__version__",
    "annotate",
    "everyone",
    "largest",
    "list_models",
    "open_predictor",
    "open_session",
    "results_to_dataframe",
]

__version__ = "0.1.0"

# Where each name lives. They are imported when asked for, so that `import mien` stays light.
_HOMES = {
    "EMOTIONS": "mien.types",
    "Box": "mien.types",
    "CenterFace": "mien.faces",
    "Face": "mien.types",
    "FakeSession": "mien.runtime",
    "MienError": "mien.errors",
    "Point": "mien.types",
    "Predictor": "mien.predictor",
    "Reading": "mien.types",
    "Result": "mien.result",
    "annotate": "mien.draw",
    "everyone": "mien.faces",
    "largest": "mien.faces",
    "list_models": "mien.runtime",
    "open_predictor": "mien.predictor",
    "open_session": "mien.runtime",
    "results_to_dataframe": "mien.result",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mien' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""mien: facial expressions read off pictures, fast, on a plain CPU, with honest confidence.

from mien import Predictor
for reading in Predictor().read("photo.jpg"):
    print(reading.face.box, reading.top, f"{reading.confidence:.0%}")
"""

from typing import TYPE_CHECKING, Any

from mien.types import EMOTIONS, Box, Emotion, Face, Reading

if TYPE_CHECKING:
    from mien.predictor import Predictor

__all__ = ["EMOTIONS", "Box", "Emotion", "Face", "Predictor", "Reading", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import ``Predictor`` when it is asked for: it brings ONNX Runtime and OpenCV with it."""
    if name == "Predictor":
        from mien.predictor import Predictor

        return Predictor
    raise AttributeError(f"module 'mien' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

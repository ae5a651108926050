"""mien: facial expressions read off pictures, fast, on a plain CPU, with honest confidence.

    from mien import Predictor
    for reading in Predictor().read("photo.jpg"):
        print(reading.face.box, reading.top, f"{reading.confidence:.0%}")
"""

from mien.predictor import Predictor
from mien.types import EMOTIONS, Box, Emotion, Face, Reading

__all__ = ["EMOTIONS", "Box", "Emotion", "Face", "Predictor", "Reading", "__version__"]

__version__ = "0.1.0"

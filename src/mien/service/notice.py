"""What a person should know before reading faces; shown on the pages and in /model_info."""

from __future__ import annotations

__all__ = ["NOTICE"]

NOTICE: tuple[str, ...] = (
    "An expression is not an emotion: this reads what a face shows, not what a person feels.",
    "Article 5(1)(f) of the EU AI Act forbids inferring emotions of people at work and in "
    "education, except for medical or safety reasons. Other places have laws of their own.",
    "A face is personal data and can be biometric data: ask the people in the picture first, "
    "and take no decision about anyone on a reading.",
    "Images are read in memory and forgotten: none is stored, logged or sent on.",
)

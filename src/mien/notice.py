"""What to know before reading the faces of people: the one text on use and law.

Pages, the service, the model card and the README show it; each adds in its own words where
images stay.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["INTENDED_USE", "NOTICE", "PROHIBITED_USE", "Point"]


class Point(NamedTuple):
    """A short sentence to print in bold, and what it means."""

    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.title} {self.text}"


NOTICE = (
    Point(
        "An expression is not an emotion.",
        "mien reads what a face shows at one moment, as annotators named it. It does not know "
        "what the person feels, and it is wrong about some faces.",
    ),
    Point(
        "The law may forbid it.",
        "In the European Union, inferring the emotions of people at work or in education is "
        "prohibited, except for medical or safety reasons (AI Act, Article 5(1)(f)). Other "
        "countries have their own laws.",
    ),
    Point(
        "Ask first.",
        "A face is personal data and can be biometric data. Read the faces of people who agreed, "
        "and decide nothing about a person on the basis of a reading.",
    ),
)

#: What the networks are for, where a card does not say; new cards get it.
INTENDED_USE = (
    "Reading the facial expression that a person shows in a picture, frontal faces above all: "
    "research, teaching, interfaces, art, statistics over many faces. An expression is not a "
    "feeling: what a face shows says little about what its owner feels."
)

#: What they must not be used for, where a card does not say; new cards get it.
PROHIBITED_USE = (
    "Decisions about single people (work, school, credit, policing, borders, health, lie "
    "detection); inferring emotions at work or in education, which Regulation (EU) 2024/1689, "
    "Article 5(1)(f), forbids; watching people without their knowledge."
)

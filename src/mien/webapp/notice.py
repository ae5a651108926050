"""What a person should know before reading faces, as the page says it."""

from __future__ import annotations

__all__ = ["BRIEF", "INTENDED", "NOTICE", "PROHIBITED"]

#: One line, always in sight.
BRIEF = "An expression is not an emotion. Pictures stay on this computer."

#: At the foot of the page: a bold start and the rest of the sentence.
NOTICE: tuple[tuple[str, str], ...] = (
    (
        "An expression is not an emotion.",
        "mien reads what a face shows in one moment, not what a person feels. The same face can "
        "mean different things, and the model is wrong about some of them.",
    ),
    (
        "The law draws a line.",
        "Article 5(1)(f) of the EU AI Act forbids inferring the emotions of people at work and "
        "in education, except for medical or safety reasons. Other places have laws of their own.",
    ),
    (
        "Ask first.",
        "A face is personal data and can be biometric data. Read the faces of people who agreed, "
        "and take no decision about anyone on a reading.",
    ),
    (
        "Nothing leaves.",
        "Pictures and videos are read on the computer that runs this page, kept in its memory "
        "while the page is open, and sent nowhere else.",
    ),
)

#: What the model is for, where its card does not say.
INTENDED = (
    "Learning and research about facial expressions, art and play, tools that a person uses on "
    "their own face or with the consent of everyone in the picture."
)

#: What it must not be used for, where its card does not say.
PROHIBITED = (
    "Inferring emotions of people at work or in education (EU AI Act, Article 5(1)(f)); hiring, "
    "grading, policing, border control, lie detection, diagnosis; reading people who do not know "
    "of it; any decision about a person."
)

"""Numbers, durations and foreign text, as people read them: one form everywhere."""

from __future__ import annotations

__all__ = ["clock", "count", "duration", "one_line", "percent"]


def percent(fraction: float, digits: int = 0) -> str:
    """Return a fraction as a percentage: ``12 %``, or ``12.3 %`` with a digit.

    A fraction that is neither 0 nor 1 is never shown as 0 % or 100 %, but as ``<1 %`` or
    ``>99 %`` (``<0.1 %``, ``>99.9 %``).
    """
    shown = f"{100 * fraction:.{digits}f}"
    step = 10.0**-digits
    if fraction > 0 and float(shown) == 0:
        return f"<{step:.{digits}f} %"
    if fraction < 1 and float(shown) == 100:
        return f">{100 - step:.{digits}f} %"
    return f"{shown} %"


def clock(time_s: float) -> str:
    """Return a place in a video: ``1:05``, ``1:02:05``, or ``0:00.5`` where needed."""
    minutes, tenths = divmod(round(time_s * 10), 600)
    hours, minutes = divmod(minutes, 60)
    seconds, tenth = divmod(tenths, 10)
    text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{text}.{tenth}" if tenth else text


def duration(time_s: float) -> str:
    """Return how long something lasts: ``0.8 s``, ``1:05 min``, ``1:02:05 h``."""
    if round(time_s, 1) < 60:
        return f"{time_s:.1f} s"
    return f"{clock(round(time_s))} {'h' if round(time_s) >= 3600 else 'min'}"


def count(number: int, one: str, several: str | None = None) -> str:
    """Return a number of things: ``0 faces``, ``1 face``, ``1,024 faces``."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def one_line(text: str) -> str:
    """Return the text on one line, with what a terminal would obey made visible."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in " ".join(text.split())
    )

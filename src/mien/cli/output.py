"""The forms in which the command line gives readings: text, JSON, JSON lines, CSV."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from mien.card import ModelCard
from mien.files import cannot_write
from mien.palette import colors_of
from mien.text import count, one_line, percent
from mien.types import Reading
from mien.wire import csv_fields, reading_to_row, to_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from mien.result import Result

__all__ = [
    "CsvOutput",
    "JsonLinesOutput",
    "JsonOutput",
    "Output",
    "TerminalOutput",
    "TextOutput",
    "one_line",
]

_MANY_FACES = 3  # above it, a face gets one line instead of a block
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = "▁▂▃▄▅▆▇█"
_BAR_CELLS = 30


class Output(Protocol):
    """Takes results in the order of the images."""

    def write(self, result: Result) -> None:
        """Give one result."""
        ...

    def close(self) -> None:
        """Finish, so that what was given is whole."""
        ...


class JsonOutput:
    """One JSON document on standard output, a line for each image; written as it grows."""

    def __init__(self, card: ModelCard, *, abstain: bool) -> None:
        self._model = {"name": card.name, "version": card.version}
        self._file, self._abstain = _standard_output("utf-8"), abstain
        self._count = 0

    def write(self, result: Result) -> None:
        """Give one result."""
        before = ",\n" if self._count else self._head()
        self._file.write(before + to_json(result.to_dict(abstain=self._abstain)))
        self._file.flush()
        self._count += 1

    def close(self) -> None:
        """Close the document."""
        self._file.write("\n]}\n" if self._count else self._head() + "]}\n")
        self._file.flush()

    def _head(self) -> str:
        return f'{{"model": {to_json(self._model)}, "images": [\n'


class JsonLinesOutput:
    """A JSON object and a line for each image on standard output."""

    def __init__(self, *, abstain: bool) -> None:
        self._file, self._abstain = _standard_output("utf-8"), abstain

    def write(self, result: Result) -> None:
        """Give one result."""
        self._file.write(to_json(result.to_dict(abstain=self._abstain)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Nothing is left to write."""


class CsvOutput:
    """A table with a row for each face; images without a face or unreadable have none.

    The file is made, or emptied, with the first result.
    """

    def __init__(self, path: Path, card: ModelCard, *, abstain: bool) -> None:
        self._path, self._abstain = path, abstain
        self._fields = ["image", "face", *csv_fields(card.labels)]
        self._file: TextIO | None = None

    def write(self, result: Result) -> None:
        """Give one result."""
        writer = csv.DictWriter(self._opened(), self._fields, lineterminator="\n")
        for number, reading in enumerate(result.readings, 1):
            row = reading_to_row(reading, abstain=self._abstain)
            writer.writerow({"image": result.name, "face": number, **row})

    def close(self) -> None:
        """Write what is left and let go of the file."""
        file = self._opened()
        if file is sys.stdout:
            file.flush()
        else:
            file.close()

    def _opened(self) -> TextIO:
        if self._file is None:
            if str(self._path) == "-":
                self._file = _standard_output("utf-8")
            else:
                self._file = _open_text(self._path)
            csv.DictWriter(self._file, self._fields, lineterminator="\n").writeheader()
        return self._file


class TextOutput:
    """Plain text on standard output, for files and pipes: a line for each face."""

    def __init__(self, *, abstain: bool) -> None:
        self._file, self._abstain = _standard_output(), abstain

    def write(self, result: Result) -> None:
        """Give one result; a failure is told elsewhere."""
        name = one_line(result.name)
        if not result.readings and result.error is None:
            self._file.write(f"{name}: no face found\n")
        for number, reading in enumerate(result.readings, 1):
            shares = ", ".join(f"{label} {percent(share)}" for label, share in _sorted(reading))
            self._file.write(
                f"{name}: face {number}: {_headline(reading, abstain=self._abstain)}; "
                f"box {_box_text(reading)}; {shares}\n"
            )
        self._file.flush()

    def close(self) -> None:
        """Nothing is left to write."""


class TerminalOutput:
    """Coloured text with bars, for people."""

    console: Console  #: also for what is shown besides, such as progress

    def __init__(self, card: ModelCard, *, abstain: bool) -> None:
        from rich.console import Console

        self.console = Console(highlight=False)
        self._card, self._abstain = card, abstain
        self._begun = self._explained = False

    def write(self, result: Result) -> None:
        """Give one result; a failure is told elsewhere."""
        from rich.text import Text

        if result.error is not None:
            return
        title = Text(one_line(result.name), "bold")
        height, width = result.size_hw
        title.append(f"  {width} × {height}, {_found(len(result.readings))}", "dim")
        lines = [Text(), title] if self._begun else [title]
        self._begun = True
        if len(result.readings) > _MANY_FACES:
            lines += [self._short(number, each) for number, each in enumerate(result.readings, 1)]
            if not self._explained:
                lines.append(self._explanation(result.readings[0].labels))
                self._explained = True
        else:
            lines += [line for reading in result.readings for line in self._block(reading)]
        for line in lines:
            self.console.print(line, soft_wrap=True)

    def close(self) -> None:
        """Nothing is left to write."""

    def _block(self, reading: Reading) -> list[Text]:
        from rich.text import Text

        head = Text("  ")
        head.append(_headline(reading, abstain=self._abstain), "bold")
        head.append(f"  at {_box_text(reading)}", "dim")
        lines = [head]
        colors = colors_of(reading.labels)
        for label, share in _sorted(reading):
            line = Text(f"    {label:<9} ")
            line.append(f"{_bar(share):<{_BAR_CELLS}}", colors[label])
            lines.append(line.append(f" {percent(share):>5}"))
        coverage = percent(self._card.calibration.coverage)
        if len(reading.set) > 1:
            lines.append(Text(f"    {coverage} set: {', '.join(reading.set)}", "dim"))
        return lines

    def _short(self, number: int, reading: Reading) -> Text:
        from rich.text import Text

        line = Text(f"  {number:>3}  ")
        colors = colors_of(reading.labels)
        for label, share in zip(reading.labels, reading.probabilities, strict=True):
            line.append(_HEIGHTS[min(int(share * 8), 7)], colors[label])
        headline = _headline(reading, abstain=self._abstain)
        line.append(" ● ", colors[reading.top]).append(f"{headline:<24}", "bold")
        return line.append(f" at {_box_text(reading)}", "dim")

    def _explanation(self, labels: Sequence[str]) -> Text:
        from rich.text import Text

        line = Text("       ").append("bars: ", "dim")
        for label, color in colors_of(labels).items():
            line.append("█ ", color).append(f"{label} ", "dim")
        return line


def _standard_output(encoding: str | None = None) -> TextIO:
    """Return it, in the encoding that a format demands and the terminal may not have."""
    if encoding is not None and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    return sys.stdout


def _open_text(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise cannot_write(path, error) from None


def _headline(reading: Reading, *, abstain: bool) -> str:
    if not reading.uncertain:
        return f"{reading.top} {percent(reading.confidence)}"
    if abstain:
        return " or ".join(reading.set[:2] or (reading.top,)) + "?"
    return f"{reading.top} {percent(reading.confidence)}, uncertain"


def _sorted(reading: Reading) -> list[tuple[str, float]]:
    shares = zip(reading.labels, reading.probabilities, strict=True)
    return sorted(shares, key=lambda share: -share[1])


def _box_text(reading: Reading) -> str:
    box = reading.face.box
    return f"{box.x},{box.y} {box.w}x{box.h}"


def _found(faces: int) -> str:
    return count(faces, "face") if faces else "no face found"


def _bar(share: float) -> str:
    eighths = round(share * _BAR_CELLS * 8)
    return _EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8].strip()

"""What a prediction returns.

    result = predictor.predict("photo.jpg")
    result                       # Result(photo.jpg, 512 x 512, 1 face: happy 97 %)
    for reading in result: ...
    result.annotate()            # a Pillow image with boxes and labels
    result.to_dataframe()        # a row for each face

A result keeps no pixels, so that a stream of results stays small: it knows its source and opens
it again when an image is asked for.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from PIL import Image as PillowImage

from mien.draw import annotate
from mien.errors import ConfigError, InputError, MienError, MissingExtra
from mien.files import atomic_write
from mien.images import Source, encode, open_picture
from mien.palette import colors_of
from mien.text import count, percent
from mien.types import Image, Reading
from mien.wire import failure_to_dict, image_to_dict, reading_to_row

if TYPE_CHECKING:
    import pandas

__all__ = ["Result", "results_to_dataframe"]

_HTML_PX = 480  # the longer side of the image in a notebook
_HTML_FACES = 6  # with bars; all have boxes
_JPEG_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif")


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """The readings of one image, or why there are none.

    Attributes:
        name: what the source is called: a path as it was given, or ``image`` for bytes,
            arrays and Pillow images.
        size_hw: height and width of the upright image in full, in pixels; boxes refer to it.
            (0, 0) with an error.
        readings: one for each face that was selected, most confident detection first.
        error: why the image could not be read; only :meth:`Predictor.predict_many` gives it.
        timings_ms: of ``decode``, ``detect``, ``crop``, ``classify`` and ``total``.
        source: what was read: a path or bytes, an array or Pillow image by reference.
    """

    name: str
    size_hw: tuple[int, int] = (0, 0)
    readings: tuple[Reading, ...] = ()
    error: MienError | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict, compare=False)
    source: Source | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.readings)

    def __iter__(self) -> Iterator[Reading]:
        return iter(self.readings)

    @overload
    def __getitem__(self, index: int) -> Reading: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Reading, ...]: ...
    def __getitem__(self, index: int | slice) -> Reading | tuple[Reading, ...]:
        return self.readings[index]

    def __repr__(self) -> str:
        if self.error is not None:
            return f"Result({self.name}, {type(self.error).__name__}: {self.error})"
        height, width = self.size_hw
        return f"Result({self.name}, {width} x {height}, {self._summary()})"

    def to_dict(self, *, abstain: bool = False) -> dict[str, Any]:
        """Return plain JSON values in the form of :mod:`mien.wire`.

        Args:
            abstain: an uncertain reading names no expression.
        """
        if self.error is not None:
            return failure_to_dict(self.name, self.error)
        return image_to_dict(self.name, self.size_hw, self.readings, abstain=abstain)

    def to_dataframe(self, *, abstain: bool = False) -> pandas.DataFrame:
        """Return a table with a row for each face; see :func:`results_to_dataframe`."""
        return results_to_dataframe([self], abstain=abstain)

    def annotate(self) -> PillowImage.Image:
        """Open the source in full and return it with the readings drawn on it.

        Raises:
            InputError: the source cannot be opened any more, or there is none.
        """
        return PillowImage.fromarray(self._drawn())

    def save(self, path: str | Path) -> None:
        """Write the annotated image, as JPEG or PNG by the ending of ``path``.

        Raises:
            InputError: as :meth:`annotate`.
            ConfigError: another ending, or the file cannot be written.
        """
        path = Path(path)
        ending = path.suffix.lower()
        if ending not in (*_JPEG_ENDINGS, ".png"):
            raise ConfigError(f"{path}: expected a name ending in .jpg or .png")
        content = encode(self._drawn(), "png" if ending == ".png" else "jpeg")
        with atomic_write(path) as part:
            part.write_bytes(content)

    def _repr_html_(self) -> str:
        if self.error is not None:
            return f"<p><b>{html.escape(self.name)}</b>: {html.escape(str(self.error))}</p>"
        lines = [f"<p><b>{html.escape(self.name)}</b>: {html.escape(self._summary())}</p>"]
        if self.source is not None:
            lines.append(_small_image(self.annotate(), self._summary()))
        lines += [_bars(reading) for reading in self.readings[:_HTML_FACES]]
        if len(self) > _HTML_FACES:
            lines.append(f"<p>and {len(self) - _HTML_FACES} more faces</p>")
        return "\n".join(lines)

    def _summary(self) -> str:
        if not self.readings:
            return "no face"
        shown = [_headline(reading) for reading in self.readings[:3]]
        rest = ", ..." if len(self) > len(shown) else ""
        return f"{count(len(self), 'face')}: {', '.join(shown)}{rest}"

    def _drawn(self) -> Image:
        if self.error is not None:
            raise self.error
        if self.source is None:
            raise InputError(f"{self.name}: this result has no source to draw on")
        return annotate(open_picture(self.source).pixels, self.readings)


def results_to_dataframe(results: Iterable[Result], *, abstain: bool = False) -> pandas.DataFrame:
    """Return a table of results: a row for each face.

    An image without a face has one row with an empty ``face``; one that could not be read has
    its ``error`` there. Columns: ``image``, ``width``, ``height``, ``face`` (from 1), those of
    :func:`mien.wire.csv_fields`, ``error``.

    Args:
        abstain: an uncertain reading names no expression.

    Raises:
        MissingExtra: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise MissingExtra("evaluate", "pandas") from None
    rows: list[dict[str, Any]] = []
    for result in results:
        place: dict[str, Any] = {"image": result.name}
        if result.error is not None:
            rows.append({**place, "error": str(result.error)})
            continue
        place |= {"width": result.size_hw[1], "height": result.size_hw[0]}
        rows += [
            {**place, "face": number, **reading_to_row(reading, abstain=abstain)}
            for number, reading in enumerate(result, 1)
        ] or [place]
    first = ["image", "width", "height", "face"]
    names = dict.fromkeys([*first, *(name for row in rows for name in row if name != "error")])
    frame = pandas.DataFrame(rows, columns=[*names, "error"])
    whole = ("width", "height", "face", "box.x", "box.y", "box.w", "box.h", "identity")
    kinds = {name: "Int64" for name in whole if name in frame}
    return frame.astype(kinds)


def _headline(reading: Reading) -> str:
    doubt = ", uncertain" if reading.uncertain else ""
    return f"{reading.top} {percent(reading.confidence)}{doubt}"


def _small_image(image: PillowImage.Image, summary: str) -> str:
    image.thumbnail((_HTML_PX, _HTML_PX))
    data = base64.b64encode(encode(np.asarray(image))).decode("ascii")
    return f'<img alt="{html.escape(summary, quote=True)}" src="data:image/jpeg;base64,{data}">'


def _bars(reading: Reading) -> str:
    pairs = sorted(zip(reading.labels, reading.probabilities, strict=True), key=lambda p: -p[1])
    colors = colors_of(reading.labels)
    rows = "".join(
        f"<tr><td>{html.escape(label)}</td><td style='width:12em;text-align:left'>"
        f"<div style='width:{100 * value:.0f}%;height:0.8em;background:{colors[label]}'></div>"
        f"</td><td>{percent(value)}</td></tr>"
        for label, value in pairs
    )
    title = html.escape(_headline(reading))
    return f"<table><caption style='text-align:left'>{title}</caption>{rows}</table>"

"""A video's emotions over time as one picture: PNG, or a web page that needs nothing else.

For each person: a face, the probabilities as stacked bands in the colours of
:mod:`mien.palette`, and below them the episodes.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import MissingExtra
from mien.images import encode
from mien.palette import colors_of, ink_on
from mien.text import clock, count, duration
from mien.video.story import Episode, Person, Series, most_seen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["timeline_html", "timeline_png"]

_MOST_PEOPLE = 12  # a picture with more is not looked at; those seen longest are shown
_INK, _FAINT = "#222222", "#8a8a8a"
_GAP_BINS = 2.5  # bins of a series that lie further apart are drawn apart


def timeline_png(people: Sequence[Person], span_s: tuple[float, float], title: str) -> bytes:
    """Draw the timeline.

    Args:
        people: of a :class:`mien.video.story.Story`; none is a picture that says so.
        span_s: start and end of the time axis.
        title: above it, such as the video's name.

    Returns:
        An encoded PNG, 1680 pixels wide.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("video", "matplotlib") from None
    shown = most_seen(people, _MOST_PEOPLE)
    rows = max(len(shown), 1)
    figure = Figure(figsize=(14, 1.35 + 1.5 * rows), dpi=120, facecolor="white")
    height = figure.get_figheight()
    figure.text(0.025, 1 - 0.38 / height, _plain(title), size=15, weight="bold", color=_INK)
    subtitle = _subtitle(people, len(people) - len(shown))
    figure.text(0.025, 1 - 0.64 / height, subtitle, size=10, color=_FAINT)
    _legend(figure, _labels(shown), 1 - 0.52 / height)
    grid = figure.add_gridspec(
        rows, 1, left=0.125, right=0.975, top=1 - 0.9 / height, bottom=0.42 / height, hspace=0.28
    )
    for row in range(rows):
        axes = figure.add_subplot(grid[row])
        _style(axes, span_s, last=row == rows - 1)
        if shown:
            _draw_person(axes, shown[row], span_s)
            _draw_name(figure, axes, shown[row])
        else:
            axes.text(sum(span_s) / 2, 0.5, "no face was seen", ha="center", color=_FAINT)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def timeline_html(people: Sequence[Person], span_s: tuple[float, float], title: str) -> str:
    """Return the timeline as one page: no script, no request to anywhere.

    Args:
        people: of a :class:`mien.video.story.Story`; none is a page that says so.
        span_s: start and end of the time axis.
        title: above it, such as the video's name.
    """
    try:
        from mien.templates import render

        shown = most_seen(people, _MOST_PEOPLE)
        return render(
            "mien.video",
            "timeline.html",
            title=title,
            subtitle=_subtitle(people, len(people) - len(shown)),
            colors=colors_of(_labels(shown)),
            drawings=[_Drawing.of(person, span_s) for person in shown],
            ticks=list(_ticks(span_s)),
            width=_WIDTH,
            height=_BANDS + _STRIP + 24,
            strip_y=_BANDS + 4,
            strip_height=_STRIP - 4,
        )
    except ModuleNotFoundError:
        raise MissingExtra("video", "Jinja2") from None


def _labels(people: Sequence[Person]) -> list[str]:
    return list(people[0].shares) if people else []


def _subtitle(people: Sequence[Person], left_out: int) -> str:
    more = f", of whom {left_out} seen least are not shown" if left_out else ""
    shown = f"{count(len(people), 'person', 'people')}{more}"
    return f"{shown}. Bands: probability of each emotion. Below: episodes."


def _segments(
    series: Series, span_s: tuple[float, float]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield times (T,) and cumulative shares (T, labels + 1) of each unbroken stretch."""
    breaks = np.nonzero(np.diff(series.starts_s) > _GAP_BINS * series.bin_s)[0] + 1
    for part in np.split(np.arange(len(series.starts_s)), breaks):
        starts, shares = series.starts_s[part], series.shares[part]
        times = np.concatenate([starts[:1], starts + series.bin_s / 2, starts[-1:] + series.bin_s])
        shares = np.concatenate([shares[:1], shares, shares[-1:]])
        bounds = np.concatenate([np.zeros((len(shares), 1)), shares.cumsum(axis=1)], axis=1)
        yield np.clip(times, *span_s), bounds


def _style(axes: Axes, span_s: tuple[float, float], *, last: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(*span_s)
    axes.set_ylim(-0.3, 1)
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 1.5, 2, 3, 5, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
    axes.tick_params(axis="x", length=0, labelsize=9, labelcolor=_FAINT, labelbottom=last)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_person(axes: Axes, person: Person, span_s: tuple[float, float]) -> None:
    colors = colors_of(person.shares)
    for times, bounds in _segments(person.series, span_s):
        for column, color in enumerate(colors.values()):
            below, above = bounds[:, column], bounds[:, column + 1]
            axes.fill_between(times, below, above, color=color, linewidth=0)
    for episode in person.episodes:
        start, length = episode.start_s, episode.end_s - episode.start_s
        axes.barh(
            -0.17, length, 0.2, start, color=colors[episode.emotion], edgecolor="white", lw=0.8
        )
        if length / (span_s[1] - span_s[0]) > 0.008 * len(episode.emotion) + 0.01:
            ink = ink_on(colors[episode.emotion])
            middle = start + length / 2
            axes.text(middle, -0.18, episode.emotion, ha="center", va="center", size=8, color=ink)


def _draw_name(figure: Figure, axes: Axes, person: Person) -> None:
    place = axes.get_position()
    if person.thumbnail is not None:
        side = 0.62 * place.height
        width = side * figure.get_figheight() / figure.get_figwidth()
        inset = figure.add_axes((0.025, place.y1 - side, width, side))
        inset.imshow(person.thumbnail)
        inset.set_axis_off()
    top = place.y0 + 0.30 * place.height
    figure.text(
        0.025, top, f"Person {person.identity}", size=10, weight="bold", va="top", color=_INK
    )
    figure.text(0.025, place.y0, f"seen {duration(person.seen_s)}", size=8.5, color=_FAINT)


def _legend(figure: Figure, labels: Sequence[str], y: float) -> None:
    from matplotlib.patches import Patch

    if labels:
        figure.legend(
            handles=[Patch(color=color, label=label) for label, color in colors_of(labels).items()],
            loc="center right",
            bbox_to_anchor=(0.98, y),
            ncols=len(labels),
            frameon=False,
            fontsize=10,
            handlelength=1,
            handleheight=1,
            columnspacing=1.2,
            handletextpad=0.5,
        )


_WIDTH, _BANDS, _STRIP = 1000, 120, 22  # of the page's drawing, in its own units


@dataclass(frozen=True, slots=True)
class _Strip:
    """An episode as a rectangle below the bands; its name fits inside or is left out."""

    episode: Episode
    x: float
    width: float
    color: str

    @property
    def ink(self) -> str:
        return ink_on(self.color)

    @property
    def fits(self) -> bool:
        return self.width > 7.5 * len(self.episode.emotion) + 8


@dataclass(frozen=True, slots=True)
class _Drawing:
    """What the page shows of a person, in the drawing's own units."""

    person: Person
    face: str  # a JPEG in base64, empty without a picture
    shares: list[tuple[str, float]]
    bands: list[tuple[str, str]]  # color and points
    episodes: list[_Strip]

    @classmethod
    def of(cls, person: Person, span_s: tuple[float, float]) -> _Drawing:
        scale, colors = _WIDTH / (span_s[1] - span_s[0]), colors_of(person.shares)
        shares = sorted(person.shares.items(), key=lambda share: -share[1])
        strips = [
            _Strip(
                episode,
                (episode.start_s - span_s[0]) * scale,
                max((episode.end_s - episode.start_s) * scale - 1, 0.5),
                colors[episode.emotion],
            )
            for episode in person.episodes
        ]
        return cls(
            person,
            _face_of(person),
            [(label, share) for label, share in shares if share >= 0.005],
            list(_bands(person, span_s, scale)),
            strips,
        )


def _bands(person: Person, span_s: tuple[float, float], scale: float) -> Iterator[tuple[str, str]]:
    """Yield the color and the outline of each label's band, one unbroken stretch at a time."""
    colors = colors_of(person.shares)
    for times, bounds in _segments(person.series, span_s):
        x = (times - span_s[0]) * scale
        for column, color in enumerate(colors.values()):
            y = (1 - bounds[:, column : column + 2]) * _BANDS
            outline = np.stack([np.append(x, x[::-1]), np.append(y[:, 1], y[::-1, 0])], axis=1)
            yield color, " ".join(f"{a:.1f},{b:.1f}" for a, b in outline)


def _ticks(span_s: tuple[float, float]) -> Iterator[tuple[float, str, float]]:
    """Yield the place, the anchor and the time of each tick."""
    scale, step = _WIDTH / (span_s[1] - span_s[0]), _tick_step_s(span_s[1] - span_s[0])
    for number in range(math.ceil(span_s[0] / step), math.floor(span_s[1] / step) + 1):
        x = (number * step - span_s[0]) * scale
        yield x, "start" if x < 20 else "end" if x > _WIDTH - 20 else "middle", number * step


def _tick_step_s(length_s: float) -> float:
    """Return a round step that gives at most ten ticks."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    return next((step for step in steps if length_s / step <= 10), length_s / 10)


def _face_of(person: Person) -> str:
    if person.thumbnail is None:
        return ""
    return base64.b64encode(encode(person.thumbnail, "jpeg", 85)).decode()


def _plain(text: str) -> str:
    """Keep Matplotlib from reading a file's name as a formula."""
    return text.replace("$", r"\$")

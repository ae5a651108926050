"""A video's emotions over time as one picture: PNG, or a web page that needs nothing else.

For each person: a face, the probabilities as stacked bands in the colours of `mien.draw`, and
below them the episodes.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.draw import colour_of
from mien.errors import MissingExtra
from mien.images import encode
from mien.video.story import Episode, Person, Series

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
    shown, left_out = _most_seen(people)
    rows = max(len(shown), 1)
    figure = Figure(figsize=(14, 1.35 + 1.5 * rows), dpi=120, facecolor="white")
    height = figure.get_figheight()
    figure.text(0.025, 1 - 0.38 / height, _plain(title), size=15, weight="bold", color=_INK)
    subtitle = _subtitle(people, left_out)
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
    shown, left_out = _most_seen(people)
    legend = "".join(
        f'<li><i style="background:{colour_of(label)}"></i>{html.escape(label)}</li>'
        for label in _labels(shown)
    )
    sections = "".join(_person_html(person, span_s) for person in shown)
    return _PAGE.format(
        title=html.escape(title),
        subtitle=html.escape(_subtitle(people, left_out)),
        legend=legend,
        people=sections or "<p>No face was seen.</p>",
    )


def _most_seen(people: Sequence[Person]) -> tuple[list[Person], int]:
    chosen = sorted(people, key=lambda person: -person.seen_s)[:_MOST_PEOPLE]
    return sorted(chosen, key=lambda person: person.identity), len(people) - len(chosen)


def _labels(people: Sequence[Person]) -> list[str]:
    return list(people[0].shares) if people else []


def _subtitle(people: Sequence[Person], left_out: int) -> str:
    count = f"{len(people)} {'person' if len(people) == 1 else 'people'}"
    more = f", of whom {left_out} seen least are not shown" if left_out else ""
    return f"{count}{more}. Bands: probability of each emotion. Below: episodes."


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
    labels = list(person.shares)
    for times, bounds in _segments(person.series, span_s):
        for column, label in enumerate(labels):
            below, above = bounds[:, column], bounds[:, column + 1]
            axes.fill_between(times, below, above, color=colour_of(label), linewidth=0)
    for episode in person.episodes:
        start, length = episode.start_s, episode.end_s - episode.start_s
        axes.barh(
            -0.17, length, 0.2, start, color=colour_of(episode.emotion), edgecolor="white", lw=0.8
        )
        if length / (span_s[1] - span_s[0]) > 0.008 * len(episode.emotion) + 0.01:
            ink = _ink_on(colour_of(episode.emotion))
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
    figure.text(0.025, place.y0, f"seen {_length(person.seen_s)}", size=8.5, color=_FAINT)


def _legend(figure: Figure, labels: Sequence[str], y: float) -> None:
    from matplotlib.patches import Patch

    if labels:
        figure.legend(
            handles=[Patch(color=colour_of(label), label=label) for label in labels],
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


def _person_html(person: Person, span_s: tuple[float, float]) -> str:
    scale = _WIDTH / (span_s[1] - span_s[0])
    labels = list(person.shares)
    shapes = []
    for times, bounds in _segments(person.series, span_s):
        x = (times - span_s[0]) * scale
        for column, label in enumerate(labels):
            y = (1 - bounds[:, column : column + 2]) * _BANDS
            there = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y[:, 1], strict=True))
            back = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[::-1], y[::-1, 0], strict=True))
            shapes.append(f'<polygon fill="{colour_of(label)}" points="{there} {back}"/>')
    shapes += [_episode_svg(episode, span_s[0], scale) for episode in person.episodes]
    shapes += _ticks_svg(span_s, scale)
    shares = sorted(person.shares.items(), key=lambda share: -share[1])
    listed = ", ".join(
        f"{html.escape(name)} {share:.0%}" for name, share in shares if share >= 0.005
    )
    return (
        f"<section>{_picture(person)}<div><h2>Person {person.identity}</h2>"
        f"<p>seen {_length(person.seen_s)}; {listed}; {person.changes} "
        f"change{'' if person.changes == 1 else 's'}</p>"
        f'<svg viewBox="0 0 {_WIDTH} {_BANDS + _STRIP + 24}" role="img" '
        f'aria-label="Emotions of person {person.identity} over time">{"".join(shapes)}</svg>'
        "</div></section>"
    )


def _episode_svg(episode: Episode, start_s: float, scale: float) -> str:
    x, width = (episode.start_s - start_s) * scale, (episode.end_s - episode.start_s) * scale
    name = html.escape(episode.emotion)
    told = (
        f"{name} {clock(episode.start_s)} to {clock(episode.end_s)}, "
        f"at most {episode.peak:.0%} at {clock(episode.peak_s)}"
    )
    colour = colour_of(episode.emotion)
    text = ""
    if width > 7.5 * len(name) + 8:
        text = (
            f'<text x="{x + width / 2:.1f}" y="{_BANDS + _STRIP - 5}" text-anchor="middle" '
            f'fill="{_ink_on(colour)}">{name}</text>'
        )
    return (
        f'<g><title>{told}</title><rect x="{x:.1f}" y="{_BANDS + 4}" '
        f'width="{max(width - 1, 0.5):.1f}" height="{_STRIP - 4}" fill="{colour}"/>{text}</g>'
    )


def _ticks_svg(span_s: tuple[float, float], scale: float) -> Iterator[str]:
    step = _tick_step_s(span_s[1] - span_s[0])
    for number in range(math.ceil(span_s[0] / step), math.floor(span_s[1] / step) + 1):
        x = (number * step - span_s[0]) * scale
        anchor = "start" if x < 20 else "end" if x > _WIDTH - 20 else "middle"
        yield (
            f'<text class="tick" x="{x:.1f}" y="{_BANDS + _STRIP + 18}" '
            f'text-anchor="{anchor}">{clock(number * step)}</text>'
        )


def _tick_step_s(length_s: float) -> float:
    """Return a round step that gives at most ten ticks."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    return next((step for step in steps if length_s / step <= 10), length_s / 10)


def _picture(person: Person) -> str:
    if person.thumbnail is None:
        return '<div class="face"></div>'
    data = base64.b64encode(encode(person.thumbnail, "jpeg", 85)).decode()
    return f'<img class="face" alt="" src="data:image/jpeg;base64,{data}">'


def clock(time_s: float) -> str:
    """Return a time as people write it: ``1:05``, ``1:02:05``, or ``0:00.5`` where needed."""
    tenths = round(time_s * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds, tenth = divmod(rest, 10)
    text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{text}.{tenth}" if tenth else text


def _length(time_s: float) -> str:
    return f"{time_s:.1f} s" if time_s < 60 else f"{clock(round(time_s))} min"


def _plain(text: str) -> str:
    """Keep Matplotlib from reading a file's name as a formula."""
    return text.replace("$", r"\$")


def _ink_on(colour: str) -> str:
    """Return black or white, whichever reads better on the colour (WCAG 2 luminance)."""
    parts = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return "#121212" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "#ffffff"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #222; --faint: #6b6b6b; --paper: #fff; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #eee; --faint: #a0a0a0; --paper: #121212; }}
}}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; margin: 0; overflow-wrap: anywhere; }}
h2 {{ font-size: 1rem; margin: 0; }}
p {{ margin: 0 0 .4rem; color: var(--faint); }}
ul {{ list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1rem; padding: 0; }}
li i {{ display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 2px; }}
section {{ display: grid; grid-template-columns: 5rem 1fr; gap: 1rem; margin: 1.5rem 0; }}
.face {{ width: 100%; border-radius: 8px; }}
section > div {{ min-width: 0; overflow-x: auto; }}
svg {{ width: 100%; min-width: 40rem; font-size: 12px; }}
.tick {{ fill: var(--faint); }}
@media (max-width: 48rem) {{
  section {{ grid-template-columns: 1fr; gap: .5rem; }}
  .face {{ width: 5rem; }}
}}
</style></head><body>
<h1>{title}</h1><p>{subtitle}</p><ul>{legend}</ul>
{people}
</body></html>
"""

"""``mien live``: what a camera sees, read as it comes; in a window or in the terminal."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from mien.cli.choice import Choice
from mien.cli.options import (
    AllowNetwork,
    Detector,
    Device,
    EveryNth,
    Head,
    MinFace,
    MinScore,
    Model,
    Smallest,
    Smooth,
)
from mien.cli.video import open_predictor
from mien.draw import annotate
from mien.palette import colors_of
from mien.text import percent
from mien.types import Reading

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mien.video import FrameReadings

__all__ = ["live"]

_BAR_CELLS = 24
_REMEMBER_FRAMES = 30  # over which rates and latencies are averaged
_LARGEST_PX = (1280, 720)  # of the window's picture


def live(
    camera: Annotated[
        str,
        typer.Option(
            metavar="N|FILE", help="A camera's number; or a video file, shown at its own pace."
        ),
    ] = "0",
    terminal: Annotated[
        bool, typer.Option("--terminal", help="Show bars in the terminal, also with a display.")
    ] = False,
    every: EveryNth = None,
    smooth: Smooth = 0.6,
    model: Model = None,
    head: Head = None,
    device: Device = "auto",
    detector: Detector = None,
    smallest: Smallest = None,
    min_score: MinScore = 0.0,
    min_face: MinFace = 0,
    allow_network: AllowNetwork = False,
) -> None:
    """Read the faces that a camera sees, until Ctrl-C or the window is closed.

    Below the picture stand frames per second, the time that each stage takes, and how many
    frames were dropped to keep up. No picture is kept or sent anywhere.

    **Examples**

        mien live

        mien live --camera talk.mp4 --terminal

    Exit codes: 0 ended; 2 there is no such camera, or an option cannot be used.
    """
    from mien.video import FollowOptions, Latest, follow, open_source

    options = FollowOptions(every=every, smooth_s=smooth)
    source = open_source(camera, allow_network=allow_network)
    frames = Latest(source, paced=not camera.isdecimal() and "://" not in camera)
    try:
        predictor = open_predictor(
            Choice(model, head, device, detector, smallest, min_score, min_face)
        )
        pulse = Pulse()
        with _open_view(f"mien: {source.info.name}", in_terminal=terminal) as view:
            for frame in follow(frames.frames(), predictor, options):
                start = time.perf_counter()
                goes_on = view.show(frame, pulse.text(frames.dropped))
                pulse.beat(frame, (time.perf_counter() - start) * 1000)
                if not goes_on:
                    break
    except KeyboardInterrupt:
        pass
    finally:
        frames.close()


class Pulse:
    """How quick the last frames were: rate and latency per stage."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque(maxlen=_REMEMBER_FRAMES)
        self._stages: deque[dict[str, float]] = deque(maxlen=_REMEMBER_FRAMES)

    def beat(self, frame: FrameReadings, show_ms: float, now_s: float | None = None) -> None:
        """Note one frame; ``now_s`` is the time on any clock, the system's if ``None``."""
        self._times_s.append(time.monotonic() if now_s is None else now_s)
        stages = {name: frame.timings_ms[name] for name in ("detect", "read")}
        self._stages.append({**stages, "show": show_ms})

    @property
    def fps(self) -> float:
        """Frames per second; 0 before the second frame."""
        span_s = self._times_s[-1] - self._times_s[0] if self._times_s else 0.0
        return (len(self._times_s) - 1) / span_s if span_s > 0 else 0.0

    def text(self, dropped: int) -> str:
        """Return all of it as one line."""
        count = max(len(self._stages), 1)
        means = {
            name: sum(stages[name] for stages in self._stages) / count
            for name in ("detect", "read", "show")
        }
        stages = ", ".join(f"{name} {mean:.1f} ms" for name, mean in means.items())
        total = sum(means.values())
        return f"{self.fps:.0f} frames/s; {stages}, in all {total:.1f} ms; {dropped} dropped"


class View(Protocol):
    """Shows frames to a person."""

    def show(self, frame: FrameReadings, status: str) -> bool:
        """Show one frame; return whether to go on."""
        ...


@contextmanager
def _open_view(title: str, *, in_terminal: bool) -> Iterator[View]:
    window = None if in_terminal else _try_window(title)
    if window is not None:
        try:
            yield window
        finally:
            window.close()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with Live(console=console, refresh_per_second=12, screen=console.is_terminal) as screen:
        yield TerminalView(title, screen)


def _try_window(title: str) -> WindowView | None:
    """Return a window, or ``None`` without a display or without Tk."""
    try:
        import tkinter
    except ImportError:  # some systems have Python without it
        return None
    try:
        return WindowView(tkinter.Tk(), title)
    except tkinter.TclError:
        return None


class WindowView:
    """A window of Tk, which comes with Python; the OpenCV that is used here has none."""

    def __init__(self, root: Any, title: str) -> None:
        import tkinter

        self._root, self._open = root, True
        root.title(title)
        root.configure(background="#121212")
        root.protocol("WM_DELETE_WINDOW", self._on_close)
        for key in ("<Escape>", "q"):
            root.bind(key, lambda event: self._on_close())
        self._picture = tkinter.Label(root, borderwidth=0, background="#121212")
        self._picture.pack()
        self._status = tkinter.Label(root, foreground="#e0e0e0", background="#121212", pady=6)
        self._status.pack()

    def show(self, frame: FrameReadings, status: str) -> bool:
        """Show one frame; return whether to go on."""
        from PIL import Image as PillowImage
        from PIL import ImageTk

        picture = PillowImage.fromarray(annotate(frame.image, frame.readings))
        picture.thumbnail(_LARGEST_PX)
        photo = ImageTk.PhotoImage(picture, master=self._root)
        self._picture.configure(image=photo)
        self._shown = photo  # Tk does not keep it
        self._status.configure(text=status)
        self._root.update()
        return self._open

    def close(self) -> None:
        """Close the window; closing twice is harmless."""
        root, self._root = self._root, None
        if root is not None:
            import tkinter

            with suppress(tkinter.TclError):
                root.destroy()

    def _on_close(self) -> None:
        self._open = False


class TerminalView:
    """Bars for each face, redrawn in place; on a pipe, the last frame only."""

    def __init__(self, title: str, screen: Any) -> None:
        self._title, self._screen = title, screen

    def show(self, frame: FrameReadings, status: str) -> bool:
        """Show one frame; return whether to go on."""
        self._screen.update(render(self._title, frame.readings, status))
        return True


def render(title: str, readings: tuple[Reading, ...], status: str) -> RenderableType:
    """Return the terminal's picture of one frame."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.text import Text

    faces = sorted(readings, key=lambda reading: reading.identity or 0)
    body = Columns([_panel(reading) for reading in faces]) if faces else Text("no face in sight")
    return Group(Text(title, "bold"), body, Text(status, "dim"))


def _panel(reading: Reading) -> RenderableType:
    from rich.panel import Panel
    from rich.text import Text

    lines, colors = Text(), colors_of(reading.labels)
    for label, share in zip(reading.labels, reading.probabilities, strict=True):
        filled = round(share * _BAR_CELLS)
        lines.append(f"{label:<9}")
        lines.append("█" * filled, colors[label])
        lines.append("·" * (_BAR_CELLS - filled), "dim")
        lines.append(f" {percent(share):>5}\n")
    lines.rstrip()
    asked = " or ".join(reading.set[:2]) + "?" if reading.uncertain else reading.top
    return Panel(
        lines,
        title=f"#{reading.identity} {asked}",
        border_style=colors[reading.top],
        expand=False,
    )

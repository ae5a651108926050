"""Results of many images, past the bad ones, and a clean end when interrupted."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import typer

from mien.cli.output import Output, TerminalOutput
from mien.text import one_line

if TYPE_CHECKING:
    from mien.result import Result

__all__ = ["stop_on_interrupt", "write_results"]

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def write_results(
    results: Generator[Result, None, None], total: int, outputs: Sequence[Output]
) -> None:
    """Give every result to every output; name the images that failed at the end.

    Args:
        results: of ``total`` images; closed at the end, however it comes.

    Raises:
        typer.Exit: with 130 if it was interrupted, with 1 if images could not be read.
    """
    failures = []
    with ExitStack() as stack:
        stopped = stack.enter_context(stop_on_interrupt())
        for output in outputs:
            stack.callback(output.close)
        advance = stack.enter_context(_progress(total, outputs))
        stack.enter_context(closing(results))
        for result in results:
            if result.error is not None:
                failures.append(result.error)
            for output in outputs:
                output.write(result)
            advance()
            if stopped.is_set():
                break
    if failures:
        typer.echo(f"mien: {len(failures)} of {total} images could not be read:", err=True)
    for failure in failures:
        typer.echo(f"  {one_line(str(failure))}", err=True)
    if stopped.is_set():
        typer.echo("mien: interrupted; what was read until then is written", err=True)
        raise typer.Exit(_INTERRUPTED)
    if failures:
        raise typer.Exit(1)


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event, so that no line is cut in two.

    The second acts as ever. Outside the main thread, which gets no signals, nothing changes.
    """
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress(total: int, outputs: Sequence[Output]) -> Iterator[Callable[[], None]]:
    """Show how far it is, where that is seen and does not mix with what is printed."""
    console = next((each.console for each in outputs if isinstance(each, TerminalOutput)), None)
    if not sys.stderr.isatty() or (console is None and sys.stdout.isatty()):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    console = console or Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("reading", total=total)
        yield lambda: progress.advance(task)

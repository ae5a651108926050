"""Many images at once, in order, past the bad ones, and to a clean end when interrupted."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from types import FrameType
from typing import TypeVar

import typer

from mien.cli.output import Output, Result, TerminalOutput
from mien.text import one_line

__all__ = ["cores", "in_order", "read_several", "stop_on_interrupt"]

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_several(
    items: Sequence[_Item],
    read: Callable[[_Item], Result],
    outputs: Sequence[Output],
    workers: int,
) -> None:
    """Give the result of every item to every output; name those that failed at the end.

    Raises:
        typer.Exit: with 130 if it was interrupted, with 1 if items could not be read.
    """
    failures = []
    with ExitStack() as stack:
        stopped = stack.enter_context(stop_on_interrupt())
        for output in outputs:
            stack.callback(output.close)
        advance = stack.enter_context(_progress(len(items), outputs))
        results = stack.enter_context(closing(in_order(read, items, workers)))
        for result in results:
            if result.failure is not None:
                failures.append(result.failure)
            for output in outputs:
                output.write(result)
            advance()
            if stopped.is_set():
                break
    if failures:
        typer.echo(f"mien: {len(failures)} of {len(items)} images could not be read:", err=True)
    for failure in failures:
        typer.echo(f"  {one_line(str(failure))}", err=True)
    if stopped.is_set():
        typer.echo("mien: interrupted; what was read until then is written", err=True)
        raise typer.Exit(_INTERRUPTED)
    if failures:
        raise typer.Exit(1)


def in_order(
    work: Callable[[_Item], _Done], items: Iterable[_Item], workers: int
) -> Generator[_Done, None, None]:
    """Work on ``workers`` items at once; yield in order, holding at most twice as many more.

    What ``work`` raises is raised here; what was not begun then is left.
    """
    pending: deque[Future[_Done]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= 3 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


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

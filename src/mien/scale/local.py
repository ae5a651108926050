"""Many processes on this machine. Each opens the model once; one that dies is replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from mien.errors import MienError
from mien.lifeline import die_with_parent
from mien.scale.job import PartReport
from mien.scale.part import PartReader, open_reader
from mien.scale.places import is_address

__all__ = ["read_locally"]

# A process may be killed for its memory, which another part has taken: try once more.
_ATTEMPTS = 2


def read_locally(
    folder: str, numbers: Sequence[int], *, workers: int
) -> Generator[PartReport, None, None]:
    """Read parts of the job in a folder; yield reports as parts are finished.

    A part that kills its process twice is left out, and its report says so. To stop, leave off
    iterating: the processes are killed, and parts are there whole or not at all.

    Raises:
        MienError: as :class:`mien.scale.part.PartReader`; what was not begun then is left.
    """
    folder = folder if is_address(folder) else os.path.abspath(folder)
    waiting = deque(numbers)
    deaths: dict[int, int] = {}
    crew = [_Worker(folder) for _ in range(min(workers, len(waiting)))]
    try:
        for worker in crew:
            worker.give(waiting.popleft())
        while any(worker.part is not None for worker in crew):
            ready = wait([worker.pipe for worker in crew if worker.part is not None])
            for index, worker in enumerate(crew):
                if worker.pipe not in ready or worker.part is None:
                    continue
                number = worker.part
                outcome = worker.take()
                if outcome is None:
                    crew[index] = _Worker(folder)
                    deaths[number] = deaths.get(number, 0) + 1
                    if deaths[number] < _ATTEMPTS:
                        waiting.appendleft(number)
                    else:
                        outcome = PartReport(number, failure=f"it killed {_ATTEMPTS} processes")
                if outcome is not None:
                    yield outcome
                if waiting:
                    crew[index].give(waiting.popleft())
    finally:
        for worker in crew:
            worker.kill()


class _Worker:
    """A process that reads the parts it is given."""

    def __init__(self, folder: str) -> None:
        context = multiprocessing.get_context("spawn")  # ONNX Runtime does not survive a fork
        self.pipe, theirs = context.Pipe()
        self.part: int | None = None
        self._process = context.Process(
            target=_work, args=(theirs, folder, os.getpid()), daemon=True
        )
        self._process.start()
        theirs.close()  # so that its death closes the pipe

    def give(self, number: int) -> None:
        self.part = number
        try:
            self.pipe.send(number)
        except OSError:  # it is dead: take() will tell
            return

    def take(self) -> PartReport | None:
        """Return the report; ``None`` if the process is dead.

        Raises:
            MienError: what the part raised.
        """
        self.part = None
        try:
            outcome: Any = self.pipe.recv()
        except (EOFError, OSError):
            self.kill()
            return None
        if isinstance(outcome, BaseException):
            raise outcome
        report: PartReport = outcome
        return report

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _work(pipe: Connection[Any, Any], folder: str, parent: int) -> None:
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who kills us then
    reader: PartReader | None = None
    while True:
        try:
            number = pipe.recv()
        except EOFError:
            return
        try:
            reader = reader or open_reader(folder)
            outcome: Any = reader(number)
        except MienError as error:
            outcome = error
        pipe.send(outcome)

"""Several processes behind one port: who starts them, watches them and passes signals on.

Each is a whole service with its part of the limits; the kernel deals connections out, and a
socket stays with the process that accepted it. Metrics of all come from whichever is asked.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from prometheus_client import multiprocess, values

from mien.errors import ConfigError
from mien.lifeline import die_with_parent
from mien.service.settings import Settings

__all__ = ["Supervisor", "share_metrics"]

_log = logging.getLogger("mien.service")

_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

#: A process that ends so soon after its start has not served anybody: starting it again and
#: again would hide that.
_SHORT_LIFE_S = 10.0
_SHORT_LIVES = 3


class Supervisor:
    """Runs a function in several processes until it is told to stop.

    Args:
        work: run in each process; must be importable there, and return when it gets SIGTERM.
    """

    def __init__(
        self,
        settings: Settings,
        work: Callable[[Settings, socket.socket], None],
        listener: socket.socket,
    ) -> None:
        self._settings, self._work, self._listener = settings, work, listener
        self._context = multiprocessing.get_context("spawn")  # ONNX Runtime survives no fork
        self._children: list[tuple[BaseProcess, float]] = []
        self._stopping = False
        self._short_lives = 0

    def run(self) -> None:
        """Start the processes and wait for them; one that dies is replaced.

        Raises:
            ConfigError: they die as soon as they are started.
        """
        folder = tempfile.mkdtemp(prefix="mien-metrics-")
        os.environ[_METRICS_FOLDER] = folder
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._pass_on) for number in numbers}
        try:
            self._children = [self._start() for _ in range(self._settings.processes)]
            self._watch()
        finally:
            for child, _ in self._children:
                child.kill()
            for number, handler in before.items():
                signal.signal(number, handler)
            del os.environ[_METRICS_FOLDER]
            shutil.rmtree(folder, ignore_errors=True)

    def _start(self) -> tuple[BaseProcess, float]:
        child = self._context.Process(
            target=_run_child, args=(self._work, self._settings, self._listener, os.getpid())
        )
        # Ctrl-C is for us: a terminal sends it to all, and a second signal ends at once
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        child.start()
        signal.signal(signal.SIGINT, before)
        return child, time.monotonic()

    def _watch(self) -> None:
        while self._children:
            time.sleep(0.1)
            for child, begun in list(self._children):
                if child.exitcode is None:
                    continue
                child.join()
                self._children.remove((child, begun))
                if child.pid is not None:
                    folder = os.environ[_METRICS_FOLDER]
                    multiprocess.mark_process_dead(child.pid, folder)  # type: ignore[no-untyped-call]
                if not self._stopping:
                    self._replace(child, time.monotonic() - begun)

    def _replace(self, child: BaseProcess, lived_s: float) -> None:
        _log.error("a process ended with status %s and is replaced", child.exitcode)
        self._short_lives = self._short_lives + 1 if lived_s < _SHORT_LIFE_S else 0
        if self._short_lives >= _SHORT_LIVES:
            raise ConfigError("the processes of the service end as soon as they are started")
        self._children.append(self._start())

    def _pass_on(self, _number: int, _: FrameType | None) -> None:
        """A first signal stops the processes in order, a second one at once."""
        self._stopping = True
        for child, _begun in self._children:
            if child.pid is not None and child.exitcode is None:
                os.kill(child.pid, signal.SIGTERM)


def share_metrics() -> Path | None:
    """Let the metrics made from now on be shared, if this is one process of several."""
    folder = os.environ.get(_METRICS_FOLDER)
    if folder is None:
        return None
    # prometheus_client chooses at its import, which was before the folder was there
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
    return Path(folder)


def _run_child(
    work: Callable[[Settings, socket.socket], None],
    settings: Settings,
    listener: socket.socket,
    parent: int,
) -> None:
    os.setpgid(0, 0)  # out of the terminal's reach
    die_with_parent(parent, signal.SIGTERM)
    work(settings, listener)

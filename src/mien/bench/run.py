"""Whole benchmarks: models side by side, or photos stage by stage.

measured = measure_models(Plan(iterations=200), find_models([Path("models")])[0])
print(to_markdown(measured.report, "how these figures were measured"))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mien.bench.accuracy import Accuracy, Labelled, judge
from mien.bench.chain import time_stages, time_workers
from mien.bench.latency import Case, Timing, measure, random_crops
from mien.bench.machine import describe_machine
from mien.bench.memory import Memory, measure_memory
from mien.bench.models import Model, open_models
from mien.bench.report import Report
from mien.concurrency import cores
from mien.errors import ConfigError, InputError, MienError, ModelError
from mien.faces import open_detector
from mien.images import find_images
from mien.predictor import open_predictor
from mien.runtime import open_session

if TYPE_CHECKING:
    from mien.data import Dataset

__all__ = ["Bar", "Measured", "Plan", "labelled_rows", "measure_models", "measure_photos"]

#: Shows the progress of a step while its block runs: yields what to call with (done, total).
Bar: TypeAlias = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


@contextmanager
def _no_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda done, total: None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured; the settings of the report.

    Attributes:
        iterations: timed calls of each case.
        warmup: calls before them, which are not timed.
        batches: batch sizes.
        threads: numbers of threads.
        device: see :func:`mien.runtime.open_session`.
        memory: measure the peak memory of each model, in a process of its own.
        seed: of the random crops.
    """

    iterations: int = 100
    warmup: int = 10
    batches: tuple[int, ...] = (1, 32)
    threads: tuple[int, ...] = (1,)
    device: str = "auto"
    memory: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Measured:
    """A report, and why some models are not in it or not in all of it."""

    report: Report
    failures: tuple[MienError, ...] = ()


def measure_models(
    plan: Plan,
    paths: Sequence[Path],
    *,
    labelled: Labelled | None = None,
    reference: Path | None = None,
    bar: Bar = _no_bar,
    stopped: Callable[[], bool] = lambda: False,
) -> Measured:
    """Measure latency, load time and size of models, and memory and accuracy if asked for.

    Args:
        paths: model files, see :func:`mien.bench.models.find_models`.
        labelled: measure accuracy on these rows.
        reference: the model that accuracy is compared with; if ``None``, see
            :func:`mien.bench.accuracy.reference_of`.
        bar: shows progress.
        stopped: asked between calls; what was measured until then is returned.

    Raises:
        ConfigError: the reference is not among the models.
        MienError: no model can be opened; the error of the first.
    """
    machine = describe_machine(cores(), {path.suffix for path in paths})
    if reference is not None and reference not in paths:
        raise ConfigError(f"--reference {reference} is none of the models that are compared")
    with bar("opening the models"):
        opened, refused = open_models(paths, open_session, device=plan.device, threads=plan.threads)
    failures = list(refused)
    if not opened:
        raise failures[0]
    timings = _timings(plan, opened, bar, stopped)
    accuracy: dict[str, Accuracy] | None = None
    if labelled is not None:
        name = next((model.name for model in opened if model.path == reference), None)
        with bar("judging") as progress:
            accuracy = judge(opened, labelled, reference=name, on_crops=progress, stopped=stopped)
    peaks = _peaks(plan, opened, failures, bar, stopped) if plan.memory else None
    report = Report(machine, asdict(plan), not stopped(), opened, timings, peaks, accuracy)
    return Measured(report, tuple(failures))


def measure_photos(
    plan: Plan,
    model: Path | None,
    folder: Path,
    *,
    bar: Bar = _no_bar,
    stopped: Callable[[], bool] = lambda: False,
) -> Report:
    """Time whole photos with one model: alone, and with as many workers as cores.

    Raises:
        InputError: the folder holds no image.
        MienError: the model cannot be opened, or an image cannot be read.
    """
    machine = describe_machine(cores())
    photos = find_images(folder)
    if not photos:
        raise InputError(f"{folder} holds no images to read")
    predictors = {
        threads: open_predictor(
            model,
            detector=open_detector(threads=threads, same_size=True),  # as mien predict --batch
            device=plan.device,
            threads=threads,
        )
        for threads in (1, *plan.threads)
    }
    settings: dict[str, Any] = asdict(plan) | {"photos": len(photos)}
    rounds = math.ceil(plan.iterations / len(photos))
    with bar("stages") as progress:
        asked = {threads: predictors[threads] for threads in plan.threads}
        chains = time_stages(photos, asked, rounds=rounds, on_photo=progress, stopped=stopped)
    queue, workers = photos * rounds, []
    for count in dict.fromkeys((1, cores())):
        if stopped():
            break
        with bar(f"{count} workers" if count > 1 else "1 worker") as progress:
            timed = time_workers(
                queue, predictors[1], count, cores=cores(), on_photo=progress, stopped=stopped
            )
        workers.append(timed)
    return Report(machine, settings, not stopped(), chains=chains, workers=workers)


def labelled_rows(dataset: Dataset, name: object) -> Labelled:
    """Return the test rows of FER2013.

    Args:
        name: what the data is called in an error.

    Raises:
        InputError: there is none.
    """
    tests = dataset.take(dataset.split != "Training")
    if not len(tests):
        raise InputError(f"{name} has no test rows: expected PublicTest, PrivateTest or test/")
    return Labelled(tests.crops, tests.emotion, tests.split)


def _timings(
    plan: Plan, models: Sequence[Model], bar: Bar, stopped: Callable[[], bool]
) -> list[Timing]:
    generator = np.random.default_rng(plan.seed)
    cases = [
        Case(
            model.name, threads, session, random_crops(count, model.card.framing.size_hw, generator)
        )
        for model in models
        for count in plan.batches
        for threads, session in model.sessions.items()
    ]
    with bar("timing") as progress:
        return measure(
            cases,
            iterations=plan.iterations,
            warmup=plan.warmup,
            generator=generator,
            on_calls=progress,
            stopped=stopped,
        )


def _peaks(
    plan: Plan,
    models: Sequence[Model],
    failures: list[MienError],
    bar: Bar,
    stopped: Callable[[], bool],
) -> dict[str, Memory | None]:
    peaks: dict[str, Memory | None] = {}
    with bar("memory") as progress:
        for done, model in enumerate(models):
            if stopped():
                break
            progress(done, len(models))
            try:
                peaks[model.name] = measure_memory(
                    model.path,
                    open_session,
                    device=plan.device,
                    threads=plan.threads[0],
                    batch=plan.batches[0],
                )
            except ModelError as error:
                if not stopped():  # Ctrl-C reaches that process too
                    failures.append(error)
    return peaks

"""``mien benchmark``: models side by side, or whole photos stage by stage."""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.batch import stop_on_interrupt
from mien.cli.options import Device
from mien.cli.training_tools import Data, bar, load_data, needs, status
from mien.concurrency import cores
from mien.errors import ConfigError, InputError, MienError, ModelError
from mien.files import atomic_write, cannot_write
from mien.text import one_line

if TYPE_CHECKING:
    from mien.bench.accuracy import Labelled
    from mien.bench.models import Model
    from mien.bench.report import Report, Table

__all__ = ["benchmark"]

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_SEED = 0
_MOST_BATCH, _MOST_THREADS = 4096, 1024


def benchmark(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL",
            help=".onnx, .tflite and .keras files, and folders of them.",
            show_default="mien's own model",
        ),
    ] = None,
    iterations: Annotated[
        int, typer.Option(metavar="N", min=1, help="Calls that are timed, of each case.")
    ] = 100,
    warmup: Annotated[
        int, typer.Option(metavar="N", min=0, help="Calls before, that are not.")
    ] = 10,
    batch: Annotated[str, typer.Option(metavar="N,N", help="Batch sizes.")] = "1,32",
    threads: Annotated[str, typer.Option(metavar="N,N", help="Numbers of threads.")] = "1",
    device: Device = "auto",
    memory: Annotated[
        bool, typer.Option("--memory", help="Peak memory, each model in a process of its own.")
    ] = False,
    data: Data = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="The one of the models that accuracy is held to.",
            show_default="of each network, its .keras or float32 file",
        ),
    ] = None,
    end_to_end: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Instead: time decode, detect, crop and classify on the photos of a folder.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown instead of tables.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for benchmark.json, benchmark.md and, with --data, benchmark.png.",
        ),
    ] = None,
) -> None:
    """Compare models: latency, throughput, load time, size, and on demand memory and accuracy.

    The models take turns, so that whatever else the machine does hurts all alike. Crops are
    random noise, for which a network needs as long as for faces. When interrupted, what was
    measured until then is printed and written.

    **Examples**

        mien benchmark models/

        mien benchmark a.onnx b.tflite --batch 1,8,32 --threads 1,2 --iterations 1000 --memory

        mien benchmark models/ --data fer2013.csv.gz -o report/

        mien benchmark --end-to-end holiday/

    Exit codes: 0 measured; 1 some of several models could not be opened; 2 nothing could be
    measured; 130 interrupted, and what was measured is written.
    """
    if as_json and markdown:
        raise ConfigError("--json and --markdown both print: choose one of them")
    plan = _Plan(
        iterations,
        warmup,
        _numbers("--batch", batch, _MOST_BATCH),
        _numbers("--threads", threads, _MOST_THREADS),
        device,
        memory,
        _SEED,
    )
    if output is not None:
        _make_folder(output)
    failures: list[MienError] = []
    if end_to_end is not None:
        report = _photos(plan, models or [], end_to_end)
    else:
        labelled = None if data is None else _labelled(data)
        report = _models(plan, models or [], reference, labelled, failures)
    _show(report, "json" if as_json else "markdown" if markdown else "")
    if output is not None:
        _write(report, output)
    for failure in failures:
        typer.echo(f"mien: not measured: {one_line(str(failure))}", err=True)
    if not report.complete:
        typer.echo("mien: interrupted; these are the figures until then", err=True)
        raise typer.Exit(_INTERRUPTED)
    if failures:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The options, checked; they stand in the report as its settings."""

    iterations: int
    warmup: int
    batches: tuple[int, ...]
    threads: tuple[int, ...]
    device: str
    memory: bool
    seed: int

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def _models(
    plan: _Plan,
    paths: list[Path],
    reference: Path | None,
    labelled: Labelled | None,
    failures: list[MienError],
) -> Report:
    """Measure the models; what cannot be opened becomes a failure, unless it is all."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings
    from mien.bench.machine import describe_machine
    from mien.bench.models import find_models, open_models
    from mien.bench.report import Report
    from mien.runtime import default_model, open_session

    found, left_out = find_models(paths or [default_model()])
    machine = describe_machine(cores(), {path.suffix for path in found})
    for path in left_out:
        status.print(f"left out, as it has no card: {path}", markup=False, highlight=False)
    if reference is not None and reference not in found:
        raise ConfigError(f"--reference {reference} is none of the models that are compared")
    with _stoppable() as stopped:
        with status.status("opening the models"):
            opened, refused = open_models(
                found, open_session, device=plan.device, threads=plan.threads
            )
        failures += refused
        if not opened:
            raise failures[0]
        timings = _timings(plan, opened, stopped)
        accuracy = None
        if labelled is not None:
            accuracy = _accuracy(opened, labelled, reference, stopped)
        peaks = _peaks(plan, opened, failures, stopped) if plan.memory else None
        complete = not stopped()
    return Report(machine, plan.to_dict(), complete, opened, timings, peaks, accuracy)


def _timings(plan: _Plan, models: list[Model], stopped: Callable[[], bool]) -> list[Any]:
    import numpy as np

    from mien.bench.latency import Case, measure, random_crops

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


def _accuracy(
    models: list[Model], data: Labelled, reference: Path | None, stopped: Callable[[], bool]
) -> Any:
    from mien.bench.accuracy import judge

    name = next((model.name for model in models if model.path == reference), None)
    with bar("judging") as progress:
        return judge(models, data, reference=name, on_crops=progress, stopped=stopped)


def _peaks(
    plan: _Plan, models: list[Model], failures: list[MienError], stopped: Callable[[], bool]
) -> dict[str, Any]:
    from mien.bench.memory import measure_memory
    from mien.runtime import open_session

    peaks: dict[str, Any] = {}
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


def _photos(plan: _Plan, models: list[Path], folder: Path) -> Report:
    """Time whole photos with one model: alone, and with as many workers as cores."""
    from mien.bench.chain import time_stages, time_workers
    from mien.bench.machine import describe_machine
    from mien.bench.report import Report
    from mien.faces import open_detector
    from mien.images import find_images
    from mien.predictor import open_predictor

    if len(models) > 1:
        raise ConfigError("--end-to-end reads with one model: name at most one")
    machine = describe_machine(cores())
    photos = find_images(folder)
    if not photos:
        raise InputError(f"{folder} holds no images to read")
    path = models[0] if models else None
    predictors = {
        threads: open_predictor(
            path,
            detector=open_detector(threads=threads, same_size=True),  # as mien predict --batch
            device=plan.device,
            threads=threads,
        )
        for threads in (1, *plan.threads)
    }
    settings = plan.to_dict() | {"photos": len(photos)}
    rounds = math.ceil(plan.iterations / len(photos))
    with _stoppable() as stopped:
        with bar("stages") as progress:
            asked = {threads: predictors[threads] for threads in plan.threads}
            chains = time_stages(photos, asked, rounds=rounds, on_photo=progress, stopped=stopped)
        queue = photos * rounds
        workers = []
        for count in dict.fromkeys((1, cores())):
            if stopped():
                break
            with bar(f"{count} workers" if count > 1 else "1 worker") as progress:
                timed = time_workers(
                    queue, predictors[1], count,
                    cores=cores(), on_photo=progress, stopped=stopped,
                )  # fmt: skip
                workers.append(timed)
        complete = not stopped()
    return Report(machine, settings, complete, chains=chains, workers=workers)


def _labelled(path: Path) -> Labelled:
    """Return the test rows of FER2013."""
    with needs("evaluate"):
        from mien.bench.accuracy import Labelled

        dataset = load_data(path, None)
    tests = dataset.take(dataset.split != "Training")
    if not len(tests):
        raise InputError(f"{path} has no test rows: expected PublicTest, PrivateTest or test/")
    return Labelled(tests.crops, tests.emotion, tests.split)


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    with stop_on_interrupt() as event:
        yield event.is_set


def _numbers(option: str, text: str, most: int) -> tuple[int, ...]:
    try:
        numbers = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        numbers = (0,)
    if not all(1 <= number <= most for number in numbers):
        raise ConfigError(f"{option} {text}: expected numbers from 1 to {most}, such as 1,32")
    return numbers


def _show(report: Report, form: str) -> None:
    from mien.bench.report import machine_line, to_dict, to_markdown, to_tables

    if form == "json":
        typer.echo(json.dumps(to_dict(report), indent=2))
    elif form == "markdown":
        typer.echo(to_markdown(report, _command()), nl=False)
    else:
        _print(to_tables(report), machine_line(report.machine))


def _print(tables: list[Table], machine: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(highlight=False, markup=False)
    for each in tables:
        table = RichTable(
            title=each.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
        )
        table.add_column(each.columns[0], overflow="fold", min_width=12)
        for name in each.columns[1:]:
            table.add_column(name, justify="right", no_wrap=name != "precision")
        for row in each.rows:
            table.add_row(*row)
        console.print(table)
        if each.note:
            console.print(each.note, style="dim")
    console.print(machine, style="dim")


def _write(report: Report, folder: Path) -> None:
    """Write each file atomically."""
    from mien.bench.report import to_dict, to_markdown

    contents = {
        "benchmark.json": (json.dumps(to_dict(report), indent=2) + "\n").encode(),
        "benchmark.md": to_markdown(report, _command()).encode(),
    }
    if report.accuracy and report.timings:
        with needs("evaluate"):
            from mien.bench.plot import plot_png

            contents["benchmark.png"] = plot_png(report)
    for name, content in contents.items():
        path = folder / name
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)
    status.print(f"The figures are in {folder}.", markup=False, highlight=False)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None


def _command() -> str:
    """Return the command that was given, without folders that are this machine's affair."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["benchmark"]:
        del arguments[0]
    outside = (os.sep, os.pardir)
    shown = [Path(each).name if each.startswith(outside) else each for each in arguments]
    return shlex.join(["mien", "benchmark", *shown])

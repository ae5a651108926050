"""``mien benchmark``: models side by side, or whole photos stage by stage."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.batch import stop_on_interrupt
from mien.cli.options import Device
from mien.cli.training_tools import Data, bar, load_data, needs, status
from mien.errors import ConfigError
from mien.files import atomic_write, cannot_write
from mien.text import one_line

if TYPE_CHECKING:
    from mien.bench.report import Report, Table
    from mien.bench.run import Measured, Plan

__all__ = ["benchmark"]

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
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
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings
    from mien.bench.run import Measured, Plan, measure_photos

    plan = Plan(
        iterations,
        warmup,
        _numbers("--batch", batch, _MOST_BATCH),
        _numbers("--threads", threads, _MOST_THREADS),
        device,
        memory,
    )
    if output is not None:
        _make_folder(output)
    with stop_on_interrupt() as event:
        if end_to_end is None:
            measured = _models(plan, models or [], data, reference, event.is_set)
        elif models is not None and len(models) > 1:
            raise ConfigError("--end-to-end reads with one model: name at most one")
        else:
            model = models[0] if models else None
            measured = Measured(
                measure_photos(plan, model, end_to_end, bar=bar, stopped=event.is_set)
            )
    report = measured.report
    _show(report, "json" if as_json else "markdown" if markdown else "")
    if output is not None:
        _write(report, output)
    for failure in measured.failures:
        typer.echo(f"mien: not measured: {one_line(str(failure))}", err=True)
    if not report.complete:
        typer.echo("mien: interrupted; these are the figures until then", err=True)
        raise typer.Exit(_INTERRUPTED)
    if measured.failures:
        raise typer.Exit(1)


def _models(
    plan: Plan,
    paths: list[Path],
    data: Path | None,
    reference: Path | None,
    stopped: Callable[[], bool],
) -> Measured:
    from mien.bench.models import find_models
    from mien.bench.run import labelled_rows, measure_models
    from mien.runtime import default_model

    labelled = None
    if data is not None:
        with needs("evaluate"):
            labelled = labelled_rows(load_data(data, None), data)
    found, left_out = find_models(paths or [default_model()])
    for path in left_out:
        status.print(f"left out, as it has no card: {path}", markup=False, highlight=False)
    with needs("evaluate"):
        return measure_models(
            plan, found, labelled=labelled, reference=reference, bar=bar, stopped=stopped
        )


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

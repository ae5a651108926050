"""The command line: parse, call, print.

Each command is one file here. What a command needs beyond the core it imports inside its
function, so that ``mien --help`` is quick and a missing extra is one clear sentence.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

import mien
from mien.cli import (
    adapt,
    audit,
    benchmark,
    evaluate,
    explain,
    export,
    live,
    optimize,
    predict,
    score,
    serve,
    train,
    video,
    webapp,
)
from mien.errors import MienError
from mien.text import one_line

__all__ = ["app", "main"]

app = typer.Typer(
    name="mien",
    help="Read facial expressions off photos, folders, videos and cameras.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(predict.predict)
app.command()(explain.explain)
app.command()(score.score)
app.command()(video.video)
app.command()(live.live)
app.command()(serve.serve)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(adapt.adapt)
app.command()(export.export)
app.command()(optimize.optimize)
app.command()(audit.audit)
app.command()(benchmark.benchmark)
app.command("app")(webapp.open_app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mien {mien.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a :class:`MienError` becomes one line and its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # file names may hold bytes that are no text, and terminals lack letters
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args=arguments)
    except MienError as error:
        typer.echo(f"mien: {one_line(str(error))}", err=True)
        sys.exit(error.exit_code)

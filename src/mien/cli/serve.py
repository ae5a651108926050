"""``mien serve``: the service."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.cli.options import Model
from mien.errors import MissingExtra

__all__ = ["serve"]


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; 0 takes a free one.", show_default="8000")
    ] = None,
    model: Model = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the port.", show_default="1")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen on any address without keys.")
    ] = False,
) -> None:
    """Serve readings over HTTP and WebSocket, with a live page and docs.

    Everything else is set by environment variables, MIEN_*: see docs/service.md.

    **Examples**

        mien serve

        mien serve --workers 4

        mien serve --port 0 --model models/optimised/glance.int8.onnx
    """
    try:
        import fastapi_offline  # noqa: F401

        from mien.service.run import serve as run
        from mien.service.settings import read_settings
    except ModuleNotFoundError as error:
        raise MissingExtra("serve", error.name or "fastapi") from None
    settings = read_settings(
        host=host, port=port, model=model, processes=workers, insecure=insecure or None
    )
    run(settings)

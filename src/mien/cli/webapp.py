"""``mien app``: the web app."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Model
from mien.errors import ConfigError, MissingExtra
from mien.hosts import is_loopback

__all__ = ["open_app"]


def open_app(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port.")] = 8501,
    model: Model = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Let other machines in: the page asks for no password."),
    ] = False,
) -> None:
    """Open the web app: photos, camera, batches, videos and the model.

    Nothing is sent anywhere but between your browser and this command.

    **Examples**

        mien app

        mien app --port 9000 --no-browser
    """
    if not (insecure or is_loopback(host)):
        raise ConfigError(
            f"{host} can be reached from other machines, and the page asks for no password: "
            "listen on 127.0.0.1, or say --insecure if a proxy checks who asks"
        )
    try:
        from streamlit.web import cli
    except ModuleNotFoundError as error:
        raise MissingExtra("app", error.name or "streamlit") from None
    from mien.webapp import app
    from mien.webapp.options import as_flags

    script = Path(app.__file__)
    flags = as_flags(server_address=host, server_port=port, server_headless=not browser)
    typer.echo(f"mien is at http://{host}:{port}; Ctrl-C ends it.")
    own = ["--model", str(model)] if model else []
    sys.exit(cli.main(["run", str(script), *flags, "--", *own], prog_name="mien app"))

"""What Streamlit runs: the page, with models of every format."""

from __future__ import annotations

from functools import partial

from mien.cli.models import open_model
from mien.webapp.app import build_predictor, main

__all__ = ["show"]


def show() -> None:
    """Show the page; its model is the one named behind ``--`` on Streamlit's command line."""
    main(partial(build_predictor, open_model=open_model))


if __name__ == "__main__":
    show()

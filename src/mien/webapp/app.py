"""The page, put together; Streamlit runs this file from the top at every click."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from html import escape
from importlib import resources
from pathlib import Path

import streamlit as st

from mien.errors import MienError
from mien.predictor import Predictor, open_predictor
from mien.runtime import default_model
from mien.webapp.notice import BRIEF, NOTICE
from mien.webapp.tabs import batch, live, model, photo, video

__all__ = ["build_predictor", "main"]

_TABS = ("Photo", "Live", "Batch", "Video", "Model")


def build_predictor(model_path: Path) -> Predictor:
    """Open the detector and a model: one thread each, since tabs work side by side.

    Raises:
        ModelError: the weights cannot be used.
    """
    return open_predictor(model_path, threads=1)


def main(make_predictor: Callable[[Path], Predictor] = build_predictor) -> None:
    """Show the page.

    Args:
        make_predictor: called once for a model, whoever looks at the page; tests hand in
            their own.
    """
    st.set_page_config(page_title="mien", page_icon=str(_static() / "icon.svg"), layout="wide")
    st.html(f"<style>{_style()}</style>")
    st.html(f'<div class="mien-brand"><h1>mien</h1><p>What a face shows. {escape(BRIEF)}</p></div>')
    model_path = _model_of(sys.argv[1:])
    try:
        predictor = _shared_predictor(str(model_path), make_predictor)
    except MienError as error:
        st.error(f"The model cannot be opened: {error}", icon=":material/error:")
        return
    tabs: tuple[Callable[[], None], ...] = (
        lambda: photo.show(predictor),
        lambda: live.show(predictor),
        lambda: batch.show(predictor),
        lambda: video.show(predictor),
        lambda: model.show(predictor.card, model_path),
    )
    for tab, show in zip(st.tabs(_TABS), tabs, strict=True):
        with tab:
            try:
                show()
            except MienError as error:
                st.error(str(error), icon=":material/error:")
    st.html(_foot())


@st.cache_resource(show_spinner="Opening the model …", max_entries=2)
def _shared_predictor(model_path: str, _make_predictor: Callable[[Path], Predictor]) -> Predictor:
    return _make_predictor(Path(model_path))


def _model_of(arguments: list[str]) -> Path:
    """Return the model that was asked for behind ``--`` on Streamlit's command line."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--model", type=Path, default=default_model())
    path: Path = parser.parse_known_args(arguments)[0].model
    return path


def _style() -> str:
    return (_static() / "style.css").read_text(encoding="utf-8")


def _static() -> Path:
    return Path(str(resources.files("mien.webapp") / "static"))


def _foot() -> str:
    parts = "".join(f"<p><b>{escape(start)}</b> {escape(rest)}</p>" for start, rest in NOTICE)
    return f'<div class="mien-foot">{parts}</div>'


if __name__ == "__main__":
    main()

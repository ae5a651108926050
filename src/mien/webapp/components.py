"""The page's own components: scripts that draw readings, as the service's pages do.

What they share with those is in ``mien/assets/view``. Streamlit takes a component's script as
one module without neighbours, so that the modules it needs are joined in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from typing import Any

import streamlit as st

from mien.palette import colors_of
from mien.predictor import Predictor

__all__ = ["component", "join_modules", "look_of"]

_IMPORT = re.compile(r"^import .*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)

# In the order in which one needs another.
_VIEW = (
    "words",
    "layout",
    "boxes",
    "rows",
    "camera",
    "download",
    "frame",
    "history",
    "snapshot",
    "speaker",
    "timeline",
)


def component(name: str) -> Callable[..., Any]:
    """Return the component made of ``static/NAME.js``, ``.html`` and ``.css``."""
    mount: Callable[..., Any] = st.components.v2.component(f"mien_{name}", **_parts(name))  # type: ignore[arg-type]
    return mount


def look_of(predictor: Predictor) -> dict[str, Any]:
    """Return what every component needs: colours by label, and the calibration's promises."""
    return {
        "colours": colors_of(predictor.labels),
        "terms": {
            "coverage": predictor.calibration.coverage,
            "abstainBelow": predictor.calibration.abstain_below,
        },
    }


def join_modules(texts: list[str]) -> str:
    """Return modules as one: they must not name two things alike at their top."""
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)


@lru_cache(maxsize=4)
def _parts(name: str) -> dict[str, str]:
    own = resources.files("mien.webapp") / "static"
    view = resources.files("mien") / "assets" / "view"
    modules = [*(view / f"{each}.js" for each in _VIEW), own / f"{name}.js"]
    styles = (view / "view.css", own / "view.css", own / f"{name}.css")
    return {
        "html": (own / f"{name}.html").read_text(encoding="utf-8"),
        "css": "\n".join(each.read_text(encoding="utf-8") for each in styles),
        "js": join_modules([each.read_text(encoding="utf-8") for each in modules]),
    }

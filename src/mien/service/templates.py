"""The pages' frame: templates with ``{{name}}`` where a part goes."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from importlib import resources

from mien.service.notice import NOTICE

__all__ = ["render", "text_page"]

_PART = re.compile(r"\{\{(\w+)\}\}")


def render(name: str, *, here: str, model: str, **parts: str) -> str:
    """Return a page.

    Args:
        name: of a file in ``templates/``.
        here: the page's path, which the navigation marks.
        model: name and version, as plain text.
        parts: HTML by the name that stands in the template.
    """
    notice = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in NOTICE)
    link = f'<a href="{here}">'
    header = _template("header.html").replace(link, f'{link[:-1]} aria-current="page">')
    footer = _fill("footer.html", {"notice": notice, "model": html.escape(model)})
    return _fill(name, {"header": header, "footer": footer, **parts})


def text_page(title: str, body: str, *, here: str, model: str) -> str:
    """Return a page of text: ``title`` is plain, ``body`` is HTML."""
    return render("text.html", here=here, model=model, title=html.escape(title), body=body)


def _fill(name: str, parts: dict[str, str]) -> str:
    return _PART.sub(lambda found: parts[found[1]], _template(name))


@lru_cache(maxsize=8)
def _template(name: str) -> str:
    path = resources.files("mien.service") / "templates" / name
    return path.read_text(encoding="utf-8").rstrip("\n")

"""HTML from templates: Jinja2 with every value escaped and every missing name an error."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render"]


def render(package: str, name: str, **values: Any) -> str:
    """Return the template ``name``, a file of ``package``, filled with values.

    Raises:
        ModuleNotFoundError: Jinja2 is not installed.
    """
    return _environment(package).get_template(name).render(**values)


@cache
def _environment(package: str) -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from mien.text import clock, count, duration, percent

    environment = Environment(
        loader=PackageLoader(package, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": clock, "count": count, "duration": duration, "percent": percent
    }  # fmt: skip
    return environment

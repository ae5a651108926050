"""Log lines as JSON: one object a line on stderr.

A line says what happened to which request, never what was in it: no pixels, no file names,
no keys, no query strings, no addresses.
"""

from __future__ import annotations

import json
import logging
import sys
import time

__all__ = ["JsonLines", "configure"]

_EXTRAS = ("request_id", "method", "route", "status", "duration_ms", "code", "faces", "frames")


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; an exception becomes the field ``exception``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        milliseconds = int(record.msecs)
        clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{clock}.{milliseconds:03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: getattr(record, name) for name in _EXTRAS if hasattr(record, name)})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(level: str) -> None:
    """Send the service's and uvicorn's lines to stderr; uvicorn's only from warnings up.

    uvicorn's own lines name addresses and query strings, where a key may stand.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    levels = {"mien": level.upper(), "uvicorn": "WARNING", "python_multipart": "ERROR"}
    for name, own_level in levels.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(own_level)
        logger.propagate = False

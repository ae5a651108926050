"""The service: REST, a WebSocket and a live page around one :class:`mien.Predictor`.

Read in this order: ``settings`` (what can be set), ``engine`` (how a picture becomes
readings), ``rest`` / ``oip`` / ``socket`` (the three doors), ``app`` (how they are put
together), ``run`` (how it starts and stops).
"""

from __future__ import annotations

from mien.service.app import create_app
from mien.service.run import serve
from mien.service.settings import Settings

__all__ = ["Settings", "create_app", "serve"]

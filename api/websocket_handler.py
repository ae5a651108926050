"""The WebSocket's endpoint: it lives in ``mien.service.socket`` and is part of the service.

To mount it in an app of your own, build the whole service with
``mien.service.create_app`` and mount that.
"""

from mien.service.socket import Close, Conversation, State, router

__all__ = ["Close", "Conversation", "State", "router"]

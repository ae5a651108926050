"""Starting and stopping: what may be bound to, and nobody cut off in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from mien.errors import ConfigError
from mien.hosts import is_loopback
from mien.predictor import Predictor
from mien.service.app import create_app, predictor_of
from mien.service.deps import Services
from mien.service.logs import configure
from mien.service.settings import Settings
from mien.service.socket import Close

__all__ = ["Server", "check_binding", "make_server", "serve"]

_log = logging.getLogger("mien.service")

# For how long requests that are on their way are still taken after a signal: balancers
# need a moment to see that the service is not ready any more.
_GRACE_S = 0.5


class Server(uvicorn.Server):
    """Uvicorn, stopping in order: readiness, sockets, work in flight; then status 0."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it is not ready, close sockets with 1001, answer what has come."""
        self._services.stopping = True
        _log.info("stopping")
        conversations = list(self._services.conversations)
        await asyncio.gather(
            *(each.close(Close.STOPPING, "the service is stopping") for each in conversations)
        )
        await asyncio.sleep(_GRACE_S)
        await super().shutdown(sockets)
        _log.info("stopped")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals as wishes to stop; uvicorn would die of them again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._on_signal) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._services.stopping = True
        self.handle_exit(number, frame)


def serve(
    settings: Settings, make_predictor: Callable[[Settings], Predictor] | None = None
) -> None:
    """Run the service until it is told to stop.

    Raises:
        ConfigError: the address must not be bound to without keys, or cannot be.
        ModelError: the weights cannot be used.
    """
    check_binding(settings)
    predictor = (make_predictor or predictor_of)(settings)
    configure(settings.log_level)
    server = make_server(settings, lambda _: predictor)
    with _bind(settings) as listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        _log.info("listening on http://%s:%d", shown, port)
        server.run([listener])


def make_server(
    settings: Settings, make_predictor: Callable[[Settings], Predictor] | None = None
) -> Server:
    """Return a server that is ready to run."""
    app: FastAPI = create_app(settings, make_predictor)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.drain_s,
        ws="websockets-sansio",
        # larger frames are refused by the conversation, which closes in good order, so that
        # the client sees why; only what is far larger is cut off while it arrives
        ws_max_size=8 * settings.socket_bytes,
        ws_ping_interval=settings.socket_ping_s,
        ws_ping_timeout=settings.socket_ping_s,
        ws_per_message_deflate=False,
        proxy_headers=True,
        forwarded_allow_ips=settings.trusted_proxies,
        h11_max_incomplete_event_size=64 * 1024,
    )
    return Server(config, app.state.services)


def check_binding(settings: Settings) -> None:
    """Refuse to be open to the network without keys, unless that was said.

    Raises:
        ConfigError: with what to do.
    """
    if settings.insecure or is_loopback(settings.host) or settings.key_digests():
        return
    raise ConfigError(
        f"{settings.host} can be reached from other machines, and no keys are set: set "
        "MIEN_API_KEYS, or listen on 127.0.0.1, or say --insecure if a proxy checks who asks"
    )


def _bind(settings: Settings) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {settings.host}, port {settings.port}: {error}"
        ) from None
    return listener

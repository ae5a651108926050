"""Starting and stopping: what may be bound to, and nobody cut off in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from mien.errors import ConfigError, MissingExtra
from mien.hosts import is_loopback
from mien.predictor import Predictor
from mien.service.app import create_app, predictor_of
from mien.service.deps import Services
from mien.service.environment import Proxies
from mien.service.logs import configure
from mien.service.processes import Supervisor
from mien.service.protocol import HttpConnection, SocketConnection
from mien.service.settings import Settings

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
        self._grpc: Any = None
        self.grpc_port: int | None = None
        self._forced_by: int = signal.SIGTERM

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; by gRPC too, where that is set."""
        await super().startup(sockets)
        if self._services.settings.grpc_port is not None and not self.should_exit:
            make = _import_grpc()
            self._grpc, self.grpc_port = make(self._services)
            await self._grpc.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it is not ready, close sockets with 1001, answer what has come."""
        self._services.stopping = True
        _log.info("stopping")
        conversations = list(self._services.conversations)
        await asyncio.gather(*(each.stop() for each in conversations))
        if not self.force_exit:
            await asyncio.sleep(_GRACE_S)
        if self._grpc is not None:
            await self._grpc.stop(self._services.settings.drain_s)
        await super().shutdown(sockets)
        if self.force_exit:
            await self._end_at_once()
        _log.info("stopped")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals as wishes to stop; uvicorn would die of them again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = {signal.SIGINT: self._on_signal, signal.SIGTERM: self._on_signal}
        handlers: dict[Any, Any] = {**wanted, **_hang_up(_refuse_hang_up)}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._services.stopping:  # the second: whoever sent it does not want to wait
            self.force_exit = True
            self._forced_by = number
        self._services.stopping = True
        self.should_exit = True

    async def _end_at_once(self) -> None:
        """Answer what is being worked on with 503, and leave threads where they are."""
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)
        await asyncio.sleep(0.05)  # for the answers to go out
        _log.info("stopped at once")
        logging.shutdown()
        os._exit(128 + self._forced_by)


def _hang_up(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    number = getattr(signal, "SIGHUP", None)  # Windows has none
    return {} if number is None else {number: handler}


def _refuse_hang_up(_number: int, _frame: FrameType | None) -> None:
    _log.warning("SIGHUP is ignored: logs go to stderr, and settings are read at the start")


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """While the model is being loaded, let SIGTERM and SIGINT end the process with status 0."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        _log.info("stopped while the model was being loaded")
        logging.shutdown()
        os._exit(0)  # an exception would surface somewhere inside an import as another one

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve(
    settings: Settings, make_predictor: Callable[[Settings], Predictor] | None = None
) -> None:
    """Run the service until it is told to stop.

    Args:
        make_predictor: as :func:`mien.service.app.create_app`; a function of a module, if there
            are several processes.

    Raises:
        ConfigError: the address must not be bound to without keys, or cannot be.
        ModelError: the weights cannot be used.
    """
    check_binding(settings)
    if settings.grpc_port is not None:
        _import_grpc()
    configure(settings.log_level)
    make = make_predictor or predictor_of
    with _bind(settings) as listener:
        if settings.processes == 1:
            _serve_one(make, settings, listener)
            return
        _log.info("listening on %s with %d processes", _shown(listener), settings.processes)
        Supervisor(settings, partial(_serve_one, make), listener).run()
        _log.info("stopped")


def _serve_one(
    make_predictor: Callable[[Settings], Predictor], settings: Settings, listener: socket.socket
) -> None:
    """Run one process of the service."""
    configure(settings.log_level)
    settings = settings.of_one_process()
    with _loading():
        predictor = make_predictor(settings)
        server = make_server(settings, lambda _: predictor)
    if settings.processes == 1:
        _log.info("listening on %s", _shown(listener))
    server.run([listener])


def _shown(listener: socket.socket) -> str:
    address = listener.getsockname()
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(
    settings: Settings, make_predictor: Callable[[Settings], Predictor] | None = None
) -> Server:
    """Return a server that is ready to run."""
    app: FastAPI = create_app(settings, make_predictor)
    services: Services = app.state.services
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.drain_s,
        ws=partial(SocketConnection, open_connections=services.open_connections),  # type: ignore[arg-type]
        # larger frames are refused by the conversation, which closes in good order, so that
        # the client sees why; only what is far larger is cut off while it arrives
        ws_max_size=8 * settings.socket_bytes,
        ws_ping_interval=settings.socket_ping_s,
        ws_ping_timeout=settings.socket_ping_s,
        ws_per_message_deflate=False,
        proxy_headers=settings.proxy_headers,
        # who connects to a Unix socket has no address, and is a proxy
        forwarded_allow_ips="*" if settings.unix_socket else settings.trusted_proxies,
        http=partial(  # type: ignore[arg-type]
            HttpConnection,
            settings=settings,
            open_connections=services.open_connections,
            trusted=Proxies(settings.trusted_proxies if settings.proxy_headers else ""),
        ),
        backlog=min(settings.connections, 2048),
    )
    return Server(config, services)


def _import_grpc() -> Callable[[Services], tuple[Any, int]]:
    try:
        from mien.service.grpc_server import make_grpc_server
    except ModuleNotFoundError as error:
        raise MissingExtra("grpc", error.name or "grpcio") from None
    return make_grpc_server


def check_binding(settings: Settings) -> None:
    """Refuse to be open to the network without keys, unless that was said.

    Raises:
        ConfigError: with what to do.
    """
    local = settings.unix_socket is not None or is_loopback(settings.host)
    if settings.key_digests() or settings.insecure or local:
        return
    raise ConfigError(
        f"{settings.host} can be reached from other machines, and no keys are set: set "
        "MIEN_API_KEYS, or listen on 127.0.0.1, or say --insecure if a proxy checks who asks"
    )


def _bind(settings: Settings) -> socket.socket:
    if settings.unix_socket is not None:
        return _bind_unix(settings.unix_socket)
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


def _bind_unix(path: Path) -> socket.socket:
    """Listen on a path; what a dead service has left there is removed.

    Everybody on the machine may connect, as to a port: the folder's rights are the way to
    forbid it.
    """
    listener = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket() and listener.connect_ex(str(path)) != 0:
            path.unlink()
        listener.close()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        path.chmod(0o666)
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen on MIEN_UNIX_SOCKET {path}: {error}") from None
    return listener

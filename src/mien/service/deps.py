"""What the endpoints share, and how they reach it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

import anyio
from starlette.requests import HTTPConnection, Request

from mien.service.access import Access
from mien.service.admission import Place, SocketPlaces
from mien.service.body import UploadMemory, check_encoding
from mien.service.connections import Connections, descriptors_left
from mien.service.engine import Engine
from mien.service.errors import ClientGone, ServiceError
from mien.service.metrics import Metrics
from mien.service.settings import Settings

__all__ = [
    "Conversation",
    "Services",
    "address_of",
    "charge",
    "check_access",
    "check_key",
    "held_place",
    "services_of",
    "unless_gone",
    "within",
]

_T = TypeVar("_T")


class Conversation(Protocol):
    """What is said over one socket, for as long as it is open."""

    async def stop(self) -> None:
        """Close it, as the service is stopping."""
        ...


@dataclass
class Services:
    """One app's parts. Lives on one event loop."""

    settings: Settings
    metrics: Metrics
    access: Access
    uploads: UploadMemory
    engine: Engine | None = None
    ready: bool = False
    stopping: bool = False
    open_connections: Connections = field(init=False)
    sockets: SocketPlaces = field(init=False)
    conversations: set[Conversation] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.open_connections = Connections(self.settings, self.metrics, most=descriptors_left())
        settings = self.settings
        self.sockets = SocketPlaces(settings.sockets, settings.sockets_per_address)

    def running_engine(self) -> Engine:
        """Return the engine.

        Raises:
            ServiceError: ``not_ready``: the model is still being loaded.
        """
        if self.engine is None:
            raise ServiceError(
                "not_ready", "the model is being loaded: try again", headers={"Retry-After": "1"}
            )
        return self.engine


def services_of(connection: HTTPConnection) -> Services:
    """Return the parts of the app that serves this connection."""
    return cast(Services, connection.app.state.services)


async def check_access(request: Request) -> None:
    """Let a request through by key and rate; a dependency of everything that costs time.

    Raises:
        ServiceError: ``unauthorised`` or ``rate_limited``.
    """
    services = services_of(request)
    with counted(services):
        services.access.check(request.headers, address_of(request))


async def check_key(request: Request) -> None:
    """Let a request through by key only; a dependency of what costs nothing but is private.

    Raises:
        ServiceError: ``unauthorised`` or ``rate_limited``.
    """
    services = services_of(request)
    with counted(services):
        services.access.check_key(request.headers, address_of(request))


def charge(request: Request, images: int) -> None:
    """Take the tokens of all images of a batch; one has been paid on its headers."""
    services_of(request).access.charge(request.headers, address_of(request), images)


@contextmanager
def held_place(request: Request) -> Iterator[Place]:
    """Hold a place in the queue: asked for before the body is read, kept until the answer.

    Raises:
        ServiceError: ``not_ready`` or ``overloaded``.
    """
    services = services_of(request)
    with counted(services):
        check_encoding(request)
        with services.running_engine().places.hold() as place:
            yield place


@contextmanager
def counted(services: Services) -> Iterator[None]:
    """Count the refusals of a block."""
    try:
        yield
    except ServiceError as error:
        services.metrics.rejected.labels(error.code).inc()
        raise


def address_of(connection: HTTPConnection) -> str:
    """Return the address of whoever asks; empty if there is none, as on a Unix socket."""
    return connection.client.host if connection.client else ""


@contextmanager
def within(seconds: float, code: str, message: str) -> Iterator[None]:
    """Limit the time of a block.

    Raises:
        ServiceError: with the code, when time is up.
    """
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError:
        raise ServiceError(code, message, headers={"Connection": "close"}) from None


async def unless_gone(request: Request, work: Awaitable[_T]) -> _T:
    """Await work, but give it up when the client goes away. The body must have been read.

    Raises:
        ClientGone: it did.
    """
    task = asyncio.ensure_future(work)
    watcher = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        for each in (task, watcher):
            if not each.done():
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

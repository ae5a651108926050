"""The app, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib import resources

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

import mien
from mien.predictor import Predictor, open_predictor
from mien.service import errors, health, oip, pages, rest, socket
from mien.service.access import Access
from mien.service.body import UploadMemory
from mien.service.deps import Services
from mien.service.documentation import document
from mien.service.engine import Engine
from mien.service.metrics import Metrics
from mien.service.middleware import RequestContext
from mien.service.notice import NOTICE
from mien.service.origins import OriginRules
from mien.service.processes import share_metrics
from mien.service.settings import Settings, read_settings

__all__ = ["create_app", "predictor_of"]

_log = logging.getLogger("mien.service")

_DESCRIPTION = """Facial expressions read off pictures, with honest confidence.

Errors are `{"error": {"code", "message", "request_id"}}`; codes are stable.
Live video goes over the WebSocket `/ws`, as the live page at `/` does.

"""


# In the order of the documentation: what reads comes first.
_TAGS = (
    {"name": "read", "description": "Images in, readings out."},
    {"name": "model", "description": "What reads, and how well."},
    {
        "name": "Open Inference Protocol",
        "description": "Crops in, logits out, for KServe's clients.",
    },
    {"name": "operation", "description": "Is it alive, is it ready, and what has it done."},
)


def create_app(
    settings: Settings | None = None,
    make_predictor: Callable[[Settings], Predictor] | None = None,
) -> FastAPI:
    """Build the service.

    Args:
        settings: the environment's if ``None``.
        make_predictor: called on a thread when the app starts; :func:`predictor_of` if
            ``None``. Until it has returned and a warm-up reading has run, the service is
            alive but not ready.

    Raises:
        ConfigError: a setting is wrong.
    """
    settings = settings or read_settings()
    metrics = Metrics(share_metrics())
    services = Services(
        settings, metrics, Access(settings), UploadMemory(settings.upload_memory_bytes)
    )
    app = FastAPI(
        title="mien",
        version=mien.__version__,
        description=_DESCRIPTION + "\n".join(f"* {sentence}" for sentence in NOTICE),
        lifespan=_lifespan(services, make_predictor or predictor_of),
        docs_url=None,
        redoc_url=None,
        # a redirect would repeat whatever Host the request has
        redirect_slashes=False,
        license_info={"name": "MIT"},
        openapi_tags=list(_TAGS),
    )
    app.state.services = services
    app.openapi = document(app, "MIT")  # type: ignore[method-assign]
    for module in (rest, oip, health, socket, pages):
        app.include_router(module.router)
    app.include_router(pages.local)
    app.mount("/static/swagger", pages.CachedFiles(directory=str(_swagger_folder())))
    errors.install(app)
    pages.install(app)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(OriginRules, settings=settings)
    app.add_middleware(RequestContext, metrics=metrics, stopping=lambda: services.stopping)
    return app


def predictor_of(settings: Settings) -> Predictor:
    """Open the detector and the network, one thread for each image: images run side by side.

    Raises:
        ModelError: the weights cannot be used.
    """
    return open_predictor(settings.model, threads=1)


def _swagger_folder() -> object:
    return resources.files("fastapi_offline") / "static"


def _lifespan(
    services: Services, make_predictor: Callable[[Settings], Predictor]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(_app: FastAPI) -> AsyncIterator[None]:
        predictor = await asyncio.to_thread(make_predictor, services.settings)
        engine = services.engine = Engine(predictor, services.settings, services.metrics)
        warming = asyncio.create_task(_warm_up(services, engine), name="warm-up")
        try:
            yield
        finally:
            services.stopping, services.ready = True, False
            warming.cancel()
            with suppress(asyncio.CancelledError):
                await warming
            await engine.close()

    return run


async def _warm_up(services: Services, engine: Engine) -> None:
    try:
        await engine.warm_up()
    except Exception:  # the edge: alive, never ready, and the log says why
        _log.exception("the warm-up reading failed")
        return
    services.ready = True
    _log.info("ready")

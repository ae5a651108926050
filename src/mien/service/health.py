"""Is it alive, is it ready, and what has it done."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from mien.service.deps import check_access, services_of
from mien.service.errors import ServiceError
from mien.service.metrics import CONTENT_TYPE_LATEST
from mien.service.schemas import ErrorAnswer

__all__ = ["require_ready", "router"]

router = APIRouter(tags=["operation"])


@router.get("/health/live", operation_id="live", summary="Say that the process lives.")
async def live() -> dict[str, str]:
    """Answer as long as the process does: restart it if not."""
    return {"status": "live"}


@router.get(
    "/health/ready",
    operation_id="ready",
    summary="Say whether requests are served.",
    responses={503: {"model": ErrorAnswer}},
)
async def ready(request: Request) -> dict[str, str]:
    """Answer 200 once a first reading has run, and 503 again while stopping."""
    require_ready(request)
    return {"status": "ready"}


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Return the counters for Prometheus.",
    dependencies=[Depends(check_access)],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """Counters for Prometheus."""
    return Response(services_of(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)


def require_ready(request: Request) -> None:
    """Refuse unless the service is ready.

    Raises:
        ServiceError: ``not_ready``.
    """
    services = services_of(request)
    if services.stopping or not services.ready:
        state = "stopping" if services.stopping else "warming up"
        raise ServiceError("not_ready", f"the service is {state}", headers={"Retry-After": "1"})

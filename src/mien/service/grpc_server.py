"""The Open Inference Protocol over gRPC: Triton's and KServe's clients reach for it first.

The same crops, outputs, keys, rates, places and limits as below ``/v2``. Needs the extra
``grpc``, and ``MIEN_GRPC_PORT``.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import numpy as np
from starlette.datastructures import Headers

import mien
from mien.errors import ConfigError, MienError
from mien.service.deps import Services, within
from mien.service.engine import Engine
from mien.service.errors import ServiceError, public_error
from mien.service.grpc_messages import METHODS, SERVICE, message
from mien.service.tensors import OUTPUTS, body_limit, check_shape, infer
from mien.types import Crops

__all__ = ["make_grpc_server"]

_log = logging.getLogger("mien.service")

_STATUS = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.OUT_OF_RANGE,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}

#: Calls that cost nothing: no key, no rate.
_OPEN = ("ServerLive", "ServerReady", "ServerMetadata", "ModelReady")


def make_grpc_server(services: Services) -> tuple[Any, int]:
    """Return a server that is ready to be started, and its port.

    Raises:
        ConfigError: it cannot listen there.
    """
    settings = services.settings
    card = services.running_engine().card
    server = grpc.aio.server(
        maximum_concurrent_rpcs=settings.connections,
        options=[
            ("grpc.max_receive_message_length", body_limit(card, settings.infer_crops)),
            ("grpc.max_metadata_size", settings.head_bytes),
            ("grpc.max_concurrent_streams", settings.connections_per_address),
            ("grpc.max_connection_idle_ms", int(settings.socket_idle_s * 1000)),
            ("grpc.keepalive_time_ms", int(settings.socket_ping_s * 1000)),
            ("grpc.keepalive_timeout_ms", int(settings.socket_ping_s * 1000)),
            ("grpc.so_reuseport", 1 if settings.processes > 1 else 0),
        ],
    )
    calls = _Calls(services)
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            calls.guarded(name),
            request_deserializer=message(f"{name}Request").FromString,
            response_serializer=message(f"{name}Response").SerializeToString,
        )
        for name in METHODS
    }
    handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
        calls.stream,
        request_deserializer=message("ModelInferRequest").FromString,
        response_serializer=message("ModelStreamInferResponse").SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        port = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on MIEN_GRPC_PORT: {error}") from None
    return server, port


class _Calls:
    """What is answered to each call. Lives on one event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def guarded(self, name: str) -> Callable[[Any, Any], Any]:
        """Return a call that checks who asks, and tells failures as gRPC does."""
        work = getattr(self, f"_{name}")

        async def call(request: Any, context: Any) -> Any:
            try:
                if name not in _OPEN:
                    self._check(context)
                return await work(request)
            except (ServiceError, MienError) as error:
                await context.abort(*_told(error))
            except Exception:  # the edge: the caller learns that it failed, not how
                _log.exception("call failed")
                await context.abort(grpc.StatusCode.INTERNAL, "the service failed; it was logged")

        return call

    async def stream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """Answer requests in their order; a bad one is an error in its place."""
        answer = message("ModelStreamInferResponse")
        async for request in requests:
            try:
                self._check(context)
                yield answer(infer_response=await self._ModelInfer(request))
            except (ServiceError, MienError) as error:
                failed = message("ModelInferResponse")(id=request.id)
                yield answer(error_message=_told(error)[1], infer_response=failed)

    def _check(self, context: Any) -> None:
        pairs = [(str(key), str(value)) for key, value in context.invocation_metadata() or ()]
        headers = Headers(raw=[(key.encode(), value.encode("latin-1")) for key, value in pairs])
        self._services.access.check(headers, _address(context.peer()))

    async def _ServerLive(self, _: Any) -> Any:  # noqa: N802
        return message("ServerLiveResponse")(live=True)

    async def _ServerReady(self, _: Any) -> Any:  # noqa: N802
        ready = self._services.ready and not self._services.stopping
        return message("ServerReadyResponse")(ready=ready)

    async def _ServerMetadata(self, _: Any) -> Any:  # noqa: N802
        return message("ServerMetadataResponse")(name="mien", version=mien.__version__)

    async def _ModelReady(self, request: Any) -> Any:  # noqa: N802
        self._engine(request.name, request.version)
        ready = self._services.ready and not self._services.stopping
        return message("ModelReadyResponse")(ready=ready)

    async def _ModelMetadata(self, request: Any) -> Any:  # noqa: N802
        engine = self._engine(request.name, request.version)
        card = engine.card
        answer = message("ModelMetadataResponse")(
            name=card.name, versions=[card.version], platform="onnxruntime_onnx"
        )
        answer.inputs.add(name="crops", datatype="UINT8", shape=[-1, *card.framing.size_hw, 1])
        for name in OUTPUTS:
            answer.outputs.add(name=name, datatype="FP32", shape=[-1, len(engine.predictor.labels)])
        return answer

    async def _ModelInfer(self, request: Any) -> Any:  # noqa: N802
        settings = self._services.settings
        engine = self._engine(request.model_name, request.model_version)
        with engine.places.hold() as place:
            place.arrived()
            with within(settings.timeout_s, "timeout", "reading took too long"):
                most = settings.infer_crops
                crops, outputs = await engine.on_thread(lambda: _parse(request, engine, most))
                arrays = await infer(engine, crops)
        answer = message("ModelInferResponse")(
            model_name=engine.card.name, model_version=engine.card.version, id=request.id
        )
        for name in outputs:
            array = np.ascontiguousarray(arrays[name], "<f4")
            answer.outputs.add(name=name, datatype="FP32", shape=list(array.shape))
            answer.raw_output_contents.append(array.tobytes())
        return answer

    def _engine(self, name: str, version: str) -> Engine:
        engine = self._services.running_engine()
        if name != engine.card.name or version not in ("", engine.card.version):
            raise ServiceError(
                "not_found", f"there is '{engine.card.name}', version '{engine.card.version}'"
            )
        return engine


def _parse(request: Any, engine: Engine, most_crops: int) -> tuple[Crops, list[str]]:
    """Read crops and the names of the outputs wanted.

    Raises:
        ServiceError: ``bad_request`` or ``too_large``.
    """
    try:
        (tensor,) = request.inputs
        unknown = [*request.parameters, *tensor.parameters]
        unknown += [key for output in request.outputs for key in output.parameters]
        if unknown:
            raise ValueError(f"the parameter {unknown[0]!r} is not known here")
        if tensor.name != "crops" or tensor.datatype != "UINT8":
            raise ValueError("expected one input 'crops' of datatype UINT8")
        shape = check_shape(list(tensor.shape), engine.card, most_crops)
        if request.raw_input_contents:
            (content,) = request.raw_input_contents
        else:
            content = bytes(tensor.contents.uint_contents)
        if len(content) != int(np.prod(shape, dtype=object)):
            raise ValueError(f"shape {shape} does not fit {len(content)} numbers")
        wanted = [output.name for output in request.outputs] or list(OUTPUTS)
        missing = set(wanted) - set(OUTPUTS)
        if missing:
            raise ValueError(f"no output {min(missing)!r}: there are {', '.join(OUTPUTS)}")
    except ValueError as error:
        raise ServiceError("bad_request", f"not a request for crops: {error}"[:300]) from None
    return np.frombuffer(content, np.uint8).reshape(shape), wanted


def _told(error: ServiceError | MienError) -> tuple[grpc.StatusCode, str]:
    content = public_error(error)
    status = error.status if isinstance(error, ServiceError) else 400
    if content["code"] == "internal":
        _log.error("call failed", exc_info=error)
        status = 500
    code = _STATUS.get(status, grpc.StatusCode.INVALID_ARGUMENT)
    return code, f"{content['code']}: {content['message']}"


def _address(peer: str) -> str:
    """Return the address in gRPC's name of a peer, such as ipv4:127.0.0.1:5000."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    return rest.rpartition(":")[0].strip("[]").replace("%5B", "").replace("%5D", "")

"""The OpenAPI document: what FastAPI writes, and what it does not know.

Keys are read from headers by hand, so that FastAPI sees no security scheme; validation errors
are answered in the one shape of errors, not in FastAPI's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

__all__ = ["document"]

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a key of the service"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}

#: Paths that never ask for a key.
_OPEN = ("/health/live", "/health/ready", "/v2", "/v2/health/live", "/v2/health/ready")

_STRING_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
    "title": "InferenceError",
}


def document(app: FastAPI, license_name: str) -> Callable[[], dict[str, Any]]:
    """Return what is to be the app's ``openapi``."""

    def write() -> dict[str, Any]:
        if app.openapi_schema is None:
            content = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
                license_info={"name": license_name},
            )
            _complete(content)
            app.openapi_schema = content
        return app.openapi_schema

    return write


def _complete(content: dict[str, Any]) -> None:
    components = content["components"]
    components["securitySchemes"] = _SCHEMES
    schemas = components["schemas"]
    schemas["InferenceError"] = _STRING_ERROR
    for path, operations in content["paths"].items():
        error = "InferenceError" if path.startswith("/v2") else "ErrorAnswer"
        for operation in operations.values():
            if path not in _OPEN and not path.endswith("/ready"):
                # the empty one: a service without keys asks for none
                operation["security"] = [{"bearer": []}, {"header": []}, {}]
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    schema = {"$ref": f"#/components/schemas/{error}"}
                    answer["content"] = {"application/json": {"schema": schema}}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)

"""What can be set, with its default: read once from the environment, then frozen.

A field ``timeout_s`` is set by the variable ``MIEN_TIMEOUT_S``. Lists are separated by
commas.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mien.errors import ConfigError
from mien.images import WEB_FORMATS, ImageLimits
from mien.service.environment import check_names, check_proxies, key_digests

__all__ = ["MIB", "Settings", "read_settings"]

MIB = 1024 * 1024

_Texts = Annotated[tuple[str, ...], NoDecode]
_Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


#: What all processes have together, and each has a part of.
_DIVIDED = (
    "threads",
    "queue",
    "connections",
    "connections_per_address",
    "unread_bytes",
    "upload_memory_bytes",
    "rate_burst",
    "sockets",
    "sockets_per_address",
)


class Settings(BaseSettings):
    """All limits of the service; a zero rate means that there is no rate limit."""

    model_config = SettingsConfigDict(
        env_prefix="MIEN_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    unix_socket: Path | None = Field(None, description="listen on this path instead of a port")
    model: Path | None = Field(None, description="weights; mien's own if unset")
    processes: int = Field(1, ge=1, le=64, description="worker processes that share the port")
    threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=256,
        description="threads of all processes that decode and detect",
    )

    head_bytes: int = Field(64 * 1024, ge=1024, description="request line, headers, trailers")
    url_bytes: int = Field(8 * 1024, ge=256)
    head_timeout_s: _Seconds = Field(10.0, description="from the first byte to the last header")
    body_timeout_s: _Seconds = Field(30.0, description="between two pieces of a body")
    unread_timeout_s: _Seconds = Field(30.0, description="for an answer that is not read")
    unread_bytes: int = Field(256 * MIB, ge=1, description="answers not yet read, all together")
    connections: int = Field(1000, ge=1, description="all together")
    connections_per_address: int = Field(100, ge=1, description="trusted proxies are exempt")

    image_bytes: int = Field(10 * MIB, ge=1)
    batch_bytes: int = Field(64 * MIB, ge=1)
    batch_images: int = Field(100, ge=1)
    image_pixels: int = Field(50_000_000, ge=1)
    batch_pixels: int = Field(200_000_000, ge=1)
    image_side_px: int = Field(16_384, ge=1)
    annotated_pixels: int = Field(16_000_000, ge=1, description="larger ones are reduced")
    pixels_in_flight: int | None = Field(
        None, ge=1, description="of decoded images; image_pixels and 12 million a thread if unset"
    )
    infer_crops: int = Field(128, ge=1, description="crops in one request of /v2")
    upload_memory_bytes: int = Field(512 * MIB, ge=1, description="all bodies held at once")

    timeout_s: _Seconds = Field(30.0, description="for one image")
    batch_timeout_s: _Seconds = 120.0
    keep_alive_s: int = Field(5, ge=0)
    drain_s: int = Field(30, ge=0, description="for work in flight when stopping")

    queue: int = Field(64, ge=0, description="requests that wait for a thread")
    rate_per_s: float = Field(
        20.0, ge=0, allow_inf_nan=False, description="images of one key or address"
    )
    rate_burst: int = Field(60, ge=1)
    batch_crops: int = Field(16, ge=1, description="crops that go through the network at once")
    batch_wait_ms: float = Field(5.0, ge=0, le=1000, allow_inf_nan=False)

    explain_faces: int = Field(4, ge=0, le=64, description="of one image; 0 explains none")

    sockets: int = Field(16, ge=0)
    sockets_per_address: int = Field(8, ge=1)
    socket_queue: int = Field(2, ge=1, description="frames: one being read, the rest waiting")
    socket_bytes: int = Field(2 * MIB, ge=1)
    socket_hello_s: _Seconds = Field(5.0, description="for the hello, or the first frame")
    socket_idle_s: _Seconds = 60.0
    socket_ping_s: _Seconds = 20.0

    grpc_port: int | None = Field(None, ge=0, le=65535, description="serve gRPC here too")

    api_keys: _Texts = Field((), repr=False)
    api_keys_file: Path | None = Field(None, description="one key a line; '#' begins a comment")
    insecure: bool = Field(False, description="bind to any address without keys")
    hosts: _Texts = Field((), description="names that requests may give as Host")
    local_page: bool = Field(True, description="serve /local and the weights that it needs")
    cors_origins: _Texts = ()
    socket_origins: _Texts = Field((), description="besides the service's own")
    proxy_headers: bool = Field(True, description="believe X-Forwarded-* of trusted proxies")
    trusted_proxies: str = Field("127.0.0.1", description="whose X-Forwarded-* are believed")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")

    @field_validator("api_keys", "cors_origins", "socket_origins", "hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: str) -> str:
        return check_proxies(value)

    @model_validator(mode="after")
    def _check_sizes(self) -> Settings:
        if self.pixels_in_flight is not None and self.pixels_in_flight < self.image_pixels:
            raise ValueError("MIEN_PIXELS_IN_FLIGHT is below MIEN_IMAGE_PIXELS")
        return self

    @property
    def image_limits(self) -> ImageLimits:
        """The limits of one image in a request."""
        return ImageLimits(
            max_bytes=self.image_bytes,
            max_pixels=self.image_pixels,
            max_side_px=self.image_side_px,
            formats=WEB_FORMATS,
        )

    @property
    def pixel_budget(self) -> int:
        """How many pixels may be decoded at once: one of the largest images and small ones."""
        return self.pixels_in_flight or self.image_pixels + 12_000_000 * self.threads

    def of_one_process(self) -> Settings:
        """Return the settings with each limit divided among the processes; none becomes zero."""
        parts = self.processes
        if parts == 1:
            return self
        whole = {
            name: max(1, getattr(self, name) // parts) for name in _DIVIDED if getattr(self, name)
        }
        return self.model_copy(update={**whole, "rate_per_s": self.rate_per_s / parts})

    def key_digests(self) -> tuple[bytes, ...]:
        """Return the SHA-256 of every accepted key: equally long, so safe to compare.

        Raises:
            ConfigError: the file of keys cannot be read, or has none.
        """
        return key_digests(self.api_keys, self.api_keys_file)


def read_settings(**changes: Any) -> Settings:
    """Return the settings of the environment, with ``changes`` that are not ``None`` on top.

    Raises:
        ConfigError: a variable is unknown, or a value is of the wrong kind or out of range;
            values are not repeated, since they may be keys.
    """
    check_names(Settings.model_fields)
    try:
        return Settings(**{name: value for name, value in changes.items() if value is not None})
    except ValidationError as error:
        problems = "; ".join(
            _problem(each) for each in error.errors(include_input=False, include_url=False)
        )
        raise ConfigError(problems) from None


def _problem(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    name = ".".join(map(str, error["loc"])).upper()
    return f"MIEN_{name}: {message}" if name else message

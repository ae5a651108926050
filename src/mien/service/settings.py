"""What can be set, with its default: read once from the environment, then frozen.

A field ``timeout_s`` is set by the variable ``MIEN_TIMEOUT_S``. Lists are separated by
commas.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mien.errors import ConfigError
from mien.images import WEB_FORMATS, ImageLimits

__all__ = ["MIB", "Settings", "read_settings"]

MIB = 1024 * 1024

_Texts = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """All limits of the service; a zero rate means that there is no rate limit."""

    model_config = SettingsConfigDict(
        env_prefix="MIEN_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    model: Path | None = Field(None, description="weights; mien's own if unset")
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=256,
        description="threads that decode and detect",
    )

    image_bytes: int = Field(10 * MIB, ge=1)
    batch_bytes: int = Field(64 * MIB, ge=1)
    batch_images: int = Field(100, ge=1)
    image_pixels: int = Field(50_000_000, ge=1)
    batch_pixels: int = Field(200_000_000, ge=1)
    image_side_px: int = Field(16_384, ge=1)
    upload_memory_bytes: int = Field(512 * MIB, ge=1, description="all bodies held at once")

    timeout_s: float = Field(30.0, gt=0, description="for one image")
    batch_timeout_s: float = Field(120.0, gt=0)
    keep_alive_s: int = Field(5, ge=0)
    drain_s: int = Field(30, ge=0, description="for work in flight when stopping")

    queue: int = Field(64, ge=0, description="requests that wait for a worker")
    rate_per_s: float = Field(20.0, ge=0, description="requests of one key or address")
    rate_burst: int = Field(60, ge=1)
    batch_crops: int = Field(16, ge=1, description="crops that go through the network at once")
    batch_wait_ms: float = Field(5.0, ge=0, le=1000)

    explain_faces: int = Field(4, ge=0, le=64, description="of one picture; 0 explains none")

    sockets: int = Field(16, ge=0)
    socket_queue: int = Field(2, ge=1, description="frames: one being read, the rest waiting")
    socket_bytes: int = Field(2 * MIB, ge=1)
    socket_idle_s: float = Field(60.0, gt=0)
    socket_ping_s: float = Field(20.0, gt=0)

    api_keys: _Texts = Field((), repr=False)
    api_keys_file: Path | None = Field(None, description="one key a line; '#' begins a comment")
    insecure: bool = Field(False, description="bind to any address without keys")
    cors_origins: _Texts = ()
    socket_origins: _Texts = Field((), description="besides the service's own")
    trusted_proxies: str = Field("127.0.0.1", description="whose X-Forwarded-* are believed")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")

    @field_validator("api_keys", "cors_origins", "socket_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def image_limits(self) -> ImageLimits:
        """The limits of one image in a request."""
        return ImageLimits(
            max_bytes=self.image_bytes,
            max_pixels=self.image_pixels,
            max_side_px=self.image_side_px,
            formats=WEB_FORMATS,
        )

    def key_digests(self) -> tuple[bytes, ...]:
        """Return the SHA-256 of every accepted key: equally long, so safe to compare.

        Raises:
            ConfigError: the file of keys cannot be read.
        """
        keys = list(self.api_keys)
        if self.api_keys_file is not None:
            try:
                lines = self.api_keys_file.read_text(encoding="utf-8").splitlines()
            except (OSError, ValueError) as error:
                raise ConfigError(f"cannot read MIEN_API_KEYS_FILE: {error}") from None
            keys += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return tuple(hashlib.sha256(key.encode()).digest() for key in keys)


def read_settings(**changes: Any) -> Settings:
    """Return the settings of the environment, with ``changes`` that are not ``None`` on top.

    Raises:
        ConfigError: a value is of the wrong kind or out of range; values are not repeated,
            since they may be keys.
    """
    try:
        return Settings(**{name: value for name, value in changes.items() if value is not None})
    except ValidationError as error:
        problems = "; ".join(
            f"MIEN_{'.'.join(map(str, each['loc'])).upper()}: {each['msg']}"
            for each in error.errors(include_input=False, include_url=False)
        )
        raise ConfigError(problems) from None

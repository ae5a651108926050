"""Checks of the environment that a settings class cannot express field by field."""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from mien.errors import ConfigError

__all__ = ["Proxies", "check_names", "check_proxies", "key_digests"]

_PREFIX = "MIEN_"

#: Names that had another meaning, and what to set instead.
_RETIRED = {
    "MIEN_WORKERS": "it counted threads: set MIEN_THREADS for threads of a process, and "
    "MIEN_PROCESSES or --workers for processes",
}

#: Variables of other parts of mien, of its tests and of its image.
_FOREIGN = ("MIEN_NOTEBOOK_", "MIEN_FER2013", "MIEN_SCREENSHOTS", "MIEN_TEST_")


def check_names(fields: Iterable[str], environment: Mapping[str, str] = os.environ) -> None:
    """Refuse variables ``MIEN_*`` that set nothing.

    Raises:
        ConfigError: with the nearest name that does.
    """
    known = {_PREFIX + field.upper() for field in fields}
    for name in sorted(environment):
        if name in _RETIRED:
            raise ConfigError(f"{name} is no longer a setting: {_RETIRED[name]}")
        if not name.startswith(_PREFIX) or name.startswith(_FOREIGN) or name in known:
            continue
        near = difflib.get_close_matches(name, sorted(known), 1, 0.0)
        raise ConfigError(f"{name} is not a setting: did you mean {near[0]}? See docs/service.md")


def check_proxies(value: str) -> str:
    """Return the value if it lists addresses or networks, or is ``*``.

    Raises:
        ValueError: it does not.
    """
    if value.strip() == "*":
        return "*"
    parts = [part.strip() for part in value.split(",") if part.strip()]
    try:
        for part in parts:
            ipaddress.ip_network(part, strict=False)
    except ValueError:
        raise ValueError("expected IP addresses or networks, such as 10.0.0.0/8") from None
    return ",".join(parts)


class Proxies:
    """The addresses of proxies, by a value that :func:`check_proxies` has let through."""

    def __init__(self, value: str) -> None:
        self._any = value == "*"
        parts = [] if self._any else [part for part in value.split(",") if part]
        self._networks = [ipaddress.ip_network(part, strict=False) for part in parts]

    def __contains__(self, address: object) -> bool:
        try:
            parsed = ipaddress.ip_address(str(address))
        except ValueError:
            return self._any
        return self._any or any(parsed in network for network in self._networks)


def key_digests(keys: Iterable[str], file: Path | None) -> tuple[bytes, ...]:
    """Return the SHA-256 of every key.

    Raises:
        ConfigError: the file cannot be read, or has no key.
    """
    found = list(keys)
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read MIEN_API_KEYS_FILE: {error}") from None
        listed = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not listed:
            raise ConfigError(f"MIEN_API_KEYS_FILE: {file} has no key: write one a line")
        found += listed
    return tuple(hashlib.sha256(key.encode()).digest() for key in found)

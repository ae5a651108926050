"""Who may ask, and how often."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers

from mien.service.errors import ServiceError
from mien.service.settings import Settings

__all__ = ["Access", "RateLimiter", "key_of", "network_of"]


class RateLimiter:
    """A token bucket for every caller; callers that were not seen for longest are forgotten.

    Lives on one event loop. Full buckets are what a forgotten caller gets, so that the
    ``max_callers`` bound costs memory only.
    """

    def __init__(
        self,
        per_s: float,
        burst: int,
        *,
        max_callers: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_s, self._burst, self._max_callers, self._clock = per_s, burst, max_callers, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Take one token; return 0, or the seconds until there will be one."""
        if self._per_s == 0:
            return 0.0
        now = self._clock()
        tokens, seen = self._buckets.pop(caller, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - seen) * self._per_s)
        wait_s = max(0.0, (1 - tokens) / self._per_s)
        self._buckets[caller] = (tokens if wait_s else tokens - 1, now)
        if len(self._buckets) > self._max_callers:
            self._buckets.popitem(last=False)
        return wait_s

    def owe(self, caller: str, tokens: int) -> None:
        """Take tokens that may not be there: the caller waits until they have come back."""
        if self._per_s and caller in self._buckets:
            left, seen = self._buckets[caller]
            self._buckets[caller] = (left - tokens, seen)


class Access:
    """Checks keys and rates by the settings."""

    def __init__(self, settings: Settings) -> None:
        self._digests = settings.key_digests()
        self._limiter = RateLimiter(settings.rate_per_s, settings.rate_burst)

    @property
    def needs_key(self) -> bool:
        """Whether any keys are set."""
        return bool(self._digests)

    def knows(self, key: str) -> bool:
        """Compare a key with every accepted one, in the same time whatever it is."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        # all are compared, so that the time does not tell which one it was
        return sum(hmac.compare_digest(digest, each) for each in self._digests) > 0

    def check(self, headers: Headers, address: str) -> None:
        """Let a request through.

        Raises:
            ServiceError: ``unauthorised`` or ``rate_limited``.
        """
        self.check_key(headers, address)
        self.check_rate(self._caller(headers, address))

    def check_key(self, headers: Headers, address: str) -> None:
        """Let whoever has a key through; attempts with a wrong one are counted.

        Raises:
            ServiceError: ``unauthorised`` or ``rate_limited``.
        """
        if self.needs_key and not self.knows(key_of(headers)):
            self.check_rate(f"address {network_of(address)}")
            raise ServiceError(
                "unauthorised",
                "expected a valid key: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
                headers={"WWW-Authenticate": "Bearer", "Connection": "close"},
            )

    def charge(self, headers: Headers, address: str, images: int) -> None:
        """Take the tokens of a request for many images, beyond the one that is paid.

        They may be more than there are: the caller then waits until they have come back.
        """
        self._limiter.owe(self._caller(headers, address), images - 1)

    def _caller(self, headers: Headers, address: str) -> str:
        return _caller(key_of(headers) if self.needs_key else "", address)

    def check_rate(self, caller: str) -> None:
        """Count one request of a caller.

        Raises:
            ServiceError: ``rate_limited``.
        """
        wait_s = self._limiter.take(caller)
        if wait_s:
            raise ServiceError(
                "rate_limited",
                f"too many requests: try again in {math.ceil(wait_s)} s",
                headers={"Retry-After": str(math.ceil(wait_s)), "Connection": "close"},
            )


def key_of(headers: Headers) -> str:
    """Return the key that a request carries; empty if there is none."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _caller(key: str, address: str) -> str:
    if key:
        return "key " + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
    return f"address {network_of(address)}"


def network_of(address: str) -> str:
    """Return what one caller holds: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))

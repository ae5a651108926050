"""What Prometheus is told."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 120)


class Metrics:
    """The counters of one app, in a registry of its own so that tests can have several.

    Args:
        shared: the folder where several processes keep theirs; what is shown is of all.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self.registry = CollectorRegistry()
        registry = self.registry
        self.requests = Counter(
            "mien_requests", "Requests answered.", ("route", "method", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "mien_request_seconds",
            "From first byte to answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "mien_stage_seconds",
            "Time of one picture in decode, detect, classify, encode.",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue_depth = Gauge(
            "mien_queue_depth",
            "Requests waiting or being worked on.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.batch_crops = Histogram(
            "mien_batch_crops",
            "Crops that went through the network at once.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=registry,
        )
        self.rejected = Counter(
            "mien_rejected", "Requests refused.", ("reason",), registry=registry
        )
        self.faces = Counter("mien_faces", "Faces read.", registry=registry)
        self.connections = Gauge(
            "mien_connections",
            "Open connections, sockets included.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.cut = Counter(
            "mien_connections_cut",
            "Connections refused or closed because of a limit.",
            ("reason",),
            registry=registry,
        )
        self.sockets = Gauge(
            "mien_sockets", "Open sockets.", registry=registry, multiprocess_mode="livesum"
        )
        self.frames = Counter(
            "mien_frames", "Frames that came by socket.", ("outcome",), registry=registry
        )
        for outcome in ("read", "dropped", "failed"):
            self.frames.labels(outcome)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        if self._shared is None:
            return generate_latest(self.registry)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(everybody)

"""What the server counts, in the Prometheus text format.

Labels come from fixed sets: never the name of a person or a room, which would
be private and without bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

Reader = Callable[[], Any]

SOCKET_KINDS = ("http", "drcp", "y", "hocuspocus", "xmpp", "turn")
FAILURE_KINDS = ("login", "pin", "handshake", "store", "protocol", "listener")
RELAY_WAYS = ("from_clients", "from_peers")
OTHER = "other"
"""Where a label outside its set is counted."""

_COMMIT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5)
_GROUP_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 512)
_LAG_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Metrics:
    """One registry of one server; nothing is global."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        at = self._registry
        self._rooms = Gauge("mosaic_rooms", "Rooms with somebody inside", registry=at)
        self._allocations = Gauge(
            "mosaic_turn_allocations", "TURN allocations", registry=at
        )
        self._sockets = Gauge(
            "mosaic_sockets", "Open connections", ["kind"], registry=at
        )
        self._failures = Counter(
            "mosaic_failures", "What went wrong", ["kind"], registry=at
        )
        self._relayed = Counter(
            "mosaic_relayed_bytes", "Media through the relay", ["way"], registry=at
        )
        self._commits = Histogram(
            "mosaic_commit_seconds",
            "Time that a group commit took",
            buckets=_COMMIT_BUCKETS_S,
            registry=at,
        )
        self._group = Histogram(
            "mosaic_commit_changes",
            "Changes in one group commit",
            buckets=_GROUP_BUCKETS,
            registry=at,
        )
        self._lag = Histogram(
            "mosaic_reactor_lag_seconds",
            "How late the reactor calls what is due",
            buckets=_LAG_BUCKETS_S,
            registry=at,
        )
        # a series that starts at zero can be alerted on before its first event
        for kind in SOCKET_KINDS:
            self._sockets.labels(kind)
        for kind in FAILURE_KINDS:
            self._failures.labels(kind)
        for way in RELAY_WAYS:
            self._relayed.labels(way)

    # Told as it happens ---------------------------------------------------
    def socket_opened(self, kind: str) -> None:
        """A connection of one of SOCKET_KINDS begins."""
        self._sockets.labels(_one_of(SOCKET_KINDS, kind)).inc()

    def socket_closed(self, kind: str) -> None:
        """It ends."""
        self._sockets.labels(_one_of(SOCKET_KINDS, kind)).dec()

    def failed(self, kind: str) -> None:
        """Something of FAILURE_KINDS went wrong."""
        self._failures.labels(_one_of(FAILURE_KINDS, kind)).inc()

    def relayed(self, way: str, size_bytes: int) -> None:
        """Media of one of RELAY_WAYS went through."""
        self._relayed.labels(_one_of(RELAY_WAYS, way)).inc(size_bytes)

    def committed(self, seconds: float, changes: int) -> None:
        """The store made a group of changes durable."""
        self._commits.observe(seconds)
        self._group.observe(changes)

    def reactor_was_late(self, seconds: float) -> None:
        """A timer was called that much after its time."""
        self._lag.observe(max(0.0, seconds))

    # Asked when somebody looks --------------------------------------------
    def count_rooms(self, read: Callable[[], float]) -> None:
        """How to learn the number of rooms in use."""
        self._rooms.set_function(read)

    def count_allocations(self, read: Callable[[], float]) -> None:
        """How to learn the number of TURN allocations."""
        self._allocations.set_function(read)

    def watch(self, prefix: str, read: Reader, *, gauges: Iterable[str] = ()) -> None:
        """Show the plain numbers of a core under a prefix.

        read: gives a dataclass or mapping of numbers; what is no number is
        left out. gauges: the fields that may fall; the others only grow.
        """
        self._registry.register(_Watched(prefix, read, frozenset(gauges)))

    def text(self) -> str:
        """Everything, in the Prometheus text format 0.0.4."""
        return generate_latest(self._registry).decode()


class _Watched(Collector):
    """Reads a core's counters at each look, so that counting costs an addition."""

    def __init__(self, prefix: str, read: Reader, gauges: frozenset[str]) -> None:
        self._prefix = prefix
        self._read = read
        self._gauges = gauges

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """One family for each number."""
        for name, value in _numbers(self._read()):
            family = GaugeMetricFamily if name in self._gauges else CounterMetricFamily
            words = name.replace("_", " ")
            yield family(f"{self._prefix}_{name}", words, value=value)


def _numbers(counters: Any) -> Iterator[tuple[str, float]]:
    if isinstance(counters, Mapping):
        pairs = list(counters.items())
    elif is_dataclass(counters):
        pairs = [(f.name, getattr(counters, f.name)) for f in fields(counters)]
    else:
        raise TypeError(f"{type(counters).__name__} holds no named numbers")
    for name, value in pairs:
        if isinstance(value, int | float):
            yield name, value


def _one_of(allowed: tuple[str, ...], label: str) -> str:
    return label if label in allowed else OTHER

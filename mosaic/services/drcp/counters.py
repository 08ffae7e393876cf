"""What the collaboration service counts, for the metrics page."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Counters:
    """Plain integers that only grow, except the first five (levels).

    full: connections that take no more until their peer has read.
    """

    connections: int = 0
    rooms: int = 0
    documents: int = 0
    people: int = 0
    full: int = 0
    frames_in: int = 0
    bytes_in: int = 0
    updates_in: int = 0
    updates_refused: int = 0
    updates_saved: int = 0
    updates_not_saved: int = 0
    awareness_in: int = 0
    awareness_refused: int = 0
    flushes: int = 0
    deliveries: int = 0
    bytes_out: int = 0
    crdt_panics: int = 0
    quarantined: int = 0
    snapshots: int = 0
    slow_diffs: int = 0
    slow_closed: int = 0
    rate_paused: int = 0
    rate_closed: int = 0
    refused_connections: int = 0
    signals_dropped: int = 0

    def as_dict(self) -> dict[str, int]:
        """Name -> value, for the metrics page."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

"""What the TURN service counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from mosaic.relay.interface import PlaneCounters
from mosaic.wire.turn.counters import Counters


@dataclass(slots=True)
class TurnCounters:
    """Plain numbers for metrics. allocations and streams are of this moment,
    all others only grow."""

    core: Counters = field(default_factory=Counters)
    plane: PlaneCounters = field(default_factory=PlaneCounters)
    allocations: int = 0
    streams: int = 0
    streams_timed_out: int = 0
    streams_broken: int = 0
    dtls_refused: int = 0
    dtls_failed: int = 0
    stream_frames_dropped: int = 0

"""How even a way is, in numbers; pure. RFC 3550 for jitter, ITU-T G.107 for voice."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

PACKET_MS = 20.0
"""Voice is sent so often."""

_R_BEST = 93.2
"""Of the E-model with all its other values at their defaults (G.107 table 3)."""
_LOSS_ROBUSTNESS = 25.1
"""Bpl of G.711 with concealment (G.113 appendix I); Opus is no worse."""


@dataclass(frozen=True, slots=True)
class Evenness:
    """Round trips in milliseconds; loss: a share; burst: the longest run of lost
    ones; mos: what voice would be worth, 1 to 4.5."""

    sent: int
    p50_ms: float
    p95_ms: float
    jitter_ms: float
    loss: float
    burst: int
    mos: float


def evenness(trips_ms: Sequence[float | None]) -> Evenness:
    """Of probes in the order they were sent; None for one that was lost."""
    came = [trip for trip in trips_ms if trip is not None]
    if not came:
        return Evenness(len(trips_ms), 0.0, 0.0, 0.0, 1.0, len(trips_ms), 1.0)
    ordered = sorted(came)
    loss = 1 - len(came) / len(trips_ms)
    p50, jitter_ms = statistics.median(ordered), jitter(came)
    runs = lost_runs(trips_ms)
    return Evenness(
        len(trips_ms),
        round(p50, 2),
        round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 2),
        round(jitter_ms, 2),
        round(loss, 4),
        max(runs, default=0),
        round(mos(p50, jitter_ms, loss, burst_ratio(runs, loss)), 2),
    )


def jitter(trips_ms: Sequence[float]) -> float:
    """Interarrival jitter (RFC 3550 section 6.4.1 and A.8) of transit times:
    J += (|D| - J) / 16, begun with the first |D| so that a short run counts."""
    found: float | None = None
    for earlier, later in itertools.pairwise(trips_ms):
        step = abs(later - earlier)
        found = step if found is None else found + (step - found) / 16
    return found or 0.0


def lost_runs(trips_ms: Sequence[float | None]) -> list[int]:
    """Lengths of the runs of lost ones."""
    groups = itertools.groupby(trips_ms, key=lambda trip: trip is None)
    return [len(list(run)) for lost, run in groups if lost]


def burst_ratio(runs: Sequence[int], loss: float) -> float:
    """BurstR of G.107: the mean run over that of random loss; 1 at least."""
    if not runs or loss >= 1:
        return 1.0
    return max(1.0, statistics.fmean(runs) * (1 - loss))


def mos(rtt_ms: float, jitter_ms: float, loss: float, burst: float = 1.0) -> float:
    """Mean opinion of voice by the E-model (G.107), 1 to 4.5.

    One-way delay is half the round trip, a packet, and a buffer of twice the
    jitter; the delay impairment is the usual piecewise fit to G.107's Idd.
    """
    delay = rtt_ms / 2 + PACKET_MS + 2 * jitter_ms
    by_delay = 0.024 * delay + 0.11 * max(0.0, delay - 177.3)
    percent = loss * 100
    by_loss = 95 * percent / (percent / burst + _LOSS_ROBUSTNESS)
    r = min(100.0, max(0.0, _R_BEST - by_delay - by_loss))
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def score(found: Evenness) -> float | None:
    """Of a region, in ms, less is nearer: the median round trip and 10 for each
    per cent of loss. None if nothing came back."""
    if found.loss >= 1:
        return None
    return round(found.p50_ms + 1000 * found.loss, 1)

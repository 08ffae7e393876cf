"""How many answers strangers get (reflection defence), in constant memory."""

from __future__ import annotations

from array import array
from ipaddress import IPv6Address

_BUCKETS = 4096


def prefix_of(host: str) -> str:
    """The network that a source is counted under: /24 or /56."""
    if ":" not in host:
        return host.rpartition(".")[0]
    bare = IPv6Address(host.partition("%")[0])
    return format(int(bare) >> 72, "x")


class StrangerBudget:
    """A token bucket for each source prefix, in a table of fixed size.

    Prefixes that meet in one bucket share it: a flood of spoofed sources
    slows other strangers, never our memory, and never those who have
    credentials. per_s, burst: answers.
    """

    def __init__(self, *, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = array("d", [burst]) * _BUCKETS
        self._stamps = array("d", [0.0]) * _BUCKETS

    def take(self, host: str, now: float) -> bool:
        """Whether one more answer may go to this source."""
        at = hash(prefix_of(host)) % _BUCKETS
        elapsed = max(0.0, now - self._stamps[at])
        tokens = min(self._burst, self._tokens[at] + elapsed * self._per_s)
        self._stamps[at] = now
        enough = tokens >= 1.0
        self._tokens[at] = tokens - 1.0 if enough else tokens
        return enough

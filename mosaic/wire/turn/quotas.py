"""How many allocations one credential and one address hold."""

from __future__ import annotations

from collections import Counter

from mosaic.wire.turn.budget import prefix_of
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.refusals import AllocationQuotaReached


def quota_host(host: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 /56."""
    return prefix_of(host) if ":" in host else host


class Quotas:
    """Counts what is held; reserved ports count as allocations do."""

    def __init__(self) -> None:
        self._per_credential: Counter[str] = Counter()
        self._per_host: Counter[str] = Counter()

    def check(self, username: str, host: str, limits: Limits) -> None:
        """Raises AllocationQuotaReached if there is no room for one more."""
        if self._per_credential[username] >= limits.per_credential:
            raise AllocationQuotaReached("too many allocations of this credential")
        if self._per_host[quota_host(host)] >= limits.per_address:
            raise AllocationQuotaReached("too many allocations from this address")

    def charge(self, username: str, host: str) -> None:
        """One more."""
        self._per_credential[username] += 1
        self._per_host[quota_host(host)] += 1

    def refund(self, username: str, host: str) -> None:
        """One less; nothing is kept of who holds nothing."""
        for counter, key in (
            (self._per_credential, username),
            (self._per_host, quota_host(host)),
        ):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]

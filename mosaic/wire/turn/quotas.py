"""How many allocations one credential, one person and one address hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from mosaic.wire.turn.budget import prefix_of
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.refusals import AllocationQuotaReached

OwnerOf = Callable[[str], str]


def quota_host(host: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 /56."""
    return prefix_of(host) if ":" in host else host


class Quotas:
    """Counts what is held; reserved ports count as allocations do.

    owner_of: whose a username is. Somebody who asks for many credentials has
    no more than who uses one; a username of nobody's is its own owner.
    """

    def __init__(self, owner_of: OwnerOf = str) -> None:
        self._owner_of = owner_of
        self._per_credential: Counter[str] = Counter()
        self._per_owner: Counter[str] = Counter()
        self._per_host: Counter[str] = Counter()

    def check(self, username: str, host: str, limits: Limits) -> None:
        """Raises AllocationQuotaReached if there is no room for one more."""
        if self._per_credential[username] >= limits.per_credential:
            raise AllocationQuotaReached("too many allocations of this credential")
        if self._per_owner[self._owner_of(username)] >= limits.per_owner:
            raise AllocationQuotaReached("too many allocations of this user")
        if self._per_host[quota_host(host)] >= limits.per_address:
            raise AllocationQuotaReached("too many allocations from this address")

    def room_of(self, username: str, limits: Limits) -> int:
        """How many more a credential, and its owner, may have."""
        owner = self._per_owner[self._owner_of(username)]
        own = limits.per_credential - self._per_credential[username]
        return min(own, limits.per_owner - owner)

    def room_at(self, host: str, limits: Limits) -> int:
        """How many more an address may have."""
        return limits.per_address - self._per_host[quota_host(host)]

    def charge(self, username: str, host: str) -> None:
        """One more."""
        self.charge_host(username, quota_host(host), 1)

    def charge_host(self, username: str, host: str, count: int) -> None:
        """So many more, of a `quota_host`; nothing is kept of none."""
        if count:
            self._per_credential[username] += count
            self._per_owner[self._owner_of(username)] += count
            self._per_host[host] += count

    def refund(self, username: str, host: str) -> None:
        """One less; nothing is kept of who holds nothing."""
        for counter, key in (
            (self._per_credential, username),
            (self._per_owner, self._owner_of(username)),
            (self._per_host, quota_host(host)),
        ):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]

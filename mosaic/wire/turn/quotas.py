"""How many allocations one credential, one person and one address hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from mosaic.wire.turn.budget import prefix_of
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.refusals import AllocationQuotaReached
from mosaic.wire.turn.visitors import PER_VISITOR, TOTAL, is_visitor

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
        self._visitors = 0

    def is_visitor(self, username: str) -> bool:
        """Whether a username is of a stranger who checks the network."""
        return is_visitor(self._owner_of(username))

    def check(self, username: str, host: str, limits: Limits) -> None:
        """Raises AllocationQuotaReached if there is no room for one more."""
        if self._per_credential[username] >= limits.per_credential:
            raise AllocationQuotaReached("too many allocations of this credential")
        owner = self._owner_of(username)
        if is_visitor(owner):
            if self._per_owner[owner] >= PER_VISITOR or self._visitors >= TOTAL:
                raise AllocationQuotaReached("too many checks of the network")
        elif self._per_owner[owner] >= limits.per_owner:
            raise AllocationQuotaReached("too many allocations of this user")
        if self._per_host[quota_host(host)] >= limits.per_address:
            raise AllocationQuotaReached("too many allocations from this address")

    def room_of(self, username: str, limits: Limits) -> int:
        """How many more a credential, and its owner, may have in one go; visitors
        are looked at one by one."""
        if self.is_visitor(username):
            return 0
        owner = self._per_owner[self._owner_of(username)]
        own = limits.per_credential - self._per_credential[username]
        return min(own, limits.per_owner - owner)

    def room_at(self, host: str, limits: Limits) -> int:
        """How many more an address may have."""
        return limits.per_address - self._per_host[quota_host(host)]

    def charge(self, username: str, host: str) -> None:
        """One more."""
        self.charge_host(username, quota_host(host), 1)
        self._visitors += self.is_visitor(username)

    def charge_host(self, username: str, host: str, count: int) -> None:
        """So many more, of a `quota_host`; nothing is kept of none."""
        if count:
            self._per_credential[username] += count
            self._per_owner[self._owner_of(username)] += count
            self._per_host[host] += count

    def refund(self, username: str, host: str) -> None:
        """One less; nothing is kept of who holds nothing."""
        self._visitors -= self.is_visitor(username)
        for counter, key in (
            (self._per_credential, username),
            (self._per_owner, self._owner_of(username)),
            (self._per_host, quota_host(host)),
        ):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]

"""Counting failed tries: five, then waits that double.

Pure: takes the time (monotonic seconds) and remembers a bounded number of
accounts and addresses, so that a million strangers cost no more than some.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

from mosaic.auth.interface import TryLater

MAX_ENTRIES = 65_536
IPV6_PREFIX = 64

V = TypeVar("V")


@lru_cache(maxsize=4096)
def address_key(address: str) -> str:
    """What counts as one address: an IPv4 host, or an IPv6 /64.

    One household or one rented machine owns a whole /64. v4-mapped addresses
    are unwrapped; text that is no address counts as itself, shortened.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))


class RecentlyUsed(Generic[V]):
    """A mapping that drops what was not written for the longest time."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[str, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> V | None:
        """The value, or None."""
        return self._entries.get(key)

    def put(self, key: str, value: V) -> None:
        """Keep it as the newest."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget it, if it is there."""
        self._entries.pop(key, None)


@dataclass(slots=True)
class Failures:
    """Tries of one account or address. by: how many came from each side."""

    count: int = 0
    blocked_until: float = 0.0
    last_at: float = 0.0
    by: dict[str, int] = field(default_factory=dict)


class Backoff:
    """Failures per account (or room) and per address.

    tries: allowed before the first wait. first_s: that wait; each failure
    after it doubles the next, up to max_s. A key that was quiet for max_s
    after its wait starts anew.
    """

    def __init__(
        self,
        *,
        tries: int,
        first_s: float,
        max_s: float,
        max_entries: int = MAX_ENTRIES,
    ) -> None:
        self._tries = tries
        self._first_s = first_s
        self._max_s = max_s
        self._accounts: RecentlyUsed[Failures] = RecentlyUsed(max_entries)
        self._addresses: RecentlyUsed[Failures] = RecentlyUsed(max_entries)

    def __len__(self) -> int:
        """How many accounts and addresses are remembered."""
        return len(self._accounts) + len(self._addresses)

    def check(self, account: str, address: str, *, now: float) -> None:
        """Raises TryLater while either is backed off."""
        wait_s = max(
            self._wait_s(self._accounts, account, now),
            self._wait_s(self._addresses, address_key(address), now),
        )
        if wait_s > 0:
            raise TryLater(wait_s)

    def failed(self, account: str, address: str, *, now: float) -> None:
        """Count one failed try on both sides."""
        place = address_key(address)
        self._count(self._accounts, account, place, now)
        self._count(self._addresses, place, account, now)

    def succeeded(self, account: str, address: str) -> None:
        """Forget this account's failures from this address, and no others.

        So an attacker who owns one account cannot wash the address clean.
        """
        place = address_key(address)
        self._forget(self._accounts, account, place)
        self._forget(self._addresses, place, account)

    def _wait_s(self, table: RecentlyUsed[Failures], key: str, now: float) -> float:
        entry = table.get(key)
        return 0.0 if entry is None else entry.blocked_until - now

    def _count(
        self, table: RecentlyUsed[Failures], key: str, other: str, now: float
    ) -> None:
        entry = table.get(key)
        if entry is None or self._is_stale(entry, now):
            entry = Failures()
        entry.count += 1
        entry.last_at = now
        if other in entry.by or len(entry.by) < self._tries * 2:
            entry.by[other] = entry.by.get(other, 0) + 1
        if entry.count >= self._tries:
            doublings = min(entry.count - self._tries, 32)
            entry.blocked_until = now + min(self._max_s, self._first_s * 2**doublings)
        table.put(key, entry)

    def _is_stale(self, entry: Failures, now: float) -> bool:
        return now - max(entry.last_at, entry.blocked_until) > self._max_s

    def _forget(self, table: RecentlyUsed[Failures], key: str, other: str) -> None:
        entry = table.get(key)
        if entry is None:
            return
        entry.count -= entry.by.pop(other, 0)
        if entry.count <= 0:
            table.drop(key)
        elif entry.count < self._tries:
            entry.blocked_until = 0.0

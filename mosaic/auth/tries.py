"""Back-off tied to a clock, and one turn at a time for those who try."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from twisted.internet.interfaces import IReactorTime

from mosaic.auth.backoff import Backoff, address_key
from mosaic.auth.turns import KeyedLocks
from mosaic.workspace.names import account_name

ROOM = "room "
"""In front of a Hub ID; no account name holds a space, so they never meet."""


class Tries:
    """Failed tries at accounts and rooms. clock: the reactor's, monotonic."""

    def __init__(
        self, backoff: Backoff, locks: KeyedLocks, clock: IReactorTime
    ) -> None:
        self._backoff = backoff
        self._locks = locks
        self._clock = clock

    def check(self, *, account: str, address: str) -> None:
        """Raises TryLater while the account or the address is backed off."""
        self._backoff.check(_key(account), address, now=self._clock.seconds())

    def note_failure(self, *, account: str, address: str) -> None:
        """Count a failed try."""
        self._backoff.failed(_key(account), address, now=self._clock.seconds())

    def note_success(self, *, account: str, address: str) -> None:
        """Forget the account's failures from this address."""
        self._backoff.succeeded(_key(account), address)

    @asynccontextmanager
    async def turn(self, *, account: str, address: str) -> AsyncIterator[None]:
        """Wait for the tries before this one, then check. Raises TryLater."""
        # those who are backed off need not queue to hear so
        self.check(account=account, address=address)
        key = "account " + _key(account)
        async with self._locks.hold("address " + address_key(address), key):
            self.check(account=account, address=address)
            yield


def _key(account: str) -> str:
    """An account in its kept form; what cannot be one, shortened."""
    if account.startswith(ROOM):
        return account[:64]
    try:
        return account_name(account)
    except ValueError:
        return account[:64]

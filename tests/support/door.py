"""A small Door that keeps its promises, without a store."""

from __future__ import annotations

import hashlib

from twisted.internet.defer import Deferred

from mosaic.auth.interface import TryLater
from mosaic.wire.sasl.verifier import ScramVerifier, derive_verifier

ITERATIONS = 4096
TRIES = 5


class FakeDoor:
    """The part of mosaic.auth.interface.Door that XMPP asks.

    accounts: name -> password. wait: given, verifiers come when it fires.
    """

    def __init__(self, accounts: dict[str, str]) -> None:
        self.wait: Deferred[None] | None = None
        self.asked: list[str] = []
        self._failures: dict[tuple[str, str], int] = {}
        self._verifiers = {
            name: derive_verifier(password, salt=_salt(name), iterations=ITERATIONS)
            for name, password in accounts.items()
        }

    async def scram_verifier(self, name: str) -> ScramVerifier:
        """The verifier, or the same fake one for the same unknown name."""
        self.asked.append(name)
        if self.wait is not None:
            await self.wait
        known = self._verifiers.get(name)
        return known or ScramVerifier(
            salt=_salt(name),
            iterations=ITERATIONS,
            stored_key=bytes(32),
            server_key=bytes(32),
        )

    def check_tries(self, *, account: str, address: str) -> None:
        """Raises TryLater after 5 failures in a row."""
        if self._failures.get((account, address), 0) >= TRIES:
            raise TryLater(30.0)

    def note_failure(self, *, account: str, address: str) -> None:
        """Count one."""
        key = (account, address)
        self._failures[key] = self._failures.get(key, 0) + 1

    def note_success(self, *, account: str, address: str) -> None:
        """Forget them."""
        self._failures.pop((account, address), None)


def _salt(name: str) -> bytes:
    return hashlib.sha256(b"salt of " + name.encode()).digest()[:16]

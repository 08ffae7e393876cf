"""A small Door that keeps its promises, without a store."""

from __future__ import annotations

import hashlib

from twisted.internet.defer import Deferred

from mosaic.auth.fast import FastDesk
from mosaic.auth.interface import TryLater
from mosaic.store.memory import MemoryStore
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
        self.now = 1_000_000.0
        self.store = MemoryStore(wall=lambda: self.now)
        self.fast = FastDesk(
            self.store, server_key=b"server", ttl_s=1000.0, wall=lambda: self.now
        )
        self._verifiers: dict[str, ScramVerifier] = {}
        self._second: dict[str, ScramVerifier] = {}
        for name, password in accounts.items():
            self._keep(name, password)
            self.store.add_account(name, self._verifiers[name], admin=False)

    def _keep(self, name: str, password: str) -> None:
        salt = _salt(name + password)
        self._verifiers[name] = derive_verifier(
            password, salt=salt, iterations=ITERATIONS
        )
        self._second[name] = derive_verifier(
            password, salt=salt, iterations=ITERATIONS, digest="sha1"
        )

    def set_password(self, name: str, password: str) -> None:
        """Change it."""
        self._keep(name, password)
        self.store.set_verifier(name, self._verifiers[name])

    async def scram_sha_1_verifier(self, name: str) -> ScramVerifier:
        """The second verifier of an account that is there."""
        return self._second[name]

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

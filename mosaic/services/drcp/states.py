"""Whole documents for HTTP: encoded and compressed once, fetched by many."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from mosaic.services.drcp.document import LiveDocument
from mosaic.services.drcp.shared import Shared
from mosaic.workspace.documents import EMPTY_STATE_VECTOR

RunInThread = Callable[..., Deferred[Any]]
"""Like deferToThread."""

KEPT = 2
"""States of one document: the newest, and the one that is being fetched."""

RENEW_AFTER_S = 5.0
COMPRESSION = 6


@dataclass(frozen=True, slots=True)
class State:
    """One encoding of a whole document.

    etag: SHA-256 of the encoding, in hexadecimal. packed: the encoding (a Yjs
    update, version 1), gzipped. size_bytes: before that. state_vector: what
    it holds.
    """

    etag: str
    packed: bytes
    size_bytes: int
    state_vector: bytes
    made_at: float

    def reference(self, hub_id: str) -> dict[str, Any]:
        """snapshotRef (docs/protocols/drcp.md)."""
        return {
            "url": f"/api/v1/rooms/{hub_id}/states/{self.etag}",
            "etag": self.etag,
            "enc": "gzip",
            "size": self.size_bytes,
            "sv": self.state_vector.hex(),
        }


class Shelf:
    """The states of one room's documents that clients were told of.

    seconds: the reactor's clock. A state is used until what came after it is
    longer than renew_bytes, and for five seconds at least.
    """

    def __init__(
        self,
        run_in_thread: RunInThread,
        *,
        seconds: Callable[[], float],
        renew_bytes: int,
    ) -> None:
        self._run_in_thread = run_in_thread
        self._seconds = seconds
        self._renew_bytes = renew_bytes
        self._states: dict[str, list[State]] = {}
        self._making: dict[str, Shared[State]] = {}

    def find(self, etag: str) -> State | None:
        """The state with that etag, while it is kept."""
        for states in self._states.values():
            for state in states:
                if state.etag == etag:
                    return state
        return None

    async def state_of(self, document: LiveDocument) -> State:
        """A recent state; one making, any number of waiters.

        Raises ProtocolError (4500).
        """
        name = document.name
        states = self._states.get(name)
        if states and self._is_recent(document, states[-1]):
            return states[-1]
        shared = self._making.get(name)
        if shared is None:
            shared = self._making[name] = Shared(lambda: self._make(document))
        try:
            return await shared.get()
        finally:
            self._making.pop(name, None)

    def _is_recent(self, document: LiveDocument, state: State) -> bool:
        if self._seconds() - state.made_at < RENEW_AFTER_S:
            return True
        return len(document.diff(state.state_vector)) <= self._renew_bytes

    async def _make(self, document: LiveDocument) -> State:
        encoded = document.diff(EMPTY_STATE_VECTOR)
        state_vector = document.state_vector()
        etag, packed = await self._run_in_thread(pack, encoded)
        now = self._seconds()
        state = State(etag, packed, len(encoded), state_vector, now)
        states = self._states.setdefault(document.name, [])
        states[:] = [*states, state][-KEPT:]
        return state


def pack(encoded: bytes) -> tuple[str, bytes]:
    """The name of an encoding, and its gzipped bytes."""
    return sha256(encoded).hexdigest(), gzip.compress(encoded, COMPRESSION, mtime=0)


def at_once(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
    """In place of deferToThread."""
    return maybeDeferred(function, *args)

"""A pycrdt document that tells its own edits from the server's updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pycrdt import Doc


class ClientReplica:
    """wire.drcp.shareddoc.Crdt over a pycrdt Doc.

    edited: called with the update of each local transaction.
    """

    def __init__(self, doc: Doc[Any], edited: Callable[[bytes], object]) -> None:
        self.doc = doc
        self._edited = edited
        self._applying = False
        self._subscription = doc.observe(self._changed)

    def get_state(self) -> bytes:
        """Its state vector."""
        return self.doc.get_state()

    def get_update(self, state: bytes | None = None) -> bytes:
        """What a holder of the state vector lacks."""
        return self.doc.get_update(state) if state else self.doc.get_update()

    def apply_update(self, update: bytes) -> None:
        """Take an update from the server."""
        self._applying = True
        try:
            self.doc.apply_update(update)
        finally:
            self._applying = False

    def close(self) -> None:
        """Hear nothing of the document any more."""
        self.doc.unobserve(self._subscription)

    def _changed(self, event: Any) -> None:
        if not self._applying:
            self._edited(event.update)

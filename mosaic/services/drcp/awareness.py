"""Who is where in one document; the server says who each of them is."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import msgspec

from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.wire.drcp.yprotocols import AwarenessEntry

Owner = TypeVar("Owner", bound=Hashable)

GONE = "null"
MAX_CLIENTS_PER_OWNER = 16
MAX_REMEMBERED = 4096

_read = msgspec.json.Decoder().decode
_write = msgspec.json.Encoder().encode


class AwarenessTable(Generic[Owner]):
    """States by client id, and the connection that introduced each.

    stamp: (owner, state) -> state, sets the identity. same_person: a participant
    whose old connection is not yet known to be dead takes its ids over. Entries
    that changed wait in `pending`, the last one of a client wins.
    """

    def __init__(
        self,
        stamp: Callable[[Owner, object], object],
        same_person: Callable[[Owner, Owner], bool],
    ) -> None:
        self._stamp = stamp
        self._same_person = same_person
        self._entries: dict[int, AwarenessEntry] = {}
        self._owners: dict[int, Owner] = {}
        self.pending: dict[int, AwarenessEntry] = {}

    def receive(self, owner: Owner, entries: list[AwarenessEntry]) -> list[int]:
        """Take an update; the client ids that are refused: somebody else's.

        Raises ProtocolError for a state that is no JSON.
        """
        refused: list[int] = []
        for entry in entries:
            holder = self._owners.get(entry.client)
            if holder is owner:
                self._take(owner, entry, known=True)
                continue
            mine = holder is None or holder == owner
            if holder is not None and (mine or self._same_person(holder, owner)):
                if not self._take(owner, entry, known=mine):
                    refused.append(entry.client)
            elif holder is not None:
                # Clients repeat what they heard of others, unchanged: no fault.
                if not self._is_echo(entry):
                    refused.append(entry.client)
            elif not self._take(owner, entry, known=False):
                refused.append(entry.client)
        return refused

    def leave(self, owner: Owner) -> None:
        """Null states for all that this connection introduced."""
        for client in [c for c, held in self._owners.items() if held == owner]:
            del self._owners[client]
            self._put(AwarenessEntry(client, self._entries[client].clock + 1, GONE))

    def take_pending(self) -> list[AwarenessEntry]:
        """What changed since the last time."""
        entries, self.pending = list(self.pending.values()), {}
        return entries

    def states(self) -> list[AwarenessEntry]:
        """Everybody who is here."""
        return [entry for entry in self._entries.values() if entry.state != GONE]

    def everything(self) -> list[AwarenessEntry]:
        """Those who left, too."""
        return list(self._entries.values())

    def restamp(self, owner: Owner) -> None:
        """The owner's name changed."""
        for client, held in self._owners.items():
            entry = self._entries[client]
            if held == owner and entry.state != GONE:
                state = self._stamped(owner, entry.state)
                self._put(AwarenessEntry(client, entry.clock + 1, state))

    def _is_echo(self, entry: AwarenessEntry) -> bool:
        known = self._entries[entry.client]
        return entry.clock <= known.clock

    def _take(self, owner: Owner, entry: AwarenessEntry, *, known: bool) -> bool:
        last = self._entries.get(entry.client)
        if not known:
            if entry.state == GONE:
                return True
            held = sum(1 for other in self._owners.values() if other == owner)
            if held >= MAX_CLIENTS_PER_OWNER:
                return False
        clock = entry.clock
        if last is not None and clock <= last.clock:
            if known:
                return True
            # It was here before and comes back with an older clock than that
            # of the null state which we sent in its name.
            clock = last.clock + 1
        state = self._stamped(owner, entry.state)
        if state == GONE:
            self._owners.pop(entry.client, None)
        else:
            self._owners[entry.client] = owner
        self._put(AwarenessEntry(entry.client, clock, state))
        return True

    def _stamped(self, owner: Owner, text: str) -> str:
        try:
            state = _read(text)
        except (ValueError, RecursionError):
            return self._stamped_leniently(owner, text)
        if state is None:
            return GONE
        return _write(self._stamp(owner, state)).decode()

    def _stamped_leniently(self, owner: Owner, text: str) -> str:
        """Python's own reader takes what JavaScript may write and the fast one
        refuses: halves of a surrogate pair. What JavaScript cannot read, such as
        NaN, would harm everybody else."""
        try:
            stamped = self._stamp(owner, json.loads(text))
            dumped = json.dumps(
                stamped, separators=(",", ":"), ensure_ascii=False, allow_nan=False
            )
        except (ValueError, RecursionError):
            raise ProtocolError("an awareness state is not JSON") from None
        return dumped.encode(errors="replace").decode()

    def _put(self, entry: AwarenessEntry) -> None:
        self._entries[entry.client] = entry
        self.pending[entry.client] = entry
        if len(self._entries) > MAX_REMEMBERED:
            self._entries = {
                client: kept
                for client, kept in self._entries.items()
                if kept.state != GONE
            }

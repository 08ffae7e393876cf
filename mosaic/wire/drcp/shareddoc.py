"""One document as a DRCP client keeps it: what is saved, sent, and still to send.

At most one message with edits is on its way for each document, and what is
edited meanwhile is merged into the next. So an acknowledgement or a refusal
always says of what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mosaic.wire.drcp.client import Opened
from mosaic.wire.drcp.lib0 import var_string, var_uint
from mosaic.wire.drcp.yprotocols import (
    AwarenessEntry,
    Step,
    Type,
    awareness_message,
    encode_sync,
)

NOT_SAVED_YET = 507
FORBIDDEN = 4403
MAX_MERGED = 300
"""Updates in one message: merging is super-linear."""

Merge = Callable[..., bytes]
"""Many updates into one, as pycrdt's merge_updates does it."""


class Crdt(Protocol):
    """A Yjs document; pycrdt's Doc is one. Updates are in encoding version 1."""

    def get_state(self) -> bytes:
        """Its state vector."""

    def get_update(self, state: bytes | None = None) -> bytes:
        """What a holder of the state vector lacks."""

    def apply_update(self, update: bytes) -> None:
        """Take an update."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One local change. number: counts the edits of this document from 1."""

    number: int
    update: bytes


@dataclass(slots=True)
class Refused:
    """An edit that the server will never take, and why."""

    edit: Edit
    code: int
    message: str


@dataclass(slots=True)
class SharedDocument:
    """A document that lives through disconnections.

    channel: None while not open. opening: not answered yet. synced: the
    server's state is in `crdt`. writable: whether the server takes edits.
    saved_through: every edit up to this number is committed, or refused.
    refused: the latter. problem: code and words of the last error, until
    something is saved. forked: the server's document is another one by now
    (its epoch changed): nothing is exchanged any more, and the local one stays
    as it is. states: the others' awareness, client id -> JSON text.
    """

    name: str
    crdt: Crdt
    merge: Merge
    client_id: int
    channel: int | None = None
    synced: bool = False
    writable: bool = False
    epoch: str | None = None
    forked: bool = False
    opening: bool = False
    saved_through: int = 0
    refused: list[Refused] = field(default_factory=list)
    problem: tuple[int, str] | None = None
    states: dict[int, str] = field(default_factory=dict)
    _edits: int = 0
    _waiting: list[Edit] = field(default_factory=list)
    _in_flight: list[Edit] = field(default_factory=list)
    _one_by_one: int = 0
    _state: str | None = None
    _state_clock: int = 0
    _state_due: bool = False

    # The owner's side -----------------------------------------------------
    def edited(self, update: bytes) -> int:
        """Note a local change, already in `crdt`; its number."""
        self._edits += 1
        self._waiting.append(Edit(self._edits, update))
        return self._edits

    def present(self, state: str | None) -> None:
        """Show an awareness state (JSON text); None: nothing to show."""
        self._state = state
        self._state_due = True

    @property
    def last_edit(self) -> int:
        """The number of the newest local change."""
        return self._edits

    @property
    def unsaved(self) -> int:
        """Edits that would be lost with this process."""
        return len(self._in_flight) + len(self._waiting)

    # The session's side ---------------------------------------------------
    def closed(self) -> None:
        """The connection, or the channel, is gone: what was sent counts not."""
        self.channel = None
        self.opening = self.synced = False
        self._waiting = self._in_flight + self._waiting
        self._in_flight = []
        self.states.clear()

    def opened(self, opened: Opened) -> bool:
        """Take the answer to open; False if a state must be fetched first."""
        self.opening = False
        if self.epoch is not None and self.epoch != opened.epoch:
            self.forked = True
            return True
        self.epoch = opened.epoch
        self.writable = opened.write
        self.problem = None
        if opened.reference is None:
            self.crdt.apply_update(opened.update)
            self.level(opened.state_vector)
            return True
        return False

    def level(self, state_vector: bytes) -> None:
        """In step with the server; what it lacks is sent, unsaved edits or not.

        Deletions alone, of a life of this document before this object, are
        not: a Yjs diff repeats all of them each time.
        """
        self._waiting = [edit for edit in self._waiting if edit.number]
        lacking = self.crdt.get_update(state_vector)
        if has_blocks(lacking):
            self._waiting.insert(0, Edit(0, lacking))
        self.synced = True
        self._state_due = self._state is not None

    def next_messages(self) -> list[bytes]:
        """What may be sent now on the channel, without its number."""
        if self.channel is None or not self.synced or self.forked:
            return []
        messages = []
        if self._waiting and self.writable and not self._in_flight:
            count = 1 if self._one_by_one else MAX_MERGED
            self._in_flight = self._waiting[:count]
            del self._waiting[:count]
            self._one_by_one = max(0, self._one_by_one - 1)
            updates = [edit.update for edit in self._in_flight]
            update = updates[0] if len(updates) == 1 else self.merge(*updates)
            messages.append(encode_sync(Step.UPDATE, update))
        if self._state_due:
            self._state_due = False
            self._state_clock += 1
            state = "null" if self._state is None else self._state
            entry = AwarenessEntry(self.client_id, self._state_clock, state)
            messages.append(awareness_message([entry]))
        return messages

    def settled(self, saved: bool) -> None:
        """The answer to what is in flight."""
        if not saved:
            self._not_saved()
            return
        if self._in_flight:
            self._done()
        self.problem = None

    def _done(self) -> None:
        numbers = [edit.number for edit in self._in_flight]
        self.saved_through = max(self.saved_through, *numbers)
        self._in_flight = []

    def _not_saved(self) -> None:
        code, message = self.problem or (0, "refused")
        if code == NOT_SAVED_YET or not self._in_flight:
            return  # the server keeps it and says so once it is committed
        if code == FORBIDDEN:
            # Offered again when the role allows it.
            self.writable = False
        elif len(self._in_flight) == 1:
            self.refused.append(Refused(self._in_flight[0], code, message))
            self._done()
            return
        else:
            self._one_by_one = len(self._in_flight)
        self._waiting = self._in_flight + self._waiting
        self._in_flight = []

    def heard(self, entries: list[AwarenessEntry]) -> None:
        """Awareness of everybody."""
        for entry in entries:
            if entry.client == self.client_id:
                # Our last connection's end was announced: say that we are here.
                if entry.clock > self._state_clock:
                    self._state_clock = entry.clock
                    self._state_due = self._state is not None
            elif entry.state == "null":
                self.states.pop(entry.client, None)
            else:
                self.states[entry.client] = entry.state


def has_blocks(update: bytes) -> bool:
    """Whether an update holds more than deletes."""
    return update[:1] not in (b"", b"\0")


def open_message(channel: int, document: SharedDocument, *, max_sv: int) -> bytes:
    """Open it with what is known; a long state vector is not sent: all comes."""
    state = document.crdt.get_state()
    known = state if len(state) <= max_sv else b""
    inside = var_string(document.name) + var_uint(len(known)) + known
    head = var_uint(channel) + var_uint(Type.OPEN)
    return head + var_uint(len(inside)) + inside

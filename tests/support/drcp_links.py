"""Clients of all three doors whose frames travel one by one, and may be lost."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from pycrdt import Array, Doc, merge_updates

from mosaic.drcpclient.replica import ClientReplica
from mosaic.services.drcp.compat import HocuspocusConnection, YConnection
from mosaic.services.drcp.connection import Connection
from mosaic.services.drcp.native import NativeConnection
from mosaic.services.drcp.service import DrcpService
from mosaic.wire.drcp import hocuspocus
from mosaic.wire.drcp.clientsession import ClientSession
from mosaic.wire.drcp.lib0 import Reader
from mosaic.wire.drcp.shareddoc import SharedDocument
from mosaic.wire.drcp.yprotocols import (
    AwarenessEntry,
    Step,
    Type,
    awareness_message,
    decode_awareness,
    encode_sync,
    read_sync,
)
from tests.support.drcp import HUB, FakeWire

NAME = "board"


def marks_in(doc: Doc[Any]) -> list[tuple[str, int]]:
    """The marks of a document's one list, in their order."""
    marks = [str(mark).split(".") for mark in doc.get("marks", type=Array)]
    return [(who, int(number)) for who, number in marks]


class Link:
    """One participant at one door; frames wait in `up` and `down`.

    heard: awareness entries that arrived. A state says in `sender` who sent
    it, so that it can be compared with whom the server says it is of.
    """

    door = ""

    def __init__(self, who: str) -> None:
        self.who = who
        self.participant_id = f"{who:0>16}"
        self.doc: Doc[Any] = Doc()
        self.marks = self.doc.get("marks", type=Array)
        self.made = 0
        self.connection: Connection | None = None
        self.wire = FakeWire()
        self.up: deque[bytes] = deque()
        self.down: deque[bytes] = deque()
        self.heard: list[AwarenessEntry] = []
        self._state_clock = 0

    # What a person does -----------------------------------------------------
    def write(self, at: int) -> None:
        """Insert the next mark somewhere."""
        self.made += 1
        self.marks.insert(at % (len(self.marks) + 1), f"{self.who}.{self.made}")

    def connect(self, service: DrcpService) -> None:
        """A new socket."""
        assert self.connection is None
        self.wire = FakeWire()
        self.connection = self.make(service)
        service.connected(self.connection)
        self.greet()

    def drop(self, *, tell: bool = True) -> None:
        """The socket dies, and with it what is under way.

        tell: the server notices (it does not if it died itself).
        """
        connection, self.connection = self.connection, None
        self.up.clear()
        self.down.clear()
        self.lost()
        if connection is not None and tell:
            connection.lost()

    def present(self, client_id: int) -> None:
        """Send an awareness state for a client id, ours or not."""
        if self.connection is not None:
            self._state_clock += 1
            state = json.dumps({"sender": self.participant_id, "user": {"id": "x"}})
            self.say_awareness(AwarenessEntry(client_id, self._state_clock, state))

    # The network ------------------------------------------------------------
    def carry(self) -> bool:
        """Move everything there is, both ways; False if nothing was."""
        moved = False
        while self.up and self.connection is not None:
            self.connection.frame_received(self.up.popleft())
            moved = True
        return self.fetch() or moved

    def carry_up(self) -> None:
        """Move one frame to the server."""
        if self.up and self.connection is not None:
            self.connection.frame_received(self.up.popleft())

    def fetch(self) -> bool:
        """Take what the server has written; and notice that it has closed."""
        self.down.extend(self.wire.messages())
        moved = bool(self.down)
        while self.down:
            self.take(self.down.popleft())
        if self.wire.closed is not None and self.connection is not None:
            self.drop()
        return moved

    # Per door ---------------------------------------------------------------
    def make(self, service: DrcpService) -> Connection:
        """The server's end."""
        raise NotImplementedError

    def greet(self) -> None:
        """What the client says first."""

    def lost(self) -> None:
        """The socket is gone."""

    def take(self, frame: bytes) -> None:
        """A frame from the server."""
        raise NotImplementedError

    def say_awareness(self, entry: AwarenessEntry) -> None:
        """Send one state."""
        raise NotImplementedError

    @property
    def acknowledged(self) -> int:
        """The number of the last mark that is on the disk, as we were told."""
        return 0


class NativeLink(Link):
    """Our own client."""

    door = "native"

    def __init__(self, who: str) -> None:
        super().__init__(who)
        self.session = ClientSession(client="model", merge=merge_updates)
        self.shared: SharedDocument = self.session.document(
            NAME, ClientReplica(self.doc, self._edited)
        )

    def _edited(self, update: bytes) -> None:
        self.shared.edited(update)
        self._send()

    def _send(self) -> None:
        if self.connection is not None:
            self.up.extend(self.session.take())

    def make(self, service: DrcpService) -> Connection:
        """`/drcp`."""
        return NativeConnection(service, self.wire)

    def greet(self) -> None:
        """Hello."""
        self.session.connected(self.who)
        self._send()

    def lost(self) -> None:
        """Edits that were not acknowledged wait again."""
        self.session.lost()

    def take(self, frame: bytes) -> None:
        """Also answers it."""
        for message in self.session.receive(frame):
            if message.type == Type.AWARENESS:
                self.heard += message.value
        self._send()

    def say_awareness(self, entry: AwarenessEntry) -> None:
        """On channel 1 or whichever it is."""
        if self.shared.channel is not None and self.shared.synced:
            head = bytes((self.shared.channel,))
            self.up.append(head + awareness_message([entry]))

    @property
    def acknowledged(self) -> int:
        """Marks are the only edits, so numbers are the same."""
        return min(self.made, self.shared.saved_through)


class StockLink(Link):
    """What y-websocket and the Hocuspocus provider have in common."""

    def __init__(self, who: str) -> None:
        super().__init__(who)
        self.replica = ClientReplica(self.doc, self._edited)
        self.ready = False

    def _edited(self, update: bytes) -> None:
        if self.ready:
            self.say_sync(Step.UPDATE, update)

    def begin(self) -> None:
        """Ask for what is lacking."""
        self.ready = True
        self.say_sync(Step.STATE_VECTOR, self.doc.get_state())

    def lost(self) -> None:
        """Edits stay in the document, and nowhere else."""
        self.ready = False

    def take_sync(self, reader: Reader) -> None:
        """Answer a state vector, apply the rest."""
        step, data = read_sync(reader)
        if step is Step.STATE_VECTOR:
            self.say_sync(Step.ANSWER, self.doc.get_update(data))
        else:
            self.replica.apply_update(data)

    def say_sync(self, step: Step, data: bytes) -> None:
        """Send a sync message."""
        raise NotImplementedError


class YLink(StockLink):
    """y-websocket."""

    door = "y"

    def make(self, service: DrcpService) -> Connection:
        """`/y/<hub_id>/<name>`."""
        return YConnection(service, self.wire, HUB, NAME, self.who)

    def greet(self) -> None:
        """Step 1 at once."""
        self.begin()

    def take(self, frame: bytes) -> None:
        """One message."""
        reader = Reader(frame)
        kind = reader.var_uint()
        if kind == Type.SYNC:
            self.take_sync(reader)
        elif kind == Type.AWARENESS:
            self.heard += decode_awareness(reader.bytes())

    def say_sync(self, step: Step, data: bytes) -> None:
        """Without a head."""
        self.up.append(encode_sync(step, data))

    def say_awareness(self, entry: AwarenessEntry) -> None:
        """Without a head."""
        self.up.append(awareness_message([entry]))


class HocuspocusLink(StockLink):
    """The Hocuspocus provider."""

    door = "hocuspocus"
    address = f"{HUB}/{NAME}"

    def make(self, service: DrcpService) -> Connection:
        """`/hocuspocus`."""
        return HocuspocusConnection(service, self.wire)

    def greet(self) -> None:
        """The token."""
        self.up.append(hocuspocus.token_message(self.address, self.who))

    def take(self, frame: bytes) -> None:
        """One message, behind the address."""
        address, kind, reader = hocuspocus.read_address(frame)
        assert address == self.address
        if kind == Type.AUTH and reader.var_uint() == 2 and not self.ready:
            self.begin()
        elif kind in (Type.SYNC, Type.SYNC_REPLY):
            self.take_sync(reader)
        elif kind == Type.AWARENESS:
            self.heard += decode_awareness(reader.bytes())

    def say_sync(self, step: Step, data: bytes) -> None:
        """Behind the address."""
        self.up.append(hocuspocus.client_sync(self.address, step, data))

    def say_awareness(self, entry: AwarenessEntry) -> None:
        """Behind the address."""
        if self.ready:
            head = bytes((len(self.address),)) + self.address.encode()
            self.up.append(head + awareness_message([entry]))

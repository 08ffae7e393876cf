"""The sans-IO client against the service in memory, frame by frame."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, Text, merge_updates

from mosaic.drcpclient.replica import ClientReplica
from mosaic.services.drcp.connection import Connection
from mosaic.services.drcp.native import NativeConnection
from mosaic.wire.drcp.client import Message
from mosaic.wire.drcp.clientsession import ClientSession
from mosaic.wire.drcp.shareddoc import SharedDocument
from mosaic.wire.drcp.yprotocols import Type
from tests.support.drcp import FakeWire, Hub


class SessionPeer:
    """A participant with one document, who connects, drops and comes back."""

    def __init__(self, hub: Hub, who: str, *, name: str = "board", **options: Any):
        self.hub = hub
        self.who = who
        self.session = ClientSession(client="test", merge=merge_updates, **options)
        self.doc: Doc[Any] = Doc()
        self.text = self.doc.get("t", type=Text)
        self.shared: SharedDocument = self.session.document(
            name, ClientReplica(self.doc, lambda update: self.shared.edited(update))
        )
        self.wire: FakeWire = FakeWire()
        self.connection: Connection | None = None
        self.seen: list[Message] = []

    def connect(self) -> None:
        """A new socket, and hello on it."""
        self.wire = FakeWire()
        self.connection = NativeConnection(self.hub.service, self.wire)
        self.hub.service.connected(self.connection)
        self.session.connected(self.who)
        self.work()

    def work(self) -> None:
        """Exchange frames both ways until there are none."""
        while self.connection is not None:
            frames = self.wire.messages()
            for frame in frames:
                self.seen += self.session.receive(frame)
            for document, opened in self.session.wanted:
                self.session.loaded(document, opened, self.fetch(opened.reference))
            self.session.wanted.clear()
            sent = self.session.take()
            for frame in sent:
                self.connection.frame_received(frame)
            if self.wire.closed is not None:
                self.drop()
            if not frames and not sent:
                return

    def fetch(self, reference: Any) -> bytes:
        """What HTTP has of it: here nothing."""
        return b""

    def drop(self) -> None:
        """The socket dies; what was under way on it is lost."""
        if self.connection is not None:
            self.connection.lost()
            self.connection = None
            self.session.lost()

    def type(self, text: str) -> None:
        """Append text."""
        self.text += text

    def kinds(self) -> list[Type]:
        """The types of what was heard, and forget it."""
        seen, self.seen = self.seen, []
        return [Type(message.type) for message in seen]

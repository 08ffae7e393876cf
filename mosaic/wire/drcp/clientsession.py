"""A DRCP/1 client without I/O: hello, documents, events, and coming back.

session = ClientSession(client="my bot", merge=merge_updates)
board = session.document("board", doc)
session.connected(token)                  # the socket is open
for frame in session.take(): send(frame)
for message in session.receive(frame): ...
for frame in session.take(): send(frame)
session.lost()                            # and later connected() again
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from mosaic.wire.drcp import client as wire
from mosaic.wire.drcp.client import Message, Opened
from mosaic.wire.drcp.lib0 import var_uint
from mosaic.wire.drcp.native import CAPS, MAX_CHANNEL
from mosaic.wire.drcp.shareddoc import Crdt, Merge, SharedDocument, open_message
from mosaic.wire.drcp.yprotocols import Step, Type

MAX_STATE_VECTOR = 4096
"""Unless the welcome says otherwise."""

FINAL = frozenset({4401, 4403, 4404, 4409, 4423})
"""Close codes after which the same token is of no use, or somebody else's."""


class ClientSession:
    """What one participant says and hears over any number of connections.

    live: welcomed and not in the lobby: documents are open or being opened.
    welcome: the last one. wanted: documents to fetch by HTTP; answer each with
    loaded().
    """

    def __init__(
        self, *, client: str, merge: Merge, caps: Sequence[str] = CAPS
    ) -> None:
        self.live = False
        self.welcome: dict[str, Any] | None = None
        self.documents: dict[str, SharedDocument] = {}
        self.wanted: list[tuple[SharedDocument, Opened]] = []
        self._client = client
        self._merge = merge
        self._caps = tuple(caps)
        self._resume: tuple[str, int] | None = None
        self._by_channel: dict[int, SharedDocument] = {}
        self._last_channel = 0
        self._calls = 0
        self._out: list[bytes] = []

    # What the owner wants --------------------------------------------------
    def document(self, name: str, crdt: Crdt) -> SharedDocument:
        """Share a document; the same object for the same name."""
        document = self.documents.get(name)
        if document is None:
            # Yjs client ids: random, and no secret.
            ours = random.getrandbits(32)
            document = SharedDocument(name, crdt, self._merge, ours)
            self.documents[name] = document
            if self.live:
                self._open(document)
        return document

    def reopen(self, document: SharedDocument) -> None:
        """Try again to open one that was refused, or that the server closed."""
        if self.live:
            self._open(document)

    def event(self, kind: str, data: dict[str, Any]) -> None:
        """chat, state or reaction."""
        self._out.append(wire.event(kind, data))

    def signal(self, to: str, data: Any) -> None:
        """Something for one other participant."""
        self._out.append(wire.signal(to, data))

    def rpc(self, method: str, params: dict[str, Any]) -> int:
        """Call a method; the id that the rpcResult will have."""
        self._calls += 1
        self._out.append(wire.rpc(self._calls, method, params))
        return self._calls

    def refresh(self, token: str) -> None:
        """Use a newer token on this connection."""
        self._out.append(wire.refresh(token))

    def ping(self) -> None:
        """Answered by a pong."""
        self._out.append(wire.ping())

    # The socket -------------------------------------------------------------
    def connected(self, token: str) -> None:
        """The socket is open: hello."""
        self._out = [
            wire.hello(token, client=self._client, resume=self._resume, caps=self._caps)
        ]

    def lost(self) -> None:
        """The socket is gone; edits that were not acknowledged are kept."""
        self.live = False
        self.wanted.clear()
        self._by_channel.clear()
        self._out = []
        for document in self.documents.values():
            document.closed()

    def take(self) -> list[bytes]:
        """The frames to send now, in order."""
        for document in self.documents.values():
            for message in document.next_messages():
                assert document.channel is not None
                self._out.append(var_uint(document.channel) + message)
        out, self._out = self._out, []
        return out

    def receive(self, frame: bytes) -> list[Message]:
        """What a frame says, after the documents have taken theirs.

        Raises ProtocolError: the connection is of no use any more.
        """
        messages = wire.read_frame(frame)
        for message in messages:
            if message.channel == 0:
                self._control(message)
            else:
                document = self._by_channel.get(message.channel)
                if document is not None:
                    self._in_document(document, message)
        return messages

    def loaded(self, document: SharedDocument, opened: Opened, state: bytes) -> None:
        """The state that was wanted, or b"": then all comes on the channel."""
        channel = document.channel
        if channel is None or document.synced:
            return
        if state:
            document.crdt.apply_update(state)
            document.crdt.apply_update(opened.update)
            document.level(opened.state_vector)
        else:
            known = document.crdt.get_state()
            self._out.append(wire.sync(channel, Step.STATE_VECTOR, known))

    # ------------------------------------------------------------------------
    def _control(self, message: Message) -> None:
        match message.type:
            case Type.WELCOME:
                self._welcomed(message.value)
            case Type.EVENT:
                self._counted(message.value)
            case Type.RESYNC:
                if self._resume is not None:
                    self._resume = (self._resume[0], int(message.value["seq"]))
            case Type.PERM:
                self._permit(bool(message.value["write"]))
            case Type.PING:
                self._out.append(wire.pong())

    def _welcomed(self, welcome: dict[str, Any]) -> None:
        resumed = self._resume is not None and welcome["resumed"]
        # After `resumed` the missed events follow and move the number.
        seq = self._resume[1] if self._resume and resumed else int(welcome["seq"])
        self._resume = (str(welcome["sid"]), seq)
        self.welcome = welcome
        if not welcome["waiting"]:
            self._enter()

    def _enter(self) -> None:
        if not self.live:
            self.live = True
            for document in self.documents.values():
                self._open(document)

    def _counted(self, event: dict[str, Any]) -> None:
        if self._resume is not None and event["seq"] > self._resume[1]:
            self._resume = (self._resume[0], int(event["seq"]))
        if event["type"] == "admitted":
            self._enter()

    def _permit(self, write: bool) -> None:
        for document in self.documents.values():
            document.writable = write

    def _open(self, document: SharedDocument) -> None:
        if document.forked or document.channel is not None:
            return
        for _ in range(MAX_CHANNEL):
            self._last_channel = self._last_channel % MAX_CHANNEL + 1
            if self._last_channel not in self._by_channel:
                break
        document.channel = channel = self._last_channel
        document.opening = True
        self._by_channel[channel] = document
        limits = (self.welcome or {}).get("limits", {})
        max_sv = int(limits.get("max_state_vector_bytes", MAX_STATE_VECTOR))
        self._out.append(open_message(channel, document, max_sv=max_sv))

    def _in_document(self, document: SharedDocument, message: Message) -> None:
        value = message.value
        match message.type:
            case Type.OPENED:
                if not document.opened(value):
                    self.wanted.append((document, value))
            case Type.SYNC | Type.SYNC_REPLY:
                self._sync(document, *value)
            case Type.SYNC_STATUS:
                document.settled(value)
            case Type.AWARENESS:
                document.heard(value)
            case Type.QUERY_AWARENESS:
                document.present(document._state)
            case Type.ERROR:
                document.problem = (int(value["code"]), str(value["message"]))
                if document.opening:
                    self._by_channel.pop(message.channel, None)
                    document.closed()
            case Type.CLOSE:
                self._by_channel.pop(message.channel, None)
                document.closed()

    def _sync(self, document: SharedDocument, step: Step, data: bytes) -> None:
        if step is Step.STATE_VECTOR:
            if document.writable and document.channel is not None:
                document.level(data)
            return
        document.crdt.apply_update(data)
        if step is Step.ANSWER and not document.synced:
            # All of it came on the channel; the server's state vector follows.
            document.synced = True

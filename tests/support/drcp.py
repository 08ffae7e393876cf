"""A collaboration service in memory: fake sockets, a door with tokens, a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pycrdt import Doc, Text
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from mosaic.auth.interface import Door, InvalidToken
from mosaic.bus.memory import MemoryBus
from mosaic.config.settings import Drcp
from mosaic.services.drcp.apart import Apart, here
from mosaic.services.drcp.compat import HocuspocusConnection, YConnection
from mosaic.services.drcp.connection import Connection
from mosaic.services.drcp.native import NativeConnection
from mosaic.services.drcp.rounds import Rounds
from mosaic.services.drcp.service import DrcpService
from mosaic.store.memory import MemoryStore
from mosaic.wire.drcp import client
from mosaic.wire.drcp.lib0 import Reader
from mosaic.wire.drcp.yprotocols import Step, Type, read_sync
from mosaic.workspace.model import Principal, Role, Room

HUB = "123456782"


class TokenDoor:
    """A door that knows a dictionary of tokens; the rest of Door is not here."""

    def __init__(self) -> None:
        self.principals: dict[str, Principal] = {}

    async def principal(self, token: str) -> Principal:
        """Raises InvalidToken."""
        if token not in self.principals:
            raise InvalidToken("unknown or expired token")
        return self.principals[token]


class SlowStore(MemoryStore):
    """A store whose answers can be held back or refused."""

    def __init__(self, *, wall: Callable[[], float]) -> None:
        super().__init__(wall=wall)
        self.held: list[Deferred[None]] | None = None
        self.failure: Exception | None = None

    def append_updates(self, hub_id: str, name: str, entries: Any) -> Deferred[int]:
        """Held until release() if `held` is a list; fails with `failure`."""
        gate: Deferred[None] = Deferred()
        if self.held is None:
            gate = succeed(None)
        else:
            self.held.append(gate)

        def go(_: None) -> Deferred[int]:
            if self.failure is not None:
                raise self.failure
            return super(SlowStore, self).append_updates(hub_id, name, entries)

        return gate.addCallback(go)

    def release(self) -> None:
        """Let everything through."""
        held, self.held = self.held or [], None
        for gate in held:
            gate.callback(None)


class FakeWire:
    """A socket: what was written, as WebSocket messages."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.pauses: set[str] = set()
        self.limit = 0
        self._at = 0

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.writes.append(data)

    def close(self, code: int, reason: str) -> None:
        """Remember the code."""
        self.closed = (code, reason)

    def pause_reading(self, why: str) -> None:
        """Remember why."""
        self.pauses.add(why)

    def resume_reading(self, why: str) -> None:
        """Forget it."""
        self.pauses.discard(why)

    def limit_messages(self, size_bytes: int) -> None:
        """Remember it."""
        self.limit = size_bytes

    def read_with(self, room: Rounds) -> None:
        """There is no socket."""

    def messages(self) -> list[bytes]:
        """The payloads written since the last call."""
        data, payloads, at = b"".join(self.writes[self._at :]), [], 0
        self._at = len(self.writes)
        while at < len(data):
            assert data[at] == 0x82
            size, at = data[at + 1], at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, at = int.from_bytes(data[at : at + width], "big"), at + width
            payloads.append(data[at : at + size])
            at += size
        return payloads


class Hub:
    """The service, its clock and its fakes."""

    def __init__(self, *, apart: Apart = here, **limits: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.door = TokenDoor()
        self.store = SlowStore(wall=self.clock.seconds)
        self.bus = MemoryBus(self.clock)
        self.store.add_room(Room(hub_id=HUB, name="Room", pin="123456", created_at=0.0))
        self.service = DrcpService(
            self.clock,
            Drcp(**limits),
            door=cast(Door, self.door),
            store=self.store,
            bus=self.bus,
            origin_allowed=lambda origin, host: True,
            wall_clock=self.clock.seconds,
            apart=apart,
        )
        self.service.startService()

    def token(self, who: str, role: Role = Role.EDITOR, **more: Any) -> str:
        """A room token for a participant named `who`."""
        fields: dict[str, Any] = {
            "name": who.title(),
            "account": None,
            "admin": False,
            "hub_id": HUB,
            "role": role,
            "participant_id": f"{who:0>16}",
            "expires_at": self.clock.seconds() + 3600,
        }
        self.door.principals[who] = Principal(**{**fields, **more})
        return who

    def tick(self, seconds: float = 0.1) -> None:
        """Let batches flush and the bus deliver."""
        self.clock.advance(0)
        self.clock.advance(seconds)

    def native(self, who: str, role: Role = Role.EDITOR, **more: Any) -> Peer:
        """A native client that has said hello."""
        self.token(who, role, **more)
        peer = Peer(self, who)
        peer.say(client.hello(who, client="test"))
        return peer

    def y(self, who: str, role: Role = Role.EDITOR, name: str = "board") -> YPeer:
        """A y-websocket client."""
        return YPeer(self, self.token(who, role), name)


class _Peer:
    """A fake socket and its connection."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.wire = FakeWire()
        self.connection = self.connect()
        hub.service.connected(self.connection)

    def connect(self) -> Connection:
        """The connection of the door in question."""
        raise NotImplementedError

    def say(self, frame: bytes) -> None:
        """The client sends a frame."""
        self.connection.frame_received(frame)

    def drop(self) -> None:
        """The socket dies."""
        self.connection.lost()


class Peer(_Peer):
    """A native client with a document."""

    def __init__(self, hub: Hub, who: str) -> None:
        self.who = who
        super().__init__(hub)
        self.doc: Doc[Any] = Doc()
        self.text = self.doc.get("t", type=Text)
        self.saved: list[bool] = []
        self.errors: list[tuple[int, int]] = []
        self.events: list[dict[str, Any]] = []

    def connect(self) -> Connection:
        """`/drcp`."""
        return NativeConnection(self.hub.service, self.wire)

    def hear(self) -> list[client.Message]:
        """Everything that arrived; updates are applied to the document."""
        messages = []
        for payload in self.wire.messages():
            messages += client.read_frame(payload)
        for message in messages:
            self._take(message)
        return messages

    def _take(self, message: client.Message) -> None:
        match message.type:
            case Type.OPENED:
                self.doc.apply_update(message.value.update)
            case Type.SYNC if message.value[0] != Step.STATE_VECTOR:
                self.doc.apply_update(message.value[1])
            case Type.SYNC_STATUS:
                self.saved.append(message.value)
            case Type.ERROR:
                self.errors.append((message.channel, message.value["code"]))
            case Type.EVENT:
                self.events.append(message.value)

    def of(self, kind: int) -> list[Any]:
        """The values of a type among the messages that arrived."""
        return [message.value for message in self.hear() if message.type == kind]

    def open(self, name: str = "board", channel: int = 1) -> None:
        """Open a document with what is known already."""
        self.say(client.open_document(channel, name, self.doc.get_state()))

    def type(self, text: str, channel: int = 1) -> bytes:
        """Append text, and send the update."""
        before = self.doc.get_state()
        self.text += text
        update = self.doc.get_update(before)
        self.say(client.sync(channel, Step.UPDATE, update))
        return update


class YPeer(_Peer):
    """A y-websocket client with a document."""

    def __init__(self, hub: Hub, token: str, name: str) -> None:
        self._token, self._name = token, name
        super().__init__(hub)
        self.doc: Doc[Any] = Doc()
        self.text = self.doc.get("t", type=Text)

    def connect(self) -> Connection:
        """`/y/<hub_id>/<name>`."""
        service = self.hub.service
        return YConnection(service, self.wire, HUB, self._name, self._token)

    def hear(self) -> list[bytes]:
        """Everything that arrived; updates are applied to the document."""
        payloads = self.wire.messages()
        for payload in payloads:
            if payload[0] == Type.SYNC:
                step, data = read_sync(Reader(payload, 1))
                if step is not Step.STATE_VECTOR:
                    self.doc.apply_update(data)
        return payloads


class HocuspocusPeer(_Peer):
    """A Hocuspocus client; the test writes its frames."""

    def connect(self) -> Connection:
        """`/hocuspocus`."""
        return HocuspocusConnection(self.hub.service, self.wire)

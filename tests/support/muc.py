"""Rooms in memory: the XMPP door, the browser door, and a house behind them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from mosaic.config.settings import Drcp, Xmpp
from mosaic.services.drcp.native import NativeConnection
from mosaic.services.drcp.service import DrcpService
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.names import NS_MUC, NS_MUC_USER
from mosaic.services.xmpp.rooms.service import RoomsService
from mosaic.wire.drcp import client
from mosaic.wire.drcp.yprotocols import Type
from mosaic.wire.xmpp.jid import Jid, parse_jid
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.stream import StreamParser
from mosaic.wire.xmpp.xml import Node, Xml, element, read_node
from mosaic.workspace.model import Role, Room
from tests.support.doors import House
from tests.support.drcp import FakeWire

HOST = "rooms.localhost"
HEADER = (
    b"<stream:stream xmlns='jabber:client' version='1.0' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)
ACCOUNTS = ("ann", "bob", "cyd", "eve", "root")


class Net:
    """An Outlet that knows clients; those who are gone are not reached."""

    def __init__(self) -> None:
        self.clients: dict[Jid, XmppClient] = {}
        self.delivered: list[tuple[Stanza, Jid, Jid]] = []

    def send(self, to: Jid, data: bytes) -> bool:
        """Into the client's own queue."""
        found = self.clients.get(to)
        if found is None:
            return False
        found.raw.append(data)
        return True

    def deliver(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """Remember it."""
        if to.domain != "localhost":
            raise Undeliverable("remote-server-not-found")
        self.delivered.append((stanza, sender, to))


class Meeting:
    """A house with both doors. Nobody waits: the clock is the test's."""

    def __init__(self, **settings: Any) -> None:
        self.house = House()
        self.clock, self.store = self.house.clock, self.house.store
        self.door, self.bus = self.house.door, self.house.bus
        self.net = Net()
        self.rooms = RoomsService(
            self.clock,
            Xmpp(**settings),
            host=HOST,
            domain="localhost",
            door=self.door,
            store=self.store,
            bus=self.bus,
            outlet=self.net,
            wall=self.house.wall,
        )
        self.rooms.start()
        self.drcp = DrcpService(
            self.clock,
            Drcp(),
            door=self.door,
            store=self.store,
            bus=self.bus,
            origin_allowed=lambda origin, host: True,
            wall_clock=self.house.wall,
        )
        self.drcp.startService()
        for name in ACCOUNTS:
            self.run(self.door.add_account(name, "correct horse", admin=name == "root"))
        self.room = self.run(self.door.create_room("Blue", owner="ann", alias="blue"))
        self.hub_id = self.room.hub_id
        self.settle()

    def run(self, coroutine: Any) -> Any:
        """The result of a coroutine."""
        return self.house.run(coroutine)

    def value(self, deferred: Deferred[Any]) -> Any:
        """Of a Deferred that has fired."""
        found: list[Any] = []
        deferred.addCallback(found.append)
        return found[0]

    def settle(self) -> None:
        """Let the bus deliver, and what that brings about."""
        for _ in range(8):
            self.clock.advance(0)

    def change(self, kind: str = "updated", **changes: Any) -> None:
        """Lock it, … as REST does."""
        room: Room = self.value(self.store.room(self.hub_id))
        self.room = replace(room, **changes)
        self.store.update_room(self.room)
        self.bus.publish(f"room.{self.hub_id}", {"type": kind})
        self.settle()

    def client(self, name: str, resource: str = "r") -> XmppClient:
        """Somebody with an XMPP client."""
        return XmppClient(self, parse_jid(f"{name}@localhost/{resource}"))

    def inside(self, name: str, resource: str = "r", **how: Any) -> XmppClient:
        """Somebody who has come in with the PIN."""
        made = self.client(name, resource)
        made.join(**how)
        made.hear()
        return made

    def browser(self, name: str, **how: Any) -> Browser:
        """Somebody with a browser who has joined by the PIN, or as said."""
        return Browser(self, name, **how)


class XmppClient:
    """A session, as the rooms see it."""

    def __init__(self, meeting: Meeting, jid: Jid) -> None:
        self.meeting = meeting
        self.jid = jid
        self.raw: list[bytes] = []
        self.nick = ""
        self.local = "blue"
        meeting.net.clients[jid] = self

    def say(self, xml: str) -> None:
        """Send a stanza, and let things take their course."""
        parser = StreamParser(max_stanza_bytes=1 << 18)
        [_, *found] = parser.feed(HEADER + xml.encode())
        for stanza in found:
            assert isinstance(stanza, Stanza), stanza
            to = parse_jid(stanza.to or "")
            rooms = self.meeting.rooms
            try:
                rooms.receive(stanza, self.jid, to)
            except Undeliverable as error:
                rooms.front.refuse(stanza, self.jid, error)
        self.meeting.settle()

    def hear(self) -> list[Node]:
        """What came since the last time."""
        raw, self.raw = b"".join(self.raw), []
        parser = StreamParser(max_stanza_bytes=1 << 20)
        found = []
        for event in parser.feed(HEADER + raw):
            if isinstance(event, Stanza):
                found.append(read_node(event))
        return found

    def room(self, nick: str = "") -> str:
        """The address of the room, or of somebody in it."""
        return f"{self.local}@{HOST}/{nick}" if nick else f"{self.local}@{HOST}"

    def join(
        self,
        nick: str | None = None,
        *,
        local: str = "blue",
        pin: str | None = "",
        history: str = "<history maxstanzas='0'/>",
    ) -> None:
        """pin: "" for the right one, None for none."""
        self.nick = nick or self.jid.local.title()
        self.local = local
        word = self.meeting.room.pin if pin == "" else pin
        password = "" if word is None else f"<password>{word}</password>"
        self.say(
            f"<presence id='j' to='{self.room(self.nick)}'>"
            f"<x xmlns='{NS_MUC}'>{password}{history}</x></presence>"
        )

    def leave(self, status: str = "") -> None:
        """Go."""
        inner = f"<status>{status}</status>" if status else ""
        self.say(
            f"<presence type='unavailable' to='{self.room(self.nick)}'>"
            f"{inner}</presence>"
        )

    def vanish(self) -> None:
        """The session is gone without a word."""
        del self.meeting.net.clients[self.jid]

    def write(self, text: str, ident: str | None = None, more: str = "") -> None:
        """To all."""
        said = element(
            "message",
            {"to": self.room(), "type": "groupchat", "id": ident},
            element("body", None, text),
            Xml(more),
        )
        self.say(said)

    def ask(self, kind: str, payload: str, nick: str = "") -> Node:
        """An IQ to the room; its answer. What else came is still to be heard."""
        self.say(f"<iq type='{kind}' id='q' to='{self.room(nick)}'>{payload}</iq>")
        before = list(self.raw)
        [answer] = [node for node in self.hear() if node.name == "iq"]
        self.raw = [raw for raw in before if not raw.startswith(b"<iq")]
        return answer


class Browser:
    """A page in the room."""

    def __init__(
        self,
        meeting: Meeting,
        name: str,
        *,
        account: str | None = None,
        role: Role | None = None,
    ) -> None:
        self.meeting = meeting
        self.name = name
        self.events: list[dict[str, Any]] = []
        self.people: dict[str, dict[str, Any]] = {}
        self.lines: dict[str, dict[str, Any]] = {}
        self.errors: list[Any] = []
        self.written = 0
        self.wire = FakeWire()
        self.connection = NativeConnection(meeting.drcp, self.wire)
        meeting.drcp.connected(self.connection)
        token = meeting.run(self._token(name, account, role))
        self.id: str = token.principal.participant_id
        self.connection.frame_received(client.hello(token.token, client="test"))
        meeting.settle()
        self.hear()

    async def _token(self, name: str, account: str | None, role: Role | None) -> Any:
        door, hub_id = self.meeting.door, self.meeting.hub_id
        if role is not None:
            return await door.room_token(
                hub_id, role=role, name=name, ttl_s=3600, account=account
            )
        session = None
        if account is not None:
            jid = Jid(account, "localhost", "")
            session = await self.meeting.rooms.front.principal(jid)
        return await door.join(
            hub_id,
            name=name,
            pin=self.meeting.room.pin,
            address="192.0.2.9",
            session=session,
        )

    @property
    def closed(self) -> tuple[int, str] | None:
        """How the connection was ended."""
        return self.wire.closed

    def drop(self) -> None:
        """Close the page."""
        self.connection.lost()
        self.meeting.settle()

    def send(self, kind: str, data: dict[str, Any]) -> None:
        """An event."""
        self.connection.frame_received(client.event(kind, data))
        self.meeting.settle()

    def write(self, text: str, message_id: str | None = None) -> None:
        """A line of chat."""
        self.written += 1
        ident = message_id or f"{self.id}-{self.written}"
        self.send("chat", {"text": text, "message_id": ident})

    def hear(self) -> list[dict[str, Any]]:
        """The events since the last time; the page follows them."""
        found: list[dict[str, Any]] = []
        for payload in self.wire.messages():
            for message in client.read_frame(payload):
                self._take(message, found)
        return found

    def _take(self, message: Any, found: list[dict[str, Any]]) -> None:
        if message.type in (Type.WELCOME, Type.RESYNC):
            self.people = {p["id"]: p for p in message.value["people"]}
            self.lines |= {m["message_id"]: m for m in message.value["chat"]}
        elif message.type == Type.ERROR:
            self.errors.append(message.value)
        elif message.type == Type.EVENT:
            event = message.value
            found.append(event)
            data = event["data"]
            match event["type"]:
                case "join" | "person":
                    self.people[data["id"]] = data
                case "leave":
                    self.people.pop(data["id"], None)
                case "chat" | "edit":
                    self.lines[data["message_id"]] = data

    def chat(self) -> list[str]:
        """What the page shows, in its order."""
        self.hear()
        lines = sorted(self.lines.values(), key=lambda line: line["seq"])
        return [line["text"] for line in lines]

    def names(self) -> dict[str, str]:
        """Who the page shows, with their roles."""
        self.hear()
        return {p["name"]: p["role"] for p in self.people.values()}


def codes(node: Node) -> set[str]:
    """The status codes of a stanza."""
    x = node.child(NS_MUC_USER, "x")
    found = [] if x is None else [c for c in x.children if c.name == "status"]
    return {one.attributes["code"] for one in found}


def item(node: Node) -> dict[str, str]:
    """Affiliation, role, jid, nick."""
    x = node.child(NS_MUC_USER, "x")
    assert x is not None, node
    found = x.child(NS_MUC_USER, "item")
    assert found is not None, node
    return found.attributes


def nick(node: Node) -> str:
    """Who in the room a stanza is from."""
    return node.attributes["from"].partition("/")[2]


def body(node: Node) -> str | None:
    """Of a message."""
    found = node.child(NS_CLIENT, "body")
    return None if found is None else found.text


def error(node: Node) -> str:
    """The condition of an error; "" if it is none."""
    found = node.child(NS_CLIENT, "error")
    return "" if found is None else found.children[0].name


def shown(nodes: list[Node]) -> list[str]:
    """Presences and messages in short: `+Ann`, `-Ann`, `Ann: text`, `!forbidden`."""
    said = []
    for node in nodes:
        if error(node):
            said.append("!" + error(node))
        elif node.name == "presence":
            gone = node.attributes.get("type") == "unavailable"
            said.append(("-" if gone else "+") + nick(node))
        elif node.name == "message":
            text = body(node)
            subject = node.child(NS_CLIENT, "subject")
            if text is not None:
                said.append(f"{nick(node)}: {text}")
            elif subject is not None:
                said.append(f"#{subject.text}")
            else:
                said.append(re.sub(r"^", "~", nick(node)))
    return said

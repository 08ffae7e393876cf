"""XMPP in memory: a service without sockets and clients that speak to it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mosaic.bus.interface import Listener, Payload
from mosaic.config.settings import Xmpp
from mosaic.services.xmpp.extras.surroundings import Surroundings
from mosaic.services.xmpp.service import XmppService
from mosaic.services.xmpp.streams.managed import Managed
from mosaic.services.xmpp.streams.tcp import TcpStream
from mosaic.store.memory import MemoryStore
from mosaic.wire.sasl.client import ScramClient
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import StreamFault, StreamParser, StreamStart
from mosaic.wire.xmpp.xml import Node, element, read_node
from tests.support.door import FakeDoor

NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' "
    "xmlns:stream='http://etherx.jabber.org/streams' to='localhost'>"
)
THEN = 1_790_000_000.0
ACCOUNTS = {"ann": "secret", "bob": "hidden", "eve": "wicked"}


VERIFIER = ScramVerifier(
    salt=b"s" * 16, iterations=4096, stored_key=b"k" * 32, server_key=b"v" * 32
)
"""Of every account in the store; logins go to the FakeDoor."""


def furnished_store(wall: Callable[[], float]) -> MemoryStore:
    """A store with the accounts in it."""
    store = MemoryStore(wall=wall)
    for name in ACCOUNTS:
        store.add_account(name, VERIFIER, admin=False)
    return store


class FakeBus:
    """Delivers at once, to prefixes too."""

    def __init__(self) -> None:
        self.listeners: list[tuple[str, Listener]] = []

    def publish(self, topic: str, payload: Payload) -> None:
        """Tell every listener of the topic."""
        for wanted, listener in list(self.listeners):
            if wanted == topic or (
                wanted.endswith("*") and topic.startswith(wanted[:-1])
            ):
                listener(topic, payload)

    def subscribe(self, topic: str, listener: Listener) -> Any:
        """Hear a topic."""
        entry = (topic, listener)
        self.listeners.append(entry)
        bus = self

        class Held:
            def cancel(self) -> None:
                if entry in bus.listeners:
                    bus.listeners.remove(entry)

        return Held()


class MemoryTransport(StringTransport):
    """A StringTransport that tells its protocol when it is closed."""

    def __init__(self, client: MemoryClient) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "192.0.2.7", 4711))
        self.client = client
        self.polite = True
        self.aborted = False

    def loseConnection(self) -> None:
        """Close; a polite peer closes its side as well."""
        super().loseConnection()
        if self.polite:
            self.client.drop()

    def abortConnection(self) -> None:
        """Gone at once."""
        self.aborted = True
        super().abortConnection()
        self.client.drop()


class MemoryClient:
    """One connection to a service and what it answered."""

    def __init__(self, house: MemoryXmpp, factory: Any = None) -> None:
        self.house = house
        self.header: StreamStart | None = None
        self.open = True
        self._parser = StreamParser(max_stanza_bytes=1 << 20)
        self.transport = MemoryTransport(self)
        factory = factory or house.service.stream_factory()
        self.protocol = cast(TcpStream, factory.buildProtocol(None))
        self.protocol.makeConnection(self.transport)

    def drop(self) -> None:
        """The connection is gone."""
        if self.open:
            self.open = False
            from twisted.internet.error import ConnectionDone
            from twisted.python.failure import Failure

            self.protocol.connectionLost(Failure(ConnectionDone()))

    def send(self, *parts: str | bytes) -> list[Node]:
        """Say something; what the server answered, as trees."""
        for part in parts:
            self.protocol.dataReceived(part.encode() if isinstance(part, str) else part)
        return self.receive()

    def receive(self) -> list[Node]:
        """What came since the last look."""
        return [read_node(stanza) for stanza in self.receive_stanzas()]

    def receive_stanzas(self) -> list[Stanza]:
        """The same as the bytes that they are."""
        self.house.clock.advance(0)
        raw = self.transport.value()
        self.transport.clear()
        found = []
        for event in self._parser.feed(raw):
            if isinstance(event, Stanza):
                found.append(event)
            elif isinstance(event, StreamStart):
                self.header = event
            elif isinstance(event, StreamFault):
                raise AssertionError(f"the server said bad XML: {event} in {raw!r}")
        return found

    def start(self) -> Node:
        """Open a stream (again); its features."""
        self._parser = StreamParser(max_stanza_bytes=1 << 20)
        return self.send(HEADER)[-1]

    def auth(self, name: str, password: str, **scram: Any) -> Node:
        """SCRAM; success or failure."""
        client = ScramClient(name, password, nonce="clientnonce", **scram)
        plus = "-PLUS" if scram.get("binding") else ""
        name = "SCRAM-SHA-1" if scram.get("digest") == "sha1" else "SCRAM-SHA-256"
        [answer] = self.send(sasl("auth", client.first(), name + plus))
        if answer.name == "challenge":
            final = client.final(base64.b64decode(answer.text))
            [answer] = self.send(sasl("response", final))
        if answer.name == "success":
            client.verify(base64.b64decode(answer.text))
        return answer

    def log_in(self, name: str, resource: str = "r", *, present: bool = True) -> str:
        """Everything up to initial presence; the bound address."""
        self.start()
        assert self.auth(name, ACCOUNTS[name]).name == "success"
        self.start()
        bound = self.bind(resource)
        if present:
            self.send("<presence/>")
        return bound.children[0].children[0].text

    def bind(self, resource: str) -> Node:
        """The answer to a bind request."""
        wish = element("bind", None, element("resource", None, resource), ns=NS_BIND)
        answers = self.send(element("iq", {"type": "set", "id": "b"}, wish))
        # Others may have a word for the address at once.
        [answer] = [node for node in answers if node.attributes.get("id") == "b"]
        return answer


class MemoryXmpp:
    """A running service for localhost with three accounts."""

    def __init__(
        self,
        *,
        store: Any = None,
        door: Any = None,
        around: Any = None,
        hubs: Any = None,
        bus: Any = None,
        clock: Clock | None = None,
        **settings: Any,
    ) -> None:
        self.clock = clock or Clock()
        self.store = store or furnished_store(self.wall)
        self.door = door or FakeDoor(ACCOUNTS)
        self.bus = bus or FakeBus()
        self.service = XmppService(
            cast(Any, self.clock),
            Xmpp(**settings),
            domain="localhost",
            door=cast(Any, self.door),
            store=self.store,
            bus=self.bus,
            around=around or Surroundings(wall=self.wall),
            hubs=hubs,
        )
        self.service.startService()
        self.household = self.service._house
        self.sockets: Any = None

    def resumable(self, previous: str) -> Managed:
        """The managed session of that name."""
        return self.household.resumable[previous]

    def wall(self) -> float:
        """Unix seconds: the clock, from a day in 2026 on."""
        return THEN + self.clock.seconds()

    def connect(self) -> MemoryClient:
        """A client on a transport without TLS of its own."""
        return MemoryClient(self)

    def client(self, name: str, resource: str = "r", **how: Any) -> MemoryClient:
        """A client that has logged in."""
        client = self.connect()
        client.log_in(name, resource, **how)
        return client


def sasl(name: str, data: bytes, mechanism: str | None = None) -> str:
    """An element of SASL with base64 in it."""
    text = base64.b64encode(data).decode()
    return element(name, {"mechanism": mechanism}, text, ns=NS_SASL)


def condition(node: Node) -> str:
    """The defined condition of a stream error, stanza error or failure."""
    error = node.child("jabber:client", "error") or node
    return error.children[0].name

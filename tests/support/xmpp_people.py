"""People who write to each other."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import (
    MemoryClient,
    MemoryXmpp,
)

CARBONS = "urn:xmpp:carbons:2"
FORWARD = "urn:xmpp:forward:0"
SID = "urn:xmpp:sid:0"
STATES = "http://jabber.org/protocol/chatstates"


def chat(to: str, body: str = "hi", extra: str = "", kind: str = "chat") -> str:
    """A message with a body."""
    return f"<message to='{to}' type='{kind}'><body>{body}</body>{extra}</message>"


def state(to: str, name: str = "composing") -> str:
    """A chat state alone (XEP-0085)."""
    return f"<message to='{to}' type='chat'><{name} xmlns='{STATES}'/></message>"


def bodies(nodes: list[Node]) -> list[str]:
    """What the messages say, those without a body left out."""
    found = [node.child("jabber:client", "body") for node in nodes]
    return [body.text for body in found if body is not None]


def copies(nodes: list[Node], way: str) -> list[Node]:
    """The messages inside of carbons."""
    found = []
    for node in nodes:
        wrapper = node.child(CARBONS, way)
        if wrapper is not None:
            [forwarded] = wrapper.children
            found.append(forwarded.children[-1])
    return found


class Base(SynchronousTestCase):
    """Three people: two of them present."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()
        self.ann = self.house.client("ann", "a")
        self.bob = self.house.client("bob", "b")
        self.settle(self.ann, self.bob)

    def settle(self, *clients: MemoryClient) -> None:
        """Read away what is not the matter of a test."""
        for client in clients:
            client.receive()

    def session(self, name: str, resource: str) -> Session:
        """What the server knows of a client."""
        for session in self.house.service.sessions_of(name):
            if session.jid.resource == resource:
                return session
        raise AssertionError(f"{name} has no {resource}")

    def with_carbons(self, name: str, resource: str) -> MemoryClient:
        """One more device that wants copies."""
        client = self.house.client(name, resource)
        [answer] = client.send(
            f"<iq type='set' id='c'><enable xmlns='{CARBONS}'/></iq>"
        )[-1:]
        self.assertEqual(answer.attributes["type"], "result")
        self.settle(self.ann, self.bob, client)
        return client

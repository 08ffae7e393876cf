"""Clients with acknowledgements (XEP-0198)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import ACCOUNTS, MemoryClient, MemoryXmpp

NS_SM = "urn:xmpp:sm:3"
ENABLE = f"<enable xmlns='{NS_SM}' resume='true'/>"
ASK = f"<r xmlns='{NS_SM}'/>"


def message(to: str, body: str = "hi") -> str:
    """A chat message."""
    return f"<message to='{to}' type='chat'><body>{body}</body></message>"


def bodies(nodes: list[Node]) -> list[str]:
    """What was said in them."""
    found = (node.child("jabber:client", "body") for node in nodes)
    return [body.text for body in found if body is not None]


class ManagedCase(SynchronousTestCase):
    """Ann, whose connection breaks, and Bob, who writes to her."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()
        self.bob = self.house.client("bob")
        self.ann, self.previous = self.managed_client()
        self.bob.receive()

    def managed_client(self, resource: str = "r") -> tuple[MemoryClient, str]:
        """Ann with a resumable session; what it is called."""
        ann = self.house.client("ann", resource)
        [enabled] = ann.send(ENABLE)
        self.assertEqual(enabled.name, "enabled")
        return ann, enabled.attributes["id"]

    def returning(self, name: str = "ann") -> MemoryClient:
        """Logged in, nothing bound."""
        client = self.house.connect()
        client.start()
        client.auth(name, ACCOUNTS[name])
        client.start()
        return client

    def resume(self, previous: str, h: object = 0) -> tuple[MemoryClient, list[Node]]:
        """A new connection that asks for the session, and the answers."""
        client = self.returning()
        return client, client.send(
            f"<resume xmlns='{NS_SM}' previd='{previous}' h='{h}'/>"
        )

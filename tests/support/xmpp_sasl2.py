"""Clients that log in by SASL2 (XEP-0388)."""

from __future__ import annotations

import base64

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.sasl.client import ScramClient
from mosaic.wire.sasl.tokens import initiator_tag
from mosaic.wire.xmpp.xml import Node, Xml, element
from tests.support.xmpp import (
    ACCOUNTS,
    MemoryClient,
    MemoryXmpp,
)

NS2 = "urn:xmpp:sasl:2"
NS_BIND2 = "urn:xmpp:bind:0"
NS_FAST = "urn:xmpp:fast:0"
NS_SM = "urn:xmpp:sm:3"
HT = "HT-SHA-256-NONE"
AGENT = element("user-agent", {"id": "d4565fa7"}, element("software", None, "Box"))
BIND = element(
    "bind",
    None,
    element("tag", None, "box"),
    element("enable", {"resume": "true"}, ns=NS_SM),
    ns=NS_BIND2,
)
REQUEST = element("request-token", {"mechanism": HT}, ns=NS_FAST)


def authenticate(mechanism: str, data: bytes | None, *wishes: Xml) -> str:
    """The first element of a login."""
    initial = base64.b64encode(data).decode() if data is not None else None
    parts = [] if initial is None else [element("initial-response", None, initial)]
    return element("authenticate", {"mechanism": mechanism}, *parts, *wishes, ns=NS2)


def response(data: bytes) -> str:
    """The second."""
    return element("response", None, base64.b64encode(data).decode(), ns=NS2)


def fast(name: str, secret: str, *wishes: Xml, **attributes: str) -> str:
    """A login by a token, in one element."""
    data = name.encode() + b"\0" + initiator_tag(secret, b"")
    return authenticate(
        HT, data, AGENT, element("fast", attributes, ns=NS_FAST), *wishes
    )


def child(node: Node, ns: str, name: str) -> Node:
    """One that must be there."""
    found = node.child(ns, name)
    assert found is not None, (name, node)
    return found


class Sasl2Case(SynchronousTestCase):
    """A house and clients that come by SASL2."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()

    def fresh(self) -> MemoryClient:
        """One that has opened a stream."""
        client = self.house.connect()
        client.start()
        return client

    def scram(
        self, client: MemoryClient, name: str, *wishes: Xml, password: str = ""
    ) -> list[Node]:
        """The answers to a whole login."""
        scram = ScramClient(name, password or ACCOUNTS[name], nonce="mine")
        [challenge] = client.send(
            authenticate("SCRAM-SHA-256", scram.first(), AGENT, *wishes)
        )
        self.assertEqual((challenge.ns, challenge.name), (NS2, "challenge"))
        answers = client.send(response(scram.final(base64.b64decode(challenge.text))))
        if answers[0].name == "success":
            data = child(answers[0], NS2, "additional-data").text
            scram.verify(base64.b64decode(data))
        return answers

    def token(self) -> Node:
        """Ann's token."""
        success, *_ = self.scram(self.fresh(), "ann", REQUEST)
        return child(success, NS_FAST, "token")

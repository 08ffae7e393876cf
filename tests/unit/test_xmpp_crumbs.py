"""What comes in crumbs is not read crumb by crumb."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.streams.crumbs import CRUMB_BYTES, IN_A_ROW, REST_S
from tests.support.xmpp import HEADER, MemoryClient, MemoryXmpp, condition

BYTE_S = 0.00005


class Line:
    """The kernel's side of a connection: it joins what nobody reads."""

    def __init__(self, house: MemoryXmpp, client: MemoryClient) -> None:
        self.house = house
        self.client = client
        self.waiting = b""
        self.reads = 0

    def comes(self, data: bytes) -> None:
        """One byte after the other, each of them read at once if anybody does."""
        for at in range(len(data)):
            if not self.client.open:
                return
            self.waiting += data[at : at + 1]
            self.read()
            self.house.clock.advance(BYTE_S)

    def read(self) -> None:
        """Unless reading is paused."""
        if self.waiting and self.client.transport.producerState == "producing":
            data, self.waiting = self.waiting, b""
            self.reads += 1
            self.client.protocol.dataReceived(data)


class CrumbTests(SynchronousTestCase):
    """One byte at a time."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()

    def test_64_kib_are_refused_after_few_reads(self) -> None:
        """As many as there are pauses in the time that the peer takes."""
        client = self.house.connect()
        client.send(HEADER)
        line = Line(self.house, client)
        data = b"<message a='" + b"x" * 70_000
        line.comes(data)
        self.assertEqual(condition(client.receive()[-1]), "policy-violation")
        self.assertLess(line.reads, IN_A_ROW + len(data) * BYTE_S / REST_S + 10)

    def test_everything_arrives(self) -> None:
        """A stanza in crumbs is a stanza, and what follows is read at once."""
        ann, bob = self.house.client("ann"), self.house.client("bob")
        bob.receive()
        line = Line(self.house, ann)
        body = "slow and steady " * 10
        to = "<message to='bob@localhost/r'><body>"
        line.comes(f"{to}{body}</body></message>".encode())
        self.house.clock.advance(REST_S)
        line.read()
        [heard] = bob.receive()
        self.assertEqual(heard.children[0].text, body)
        line.reads = 0
        line.comes(to.encode()[: IN_A_ROW - 2])
        self.assertEqual(line.reads, IN_A_ROW - 2)

    def test_pieces_of_some_size_are_no_crumbs(self) -> None:
        """A client may cut a large stanza as its buffers are."""
        ann = self.house.client("ann")
        ann.send("<message to='bob@localhost'><body>")
        for _ in range(2 * IN_A_ROW):
            ann.send(b"x" * CRUMB_BYTES)
        self.assertEqual(ann.transport.producerState, "producing")

    def test_a_connection_that_ends_wakes_nobody(self) -> None:
        """Nor is a transport resumed that is gone."""
        ann = self.house.client("ann")
        for _ in range(IN_A_ROW):
            ann.send(b" ")
        self.assertEqual(ann.transport.producerState, "paused")
        ann.drop()
        self.house.clock.advance(REST_S)
        self.assertEqual(ann.transport.producerState, "paused")

    def test_a_stanza_in_work_may_be_why_nothing_is_read(self) -> None:
        """Then the end of the pause is not the end of waiting, and the other way
        round."""
        messages: Any = self.house.household.messages
        work: list[Deferred[None]] = []

        async def said(session: Any, stanza: Any, to: Any) -> None:
            work.append(Deferred())
            await work[-1]

        self.patch(messages, "said", said)
        much = f"<iq type='result' id='1'><a>{'x' * 200_000}</a></iq>" * 2
        for pause_ends_first in (True, False):
            ann = self.house.client("ann")
            ann.send("<message to='bob@localhost/r'><body/></message>", much)
            self.assertEqual(ann.transport.producerState, "paused")
            for _ in range(IN_A_ROW):
                ann.send(b" ")
            for end in (pause_ends_first, not pause_ends_first):
                self.assertEqual(ann.transport.producerState, "paused")
                if end:
                    self.house.clock.advance(REST_S)
                else:
                    work.pop().callback(None)
            self.assertEqual(ann.transport.producerState, "producing")
            ann.drop()

"""What comes in crumbs is not read crumb by crumb."""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.streams.crumbs import (
    BEFORE_SESSION,
    CRUMB_BYTES,
    IN_A_ROW,
    REST_S,
    WITH_SESSION,
    WITH_SESSION_PER_S,
)
from mosaic.wire.sasl.client import ScramClient
from tests.support.xmpp import HEADER, MemoryClient, MemoryXmpp, condition, sasl

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

    def test_strangers_are_refused_after_few_reads_and_bytes(self) -> None:
        """As many reads as there are pauses in the time that the peer takes; and
        what goes on coming is not read any more."""
        client = self.house.connect()
        client.send(HEADER)
        line = Line(self.house, client)
        line.comes(b"<message a='" + b"x" * 70_000)
        self.assertEqual(condition(client.receive()[-1]), "policy-violation")
        self.assertTrue(client.transport.aborted)
        self.assertLess(line.reads, IN_A_ROW + BEFORE_SESSION * BYTE_S / REST_S + 10)

    def test_complete_elements_do_not_earn_a_stranger_more(self) -> None:
        """A bad login for every few thousand bytes would, five times."""
        client = self.house.connect()
        client.send(HEADER)
        line = Line(self.house, client)
        attempt = sasl("abort", b"")
        for _ in range(2):
            line.comes(b" " * (BEFORE_SESSION * 2 // 3) + attempt.encode())
        self.assertEqual(condition(client.receive()[-1]), "policy-violation")
        self.assertTrue(client.transport.aborted)

    def test_a_login_byte_by_byte_is_a_login(self) -> None:
        """Whatever makes the pieces: a terminal in raw mode, or a small machine."""
        client = self.house.connect()
        line = Line(self.house, client)

        def say(text: str) -> None:
            line.comes(text.encode())
            for _ in range(2):
                self.house.clock.advance(REST_S)
                line.read()

        say(HEADER)
        client.receive()
        scram = ScramClient("ann", "secret", nonce="mine")
        say(sasl("auth", scram.first(), "SCRAM-SHA-256"))
        [challenge] = client.receive()
        say(sasl("response", scram.final(base64.b64decode(challenge.text))))
        self.assertEqual(client.receive()[-1].name, "success")

    def test_who_is_in_may_be_slow_for_ever(self) -> None:
        """A large stanza in small records over a slow link is no crime; the same
        at full speed ends where it costs too much."""
        for at_a_time_s, ends in ((0.1, False), (0.001, True)):
            ann = self.house.client("ann")
            ann.send("<message to='bob@localhost'><body>")
            for _ in range(2 * WITH_SESSION // 256):
                if ann.open:
                    self.house.clock.advance(at_a_time_s)
                    ann.protocol.dataReceived(b"x" * (256 if ends else 400))
            self.assertEqual(ann.transport.aborted, ends)
            self.assertLess(256 / 0.1, WITH_SESSION_PER_S)

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

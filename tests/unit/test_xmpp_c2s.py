"""A client's stream from its first byte to its last."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import lists, sampled_from
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.streams import base
from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import HEADER, MemoryClient, MemoryXmpp, condition, sasl

NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
CLIENT_FIRST = sasl("auth", b"n,,n=ann,r=x", "SCRAM-SHA-256")


class StreamTests(SynchronousTestCase):
    """Opening, refusing and closing."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()

    def assert_closed(self, client: MemoryClient, expected: str) -> None:
        """The last thing said was this stream error, and the line is closed."""
        answers = client.receive()
        self.assertEqual(
            (answers[-1].name, condition(answers[-1])), ("error", expected)
        )
        self.assertFalse(client.open)

    def refused(self, *data: str) -> tuple[MemoryClient, list[Node]]:
        """Send from the start on a new connection."""
        client = self.house.connect()
        return client, client.send(*data)

    def test_features_before_login(self) -> None:
        """SCRAM alone; -PLUS only where there is TLS to bind to."""
        client = self.house.connect()
        features = client.start()
        self.assertEqual(
            [n.name for n in features.children], ["mechanisms", "authentication"]
        )
        self.assertEqual(
            [m.text for m in features.children[0].children], ["SCRAM-SHA-256"]
        )
        assert client.header is not None
        self.assertEqual(client.header.attributes["from"], "localhost")
        self.assertTrue(client.header.attributes["id"])

    def test_an_answer_leaves_at_once_and_whole(self) -> None:
        """Nobody else writes to a stream that has no session: no need to wait for
        the end of the turn, and header and features are one TLS record."""
        client = self.house.connect()
        writes: list[bytes] = []
        self.patch(client.transport, "write", writes.append)
        client.protocol.dataReceived(HEADER.encode())
        [said] = writes
        self.assertTrue(said.endswith(b"</stream:features>"))
        client.protocol.dataReceived(CLIENT_FIRST.encode())
        self.assertEqual(len(writes), 2)

    def test_refusals_have_a_header_and_a_condition(self) -> None:
        """RFC 6120 section 4.9.1.2: an error may come before any header."""
        for data, expected in (
            (HEADER.replace("localhost", "elsewhere"), "host-unknown"),
            (HEADER.replace("version='1.0' ", "", 2), "unsupported-version"),
            ("<!DOCTYPE x>", "restricted-xml"),
            ("GET / HTTP/1.1", "not-well-formed"),
            (HEADER + "<message to='bob@localhost'/>", "not-authorized"),
            (HEADER + "<message>" + "x" * 70_000, "policy-violation"),
        ):
            _, answers = self.refused(data)
            self.assertEqual(condition(answers[-1]), expected, data[:80])

    def test_stanza_before_bind_is_refused(self) -> None:
        """RFC 6120 section 7.1."""
        client = self.house.connect()
        client.start()
        client.auth("ann", "secret")
        client.start()
        self.assertEqual(condition(client.send("<presence/>")[-1]), "not-authorized")

    def test_slow_login_meets_an_absolute_deadline(self) -> None:
        """A trickle of bytes does not move it."""
        client = self.house.connect()
        for byte in HEADER[:9]:
            client.send(byte)
            self.house.clock.advance(1)
        self.house.clock.advance(1.1)
        self.assert_closed(client, "connection-timeout")

    def test_logged_in_stays(self) -> None:
        """The deadline is for strangers."""
        client = self.house.client("ann")
        for _ in range(60):
            self.house.clock.advance(60)
            client.send(" ")
        self.assertTrue(client.open)

    def test_deaf_peer_is_aborted(self) -> None:
        """Who never closes its side is cut off."""
        client = self.house.client("ann")
        client.transport.polite = False
        client.send("</stream:stream>")
        self.assertTrue(client.transport.disconnecting)
        self.house.clock.advance(base.CLOSE_TIMEOUT_S)
        self.assertTrue(client.transport.aborted)
        self.assertFalse(client.open)

    def test_drain_says_system_shutdown_and_waits(self) -> None:
        """stopService fires when the last connection is truly gone."""
        polite, deaf = self.house.client("ann"), self.house.connect()
        deaf.transport.polite = False
        stopped = self.house.service.stopService()
        self.assert_closed(polite, "system-shutdown")
        self.assertNoResult(stopped)
        self.house.clock.advance(base.CLOSE_TIMEOUT_S)
        self.successResultOf(stopped)

    def test_nobody_comes_in_while_draining(self) -> None:
        """Who got through the port a moment ago hears why."""
        late = self.house.connect()
        waits = self.house.client("ann")
        waits.transport.polite = False
        self.house.service.stopService()
        later = self.house.connect()
        self.assertEqual(condition(later.send(HEADER)[-1]), "system-shutdown")
        self.assertEqual(condition(late.receive()[-1]), "system-shutdown")

    def test_one_broken_transport_does_not_silence_others(self) -> None:
        """Their words leave in the same turn."""
        ann, bob = self.house.client("ann"), self.house.client("bob")
        ann.receive()
        bob.receive()

        def broken(data: bytes) -> None:
            raise OSError("no")

        self.patch(ann.transport, "write", broken)
        ann.protocol.dataReceived(b"<message to='ann@localhost/r'/>")
        bob.protocol.dataReceived(b"<message to='bob@localhost/r'/>")
        self.assertEqual([n.name for n in bob.receive()], ["message"])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_counters_tell_what_happened(self) -> None:
        """Levels come back to where they were."""
        counters = self.house.service.counters
        client = self.house.client("ann")
        self.refused("<!DOCTYPE x>")
        other = self.house.connect()
        other.start()
        other.auth("ann", "no")
        client.send("<message to='@'/>")
        self.assertEqual((counters.streams, counters.sessions), (2, 1))
        self.assertEqual((counters.logins, counters.logins_refused), (1, 1))
        self.assertEqual((counters.stanzas_in, counters.stanzas_refused), (2, 1))
        self.assertEqual(counters.streams_refused, 1)
        client.drop()
        other.drop()
        self.assertEqual((counters.streams, counters.sessions), (0, 0))

    def test_slow_reader_is_dropped(self) -> None:
        """Others do not pay for it with memory."""
        client = self.house.client("ann")
        sender = self.house.client("bob")
        assert client.transport.producer is not None
        client.transport.producer.pauseProducing()
        message = "<message to='ann@localhost/r'><body>%s</body></message>" % (
            "x" * 200_000
        )
        for _ in range(base.OUTBOX_BYTES // 200_000):
            sender.send(message)
        self.assertTrue(client.open)
        sender.send(message)
        self.assertTrue(client.transport.aborted)
        self.assertFalse(client.open)

    def test_account_that_changes_is_logged_out(self) -> None:
        """A removed account or a new password ends its sessions."""
        client, other = self.house.client("ann"), self.house.client("bob")
        self.house.bus.publish("account.ann", {"type": "password"})
        self.assert_closed(client, "not-authorized")
        self.assertTrue(other.open)

    def test_stanza_size_after_login_is_larger(self) -> None:
        """64 KiB for strangers, 256 KiB for people."""
        client = self.house.client("ann")
        client.send("<message to='ann@localhost'>" + "x" * 100_000 + "</message>")
        self.assertTrue(client.open)
        answers = client.send("<message to='ann@localhost'>" + "x" * 300_000)
        self.assertEqual(condition(answers[-1]), "policy-violation")


class AnyBytesTests(SynchronousTestCase):
    """A stranger's bytes."""

    @settings(max_examples=60, deadline=None)
    @given(
        lists(
            sampled_from(
                [
                    HEADER,
                    CLIENT_FIRST,
                    "<",
                    "</stream:stream>",
                    "<iq type='set'/>",
                    sasl("response", b"c=biws,r=x,p="),
                    sasl("abort", b""),
                    " ",
                    "x",
                    sasl("auth", b"", "SCRAM-SHA-256"),
                    "<presence/>",
                    "<a>",
                ]
            ),
            max_size=8,
        )
    )
    def test_any_order_is_safe(self, parts: list[str]) -> None:
        """Nobody is logged in by it, and nothing of ours fails."""
        client = MemoryXmpp().connect()
        for part in parts:
            if client.open:
                client.protocol.dataReceived(part.encode())
        self.assertNotIn(b"<success", client.transport.value())
        self.assertEqual(self.flushLoggedErrors(), [])


class LoginTests(SynchronousTestCase):
    """SASL over the Door."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()
        self.client = self.house.connect()
        self.client.start()

    def test_scram_then_bind(self) -> None:
        """The four messages, the restart, and a resource."""
        self.assertEqual(self.client.auth("ann", "secret").name, "success")
        features = self.client.start()
        self.assertEqual(
            [n.name for n in features.children],
            ["bind", "session", "sm", "ver", "sub", "csi", "c"],
        )
        answer = self.client.bind("desk")
        self.assertEqual(answer.children[0].children[0].text, "ann@localhost/desk")

    def test_name_is_folded_as_addresses_are(self) -> None:
        """ANN and ann are one account."""
        self.assertEqual(self.client.auth("ANN", "secret").name, "success")
        self.assertEqual(self.house.door.asked, ["ann"])

    def test_resource_is_made_when_none_is_wished(self) -> None:
        """RFC 6120 section 7.6."""
        self.client.auth("ann", "secret")
        self.client.start()
        [answer] = self.client.send(
            f"<iq type='set' id='1'><bind xmlns='{NS_BIND}'/></iq>"
        )
        jid = answer.children[0].children[0].text
        self.assertGreater(len(jid), len("ann@localhost/") + 10)

    def test_unknown_and_wrong_answer_alike(self) -> None:
        """Nobody learns which names exist."""
        wrong = self.client.auth("ann", "no")
        unknown = self.client.auth("nobody", "no")
        self.assertEqual(wrong, unknown)
        self.assertEqual(condition(wrong), "not-authorized")

    def test_back_off_after_failures(self) -> None:
        """Five tries, then even the right password waits."""
        for _ in range(4):
            self.client.auth("ann", "no")
        again = self.house.connect()
        again.start()
        again.auth("ann", "no")
        answer = again.auth("ann", "secret")
        self.assertEqual(condition(answer), "temporary-auth-failure")

    def test_stream_has_its_tries(self) -> None:
        """Then it is closed (RFC 6120 section 6.4.5)."""
        for _ in range(4):
            self.client.auth("bob", "no")
        message = sasl("auth", b"n,,n=ann", "SCRAM-SHA-256")
        answers = self.client.send(message)
        self.assertEqual(condition(answers[0]), "malformed-request")
        self.assertEqual(condition(answers[1]), "policy-violation")
        self.assertFalse(self.client.open)

    def test_failures_name_their_condition(self) -> None:
        """RFC 6120 section 6.5."""
        for message, expected in (
            (sasl("auth", b"\0ann\0secret", "PLAIN"), "invalid-mechanism"),
            (sasl("auth", b"n,,n=ann,r=x", "SCRAM-SHA-256-PLUS"), "invalid-mechanism"),
            (
                sasl("auth", b"n,a=bob@localhost,n=ann,r=x", "SCRAM-SHA-256"),
                "invalid-authzid",
            ),
            (sasl("response", b"c=biws"), "malformed-request"),
            (f"<abort xmlns='{NS_SASL}'/>", "aborted"),
            (
                f"<auth xmlns='{NS_SASL}' mechanism='SCRAM-SHA-256'>!</auth>",
                "incorrect-encoding",
            ),
        ):
            client = self.house.connect()
            client.start()
            [answer] = client.send(message)
            self.assertEqual((answer.name, condition(answer)), ("failure", expected))

    def test_own_authzid_is_fine(self) -> None:
        """One may ask to be oneself."""
        answer = self.client.auth("ann", "secret", authzid="ann@localhost")
        self.assertEqual(answer.name, "success")

    def test_no_initial_response(self) -> None:
        """RFC 6120 section 6.4.2: the server asks with an empty challenge."""
        [answer] = self.client.send(sasl("auth", b"", "SCRAM-SHA-256"))
        self.assertEqual((answer.name, answer.text), ("challenge", ""))
        [answer] = self.client.send(sasl("response", b"n,,n=ann,r=x"))
        self.assertEqual(answer.name, "challenge")
        self.assertTrue(answer.text)

    def test_two_auths_at_a_time(self) -> None:
        """While the first is looked up, the second ends the stream."""
        self.house.door.wait = Deferred()
        [answer] = self.client.send(CLIENT_FIRST + CLIENT_FIRST)
        self.assertEqual(condition(answer), "not-authorized")
        self.assertFalse(self.client.open)
        self.house.door.wait.callback(None)
        self.assertEqual(self.client.receive(), [])

    def test_fault_of_ours_ends_the_stream(self) -> None:
        """The client hears that it is not its fault; we log why."""
        self.house.door.wait = Deferred()
        self.client.send(CLIENT_FIRST)
        self.house.door.wait.errback(RuntimeError("the disk is gone"))
        [answer] = self.client.receive()
        self.assertEqual(condition(answer), "internal-server-error")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_same_resource_replaces_the_older(self) -> None:
        """A box that reconnects is not locked out by its own ghost."""
        older = self.house.client("ann", "box")
        newer = self.house.client("ann", "box")
        self.assertEqual(condition(older.receive()[-1]), "conflict")
        self.assertFalse(older.open)
        [answer] = newer.send(
            "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
        self.assertEqual(answer.attributes["type"], "result")

"""Others' components at this server (XEP-0114)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from mosaic.config.settings import XmppComponent
from mosaic.services.xmpp.extras.listener import OUTBOX_BYTES, ComponentStream
from mosaic.wire.xmpp.component import handshake
from mosaic.wire.xmpp.xml import Node, read_node
from tests.support.xmpp import condition
from tests.support.xmpp_house import XmppCase
from tests.unit.test_xmpp_component_wire import STREAM

PART = "part.example.org"
OTHER = "other.example.org"
PING = "<ping xmlns='urn:xmpp:ping'/>"


class HeldPort:
    """What listen() gives."""

    closed = False

    def stopListening(self) -> Deferred[None]:
        """Remember it."""
        self.closed = True
        return succeed(None)


class HeldEndpoint:
    """Keeps the factory instead of listening."""

    def __init__(self) -> None:
        self.port = HeldPort()

    def listen(self, factory: Factory) -> Deferred[HeldPort]:
        """At once."""
        self.factory = factory
        return succeed(self.port)


class Part:
    """A component's end of a stream."""

    def __init__(self, case: ListenerCase) -> None:
        self.case = case
        self.transport = StringTransport()
        protocol = case.endpoint.factory.buildProtocol(None)
        assert isinstance(protocol, ComponentStream)
        self.protocol = protocol
        self.transport.loseConnection = self.drop  # type: ignore[method-assign]
        self.aborted = False
        self.transport.abortConnection = self.abort  # type: ignore[method-assign]
        self.open = True
        protocol.makeConnection(self.transport)

    def drop(self) -> None:
        """Both sides close."""
        if self.open:
            self.open = False
            self.protocol.connectionLost(Failure(ConnectionDone()))

    def abort(self) -> None:
        """Ours is cut."""
        self.aborted = True
        self.drop()

    def send(self, text: str) -> str:
        """What comes back."""
        self.protocol.dataReceived(text.encode())
        return self.heard()

    def ask(self, text: str) -> list[Node]:
        """What comes back, as trees."""
        self.protocol.dataReceived(text.encode())
        return self.nodes()

    def heard(self) -> str:
        """All since the last look."""
        self.case.house.clock.advance(0)
        text: str = self.transport.value().decode()
        self.transport.clear()
        return text

    def nodes(self) -> list[Node]:
        """The same as trees."""
        from tests.unit.test_xmpp_facts import stanza

        heard = self.heard()
        return [read_node(stanza(heard))] if heard else []

    def shake(self, secret: str = "open sesame", domain: str = PART) -> str:
        """Header and handshake; what came back."""
        head = self.send(STREAM.replace(PART, domain))
        stream_id = head.partition('id="')[2].partition('"')[0]
        said = handshake(stream_id, secret)
        return self.send(f"<handshake>{said}</handshake>")


class ListenerCase(XmppCase):
    """Two components are expected."""

    def setUp(self) -> None:
        self.endpoint = HeldEndpoint()
        secrets = Path(self.mktemp())
        secrets.write_text("open sesame\n")
        self.xmpp = {
            "components_listen": "tcp:5347:interface=127.0.0.1",
            "components": tuple(
                XmppComponent(domain=domain, secret_file=str(secrets))
                for domain in (PART, OTHER)
            ),
        }
        super().setUp()

    def endpoints(self) -> dict[str, Any]:
        """The held one."""
        return {"listen": lambda text: self.endpoint}

    def part(self) -> Part:
        """One that has shaken hands."""
        part = Part(self)
        self.assertEqual(part.shake(), "<handshake/>")
        return part


class HandshakeTests(ListenerCase):
    """Who may come in."""

    def ended_with(self, part: Part, text: str, why: str) -> None:
        """The stream was ended for that reason."""
        self.assertIn(f"<{why} ", text)
        self.assertTrue(text.endswith("</stream:stream>"))
        self.assertFalse(part.open)

    def test_the_secret_is_needed(self) -> None:
        """The right one, in a handshake, before anything else."""
        self.part()
        part = Part(self)
        self.ended_with(part, part.shake("guess"), "not-authorized")
        for said in ("<message/>", "<handshake xmlns='x'/>", "<handshake/>"):
            part = Part(self)
            part.send(STREAM)
            self.ended_with(part, part.send(said), "not-authorized")

    def test_only_those_that_are_expected(self) -> None:
        """Not our own domain, nor a stranger's."""
        for domain in ("localhost", "upload.localhost", "x.example.org", ""):
            part = Part(self)
            text = part.send(STREAM.replace(PART, domain))
            self.assertTrue(text.endswith("</stream:stream>"), domain)
            self.assertFalse(part.open)

    def test_a_deadline(self) -> None:
        """Absolute, as for clients."""
        part = Part(self)
        part.send(STREAM)
        self.house.clock.advance(10)
        self.ended_with(part, part.heard(), "connection-timeout")

    def test_a_new_stream_replaces_the_old(self) -> None:
        """A component that lost its connection need not wait."""
        first, second = self.part(), self.part()
        self.ended_with(first, first.heard(), "conflict")
        self.bob.send(f"<message to='x@{PART}'><body>hi</body></message>")
        self.assertIn("hi", second.heard())

    @given(st.lists(st.binary(max_size=60), max_size=4))
    def test_any_bytes_are_safe(self, pieces: list[bytes]) -> None:
        """Before the handshake and after it."""
        for part in (Part(self), self.part()):
            for piece in pieces:
                if part.open:
                    part.protocol.dataReceived(piece)
            part.drop()
        self.assertEqual(self.flushLoggedErrors(), [])


class DeliveryTests(ListenerCase):
    """Stanzas both ways."""

    def test_to_a_component(self) -> None:
        """With the sender's full address, whatever the client claimed."""
        part = self.part()
        self.bob.send(f"<message to='x@{PART}/y' id='1'><body>hi</body></message>")
        [message] = part.nodes()
        self.assertEqual(
            message.attributes,
            {"from": "bob@localhost/b", "to": f"x@{PART}/y", "id": "1"},
        )

    def test_subscriptions_reach_a_component(self) -> None:
        """From the bare address, once (RFC 6121 section 3.1.2)."""
        part = self.part()
        self.bob.send(f"<presence to='x@{PART}/y' type='subscribe' id='s'/>")
        [presence] = part.nodes()
        self.assertEqual(
            presence.attributes,
            {
                "from": "bob@localhost",
                "to": f"x@{PART}",
                "type": "subscribe",
                "id": "s",
            },
        )

    def test_from_a_component(self) -> None:
        """To a session and to another component."""
        part, other = self.part(), Part(self)
        other.shake(domain=OTHER)
        part.send(
            f"<message from='x@{PART}' to='bob@localhost/b'><body>a</body></message>"
        )
        [message] = self.bob.receive()
        self.assertEqual(message.attributes["from"], f"x@{PART}")
        part.send(f"<message from='x@{PART}' to='{OTHER}'><body>b</body></message>")
        self.assertIn("<body>b</body>", other.heard())

    def test_it_speaks_for_itself_alone(self) -> None:
        """Anything else ends the stream, and reaches nobody."""
        for sender, to, why in (
            ("ann@localhost", "bob@localhost/b", "invalid-from"),
            (f"x.{PART}", "bob@localhost/b", "invalid-from"),
            ("", "bob@localhost/b", "invalid-from"),
            ("a@b@c", "bob@localhost/b", "invalid-from"),
            (PART, None, "improper-addressing"),
        ):
            part = self.part()
            said = f" from='{sender}'" if sender else ""
            said += f" to='{to}'" if to else ""
            text = part.send(f"<message{said}><body>x</body></message>")
            self.assertIn(why, text, said)
            self.assertFalse(part.open)
        self.assertEqual(self.bob.receive(), [])

    def test_what_cannot_be_delivered_comes_back(self) -> None:
        """Unknown hosts and people, and addresses that are none."""
        part = self.part()
        for to, why in (
            ("a@nowhere.example.org", "remote-server-not-found"),
            (OTHER, "remote-server-timeout"),
            ("a@b@c", "jid-malformed"),
            ("bob@localhost/none", "service-unavailable"),
        ):
            [answer] = part.ask(
                f"<iq type='get' id='1' from='{PART}' to='{to}'>{PING}</iq>"
            )
            self.assertEqual(condition(answer), why)
            self.assertEqual(answer.attributes["to"], PART)

    def test_a_component_that_is_away(self) -> None:
        """Before it comes and after it has gone; answers are dropped."""
        ping = f"<iq type='get' id='1' to='{PART}'>{PING}</iq>"
        [answer] = self.bob.send(ping)
        self.assertEqual(condition(answer), "remote-server-timeout")
        self.assertEqual(
            answer.children[-1].attributes["type"], "wait", answer.children
        )
        part = self.part()
        self.assertEqual(self.bob.send(ping), [])
        part.drop()
        [answer] = self.bob.send(ping)
        self.assertEqual(condition(answer), "remote-server-timeout")

    def test_the_domain_answers_small_questions(self) -> None:
        """And knows none of a component's users as an account."""
        part = self.part()

        def ask(inner: str, kind: str = "get") -> Node:
            facts = f"type='{kind}' id='1' from='ann@{PART}/r' to='localhost'"
            [answer] = part.ask(f"<iq {facts}>{inner}</iq>")
            return answer

        self.assertEqual(ask(PING).attributes["type"], "result")
        info = ask("<query xmlns='http://jabber.org/protocol/disco#info'/>")
        self.assertEqual(info.children[0].children[0].attributes["category"], "server")
        for inner, kind in (
            ("<query xmlns='jabber:iq:roster'/>", "get"),
            (
                "<command xmlns='http://jabber.org/protocol/commands' "
                "node='http://jabber.org/protocol/admin#get-registered-users-num'/>",
                "set",
            ),
            ("<services xmlns='urn:xmpp:extdisco:2'/>", "get"),
        ):
            self.assertEqual(condition(ask(inner, kind)), "service-unavailable")

    def test_its_users_are_strangers_to_our_components(self) -> None:
        """`ann@part` is not ann: no commands, no uploads, no relay."""
        part = self.part()
        for to, inner, kind in (
            (
                "mosaic.localhost",
                "<command xmlns='http://jabber.org/protocol/commands' "
                "node='http://jabber.org/protocol/admin#get-registered-users-num'/>",
                "set",
            ),
            ("mosaic.localhost", "<services xmlns='urn:xmpp:extdisco:2'/>", "get"),
            (
                "upload.localhost",
                "<request xmlns='urn:xmpp:http:upload:0' filename='a' size='1'/>",
                "get",
            ),
        ):
            facts = f"type='{kind}' id='1' from='ann@{PART}/r' to='{to}'"
            [answer] = part.ask(f"<iq {facts}>{inner}</iq>")
            self.assertEqual(condition(answer), "forbidden", to)

    def test_one_that_reads_too_slowly_is_cut(self) -> None:
        """It does not fill our memory."""
        part = self.part()
        part.protocol._outbox.pauseProducing()
        text = "x" * 200_000
        sent = 0
        while sent <= OUTBOX_BYTES + 400_000:
            self.bob.send(f"<message to='{PART}'><body>{text}</body></message>")
            sent += len(text)
        self.house.clock.advance(0)
        self.assertTrue(part.aborted)

    def test_the_end(self) -> None:
        """Components are told when the server goes, and the port is closed."""
        part = self.part()
        self.successResultOf(self.house.service.stopService())
        self.assertIn("system-shutdown", part.heard())
        self.assertTrue(self.endpoint.port.closed)

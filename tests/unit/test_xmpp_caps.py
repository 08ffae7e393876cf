"""Entity capabilities (XEP-0115): asked for once, believed by their hash."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.people.caps import ANSWER_TIMEOUT_S, verification
from mosaic.wire.xmpp.stream import read_stanza
from mosaic.wire.xmpp.xml import Node, read_node
from tests.support.xmpp import MemoryClient, MemoryXmpp

INFO = "http://jabber.org/protocol/disco#info"
SIMPLE = (
    "<identity category='client' name='Exodus 0.9.1' type='pc'/>"
    "<feature var='http://jabber.org/protocol/caps'/>"
    f"<feature var='{INFO}'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/>"
    "<feature var='http://jabber.org/protocol/muc'/>"
)
"""Section 5.2."""
COMPLEX = (
    "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>"
    "<identity xml:lang='el' category='client' name='\u03a8 0.11' type='pc'/>"
    "<feature var='http://jabber.org/protocol/caps'/>"
    f"<feature var='{INFO}'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/>"
    "<feature var='http://jabber.org/protocol/muc'/>"
    "<x xmlns='jabber:x:data' type='result'>"
    "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo"
    "</value></field>"
    "<field var='ip_version' type='text-multi'><value>ipv4</value><value>ipv6</value>"
    "</field>"
    "<field var='os'><value>Mac</value></field>"
    "<field var='os_version'><value>10.5.1</value></field>"
    "<field var='software'><value>Psi</value></field>"
    "<field var='software_version'><value>0.11</value></field></x>"
)
"""Section 5.3."""
SIMPLE_VERSION = "QgayPKawpkPSDYmwT/WM94uAlu0="
COMPLEX_VERSION = "q07IKJEyjvHSyhy//CH0CxmKi8w="


def query(inner: str) -> Node:
    """A disco#info answer."""
    stanza = read_stanza(f"<iq><query xmlns='{INFO}'>{inner}</query></iq>".encode())
    return read_node(stanza).children[0]


def caps(version: str, hash: str = "sha-1") -> str:
    """Presence with capabilities."""
    return (
        "<presence><c xmlns='http://jabber.org/protocol/caps' node='http://c.example'"
        f" hash='{hash}' ver='{version}'/></presence>"
    )


class HashTests(SynchronousTestCase):
    """Section 5."""

    def test_the_documents_examples(self) -> None:
        """Both of them."""
        self.assertEqual(verification(query(SIMPLE), "sha-1"), SIMPLE_VERSION)
        self.assertEqual(verification(query(COMPLEX), "sha-1"), COMPLEX_VERSION)

    def test_ill_formed_answers(self) -> None:
        """Section 5.4: what stands there twice is not believed."""
        feature = "<feature var='a'/>"
        kind = "<field var='FORM_TYPE' type='hidden'><value>k</value></field>"
        form = f"<x xmlns='jabber:x:data'>{kind}</x>"
        identity = "<identity category='a' type='b'/>"
        for inner in (feature * 2, identity * 2, form * 2):
            self.assertIsNone(verification(query(inner), "sha-1"))
        self.assertIsNone(verification(query(SIMPLE), "md5"))

    def test_forms_without_a_kind_are_left_out(self) -> None:
        """Section 5.4, 3.6."""
        for field in (
            "<field var='x'><value>y</value></field>",
            "<field var='FORM_TYPE'><value>not hidden</value></field>",
        ):
            form = f"<x xmlns='jabber:x:data'>{field}</x>"
            self.assertEqual(
                verification(query(SIMPLE + form), "sha-1"), SIMPLE_VERSION
            )


class AskingTests(SynchronousTestCase):
    """The server asks in its own name."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()
        self.ann = self.house.client("ann", "a")
        self.bob = self.house.client("bob", "b")
        self.ann.receive()

    def asked(self, client: MemoryClient) -> list[Node]:
        """The questions among what came."""
        return [node for node in client.receive() if node.name == "iq"]

    def say(self, client: MemoryClient, version: str) -> list[Node]:
        """Presence; the questions that follow."""
        return [node for node in client.send(caps(version)) if node.name == "iq"]

    def answer(self, client: MemoryClient, asked: Node, inner: str = SIMPLE) -> None:
        """What the client can do."""
        of = asked.attributes
        client.send(
            f"<iq type='result' id='{of['id']}' to='{of['from']}'>"
            f"<query xmlns='{INFO}'>{inner}</query></iq>"
        )

    def notify(self, name: str) -> int:
        """How many nodes an account's first session hears of."""
        return len(self.house.service.sessions_of(name)[0].notify)

    def test_once_for_each_version(self) -> None:
        """And never again, whoever says it."""
        [asked] = self.say(self.ann, SIMPLE_VERSION)
        self.assertEqual(asked.attributes["from"], "localhost")
        [question] = asked.children
        self.assertEqual(
            question.attributes["node"], f"http://c.example#{SIMPLE_VERSION}"
        )
        self.assertEqual(self.say(self.bob, SIMPLE_VERSION), [])
        self.answer(self.ann, asked)
        self.assertEqual(self.asked(self.bob), [])
        self.assertEqual(self.say(self.ann, SIMPLE_VERSION), [])
        eve = self.house.client("eve", "e")
        self.assertEqual(self.say(eve, SIMPLE_VERSION), [])

    def test_a_lie_counts_for_the_liar_alone(self) -> None:
        """Section 8.1: poisoning; the next one is asked."""
        [asked] = self.say(self.ann, SIMPLE_VERSION)
        self.say(self.bob, SIMPLE_VERSION)
        self.answer(self.ann, asked, SIMPLE + "<feature var='evil+notify'/>")
        self.assertEqual((self.notify("ann"), self.notify("bob")), (1, 0))
        [again] = self.asked(self.bob)
        self.answer(self.bob, again)
        self.assertEqual(self.notify("bob"), 0)

    def test_the_next_is_asked(self) -> None:
        """When one leaves, answers with an error, or does not answer."""
        eve = self.house.client("eve", "e")
        self.say(self.ann, SIMPLE_VERSION)
        self.say(self.bob, SIMPLE_VERSION)
        self.say(eve, SIMPLE_VERSION)
        self.ann.send("<presence type='unavailable'/>")
        [asked] = self.asked(self.bob)
        self.bob.send(
            f"<iq type='error' id='{asked.attributes['id']}' to='localhost'/>"
        )
        self.assertEqual(len(self.asked(eve)), 1)
        self.assertEqual(self.say(self.ann, SIMPLE_VERSION), [])
        self.house.clock.advance(ANSWER_TIMEOUT_S)
        self.assertEqual(len(self.asked(self.ann)), 1)

    def test_nobody_answers_for_another(self) -> None:
        """The answer comes from who was asked."""
        [asked] = self.say(self.ann, SIMPLE_VERSION)
        self.answer(self.bob, asked, "<feature var='x+notify'/>")
        self.assertEqual(self.notify("ann"), 0)
        self.answer(self.ann, asked)
        self.assertEqual(self.flushLoggedErrors(), [])

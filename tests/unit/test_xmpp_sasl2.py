"""SASL2, a session in the same breath, and tokens (XEP-0388, 0386, 0484)."""

from __future__ import annotations

import base64
import hmac
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.streams.proving import client_key
from mosaic.wire.sasl.client import ScramClient
from mosaic.wire.sasl.errors import NotAuthorized
from mosaic.wire.sasl.offer import offer_hash
from mosaic.wire.sasl.tokens import initiator_tag, responder_tag
from mosaic.wire.xmpp.xml import Node, Xml, element
from tests.support.xmpp import (
    ACCOUNTS,
    HEADER,
    NS_SASL,
    MemoryClient,
    MemoryXmpp,
    condition,
    sasl,
)
from tests.support.xmpp_websocket import OPEN, MemorySocket

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


class LoginTests(Sasl2Case):
    """The profile itself."""

    def test_what_is_offered(self) -> None:
        """Both profiles; what may come along is named."""
        client = self.house.connect()
        offer = child(client.start(), NS2, "authentication")
        names = [n.text for n in offer.children if n.name == "mechanism"]
        self.assertEqual(names, ["SCRAM-SHA-256"])
        inline = child(offer, NS2, "inline")
        self.assertEqual([n.name for n in inline.children], ["bind", "sm", "fast"])
        tokens = [n.text for n in child(inline, NS_FAST, "fast").children]
        self.assertEqual(tokens, [HT])

    def test_login_without_a_restart(self) -> None:
        """Success, and the features of a stream that may bind."""
        client = self.fresh()
        success, features = self.scram(client, "ann")
        self.assertEqual(
            child(success, NS2, "authorization-identifier").text, "ann@localhost"
        )
        names = [n.name for n in features.children]
        self.assertEqual(names[:3], ["bind", "session", "sm"])
        self.assertIn("c", names)  # and what the house has for everybody (XEP-0115)
        self.assertEqual(client.bind("x").attributes["type"], "result")

    def test_failures(self) -> None:
        """The conditions are RFC 6120's, in their own namespace."""
        client = self.fresh()
        [failure] = self.scram(client, "ann", password="nonsense")
        self.assertEqual((failure.ns, failure.name), (NS2, "failure"))
        [why] = failure.children
        self.assertEqual((why.ns, why.name), (NS_SASL, "not-authorized"))
        for message, expected in (
            (authenticate("PLAIN", b"\0ann\0secret"), "invalid-mechanism"),
            (authenticate("SCRAM-SHA-256", b"x"), "malformed-request"),
            (authenticate(HT, b"x"), "invalid-mechanism"),
            (response(b"x"), "malformed-request"),
            (f"<abort xmlns='{NS2}'/>", "aborted"),
            (f"<next xmlns='{NS2}' task='x'/>", "malformed-request"),
        ):
            [failure] = self.fresh().send(message)
            self.assertEqual(condition(failure), expected, message)

    def test_profiles_are_not_mixed(self) -> None:
        """A login that began in one does not end in the other."""
        scram = ScramClient("ann", "secret", nonce="mine")
        client = self.fresh()
        [challenge] = client.send(authenticate("SCRAM-SHA-256", scram.first()))
        final = scram.final(base64.b64decode(challenge.text))
        [failure] = client.send(sasl("response", final))
        self.assertEqual(condition(failure), "malformed-request")

    def test_tries_are_counted_together(self) -> None:
        """Five failures of whatever kind."""
        client = self.fresh()
        for _ in range(3):
            client.send(authenticate("SCRAM-SHA-256", b"x"))
        client.send(sasl("auth", b"x", "SCRAM-SHA-256"))
        answers = client.send(fast("ann", "guess"))
        self.assertEqual(condition(answers[-1]), "policy-violation")
        self.assertFalse(client.open)

    def test_no_second_login(self) -> None:
        """XEP-0388 section 4.6: after <success/> it is an error."""
        client = self.fresh()
        self.scram(client, "ann")
        [error] = client.send(authenticate("SCRAM-SHA-256", b"n,,n=bob,r=x"))
        self.assertEqual(condition(error), "not-authorized")

    def test_larger_stanzas_from_then_on(self) -> None:
        """There is no restart to change the limit at."""
        client = self.fresh()
        self.scram(client, "ann", BIND)
        client.send("<message to='bob@localhost'>" + "x" * 100_000 + "</message>")
        self.assertTrue(client.open)
        client.send("<message to='bob@localhost'>" + "x" * 300_000)
        self.assertFalse(client.open)


class InlineTests(Sasl2Case):
    """Bind and resume along with the login."""

    def test_bind_and_enable(self) -> None:
        """The session is there before the client has read the answer."""
        client = self.fresh()
        success, features = self.scram(client, "ann", BIND)
        bound = child(success, NS_BIND2, "bound")
        enabled = child(bound, NS_SM, "enabled")
        self.assertEqual(enabled.attributes["resume"], "true")
        me = child(success, NS2, "authorization-identifier").text
        self.assertRegex(me, r"\Aann@localhost/box/.{12}\Z")
        self.assertNotIn("bind", [n.name for n in features.children])
        [answer] = client.send(f"<r xmlns='{NS_SM}'/>")
        self.assertEqual(answer.attributes, {"h": "0"})

    def test_the_same_client_replaces_itself(self) -> None:
        """XEP-0386 section 3.2: its resource is stable and tells nothing."""
        first, second = self.fresh(), self.fresh()
        [one, _] = self.scram(first, "ann", BIND)
        [two, _] = self.scram(second, "ann", BIND)
        self.assertEqual(condition(first.receive()[-1]), "conflict")
        names = [child(n, NS2, "authorization-identifier").text for n in (one, two)]
        self.assertEqual(names[0], names[1])
        self.assertNotIn("d4565fa7", names[0])

    def test_tags_that_cannot_stand_in_an_address(self) -> None:
        """Are left out."""
        for tag in ("x" * 100, "\u0221", "", " "):
            bind = element("bind", None, element("tag", None, tag), ns=NS_BIND2)
            success, _ = self.scram(self.fresh(), "ann", bind)
            me = child(success, NS2, "authorization-identifier").text
            self.assertRegex(me, r"\Aann@localhost/[^/]{12}\Z")

    def test_what_others_registered_is_turned_on(self) -> None:
        """Before anything is delivered."""
        on: list[str] = []

        def turn_on(session: Any, wish: Node) -> str:
            on.append(session.address)
            return "<ok xmlns='x'/>"

        self.house.household.at_bind.add("urn:xmpp:carbons:2", "enable", turn_on)
        client = self.house.connect()
        offer = child(client.start(), NS2, "authentication")
        bind = child(child(offer, NS2, "inline"), NS_BIND2, "bind")
        self.assertEqual(
            [n.attributes["var"] for n in child(bind, NS_BIND2, "inline").children],
            ["urn:xmpp:carbons:2", "urn:xmpp:csi:0", NS_SM],
        )
        wish = element(
            "bind", None, element("enable", ns="urn:xmpp:carbons:2"), ns=NS_BIND2
        )
        success, _ = self.scram(client, "ann", wish)
        child(child(success, NS_BIND2, "bound"), "x", "ok")
        self.assertEqual(len(on), 1)

    def test_too_many_sessions(self) -> None:
        """The login holds, the session does not."""
        for number in range(50):
            self.house.client("ann", str(number), present=False)
        client = self.fresh()
        success, features = self.scram(client, "ann", BIND)
        failed = child(success, NS_BIND2, "failed")
        self.assertEqual(failed.children[0].name, "resource-constraint")
        self.assertEqual(features.children[0].name, "bind")

    def test_resume_inline(self) -> None:
        """And the bind request is passed over."""
        first, bob = self.fresh(), self.house.client("bob")
        success, _ = self.scram(first, "ann", BIND)
        enabled = child(child(success, NS_BIND2, "bound"), NS_SM, "enabled")
        me = child(success, NS2, "authorization-identifier").text
        first.drop()
        bob.send(f"<message to='{me}'><body>1</body></message>")
        resume = element(
            "resume", {"previd": enabled.attributes["id"], "h": "0"}, ns=NS_SM
        )
        again = self.fresh()
        answers = self.scram(again, "ann", resume, BIND)
        self.assertEqual(
            [n.name for n in answers], ["success", "features", "message", "r"]
        )
        self.assertEqual(child(answers[0], NS_SM, "resumed").attributes["h"], "0")
        self.assertEqual(child(answers[0], NS2, "authorization-identifier").text, me)
        self.assertIsNone(answers[0].child(NS_BIND2, "bound"))

    def test_resume_that_fails_binds(self) -> None:
        """One round trip all the same."""
        resume = element("resume", {"previd": "gone", "h": "0"}, ns=NS_SM)
        success, _ = self.scram(self.fresh(), "ann", resume, BIND)
        self.assertEqual(
            child(success, NS_SM, "failed").children[0].name, "item-not-found"
        )
        child(success, NS_BIND2, "bound")


class TokenTests(Sasl2Case):
    """Coming back without the password."""

    def test_a_login_in_one_message(self) -> None:
        """Header, login, resumption or bind: pipelined, one round trip."""
        secret = self.token().attributes["token"]
        client = self.house.connect()
        features, success, more = client.send(HEADER + fast("ann", secret, BIND))
        self.assertEqual((features.name, more.name), ("features", "features"))
        data = base64.b64decode(child(success, NS2, "additional-data").text)
        self.assertEqual(data, responder_tag(secret, b""))
        child(success, NS_BIND2, "bound")
        self.assertIsNone(success.child(NS_FAST, "token"))

    def test_over_a_websocket(self) -> None:
        """The same in two messages."""
        secret = self.token().attributes["token"]
        client = MemorySocket(self.house)
        names = [n.name for n in client.send(OPEN, fast("ann", secret, BIND))]
        self.assertEqual(names, ["open", "features", "success", "features"])

    def test_a_token_is_for_one_client_account_and_mechanism(self) -> None:
        """Anybody else is refused, alike."""
        secret = self.token().attributes["token"]
        other = fast("ann", secret).replace("d4565fa7", "other")
        nobody = other.replace("d4565fa7", "")
        for message in (
            fast("bob", secret),
            fast("nobody", secret),
            other,
            nobody,
            fast("ann", secret + "x"),
            fast("ann", ""),
        ):
            [failure] = self.fresh().send(message)
            self.assertEqual(condition(failure), "not-authorized")
            self.house.door.note_success(account="ann", address="192.0.2.7")
        plus = fast("ann", secret).replace(HT, "HT-SHA-256-EXPR")
        [failure] = self.fresh().send(plus)
        self.assertEqual(condition(failure), "invalid-mechanism")

    def test_without_a_name_there_is_no_token(self) -> None:
        """Tokens are for clients that say who they are."""
        client = self.fresh()
        scram = ScramClient("ann", "secret", nonce="mine")
        [challenge] = client.send(authenticate("SCRAM-SHA-256", scram.first(), REQUEST))
        success, _ = client.send(
            response(scram.final(base64.b64decode(challenge.text)))
        )
        self.assertIsNone(success.child(NS_FAST, "token"))

    def test_a_new_password_ends_tokens(self) -> None:
        """And so does another account of the same name."""
        secret = self.token().attributes["token"]
        self.house.door.set_password("ann", "another")
        [failure] = self.fresh().send(fast("ann", secret))
        self.assertEqual(condition(failure), "not-authorized")

    def test_expiry(self) -> None:
        """The client learns that it was good once."""
        token = self.token()
        self.assertEqual(token.attributes["expiry"], "1970-01-12T14:03:20Z")
        self.house.door.now += 1000
        [failure] = self.fresh().send(fast("ann", token.attributes["token"]))
        self.assertEqual(condition(failure), "credentials-expired")

    def test_rotation(self) -> None:
        """An old token brings the next; it is good until that one was used."""
        first = self.token().attributes["token"]
        self.house.door.now += 300
        success, _ = self.fresh().send(fast("ann", first, BIND))
        second = child(success, NS_FAST, "token").attributes["token"]
        self.assertNotEqual(first, second)
        success, _ = self.fresh().send(fast("ann", first, BIND))
        third = child(success, NS_FAST, "token").attributes["token"]
        [failure] = self.fresh().send(fast("ann", second))
        self.assertEqual(condition(failure), "not-authorized")
        success, _ = self.fresh().send(fast("ann", third, BIND))
        self.assertEqual(success.name, "success")
        [failure] = self.fresh().send(fast("ann", first))
        self.assertEqual(condition(failure), "not-authorized")

    def test_counts_only_grow(self) -> None:
        """A replay is refused (section 3.4)."""
        secret = self.token().attributes["token"]
        for count, name in (("1", "success"), ("1", "failure"), ("3", "success")):
            answers = self.fresh().send(fast("ann", secret, count=count))
            self.assertEqual(answers[0].name, name)
        for count in ("", "x", "-1", "4294967295"):
            [failure] = self.fresh().send(fast("ann", secret, count=count))
            self.assertEqual(condition(failure), "malformed-request")
            self.house.door.note_success(account="ann", address="192.0.2.7")

    def test_invalidation(self) -> None:
        """A shared machine logs out: this login counts, and no other."""
        secret = self.token().attributes["token"]
        self.house.door.now += 900
        success, _ = self.fresh().send(fast("ann", secret, invalidate="true"))
        self.assertIsNone(success.child(NS_FAST, "token"))
        [failure] = self.fresh().send(fast("ann", secret))
        self.assertEqual(condition(failure), "not-authorized")

    def test_guesses_are_counted(self) -> None:
        """As wrong passwords are."""
        for _ in range(5):
            self.fresh().send(fast("ann", "guess"))
        [failure] = self.fresh().send(fast("ann", "guess"))
        self.assertEqual(condition(failure), "temporary-auth-failure")

    def test_secrets_are_not_kept(self) -> None:
        """What lies in the store makes no token by itself."""
        secret = self.token().attributes["token"]
        kept = self.successResultOf(
            self.house.door.store.fast_tokens("ann", client_key("d4565fa7"))
        )
        self.assertEqual(len(kept), 1)
        raw = base64.urlsafe_b64decode(secret + "=")
        self.assertNotIn(raw, repr(kept).encode())
        self.assertGreaterEqual(len(raw), 32)

    @settings(max_examples=60, deadline=None)
    @given(
        lists(
            sampled_from(
                [
                    HEADER,
                    authenticate("SCRAM-SHA-256", b"n,,n=ann,r=x", AGENT, BIND),
                    authenticate("SCRAM-SHA-256", None, REQUEST),
                    authenticate(HT, b"ann\0" + bytes(32), AGENT),
                    fast("ann", "guess", BIND, count="1"),
                    response(b"c=biws,r=x,p="),
                    f"<abort xmlns='{NS2}'/>",
                    f"<resume xmlns='{NS_SM}' previd='x' h='0'/>",
                    "<presence/>",
                    "</stream:stream>",
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


class OfferTests(SynchronousTestCase):
    """XEP-0474: what was offered is signed with the password."""

    def test_the_hash_is_that_of_the_xep(self) -> None:
        """Its own example."""
        self.assertEqual(
            offer_hash(
                ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"],
                ["tls-server-end-point", "tls-exporter"],
                "sha1",
            ),
            "G6k/rBLDqgOhRRaCuuatSDFkJ08=",
        )

    def test_without_bindings_there_is_no_separator(self) -> None:
        """Step 3 of section 4.1."""
        self.assertNotEqual(
            offer_hash(["A"], [], "sha1"), offer_hash(["A"], [""], "sha1")
        )

    def test_a_shortened_offer_is_noticed(self) -> None:
        """The client refuses before it shows its proof."""
        house = MemoryXmpp(scram_sha_1=True)
        client = house.connect()
        offer = child(client.start(), NS_SASL, "mechanisms")
        names = [n.text for n in offer.children]
        self.assertEqual(names, ["SCRAM-SHA-256", "SCRAM-SHA-1"])
        honest = offer_hash(names, [], "sha1")
        answer = client.auth("ann", "secret", digest="sha1", offer=honest)
        self.assertEqual(answer.name, "success")
        client = house.connect()
        client.start()
        seen = offer_hash(["SCRAM-SHA-1"], [], "sha1")
        self.assertRaises(
            NotAuthorized, client.auth, "ann", "secret", digest="sha1", offer=seen
        )

    def test_scram_sha_1_is_off(self) -> None:
        """Unless the operator turns it on."""
        client = MemoryXmpp().connect()
        client.start()
        answer = client.auth("ann", "secret", digest="sha1")
        self.assertEqual(condition(answer), "invalid-mechanism")


class AlikeTests(SynchronousTestCase):
    """Nobody learns which names exist: not by answers, nor by the work done."""

    def work(self, house: MemoryXmpp, name: str, by_token: bool) -> list[object]:
        """Answers (without the salt), and the calls that one try makes."""
        calls: list[object] = []
        real_digest, real_store = hmac.digest, house.door.store

        def digest(key: Any, message: Any, kind: Any) -> bytes:
            calls.append(("hmac", len(key), len(message)))
            return real_digest(key, message, kind)

        class Counting:
            def __getattr__(self, method: str) -> Any:
                calls.append(method)
                return getattr(real_store, method)

        self.patch(hmac, "digest", digest)
        house.door.fast._store = Counting()
        client = house.connect()
        client.start()
        if by_token:
            answers = client.send(fast(name, "guess"))
        else:
            first = f"n,,n={name},r=x".encode()
            [challenge] = client.send(sasl("auth", first, "SCRAM-SHA-256"))
            told = base64.b64decode(challenge.text).decode().split(",")
            calls += [part[:2] for part in told] + [told[2]]
            final = f"c=biws,{told[0]},p={'A' * 43}=".encode()
            answers = client.send(sasl("response", final))
        self.patch(hmac, "digest", real_digest)
        house.door.fast._store = real_store
        house.door.note_success(account=name, address="192.0.2.7")
        return [*calls, *map(repr, answers)]

    def test_known_and_unknown_names_cost_and_answer_alike(self) -> None:
        """A hundred tries each, by password and by token."""
        house = MemoryXmpp()
        for by_token in (False, True):
            seen = {
                str(self.work(house, name, by_token))
                for number in range(50)
                for name in ("ann", "bob", f"no{number % 10}")
            }
            self.assertEqual(len(seen), 1, seen)

    def test_a_salt_belongs_to_a_name(self) -> None:
        """The same at each try, and another for another name."""
        house = MemoryXmpp()
        salts: dict[str, set[str]] = {}
        for name in ("ann", "no1", "no2") * 3:
            client = house.connect()
            client.start()
            first = f"n,,n={name},r=x".encode()
            [challenge] = client.send(sasl("auth", first, "SCRAM-SHA-256"))
            told = base64.b64decode(challenge.text).decode().split(",")
            salts.setdefault(name, set()).add(told[1])
        self.assertEqual([len(found) for found in salts.values()], [1, 1, 1])
        self.assertEqual(len(set.union(*salts.values())), 3)

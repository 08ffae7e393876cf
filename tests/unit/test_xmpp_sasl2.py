"""SASL2, a session in the same breath, and tokens (XEP-0388, 0386, 0484)."""

from __future__ import annotations

import base64
import hmac
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.sasl.client import ScramClient
from mosaic.wire.sasl.errors import NotAuthorized
from mosaic.wire.sasl.offer import offer_hash
from mosaic.wire.xmpp.xml import Node, element
from tests.support.xmpp import (
    NS_SASL,
    MemoryXmpp,
    condition,
    sasl,
)
from tests.support.xmpp_sasl2 import (
    BIND,
    HT,
    NS2,
    NS_BIND2,
    NS_FAST,
    NS_SM,
    Sasl2Case,
    authenticate,
    child,
    fast,
    response,
)


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

"""Tokens in place of a password (XEP-0484)."""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis.strategies import lists, sampled_from

from mosaic.services.xmpp.streams.proving import client_key
from mosaic.wire.sasl.client import ScramClient
from mosaic.wire.sasl.tokens import responder_tag
from tests.support.xmpp import (
    HEADER,
    MemoryXmpp,
    condition,
)
from tests.support.xmpp_sasl2 import (
    AGENT,
    BIND,
    HT,
    NS2,
    NS_BIND2,
    NS_FAST,
    NS_SM,
    REQUEST,
    Sasl2Case,
    authenticate,
    child,
    fast,
    response,
)
from tests.support.xmpp_websocket import OPEN, MemorySocket


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

"""RFC 8489 section 9.2: algorithms, bid-down, anonymity and nonces."""

from __future__ import annotations

import base64
import hmac
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import binary, characters, integers, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.turn_names import MintedNames
from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.attributes import MD5, SHA256, PasswordAlgorithm
from mosaic.wire.stun.credentials import (
    long_term_key,
    long_term_key_sha256,
    opaque_string,
    user_hash,
)
from mosaic.wire.stun.message import Class, Message, Method, encode, parse
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.door import OFFERED
from mosaic.wire.turn.nonce import (
    ANONYMITY_BIT,
    PASSWORD_ALGORITHMS_BIT,
    Nonces,
    features_of,
)
from tests.support.udp import CLIENT, REALM, SERVER, MemoryTurn, Rows, code_of
from tests.support.udp import transaction as tid
from tests.vectors import stun as vectors

UDP: Rows = [(turn.REQUESTED_TRANSPORT, 17)]
HINT: Rows = [*UDP, (stun.SOFTWARE, "a new client")]


def first_offer(answer: Message) -> object:
    """PASSWORD-ALGORITHMS of an answer."""
    return answer.first(stun.PASSWORD_ALGORITHMS)


class Modern:
    """A client of RFC 8489 that hints at itself in its first request."""

    def __init__(self, hint: Rows = HINT, transport: str = "udp") -> None:
        self.server = MemoryTurn()
        self.five_tuple = FiveTuple(transport, CLIENT, SERVER)
        self.key = long_term_key_sha256("ann", REALM, "secret")
        first = encode(Method.ALLOCATE, Class.REQUEST, tid(), hint)
        answer = self.send(first)
        assert answer is not None
        self.challenge = answer
        self.nonce = answer.first(stun.NONCE) or ""

    def send(self, data: bytes) -> Message | None:
        """The one answer, or None."""
        answers = self.server.receive(data, self.five_tuple)
        return parse(answers[0]) if answers else None

    def ask(self, rows: Rows, **how: Any) -> Message:
        """An Allocate with these rows and realm and nonce."""
        how = {"key": self.key, "digest": "sha256", **how}
        nonce = how.pop("nonce", self.nonce)
        login: Rows = [(stun.REALM, REALM), (stun.NONCE, nonce)]
        data = encode(
            Method.ALLOCATE, Class.REQUEST, tid(), [*UDP, *rows, *login], **how
        )
        answer = self.send(data)
        assert answer is not None
        return answer


NAME: Rows = [(stun.USERNAME, "ann")]
BOTH: Rows = [(stun.PASSWORD_ALGORITHMS, OFFERED), (stun.PASSWORD_ALGORITHM, SHA256)]


class OfferTests(SynchronousTestCase):
    """Section 9.2.4, first part: what a 401 holds."""

    def test_9_2_4_offer_comes_with_its_feature_bit(self) -> None:
        """PASSWORD-ALGORITHMS, better first, and both bits behind the cookie."""
        for client in (Modern(), Modern(UDP, "tls")):
            answer = client.challenge
            self.assertEqual(code_of(answer), 401)
            offer = first_offer(answer)
            self.assertEqual(offer, OFFERED)
            self.assertTrue(client.nonce.startswith("obMatJos2wAAA"))
            bits = PASSWORD_ALGORITHMS_BIT | ANONYMITY_BIT
            self.assertEqual(features_of(client.nonce), bits)

    def test_9_2_4_without_an_offer_there_is_no_bit(self) -> None:
        """The barest Allocate has no room for it: RFC 5389's challenge."""
        client = Modern(UDP)
        self.assertIsNone(first_offer(client.challenge))
        self.assertEqual(features_of(client.nonce), 0)
        self.assertLessEqual(len(client.challenge.raw), 56)

    @given(integers(0, 40), sampled_from([3, 4, 8, 9]))
    @settings(max_examples=100, deadline=None)
    def test_answers_to_strangers_are_at_most_twice_the_request(
        self, size: int, method: int
    ) -> None:
        """However large the request is, with offer or without."""
        data = encode(method, Class.REQUEST, tid(), [(stun.SOFTWARE, "x" * size)])
        answers = MemoryTurn().receive(data, FiveTuple("udp", CLIENT, SERVER))
        for answer in answers:
            self.assertLessEqual(len(answer), 2 * len(data))

    def test_9_2_4_nonce_is_of_one_transport_address(self) -> None:
        """MUST NOT be the same for another source address and port."""
        nonces = Nonces(b"k" * 32, realm=REALM)
        nonce = nonces.make(CLIENT, 0.0)
        self.assertTrue(nonces.fresh(nonce, CLIENT, 0.0))
        for other in (Address(CLIENT.host, 1), Address("9.9.9.9", CLIENT.port)):
            self.assertNotEqual(nonces.make(other, 0.0), nonce)
            self.assertFalse(nonces.fresh(nonce, other, 0.0))


class AlgorithmTests(SynchronousTestCase):
    """Section 9.2.4: PASSWORD-ALGORITHM and bid-down protection."""

    def test_9_2_4_sha256_end_to_end(self) -> None:
        """SHA-256 key, SHA-256 integrity, and the answer alike."""
        client = Modern()
        answer = client.ask([*NAME, *BOTH])
        self.assertEqual((code_of(answer), answer.digest), (0, "sha256"))
        self.assertTrue(answer.verify(client.key))

    def test_9_2_4_md5_may_be_chosen(self) -> None:
        """It is on the list."""
        chosen = [BOTH[0], (stun.PASSWORD_ALGORITHM, MD5)]
        key = long_term_key("ann", REALM, "secret")
        answer = Modern().ask([*NAME, *chosen], key=key)
        self.assertEqual(code_of(answer), 0)

    def test_9_2_4_neither_attribute_is_md5(self) -> None:
        """A client of RFC 5389 passes over the offer."""
        key = long_term_key("ann", REALM, "secret")
        answer = Modern().ask(NAME, key=key, digest="sha1")
        self.assertEqual((code_of(answer), answer.digest), (0, "sha1"))
        self.assertEqual(code_of(Modern().ask(NAME)), 401)

    def test_9_2_4_changed_offer_is_400(self) -> None:
        """One alone, a shorter list, an entry that is not on it."""
        odd = PasswordAlgorithm(7, b"abc")
        bad: list[Rows] = [
            [BOTH[0]],
            [BOTH[1]],
            [(stun.PASSWORD_ALGORITHMS, (MD5,)), (stun.PASSWORD_ALGORITHM, MD5)],
            [(stun.PASSWORD_ALGORITHMS, (MD5, SHA256)), BOTH[1]],
            [BOTH[0], (stun.PASSWORD_ALGORITHM, odd)],
            [BOTH[0], (stun.bytes_row(0x1D, "SHORT", "none"), b"\0")],
        ]
        for rows in bad:
            answer = Modern().ask([*NAME, *rows])
            self.assertEqual((code_of(answer), answer.digest), (400, None))

    def test_9_2_4_offer_that_was_never_made_is_400(self) -> None:
        """The nonce tells what it came with."""
        self.assertEqual(code_of(Modern(UDP).ask([*NAME, *BOTH])), 400)

    def test_9_2_4_bits_cannot_be_taken_out_of_a_nonce(self) -> None:
        """Its proof covers them: stale, and a new offer."""
        client = Modern()
        bare = base64.b64encode(bytes(3)).decode()
        for nonce in (
            client.nonce[13:],
            f"obMatJos2{bare}{client.nonce[13:]}",
            f"obMatJos2QAAA{client.nonce[13:]}",
        ):
            key = long_term_key("ann", REALM, "secret")
            answer = client.ask(NAME, nonce=nonce, key=key)
            self.assertEqual(code_of(answer), 438)
            self.assertEqual(first_offer(answer), OFFERED)

    def test_9_2_4_wrong_password_with_a_stale_nonce_is_401(self) -> None:
        """438 is only for those who know the password."""
        client = Modern()
        self.assertEqual(code_of(client.ask([*NAME, *BOTH], key=b"no")), 401)
        client.server.now += 4000
        self.assertEqual(code_of(client.ask([*NAME, *BOTH], key=b"no")), 401)
        self.assertEqual(code_of(client.ask([*NAME, *BOTH])), 438)

    def test_14_6_truncated_integrity_is_400(self) -> None:
        """TURN does not allow it, right as the rest may be."""
        client = Modern()
        login: Rows = [(stun.REALM, REALM), (stun.NONCE, client.nonce)]
        rows = [*UDP, *NAME, *BOTH, *login]
        blank: Rows = [*rows, (stun.bytes_row(0x1C, "SHORT", "none"), bytes(16))]
        data = encode(Method.ALLOCATE, Class.REQUEST, tid(), blank)
        proof = hmac.digest(client.key, data[:-20], "sha256")[:16]
        answer = client.send(data[:-16] + proof)
        self.assertTrue(parse(data[:-16] + proof).verify(client.key))
        self.assertEqual(code_of(answer), 400)

    def test_14_6_sha256_counts_when_there_are_both(self) -> None:
        """The stronger one is checked, and answered with."""
        client = Modern()
        login: Rows = [(stun.REALM, REALM), (stun.NONCE, client.nonce)]
        weak: Rows = [(stun.MESSAGE_INTEGRITY, bytes(20))]
        rows = [*UDP, *NAME, *BOTH, *login, *weak]
        answer = client.send(
            encode(
                Method.ALLOCATE,
                Class.REQUEST,
                tid(),
                rows,
                key=client.key,
                digest="sha256",
            )
        )
        assert answer is not None
        self.assertEqual((code_of(answer), answer.digest), (0, "sha256"))


class AnonymityTests(SynchronousTestCase):
    """Sections 9.2 and 14.4: USERHASH."""

    def test_9_2_4_userhash_in_place_of_username(self) -> None:
        """The name never crosses the wire."""
        rows: Rows = [(stun.USERHASH, user_hash("ann", REALM)), *BOTH]
        self.assertEqual(code_of(Modern().ask(rows)), 0)

    def test_9_2_4_unknown_userhash_is_401(self) -> None:
        """As an unknown username is."""
        rows: Rows = [(stun.USERHASH, user_hash("eve", REALM)), *BOTH]
        self.assertEqual(code_of(Modern().ask(rows)), 401)

    def test_9_2_4_neither_name_nor_hash_is_400(self) -> None:
        """One of them is needed."""
        self.assertEqual(code_of(Modern().ask(BOTH)), 400)

    def test_minted_names_are_bounded(self) -> None:
        """The oldest is forgotten; a realm has its own hashes."""
        names = MintedNames(kept=10)
        for at in range(100):
            names.add(f"{at}:ann")
            names.username_of(b"", REALM)
        self.assertLessEqual(len(names._names), 20)
        last = user_hash("99:ann", REALM)
        self.assertEqual(names.username_of(last, REALM), "99:ann")
        self.assertIsNone(names.username_of(user_hash("0:ann", REALM), REALM))
        self.assertIsNone(names.username_of(last, "other"))


class PreparationTests(SynchronousTestCase):
    """OpaqueString (RFC 8265 section 4.2) in keys."""

    def test_spaces_and_composition(self) -> None:
        """Typed differently, meant alike."""
        composed, apart = "caf\u00e9 \u00fc", "cafe\u0301\u3000u\u0308"
        self.assertEqual(opaque_string(apart), composed)
        self.assertEqual(
            long_term_key_sha256("ann", REALM, apart),
            long_term_key_sha256("ann", REALM, composed),
        )
        for bad in ("", "a\0b", "\x1b", "\ud800", "\ue000"):
            self.assertRaises(ValueError, opaque_string, bad)

    @given(text(characters(codec="utf-8"), max_size=20))
    @settings(max_examples=200, deadline=None)
    def test_preparation_is_idempotent(self, given_text: str) -> None:
        """Section 2.1 of RFC 8265: a second time changes nothing."""
        try:
            once = opaque_string(given_text)
        except ValueError:
            return
        self.assertEqual(opaque_string(once), once)

    def test_appendix_b_1(self) -> None:
        """The message is rebuilt byte by byte, and carries SHA-256."""
        message = parse(vectors.B1)
        self.assertEqual(message.first(stun.PASSWORD_ALGORITHM), SHA256)
        nonce = message.first(stun.NONCE)
        assert nonce is not None
        key = long_term_key_sha256(
            vectors.USERNAME, vectors.REALM, vectors.LONG_TERM_PASSWORD
        )
        made = encode(
            Method.BINDING,
            Class.REQUEST,
            message.transaction,
            [
                (stun.USERHASH, user_hash(vectors.USERNAME, vectors.REALM)),
                (stun.NONCE, nonce),
                (stun.REALM, vectors.REALM),
                (stun.PASSWORD_ALGORITHM, SHA256),
            ],
            key=key,
            digest="sha256",
        )
        self.assertEqual(made, vectors.B1)


class AnyNonceTests(SynchronousTestCase):
    """A nonce is a stranger's text."""

    @given(text(max_size=40), binary(max_size=8))
    @settings(max_examples=200, deadline=None)
    def test_any_text_is_no_nonce(self, tail: str, extra: bytes) -> None:
        """Never fresh, never an exception."""
        nonces = Nonces(b"k" * 32, realm=REALM)
        for nonce in (tail, "obMatJos2" + tail, "obMatJos2wAAA" + tail):
            features_of(nonce)
            self.assertFalse(nonces.fresh(nonce, CLIENT, 0.0))

    @given(integers(0, 0xFFFFFF), integers(0, 100_000))
    @settings(max_examples=100, deadline=None)
    def test_features_survive(self, features: int, now: int) -> None:
        """What was offered is what is read back."""
        nonces = Nonces(b"k" * 32, realm=REALM)
        nonce = nonces.make(CLIENT, float(now), features)
        self.assertEqual(features_of(nonce), features)
        self.assertTrue(nonces.fresh(nonce, CLIENT, float(now)))

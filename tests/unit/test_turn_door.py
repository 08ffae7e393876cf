"""Who gets an answer at all, and how long it is (RFC 8489 section 9.2)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import binary, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.attributes import bytes_row
from mosaic.wire.stun.message import Class, Method, encode
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.nonce import Nonces
from tests.support.udp import (
    CLIENT,
    PEER,
    SERVER,
    MemoryTurn,
    Rows,
    code_of,
    transaction,
)

OTHER = Address("198.51.100.8", 40001)
SECOND_PEER = Address("9.9.9.9", 5001)
UNKNOWN = bytes_row(0x7F01, "UNKNOWN", "none")
STRANGE_ROWS: list[Rows] = [
    [],
    [(turn.REQUESTED_TRANSPORT, 17)],
    [(stun.SOFTWARE, "x")],
]


class CredentialTests(SynchronousTestCase):
    """RFC 8489 section 9.2.4."""

    def test_wrong_password_and_unknown_user_look_alike(self) -> None:
        """401 both times, unsigned."""
        server = MemoryTurn()
        for client in (server.client(password="no"), server.client(username="eve")):
            answer = client.allocate()
            self.assertEqual((code_of(answer), answer.digest), (401, None))

    def test_nonce_grows_stale(self) -> None:
        """438 with a fresh one after an hour, and from another host at once."""
        client = MemoryTurn().client()
        client.challenge()
        data = client.signed(Method.REFRESH)
        self.assertEqual(code_of(client.send(data)), 437)
        client.server.now += 3800
        answer = client.send(data)
        self.assertEqual(code_of(answer), 438)
        assert answer is not None
        self.assertNotEqual(answer.first(stun.NONCE), client.nonce)
        client.nonce = answer.first(stun.NONCE) or ""
        self.assertEqual(code_of(client.refresh()), 437)
        client.five_tuple = FiveTuple("udp", OTHER, SERVER)
        self.assertEqual(code_of(client.send(client.signed(Method.REFRESH))), 438)

    def test_nonces_need_no_memory(self) -> None:
        """A nonce is the same for every ask of one minute: nothing is kept."""
        client = MemoryTurn().client()
        client.challenge()
        nonce = client.nonce
        client.challenge()
        self.assertEqual(client.nonce, nonce)

    def test_missing_parts_are_400(self) -> None:
        """Integrity without username, realm or nonce."""
        client = MemoryTurn().client()
        data = encode(
            Method.ALLOCATE,
            Class.REQUEST,
            transaction(),
            [(stun.USERNAME, "ann"), (stun.REALM, "mosaic")],
            key=client.key,
        )
        self.assertEqual(code_of(client.send(data)), 400)

    def test_another_user_may_not_touch_an_allocation(self) -> None:
        """441."""
        server = MemoryTurn()
        server.client().allocate()
        answer = server.client(username="bob").refresh()
        self.assertEqual(code_of(answer), 441)

    def test_revoked_user_loses_the_allocation(self) -> None:
        """`drop` ends what a participant who left still holds."""
        server = MemoryTurn()
        server.client().allocate()
        server.client(username="bob", address=OTHER).allocate()
        server.perform(server.core.drop(lambda username: username == "ann"))
        held = [route.five_tuple.client for route in server.routes.values()]
        self.assertEqual(held, [OTHER])

    def test_long_realm_is_refused_at_the_start(self) -> None:
        """It would make answers to strangers too long."""
        self.assertRaises(ValueError, Nonces, b"k", realm="meet.example.org")
        self.assertEqual(len(Nonces(b"k", realm="localhost").make(CLIENT, 0.0)), 8)


class StrangerTests(SynchronousTestCase):
    """Answers to those without credentials."""

    def test_at_most_twice_the_request(self) -> None:
        """Every method, from the barest request on; silence is allowed."""
        for method in (3, 4, 8, 9):
            for rows in STRANGE_ROWS:
                for fingerprint in (False, True):
                    data = encode(
                        method, Class.REQUEST, transaction(), rows,
                        fingerprint=fingerprint,
                    )  # fmt: skip
                    answer = MemoryTurn().client().send(data)
                    if answer is not None:
                        self.assertLessEqual(len(answer.raw), 2 * len(data))

    def test_smallest_allocate_is_answered(self) -> None:
        """28 bytes is what browsers send first; also with a longer realm."""
        bare = [(turn.REQUESTED_TRANSPORT, 17)]
        data = encode(Method.ALLOCATE, Class.REQUEST, transaction(), bare)
        self.assertEqual(len(data), 28)
        answer = MemoryTurn().client().send(data)
        assert answer is not None
        self.assertLessEqual(len(answer.raw), 56)

    def test_too_short_to_answer_is_counted(self) -> None:
        """A bare header cannot pay for realm and nonce over UDP; over a
        stream nobody can be flooded, so it is answered."""
        server = MemoryTurn()
        data = encode(Method.ALLOCATE, Class.REQUEST, transaction())
        self.assertIsNone(server.client().send(data))
        self.assertEqual(server.core.counters.strangers_too_short, 1)
        self.assertEqual(code_of(server.client(transport="tcp").send(data)), 401)

    def test_budget_of_a_source_prefix(self) -> None:
        """Past it silence, for this prefix alone, and only until it refills."""
        limits = Limits(stranger_answers_per_s=1.0, stranger_burst=3.0)
        server = MemoryTurn(limits=limits)
        data = encode(Method.BINDING, Class.REQUEST, transaction())
        codes = [
            code_of(server.client(address=Address(f"7.7.7.{at}", 1)).send(data))
            for at in range(5)
        ]
        self.assertEqual(codes, [0, 0, 0, -1, -1])
        self.assertEqual(server.core.counters.strangers_over_budget, 2)
        self.assertEqual(code_of(server.client(address=OTHER).send(data)), 0)
        server.now += 1.0
        answer = server.client(address=Address("7.7.7.9", 1)).send(data)
        self.assertEqual(code_of(answer), 0)

    def test_the_known_need_no_budget(self) -> None:
        """Signed requests are answered however many strangers shout."""
        server = MemoryTurn(limits=Limits(stranger_burst=1, stranger_answers_per_s=0))
        client = server.client()
        self.assertEqual(code_of(client.allocate()), 0)
        for _ in range(20):
            self.assertEqual(code_of(client.refresh()), 0)

    def test_binding_tells_the_mapped_address(self) -> None:
        """RFC 8489 section 12; with a fingerprint if the request had one."""
        for address in (CLIENT, Address("2600::7", 9)):
            for fingerprint in (False, True):
                data = encode(1, Class.REQUEST, transaction(), fingerprint=fingerprint)
                answer = MemoryTurn().client(address=address).send(data)
                assert answer is not None
                self.assertEqual(answer.first(stun.XOR_MAPPED_ADDRESS), address)
                self.assertEqual(answer.fingerprint, fingerprint)

    def test_unknown_attribute_in_a_binding(self) -> None:
        """420 that lists it (RFC 8489 section 6.3.1)."""
        data = encode(1, Class.REQUEST, transaction(), [(UNKNOWN, b"")])
        answer = MemoryTurn().client().send(data)
        assert answer is not None
        self.assertEqual(code_of(answer), 420)
        self.assertEqual(answer.first(stun.UNKNOWN_ATTRIBUTES), (UNKNOWN.code,))

    def test_a_flood_leaves_no_trace(self) -> None:
        """Unauthenticated Allocates allocate nothing at all."""
        server = MemoryTurn()
        for at in range(500):
            server.client(address=Address(f"6.6.{at % 250}.1", at + 1)).challenge()
        self.assertEqual((len(server.core), server.routes), (0, {}))
        self.assertIsNone(server.core.next_deadline())

    @given(binary(max_size=120), sampled_from([1, 3, 4, 6, 7, 8, 9, 10]))
    @settings(max_examples=200, deadline=None)
    def test_any_bytes_are_safe(self, body: bytes, method: int) -> None:
        """Whatever arrives, the core answers with events and raises nothing."""
        body = body[: len(body) & ~3]
        head = encode(method, Class.REQUEST, transaction())
        packet = head[:2] + len(body).to_bytes(2, "big") + head[4:] + body
        for data in (body, packet):
            MemoryTurn().receive(data, FiveTuple("udp", CLIENT, SERVER))

    @given(sampled_from([3, 4, 8, 9, 10, 11]), binary(max_size=24), sampled_from(
        [0x0C, 0x0D, 0x12, 0x13, 0x17, 0x18, 0x19, 0x1A, 0x22, 0x2A, 0x8000,
         0x8030, 0x8032]
    ), sampled_from(["udp", "tcp"]))  # fmt: skip
    @settings(max_examples=300, deadline=None)
    def test_any_value_with_good_credentials_is_safe(
        self, method: int, value: bytes, code: int, transport: str
    ) -> None:
        """The signed half of the core takes anything too, with every extension."""
        limits = Limits(tcp_relay=True, mobility=True)
        client = MemoryTurn(limits=limits).client(transport=transport)
        tcp = 6 if transport == "tcp" else 17
        client.ask(Method.ALLOCATE, [(turn.REQUESTED_TRANSPORT, tcp)])
        row = bytes_row(code, "ANY", "none")
        rows: Rows = [(row, value), (turn.XOR_PEER_ADDRESS, PEER)]
        client.send(client.signed(method, rows))
        fresh = client.server.client(address=OTHER, transport=transport)
        fresh.challenge()
        fresh.send(fresh.signed(method, [*rows, (turn.REQUESTED_TRANSPORT, tcp)]))

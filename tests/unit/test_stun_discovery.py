"""RFC 5780: NAT behaviour discovery."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import binary, booleans, integers, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from mosaic.config.checks import check_values
from mosaic.config.errors import ConfigError
from mosaic.config.settings import Settings, Turn
from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun import discovery as nat
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.attributes import bytes_row
from mosaic.wire.stun.discovery import Discovery
from mosaic.wire.stun.message import Class, Message, Method, encode, parse
from mosaic.wire.turn.events import Answer
from mosaic.wire.turn.peers import PeerPolicy
from mosaic.wire.turn.server import TurnServer
from tests.support.udp import CLIENT, Rows, code_of, transaction

ONE, TWO = Address("192.0.2.1", 3478), Address("192.0.2.2", 3479)
FOUR = [Address(h.host, p.port) for h in (ONE, TWO) for p in (ONE, TWO)]


def ask(
    rows: Rows,
    *,
    server: Address = ONE,
    pairs: Any = ((ONE, TWO),),
    transport: str = "udp",
) -> tuple[FiveTuple, Message]:
    """A Binding at one of our addresses: over what it is answered, and how."""
    core = TurnServer(
        realm="mosaic",
        passwords_for=lambda username, now: (),
        policy=PeerPolicy(),
        nonce_key=b"n" * 32,
        discovery=Discovery(pairs),
    )
    data = encode(Method.BINDING, Class.REQUEST, transaction(), rows)
    five_tuple = FiveTuple(transport, CLIENT, server)
    (answer,) = core.datagram_received(data, five_tuple, 0.0)
    assert isinstance(answer, Answer)
    return answer.to, parse(answer.data)


class BehaviourTests(SynchronousTestCase):
    """Sections 6.1 and 7."""

    def test_6_1_answer_names_origin_and_other_address(self) -> None:
        """Both hosts, both ports: the other one differs in both."""
        for at in FOUR:
            to, answer = ask([], server=at)
            self.assertEqual((to.server, to.client), (at, CLIENT))
            other = answer.first(nat.OTHER_ADDRESS)
            assert other is not None
            self.assertIn(other, FOUR)
            self.assertNotEqual(other.host, at.host)
            self.assertNotEqual(other.port, at.port)
            self.assertEqual(answer.first(nat.RESPONSE_ORIGIN), at)
            self.assertEqual(answer.first(stun.MAPPED_ADDRESS), CLIENT)
            self.assertEqual(answer.first(stun.XOR_MAPPED_ADDRESS), CLIENT)

    @given(sampled_from(FOUR), booleans(), booleans())
    @settings(max_examples=40, deadline=None)
    def test_7_2_change_request(self, at: Address, host: bool, port: bool) -> None:
        """Answered from the other host, port, both or neither."""
        flags = nat.CHANGE_IP * host | nat.CHANGE_PORT * port
        to, answer = ask([(nat.CHANGE_REQUEST, flags)], server=at)
        self.assertEqual(to.server.host != at.host, host)
        self.assertEqual(to.server.port != at.port, port)
        self.assertIn(to.server, FOUR)
        self.assertEqual(answer.first(nat.RESPONSE_ORIGIN), to.server)

    def test_7_5_response_port(self) -> None:
        """The answer goes there, and still tells where the request came from."""
        to, answer = ask([(nat.RESPONSE_PORT, 7777)])
        self.assertEqual(to.client, Address(CLIENT.host, 7777))
        self.assertEqual(answer.first(stun.XOR_MAPPED_ADDRESS), CLIENT)

    def test_7_6_padding_is_answered_with_padding(self) -> None:
        """A multiple of four, and never more than twice the request in all."""
        for size in (0, 64, 700, 1480, 5000):
            rows: Rows = [(nat.PADDING, bytes(size))]
            request = encode(Method.BINDING, Class.REQUEST, transaction(), rows)
            _, answer = ask(rows)
            padding = answer.first(nat.PADDING)
            self.assertEqual(len(padding or b"") % 4, 0)
            self.assertEqual(bool(padding), size > 0)
            if size:
                self.assertLessEqual(len(answer.raw), 2 * len(request))

    def test_7_6_padding_and_response_port_are_400(self) -> None:
        """They exclude each other."""
        rows: Rows = [(nat.PADDING, bytes(64)), (nat.RESPONSE_PORT, 7777)]
        self.assertEqual(code_of(ask(rows)[1]), 400)

    def test_6_1_with_one_address_mapping_alone(self) -> None:
        """No OTHER-ADDRESS; CHANGE-REQUEST and the rest are unknown (420)."""
        _, answer = ask([], pairs=())
        self.assertEqual(len(answer.attributes), 1)
        rows: list[Rows] = [
            [(nat.CHANGE_REQUEST, 6)],
            [(nat.RESPONSE_PORT, 1)],
            [(nat.PADDING, b"")],
        ]
        for row in rows:
            for how in ({"pairs": ()}, {"transport": "tcp"}, {"server": CLIENT}):
                _, answer = ask(row, **how)
                self.assertEqual(code_of(answer), 420)
                unknown = answer.first(stun.UNKNOWN_ATTRIBUTES)
                self.assertEqual(unknown, (row[0][0].code,))

    @given(sampled_from([3, 0x26, 0x27]), binary(max_size=12), integers(0, 3))
    @settings(max_examples=100, deadline=None)
    def test_any_value_is_answered(self, code: int, value: bytes, at: int) -> None:
        """Well, or with 400."""
        _, answer = ask([(bytes_row(code, "ANY", "none"), value)], server=FOUR[at])
        self.assertIn(code_of(answer), (0, 400))


class ConfigurationTests(SynchronousTestCase):
    """`turn.nat_discovery`."""

    def test_addresses_must_differ_in_both(self) -> None:
        """Else nothing could be told apart."""
        bad: list[tuple[str, ...]] = [
            ("192.0.2.1:3478",),
            ("192.0.2.1:3478", "192.0.2.1:3479"),
            ("192.0.2.1:3478", "192.0.2.2:3478"),
            ("192.0.2.1:3478", "[2001:db8::1]:3479"),
            ("nonsense", "192.0.2.2:3478"),
        ]
        for texts in bad:
            turn = Turn(nat_discovery=texts)
            self.assertRaises(ConfigError, check_values, Settings(turn=turn))
        check_values(Settings(turn=Turn(nat_discovery=("192.0.2.1:1", "192.0.2.2:2"))))
        self.assertRaises(ValueError, Discovery, [(ONE, Address(TWO.host, ONE.port))])

"""Many Allocates of one known credential, by the core alone (decision 024)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.credentials import long_term_key
from mosaic.wire.turn.events import CloseRelay
from mosaic.wire.turn.known import KnownAsk
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.peers import PeerPolicy
from mosaic.wire.turn.server import TurnServer
from tests.support.udp import SERVER, transaction

NOW = 1000.0
LIMITS = Limits(per_credential=5, per_owner=5, per_address=3, total=20, admission=True)


def ask(host: str, port: int = 4000, lifetime_s: int | None = None) -> KnownAsk:
    """What a client at this address asks."""
    five_tuple = FiveTuple("udp", Address(host, port), SERVER)
    return KnownAsk(1, five_tuple, b"", transaction(), lifetime_s, False, b"")


class AdmitTests(SynchronousTestCase):
    """`admit` says yes or nothing."""

    def setUp(self) -> None:
        """A core with small quotas."""
        self.passwords: dict[str, tuple[str, ...]] = {"ann": ("secret",)}
        self.core = TurnServer(
            realm="mosaic",
            passwords_for=lambda username, _: self.passwords.get(username, ()),
            policy=PeerPolicy((), ()),
            nonce_key=b"k" * 32,
            limits=LIMITS,
        )

    def admit(self, *asks: KnownAsk, username: str = "ann") -> list[bool]:
        """Which were granted; each is opened."""
        made = self.core.admit(username, list(asks), NOW)
        held = [one for one in made if one is not None]
        at = [Address("192.0.2.1", 50000 + one.relay) for one in held]
        self.core.admitted(held, list(at))
        return [one is not None for one in made]

    def counts(self) -> list[dict[str, int]]:
        """What the quotas have counted."""
        held: Any = self.core._table._quotas
        return [dict(held._per_credential), dict(held._per_owner), dict(held._per_host)]

    def test_an_address_has_its_quota_within_one_batch(self) -> None:
        """The fourth of three."""
        found = self.admit(*[ask("9.9.9.9", port) for port in range(4)])
        self.assertEqual(found, [True, True, True, False])

    def test_an_ipv6_network_is_one_address(self) -> None:
        """Whoever has a /56 has as many addresses as anybody could want."""
        found = self.admit(*[ask(f"2001:db8::{n}") for n in range(1, 5)])
        self.assertEqual(found, [True, True, True, False])
        self.assertEqual(self.counts()[2], {"20010db8000000": 3})

    def test_a_credential_has_its_quota_within_one_batch(self) -> None:
        """Wherever it is used from."""
        found = self.admit(*[ask(f"9.9.9.{n}") for n in range(7)])
        self.assertEqual(found, [True] * 5 + [False] * 2)

    def test_nothing_is_kept_of_who_gets_nothing(self) -> None:
        """Not even a count of none."""
        self.core.set_limits(replace(LIMITS, total=0))
        self.assertEqual(self.admit(ask("9.9.9.9")), [False])
        self.assertEqual(self.counts(), [{}, {}, {}])
        self.assertIsNone(self.core.next_deadline())

    def test_a_five_tuple_has_one_relay(self) -> None:
        """Of two that came together, the first."""
        twice = ask("9.9.9.9")
        self.assertEqual(self.admit(twice, twice), [True, False])

    def test_redirection_is_not_passed_over(self) -> None:
        """The full way says where to go."""
        elsewhere = (Address("192.0.2.9", 3478),)
        self.core.set_limits(replace(LIMITS, alternates=elsewhere))
        self.assertEqual(self.admit(ask("9.9.9.9")), [False])

    def test_without_a_port_nothing_has_been_asked(self) -> None:
        """No count, no deadline, no relay to close."""
        made = [m for m in self.core.admit("ann", [ask("9.9.9.9")], NOW) if m]
        self.core.admitted(made, [None])
        self.assertEqual((len(self.core), self.counts()), (0, [{}, {}, {}]))
        self.assertIsNone(self.core.next_deadline())
        self.assertEqual(self.core.drop(lambda username: True), [])

    def test_lifetimes_end_as_any_other(self) -> None:
        """600 s where nothing is said, at most 3600."""
        self.admit(ask("9.9.9.1"), ask("9.9.9.2", lifetime_s=0xFFFE))
        self.assertEqual(self.core.next_deadline(), NOW + 600)
        self.assertEqual(self.core.expire(NOW + 600), [CloseRelay(1)])
        self.assertEqual(self.core.expire(NOW + 3600), [CloseRelay(2)])
        self.assertEqual(self.counts(), [{}, {}, {}])

    def test_a_key_holds_as_long_as_its_password(self) -> None:
        """Asked each time."""
        key = long_term_key("ann", "mosaic", "secret")
        self.assertTrue(self.core.holds("ann", key, NOW))
        self.passwords["ann"] = ("another", "third")
        self.assertFalse(self.core.holds("ann", key, NOW))
        self.passwords.clear()
        self.assertFalse(self.core.holds("ann", key, NOW))

"""What is remembered to be fast is never wrong, and never grows without end."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth import turn_credentials
from mosaic.auth.turn_credentials import LEEWAY_S, TurnSecrets
from mosaic.wire.stun import address, credentials
from mosaic.wire.stun.address import Address
from mosaic.wire.stun.credentials import long_term_key, long_term_key_sha256
from mosaic.wire.stun.message import Method
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.events import Answer, Extend, OpenRelay
from mosaic.wire.turn.nonce import Nonces
from tests.support.udp import MemoryTurn, code_of

NOW = 1_790_000_000.0


class PasswordTests(SynchronousTestCase):
    """TurnSecrets remembers passwords, and asks every time who may pass."""

    def test_revocation_counts_at_once(self) -> None:
        """For a username that has just passed."""
        secrets = TurnSecrets([b"s"], ttl_s=100)
        minted = secrets.mint("p", NOW)
        self.assertTrue(secrets.passwords_for(minted.username, NOW))
        secrets.revoke("p", NOW)
        self.assertEqual(secrets.passwords_for(minted.username, NOW), ())

    def test_expiry_counts_at_once(self) -> None:
        """A password that is remembered lives no longer for it."""
        secrets = TurnSecrets([b"s"], ttl_s=100)
        minted = secrets.mint("p", NOW)
        ends = minted.expires_at + LEEWAY_S
        self.assertTrue(secrets.passwords_for(minted.username, ends - 1))
        self.assertEqual(secrets.passwords_for(minted.username, ends), ())

    def test_other_secrets_count_at_once(self) -> None:
        """After a reload the password of the old secret is no password."""
        secrets = TurnSecrets([b"old"], ttl_s=100)
        minted = secrets.mint("p", NOW)
        before = secrets.passwords_for(minted.username, NOW)
        secrets.replace([b"new"])
        after = secrets.passwords_for(minted.username, NOW)
        self.assertFalse(set(before) & set(after))
        self.assertFalse(secrets.check(minted.username, minted.password, NOW))

    def test_the_oldest_goes_first(self) -> None:
        """Names that somebody makes up do not fill the memory."""
        self.patch(turn_credentials, "KEPT", 8)
        secrets = TurnSecrets([b"s"], ttl_s=100)
        for number in range(50):
            secrets.passwords_for(f"{int(NOW) + 9}:p{number}", NOW)
        self.assertEqual(len(secrets._passwords), 8)
        first = f"{int(NOW) + 9}:p0"
        self.assertEqual(len(secrets.passwords_for(first, NOW)), 2)

    def test_other_password_counts_at_once_in_the_core(self) -> None:
        """The key of the old one is remembered, but nobody asks for it."""
        server = MemoryTurn()
        client = server.client()
        self.assertEqual(code_of(client.allocate()), 0)
        server.passwords = {"ann": "another"}
        self.assertEqual(code_of(client.refresh()), 401)
        server.passwords = {}
        self.assertEqual(code_of(client.refresh()), 401)


class KeyTests(SynchronousTestCase):
    """Functions whose results are remembered."""

    def test_every_part_counts(self) -> None:
        """Two keys are the same only if all that makes them is."""
        parts = [("u", "r", "p"), ("v", "r", "p"), ("u", "s", "p"), ("u", "r", "q")]
        for make in (long_term_key, long_term_key_sha256):
            for _ in range(2):
                self.assertEqual(len({make(*part) for part in parts}), 4)
        self.assertEqual(len(long_term_key("u", "r", "p")), 16)
        self.assertEqual(len(long_term_key_sha256("u", "r", "p")), 32)

    def test_all_are_bounded(self) -> None:
        """None may grow with what strangers send."""
        for remembered in (long_term_key, long_term_key_sha256):
            size = remembered.cache_info().maxsize
            self.assertEqual(size, credentials.KEPT)
        self.assertEqual(address.pack_host.cache_info().maxsize, 4096)

    def test_no_address_is_refused_every_time(self) -> None:
        """An error is not remembered as a result."""
        for _ in range(2):
            with self.assertRaises(ValueError):
                address.pack_host("1.2.3.4.5")


class NonceTests(SynchronousTestCase):
    """A nonce that is at hand still belongs to one client, for its time."""

    def test_bound_to_client_key_and_features(self) -> None:
        """What was made for one is asked for by others."""
        mine, other = Address("198.51.100.7", 4000), Address("198.51.100.7", 4001)
        nonces = Nonces(b"n" * 32, realm="mosaic", lifetime_s=640)
        for features in (0, 1 << 23):
            made = nonces.make(mine, 1000.0, features)
            self.assertTrue(nonces.fresh(made, mine, 1000.0))
            self.assertTrue(nonces.fresh(made, mine, 1600.0))
            self.assertFalse(nonces.fresh(made, mine, 2000.0))
            self.assertFalse(nonces.fresh(made, other, 1000.0))
            strange = Nonces(b"m" * 32, realm="mosaic", lifetime_s=640)
            self.assertFalse(strange.fresh(made, mine, 1000.0))
        long = nonces.make(mine, 1000.0, 1 << 23)
        short = nonces.make(mine, 1000.0)
        self.assertFalse(nonces.fresh(long[13:], mine, 1000.0))
        self.assertFalse(nonces.fresh(long[:13] + short, mine, 1000.0))


class OpeningTests(SynchronousTestCase):
    """What the plane has been told once it is not told again."""

    def test_relay_that_took_no_time_needs_no_new_end(self) -> None:
        """One that took a while is lengthened by it."""
        for took, expected in ((0.0, [Answer]), (2.0, [Extend, Answer])):
            server = MemoryTurn()
            client = server.client()
            client.challenge()
            rows = [(turn.REQUESTED_TRANSPORT, 17)]
            data = client.signed(Method.ALLOCATE, rows)
            core, now = server.core, server.now
            (opening,) = core.datagram_received(data, client.five_tuple, now)
            assert isinstance(opening, OpenRelay)
            relayed = Address("198.18.0.1", 50000)
            events = core.relay_opened(opening.relay, relayed, now + took)
            self.assertEqual([type(event) for event in events], expected)
            (held,) = core.allocations()
            self.assertEqual(held.expires_at, now + took + 600)

"""Time-limited TURN credentials."""

from __future__ import annotations

import base64
import hashlib
import hmac

from hypothesis import given, settings
from hypothesis.strategies import floats, text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.turn_credentials import TurnSecrets, owner_of

NOW = 1_790_000_000.5


class TurnSecretTests(SynchronousTestCase):
    """Minted here, checked anywhere that knows the secret."""

    def test_known_answer(self) -> None:
        """The scheme is shared with other servers: base64(HMAC-SHA1)."""
        minted = TurnSecrets([b"north"], ttl_s=60).mint("p-1", 1000.0)
        self.assertEqual(minted.username, "1060:p-1")
        self.assertEqual(minted.password, "VDOP52uEX750plPA1JCWdFDDCYI=")
        self.assertEqual(minted.expires_at, 1060)

    def test_minted_passes_until_it_expires(self) -> None:
        """With a minute of leeway between clocks."""
        secrets = TurnSecrets([b"s"], ttl_s=100)
        minted = secrets.mint("room:p-1", NOW)
        self.assertEqual(owner_of(minted.username), "room:p-1")
        for later, passes in ((0, True), (159, True), (161, False)):
            self.assertEqual(
                secrets.check(minted.username, minted.password, NOW + later), passes
            )
        self.assertFalse(secrets.check(minted.username, "wrong", NOW))

    def test_both_hashes_check(self) -> None:
        """HMAC-SHA256 beside the common form, whichever is minted."""
        secrets = TurnSecrets([b"north"], ttl_s=60, digest="sha256")
        minted = secrets.mint("p-1", 1000.0)
        by_hand = hmac.new(b"north", b"1060:p-1", hashlib.sha256).digest()
        self.assertEqual(minted.password, base64.b64encode(by_hand).decode())
        self.assertTrue(secrets.check("1060:p-1", minted.password, 1000.0))
        secrets.mint_with("sha1")
        common = secrets.mint("p-1", 1000.0).password
        self.assertEqual(common, "VDOP52uEX750plPA1JCWdFDDCYI=")
        self.assertTrue(secrets.check("1060:p-1", common, 1000.0))

    def test_secrets_change_while_it_runs(self) -> None:
        """What an old secret minted dies with it."""
        secrets = TurnSecrets([b"old"], ttl_s=100)
        old = secrets.mint("p", NOW)
        secrets.replace([b"new", b"old"])
        self.assertTrue(secrets.check(old.username, old.password, NOW))
        secrets.replace([b"new"])
        self.assertFalse(secrets.check(old.username, old.password, NOW))
        self.assertRaises(ValueError, secrets.replace, [])

    def test_old_secrets_still_check(self) -> None:
        """Rotation: the first mints, all verify, one taken out does not."""
        old = TurnSecrets([b"old"], ttl_s=100).mint("p", NOW)
        both = TurnSecrets([b"new", b"old"], ttl_s=100)
        self.assertTrue(both.check(old.username, old.password, NOW))
        self.assertNotEqual(both.mint("p", NOW).password, old.password)
        after = TurnSecrets([b"new"], ttl_s=100)
        self.assertFalse(after.check(old.username, old.password, NOW))

    def test_revoked_owner_is_out_and_may_come_back(self) -> None:
        """What was minted before is refused, what is minted later is not."""
        secrets = TurnSecrets([b"s"], ttl_s=100)
        before, other = secrets.mint("p", NOW), secrets.mint("q", NOW)
        secrets.revoke("p", NOW + 1)
        self.assertEqual(secrets.passwords_for(before.username, NOW + 1), ())
        self.assertTrue(secrets.check(other.username, other.password, NOW + 1))
        later = secrets.mint("p", NOW + 3)
        self.assertTrue(secrets.check(later.username, later.password, NOW + 3))

    def test_revocations_do_not_pile_up(self) -> None:
        """They are forgotten when nothing they refuse could live."""
        secrets = TurnSecrets([b"s"], ttl_s=100)
        for at in range(50):
            secrets.revoke(f"p{at}", NOW + at * 200)
        self.assertEqual(len(secrets._revoked), 1)

    def test_a_secret_and_an_owner_are_needed(self) -> None:
        """An empty secret would be everybody's."""
        for empty in ([], [b""], [b"s", b""]):
            with self.assertRaises(ValueError):
                TurnSecrets(empty, ttl_s=1)
        with self.assertRaises(ValueError):
            TurnSecrets([b"s"], ttl_s=1).mint("", NOW)

    @given(text(max_size=40), floats(0, 1e12))
    @settings(max_examples=200, deadline=None)
    def test_any_username_is_safe(self, username: str, now: float) -> None:
        """What is not of our form has no password."""
        secrets = TurnSecrets([b"s"], ttl_s=1)
        digits, colon, owner = username.partition(":")
        ours = colon and owner and digits.isascii() and digits.isdecimal()
        passwords = secrets.passwords_for(username, now)
        self.assertTrue(ours or passwords == ())

"""Tokens and passwords, without a store."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis.strategies import binary, text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.passwords import (
    check_against,
    check_password,
    fake_verifier,
    new_verifier,
)
from mosaic.auth.tokens import digest, is_well_formed, mint


class TokenTests(SynchronousTestCase):
    """Opaque and random."""

    def test_the_secret_is_32_bytes_as_text(self) -> None:
        """Safe in a header, a URL and a file name."""
        self.assertEqual(mint(lambda count: b"\x00" * count), "ms_" + "A" * 43)
        self.assertRegex(
            mint(lambda count: b"\xff" * count), r"\Ams_[-_A-Za-z0-9]{43}\Z"
        )
        self.assertNotEqual(mint(), mint())

    def test_only_the_digest_is_kept(self) -> None:
        """SHA-256 of the whole text."""
        token = mint()
        self.assertEqual(digest(token), hashlib.sha256(token.encode()).digest())

    @given(binary(min_size=32, max_size=32))
    @settings(max_examples=50)
    def test_every_token_is_well_formed(self, secret: bytes) -> None:
        """What is minted is read."""
        self.assertTrue(is_well_formed(mint(lambda count: secret)))

    @given(text())
    @settings(max_examples=100)
    def test_any_text_can_be_asked_about(self, typed: str) -> None:
        """Lone surrogates included; the answer is no, never a traceback."""
        self.assertFalse(is_well_formed(typed))
        self.assertEqual(len(digest(typed)), 32)


class PasswordTests(SynchronousTestCase):
    """SCRAM verifiers, real and fake."""

    def test_rules(self) -> None:
        """Too short, too long, forbidden characters: a sentence for each."""
        for password, reason in (
            ("short", "at least"),
            ("x" * 1025, "at most"),
            ("bell\x07bell", "cannot be used"),
        ):
            with self.assertRaisesRegex(ValueError, reason):
                check_password(password)
        check_password("correct horse")

    def test_a_verifier_matches_its_password_alone(self) -> None:
        """And salts differ."""
        first = new_verifier("correct horse", iterations=100)
        second = new_verifier("correct horse", iterations=100)
        self.assertNotEqual(first.salt, second.salt)
        self.assertTrue(check_against(first, "correct horse"))
        self.assertFalse(check_against(first, "correct house"))
        self.assertFalse(check_against(first, "\x00"))
        self.assertFalse(check_against(first, "x" * 100_000))

    def test_a_fake_verifier_looks_real(self) -> None:
        """The same for the same name; another for another name or server."""
        fake = fake_verifier("eve", key=b"key", iterations=4096)
        real = new_verifier("correct horse", iterations=4096)
        self.assertEqual(fake, fake_verifier("eve", key=b"key", iterations=4096))
        self.assertNotEqual(
            fake.salt, fake_verifier("ev", key=b"key", iterations=1).salt
        )
        self.assertNotEqual(
            fake.salt, fake_verifier("eve", key=b"k", iterations=1).salt
        )
        for part in ("salt", "stored_key", "server_key"):
            self.assertEqual(len(getattr(fake, part)), len(getattr(real, part)))
        self.assertEqual(fake.iterations, real.iterations)

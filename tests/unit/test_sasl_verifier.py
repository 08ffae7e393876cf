"""Verifiers and SASLprep, against RFC examples and scramp."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import binary, integers, text
from scramp import ScramMechanism
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.sasl.saslprep import SaslprepError, saslprep
from mosaic.wire.sasl.verifier import derive_verifier


class SaslprepTests(SynchronousTestCase):
    """RFC 4013 section 3 and its rules."""

    def test_examples_of_the_rfc(self) -> None:
        """The table of section 3, row by row."""
        self.assertEqual(saslprep("I\u00adX"), "IX")
        self.assertEqual(saslprep("user"), "user")
        self.assertEqual(saslprep("USER"), "USER")
        self.assertEqual(saslprep("\u00aa"), "a")
        self.assertEqual(saslprep("\u2168"), "IX")
        self.assertRaises(SaslprepError, saslprep, "\u0007")
        self.assertRaises(SaslprepError, saslprep, "\u0627\u0031")

    def test_other_spaces_become_spaces(self) -> None:
        """A no-break space and a space are the same password."""
        self.assertEqual(saslprep("a\u00a0b"), "a b")

    def test_directions_must_not_mix(self) -> None:
        """Right-to-left text begins and ends as such."""
        self.assertEqual(saslprep("\u0627\u0628"), "\u0627\u0628")
        self.assertRaises(SaslprepError, saslprep, "\u0627a\u0628")

    def test_unassigned_is_refused(self) -> None:
        """Stored strings hold no code point that Unicode 3.2 did not know."""
        self.assertRaises(SaslprepError, saslprep, "\u0221")

    @settings(max_examples=200)
    @given(text(max_size=20))
    def test_preparing_twice_changes_nothing(self, raw: str) -> None:
        """Prepared text is a fixed point, or it is refused."""
        try:
            prepared = saslprep(raw)
        except SaslprepError:
            return
        self.assertEqual(saslprep(prepared), prepared)


class VerifierTests(SynchronousTestCase):
    """StoredKey and ServerKey."""

    @settings(max_examples=10)
    @given(
        text("abc ßé1,=", min_size=1, max_size=12),
        binary(min_size=12, max_size=20),
        integers(4096, 4200),
    )
    def test_keys_are_those_of_scramp(
        self, password: str, salt: bytes, iterations: int
    ) -> None:
        """An implementation by others derives the same keys."""
        ours = derive_verifier(password, salt=salt, iterations=iterations)
        mechanism = ScramMechanism("SCRAM-SHA-256")
        _, stored, server, count = mechanism.make_auth_info(
            password, iteration_count=iterations, salt=salt
        )
        self.assertEqual(
            (ours.stored_key, ours.server_key, ours.iterations),
            (stored, server, count),
        )

    def test_matches_only_the_password(self) -> None:
        """After preparation, and nothing else."""
        verifier = derive_verifier("I\u00adX", salt=b"0123456789abcdef")
        self.assertTrue(verifier.matches("IX"))
        self.assertFalse(verifier.matches("ix"))

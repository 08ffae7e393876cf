"""The hub's key: made once, kept, never replaced."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.keys import (
    HubKey,
    KeyRefused,
    load_or_make_key,
    new_nonce,
)
from mosaic.wire.hubproofs import to_base64url


class KeyFileTests(SynchronousTestCase):
    """hub.key."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.file = self.folder / "hub.key"

    def test_same_key_after_a_restart(self) -> None:
        """It is who the hub is."""
        made = load_or_make_key(self.folder)
        self.assertEqual(load_or_make_key(self.folder).public, made.public)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    def test_broken_key_is_never_replaced(self) -> None:
        """Another key would be another hub: a person decides."""
        self.file.write_bytes(b"-----BEGIN")
        self.file.chmod(0o600)
        error = self.assertRaises(KeyRefused, load_or_make_key, self.folder)
        self.assertIn("backup", str(error))
        self.assertEqual(self.file.read_bytes(), b"-----BEGIN")

    def test_key_that_others_read_is_refused(self) -> None:
        """The line says what to run."""
        load_or_make_key(self.folder)
        self.file.chmod(0o644)
        error = self.assertRaises(KeyRefused, load_or_make_key, self.folder)
        self.assertIn("chmod 600", str(error))

    def test_half_made_key_of_a_kill_is_no_obstacle(self) -> None:
        """It stands under another name until it is whole."""
        (self.folder / "hub.key.new").write_bytes(b"half")
        load_or_make_key(self.folder)
        self.assertFalse((self.folder / "hub.key.new").exists())


class WordsTests(SynchronousTestCase):
    """What is signed, letter for letter (docs/protocols/hub.md)."""

    def test_signed_texts(self) -> None:
        """Both sides must build the same."""
        private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        key = HubKey(private)
        proof = private.sign(f"mosaic-hub-enrol\n7KQ2MXW9RD\n{key.public}".encode())
        self.assertEqual(key.prove_enrolment("7KQ2MXW9RD"), to_base64url(proof))
        signature = private.sign(b"mosaic-hub-token\n412907338\n1790000000\nabc")
        self.assertEqual(
            key.prove_token("412907338", 1790000000, "abc"), to_base64url(signature)
        )

    def test_nonce_has_the_form(self) -> None:
        """16 to 64 characters of A-Za-z0-9_-."""
        self.assertRegex(new_nonce(), r"\A[A-Za-z0-9_-]{16,64}\Z")

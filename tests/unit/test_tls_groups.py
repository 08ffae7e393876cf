"""The curves are pinned before OpenSSL loads, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mosaic.tls import groups


class PinGroupsTests(SynchronousTestCase):
    """The file, and the variable that names it."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.environment = dict(os.environ)
        self.environment.pop("OPENSSL_CONF", None)
        self.patch(os, "environ", self.environment)
        self.patch(groups, "openssl_is_loaded", lambda: False)

    def test_file_is_written_and_named(self) -> None:
        """OpenSSL reads it at load: the interop tests see the curves change."""
        self.assertTrue(groups.pin_groups(self.state))
        path = Path(self.environment["OPENSSL_CONF"])
        self.assertEqual(path, (self.state / "tls" / "openssl.cnf").absolute())
        self.assertIn("Groups = X25519:P-256:P-384", path.read_text())
        self.assertEqual([entry.name for entry in path.parent.iterdir()], [path.name])
        self.assertEqual(self.state.stat().st_mode & 0o777, 0o700)

    def test_second_call_agrees(self) -> None:
        """A restart in the same environment."""
        self.assertTrue(groups.pin_groups(self.state))
        self.assertTrue(groups.pin_groups(self.state))

    def test_operators_own_file_stays(self) -> None:
        """He may have reasons: FIPS, a hardware engine."""
        self.environment["OPENSSL_CONF"] = "/etc/ssl/fips.cnf"
        self.assertFalse(groups.pin_groups(self.state))
        self.assertEqual(self.environment["OPENSSL_CONF"], "/etc/ssl/fips.cnf")
        self.assertFalse(self.state.exists())

    def test_too_late_changes_nothing(self) -> None:
        """OpenSSL has read its configuration; the caller is told."""
        self.patch(groups, "openssl_is_loaded", lambda: True)
        self.assertFalse(groups.pin_groups(self.state))
        self.assertNotIn("OPENSSL_CONF", self.environment)

    def test_a_folder_that_cannot_be_written_is_no_crash(self) -> None:
        """The start goes on to the check that says what is wrong with it."""
        self.state.write_text("a file")
        self.assertFalse(groups.pin_groups(self.state))
        self.assertNotIn("OPENSSL_CONF", self.environment)

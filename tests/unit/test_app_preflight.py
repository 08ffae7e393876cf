"""What is said before anything starts."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mosaic.app.preflight import problems
from mosaic.config.load import load_settings


class SecretTests(SynchronousTestCase):
    """Files with secrets of components (XEP-0114)."""

    def found(self, secret: Path) -> list[str]:
        """Problems with them, as one line each."""
        settings = load_settings(
            None,
            {
                "state": self.mktemp(),
                "xmpp": {
                    "component": "tcp:127.0.0.1:5347",
                    "component_domain": "mosaic.example.org",
                    "component_secret_file": str(secret),
                    "components_listen": "tcp:5348:interface=127.0.0.1",
                    "components": [
                        {"domain": "a.example.org", "secret_file": str(secret)}
                    ],
                },
            },
        )
        return [str(one) for one in problems(settings) if "secret" in one.key]

    def test_a_file_that_is_missing(self) -> None:
        """Both keys are named, once, with the file and why."""
        missing = Path(self.mktemp())
        first, second = self.found(missing)
        self.assertEqual(
            first,
            f"xmpp.component_secret_file: {str(missing)!r} cannot be read: "
            "No such file or directory",
        )
        self.assertTrue(second.startswith("xmpp.components[0].secret_file: "))

    def test_a_good_file(self) -> None:
        """Nothing is said."""
        secret = Path(self.mktemp())
        secret.write_text("open sesame\n")
        self.assertEqual(self.found(secret), [])

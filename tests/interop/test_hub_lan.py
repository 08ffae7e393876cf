"""Ten digits on the LAN: announced, found, and gone."""

from __future__ import annotations

import json
import subprocess
import sys
from unittest import TestCase

from tests.support.running import environment


class LanTests(TestCase):
    """Multicast on loopback, in a process with asyncio's reactor."""

    def test_hub_is_found_by_its_offline_id_while_it_is_there(self) -> None:
        """Both ends are ours; the wire between them is real mDNS."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.lan_child"],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        found, gone = json.loads(done.stdout)
        self.assertEqual(found["server"], "https://hub.example.org")
        self.assertEqual(found["name"], "Lisbon")
        self.assertIn("no hub with the number 9178260585", gone)

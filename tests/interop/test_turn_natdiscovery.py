"""coturn's RFC 5780 client, as Debian ships it, against our server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from unittest import SkipTest, TestCase

from tests.interop.turn_process import ServerProcess

TOOL = "turnutils_natdiscovery"
HOSTS = ("127.0.0.1", "127.0.0.2")


def free_on_both() -> int:
    """A UDP port that is free on both hosts."""
    for _ in range(100):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
        ):
            one.bind((HOSTS[0], 0))
            port = int(one.getsockname()[1])
            try:
                two.bind((HOSTS[1], port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free on both hosts")


class NatDiscoveryTests(TestCase):
    """There is no NAT on loopback, and that is what it must find out."""

    def setUp(self) -> None:
        """Our server on two hosts and two ports."""
        if shutil.which(TOOL) is None:
            if os.environ.get("CI") == "true":
                self.fail(f"{TOOL} must be installed in CI")
            raise SkipTest(f"{TOOL} is not installed (Debian: coturn)")
        self.port = free_on_both()
        other = free_on_both()
        while other == self.port:
            other = free_on_both()
        server = ServerProcess(
            f"--nat={HOSTS[0]}:{self.port}", f"--nat={HOSTS[1]}:{other}"
        )
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)

    def discover(self, *flags: str) -> str:
        """What the tool says."""
        done = subprocess.run(
            [TOOL, *flags, "-p", str(self.port), HOSTS[0]],
            capture_output=True,
            timeout=60,
        )
        said = (done.stdout + done.stderr).decode(errors="replace")
        self.assertEqual(done.returncode, 0, said)
        return said

    def test_mapping_and_filtering(self) -> None:
        """RFC 5780 sections 4.3 and 4.4, with every answer from where it must be."""
        said = self.discover("-m", "-f")
        self.assertIn("NAT with Endpoint Independent Mapping!", said)
        self.assertIn("NAT with Endpoint Independent Filtering!", said)

    def test_padding(self) -> None:
        """Section 7.6."""
        self.assertIn("RFC 5780", self.discover("-m", "-P"))

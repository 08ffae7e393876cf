"""A whole server process: pinned curves, inherited sockets, and sslyze's verdict."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.tls_clients import (
    client_context,
    connect,
    converse,
    server_process,
)

SSLYZE = os.environ.get("MOSAIC_SSLYZE", "")
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class ProcessTests(SynchronousTestCase):
    """What can only be seen from outside."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp()).absolute()
        self.folder = self.state / "tls"

    def test_curves_are_those_of_the_intermediate_profile(self) -> None:
        """OpenSSL's own list has two more, and pyOpenSSL cannot change it."""
        refused, served = [], []
        with server_process(self.state, "mosaic-tls:0:interface=127.0.0.1") as (port,):
            for curve in ("X25519", "prime256v1", "secp384r1", "X448", "secp521r1"):
                context = client_context(self.folder, curve=curve)
                try:
                    connect(port, context).close()
                except ssl.SSLError:
                    refused.append(curve)
                else:
                    served.append(curve)
        self.assertEqual(served, ["X25519", "prime256v1", "secp384r1"])
        self.assertEqual(refused, ["X448", "secp521r1"])

    def test_tls_on_a_socket_that_systemd_opened(self) -> None:
        """Chosen by name and by index; the port number is the socket's own."""
        for choice in ("name=web", "index=0"):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                colons = rf"systemd\:domain=INET\:{choice}"
                with server_process(
                    self.state, f"mosaic-tls:on={colons}", listener=listener
                ) as (port,):
                    self.assertEqual(port, listener.getsockname()[1])
                    with connect(port, client_context(self.folder)) as tls:
                        answer = converse(tls, GET, until=b"http 127.0.0.1")
            self.assertIn(b"http 127.0.0.1", answer)

    def test_sslyze_finds_the_intermediate_profile_kept(self) -> None:
        """Mozilla's profile, certificate included, with our authority trusted."""
        if not SSLYZE:
            if os.environ.get("CI") == "true":
                self.fail("MOSAIC_SSLYZE must name the sslyze program in CI")
            self.skipTest("MOSAIC_SSLYZE does not name the sslyze program")
        with server_process(self.state, "mosaic-tls:0:interface=127.0.0.1") as (port,):
            scan = subprocess.run(
                [
                    SSLYZE,
                    "--mozilla_config=intermediate",
                    f"--certinfo_ca_file={self.folder / 'ca.pem'}",
                    f"localhost:{port}",
                ],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        self.assertIn(f"localhost:{port}: OK - Compliant.", scan.stdout)
        self.assertEqual(scan.returncode, 0, scan.stdout + scan.stderr)

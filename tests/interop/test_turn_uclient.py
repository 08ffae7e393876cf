"""coturn's own client, as Debian ships it, against our server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from unittest import SkipTest, TestCase

from tests.interop.turn_process import ServerProcess

UCLIENT = "turnutils_uclient"
PEER = "turnutils_peer"
FLAGS = {"udp": [], "udp6": ["-x"], "tcp": ["-t"], "tls": ["-t", "-S"], "dtls": ["-S"]}


def free_udp_port() -> int:
    """A port that nobody has: the tools share ports silently."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class UclientTests(TestCase):
    """Each mode must end with nothing lost."""

    def setUp(self) -> None:
        """Our server, and coturn's echo peer."""
        if shutil.which(UCLIENT) is None:
            if os.environ.get("CI") == "true":
                self.fail(f"{UCLIENT} must be installed in CI")
            raise SkipTest(f"{UCLIENT} is not installed (Debian: coturn)")
        self.server = ServerProcess("127.0.0.0/8").__enter__()
        self.addCleanup(self.server.__exit__, None, None, None)
        self.peer_port = free_udp_port()
        peer = subprocess.Popen(
            [PEER, "-L", "127.0.0.1", "-p", str(self.peer_port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(peer.wait, 10)
        self.addCleanup(peer.terminate)

    def run_uclient(self, transport: str, *flags: str) -> None:
        """Two clients, ten messages each."""
        told = self.server.told
        to_peer = ["-e", "127.0.0.1", "-r", str(self.peer_port)]
        done = subprocess.run(
            [
                UCLIENT, "-c", "-n", "10", "-m", "2",
                "-u", told["username"], "-w", told["password"],
                "-p", str(told[transport]),
                *FLAGS[transport],
                *flags, *([] if "-y" in flags else to_peer),
                "::1" if transport == "udp6" else "127.0.0.1",
            ],
            capture_output=True,
            text=True,
            timeout=60,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout[-2000:])
        self.assertIn("Total lost packets 0 ", done.stdout)

    def test_udp_channels(self) -> None:
        """ChannelBind and ChannelData."""
        self.run_uclient("udp")

    def test_udp_send(self) -> None:
        """CreatePermission, Send and Data."""
        self.run_uclient("udp", "-s")

    def test_udp_between_clients(self) -> None:
        """Both ends are relayed here: the hairpin."""
        self.run_uclient("udp", "-y")

    def test_udp_send_between_clients(self) -> None:
        """The hairpin with indications."""
        self.run_uclient("udp", "-y", "-s")

    def test_ipv6_between_clients(self) -> None:
        """IPv6 on both legs: the hairpin between IPv6 relays."""
        self.run_uclient("udp6", "-y")

    def test_tcp(self) -> None:
        """Padded frames over a stream."""
        self.run_uclient("tcp")

    def test_tcp_between_clients(self) -> None:
        """Stream to stream, with indications."""
        self.run_uclient("tcp", "-y", "-s")

    def test_tls(self) -> None:
        """The same behind TLS.

        This client takes whatever one SSL_read gives for one message, so its
        messages must not meet in one record: one session, 200 ms apart.
        """
        self.run_uclient("tls", "-m", "1", "-z", "200")

    def test_dtls(self) -> None:
        """One record is one message, however many there are."""
        self.run_uclient("dtls")

    def test_dtls_send(self) -> None:
        """With indications."""
        self.run_uclient("dtls", "-s")

    def test_dtls_between_clients(self) -> None:
        """Behind DTLS at both ends."""
        self.run_uclient("dtls", "-y")

    def test_tls_between_clients(self) -> None:
        """Behind TLS at both ends."""
        self.run_uclient("tls", "-y", "-m", "1", "-z", "200")

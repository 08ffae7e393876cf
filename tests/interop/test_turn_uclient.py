"""coturn's own client, as Debian ships it, against our server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import suppress
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
        self.server = ServerProcess("127.0.0.0/8", "::1/128").__enter__()
        self.addCleanup(self.server.__exit__, None, None, None)
        self.peer_port = free_udp_port()
        peer = subprocess.Popen(
            [PEER, "-L", "127.0.0.1", "-L", "::1", "-p", str(self.peer_port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(peer.wait, 10)
        self.addCleanup(peer.terminate)

    def command(self, transport: str, *flags: str) -> list[str]:
        """Two clients, ten messages each."""
        told = self.server.told
        host = "::1" if "-x" in flags else "127.0.0.1"
        to_peer = ["-e", host, "-r", str(self.peer_port)]
        return [
            UCLIENT, "-c", "-n", "10", "-m", "2",
            "-u", told["username"], "-w", told["password"],
            "-p", str(told[transport]),
            *FLAGS[transport],
            *flags, *([] if {"-y", "-T", "-P"} & set(flags) else to_peer),
            "::1" if transport == "udp6" else "127.0.0.1",
        ]  # fmt: skip

    def run_uclient(self, transport: str, *flags: str) -> None:
        """It ends well, and nothing was lost."""
        done = subprocess.run(
            self.command(transport, *flags), capture_output=True, timeout=60
        )
        said = done.stdout.decode(errors="replace")
        self.assertEqual(done.returncode, 0, said[-2000:])
        self.assertIn("Total lost packets 0 ", said)

    def run_loosely(self, *flags: str) -> None:
        """Ten seconds of it, however it ends."""
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(self.command("udp", *flags), capture_output=True, timeout=10)

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

    def test_ipv6_relay(self) -> None:
        """-x: an IPv6 relay for a client on IPv4, and an IPv6 peer."""
        self.run_uclient("udp", "-x")

    def test_ipv4_relay_by_name(self) -> None:
        """-X: REQUESTED-ADDRESS-FAMILY says IPv4."""
        self.run_uclient("udp", "-X")

    def test_dual_allocation(self) -> None:
        """-Z: ADDITIONAL-ADDRESS-FAMILY, to a peer and between clients."""
        self.run_uclient("udp", "-Z")
        self.run_uclient("udp", "-Z", "-y")

    def test_dual_allocation_over_tcp(self) -> None:
        """-Z: the same over a stream."""
        self.run_uclient("tcp", "-Z")

    def test_mobility(self) -> None:
        """-M: every client moves to another socket (RFC 8016)."""
        self.run_uclient("udp", "-M")
        self.run_uclient("udp", "-M", "-y")

    def test_mobility_over_tcp(self) -> None:
        """-M: the connection is closed, the allocation lives on."""
        self.run_uclient("tcp", "-M")

    def test_dont_fragment(self) -> None:
        """-g: in Allocate and in every Send."""
        self.run_uclient("udp", "-g")
        self.run_uclient("udp", "-g", "-s")

    def test_padded_channel_data(self) -> None:
        """-D: padding over UDP is passed over."""
        self.run_uclient("udp", "-D")

    def test_extra_requests(self) -> None:
        """-G: more permissions and channels than are used."""
        self.run_uclient("udp", "-G")
        self.run_uclient("tcp", "-G")

    def test_random_disconnects(self) -> None:
        """-B: clients that go without a word leave the others alone."""
        self.run_uclient("udp", "-B")
        self.run_uclient("udp")

    def test_connect_and_go(self) -> None:
        """-O: allocations made and left; the next client is served."""
        self.run_loosely("-O")
        self.run_uclient("udp")

    def test_negative_requests(self) -> None:
        """-N -R: broken requests on purpose. They meet errors, which end the
        tool one way or another; the server serves on."""
        self.run_loosely("-N", "-R")
        self.run_uclient("udp")

    def test_tcp(self) -> None:
        """Padded frames over a stream."""
        self.run_uclient("tcp")

    def test_tcp_between_clients(self) -> None:
        """Stream to stream, with indications."""
        self.run_uclient("tcp", "-y", "-s")

    def test_tcp_allocations(self) -> None:
        """-T: connections between relayed addresses (RFC 6062)."""
        self.run_uclient("tcp", "-T")
        self.run_uclient("tcp", "-T", "-x")

    def test_tcp_allocations_behind_tls(self) -> None:
        """-T: the control and data connections are TLS."""
        self.run_uclient("tls", "-T", "-m", "1", "-z", "200")

    def test_passive_tcp_allocations(self) -> None:
        """-P: the peer connects. One side of each pair never sends in this
        mode, and the tool counts that as lost: half, against Debian's own
        server as well."""
        done = subprocess.run(
            self.command("tcp", "-P"), capture_output=True, timeout=60
        )
        said = done.stdout.decode(errors="replace")
        self.assertEqual(done.returncode, 0, said[-2000:])
        self.assertIn("Total lost packets 10 (50.000000%)", said)

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

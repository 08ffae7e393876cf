"""What strangers and clients may not do, on the real server."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from ipaddress import ip_address
from unittest import TestCase

from mosaic.services.turn.listen import has_ipv6
from mosaic.wire.stun.address import Address
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.peers import special
from tests.interop.turn_process import ROOT, ServerProcess
from tests.support.turn_client import UdpClient
from tests.support.udp import code_of, send_indication

LOCAL_V4 = (
    "127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "0.0.0.0", "0.0.0.1",
)  # fmt: skip
"""Each of them reaches a listener of this machine, if a relay lets it."""

LOCAL_V6 = (
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0.0.0.0",
    "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b:1::127.0.0.1",
    "2002:7f00:1::", "2002:7f00:1::1", "2001:0:7f00:1::",
    "2001::80ff:fffe",
)  # fmt: skip
"""The same in the notations that have passed other relays (CVE-2020-26262,
CVE-2026-27624): mapped, translated, compatible, NAT64, 6to4, Teredo."""

SPECIAL_V4 = (
    "10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
    "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255",
)  # fmt: skip
SPECIAL_V6 = (
    *(f"::ffff:{host}" for host in SPECIAL_V4),
    *(f"64:ff9b::{host}" for host in SPECIAL_V4),
    *(f"::ffff:0:{host}" for host in SPECIAL_V4),
    "100::1", "2001:db8::1", "2001:2::1", "2001:10::1", "2002:c0a8:101::1",
    "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1",
    "ff02::1", "ff0e::1", "4000::1",
)  # fmt: skip
"""Peers that need not exist for a refusal to be seen."""

CHANNEL = 0x4000


class Listener:
    """Hears whatever comes to one port of this machine, over both families."""

    def __init__(self) -> None:
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
        self.sockets[0].bind(("", 0))
        self.port = int(self.sockets[0].getsockname()[1])
        if has_ipv6():
            second = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            second.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            second.bind(("::", self.port))
            self.sockets.append(second)

    def close(self) -> None:
        """Both."""
        for sock in self.sockets:
            sock.close()

    def heard(self, wait_s: float) -> list[bytes]:
        """Everything that has come, after a while without anything."""
        got: list[bytes] = []
        while ready := select.select(self.sockets, [], [], wait_s)[0]:
            got += [sock.recv(2048) for sock in ready]
        return got


class DeniedPeerTests(TestCase):
    """Every notation, every way to name a peer, a listener that hears nothing."""

    def setUp(self) -> None:
        """A listener on every address of this machine."""
        self.listener = Listener()
        self.addCleanup(self.listener.close)

    def client(self, server: ServerProcess, family: int) -> UdpClient:
        """With an allocation of a family."""
        told = server.told
        made = UdpClient(
            ("127.0.0.1", told["udp"]), (told["username"], told["password"])
        )
        self.addCleanup(made.sock.close)
        answer = made.allocate((turn.REQUESTED_ADDRESS_FAMILY, family))
        self.assertEqual(code_of(answer), 0)
        return made

    def refused_everywhere(self, client: UdpClient, hosts: tuple[str, ...]) -> None:
        """In CreatePermission and ChannelBind; Send and ChannelData pass nothing."""
        for at, host in enumerate(hosts):
            peer, channel = Address(str(ip_address(host)), self.listener.port), CHANNEL
            self.assertEqual(code_of(client.permit(peer)), 403, host)
            self.assertEqual(code_of(client.bind(channel + at, peer)), 403, host)
            client.sock.send(send_indication(peer, b"send " + host.encode()))
            frame = (channel + at).to_bytes(2, "big") + b"\0\4chan"
            client.sock.send(frame)

    def test_ipv4(self) -> None:
        """From an IPv4 relay, and nothing was heard."""
        with ServerProcess() as server:
            client = self.client(server, 4)
            self.refused_everywhere(client, LOCAL_V4 + SPECIAL_V4)
            self.assertEqual(self.listener.heard(0.3), [])

    def test_ipv6(self) -> None:
        """From an IPv6 relay."""
        if not has_ipv6():
            self.skipTest("this machine has no IPv6")
        with ServerProcess() as server:
            client = self.client(server, 6)
            self.refused_everywhere(client, LOCAL_V6 + SPECIAL_V6)
            self.assertEqual(self.listener.heard(0.3), [])

    def test_own_addresses_of_this_machine(self) -> None:
        """Also those that routing would use, whatever they are."""
        hosts = tuple(
            sorted(
                {
                    str(info[4][0])
                    for info in socket.getaddrinfo(socket.gethostname(), 1)
                }
            )
        )
        v4 = tuple(host for host in hosts if ":" not in host and special(host))
        with ServerProcess() as server:
            self.refused_everywhere(self.client(server, 4), v4)
            self.assertEqual(self.listener.heard(0.3), [])

    def test_the_listener_would_have_heard(self) -> None:
        """With loopback allowed it does: the other tests can fail."""
        with ServerProcess("127.0.0.0/8") as server:
            client = self.client(server, 4)
            for host in ("127.0.0.1", "127.0.0.2", "127.1.2.3"):
                peer = Address(host, self.listener.port)
                self.assertEqual(code_of(client.permit(peer)), 0)
                client.sock.send(send_indication(peer, host.encode()))
                self.assertEqual(self.listener.heard(0.3), [host.encode()])

    def test_every_notation_is_special(self) -> None:
        """The lists themselves: more than 26, and no public address in them."""
        hosts = (*LOCAL_V4, *LOCAL_V6, *SPECIAL_V4, *SPECIAL_V6)
        self.assertGreater(len(set(hosts)), 80)
        for host in hosts:
            self.assertIsNotNone(special(str(ip_address(host))), host)


class FloodTests(TestCase):
    """Allocates of strangers cost no memory."""

    def test_200_000_unauthenticated_allocates(self) -> None:
        """From random sources, bare and with made-up credentials.

        tests/bench/turn/flood.py runs a million.
        """
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.allocate_flood", "200000"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual((told["asked"], told["allocations"]), (200_000, 0))
        self.assertGreater(told["answered"], 100_000)
        self.assertLess(told["answer_bytes_per_asked"], 2)
        self.assertLess(told["grown_kib"], 1024)

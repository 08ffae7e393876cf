"""Listeners beside the plane's: DTLS and the PROXY protocol, on real sockets."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from pathlib import Path
from unittest import TestCase

from mosaic.wire.proxy import encode_proxied
from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address
from mosaic.wire.stun.message import Class, Method, encode, parse
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.channel import encode_channel_data
from tests.interop.turn_process import ServerProcess
from tests.support.turn_client import UdpClient
from tests.support.udp import code_of, transaction
from tests.unit.test_turn_dtls import DoorCase


class BalancedClient(UdpClient):
    """A client of a balancer that claims a source for it."""

    def __init__(self, server: tuple[str, int], login: tuple[str, str]) -> None:
        super().__init__(server, login)
        self.source = Address("203.0.113.77", 4711)
        self.bare = self.sock
        self.sock = self  # type: ignore[assignment] # send and recv are all that is used

    def send(self, data: bytes) -> None:
        """With the header, from the balancer's socket."""
        to = Address("198.51.100.1", 3478)
        self.bare.send(encode_proxied(self.source, to, data))

    def recv(self, size: int) -> bytes:
        """Answers are bare."""
        return self.bare.recv(size)


class ProxiedTests(TestCase):
    """`udp:PORT:proxy=v2`."""

    def setUp(self) -> None:
        """A server with such a listener, and an echo peer of ours."""
        self.server = ServerProcess("127.0.0.0/8").__enter__()
        self.addCleanup(self.server.__exit__, None, None, None)
        told = self.server.told
        self.address = ("127.0.0.1", told["proxied"])
        self.login = (told["username"], told["password"])
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.peer.close)
        self.peer.bind(("127.0.0.1", 0))
        self.peer.settimeout(30)

    def test_the_client_is_who_the_balancer_names(self) -> None:
        """Mapped address, data both ways, and a balancer that changes its port."""
        client = BalancedClient(self.address, self.login)
        self.addCleanup(client.bare.close)
        answer = client.allocate()
        self.assertEqual(code_of(answer), 0)
        self.assertEqual(answer.first(stun.XOR_MAPPED_ADDRESS), client.source)
        relayed = answer.first(turn.XOR_RELAYED_ADDRESS)
        assert relayed is not None
        peer = Address(*self.peer.getsockname())
        self.assertEqual(code_of(client.bind(0x4000, peer)), 0)
        for _ in range(2):
            frame = encode_channel_data(0x4000, b"hello", stream=False)
            client.send(frame)
            self.assertEqual(self.peer.recvfrom(100), (b"hello", tuple(relayed)))
            self.peer.sendto(b"hello", relayed)
            self.assertEqual(client.recv(100), frame)
            client.bare.close()
            client.bare = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.bare.settimeout(30)
            client.bare.connect(self.address)

    def test_without_a_header_there_is_no_answer(self) -> None:
        """Whoever reaches the port directly is not served as himself."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(self.address)
            binding = encode(Method.BINDING, Class.REQUEST, transaction())
            sock.send(binding)
            here = Address(*sock.getsockname())
            there = Address(*self.address)
            sock.send(encode_proxied(here, there, binding))
            sock.settimeout(30)
            answer = parse(sock.recv(100))
            self.assertEqual(answer.first(stun.XOR_MAPPED_ADDRESS), here)
            sock.settimeout(0.2)
            self.assertRaises(TimeoutError, sock.recv, 100)


class TicketTests(TestCase):
    """openssl's own client against our DTLS."""

    def test_session_is_resumed_by_ticket(self) -> None:
        """The second handshake is short; nothing is kept here."""
        with ServerProcess() as server, tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / "session"
            outputs = [
                self.s_client(server.told["dtls"], flag, str(kept))
                for flag in ("-sess_out", "-sess_in")
            ]
        self.assertIn("New, TLSv1.2", outputs[0])
        self.assertIn("Reused, TLSv1.2", outputs[1])
        for output in outputs:
            self.assertIn("ALPN protocol: stun.turn", output)

    def s_client(self, port: int, *flags: str) -> str:
        """What it says about its session."""
        done = subprocess.run(
            [
                "openssl", "s_client", "-dtls1_2", "-alpn", "stun.turn",
                "-connect", f"127.0.0.1:{port}", *flags,
            ],
            input="Q\n",
            capture_output=True,
            text=True,
            timeout=20,
        )  # fmt: skip
        return done.stdout


class ResendTests(DoorCase):
    """OpenSSL's timer follows the wall clock: this test waits a second."""

    def test_lost_flight_is_sent_again(self) -> None:
        """RFC 6347 section 4.2.4."""
        client = self.client()
        client.step()
        client.take_in()
        client.lose = True
        client.step()
        client.lose = False
        self.assertEqual(client.heard, [])
        time.sleep(1.1)
        self.clock.pump([0.5] * 3)
        self.assertTrue(client.heard)
        client.take_in()
        client.shake()
        self.assertIn(client.five_tuple, self.owner.open)

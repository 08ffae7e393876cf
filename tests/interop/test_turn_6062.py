"""RFC 6062 over real sockets: both ways of connecting, and slow readers."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any
from unittest import TestCase

from mosaic.wire.stun.address import Address
from mosaic.wire.stun.attributes import Attribute
from mosaic.wire.stun.message import Class, Method, parse
from mosaic.wire.turn import attributes as turn
from tests.interop.test_turn_tls import TlsClient
from tests.interop.turn_process import ServerProcess
from tests.support.udp import code_of

UDP_OR_TCP: Attribute[int] = turn.REQUESTED_TRANSPORT
MUCH = 64 << 20
CHUNK = bytes(range(256)) * 256


class TcpRelayTests(TestCase):
    """The client speaks TLS; peers speak TCP."""

    def setUp(self) -> None:
        """A TCP allocation, with the peer's host permitted."""
        server = ServerProcess("127.0.0.0/8")
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        self.told = server.told
        self.control = self.client()
        answer = self.control.ask(Method.ALLOCATE, [(UDP_OR_TCP, 6)])
        relayed = answer.first(turn.XOR_RELAYED_ADDRESS)
        assert relayed is not None
        self.relayed = relayed
        here = Address("127.0.0.1", 1)
        self.control.ask(Method.CREATE_PERMISSION, [(turn.XOR_PEER_ADDRESS, here)])

    def client(self) -> TlsClient:
        """Another connection of the client."""
        told = self.told
        made = TlsClient(told["tls"], told["username"], told["password"])
        made.sock.settimeout(30)
        self.addCleanup(made.sock.close)
        return made

    def peer(self) -> socket.socket:
        """A peer that listens."""
        made = socket.create_server(("127.0.0.1", 0))
        made.settimeout(30)
        self.addCleanup(made.close)
        return made

    def bind(self, connection: Any) -> socket.socket:
        """A data connection of the client, joined to a peer's."""
        data = self.client()
        answer = data.ask(Method.CONNECTION_BIND, [(turn.CONNECTION_ID, connection)])
        self.assertEqual(code_of(answer), 0)
        return data.sock

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Both ends of a connection that the client asked for."""
        listener = self.peer()
        host, port = listener.getsockname()
        peer = (turn.XOR_PEER_ADDRESS, Address(host, port))
        answer = self.control.ask(Method.CONNECT, [peer])
        self.assertEqual(code_of(answer), 0)
        far, (host, port) = listener.accept()
        far.settimeout(30)
        self.addCleanup(far.close)
        self.assertEqual(Address(host, port), self.relayed)
        return self.bind(answer.first(turn.CONNECTION_ID)), far

    def test_connect_comes_from_the_relayed_address(self) -> None:
        """Section 5.2; what the peer says before the bind is kept for it."""
        near, far = self.connect()
        far.sendall(b"first")
        self.assertEqual(near.recv(100), b"first")
        near.sendall(b"second")
        self.assertEqual(far.recv(100), b"second")

    def test_early_words_of_a_peer_are_kept(self) -> None:
        """Section 5.3: it may speak before the client has bound."""
        with closing(socket.create_connection(self.relayed, 10)) as far:
            far.sendall(b"early")
            told = parse(self.control.next())
            self.assertEqual(told.method, Method.CONNECTION_ATTEMPT)
            self.assertEqual(told.cls, Class.INDICATION)
            near = self.bind(told.first(turn.CONNECTION_ID))
            self.assertEqual(near.recv(100), b"early")

    def test_end_of_one_side_is_the_end_of_the_other(self) -> None:
        """Whichever it is, after all that was sent."""
        near, far = self.connect()
        far.sendall(CHUNK)
        far.close()
        self.assertEqual(self.read_all(near), CHUNK)
        near, far = self.connect()
        near.sendall(CHUNK)
        near.close()
        self.assertEqual(self.read_all(far), CHUNK)

    def read_all(self, sock: socket.socket) -> bytes:
        """Everything until its end."""
        parts = []
        while part := sock.recv(65536):
            parts.append(part)
        return b"".join(parts)

    def test_end_of_the_allocation_ends_it(self) -> None:
        """Nothing outlives it."""
        near, far = self.connect()
        self.control.ask(Method.REFRESH, [(turn.LIFETIME, 0)])
        for end in (near, far):
            try:
                self.assertEqual(end.recv(100), b"")
            except ConnectionResetError:
                continue

    def test_stranger_at_the_relayed_address_is_closed(self) -> None:
        """Without a permission nobody gets in."""
        try:
            with socket.create_connection(self.relayed, 10, ("127.0.0.9", 0)) as far:
                self.assertEqual(far.recv(100), b"")
        except ConnectionResetError:
            return  # it may come as early as in the connect

    def test_refused_connection_is_447(self) -> None:
        """Nobody listens there."""
        listener = self.peer()
        host, port = listener.getsockname()
        listener.close()
        peer = (turn.XOR_PEER_ADDRESS, Address(host, port))
        self.assertEqual(code_of(self.control.ask(Method.CONNECT, [peer])), 447)

    def test_slow_reader_stops_the_writer_both_ways(self) -> None:
        """What is under way is what sockets hold, not what is sent."""
        near, far = self.connect()
        for writer, reader in ((near, far), (far, near)):
            writer.settimeout(1.0)
            sent = 0
            try:
                while sent < MUCH:
                    sent += writer.send(CHUNK)
            except TimeoutError:
                pass
            self.assertLess(sent, MUCH)
            received = 0
            reader.settimeout(1.0)
            try:
                while received < sent:
                    received += len(reader.recv(1 << 20))
            except TimeoutError:
                pass
            # a TLS socket that timed out may have taken one chunk more
            self.assertLessEqual(abs(received - sent), len(CHUNK))

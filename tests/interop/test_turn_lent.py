"""A client of a real server, over TCP or TLS: its connection goes to the plane and
comes back."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.stun.address import Address
from mosaic.wire.stun.framing import StreamSplitter
from mosaic.wire.stun.message import Class, Method, encode, parse
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.channel import decode_channel_data, encode_channel_data
from tests.support.running import RunningMosaic
from tests.support.turn_client import UdpClient
from tests.support.udp import code_of

BINDING = encode(Method.BINDING, Class.REQUEST, b"t" * 12)


class Stream:
    """What a client of datagrams takes for its socket: messages over TCP."""

    def __init__(
        self, server: tuple[str, int], tls: ssl.SSLContext | None = None
    ) -> None:
        self.sock = socket.create_connection(server, timeout=30)
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock)
        self._splitter = StreamSplitter()
        self._messages: list[bytes] = []

    def send(self, data: bytes) -> None:
        """To the server."""
        self.sock.sendall(data)

    def recv(self, size: int) -> bytes:
        """The next message; b"" at the end of the stream."""
        while not self._messages:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                return b""
            if not data:
                return b""
            self._messages += self._splitter.feed(data)
        return self._messages.pop(0)

    def close(self) -> None:
        """The end."""
        self.sock.close()


class LentTests(SynchronousTestCase):
    """One server, one connection."""

    def test_there_and_back_over_tcp(self) -> None:
        """Data while there is a relay, questions before, between and after."""
        self.there_and_back(None)

    def test_there_and_back_over_tls(self) -> None:
        """OpenSSL goes with the socket, and comes back with it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["stun.turn"])
        self.there_and_back(context)

    def test_a_move_to_another_connection(self) -> None:
        """A ticket moves the relay (RFC 8016), and data with it; what is left is
        an ordinary connection again."""
        config = Path(self.mktemp())
        config.write_text("[turn]\nmobility = true\n")
        server = RunningMosaic(
            "--turn-allow-peer", "127.0.0.0/8", "--config", str(config.resolve())
        )
        self.addCleanup(server.stop)
        server.start()
        login = server.command_json("turn", "credentials")
        where = ("127.0.0.1", server.turn_port)
        client = UdpClient(where, (login["username"], login["credential"]))
        client.sock.close()
        streams = [Stream(where) for _ in range(3)]
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(peer.close)
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(30)
        client.sock = streams[0]  # type: ignore[assignment] # all of it that is used
        answer = client.allocate((turn.MOBILITY_TICKET, b""))
        relayed = answer.first(turn.XOR_RELAYED_ADDRESS)
        ticket = answer.first(turn.MOBILITY_TICKET)
        assert relayed is not None
        self.assertEqual(code_of(client.bind(0x4000, Address(*peer.getsockname()))), 0)
        for stream in streams[1:]:
            client.sock = stream  # type: ignore[assignment]
            answer = client.ask(Method.REFRESH, (turn.MOBILITY_TICKET, ticket))
            ticket = answer.first(turn.MOBILITY_TICKET)
            self.assertEqual(code_of(answer), 0)
            stream.send(encode_channel_data(0x4000, b"moved", stream=True))
            self.assertEqual(peer.recv(2000), b"moved")
            peer.sendto(b"found", tuple(relayed))
            frame = decode_channel_data(stream.recv(2000))
            assert frame is not None
            self.assertEqual(bytes(frame[1]), b"found")
        for stream in streams[:2]:  # they are ordinary connections again
            stream.send(BINDING)
            self.assertEqual(parse(stream.recv(100)).cls, Class.SUCCESS)
            stream.close()
        self.assertEqual(code_of(client.end()), 0)
        streams[2].close()

    def there_and_back(self, tls: ssl.SSLContext | None) -> None:
        """The whole of it."""
        server = RunningMosaic("--turn-allow-peer", "127.0.0.0/8")
        self.addCleanup(server.stop)
        server.start()
        login = server.command_json("turn", "credentials")
        where = ("127.0.0.1", server.turn_port)
        client = UdpClient(where, (login["username"], login["credential"]))
        client.sock.close()
        if tls is not None:
            where = ("127.0.0.1", server.port)
        stream = Stream(where, tls)
        self.addCleanup(stream.close)
        client.sock = stream  # type: ignore[assignment] # all of it that is used
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(peer.close)
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(30)
        for _ in range(2):
            relayed = client.allocate().first(turn.XOR_RELAYED_ADDRESS)
            assert relayed is not None
            self.assertEqual(
                code_of(client.bind(0x4000, Address(*peer.getsockname()))), 0
            )
            for payload in (b"one", b"three", b"v" * 1200):
                stream.send(encode_channel_data(0x4000, payload, stream=True))
                self.assertEqual(peer.recv(2000), payload)
                peer.sendto(payload[::-1], tuple(relayed))
                frame = decode_channel_data(stream.recv(2000))
                assert frame is not None
                self.assertEqual(bytes(frame[1]), payload[::-1])
            stream.send(BINDING)
            self.assertEqual(parse(stream.recv(100)).cls, Class.SUCCESS)
            self.assertEqual(code_of(client.end()), 0)
            stream.send(BINDING[:7])
            stream.send(BINDING[7:])
            self.assertEqual(parse(stream.recv(100)).cls, Class.SUCCESS)
        self.assertEqual(code_of(client.allocate()), 0)
        stream.send(b"\xff no TURN")
        self.assertEqual(stream.recv(1), b"")

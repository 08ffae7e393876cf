"""A burst through TLS: every frame must arrive, whole and in order."""

from __future__ import annotations

import socket
import ssl
from unittest import TestCase

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address
from mosaic.wire.stun.credentials import long_term_key
from mosaic.wire.stun.framing import StreamSplitter
from mosaic.wire.stun.message import (
    Class,
    Message,
    Method,
    encode,
    parse,
)
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.channel import encode_channel_data
from tests.interop.turn_process import ServerProcess
from tests.support.udp import Rows, transaction

FRAME_BYTES = 1200
FRAMES = 170


class TlsClient:
    """A blocking TURN client over TLS."""

    def __init__(self, port: int, username: str, password: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.sock = context.wrap_socket(plain)
        self.username = username
        self.key = long_term_key(username, "mosaic", password)
        self.nonce = ""
        self.splitter = StreamSplitter()
        self.messages: list[bytes] = []

    def next(self) -> bytes:
        """The next whole message."""
        while not self.messages:
            self.messages += self.splitter.feed(self.sock.recv(65536))
        return self.messages.pop(0)

    def ask(self, method: int, rows: Rows) -> Message:
        """A request, and again with the nonce that it was told."""
        for _ in range(2):
            login: Rows = [
                (stun.USERNAME, self.username),
                (stun.REALM, "mosaic"),
                (stun.NONCE, self.nonce),
            ]
            sent = [*rows, *login]
            self.sock.sendall(
                encode(method, Class.REQUEST, transaction(), sent, key=self.key)
            )
            answer = parse(self.next())
            self.nonce = answer.first(stun.NONCE) or self.nonce
            if answer.cls is Class.SUCCESS:
                break
        return answer


class BurstTests(TestCase):
    """A 200 KB video frame is many datagrams at once."""

    def test_nothing_of_a_video_frame_is_lost(self) -> None:
        """The queue is made for it (the default of `turn.queue_bytes`)."""
        with (
            ServerProcess("127.0.0.0/8") as server,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
        ):
            told = server.told
            peer.bind(("127.0.0.1", 0))
            client = TlsClient(told["tls"], told["username"], told["password"])
            self.addCleanup(client.sock.close)
            rows: Rows = [(turn.REQUESTED_TRANSPORT, 17)]
            answer = client.ask(Method.ALLOCATE, rows)
            relayed = answer.first(turn.XOR_RELAYED_ADDRESS)
            assert relayed is not None
            rows = [
                (turn.CHANNEL_NUMBER, 0x4000),
                (turn.XOR_PEER_ADDRESS, Address(*peer.getsockname())),
            ]
            bound = client.ask(Method.CHANNEL_BIND, rows)
            self.assertIs(bound.cls, Class.SUCCESS)
            sent = [at.to_bytes(2, "big") * (FRAME_BYTES // 2) for at in range(FRAMES)]
            # half the relay's receive buffer at a time: its loss is not ours
            for start in range(0, FRAMES, 60):
                burst = sent[start : start + 60]
                for payload in burst:
                    peer.sendto(payload, relayed)
                for payload in burst:
                    frame = encode_channel_data(0x4000, payload, stream=False)
                    self.assertEqual(client.next(), frame)

"""A video frame's burst to a TLS client that is far away."""

from __future__ import annotations

import socket
import time
from unittest import TestCase

from mosaic.wire.stun.address import Address
from mosaic.wire.stun.message import Class, Method
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.channel import encode_channel_data
from tests.interop.test_turn_tls import TlsClient
from tests.interop.turn_process import ServerProcess
from tests.support.delay import DelayProxy
from tests.support.udp import Rows

DATAGRAM_BYTES = 1200
FRAME_BYTES = 200_000
ROUND_TRIP_S = 0.04
WINDOW_BYTES = 65536


class FarAwayTests(TestCase):
    """40 ms, and a window of 64 KiB: the frame takes four round trips."""

    def test_nothing_of_200_kb_is_lost(self) -> None:
        """Where 32 KB of buffer would drop most of it; two frames in a row."""
        with (
            ServerProcess("127.0.0.0/8") as server,
            DelayProxy(
                ("127.0.0.1", server.told["tls"]),
                delay_s=ROUND_TRIP_S / 2,
                window_bytes=WINDOW_BYTES,
            ) as path,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
        ):
            told = server.told
            peer.bind(("127.0.0.1", 0))
            client = TlsClient(path.port, told["username"], told["password"])
            self.addCleanup(client.sock.close)
            relayed = self.open(client, Address(*peer.getsockname()))
            for frame in range(2):
                began = time.monotonic()
                sent = [
                    b"%d %06d " % (frame, at) + bytes(DATAGRAM_BYTES - 9)
                    for at in range(-(-FRAME_BYTES // DATAGRAM_BYTES))
                ]
                for at, payload in enumerate(sent):
                    peer.sendto(payload, relayed)
                    # The relay's socket is not what is measured: let it read.
                    if at % 50 == 49:
                        time.sleep(0.002)
                for payload in sent:
                    expected = encode_channel_data(0x4000, payload, stream=True)
                    self.assertEqual(client.next()[: len(expected)], expected)
                # It was far away indeed: not all of it came at once.
                self.assertGreater(time.monotonic() - began, 2 * ROUND_TRIP_S)

    def open(self, client: TlsClient, peer: Address) -> Address:
        """An allocation with a channel to the peer; the relayed address."""
        rows: Rows = [(turn.REQUESTED_TRANSPORT, 17)]
        relayed = client.ask(Method.ALLOCATE, rows).first(turn.XOR_RELAYED_ADDRESS)
        assert relayed is not None
        rows = [(turn.CHANNEL_NUMBER, 0x4000), (turn.XOR_PEER_ADDRESS, peer)]
        self.assertIs(client.ask(Method.CHANNEL_BIND, rows).cls, Class.SUCCESS)
        return relayed

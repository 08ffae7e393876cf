"""The PROXY protocol on datagrams."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import binary, integers, ip_addresses, tuples
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.proxy import (
    SIGNATURE,
    ProxyHeaderError,
    encode_proxied,
    parse_proxied,
)
from mosaic.wire.stun.address import Address, canonical

PORTS = integers(0, 65535)
ENDS = tuples(ip_addresses(v=4), ip_addresses(v=4)) | tuples(
    ip_addresses(v=6), ip_addresses(v=6)
)


class ProxyTests(SynchronousTestCase):
    """Version 2, datagrams alone."""

    @given(ENDS, PORTS, PORTS, binary(max_size=100))
    def test_round_trip(
        self, hosts: tuple[object, object], one: int, two: int, payload: bytes
    ) -> None:
        """Both families; a v4-mapped source is the IPv4 address that it is."""
        source, destination = Address(str(hosts[0]), one), Address(str(hosts[1]), two)
        read = parse_proxied(encode_proxied(source, destination, payload))
        self.assertEqual(read.source, (canonical(source.host), one))
        self.assertEqual(read.destination, (canonical(destination.host), two))
        self.assertEqual(bytes(read.payload), payload)

    @given(binary(max_size=80))
    def test_any_bytes_are_safe(self, data: bytes) -> None:
        """A header or ProxyHeaderError, alone and behind the signature."""
        for datagram in (data, SIGNATURE + data, SIGNATURE + b"\x21\x12" + data):
            try:
                read = parse_proxied(datagram)
            except ProxyHeaderError:
                continue
            self.assertLess(len(read.payload), len(datagram))

    def test_known_bytes(self) -> None:
        """Written down from the specification, with an extension to skip."""
        header = bytes.fromhex(
            "0d0a0d0a000d0a515549540a 21 12 0010 cb007107 c6336401 3039 0d96 04000100"
        )
        read = parse_proxied(header + b"stun")
        self.assertEqual(read.source, ("203.0.113.7", 12345))
        self.assertEqual(read.destination, ("198.51.100.1", 3478))
        self.assertEqual(bytes(read.payload), b"stun")

    def test_balancer_for_itself(self) -> None:
        """LOCAL and UNSPEC name nobody; their bytes are skipped."""
        for head in (b"\x20\x00\0\0", b"\x20\x12\0\3abc", b"\x21\x00\0\3abc"):
            read = parse_proxied(SIGNATURE + head + b"stun")
            self.assertEqual((read.source, bytes(read.payload)), (None, b"stun"))

    def test_refused(self) -> None:
        """Streams, version 1, other commands, lengths that lie."""
        addresses = bytes(12)
        for datagram in (
            b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
            SIGNATURE + b"\x21\x11\0\x0c" + addresses,
            SIGNATURE + b"\x22\x12\0\x0c" + addresses,
            SIGNATURE + b"\x11\x12\0\x0c" + addresses,
            SIGNATURE + b"\x21\x12\0\x0d" + addresses,
            SIGNATURE + b"\x21\x12\0\x0b" + addresses,
            SIGNATURE + b"\x21\x22\0\x0c" + addresses,
            SIGNATURE,
        ):
            self.assertRaises(ProxyHeaderError, parse_proxied, datagram)

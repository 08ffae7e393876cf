"""What planes do beyond the least (RFC 8656, RFC 8016), over real sockets."""

from __future__ import annotations

import socket
from typing import Any
from unittest import SkipTest

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mosaic.relay.interface import NoRelayPort
from mosaic.relay.pure import PurePlane
from mosaic.relay.relaysocket import RelaySocket
from mosaic.services.turn.listen import has_ipv6
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.message import Class, Method, encode, parse
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.attributes import Icmp
from mosaic.wire.turn.channel import encode_channel_data
from tests.support.plane_case import (
    PORTS,
    NativeCase,
    PlaneFixture,
    Readers,
    address_of,
)
from tests.support.udp import Rows, send_indication


def need_ipv6() -> None:
    """Skip on a machine without it."""
    if not has_ipv6():
        raise SkipTest("this machine has no IPv6")


class IcmpContract(PlaneFixture):
    """ICMP errors, for each family."""

    unreachable = Icmp(3, 3)

    def test_icmp_error_is_told_to_the_client(self) -> None:
        """Port unreachable, and the next datagram to another peer arrives."""
        sock, relay, relayed = self.client()
        peer, gone = self.endpoint(), self.endpoint()
        nobody = address_of(gone)
        gone.close()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        sock.sendto(send_indication(nobody, b"anybody?"), self.server)
        message = parse(self.receive(sock)[0])
        self.same(message.first(turn.XOR_PEER_ADDRESS), nobody)
        icmp: Icmp | None = message.first(turn.ICMP)
        self.same(icmp, self.unreachable)
        sock.sendto(send_indication(nobody, b"nobody"), self.server)
        sock.sendto(send_indication(address_of(peer), b"x"), self.server)
        self.same(self.receive(peer), (b"x", relayed))


class AbilityContract(IcmpContract):
    """One test or more for each ability."""

    def six(self) -> socket.socket:
        """A peer on IPv6."""
        need_ipv6()
        made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        made.bind(("::1", 0))
        made.setblocking(False)
        self.addCleanup(made.close)  # type: ignore[attr-defined] # of TestCase
        return made

    def refused(self, **how: Any) -> None:
        """A relay that cannot be opened."""
        five_tuple = FiveTuple("udp", Address(self.host, 1), self.server)
        try:
            self.open(five_tuple, **how)
        except NoRelayPort:
            return
        raise AssertionError("it was opened")

    def test_dual_client_has_both_families(self) -> None:
        """What it sends goes out by the relay that knows the peer."""
        sock, four, relayed = self.client()
        five_tuple = FiveTuple("udp", address_of(sock), self.server)
        need_ipv6()
        six, relayed6 = self.open(five_tuple, bind="::1", advertise="::1")
        peer, peer6 = self.endpoint(), self.six()
        self.plane.permit(four, self.host, self.now + 300, own_only=False)
        self.plane.permit(six, "::1", self.now + 300, own_only=False)
        self.plane.bind(six, 0x4001, address_of(peer6), self.now + 600)
        frame = encode_channel_data(0x4001, b"six", stream=False)
        sock.sendto(frame, self.server)
        sock.sendto(send_indication(address_of(peer), b"four"), self.server)
        self.same(self.receive(peer6), (b"six", relayed6))
        self.same(self.receive(peer), (b"four", relayed))
        peer6.sendto(b"six", relayed6)
        self.same(self.receive(sock)[0], frame)
        for ends in (four, six):
            self.plane.close(ends)
            sock.sendto(frame, self.server)
            if ends == four:
                self.same(self.receive(peer6), (b"six", relayed6))
        self.settle(lambda: self.plane.counters.from_clients_no_route == 1)

    def test_reserve_holds_the_next_port(self) -> None:
        """For whoever claims it, once."""
        _, _, relayed = self.client(even=True, reserve=77)
        self.same(relayed.port % 2, 0)
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with taken:
            try:
                taken.bind((self.host, relayed.port + 1))
            except OSError:
                pass
            else:
                raise AssertionError("the port was free")
        _, _, second = self.client(claims=77)
        self.same(second, Address(relayed.host, relayed.port + 1))
        self.refused(claims=77)

    def test_reserve_is_let_go_by_its_number(self) -> None:
        """The next port is anybody's then."""
        _, _, relayed = self.client(even=True, reserve=78)
        self.plane.close(78)
        self.refused(claims=78)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((self.host, relayed.port + 1))

    def test_move_brings_the_client_elsewhere(self) -> None:
        """Same relay, same peers; the old place is a stranger's."""
        old, relay, relayed = self.client()
        peer, new = self.endpoint(), self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        self.plane.move(relay, FiveTuple("udp", address_of(new), self.server))
        frame = encode_channel_data(0x4000, b"x", stream=False)
        new.sendto(frame, self.server)
        self.same(self.receive(peer), (b"x", relayed))
        peer.sendto(b"x", relayed)
        self.same(self.receive(new), (frame, self.server))
        old.sendto(frame, self.server)
        self.settle(lambda: self.plane.counters.from_clients_no_route == 1)

    def test_df_datagram_arrives(self) -> None:
        """And the next one without."""
        sock, relay, relayed = self.client()
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        rows: Rows = [(turn.XOR_PEER_ADDRESS, address_of(peer)), (turn.DATA, b"x")]
        for extra in ([(turn.DONT_FRAGMENT, b"")], []):
            data = encode(Method.SEND, Class.INDICATION, bytes(12), [*rows, *extra])
            sock.sendto(data, self.server)
            self.same(self.receive(peer), (b"x", relayed))


class PureAbilityTests(AbilityContract, SynchronousTestCase):
    """The pure-Python plane."""

    def make(self) -> None:
        """Over a list of readers."""
        readers = Readers()
        self.plane = PurePlane(readers, ports=PORTS, clock=self.clock)
        self.pump = readers.pump

    def test_it_claims_all_of_them(self) -> None:
        """What is tested here is what is said there."""
        self.assertEqual(
            self.plane.abilities, {"dual", "reserve", "move", "df", "icmp"}
        )


class NativeAbilityTests(AbilityContract, NativeCase):
    """The native plane."""

    def test_it_claims_all_of_them(self) -> None:
        """What its twin can, and to check who asks (test_relay_admission)."""
        self.assertEqual(
            self.plane.abilities, {"dual", "reserve", "move", "df", "icmp", "admit"}
        )


class PureIcmpV6Tests(IcmpContract, SynchronousTestCase):
    """The pure-Python plane on IPv6."""

    host = listen_host = "::1"
    unreachable = Icmp(1, 4)

    def setUp(self) -> None:
        """Not on a machine without IPv6."""
        need_ipv6()
        super().setUp()

    make = PureAbilityTests.make


class NativeIcmpV6Tests(IcmpContract, NativeCase):
    """The native plane on IPv6."""

    host = listen_host = "::1"
    unreachable = Icmp(1, 4)

    def setUp(self) -> None:
        """Not on a machine without IPv6."""
        need_ipv6()
        super().setUp()


class RelaySocketTests(SynchronousTestCase):
    """The socket under a relay."""

    def make(self) -> tuple[RelaySocket, Readers, socket.socket]:
        """One in a list of readers."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        readers = Readers()
        made = RelaySocket(readers, sock, lambda *_: None, lambda _: None)
        self.addCleanup(made.close)
        return made, readers, sock

    def test_df_is_set_for_one_datagram(self) -> None:
        """Section 14: the bit is the datagram's, not the socket's."""
        made, _, sock = self.make()
        seen: list[int] = []

        def note(data: bytes, to: Address) -> bool:
            seen.append(sock.getsockopt(socket.IPPROTO_IP, 10))
            return True

        self.patch(made, "send", note)
        made.send_whole(b"x", made.address)
        self.assertEqual([*seen, sock.getsockopt(socket.IPPROTO_IP, 10)], [3, 1])

    def test_errors_alone_do_not_end_it(self) -> None:
        """The reactor takes them for a hang-up and removes the reader."""
        made, readers, _ = self.make()
        readers.removeReader(made)
        made.readConnectionLost(Failure(ConnectionDone()))
        self.assertEqual(readers.readers, [made])
        made.close()
        made.readConnectionLost(Failure(ConnectionDone()))
        self.assertEqual(readers.readers, [])

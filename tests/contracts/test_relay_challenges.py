"""Strangers get the same challenge, whoever gives it: the core or the plane."""

from __future__ import annotations

import socket
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.relay.interface import ChallengingPlane
from mosaic.relay.pure import PurePlane
from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import FiveTuple
from mosaic.wire.stun.attributes import SHA256
from mosaic.wire.stun.credentials import long_term_key, long_term_key_sha256
from mosaic.wire.stun.message import Class, Method, encode, parse
from mosaic.wire.turn.attributes import REQUESTED_TRANSPORT
from mosaic.wire.turn.door import OFFERED
from mosaic.wire.turn.events import Answer, OpenRelay
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.peers import PeerPolicy
from mosaic.wire.turn.server import TurnServer
from tests.support.plane_case import (
    PORTS,
    NativeCase,
    PlaneFixture,
    Readers,
    address_of,
)

TRANSACTION = b"transaction!"
METHODS = (
    Method.ALLOCATE,
    Method.REFRESH,
    Method.CREATE_PERMISSION,
    Method.CHANNEL_BIND,
)


class ChallengeContract(PlaneFixture):
    """The suite: a plane with a core behind it, and a second core to compare."""

    realm = "mosaic"

    def setUp(self) -> None:
        """Both cores have one key, and the plane's clock."""
        super().setUp()
        self.core, self.other = self.make_core(), self.make_core()
        if isinstance(self.plane, ChallengingPlane):
            self.plane.challenge_with(self.core.challenge_terms())

    def make_core(self) -> TurnServer:
        """A core with its own budget."""
        return TurnServer(
            realm=self.realm,
            passwords_for=lambda username, _: ("secret",) * (username == "ann"),
            username_of=lambda digest: None,
            policy=PeerPolicy((), ()),
            nonce_key=b"k" * 32,
            limits=Limits(),
        )

    def answer(self) -> None:
        """What comes to the core is answered."""
        while self.controls:
            data, five_tuple = self.controls.pop(0)
            for event in self.core.datagram_received(data, five_tuple, self.now):
                if isinstance(event, Answer):
                    self.plane.send(event.to, event.data)

    def ask(self, request: bytes, sock: socket.socket | None = None) -> bytes:
        """The answer to a client's request."""
        sock = sock or self.endpoint()
        self.asker = FiveTuple("udp", address_of(sock), self.server)
        sock.sendto(request, self.server)
        pump = self.pump

        def pump_and_answer() -> None:
            pump()
            self.answer()

        self.pump = pump_and_answer
        try:
            return self.receive(sock)[0]
        finally:
            self.pump = pump

    def expected(self, request: bytes) -> bytes:
        """What the second core says to the same client."""
        (event,) = self.other.datagram_received(request, self.asker, self.now)
        assert isinstance(event, Answer)
        return event.data

    def request(self, method: int, *rows: Any, fingerprint: bool = False) -> bytes:
        """A request without integrity."""
        return encode(method, Class.REQUEST, TRANSACTION, rows, fingerprint=fingerprint)

    def test_every_method_is_challenged_alike(self) -> None:
        """Byte for byte: short and with the offer, with and without fingerprint."""
        for method in METHODS:
            for software in ("", "c" * 9, "c" * 40):
                for fingerprint in (False, True):
                    rows: list[Any] = [(REQUESTED_TRANSPORT, 17)]
                    if software:
                        rows.append((stun.SOFTWARE, software))
                    request = self.request(method, *rows, fingerprint=fingerprint)
                    found = self.ask(request)
                    self.same(found, self.expected(request))
                    self.same(len(found) <= 2 * len(request), True)

    def test_what_else_it_holds_makes_no_difference(self) -> None:
        """Credentials without integrity, unknown and broken attributes: 401."""
        unknown = stun.bytes_row(0x7FFF, "UNKNOWN", "none")
        for rows in (
            [(stun.USERNAME, "ann"), (stun.REALM, "mosaic"), (stun.NONCE, "x" * 20)],
            [(unknown, b"what is this?")],
            [(stun.bytes_row(0x0019, "BROKEN", "none"), b"")] * 3,
        ):
            request = self.request(Method.ALLOCATE, *rows)
            self.same(self.ask(request), self.expected(request))

    def test_time_passes_in_both_alike(self) -> None:
        """The nonce's minute is the core's."""
        sock, request = (
            self.endpoint(),
            self.request(Method.ALLOCATE, (REQUESTED_TRANSPORT, 17)),
        )
        seen = set()
        for _ in range(4):
            self.now += 64.0
            found = self.ask(request, sock)
            self.same(found, self.expected(request))
            seen.add(found)
        self.same(len(seen), 4)

    def test_a_challenge_can_be_answered(self) -> None:
        """The core takes the nonce, with the old key and with the new one."""
        for software in ("", "c" * 40):
            sock = self.endpoint()
            rows: list[Any] = [(REQUESTED_TRANSPORT, 17)]
            asked = self.request(
                Method.ALLOCATE, *rows, *([(stun.SOFTWARE, software)] * bool(software))
            )
            challenge = parse(self.ask(asked, sock))
            rows += [(stun.USERNAME, "ann"), (stun.REALM, self.realm)]
            rows += [(stun.NONCE, challenge.first(stun.NONCE))]
            key = long_term_key("ann", self.realm, "secret")
            if software:
                rows += [(stun.PASSWORD_ALGORITHMS, OFFERED)]
                rows += [(stun.PASSWORD_ALGORITHM, SHA256)]
                key = long_term_key_sha256("ann", self.realm, "secret")
            signed = encode(Method.ALLOCATE, Class.REQUEST, TRANSACTION, rows, key=key)
            events = self.core.datagram_received(signed, self.asker, self.now)
            self.same([type(event) for event in events], [OpenRelay])
            other = FiveTuple("udp", self.server, self.server)
            (event,) = self.core.datagram_received(signed, other, self.now)
            assert isinstance(event, Answer)
            code = parse(event.data).first(stun.ERROR_CODE)
            self.same(code and code.code, 438)  # it is bound to the client

    def test_what_is_broken_gets_no_answer(self) -> None:
        """A wrong fingerprint, or attributes that run over the end."""
        sock = self.endpoint()
        right = self.request(Method.ALLOCATE, fingerprint=True)
        sock.sendto(right[:-1] + bytes([right[-1] ^ 1]), self.server)
        bare = self.request(Method.ALLOCATE, (REQUESTED_TRANSPORT, 17))
        sock.sendto(bare[:22] + b"\0\5" + bare[24:], self.server)
        self.settle(lambda: len(self.controls) == 2)
        self.answer()
        self.same(self.core.counters.malformed, 2)

    def test_a_request_too_short_is_not_answered(self) -> None:
        """A bare header would be answered with more than twice its length."""
        sock = self.endpoint()
        sock.sendto(self.request(Method.ALLOCATE), self.server)

        def refused() -> int:
            self.answer()
            core, plane = self.core.counters, self.plane.counters
            return core.strangers_too_short + plane.challenges_too_short

        self.settle(lambda: refused() == 1)
        with self.assertRaises(BlockingIOError):  # type: ignore[attr-defined] # of TestCase
            sock.recv(100)

    def test_strangers_have_a_budget(self) -> None:
        """A reflector that is asked too much falls silent."""
        sock = self.endpoint()
        request = self.request(Method.ALLOCATE, (REQUESTED_TRANSPORT, 17))
        until = time.monotonic() + 10
        while not (
            self.core.counters.strangers_over_budget
            or self.plane.counters.challenges_over_budget
        ):
            for _ in range(500):
                sock.sendto(request, self.server)
            self.pump()
            self.answer()
            assert time.monotonic() < until, "no end to it"
        given = self.core.counters.challenges + self.plane.counters.challenges
        self.same(given > 4000, True)


class PureChallengeTests(ChallengeContract, SynchronousTestCase):
    """The core behind the pure-Python plane."""

    def make(self) -> None:
        """Over a list of readers."""
        readers = Readers()
        self.plane = PurePlane(readers, ports=PORTS, clock=self.clock)
        self.pump = readers.pump


class NativeChallengeTests(ChallengeContract, NativeCase):
    """In the thread."""

    def test_the_reactor_hears_nothing(self) -> None:
        """That is the point."""
        for _ in range(3):
            self.ask(self.request(Method.ALLOCATE, (REQUESTED_TRANSPORT, 17)))
        self.same(self.plane.counters.challenges, 3)
        self.same(self.core.counters.challenges, 0)

    def test_realm_of_another_size_is_refused(self) -> None:
        """The core refuses it first; nothing is read past its end."""
        terms, plane = self.core.challenge_terms(), self.plane
        assert isinstance(plane, ChallengingPlane)
        for realm in (b"", b"r" * 13):
            with self.assertRaises(ValueError):
                plane.challenge_with(terms._replace(realm=realm))


class NativeLongRealmTests(NativeChallengeTests):
    """Realms of more than eight bytes have shorter nonces."""

    realm = "twelve.bytes"


class NativeChallengeV6Tests(NativeChallengeTests):
    """Nonces are bound to 16 bytes."""

    host = listen_host = "::1"

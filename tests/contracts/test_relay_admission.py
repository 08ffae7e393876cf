"""Known clients get the same relay by the short way as by the core's full way.

A service with the native plane, and beside it a core that is told every request
the long way: answers are the same byte for byte, and so is what both remember.
"""

from __future__ import annotations

import socket
import time
from dataclasses import asdict
from typing import Any, cast

from hypothesis import given, settings
from hypothesis.strategies import booleans, integers, lists, sampled_from, tuples
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mosaic.config.settings import Turn
from mosaic.relay.interface import AdmittingPlane
from mosaic.services.turn.service import TurnService
from mosaic.services.turn.tuning import with_quotas
from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.attributes import SHA256
from mosaic.wire.stun.credentials import long_term_key, long_term_key_sha256
from mosaic.wire.stun.message import Class, Method, encode, parse
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.door import OFFERED
from mosaic.wire.turn.events import Answer, OpenRelay
from mosaic.wire.turn.known import KnownAsk
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.peers import PeerPolicy
from mosaic.wire.turn.server import TurnServer
from tests.support.native_plane import need_native
from tests.support.plane_case import PORTS, Readers, address_of
from tests.support.running import neighbouring_ports
from tests.support.udp import code_of

REALM = "mosaic"
USERS = {"ann": "secret", "bob": "hidden"}
START = 6400.0


@implementer(IReactorFDSet)
class Reactor(Readers, Clock):  # type: ignore[misc] # its pump is Readers'
    """A clock, and readers that are read by hand."""

    def __init__(self) -> None:
        Readers.__init__(self)
        Clock.__init__(self)
        self.rightNow = START


class Known:
    """Whose passwords hold."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()

    def passwords_for(self, username: str, _now: float) -> tuple[str, ...]:
        """One each, and another before it as while secrets are rotated."""
        held = USERS.get(username)
        return () if held is None or username in self.revoked else ("old", held)


class Both:
    """The service, the core beside it, and clients. `short`: how many asks the
    plane has handed over as known."""

    def __init__(self, clients: int = 4, ports: tuple[int, int] = PORTS) -> None:
        self.reactor, self.known, self.short = Reactor(), Known(), 0
        settings = Turn(
            relay_ports=ports,
            allocations_per_credential=3,
            allocations_per_user=3,
            allocations_per_address=5,
            allocations_total=6,
        )
        self.service = TurnService(
            self.reactor,
            settings,
            credentials=self.known,
            udp=("udp:0:interface=127.0.0.1",),
            clock=self.reactor.seconds,
        )
        self.service.startService()
        self.plane = cast(Any, self.service._plane)
        assert isinstance(self.service._plane, AdmittingPlane)
        admit = self.plane._admit

        def counting(asks: list[KnownAsk]) -> None:
            self.short += len(asks)
            admit(asks)

        self.plane.admit_with(counting)
        self.core = self.service._core
        self.twin = TurnServer(
            realm=REALM,
            passwords_for=self.known.passwords_for,
            policy=PeerPolicy((), ()),
            nonce_key=self.core.challenge_terms().key,
            limits=with_quotas(Limits(admission=True), settings),
            owner_of=lambda username: username,
        )
        self.server = self.service.udp_addresses[0]
        self.clients = [self.client() for _ in range(clients)]
        self.last = 0

    def client(self) -> socket.socket:
        """A UDP socket on loopback."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        return made

    def close(self) -> None:
        """Everything."""
        self.service.stopService()
        for sock in self.clients:
            sock.close()

    def transaction(self) -> bytes:
        """A new one."""
        self.last += 1
        return self.last.to_bytes(12, "big")

    def nonce(self, sock: socket.socket, *, offer: bool, age_s: float = 0.0) -> str:
        """As a challenge has it, with or without the offer."""
        now = self.reactor.seconds() - age_s
        rows = self.twin._door.challenge(address_of(sock), now, offer=offer)
        return str(rows[1][1])

    def ask(self, sock: socket.socket, request: bytes) -> bytes:
        """The service's answer; the plane's and ours are pumped."""
        sock.sendto(request, self.server)
        return self.receive(sock)

    def receive(self, sock: socket.socket) -> bytes:
        """The next datagram, within two seconds."""
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            try:
                return sock.recv(2048)
            except BlockingIOError:
                self.reactor.pump()
        raise AssertionError("no answer")

    def full_way(self, sock: socket.socket, request: bytes, relayed: Any) -> bytes:
        """The other core's answer; its relay is opened where ours was."""
        now = self.reactor.seconds()
        five_tuple = FiveTuple("udp", address_of(sock), self.server)
        events = self.twin.datagram_received(request, five_tuple, now)
        for event in list(events):
            if isinstance(event, OpenRelay):
                events += self.twin.relay_opened(event.relay, relayed, now)
        (answer,) = [event for event in events if isinstance(event, Answer)]
        return answer.data

    def allocate(self, username: str, nonce: str, *more: Any, **how: Any) -> bytes:
        """A signed Allocate. how: key, realm, transaction, fingerprint."""
        rows = [
            (turn.REQUESTED_TRANSPORT, 17),
            *more,
            (stun.USERNAME, username),
            (stun.REALM, how.get("realm", REALM)),
            (stun.NONCE, nonce),
        ]
        key = how.get("key") or long_term_key(username, REALM, USERS[username])
        return encode(
            how.get("method", Method.ALLOCATE),
            Class.REQUEST,
            how.get("transaction") or self.transaction(),
            rows,
            key=key,
            digest=how.get("digest", "sha1"),
            fingerprint=how.get("fingerprint", False),
        )


def remembered(core: TurnServer) -> dict[str, Any]:
    """What a core knows of its allocations, and of who holds how many."""
    table, quotas = core._table, core._table._quotas
    return {
        "counters": asdict(core.counters),
        "next": core.next_deadline(),
        "relayed": table._relayed,
        "quotas": [
            dict(held)
            for held in (quotas._per_credential, quotas._per_owner, quotas._per_host)
        ],
        "allocations": {
            five_tuple: (
                held.username,
                held.transaction,
                held.lifetime_s,
                held.relay,
                held.relayed,
                held.expires_at,
                held.opening,
                held.permissions(),
            )
            for five_tuple, held in table._by_tuple.items()
        },
    }


def relayed_of(answer: bytes) -> Address | None:
    """The relayed address of a success."""
    message = parse(answer)
    return message.first(turn.XOR_RELAYED_ADDRESS)


WAYS = (
    "plain",
    "plain",
    "lifetime",
    "software",
    "again",
    "wrong key",
    "wrong realm",
    "stale nonce",
    "somebody else's nonce",
    "unknown attribute",
    "odd transport",
    "two families",
    "even port",
    "twice an attribute",
    "sha256",
    "refresh",
    "end",
    "revoke",
    "pardon",
    "drain",
    "time",
)


class AdmissionTests(SynchronousTestCase):
    """Short and full way side by side."""

    def setUp(self) -> None:
        """Not where it was not built."""
        need_native()

    def both(self, **options: Any) -> Both:
        """A service and a core, closed with the test."""
        made = Both(**options)
        self.addCleanup(made.close)
        return made

    def same(self, world: Both, sock: socket.socket, request: bytes) -> bytes:
        """Both answer alike, and remember alike."""
        answer = world.ask(sock, request)
        twin = world.full_way(sock, request, relayed_of(answer))
        self.assertEqual(answer, twin)
        self.assertEqual(remembered(world.core), remembered(world.twin))
        return answer

    def test_who_is_known_takes_the_short_way(self) -> None:
        """The first Allocate of a credential makes it known; the next are short,
        with and without LIFETIME, SOFTWARE, FINGERPRINT and the offer."""
        world = self.both()
        asked: list[tuple[list[Any], dict[str, Any]]] = [
            ([], {}),
            ([(turn.LIFETIME, 700)], {"fingerprint": True}),
            ([(turn.LIFETIME, 9_999_999), (stun.SOFTWARE, "x" * 33)], {}),
        ]
        for at, (rows, how) in enumerate(asked):
            sock = world.clients[at]
            nonce = world.nonce(sock, offer=at == 1, age_s=64.0 * (at == 2))
            answer = self.same(world, sock, world.allocate("ann", nonce, *rows, **how))
            self.assertEqual(parse(answer).cls, Class.SUCCESS)
            self.assertEqual(world.short, at)

    def test_every_length_is_checked(self) -> None:
        """Whatever the message's size, in blocks of the hash, the plane finds the
        signature right; and wrong, once a bit of it is."""
        world = self.both()
        sock = world.clients[0]
        self.same(world, sock, world.allocate("ann", world.nonce(sock, offer=False)))
        for size in range(1, 140):
            rows = [(stun.SOFTWARE, "x" * size)]
            nonce = world.nonce(sock, offer=False)
            request = world.allocate("ann", nonce, *rows, fingerprint=bool(size & 1))
            self.assertEqual(code_of(parse(self.same(world, sock, request))), 437)
        self.assertEqual(world.short, 139)
        request = world.allocate("ann", nonce, *rows)
        bent = request[:-1] + bytes([request[-1] ^ 1])
        self.assertEqual(code_of(parse(self.same(world, sock, bent))), 401)
        self.assertEqual(world.short, 139)

    def test_a_granted_relay_passes_packets(self) -> None:
        """It is as good as any: a permission, a channel and data both ways."""
        world = self.both()
        world.service.change("allow_peers", ("127.0.0.0/8",))
        for at in range(2):
            sock = world.clients[at]
            request = world.allocate("ann", world.nonce(sock, offer=False))
            relayed = relayed_of(world.ask(sock, request))
        self.assertEqual(world.short, 1)
        peer = world.client()
        self.addCleanup(peer.close)
        bind = world.allocate(
            "ann",
            world.nonce(sock, offer=False),
            (turn.CHANNEL_NUMBER, 0x4000),
            (turn.XOR_PEER_ADDRESS, address_of(peer)),
            method=Method.CHANNEL_BIND,
        )
        self.assertEqual(parse(world.ask(sock, bind)).cls, Class.SUCCESS)
        sock.sendto(b"\x40\0\0\4ping", world.server)
        self.assertEqual(world.receive(peer), b"ping")
        assert relayed is not None
        peer.sendto(b"pong", relayed)
        self.assertEqual(world.receive(sock), b"\x40\0\0\4pong")

    def test_a_revoked_credential_is_refused_at_once(self) -> None:
        """The plane still knows the key; the core is asked every time."""
        world = self.both()
        for at in range(2):
            sock = world.clients[at]
            answer = world.ask(
                sock, world.allocate("ann", world.nonce(sock, offer=False))
            )
        world.known.revoked.add("ann")
        sock = world.clients[2]
        answer = self.twinless(world, sock)
        self.assertEqual((code_of(parse(answer)), world.short), (401, 2))

    def twinless(self, world: Both, sock: socket.socket) -> bytes:
        """Ann asks."""
        return world.ask(sock, world.allocate("ann", world.nonce(sock, offer=False)))

    def test_a_rotated_secret_changes_the_key(self) -> None:
        """The old key is no longer the username's: full way, 401."""
        world = self.both()
        self.twinless(world, world.clients[0])
        sock, old = world.clients[1], long_term_key("ann", REALM, "secret")
        self.patch(world.known, "passwords_for", lambda *_: ("new",))
        request = world.allocate("ann", world.nonce(sock, offer=False), key=old)
        self.assertEqual(code_of(parse(world.ask(sock, request))), 401)
        new = long_term_key("ann", REALM, "new")
        for _ in range(2):
            sock = world.client()
            world.clients.append(sock)
            request = world.allocate("ann", world.nonce(sock, offer=False), key=new)
            self.assertEqual(parse(world.ask(sock, request)).cls, Class.SUCCESS)
        self.assertEqual(world.short, 2)

    def test_many_at_once_and_one_of_them_twice(self) -> None:
        """Retransmissions of one batch get one relay; quotas hold within it."""
        world = self.both(clients=8)
        self.twinless(world, world.clients[0])
        sent = []
        for sock in world.clients[1:]:
            request = world.allocate("ann", world.nonce(sock, offer=False))
            sent.append(request)
            for _ in range(2):
                sock.sendto(request, world.server)
        time.sleep(0.05)
        answers = [[world.receive(s), world.receive(s)] for s in world.clients[1:]]
        self.assertTrue(all(one == two for one, two in answers))
        codes = [code_of(parse(one)) for one, _ in answers]
        self.assertEqual(sorted(codes), [0] * 2 + [486] * 5)
        self.assertEqual(len(world.core), 3)
        self.assertEqual(world.short, 14)

    def test_no_port_is_refused_by_the_full_way(self) -> None:
        """A range of two ports: the third gets 508, and nothing is left of it."""
        world = self.both(ports=neighbouring_ports())
        codes = []
        for sock in world.clients[:3]:
            codes.append(code_of(parse(self.twinless(world, sock))))
        self.assertEqual(codes, [0, 0, 508])
        self.assertEqual(len(world.core), 2)
        self.assertEqual(world.core._table._quotas._per_credential["ann"], 2)
        self.assertEqual(list(world.service._bandwidth.users.relays()), [1, 2])

    @settings(max_examples=60, deadline=None)
    @given(
        lists(
            tuples(
                sampled_from(WAYS),
                integers(0, 3),
                sampled_from(sorted(USERS)),
                booleans(),
                booleans(),
            ),
            min_size=4,
            max_size=14,
        )
    )
    def test_both_ways_are_the_same(self, steps: list[Any]) -> None:
        """Whatever is asked, in whatever order: bytes and memory."""
        world = Both()
        try:
            for step in steps:
                self.take(world, *step)
        finally:
            world.close()

    def take(
        self, world: Both, way: str, who: int, username: str, *switches: bool
    ) -> None:
        """One step of both."""
        offer, fingerprint = switches
        sock, now = world.clients[who], world.reactor.seconds()
        if way == "revoke":
            world.known.revoked.add(username)
        elif way == "pardon":
            world.known.revoked.clear()
        elif way == "drain":
            total = 6 if offer else 2
            world.service.change("allocations_total", total)
            world.twin.set_limits(with_quotas(Limits(), world.service._settings))
        elif way == "time":
            world.plane.turn_forward(300.0)
            world.reactor.advance(300.0)
            world.twin.expire(now + 300.0)
        else:
            request = self.request(world, way, sock, username, offer, fingerprint)
            self.same(world, sock, request)

    def request(
        self,
        world: Both,
        way: str,
        sock: socket.socket,
        username: str,
        offer: bool,
        fingerprint: bool,
    ) -> bytes:
        """What the step asks."""
        nonce = world.nonce(sock, offer=offer)
        how: dict[str, Any] = {"fingerprint": fingerprint}
        rows: list[Any] = []
        match way:
            case "lifetime":
                rows = [(turn.LIFETIME, 3000 if offer else 0)]
            case "software":
                rows = [(stun.SOFTWARE, "somebody")]
            case "again":
                how["transaction"] = b"always same!"
            case "wrong key":
                how["key"] = long_term_key(username, REALM, "guess")
            case "wrong realm":
                how["realm"] = "mosaik"
            case "stale nonce":
                nonce = world.nonce(sock, offer=offer, age_s=5000.0)
            case "somebody else's nonce":
                nonce = world.nonce(world.clients[3], offer=offer)
            case "unknown attribute":
                rows = [(stun.bytes_row(0x7FFE, "UNKNOWN", "none"), b"what")]
            case "odd transport":
                rows = [(turn.REQUESTED_TRANSPORT, 99)]
            case "two families":
                rows = [(turn.ADDITIONAL_ADDRESS_FAMILY, 4)]
            case "even port":
                rows = [(turn.LIFETIME, 800), (turn.REQUESTED_ADDRESS_FAMILY, 4)]
            case "twice an attribute":
                rows = [(turn.LIFETIME, 800), (turn.LIFETIME, 900)]
            case "sha256":
                nonce = world.nonce(sock, offer=True)
                rows = [(stun.PASSWORD_ALGORITHMS, OFFERED)]
                rows += [(stun.PASSWORD_ALGORITHM, SHA256)]
                how["digest"] = "sha256"
                key = long_term_key_sha256(username, REALM, USERS[username])
                how["key"] = key
            case "refresh":
                how["method"] = Method.REFRESH
            case "end":
                how["method"], rows = Method.REFRESH, [(turn.LIFETIME, 0)]
        return world.allocate(username, nonce, *rows, **how)

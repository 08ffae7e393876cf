"""TURN without sockets: a server in memory, and clients that speak to it.

`MemoryTurn` is the core with a data plane of plain `Route`s around it, so that
requests, permissions and packets are tested as one, at any time one likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.attributes import Attribute
from mosaic.wire.stun.credentials import long_term_key, user_hash
from mosaic.wire.stun.message import (
    Class,
    Digest,
    Message,
    Method,
    encode,
    parse,
)
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.events import (
    Answer,
    Bind,
    ClosePeer,
    CloseRelay,
    ConnectPeer,
    Event,
    Extend,
    JoinPeer,
    Move,
    OpenRelay,
    Permit,
)
from mosaic.wire.turn.forwarding import Route
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.peers import PeerPolicy, parse_networks
from mosaic.wire.turn.server import TurnServer

REALM = "mosaic"
SERVER = Address("198.18.0.1", 3478)
CLIENT = Address("198.51.100.7", 40000)
OTHER_CLIENT = Address("198.51.100.8", 40000)
PEER = Address("9.9.9.9", 5000)
Rows = Sequence[tuple[Attribute[Any], Any]]
_transactions = count(1)


def transaction() -> bytes:
    """A new transaction id."""
    return next(_transactions).to_bytes(12, "big")


class MemoryTurn:
    """A server core whose relays are routes in a dict. `now` is the clock."""

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        limits: Limits | None = None,
        passwords: dict[str, str] | None = None,
    ) -> None:
        self.now = 1000.0
        self.policy = PeerPolicy(parse_networks(allow))
        self.passwords = passwords or {"ann": "secret", "bob": "hidden"}
        self.core = TurnServer(
            realm=REALM,
            passwords_for=self._passwords_for,
            username_of=self._username_of,
            policy=self.policy,
            nonce_key=b"n" * 32,
            limits=limits,
        )
        self.routes: dict[int, Route] = {}
        self.families = {4: "198.18.0.1", 6: "2001:4860::1"}
        self.ports = count(50000)
        self.reserved: dict[int, Address] = {}
        self.closed: list[int] = []
        self.tcp: list[ConnectPeer | JoinPeer | ClosePeer] = []

    def _passwords_for(self, username: str, now: float) -> tuple[str, ...]:
        password = self.passwords.get(username)
        return () if password is None else (password,)

    def _username_of(self, digest: bytes) -> str | None:
        hashes = {user_hash(name, REALM): name for name in self.passwords}
        return hashes.get(digest)

    def receive(self, data: bytes, five_tuple: FiveTuple) -> list[bytes]:
        """Give the core one message; its answers."""
        return self.perform(self.core.datagram_received(data, five_tuple, self.now))

    def perform(self, events: list[Event]) -> list[bytes]:
        """Do what the core asks, as a data plane would."""
        answers: list[bytes] = []
        for event in events:
            match event:
                case Answer(_, data):
                    answers.append(data)
                case OpenRelay():
                    answers += self.perform(self._open(event))
                case Extend(relay, expires_at):
                    self.routes[relay].expires_at = expires_at
                case Permit(relay, host, expires_at, own_only):
                    self.routes[relay].permit(host, expires_at, own_only, self.now)
                case Bind(relay, channel, peer, expires_at):
                    self.routes[relay].bind(channel, peer, expires_at)
                case Move(relay, five_tuple):
                    self.routes[relay].move(five_tuple)
                case ConnectPeer() | JoinPeer() | ClosePeer():
                    self.tcp.append(event)
                case CloseRelay(relay):
                    self.reserved.pop(relay, None)
                    self.routes.pop(relay, None)
                    self.closed.append(relay)
        return answers

    def _open(self, event: OpenRelay) -> list[Event]:
        host = self.families.get(event.family)
        if host is None:
            return self.core.relay_refused(event.relay, 440)
        if event.claims:
            relayed = self.reserved.pop(event.claims)
        else:
            relayed = Address(host, next(self.ports))
        if event.reserve:
            self.reserved[event.reserve] = Address(host, next(self.ports))
        self.routes[event.relay] = Route(
            event.relay, event.five_tuple, relayed, event.expires_at
        )
        return self.core.relay_opened(event.relay, relayed, self.now)

    def client(self, **options: Any) -> MemoryClient:
        """A client of this server."""
        return MemoryClient(self, **options)


class MemoryClient:
    """Speaks STUN to a `MemoryTurn`, and signs once it knows the nonce."""

    def __init__(
        self,
        server: MemoryTurn,
        *,
        username: str = "ann",
        password: str | None = None,
        address: Address = CLIENT,
        transport: str = "udp",
        digest: Digest = "sha1",
    ) -> None:
        self.server = server
        self.username = username
        self.digest: Digest = digest
        self.nonce = ""
        self.five_tuple = FiveTuple(transport, address, SERVER)
        held = server.passwords.get(username, "wrong") if password is None else password
        self.key = long_term_key(username, REALM, held)

    def signed(self, method: int, rows: Rows = (), tid: bytes | None = None) -> bytes:
        """A request with credentials, as bytes."""
        login: Rows = [
            (stun.USERNAME, self.username),
            (stun.REALM, REALM),
            (stun.NONCE, self.nonce),
        ]
        return encode(
            method,
            Class.REQUEST,
            tid or transaction(),
            [*rows, *login],
            key=self.key,
            digest=self.digest,
        )

    def send(self, data: bytes) -> Message | None:
        """Send bytes; the one answer, parsed, or None."""
        answers = self.server.receive(data, self.five_tuple)
        assert len(answers) <= 1
        return parse(answers[0]) if answers else None

    def ask(self, method: int, rows: Rows = (), tid: bytes | None = None) -> Message:
        """A signed request; takes a nonce first, and again when it is stale."""
        if not self.nonce:
            self.challenge()
        answer = self.send(self.signed(method, rows, tid))
        assert answer is not None
        if code_of(answer) == 438:
            self.nonce = answer.first(stun.NONCE) or ""
            answer = self.send(self.signed(method, rows, tid))
            assert answer is not None
        return answer

    def challenge(self) -> Message:
        """Ask without credentials, and keep the nonce."""
        bare = [(turn.REQUESTED_TRANSPORT, 17)]
        answer = self.send(encode(Method.ALLOCATE, Class.REQUEST, transaction(), bare))
        assert answer is not None
        self.nonce = answer.first(stun.NONCE) or ""
        return answer

    def allocate(self, *rows: tuple[Attribute[Any], Any]) -> Message:
        """An Allocate for UDP."""
        return self.ask(Method.ALLOCATE, [(turn.REQUESTED_TRANSPORT, 17), *rows])

    def permit(self, *peers: Address) -> Message:
        """A CreatePermission for one or more peers."""
        rows = [(turn.XOR_PEER_ADDRESS, peer) for peer in peers]
        return self.ask(Method.CREATE_PERMISSION, rows)

    def bind(self, channel: int, peer: Address) -> Message:
        """A ChannelBind."""
        rows: Rows = [(turn.CHANNEL_NUMBER, channel), (turn.XOR_PEER_ADDRESS, peer)]
        return self.ask(Method.CHANNEL_BIND, rows)

    def refresh(self, *rows: tuple[Attribute[Any], Any]) -> Message:
        """A Refresh."""
        return self.ask(Method.REFRESH, rows)

    @property
    def route(self) -> Route:
        """The client's route in the data plane."""
        routes = self.server.routes.values()
        return next(r for r in routes if r.five_tuple == self.five_tuple)


def send_indication(peer: Address, payload: bytes) -> bytes:
    """A Send indication."""
    rows: Rows = [(turn.XOR_PEER_ADDRESS, peer), (turn.DATA, payload)]
    return encode(Method.SEND, Class.INDICATION, transaction(), rows)


def code_of(answer: Message | None) -> int:
    """The error code of an answer; 0 for success, -1 for silence."""
    if answer is None:
        return -1
    error = answer.first(stun.ERROR_CODE)
    return 0 if error is None else error.code

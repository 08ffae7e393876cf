"""A client's side of STUN and TURN, as far as a network check needs it.

Bindings (RFC 8489), what a NAT does with them (RFC 5780), and one Allocate with
long-term credentials (RFC 8656 section 7.1), a loop through the relay to itself,
and a Refresh of 0 for the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address
from mosaic.wire.stun.attributes import Attribute
from mosaic.wire.stun.credentials import long_term_key
from mosaic.wire.stun.discovery import CHANGE_REQUEST, OTHER_ADDRESS
from mosaic.wire.stun.errors import MalformedAttribute, MalformedMessage
from mosaic.wire.stun.message import Class, Message, Method, encode, parse
from mosaic.wire.turn import attributes as turn

_UDP = 17
_CHALLENGES = (401, 438)
MAX_ROUNDS = 3


class TurnRefusal(Exception):
    """The server's no. code: of RFC 8489 or 8656; 0 for what is no answer."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code


@dataclass(frozen=True, slots=True)
class Seen:
    """The answer to a Binding: where we were seen from, and the server's other
    address if it has one."""

    mapped: Address
    other: Address | None


def binding(transaction: bytes, change: int = 0) -> bytes:
    """A Binding request. change: CHANGE-REQUEST's flags, 0 for none."""
    rows = [(CHANGE_REQUEST, change)] if change else []
    return encode(Method.BINDING, Class.REQUEST, transaction, rows)


def read_binding(data: bytes, transaction: bytes) -> Seen | None:
    """The answer to our Binding; None for anything else."""
    try:
        message = parse(data)
        if message.transaction != transaction or message.cls is not Class.SUCCESS:
            return None
        mapped = message.first(stun.XOR_MAPPED_ADDRESS)
        return None if mapped is None else Seen(mapped, message.first(OTHER_ADDRESS))
    except (MalformedMessage, MalformedAttribute):
        return None


def relayed_data(data: bytes) -> bytes | None:
    """What a Data indication carries (section 11.4); None for anything else."""
    try:
        message = parse(data)
        if message.method != Method.DATA or message.cls is not Class.INDICATION:
            return None
        return message.first(turn.DATA)
    except (MalformedMessage, MalformedAttribute):
        return None


class AllocateClient:
    """Asks for one relay. `begin()`, then `receive()` each message.

    new_transaction: 12 fresh random bytes each time. relayed: where the relay
    is, once there is one.
    """

    def __init__(
        self, username: str, password: str, new_transaction: Callable[[], bytes]
    ) -> None:
        self._login = username, password
        self._new = new_transaction
        self._realm = self._nonce = ""
        self._rounds = 0
        self._transaction = b""
        self.relayed: Address | None = None

    def begin(self) -> bytes:
        """The first request, or the next with what was learned."""
        self._rounds += 1
        self._transaction = self._new()
        return self._request(Method.ALLOCATE, (turn.REQUESTED_TRANSPORT, _UDP))

    def end(self) -> bytes:
        """Give the relay back (section 8)."""
        self._transaction = self._new()
        return self._request(Method.REFRESH, (turn.LIFETIME, 0))

    def permit(self, peer: Address) -> bytes:
        """Ask to be let through to a peer (section 9)."""
        self._transaction = self._new()
        return self._request(Method.CREATE_PERMISSION, (turn.XOR_PEER_ADDRESS, peer))

    def send(self, peer: Address, data: bytes) -> bytes:
        """A Send indication (section 11.1)."""
        rows: list[tuple[Attribute[Any], Any]] = [
            (turn.XOR_PEER_ADDRESS, peer),
            (turn.DATA, data),
        ]
        return encode(Method.SEND, Class.INDICATION, self._new(), rows)

    def receive(self, data: bytes) -> bytes | None:
        """What to send next; None when there is a relay, or the message was
        somebody else's. Raises TurnRefusal."""
        try:
            message = parse(data)
            if message.transaction != self._transaction:
                return None
            return self._answered(message)
        except (MalformedMessage, MalformedAttribute) as error:
            raise TurnRefusal(0, f"no TURN answer: {error}") from error

    def _answered(self, message: Message) -> bytes | None:
        if message.cls is Class.SUCCESS:
            if message.method == Method.ALLOCATE:
                self.relayed = message.first(turn.XOR_RELAYED_ADDRESS)
                if self.relayed is None:
                    raise TurnRefusal(0, "an answer without a relayed address")
            return None
        error = message.first(stun.ERROR_CODE)
        if error is None:
            raise TurnRefusal(0, "no answer to Allocate")
        if error.code in _CHALLENGES and self._rounds < MAX_ROUNDS:
            nonce = message.first(stun.NONCE) or ""
            if nonce != self._nonce and (error.code == 438 or not self._nonce):
                self._realm = message.first(stun.REALM) or self._realm
                self._nonce = nonce
                return self.begin()
        raise TurnRefusal(error.code, error.reason)

    def _request(self, method: Method, row: tuple[object, object]) -> bytes:
        rows = [row]
        key = None
        if self._nonce:
            username, password = self._login
            rows += [
                (stun.USERNAME, username),
                (stun.REALM, self._realm),
                (stun.NONCE, self._nonce),
            ]
            key = long_term_key(username, self._realm, password)
        return encode(method, Class.REQUEST, self._transaction, rows, key=key)  # type: ignore[arg-type]

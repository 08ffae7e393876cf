"""A TURN client on a real UDP socket."""

from __future__ import annotations

import socket
from typing import Any

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address
from mosaic.wire.stun.credentials import long_term_key
from mosaic.wire.stun.message import (
    Class,
    Message,
    Method,
    encode,
    parse,
)
from mosaic.wire.turn import attributes as turn
from tests.support.udp import code_of, transaction

REALM = "mosaic"


class UdpClient:
    """Asks and waits; learns the nonce from the first answer.

    server: host and port. login: username and password.
    """

    def __init__(
        self, server: tuple[str, int], login: tuple[str, str], *, host: str = ""
    ) -> None:
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.settimeout(30)
        if host:
            self.sock.bind((host, 0))
        self.sock.connect(server)
        self.username, password = login
        self.key = long_term_key(self.username, REALM, password)
        self.nonce = ""

    def ask(self, method: int, *rows: Any) -> Message:
        """A request; once more with the nonce that it learns."""
        for _ in range(2):
            sent = [
                *rows,
                (stun.USERNAME, self.username),
                (stun.REALM, REALM),
                (stun.NONCE, self.nonce or "none"),
            ]
            self.sock.send(
                encode(method, Class.REQUEST, transaction(), sent, key=self.key)
            )
            answer = parse(self.sock.recv(2048))
            if code_of(answer) not in (401, 438):
                break
            self.nonce = answer.first(stun.NONCE) or self.nonce
        return answer

    def allocate(self, *rows: Any) -> Message:
        """An Allocate for UDP."""
        return self.ask(Method.ALLOCATE, (turn.REQUESTED_TRANSPORT, 17), *rows)

    def permit(self, peer: Address) -> Message:
        """A CreatePermission."""
        return self.ask(Method.CREATE_PERMISSION, (turn.XOR_PEER_ADDRESS, peer))

    def bind(self, channel: int, peer: Address) -> Message:
        """A ChannelBind."""
        return self.ask(
            Method.CHANNEL_BIND,
            (turn.CHANNEL_NUMBER, channel),
            (turn.XOR_PEER_ADDRESS, peer),
        )

    def end(self) -> Message:
        """A Refresh with LIFETIME 0."""
        return self.ask(Method.REFRESH, (turn.LIFETIME, 0))

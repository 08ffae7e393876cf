"""STUN and TURN URLs (RFC 7064, 7065) of the servers that a call may use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from mosaic.hub.participant import IceServer

Way = Literal["udp", "tcp", "tls"]
WAYS: tuple[Way, ...] = ("udp", "tcp", "tls")
"""What costs least first: TCP and TLS hold up media behind a lost packet."""

_URL = re.compile(
    r"(stun|turns?):(?:\[([0-9A-Fa-f:.]+)\]|([^:?\[\]/]+))(?::(\d{1,5}))?"
    r"(?:\?transport=(udp|tcp))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A TURN server by one way, with the login for it."""

    host: str
    port: int
    way: Way
    username: str = ""
    password: str = ""

    @property
    def hop(self) -> str:
        """How errors name it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"relay {host}:{self.port} over {self.way.upper()}"

    def __repr__(self) -> str:
        return f"Relay({self.hop})"


@dataclass(frozen=True, slots=True)
class Servers:
    """stun: addresses that say how we are seen. relays: best way first."""

    stun: tuple[tuple[str, int], ...] = ()
    relays: tuple[Relay, ...] = ()


def read_servers(servers: Iterable[IceServer]) -> Servers:
    """What can be used of them; a URL that is none, or a way that is not spoken
    here (TURN over DTLS), is left out."""
    stun: dict[tuple[str, int], None] = {}
    relays: dict[tuple[str, int, Way], Relay] = {}
    for scheme, host, port, way, server in _urls(servers):
        if scheme == "stun":
            stun[host, port] = None
        else:
            relays[host, port, way] = Relay(
                host=host,
                port=port,
                way=way,
                username=server.username or "",
                password=server.credential or "",
            )
    ranked = sorted(relays.values(), key=lambda relay: WAYS.index(relay.way))
    return Servers(tuple(stun), tuple(ranked))


def _urls(
    servers: Iterable[IceServer],
) -> Iterator[tuple[str, str, int, Way, IceServer]]:
    for server in servers:
        for url in server.urls:
            match = _URL.fullmatch(url)
            if match is None:
                continue
            scheme, literal, name, port, transport = match.groups()
            way: Way = "tcp" if transport == "tcp" else "udp"
            if scheme == "turns":
                if transport == "udp":
                    continue
                way = "tls"
            number = int(port) if port else (5349 if scheme == "turns" else 3478)
            if 0 < number < 65536:
                yield scheme, literal or name, number, way, server

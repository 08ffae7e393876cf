"""URLs of relays (RFC 7064, RFC 7065), taken apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Way = Literal["udp", "tcp", "tls", "dtls"]

_URL = re.compile(
    r"(stun|turns?):(\[[^\]]+\]|[^:?\[\]]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?"
)


@dataclass(frozen=True, slots=True)
class RelayUrl:
    """relay: it is TURN, not only STUN."""

    way: Way
    host: str
    port: int
    relay: bool

    @property
    def hop(self) -> str:
        """How errors name it."""
        return f"relay {self.host}:{self.port} over {self.way.upper()}"


def relay_urls(urls: Iterable[str]) -> Iterator[RelayUrl]:
    """Those that can be read, in their order."""
    for url in urls:
        match = _URL.fullmatch(url)
        if match is None:
            continue
        scheme, host, port, transport = match.groups()
        secure = scheme == "turns"
        number = int(port or (5349 if secure else 3478))
        if not 0 < number <= 65535:
            continue
        way: Way = "tcp" if transport == "tcp" else "udp"
        if secure:
            way = "dtls" if transport == "udp" else "tls"
        yield RelayUrl(way, host.strip("[]"), number, scheme != "stun")

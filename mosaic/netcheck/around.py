"""What all checks of one run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mosaic.netcheck.known import KnownServers
from mosaic.proxy.client import Dialler
from mosaic.proxy.routes import Proxy
from mosaic.wire.hops import HopError


class RegionFacts(msgspec.Struct, kw_only=True):
    """Relays in another place (RegionView)."""

    name: str
    urls: list[str] = []


class ServerFacts(msgspec.Struct, kw_only=True):
    """What the server says of itself (NetcheckView)."""

    address: str = ""
    urls: list[str] = []
    username: str = ""
    credential: str = ""
    ttl: int = 0
    udp_ports: list[int] = []
    dtls_ports: list[int] = []
    xmpp_port: int | None = None
    redirect_port: int | None = None
    xmpp_domain: str = ""
    drcp: bool = True
    spki_sha256: list[str] = []
    region: str = ""
    regions: list[RegionFacts] = []

    @property
    def login(self) -> tuple[str, str]:
        """For the relays."""
        return self.username, self.credential


@dataclass(frozen=True, slots=True)
class Server:
    """The URL to check, taken apart."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Server:
        """`https://host[:port]` or a host. Raises ValueError."""
        parts = urlsplit(url if "://" in url else f"https://{url}")
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError(f"{url!r} is no https URL; for example https://meet.org")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(parts.scheme, parts.hostname, port)

    @property
    def secure(self) -> bool:
        """Whether there is TLS."""
        return self.scheme == "https"

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def hop(self) -> str:
        """How errors name it."""
        return f"server {self.host}:{self.port}"


@dataclass(slots=True, kw_only=True)
class Around:
    """server: what is checked. dialler: how TCP goes out. hush: whether to measure
    nothing now, asked before each measurement. long: with a minute of silence.
    known: keys of earlier runs. facts: once REST has said them."""

    server: Server
    dialler: Dialler
    hush: Callable[[], bool] = lambda: False
    long: bool = False
    known: KnownServers = field(default_factory=KnownServers)
    facts: ServerFacts | None = None

    @property
    def quick(self) -> bool:
        """Without numbers, now."""
        return self.hush()

    @property
    def reactor(self) -> Any:
        """Of the dialler."""
        return self.dialler.reactor

    async def ways(self) -> list[Proxy]:
        """To the server; none if they cannot be found out."""
        server = self.server
        try:
            return await self.dialler.routes.proxies_for(
                server.scheme, server.host, server.port
            )
        except HopError:
            return []

    async def proxied(self) -> bool:
        """Whether the first way is a proxy."""
        ways = await self.ways()
        return bool(ways) and ways[0].kind != "direct"

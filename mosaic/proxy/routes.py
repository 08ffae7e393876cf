"""Which proxies lead to a target, and which of them are known to be dead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from mosaic.wire.hops import Login

Kind = Literal["direct", "http", "https", "socks5h"]
PORTS: dict[str, int] = {"http": 3128, "https": 443, "socks5h": 1080}
"""Where none is given."""

DEAD_S = 300.0
"""How long a proxy that could not be reached comes last."""


class ProxyTextError(ValueError):
    """A text that names no proxy; the message says what one looks like."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One way: straight on, or through a proxy. login: only where the source
    of the proxy held one, else a file says it."""

    kind: Kind
    host: str = ""
    port: int = 0
    login: Login | None = field(default=None, compare=False)

    def __str__(self) -> str:
        if self.kind == "direct":
            return "direct"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"

    @property
    def hop(self) -> str:
        """How errors name it."""
        return "direct connection" if self.kind == "direct" else f"proxy {self}"


DIRECT = Proxy("direct")


def parse_proxy(text: str, *, default_kind: str = "http") -> Proxy:
    """`http://host:port`, `https://…`, `socks5h://…`, `direct` or `host:port`.

    socks5:// and socks:// mean socks5h: names are always resolved by the
    proxy. Raises ProxyTextError; its text never holds a password.
    """
    if text.strip().lower() == "direct":
        return DIRECT
    wanted = text if "://" in text else f"{default_kind}://{text}"
    try:
        parts = urlsplit(wanted.strip())
        port = parts.port
    except ValueError as error:
        raise ProxyTextError(f"no proxy: {error}; for example {_EXAMPLE}") from None
    kinds: dict[str, Kind] = {
        "http": "http",
        "https": "https",
        "socks5h": "socks5h",
        "socks5": "socks5h",
        "socks": "socks5h",
    }
    kind = kinds.get(parts.scheme.lower())
    shown = f"{parts.scheme}://{parts.hostname or ''}"
    if kind is None or not parts.hostname or port == 0:
        raise ProxyTextError(f"{shown!r} is no proxy; for example {_EXAMPLE}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ProxyTextError(f"{shown!r}: a proxy has no path; for example {_EXAMPLE}")
    login = None
    if parts.username:
        login = Login(unquote(parts.username), unquote(parts.password or ""))
    return Proxy(kind, parts.hostname, port or PORTS[kind], login)


_EXAMPLE = "http://proxy.example.org:3128 or socks5h://proxy.example.org:1080"


class Routes(Protocol):
    """Knows the ways to a target."""

    async def proxies_for(self, scheme: str, host: str, port: int) -> list[Proxy]:
        """At least one, the one to try first in front."""

    def failed(self, proxy: Proxy) -> None:
        """It could not be reached."""

    def describe(self) -> str:
        """Where the ways come from, for people."""


class DeadProxies:
    """Remembers which proxies were dead a while ago. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[Proxy, float] = {}

    def add(self, proxy: Proxy) -> None:
        """It comes last for a while."""
        self._until[proxy] = self._clock() + DEAD_S

    def sort(self, proxies: Iterable[Proxy]) -> list[Proxy]:
        """Those that may live in their order, then the dead, soonest first."""
        now = self._clock()
        self._until = {p: until for p, until in self._until.items() if until > now}
        return sorted(proxies, key=lambda proxy: self._until.get(proxy, 0.0))


class FixedRoutes:
    """The same ways to every target."""

    def __init__(
        self, proxies: Iterable[Proxy], *, clock: Callable[[], float], source: str
    ) -> None:
        self._proxies = list(proxies) or [DIRECT]
        self._dead = DeadProxies(clock)
        self._source = source

    async def proxies_for(self, scheme: str, host: str, port: int) -> list[Proxy]:
        """All of them."""
        return self._dead.sort(self._proxies)

    def failed(self, proxy: Proxy) -> None:
        """Try another one first next time."""
        self._dead.add(proxy)

    def describe(self) -> str:
        """Where they come from."""
        return self._source


def direct_routes() -> FixedRoutes:
    """Straight on."""
    return FixedRoutes([DIRECT], clock=lambda: 0.0, source="direct")


def without_login(proxy: Proxy) -> Proxy:
    """The same proxy, without what its source said of a login."""
    return replace(proxy, login=None)

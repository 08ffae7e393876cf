"""One form for every system's proxy settings, and the rules of exceptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from mosaic.proxy.routes import DIRECT, DeadProxies, Proxy, ProxyTextError, parse_proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemProxies:
    """What one source says.

    source: for people. by_scheme: "http", "https", "all" to a proxy. bypass:
    rules of hosts that are reached directly. pac_url: a script instead.
    auto_detect: it asks for WPAD, which is off here unless it is turned on.
    """

    source: str
    by_scheme: Mapping[str, Proxy] = field(default_factory=dict)
    bypass: tuple[str, ...] = ()
    pac_url: str = ""
    auto_detect: bool = False

    @property
    def says_something(self) -> bool:
        """Whether there is a proxy or a script."""
        return bool(self.by_scheme or self.pac_url)


def bypasses(rules: Iterable[str], host: str, port: int) -> bool:
    """Whether a rule sends this host straight on.

    `*`; `example.org` and `.example.org` with everything below; `*.example.org`;
    `10.0.0.0/8` and single addresses; `<local>` for names without a dot; each
    with `:port` if wanted. Loopback is always direct.
    """
    name = host.lower().strip("[]").rstrip(".")
    try:
        address = ip_address(name)
    except ValueError:
        address = None
    if name == "localhost" or (address is not None and address.is_loopback):
        return True
    for text in rules:
        rule = text.strip().lower()
        if not rule:
            continue
        if rule == "*" or (rule == "<local>" and "." not in name and address is None):
            return True
        head, colon, number = rule.rpartition(":")
        if colon and number.isascii() and number.isdecimal() and ":" not in head:
            if int(number) != port:
                continue
            rule = head
        rule = rule.strip("[]")
        if address is not None:
            try:
                if address in ip_network(rule, strict=False):
                    return True
            except ValueError:
                pass
            if rule.endswith("*") and str(address).startswith(rule[:-1]):
                return True  # Windows: 10.*
            continue
        domain = rule.removeprefix("*").removeprefix(".")
        if domain and (name == domain or name.endswith("." + domain)):
            return True
    return False


class SystemRoutes:
    """Fixed proxies for each scheme, with exceptions."""

    def __init__(self, found: SystemProxies, *, clock: Callable[[], float]) -> None:
        self._found = found
        self._dead = DeadProxies(clock)

    async def proxies_for(self, scheme: str, host: str, port: int) -> list[Proxy]:
        """The scheme's proxy, that of all schemes, or straight on."""
        if bypasses(self._found.bypass, host, port):
            return [DIRECT]
        alike = {"wss": "https", "ws": "http"}.get(scheme, scheme)
        by_scheme = self._found.by_scheme
        proxy = by_scheme.get(alike) or by_scheme.get("all") or DIRECT
        return self._dead.sort([proxy])

    def failed(self, proxy: Proxy) -> None:
        """There is no other way, so nothing changes."""
        self._dead.add(proxy)

    def describe(self) -> str:
        """Where the settings come from."""
        return self._found.source


def parse_table(rows: Mapping[str, str]) -> dict[str, Proxy]:
    """Proxies by scheme; what names no proxy is left out."""
    found = {}
    for scheme, text in rows.items():
        try:
            if text.strip():
                found[scheme] = parse_proxy(text)
        except ProxyTextError:
            continue
    return found

"""Which peers a client may reach: one rule for every way to name an address.

A relay in a private network is a hole into it unless it refuses to send there.
An address hides in many notations (CVE-2020-26262, CVE-2026-27624), so every
test of a peer goes through `PeerPolicy.refusal`.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from mosaic.wire.stun.address import Address

Network = IPv4Network | IPv6Network

_REFUSED_V4 = tuple(
    (IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "AMT"),
        ("192.88.99.0/24", "6to4 relay anycast"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved or broadcast"),
    )
)
_REFUSED_V6 = tuple(
    (IPv6Network(network), why)
    for network, why in (
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("::/96", "unspecified, loopback or IPv4-compatible"),
        ("64:ff9b:1::/48", "local-use NAT64"),
        ("100::/64", "discard"),
        ("100:0:0:1::/64", "dummy prefix"),
        ("2001::/23", "protocol assignments, Teredo, ORCHID"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_V6 = IPv6Network("2000::/3")


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """CIDRs or single addresses of both families; raises ValueError."""
    return tuple(ip_network(text, strict=False) for text in texts)


def special(host: str) -> str | None:
    """Why an address is no public unicast address, or None if it is one."""
    bare = host.partition("%")[0]
    if ":" not in bare:
        return _special_v4(IPv4Address(bare))
    address = IPv6Address(bare)
    if address in _NAT64:
        # RFC 6052 3.1: the well-known prefix carries public IPv4 alone.
        return _special_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    for network, why in _REFUSED_V6:
        if address in network:
            return why
    return None if address in _GLOBAL_V6 else "outside global unicast"


def _special_v4(address: IPv4Address) -> str | None:
    for network, why in _REFUSED_V4:
        if address in network:
            return why
    return None


def _address(host: str) -> IPv4Address | IPv6Address:
    bare = host.partition("%")[0]
    return IPv6Address(bare) if ":" in bare else IPv4Address(bare)


class PeerPolicy:
    """Refuses special addresses and our own, but for what an operator allows.

    allow: networks that may be reached although they are special. deny:
    networks that may not be reached, whatever `allow` says. Nothing
    makes our own listening addresses reachable: a relay that talks to itself
    is an amplifier. Our own *relayed* addresses are not asked about here; the
    server lets them through before (two relay-only members must meet).
    """

    def __init__(
        self, allow: Iterable[Network] = (), deny: Iterable[Network] = ()
    ) -> None:
        self._allow = tuple(allow)
        self._deny = tuple(deny)
        self._listening: set[Address] = set()
        self._wildcards: set[tuple[int, int]] = set()
        self._ours: set[str] = set()
        self._cache: dict[str, str | None] = {}

    def listening_on(self, address: Address) -> None:
        """One of our own listeners; a wildcard host counts for every address."""
        if address.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            self._wildcards.add((address.family, address.port))
        else:
            self._listening.add(address)
            self._ours.add(address.host)

    def reached_at(self, host: str) -> None:
        """A client reached us, or a relay is open, at this address: it is ours."""
        if host not in self._ours:
            self._ours.add(host)
            self._cache.clear()

    def own_only(self, host: str) -> bool:
        """Whether a permission for this host means our relayed addresses alone."""
        return host in self._ours and not self.allowed(host)

    def is_listener(self, peer: Address) -> bool:
        """Whether the peer is one of our own listening addresses."""
        if peer in self._listening:
            return True
        return (peer.family, peer.port) in self._wildcards and (
            peer.host in self._ours or self._is_loopback(peer.host)
        )

    @staticmethod
    def _is_loopback(host: str) -> bool:
        return host.startswith("127.") or host == "::1"

    def allow_networks(self, allow: Iterable[Network]) -> None:
        """Allow these special networks in place of those before."""
        self._allow = tuple(allow)
        self._cache.clear()

    def deny_networks(self, deny: Iterable[Network]) -> None:
        """Refuse these networks in place of those before."""
        self._deny = tuple(deny)
        self._cache.clear()

    def _denied(self, host: str) -> bool:
        address = _address(host)
        if isinstance(address, IPv6Address) and address in _NAT64:
            embedded = IPv4Address(int(address) & 0xFFFFFFFF)
            if any(embedded in network for network in self._deny):
                return True
        return any(address in network for network in self._deny)

    def allowed(self, host: str) -> bool:
        """Whether an operator named a network that holds this address."""
        address = _address(host)
        return any(address in network for network in self._allow)

    def refusal(self, peer: Address) -> str | None:
        """Why this peer is refused, or None if it may be reached."""
        if self.is_listener(peer):
            return "our own listening address"
        if peer.host not in self._cache:
            if len(self._cache) >= 4096:
                self._cache.clear()
            self._cache[peer.host] = self._judge(peer.host)
        return self._cache[peer.host]

    def _judge(self, host: str) -> str | None:
        if self._denied(host):
            return "denied here"
        if self.allowed(host):
            return None
        return special(host) or ("our own address" if host in self._ours else None)

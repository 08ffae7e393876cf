"""The address of a peer as text, the same text for the same machine."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address as IPv6
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import ITransport


@lru_cache(maxsize=4096)
def plain_address(host: str) -> str:
    """Write an IP address in its one shortest form.

    v4-mapped addresses, which a dual-stack listener gives to IPv4 clients,
    become IPv4; a zone (`%eth0`) is dropped. What is no address comes back as
    it is.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def peer_address(transport: ITransport) -> str:
    """The peer's IP address, or "" where it has none (UNIX sockets).

    Behind a PROXY header this is the address that the header names.
    """
    peer = transport.getPeer()
    if isinstance(peer, IPv4Address | IPv6Address):
        return plain_address(peer.host)
    return ""

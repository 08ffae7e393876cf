"""What NAT a client is behind (RFC 5780): Binding answered from where it asks.

It takes two addresses with two ports each, so that a client can see whether
its NAT keeps a mapping, and whom it lets in, for another address or port.
With one address a client still learns its mapping; it is told no OTHER-ADDRESS,
and CHANGE-REQUEST is refused as unknown (420), which is what the RFC asks of
such a server.

**Amplification.** With discovery a Binding answer holds three addresses more:
68 bytes over IPv4 for a request of 20, which is twice with the IP and UDP
headers. That, and answers that leave from another address than the one that
was asked, are why it is off unless an operator names the addresses. PADDING
in an answer never makes it longer than twice the request.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.attributes import Attribute, bytes_row, number_row, plain_row
from mosaic.wire.stun.message import Message

CHANGE_REQUEST = number_row(0x0003, "CHANGE-REQUEST", "5780 7.2", 4)
PADDING = bytes_row(0x0026, "PADDING", "5780 7.6")
RESPONSE_PORT = number_row(0x0027, "RESPONSE-PORT", "5780 7.5", 2, pad=2)
RESPONSE_ORIGIN = plain_row(0x802B, "RESPONSE-ORIGIN", "5780 7.3")
OTHER_ADDRESS = plain_row(0x802C, "OTHER-ADDRESS", "5780 7.4")
CHANGE_IP = 4
CHANGE_PORT = 2
PADDING_BYTES = 1500
_UNDERSTOOD = stun.UNDERSTOOD | {CHANGE_REQUEST.code, PADDING.code, RESPONSE_PORT.code}


class BadDiscovery(Exception):
    """The request asks for things that exclude each other: 400."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The way an answer takes, and what it holds."""

    five_tuple: FiveTuple
    attributes: list[tuple[Attribute[Any], Any]]


class Discovery:
    """Knows which of our addresses belong together.

    pairs: two addresses of one family that differ in host and in port; we
    listen at both hosts on both ports. Raises ValueError for others.
    """

    def __init__(self, pairs: Iterable[tuple[Address, Address]] = ()) -> None:
        self._others: dict[Address, Address] = {}
        for one, two in pairs:
            if one.family != two.family or one.host == two.host or one.port == two.port:
                raise ValueError(
                    f"NAT discovery needs two hosts and two ports of one family, "
                    f"not {one.host} port {one.port} and {two.host} port {two.port}"
                )
            for host, other in ((one.host, two.host), (two.host, one.host)):
                for port, another in ((one.port, two.port), (two.port, one.port)):
                    self._others[Address(host, port)] = Address(other, another)

    def addresses(self) -> list[Address]:
        """Every address that must be listened at."""
        return list(self._others)

    def understood(self, five_tuple: FiveTuple) -> frozenset[int]:
        """Comprehension-required codes that a Binding may hold here.

        Over streams the attributes of this module mean nothing.
        """
        here = five_tuple.transport == "udp" and five_tuple.server in self._others
        return _UNDERSTOOD if here else stun.UNDERSTOOD

    def reply(self, message: Message, five_tuple: FiveTuple) -> Reply:
        """Answer a Binding that holds nothing unknown (section 6.1).

        Raises BadDiscovery or MalformedAttribute.
        """
        mapped = (stun.XOR_MAPPED_ADDRESS, five_tuple.client)
        other = self._others.get(five_tuple.server)
        if other is None or five_tuple.transport != "udp":
            return Reply(five_tuple, [mapped])
        padding = message.first(PADDING)
        port = message.first(RESPONSE_PORT)
        change = message.first(CHANGE_REQUEST) or 0
        if padding is not None and port is not None:
            raise BadDiscovery("PADDING and RESPONSE-PORT exclude each other")
        origin = Address(
            (other if change & CHANGE_IP else five_tuple.server).host,
            (other if change & CHANGE_PORT else five_tuple.server).port,
        )
        client = five_tuple.client
        if port is not None:
            client = Address(client.host, port)
        rows: list[tuple[Attribute[Any], Any]] = [
            mapped,
            (stun.MAPPED_ADDRESS, five_tuple.client),
            (RESPONSE_ORIGIN, origin),
            (OTHER_ADDRESS, other),
        ]
        if padding is not None:
            room = len(message.raw) * 2 - 20 - sum(_size(row[1]) for row in rows) - 12
            if room > 0:
                rows.append((PADDING, bytes(min(PADDING_BYTES, room & ~3))))
        return Reply(FiveTuple("udp", client, origin), rows)


def _size(address: Address) -> int:
    """Bytes of an address attribute with its header."""
    return 24 if address.family == 6 else 12

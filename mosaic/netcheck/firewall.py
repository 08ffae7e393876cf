"""Which ports a configuration needs open, and how firewalls write that.

Rules are for what comes in to the server from people. What only this machine
may reach (interface=127.0.0.1) is not among them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from mosaic.config.settings import Settings
from mosaic.netcheck.urls import relay_urls

FORMATS = ("text", "nft", "iptables", "ufw", "aws", "azure")

_PORT = re.compile(r"(?:^|:)(?:tcp|tcp6|ssl|tls|mosaic-tls|udp|dtls):(?:port=)?(\d+)")
_INTERFACE = re.compile(r":interface=((?:\\.|[^:\\])+)")

PURPOSES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "rest": ("tcp", "web pages, REST, updates", ("HTTP", "HTTPS", "TLS")),
    "drcp": ("tcp", "collaboration", ("HTTPS", "WebSocket", "TLS")),
    "xmpp": ("tcp", "XMPP", ("XMPP", "TLS")),
    "turn_tls": (
        "tcp",
        "media over TLS",
        ("STUN", "TURN", "ICE", "TLS", "DTLS", "SRTP"),
    ),
    "http": ("tcp", "plain HTTP", ("HTTP",)),
    "redirect": ("tcp", "redirect to https, certificates", ("HTTP",)),
    "turn_tcp": ("tcp", "media over TCP", ("STUN", "TURN", "DTLS", "SRTP")),
    "turn_udp": ("udp", "media over UDP", ("STUN", "TURN", "ICE", "DTLS", "SRTP")),
    "turn_dtls": ("udp", "media over DTLS", ("STUN", "TURN", "DTLS", "SRTP")),
    "xmpp_starttls": ("tcp", "XMPP with STARTTLS", ("XMPP", "TLS")),
    "metrics": ("tcp", "metrics", ("HTTP",)),
}
"""Keys of [endpoints]: transport, words for people, and layer-7 protocols."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One port that must be open. last: of a range, else the same. hosts: the names
    that it is reached by. region: of others' relays; "" for this server."""

    transport: str
    first: int
    last: int
    purposes: tuple[str, ...] = field(default=())
    protocols: tuple[str, ...] = field(default=())
    hosts: tuple[str, ...] = field(default=())
    region: str = ""

    @property
    def ports(self) -> str:
        """`443`, or `49152-65535`."""
        return (
            str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        )


def openings(
    settings: Settings,
    *,
    moved: dict[tuple[str, int], int] | None = None,
    relay_ports: bool = False,
) -> list[Opening]:
    """What the configuration listens on for others, TCP before UDP.

    moved: ports that the running server has in place of configured ones, by
    transport. relay_ports: the relayed addresses too; they are needed only
    where one side of a call has the relay and the other has not.
    """
    found: dict[tuple[str, int], tuple[list[str], list[str]]] = {}
    for name, (transport, purpose, protocols) in PURPOSES.items():
        for text in getattr(settings.endpoints, name):
            match = _PORT.search(text)
            if match is None or _is_local(text):
                continue
            configured = int(match[1])
            port = (moved or {}).get((transport, configured), configured)
            purposes, spoken = found.setdefault((transport, port), ([], []))
            purposes.append(purpose)
            spoken += protocols
    for text in settings.turn.nat_discovery:
        port = int(text.rpartition(":")[2])
        purposes, spoken = found.setdefault(("udp", port), ([], []))
        purposes.append("NAT discovery")
        spoken.append("STUN")
    rows = [
        Opening(
            transport,
            port,
            port,
            tuple(dict.fromkeys(purposes)),
            tuple(dict.fromkeys(spoken)),
            (settings.public_host,),
        )
        for (transport, port), (purposes, spoken) in found.items()
    ]
    if relay_ports:
        first, last = settings.turn.relay_ports
        media = ("ICE", "DTLS", "SRTP")
        here = (settings.public_host,)
        rows.append(Opening("udp", first, last, ("relayed media",), media, here))
    return sorted(rows, key=lambda row: (row.transport, row.first))


def elsewhere(settings: Settings) -> list[Opening]:
    """What the networks that people are in must let out to further regions."""
    rows: list[Opening] = []
    for region in settings.regions:
        found: dict[tuple[str, int], list[str]] = {}
        for url in relay_urls(region.urls):
            transport = "udp" if url.way in ("udp", "dtls") else "tcp"
            hosts = found.setdefault((transport, url.port), [])
            hosts.append(url.host)
        for (transport, port), hosts in sorted(found.items()):
            protocols = PURPOSES["turn_udp" if transport == "udp" else "turn_tls"][2]
            names = tuple(dict.fromkeys(hosts))
            words = (f"media in {region.name}",)
            rows.append(
                Opening(transport, port, port, words, protocols, names, region.name)
            )
    return rows


def _is_local(text: str) -> bool:
    given = _INTERFACE.search(text)
    host = re.sub(r"\\(.)", r"\1", given[1]) if given else ""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def render(rows: Sequence[Opening], form: str) -> str:
    """The rules as a firewall takes them. form: one of FORMATS; all but `text` have
    this server's own ports alone."""
    if form != "text":
        rows = [row for row in rows if not row.region]
    return {
        "text": _text,
        "nft": _nft,
        "iptables": _iptables,
        "ufw": _ufw,
        "aws": _aws,
        "azure": _azure,
    }[form](rows)


def _text(rows: Sequence[Opening]) -> str:
    lines = ["Let these in to the server, from everywhere people meet from:", ""]
    for row in rows:
        if not row.region:
            what = ", ".join(row.purposes)
            lines.append(f"  {row.transport.upper()} {row.ports:<12} {what}")
    lines += ["", "Let these out of the networks that people and hubs are in:", ""]
    for row in rows:
        where = ", ".join(row.hosts)
        place = f" ({row.region})" if row.region else ""
        lines.append(f"  {row.transport.upper()} {row.ports:<12} {where}{place}")
    lines += ["", "Layer-7 protocols that a firewall may recognise there:", ""]
    for row in rows:
        lines.append(
            f"  {row.transport.upper()} {row.ports:<12} {', '.join(row.protocols)}"
        )
    protocols = dict.fromkeys(p for row in rows for p in row.protocols)
    lines += ["", f"All: {', '.join(protocols)}; and DNS, by which clients look up the"]
    lines.append("names above at their own resolver. UDP 53 here is TURN and no DNS.")
    lines.append("Do not inspect TLS for this server: XMPP and TURN are no HTTP.")
    return "\n".join(lines) + "\n"


def _nft(rows: Sequence[Opening]) -> str:
    lines = [
        # In one step with what follows: the rules of before are gone.
        "add table inet mosaic",
        "delete table inet mosaic",
        "table inet mosaic {",
        "  chain input {",
        "    type filter hook input priority filter; policy drop;",
        '    iifname "lo" accept',
        "    ct state established,related accept",
        "    ct state invalid drop",
        "    icmp type { echo-request, destination-unreachable } accept",
        "    icmpv6 type { echo-request, destination-unreachable, packet-too-big,"
        " time-exceeded, nd-neighbor-solicit, nd-neighbor-advert,"
        " nd-router-advert } accept",
    ]
    for row in rows:
        words = _words(row)
        lines.append(f'    {row.transport} dport {row.ports} accept comment "{words}"')
    return "\n".join([*lines, "  }", "}"]) + "\n"


def _iptables(rows: Sequence[Opening]) -> str:
    lines = ["# once with iptables, once with ip6tables"]
    for row in rows:
        ports = row.ports.replace("-", ":")
        lines.append(
            f"iptables -A INPUT -p {row.transport} --dport {ports}"
            f' -m comment --comment "{_words(row)}" -j ACCEPT'
        )
    return "\n".join(lines) + "\n"


def _ufw(rows: Sequence[Opening]) -> str:
    return "".join(
        f"ufw allow {row.ports.replace('-', ':')}/{row.transport}"
        f" comment '{_words(row)}'\n"
        for row in rows
    )


def _aws(rows: Sequence[Opening]) -> str:
    """For `aws ec2 authorize-security-group-ingress --ip-permissions file://…`."""
    rules = [
        {
            "IpProtocol": row.transport,
            "FromPort": row.first,
            "ToPort": row.last,
            "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": _words(row)}],
            "Ipv6Ranges": [{"CidrIpv6": "::/0", "Description": _words(row)}],
        }
        for row in rows
    ]
    return json.dumps(rules, indent=2) + "\n"


def _azure(rows: Sequence[Opening]) -> str:
    lines = ["# set GROUP and NSG first"]
    for number, row in enumerate(rows):
        name = f"mosaic-{row.transport}-{row.ports}"
        lines.append(
            f'az network nsg rule create -g "$GROUP" --nsg-name "$NSG" -n {name}'
            f" --priority {1000 + 10 * number} --direction Inbound --access Allow"
            f" --protocol {row.transport.capitalize()}"
            f" --destination-port-ranges {row.ports}"
            f' --description "{_words(row)}"'
        )
    return "\n".join(lines) + "\n"


def _words(row: Opening) -> str:
    """For comments: letters, digits, commas and blanks alone."""
    return "Mosaic: " + _joined(row.purposes)


def _joined(words: Iterable[str]) -> str:
    return ", ".join(words)

"""Two private networks behind NATs, and a server in the network between them.

Five namespaces: `net` (the server; it forwards between the two), for each side
a router that is the NAT, and a hub behind it. Wants root, `ip` and `nft`; a
machine without them skips here and fails in CI.

An emulated router drops what nobody asked for on its own input: else the
kernel notes the stranger's packet as a connection to itself, and the hub's
own packet to that stranger, a moment later, is given another port.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any, Literal
from unittest import SkipTest

SERVER = "203.0.113.100"
ALL_OF_IT = "203.0.113.0/24"
Side = Literal["a", "b"]
SIDES: tuple[Side, Side] = ("a", "b")
NUMBERS = {"a": 1, "b": 2}

_NAT = """
table ip nat {{
  chain pre {{ type nat hook prerouting priority -100; {pre} }}
  chain post {{ type nat hook postrouting priority 100; oifname "wan" {post} }}
}}
table ip filter {{
  chain input {{
    type filter hook input priority 0; iifname "wan" udp dport 1-65535 drop;
  }}
  chain forward {{ type filter hook forward priority 0; {forward} }}
}}
"""
_NO_UDP = "meta l4proto udp drop;"
_MISSION = (
    "ct state established,related accept; iifname lan tcp dport { 80, 443 } accept;"
    " iifname lan udp dport 53 accept; drop;"
)
_WEB = "ct state established,related accept; tcp dport { 80, 443 } accept; drop;"
_PROXY = "ct state established,related accept; tcp dport 1080 accept; drop;"
KINDS = {
    "full-cone": (
        'iifname "wan" meta l4proto udp dnat to {hub};',
        "snat to {wan};",
        "",
    ),
    "restricted": ("", "masquerade;", ""),
    "symmetric": ("", "masquerade fully-random;", ""),
    "udp-blocked": ("", "masquerade;", _NO_UDP),
    "mission-list": ("", "masquerade;", _MISSION),
    "web-only": ("", "masquerade;", _WEB),
    "proxy-only": ("", "masquerade;", _PROXY),
}
"""By name: the rules of the router. full-cone: one port for all, open to all
(RFC 4787: EIM/EIF); restricted: EIM/APDF; symmetric: APDM/APDF; udp-blocked: TCP
alone; mission-list: TCP 80 and 443 and UDP 53, and nothing else; web-only: TCP 80
and 443; proxy-only: TCP 1080, where a proxy is."""


class Lab:
    """The namespaces; they go with the test."""

    def __init__(self) -> None:
        self.names = {
            name: f"mosaic-{name}{os.getpid()}"
            for name in ("net", "nat-a", "nat-b", "hub-a", "hub-b")
        }
        try:
            self._make()
        except (OSError, subprocess.CalledProcessError) as error:
            self.remove()
            if os.environ.get("CI"):
                raise
            raise SkipTest(f"no network namespaces here: {error}") from error

    def _make(self) -> None:
        subprocess.run(["nft", "--version"], check=True, capture_output=True)
        for name in self.names.values():
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        net = self.names["net"]
        _ip("-n", net, "addr", "add", f"{SERVER}/32", "dev", "lo")
        for side in SIDES:
            at = NUMBERS[side]
            nat, hub = self.names[f"nat-{side}"], self.names[f"hub-{side}"]
            self._cable(
                net,
                f"to-{side}",
                f"203.0.113.{at * 8 + 1}/29",
                nat,
                "wan",
                f"203.0.113.{at * 8 + 2}/29",
            )
            self._cable(nat, "lan", f"10.{at}.0.1/24", hub, "eth0", f"10.{at}.0.2/24")
            # The server speaks to both sides from its one address.
            _ip(
                "-n",
                net,
                "route",
                "replace",
                f"203.0.113.{at * 8}/29",
                "dev",
                f"to-{side}",
                "src",
                SERVER,
            )
            _ip("-n", nat, "route", "add", "default", "via", f"203.0.113.{at * 8 + 1}")
            _ip("-n", hub, "route", "add", "default", "via", f"10.{at}.0.1")
            self._forward(nat)
        self._forward(net)

    def _cable(
        self, one: str, end: str, host: str, two: str, other: str, second: str
    ) -> None:
        _ip(
            "-n",
            one,
            "link",
            "add",
            end,
            "type",
            "veth",
            "peer",
            "name",
            other,
            "netns",
            two,
        )
        for name, link, address in ((one, end, host), (two, other, second)):
            _ip("-n", name, "addr", "add", address, "dev", link)
            _ip("-n", name, "link", "set", link, "up")

    def _forward(self, name: str) -> None:
        subprocess.run(
            ["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.ip_forward=1"],
            check=True,
            capture_output=True,
        )

    def inside(self, name: str, *command: str) -> list[str]:
        """The command as it is run in a namespace (`net`, `hub-a`, ...)."""
        return ["ip", "netns", "exec", self.names[name], *command]

    def nat(self, side: Side, kind: str) -> None:
        """Make the router of a side one of KINDS; it forgets what it had."""
        at = NUMBERS[side]
        names = {"hub": f"10.{at}.0.2", "wan": f"203.0.113.{at * 8 + 2}"}
        pre, post, forward = (
            rule.format(**names) if "{hub}" in rule or "{wan}" in rule else rule
            for rule in KINDS[kind]
        )
        rules = _NAT.format(pre=pre, post=post, forward=forward)
        subprocess.run(
            self.inside(f"nat-{side}", "nft", "-f", "-"),
            input=f"flush ruleset\n{rules}\n",
            text=True,
            check=True,
            capture_output=True,
        )

    def remove(self) -> None:
        """The cables go with the namespaces."""
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _ip(*words: str) -> Any:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

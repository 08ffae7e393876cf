"""Rules for values that types alone do not express."""

from __future__ import annotations

import ipaddress
import re

import msgspec

from mosaic.config.errors import ConfigError
from mosaic.config.settings import Endpoints, Hubs, Settings
from mosaic.config.xmpp import check_xmpp
from mosaic.workspace.hubs import COMMANDS

_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    r"(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*",
    re.IGNORECASE,
)
_MAY_BE_ZERO = {
    "store.commit_window_s",
    "drain_s",
    "turn.bytes_per_s_allocation",
    "turn.bytes_per_s_user",
    "turn.port_quarantine_s",
    "xmpp.resume_s",
    "xmpp.archive_days",
    "xmpp.offline_messages",
    "xmpp.upload_keep_days",
}


_DATAGRAMS = {"turn_udp": "udp", "turn_dtls": "dtls"}


def check_values(settings: Settings) -> None:
    """Raise ConfigError for the first value that cannot work."""
    if not (_HOST.fullmatch(settings.public_host) or _address(settings.public_host)):
        raise ConfigError(
            "public_host",
            f"{settings.public_host!r} is not a host name; "
            "give the name that browsers use, without scheme or port",
        )
    _check_numbers(settings, "")
    _check_turn(settings)
    check_xmpp(settings.xmpp, settings.public_host)
    _check_endpoints(settings.endpoints)
    if settings.updates.resign_s > settings.updates.timestamp_life_s / 2:
        raise ConfigError(
            "updates.resign_s",
            f"{settings.updates.resign_s} is above half of updates.timestamp_life_s: "
            "hubs would refuse the feed when one signature is late",
        )
    _check_hubs(settings.hubs)
    _check_regions(settings)
    if settings.store.commit_window_s > 0.02:
        raise ConfigError(
            "store.commit_window_s",
            f"{settings.store.commit_window_s} is above 0.02: an edit may not wait "
            "longer for the disk",
        )


def _check_hubs(hubs: Hubs) -> None:
    for command in hubs.commands:
        if command not in COMMANDS:
            raise ConfigError(
                "hubs.commands",
                f"{command!r} is no command of hubs; there are {', '.join(COMMANDS)}",
            )
    if hubs.offline_after_s < 30:
        raise ConfigError(
            "hubs.offline_after_s",
            f"{hubs.offline_after_s} is below 30: a hub that waits for news says"
            " nothing for 25 s",
        )


def _address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_numbers(section: msgspec.Struct, prefix: str) -> None:
    for name in section.__struct_fields__:
        value = getattr(section, name)
        key = prefix + name
        if isinstance(value, msgspec.Struct):
            _check_numbers(value, f"{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            least_allowed = value >= 0 if key in _MAY_BE_ZERO else value > 0
            if not least_allowed:
                raise ConfigError(key, f"{value} is not a positive number")


def _check_turn(settings: Settings) -> None:
    first, last = settings.turn.relay_ports
    if not (1024 <= first <= 65535 and 1024 <= last <= 65535):
        raise ConfigError(
            "turn.relay_ports", f"[{first}, {last}] must lie in 1024 to 65535"
        )
    if first > last:
        raise ConfigError(
            "turn.relay_ports", f"first port {first} is above last port {last}"
        )
    if len(settings.turn.realm.encode()) > 12:
        raise ConfigError(
            "turn.realm",
            f"{settings.turn.realm!r} is longer than 12 bytes: answers to strangers "
            "must stay short",
        )
    _check_networks("turn.allow_peers", settings.turn.allow_peers)
    _check_networks("turn.deny_peers", settings.turn.deny_peers)
    parse_ip_port("turn.alternate_server", settings.turn.alternate_server)
    _check_nat_discovery(settings.turn.nat_discovery)
    for key, version in (("relay_address_v4", 4), ("relay_address_v6", 6)):
        text = getattr(settings.turn, key)
        if text and not (
            _address(text) and ipaddress.ip_address(text).version == version
        ):
            raise ConfigError(f"turn.{key}", f"{text!r} is no IPv{version} address")


def _check_networks(key: str, networks: tuple[str, ...]) -> None:
    for cidr in networks:
        try:
            ipaddress.ip_network(cidr)
        except ValueError as error:
            raise ConfigError(
                key,
                f"{cidr!r} is not a network in CIDR notation ({error}); "
                "for example 10.20.0.0/16",
            ) from error


def _check_nat_discovery(texts: tuple[str, ...]) -> None:
    """Pairs of one family that differ in host and in port."""
    key = "turn.nat_discovery"
    found = [parse_ip_port(key, text) for text in texts]
    for at in range(0, len(found), 2):
        pair = [ip_port for ip_port in found[at : at + 2] if ip_port is not None]
        versions = {ipaddress.ip_address(host).version for host, _ in pair}
        hosts, ports = {host for host, _ in pair}, {port for _, port in pair}
        if (len(pair), len(versions), len(hosts), len(ports)) != (2, 1, 2, 2):
            raise ConfigError(
                key,
                f"{list(texts[at : at + 2])} must be two addresses of one family that "
                "differ in host and in port",
            )


def parse_ip_port(key: str, text: str) -> tuple[str, int] | None:
    """`192.0.2.7:3478` or `[2001:db8::7]:3478`; None for "". Raises ConfigError."""
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    known = _address(host) and port.isascii() and port.isdecimal()
    if not known or not 0 < int(port) <= 65535:
        raise ConfigError(
            key, f"{text!r} is no IP address and port; for example 192.0.2.7:3478"
        )
    return host, int(port)


_RELAY_URL = re.compile(
    r"(?:stun|turn|turns):(\[[0-9a-fA-F:.]+\]|[^:?/\[\]@\s]+)(?::\d{1,5})?"
    r"(?:\?transport=(?:udp|tcp))?"
)


def _check_regions(settings: Settings) -> None:
    """Names that differ, and URLs of RFC 7064 and RFC 7065."""
    names = {settings.region}
    for at, region in enumerate(settings.regions):
        key = f"regions[{at}]"
        if not region.name or region.name in names:
            raise ConfigError(
                f"{key}.name", f"{region.name!r} must be a name that no other has"
            )
        names.add(region.name)
        if not region.urls:
            raise ConfigError(f"{key}.urls", "there must be one at least")
        for url in region.urls:
            match = _RELAY_URL.fullmatch(url)
            host = match[1].strip("[]") if match else ""
            if not (_HOST.fullmatch(host) or _address(host)):
                raise ConfigError(
                    f"{key}.urls",
                    f"{url!r} is no STUN or TURN URL; for example "
                    "turn:turn.example.org:3478?transport=udp",
                )


def _check_endpoints(endpoints: Endpoints) -> None:
    for name in endpoints.__struct_fields__:
        for text in getattr(endpoints, name):
            kind = _DATAGRAMS.get(name, "")
            datagrams = text.startswith(tuple(f"{k}:" for k in _DATAGRAMS.values()))
            fits = text.startswith(f"{kind}:") if kind else not datagrams
            if not text or ":" not in text or not fits:
                example = f"{kind}:3478" if kind else "mosaic-tls:443 or tcp:8080"
                raise ConfigError(
                    f"endpoints.{name}",
                    f"{text!r} is no endpoint string; for example {example}",
                )
    _check_redirect(endpoints)


def _check_redirect(endpoints: Endpoints) -> None:
    """It serves nothing else, so it shares with nobody, and it is plain."""
    for text in endpoints.redirect:
        for name in endpoints.__struct_fields__:
            if name != "redirect" and text in getattr(endpoints, name):
                raise ConfigError(
                    "endpoints.redirect", f"{text!r} stands at endpoints.{name} too"
                )
        if "tls:" in text or "ssl:" in text:
            raise ConfigError(
                "endpoints.redirect", f"{text!r} speaks TLS already; try tcp:80"
            )

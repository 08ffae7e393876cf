"""The flags of `twistd mosaic`, turned into keys of the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mosaic.config.errors import ConfigError
from mosaic.config.load import load_settings
from mosaic.config.settings import Endpoints, Settings

ENDPOINT_FLAGS = {
    "rest": "HTTPS: REST API and the web pages",
    "drcp": "real-time collaboration over WebSocket",
    "xmpp": "XMPP, direct TLS",
    "turn-tls": "TURN over TLS",
    "turn-tcp": "STUN/TURN over TCP",
    "turn-udp": "STUN/TURN over UDP",
    "turn-dtls": "TURN over DTLS",
    "http": "plain HTTP, for this machine or a reverse proxy",
    "redirect": "plain HTTP that leads to https, for everybody",
    "xmpp-starttls": "XMPP with STARTTLS",
    "metrics": "metrics and health alone",
}
"""Each takes a Twisted endpoint string and may be repeated."""

_SHARED = ("rest", "drcp", "xmpp", "turn_tls")


def settings_from_flags(flags: Mapping[str, Any]) -> Settings:
    """Settings from the file that --config names and what the flags say.

    flags: option names as on the command line; None or () where not given.

    Raises ConfigError.
    """
    overrides: dict[str, Any] = {}
    for flag, key in (
        ("state", "state"),
        ("public-host", "public_host"),
        ("log-format", "log_format"),
        ("log-level", "log_level"),
    ):
        if flags.get(flag):
            overrides[key] = flags[flag]
    if flags.get("turn-allow-peer"):
        overrides["turn"] = {"allow_peers": list(flags["turn-allow-peer"])}
    base = load_settings(flags.get("config"), overrides)
    endpoints = _endpoints(base.endpoints, flags)
    return load_settings(flags.get("config"), {**overrides, "endpoints": endpoints})


def _endpoints(base: Endpoints, flags: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    chosen = {name: getattr(base, name) for name in base.__struct_fields__}
    for flag, names, kind in (
        ("port", _SHARED, "mosaic-tls"),
        ("http-port", ("http",), "tcp"),
        ("turn-port", ("turn_tcp",), "tcp"),
        ("turn-port", ("turn_udp",), "udp"),
    ):
        if flags.get(flag) is not None:
            port = parse_port(f"--{flag}", flags[flag])
            for name in names:
                chosen[name] = _with_port(chosen[name], kind, port)
    for flag in ENDPOINT_FLAGS:
        if flags.get(flag):
            chosen[flag.replace("-", "_")] = tuple(flags[flag])
    return chosen


def parse_port(flag: str, text: str | int) -> int:
    """A port number, 0 for any free one. Raises ConfigError."""
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise ConfigError(flag, f"{text!r} is no port number (0 to 65535)")
    return port


def _with_port(strings: Sequence[str], kind: str, port: int) -> tuple[str, ...]:
    pattern = re.compile(rf"((?:^|:){kind}):\d+")
    return tuple(pattern.sub(rf"\g<1>:{port}", text, count=1) for text in strings)

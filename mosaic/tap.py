"""`twistd mosaic`: its options, and the service that they make."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from twisted.python import usage

if TYPE_CHECKING:
    from twisted.application.service import IService

_VALUES = (
    ("config", "c", "TOML configuration file (etc/mosaic.toml explains every key)"),
    ("state", "s", "state folder: database, keys, certificates, files"),
    ("port", "p", "the shared TLS port (default 8443)"),
    ("http-port", None, "plain HTTP on this machine (default 8080)"),
    ("turn-port", None, "STUN/TURN over UDP and TCP (default 3478)"),
    ("public-host", None, "the name that browsers use for this server"),
    ("log-format", None, "plain or json"),
    ("log-level", None, "debug, info, warn or error"),
)


class Options(usage.Options):
    """Flags of `twistd mosaic`; each has a key in the configuration file."""

    synopsis = "[options]"
    longdesc = (
        "Starts the whole of Mosaic: REST, web pages, DRCP, XMPP and STUN/TURN. "
        "Endpoint flags take Twisted endpoint strings and may be repeated; "
        "services that are given the same string share that port."
    )
    optParameters = [[name, short, None, text] for name, short, text in _VALUES]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # it has no annotations
        self["turn-allow-peer"] = []

    def opt_turn_allow_peer(self, cidr: str) -> None:
        """a private network that the relay may reach (repeatable)"""
        self["turn-allow-peer"].append(cidr)

    def postOptions(self) -> None:
        """Read the configuration; end with one line and status 1 if it is wrong."""
        from mosaic.config.errors import ConfigError
        from mosaic.config.flags import settings_from_flags

        try:
            self["settings"] = settings_from_flags(self)
        except ConfigError as error:
            refuse(str(error))


def _endpoint_option(flag: str, text: str) -> Any:
    def option(self: Options, endpoint: str) -> None:
        if self.get(flag) is None:
            self[flag] = []
        self[flag].append(endpoint)

    option.__doc__ = f"endpoint of {text} (repeatable)"
    return option


_ENDPOINTS = {
    "rest": "HTTPS: REST API and web pages",
    "drcp": "real-time collaboration",
    "xmpp": "XMPP, direct TLS",
    "turn-tls": "TURN over TLS",
    "turn-tcp": "STUN/TURN over TCP",
    "turn-udp": "STUN/TURN over UDP",
    "turn-dtls": "TURN over DTLS",
    "http": "plain HTTP",
    "xmpp-starttls": "XMPP with STARTTLS",
    "metrics": "metrics and health",
}

for _flag, _text in _ENDPOINTS.items():
    setattr(Options, f"opt_{_flag.replace('-', '_')}", _endpoint_option(_flag, _text))


def refuse(line: str) -> None:
    """Say why Mosaic does not start, and exit with status 1."""
    sys.stderr.write(f"mosaic: {line}\n")
    raise SystemExit(1)


def makeService(options: Options) -> IService:
    """Build the house with the reactor that is chosen by now."""
    from mosaic.config.load import state_folder
    from mosaic.tls.groups import pin_groups

    settings = options["settings"]
    # Before the first import of OpenSSL, which reads its configuration once.
    pin_groups(state_folder(settings))

    from mosaic.app.preflight import PreflightError, check_start

    try:
        check_start(settings)
    except PreflightError as error:
        refuse(str(error))

    from twisted.internet import reactor

    from mosaic.app.build import build

    return build(settings, reactor, options=options)

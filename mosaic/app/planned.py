"""The addresses that a configuration leads to, before or without a server."""

from __future__ import annotations

import re
from pathlib import Path

from mosaic.app.addresses import Addresses
from mosaic.app.runfile import read_run_file
from mosaic.config.load import state_folder
from mosaic.config.settings import Settings

_PORT = re.compile(r"(?:^|:)(?:tcp|tcp6|ssl|tls|mosaic-tls|udp):(?:port=)?(\d+)")


def known_addresses(settings: Settings, state: Path | None = None) -> Addresses:
    """Addresses as the server last ran with, else as configured."""
    run = read_run_file(state or state_folder(settings))
    ends = settings.endpoints
    turn = {"turn_udp": bool(ends.turn_udp), "turn_tcp": bool(ends.turn_tcp)}
    if run is not None:
        return Addresses(
            public_host=run.public_host,
            tls_port=run.tls_port,
            http_port=run.http_port,
            turn_port=run.turn_port,
            turn_tls_port=run.turn_tls_port,
            more_udp_ports=planned_ports(ends.turn_udp)[1:],
            **turn,
        )
    return Addresses(
        public_host=settings.public_host,
        tls_port=planned_port(ends.rest),
        http_port=planned_port(ends.http),
        turn_port=planned_port(ends.turn_udp) or planned_port(ends.turn_tcp),
        turn_tls_port=planned_port(ends.turn_tls),
        more_udp_ports=planned_ports(ends.turn_udp)[1:],
        **turn,
    )


def planned_ports(endpoints: tuple[str, ...]) -> tuple[int, ...]:
    """Every port number in endpoint strings, each once."""
    found = (_PORT.search(text) for text in endpoints)
    return tuple(dict.fromkeys(int(match[1]) for match in found if match))


def planned_port(endpoints: tuple[str, ...]) -> int | None:
    """The first port number in endpoint strings, None if there is none."""
    for text in endpoints:
        if found := _PORT.search(text):
            return int(found[1])
    return None

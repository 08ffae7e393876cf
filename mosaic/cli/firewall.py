"""`mosaic firewall`: the rules that this configuration needs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from mosaic.app.planned import planned_port
from mosaic.app.runfile import read_run_file
from mosaic.cli.errors import Refused
from mosaic.cli.output import add_json_flag
from mosaic.config.load import state_folder
from mosaic.config.settings import Settings
from mosaic.netcheck.firewall import FORMATS, elsewhere, openings, render


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "firewall", help="print the firewall rules that this configuration needs"
    )
    parser.add_argument("--format", choices=FORMATS, default="text")
    parser.add_argument(
        "--relay-ports",
        action="store_true",
        help="the relayed addresses too: needed only for calls of which one side "
        "has the relay and the other has not",
    )
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> None:
    """Print them."""
    rows = openings(settings, moved=_moved(settings), relay_ports=options.relay_ports)
    if not rows:
        raise Refused("nothing listens for others in this configuration")
    rows += elsewhere(settings)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        print(render(rows, options.format), end="")


def _moved(settings: Settings) -> dict[tuple[str, int], int]:
    """Ports that flags of the running server have put elsewhere."""
    run_file = read_run_file(state_folder(settings))
    if run_file is None:
        return {}
    ends = settings.endpoints
    moved: dict[tuple[str, int], int] = {}
    for transport, configured, actual in (
        ("tcp", planned_port(ends.rest), run_file.tls_port),
        ("tcp", planned_port(ends.turn_tls), run_file.turn_tls_port),
        ("tcp", planned_port(ends.turn_tcp), run_file.turn_port),
        ("udp", planned_port(ends.turn_udp), run_file.turn_port),
    ):
        if configured is not None and actual is not None:
            moved[transport, configured] = actual
    return moved

"""`mosaic hub`: room boxes."""

from __future__ import annotations

from typing import Any

from mosaic.cli import hub_run, hub_update


def add_to(verbs: Any) -> None:
    """Add the verb and its actions."""
    parser = verbs.add_parser("hub", help="room boxes: run, supervise, update")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    hub_run.add_action(actions)
    hub_update.add_actions(actions)

"""`mosaic hub`: room boxes. Activation codes, the list, and removal.

The agent itself, `mosaic hub run`, is a verb of the box and has a module of its
own.
"""

from __future__ import annotations

import argparse
from typing import Any

from mosaic.app.control import ControlError, NoServer, ask
from mosaic.app.hubverbs import hub_record
from mosaic.cli import hub_check, hub_find, hub_run, hub_update
from mosaic.cli.errors import Refused
from mosaic.cli.office import open_office
from mosaic.cli.output import add_json_flag, show, show_table
from mosaic.config.load import state_folder
from mosaic.config.settings import Settings
from mosaic.workspace.hubcodes import format_code
from mosaic.workspace.ids import parse_hub_id

COLUMNS = ("hub_id", "name", "doing", "room", "version", "network", "last_seen")


def add_to(verbs: Any) -> None:
    """Add the verb and its actions."""
    parser = verbs.add_parser(
        "hub", help="room boxes: run, check, enrol-code, list, remove, update"
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    hub_check.add_action(actions)
    hub_find.add_action(actions)
    hub_run.add_action(actions)
    hub_update.add_actions(actions)
    code = actions.add_parser("enrol-code", help="a code by which boxes become hubs")
    code.add_argument("--uses", type=int, metavar="N", help="for how many boxes")
    code.add_argument(
        "--expires", type=float, metavar="SECONDS", help="how long it is good"
    )
    code.add_argument("--name", default="", help="to know it by later")
    add_json_flag(code)
    code.set_defaults(run=_enrol_code)
    every = actions.add_parser("list", help="show all hubs and what they do")
    add_json_flag(every)
    every.set_defaults(run=_list)
    remove = actions.add_parser("remove", help="end a hub at once; its room stays")
    remove.add_argument("hub_id", metavar="HUB_ID")
    remove.set_defaults(run=_remove)


def _enrol_code(settings: Settings, options: argparse.Namespace) -> None:
    with open_office(settings) as office:
        code, text = office.wait(
            office.door.hubs.enrolment.make_code(
                name=options.name, uses=options.uses, expires_in_s=options.expires
            )
        )
    show(
        {
            "id": code.id,
            "code": format_code(text),
            "uses_left": code.uses_left,
            "expires_at": round(code.expires_at, 3),
        },
        as_json=options.json,
    )


def _list(settings: Settings, options: argparse.Namespace) -> None:
    try:
        records = ask(state_folder(settings), "hub.list")["hubs"]
    except NoServer:
        with open_office(settings) as office:
            hubs = office.wait(office.store.hubs())
        records = [
            hub_record(hub, doing="offline", last_seen=hub.last_seen) for hub in hubs
        ]
    except ControlError as error:
        raise Refused(str(error)) from error
    show_table(records, COLUMNS, as_json=options.json)


def _remove(settings: Settings, options: argparse.Namespace) -> None:
    try:
        hub_id = parse_hub_id(options.hub_id)
    except ValueError as error:
        raise Refused(str(error)) from error
    try:
        # The server knows what the hub has open.
        ask(state_folder(settings), "hub.remove", hub_id=hub_id)
    except NoServer:
        with open_office(settings) as office:
            office.wait(office.door.hubs.rooms.remove(hub_id))
    except ControlError as error:
        raise Refused(str(error)) from error

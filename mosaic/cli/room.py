"""`mosaic room`: rooms and tokens for them."""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import Any

from mosaic.cli import moving
from mosaic.cli.errors import Refused
from mosaic.cli.office import Office, open_office
from mosaic.cli.output import add_json_flag, show, show_table
from mosaic.config.settings import Settings
from mosaic.workspace.ids import parse_hub_id
from mosaic.workspace.model import Role, Room


def add_to(verbs: Any) -> None:
    """Add the verb and its actions."""
    parser = verbs.add_parser(
        "room", help="rooms: create, list, close, token, export, import"
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a room")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--owner", metavar="ACCOUNT", help="its host")
    create.add_argument("--alias", help="the name of its XMPP address")
    add_json_flag(create)
    create.set_defaults(run=_create)
    every = actions.add_parser("list", help="show all rooms")
    add_json_flag(every)
    every.set_defaults(run=_list)
    close = actions.add_parser("close", help="end a room; what is in it stays")
    close.add_argument("hub_id", metavar="HUB_ID")
    close.set_defaults(run=_close)
    token = actions.add_parser("token", help="a token that opens a room")
    token.add_argument("hub_id", metavar="HUB_ID")
    token.add_argument(
        "--role", choices=[role.value for role in Role], default=Role.EDITOR.value
    )
    token.add_argument("--name", default="Guest", help="shown to the others")
    token.add_argument("--ttl", type=float, metavar="SECONDS", help="life of the token")
    add_json_flag(token)
    token.set_defaults(run=_token)
    moving.add_to(actions)


def _hub_id(text: str) -> str:
    try:
        return parse_hub_id(text)
    except ValueError as error:
        raise Refused(str(error)) from error


def _create(settings: Settings, options: argparse.Namespace) -> None:
    with open_office(settings) as office:
        room = office.wait(
            office.door.create_room(
                options.name, owner=options.owner, alias=options.alias
            )
        )
        record = _record(office, room)
        record["token"] = _issue(office, settings, room.hub_id, Role.HOST, "Host")
    show(record, as_json=options.json)


def _list(settings: Settings, options: argparse.Namespace) -> None:
    with open_office(settings) as office:
        records = [
            _record(office, room) | {"closed": room.closed_at is not None}
            for room in office.wait(office.store.rooms())
        ]
    show_table(
        records, ("hub_id", "name", "pin", "closed", "join_url"), as_json=options.json
    )


def _close(settings: Settings, options: argparse.Namespace) -> None:
    hub_id = _hub_id(options.hub_id)
    with open_office(settings) as office:
        room = office.wait(office.store.room(hub_id))
        if room.closed_at is None:
            closed = dataclasses.replace(room, closed_at=time.time())
            office.wait(office.store.update_room(closed))


def _token(settings: Settings, options: argparse.Namespace) -> None:
    hub_id = _hub_id(options.hub_id)
    with open_office(settings) as office:
        token = _issue(
            office,
            settings,
            hub_id,
            Role(options.role),
            options.name,
            ttl_s=options.ttl,
        )
    show({"token": token, "hub_id": hub_id, "role": options.role}, as_json=options.json)


def _issue(
    office: Office,
    settings: Settings,
    hub_id: str,
    role: Role,
    name: str,
    *,
    ttl_s: float | None = None,
) -> str:
    issued = office.wait(
        office.door.room_token(
            hub_id,
            role=role,
            name=name,
            ttl_s=ttl_s or settings.auth.room_token_ttl_s,
            account=None,
        )
    )
    return issued.token


def _record(office: Office, room: Room) -> dict[str, Any]:
    return {
        "hub_id": room.hub_id,
        "name": room.name,
        "pin": room.pin,
        "join_url": office.addresses.join_url(room.hub_id, room.pin),
    }

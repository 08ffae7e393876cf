"""`mosaic turn`: credentials for the relay, and who uses it."""

from __future__ import annotations

import argparse
import time
from typing import Any

from mosaic.app.control import ControlError, ask
from mosaic.app.keys import load_or_make_keys
from mosaic.app.planned import known_addresses
from mosaic.auth.turn_credentials import TurnSecrets
from mosaic.cli.errors import Refused
from mosaic.cli.output import add_json_flag, show, show_table
from mosaic.config.load import state_folder
from mosaic.config.settings import Settings

SESSION_COLUMNS = (
    "user",
    "transport",
    "client",
    "relayed",
    "permissions",
    "channels",
    "expires_in_s",
)


def add_to(verbs: Any) -> None:
    """Add the verb and its actions."""
    parser = verbs.add_parser("turn", help="the relay: credentials, sessions")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    credentials = actions.add_parser("credentials", help="time-limited credentials")
    credentials.add_argument("--user", default="operator", help="who they are for")
    credentials.add_argument("--ttl", type=int, metavar="SECONDS", help="their life")
    credentials.add_argument(
        "--sha256", action="store_true", help="HMAC-SHA256 in place of the configured"
    )
    add_json_flag(credentials)
    credentials.set_defaults(run=_credentials)
    sessions = actions.add_parser("sessions", help="who is relayed at this moment")
    add_json_flag(sessions)
    sessions.set_defaults(run=_sessions)


def _sessions(settings: Settings, options: argparse.Namespace) -> None:
    try:
        answer = ask(state_folder(settings), "turn.sessions")
    except ControlError as error:
        raise Refused(str(error)) from error
    show_table(answer["sessions"], SESSION_COLUMNS, as_json=options.json)


def _credentials(settings: Settings, options: argparse.Namespace) -> None:
    ttl_s = settings.turn.credential_ttl_s if options.ttl is None else options.ttl
    if ttl_s <= 0:
        raise Refused(f"--ttl: {ttl_s} is not a positive number")
    state = state_folder(settings)
    digest = "sha256" if options.sha256 else settings.turn.credential_hash
    try:
        keys = load_or_make_keys(state, "turn")
        secrets = TurnSecrets(keys, ttl_s=ttl_s, digest=digest)
    except (OSError, ValueError) as error:
        raise Refused(f"state folder {state}: {error}") from error
    minted = secrets.mint(options.user, time.time())
    show(
        {
            "urls": list(known_addresses(settings).turn_urls(settings.public_host)),
            "username": minted.username,
            "credential": minted.password,
            "ttl": ttl_s,
        },
        as_json=options.json,
    )

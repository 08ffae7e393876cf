"""`mosaic hub find`: the server of a hub on this LAN, by its ten digits."""

from __future__ import annotations

import argparse
from typing import Any

from mosaic.cli.errors import Refused
from mosaic.cli.output import add_json_flag, show
from mosaic.config.settings import Settings


def add_action(actions: Any) -> None:
    """Add `find` to the verb `hub`."""
    parser = actions.add_parser("find", help="a hub on this LAN by its ten digits")
    parser.add_argument("digits", metavar="DIGITS", help="as they stand on the wall")
    parser.add_argument(
        "--interface", action="append", metavar="ADDRESS", help="ask from here alone"
    )
    add_json_flag(parser)
    parser.set_defaults(run=_find)


def _find(settings: Settings, options: argparse.Namespace) -> None:
    import asyncio

    try:
        from mosaic.hub.announce import find_by_offline_id

        found = asyncio.run(
            find_by_offline_id(options.digits, interfaces=options.interface)
        )
    except ModuleNotFoundError as error:
        raise Refused(
            f"{error.name} is missing; pip install 'mosaic-meetings[hub]'"
        ) from error
    except (ValueError, LookupError, OSError) as error:
        raise Refused(str(error)) from error
    record = {"server": "", "hub": "", "name": "", **found}
    record.pop("v", None)
    show(record, as_json=options.json)

"""`mosaic check`: what is wrong, without starting anything."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mosaic.app.preflight import problems
from mosaic.app.xmlprobe import expat_is_quadratic
from mosaic.cli.errors import Refused
from mosaic.cli.output import add_json_flag, show_table
from mosaic.config.load import state_folder
from mosaic.config.settings import Settings
from mosaic.store.database import check_database, damaged, database_path
from mosaic.store.direct import read_set_aside
from mosaic.store.interface import StoreError


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "check", help="check configuration, ports and certificates"
    )
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> None:
    """Print every problem; refuse if there is one."""
    found = [{"key": each.key, "problem": each.message} for each in problems(settings)]
    found += _database_faults(settings)
    warnings = _set_aside(settings)
    if expat_is_quadratic():
        warnings.append(
            {
                "key": "python",
                "problem": "warning: this Python's expat re-scans unfinished tokens; "
                "XMPP stanza limits bound the cost, a newer Python removes it",
            }
        )
    if options.json or found or warnings:
        show_table(found + warnings, ("key", "problem"), as_json=options.json)
    if found:
        first = found[0]
        raise Refused(f"{first['key']}: {first['problem']}")
    if not options.json:
        print(f"ok: state folder {state_folder(settings)}, ready to start")


def _database_faults(settings: Settings) -> list[dict[str, str]]:
    """Reads all of the database, if there is one; a server may be running."""
    path = _database(settings)
    if not path.exists():
        return []
    try:
        fault = check_database(path)
    except StoreError as error:
        return [{"key": "store", "problem": str(error)}]
    if fault is None:
        return []
    return [{"key": "store", "problem": str(damaged(path, fault))}]


def _set_aside(settings: Settings) -> list[dict[str, str]]:
    """Updates that could not be applied: their rooms opened without them."""
    try:
        found = read_set_aside(_database(settings))
    except StoreError:
        return []  # told above
    return [
        {
            "key": "store",
            "problem": f"warning: set aside: {one.document} in room {one.hub_id},"
            f" number {one.seq} by {one.author or 'nobody'},"
            f" {one.size_bytes} bytes: {one.reason}",
        }
        for one in found
    ]


def _database(settings: Settings) -> Path:
    url = settings.store.url or state_folder(settings) / "mosaic.db"
    return database_path(url).absolute()

"""`mosaic check`: what is wrong, without starting anything."""

from __future__ import annotations

import argparse
from typing import Any

from mosaic.app.preflight import problems
from mosaic.app.xmlprobe import expat_is_quadratic
from mosaic.cli.errors import Refused
from mosaic.cli.output import add_json_flag, show_table
from mosaic.config.load import state_folder
from mosaic.config.settings import Settings


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
    warnings = []
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

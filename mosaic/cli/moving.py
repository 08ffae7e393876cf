"""`mosaic room export` and `import`: the words of the command line.

The work draws in documents, media types and the server's own parts: it is
imported when it is done, so that the other verbs start at once.
"""

from __future__ import annotations

import argparse
from typing import Any

from mosaic.cli.output import add_json_flag
from mosaic.config.settings import Settings


def add_to(actions: Any) -> None:
    """Add the two actions to `mosaic room`."""
    out = actions.add_parser("export", help="write a room as one archive (ZIP)")
    out.add_argument("hub_id", metavar="HUB_ID")
    out.add_argument("--output", metavar="FILE", help="default: the room's name")
    add_json_flag(out)
    out.set_defaults(run=_export)
    into = actions.add_parser("import", help="make a new room of an archive")
    into.add_argument("file", metavar="FILE")
    into.add_argument("--owner", metavar="ACCOUNT", help="its host")
    add_json_flag(into)
    into.set_defaults(run=_import)


def _export(settings: Settings, options: argparse.Namespace) -> None:
    from mosaic.cli.archives import export_room

    export_room(settings, options)


def _import(settings: Settings, options: argparse.Namespace) -> None:
    from mosaic.cli.archives import import_room

    import_room(settings, options)

"""`mosaic version`."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import Any

from mosaic import __version__
from mosaic.cli.output import add_json_flag, show
from mosaic.config.settings import Settings


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser("version", help="versions of Mosaic and what it uses")
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> None:
    """Print the versions that a fault report needs."""
    record = {"mosaic": __version__, "python": platform.python_version()}
    for name in ("Twisted", "autobahn", "pyOpenSSL", "cryptography", "pycrdt"):
        try:
            record[name.lower()] = installed(name)
        except PackageNotFoundError:
            record[name.lower()] = "missing"
    show(record, as_json=options.json)

"""Parse the command line and run one verb.

Exit codes: 0 ok; 1 refused or failed, with one line on stderr; 2 usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mosaic import __version__
from mosaic.cli import (
    backup,
    check,
    drcp,
    firewall,
    hub,
    netcheck,
    room,
    turn,
    user,
    version,
)
from mosaic.cli.errors import Refused
from mosaic.config.errors import ConfigError
from mosaic.config.flags import settings_from_flags


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code."""
    options = parser().parse_args(argv)
    try:
        settings = settings_from_flags(
            {"config": options.config, "state": options.state}
        )
        return int(options.run(settings, options) or 0)
    except (Refused, ConfigError) as error:
        return _fail(str(error))
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted")


def _fail(line: str) -> int:
    sys.stderr.write(f"mosaic: {line}\n")
    return 1


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="mosaic",
        description="Administer Mosaic, whether the server runs or not.",
        epilog="Start the server with: twistd -n mosaic",
    )
    top.add_argument("--config", metavar="FILE", help="configuration file (TOML)")
    top.add_argument("--state", metavar="DIR", help="state folder")
    top.add_argument("--version", action="version", version=f"mosaic {__version__}")
    verbs = top.add_subparsers(metavar="VERB", required=True)
    for verb in (
        user,
        room,
        hub,
        turn,
        drcp,
        check,
        netcheck,
        firewall,
        backup,
        version,
    ):
        verb.add_to(verbs)
    return top

"""Parse the command line and run one verb.

Exit codes: 0 ok; 1 refused or failed, with one line on stderr; 2 usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from mosaic import __version__
from mosaic.cli.errors import Refused
from mosaic.config.errors import ConfigError
from mosaic.config.flags import settings_from_flags


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    # The agent chooses its reactor, and must be back soon after a kill: it has
    # a short way of its own, past the other verbs and what they import.
    chosen = _agent() if words[:2] == ["hub", "run"] else parser()
    options = chosen.parse_args(words)
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
    from mosaic.cli import (
        backup,
        check,
        drcp,
        firewall,
        hub,
        netcheck,
        release,
        room,
        turn,
        user,
        version,
    )

    top, verbs = _top()
    for verb in (
        user,
        room,
        turn,
        drcp,
        check,
        netcheck,
        firewall,
        hub,
        backup,
        release,
        version,
    ):
        verb.add_to(verbs)
    return top


def _agent() -> argparse.ArgumentParser:
    """`hub run` alone."""
    from mosaic.cli import hub_run

    top, verbs = _top()
    hub_run.add_action(verbs.add_parser("hub").add_subparsers(required=True))
    return top


def _top() -> tuple[argparse.ArgumentParser, Any]:
    """What stands before the verb."""
    top = argparse.ArgumentParser(
        prog="mosaic",
        description="Administer Mosaic, whether the server runs or not.",
        epilog="Start the server with: twistd -n mosaic",
    )
    top.add_argument("--config", metavar="FILE", help="configuration file (TOML)")
    top.add_argument("--state", metavar="DIR", help="state folder")
    top.add_argument("--version", action="version", version=f"mosaic {__version__}")
    verbs = top.add_subparsers(metavar="VERB", required=True)
    return top, verbs

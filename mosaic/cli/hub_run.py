# Some of Twisted's functions are not annotated.
# mypy: allow-untyped-calls
"""`mosaic hub run`: the agent on a room box (docs/hub.md)."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from mosaic.cli.errors import Refused
from mosaic.config.settings import Settings

MISSING = "install the extra: pip install 'mosaic-meetings[hub]'"


def add_action(actions: Any) -> None:
    """Add `run` to the verb `hub`."""
    parser = actions.add_parser(
        "run",
        help="be the agent of this room box",
        description="Runs until it is asked to stop. Exit status: 0 stopped, 1 a"
        " reason on one line, 2 usage.",
    )
    parser.add_argument(
        "--server", required=True, metavar="URL", help="https://HOST[:PORT]"
    )
    parser.add_argument(
        "--state",
        dest="hub_state",
        metavar="DIR",
        help="what the hub keeps; systemd's state folder or one at home by default",
    )
    parser.add_argument(
        "--enrol-code", metavar="CODE", help="activation code, the first time"
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--kiosk", action="store_true", help="show the workspace in Chromium"
    )
    mode.add_argument("--headless", action="store_true", help="no screen (the default)")
    parser.add_argument(
        "--screen",
        action="append",
        default=[],
        metavar="X,Y,WxH",
        help="a window of the kiosk, such as 1920,0,1920x1080; may be repeated",
    )
    parser.add_argument(
        "--chromium", default="chromium", metavar="PROGRAM", help="the kiosk's browser"
    )
    parser.add_argument(
        "--chromium-flag", action="append", default=[], metavar="FLAG",
        help="one more flag for it; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--proxy",
        default="auto",
        metavar="HOW",
        help="auto (the system's), direct, http://HOST:PORT, socks5h://HOST:PORT, "
        "pac+https://URL",
    )
    parser.add_argument(
        "--proxy-login",
        metavar="FILE",
        help="file of mode 0600 with lines `host[:port] user password`",
    )
    parser.add_argument("--ca", metavar="FILE", help="certificates to trust (PEM)")
    parser.add_argument("--name", metavar="NAME", help="of the room, when enrolling")
    parser.add_argument(
        "--local-port", type=int, default=0, metavar="N",
        help="of the page on 127.0.0.1; any free one by default",
    )  # fmt: skip
    parser.add_argument(
        "--calendar", metavar="URL",
        help="ICS or CalDAV, where the administrator set none",
    )  # fmt: skip
    parser.add_argument(
        "--calendar-login", metavar="FILE",
        help="file of mode 0600 with lines `host[:port] user password`",
    )  # fmt: skip
    parser.add_argument(
        "--join-calendar", action="store_true", help="join meetings when they begin"
    )
    parser.add_argument(
        "--no-announce", action="store_true", help="do not answer on the LAN (mDNS)"
    )
    add_media_flags(parser)
    add_update_flags(parser)
    parser.set_defaults(run=run)


def add_media_flags(parser: argparse.ArgumentParser) -> None:
    """What a hub without a screen sends and keeps (docs/hub-media.md)."""
    parser.add_argument(
        "--send",
        metavar="WHAT",
        help="headless: the file (picture or film) that is sent in meetings, or `test`"
        " for a test picture and tone; nothing by default",
    )
    parser.add_argument(
        "--record", metavar="DIR", help="headless: keep what others send as WebM files"
    )


def add_update_flags(parser: argparse.ArgumentParser) -> None:
    """Whom updates are believed."""
    parser.add_argument(
        "--updates-root",
        metavar="FILE",
        help="the feed's 1.root.json, in place of the first that the server shows",
    )
    parser.add_argument(
        "--allow-downgrade",
        action="store_true",
        help="take an older version if the channel has no newer one",
    )


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Run a reactor of our own, asyncio's: slixmpp and aiortc need it."""
    import asyncio

    from twisted.internet import asyncioreactor

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)
    try:
        from mosaic.hub.options import OptionError
        from mosaic.hub.program import run_hub
    except ModuleNotFoundError as error:
        raise Refused(f"{error.name} is missing; {MISSING}") from error
    try:
        again = run_hub(_options(options))
    except OptionError as error:
        raise Refused(str(error)) from error
    if again is not None:
        # The same process goes on as the new program: nothing to supervise.
        sys.stdout.flush()
        os.execv(again[0], list(again))  # noqa: S606
    return 0


def _options(options: argparse.Namespace) -> Any:
    from mosaic.hub.options import (
        HubOptions,
        OptionError,
        Screen,
        default_state,
        parse_screen,
        parse_server,
    )
    from mosaic.workspace.hubcodes import parse_code

    code = None
    if options.enrol_code:
        try:
            code = parse_code(options.enrol_code)
        except ValueError as error:
            raise OptionError(f"--enrol-code: {error}") from error
    screens = tuple(map(parse_screen, options.screen))
    if not 0 <= options.local_port <= 65535:
        raise OptionError("--local-port: 0 to 65535")
    return HubOptions(
        server=parse_server(options.server),
        state=Path(options.hub_state) if options.hub_state else default_state(),
        code=code,
        kiosk=options.kiosk,
        screens=screens or (Screen(),),
        chromium=options.chromium,
        chromium_flags=tuple(options.chromium_flag),
        proxy=options.proxy,
        proxy_login=_path(options.proxy_login),
        ca=_path(options.ca),
        name=options.name,
        local_port=options.local_port,
        calendar=options.calendar,
        calendar_login=_path(options.calendar_login),
        join_calendar=options.join_calendar,
        announce=not options.no_announce,
        send=options.send,
        record=_path(options.record),
        updates_root=_path(options.updates_root),
        allow_downgrade=options.allow_downgrade,
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None

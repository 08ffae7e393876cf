# Some of Twisted's functions are not annotated.
# mypy: allow-untyped-calls
"""`mosaic hub supervise`, `update-check` and `update-install` (docs/updates.md)."""

from __future__ import annotations

import argparse
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from mosaic.cli.errors import Refused
from mosaic.cli.hub_run import MISSING, add_update_flags
from mosaic.cli.output import add_json_flag, show
from mosaic.config.settings import Settings


def add_actions(actions: Any) -> None:
    """Add them to the verb `hub`."""
    supervise = actions.add_parser(
        "supervise",
        help="run the agent from its current slot, and take a broken update back",
        description="What follows `--` goes to `mosaic hub run`.",
    )
    _add_state(supervise)
    supervise.add_argument(
        "--health", type=float, default=60.0, metavar="SECONDS",
        help="how long an update has to reach its server",
    )  # fmt: skip
    supervise.add_argument("--program", default="mosaic.cli", help=argparse.SUPPRESS)
    supervise.add_argument("arguments", nargs="*", metavar="-- ARGUMENTS")
    supervise.set_defaults(run=_supervise)
    for name, text, run in (
        ("update-check", "ask this hub's server for updates", _check),
        ("update-install", "install what there is, and start it", _install),
    ):
        parser = actions.add_parser(name, help=text, description=text)
        _add_state(parser)
        parser.add_argument("--server", required=True, metavar="URL")
        parser.add_argument("--channel", default="stable", metavar="NAME")
        parser.add_argument("--ca", metavar="FILE", help="certificates to trust (PEM)")
        parser.add_argument("--proxy", default="auto", metavar="HOW", help="as in run")
        parser.add_argument("--proxy-login", metavar="FILE", help="as in run")
        add_update_flags(parser)
        add_json_flag(parser)
        parser.set_defaults(run=run)


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state", dest="hub_state", metavar="DIR", help="what the hub keeps"
    )


def _folder(options: argparse.Namespace) -> Path:
    from mosaic.hub.options import default_state

    return Path(options.hub_state).absolute() if options.hub_state else default_state()


def _supervise(settings: Settings, options: argparse.Namespace) -> int:
    from mosaic.hub.updates.launcher import supervise

    folder = _folder(options)
    words = ["--state", str(folder), *options.arguments]
    if options.program == "mosaic.cli":
        words = ["hub", "run", *words]
    try:
        return supervise(folder, [options.program, *words], health_s=options.health)
    except OSError as error:
        raise Refused(f"{error.filename or folder}: {error.strerror}") from error


def _check(settings: Settings, options: argparse.Namespace) -> None:
    _work(options, install=False)


def _install(settings: Settings, options: argparse.Namespace) -> None:
    _work(options, install=True)
    with suppress(OSError, ValueError):
        launcher = int((_folder(options) / "supervise.pid").read_text())
        os.kill(launcher, signal.SIGHUP)


def _work(options: argparse.Namespace, *, install: bool) -> None:
    """In a reactor of our own; the state is printed."""
    from twisted.internet import reactor as _reactor
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from mosaic.hub.updating import UpdateRefused
    from mosaic.wire.hops import HopError

    reactor: Any = _reactor
    updates = _updates(options, reactor)
    updates.channel_set(options.channel, None)
    came: list[Any] = []

    async def work() -> Any:
        return await (updates.install() if install else updates.check())

    def start() -> None:
        done = Deferred.fromCoroutine(work()).addBoth(came.append)
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    if isinstance(came[0], Failure):
        if came[0].check(UpdateRefused, HopError):
            raise Refused(came[0].getErrorMessage())
        came[0].raiseException()
    state = came[0]
    show(
        {
            "state": state.state,
            "available": state.available,
            "size_bytes": state.size,
            "notes": state.notes,
            "problem": state.problem,
        },
        as_json=options.json,
    )


def _updates(options: argparse.Namespace, reactor: Any) -> Any:
    try:
        from mosaic.hub.keys import KeyRefused, load_or_make_key
        from mosaic.hub.updates.make import make_updates
    except ModuleNotFoundError as error:
        raise Refused(f"{error.name} is missing; {MISSING}") from error
    from mosaic.hub.build import trust_of
    from mosaic.hub.options import OptionError, parse_server
    from mosaic.proxy.client import Dialler
    from mosaic.proxy.discover import routes_for
    from mosaic.proxy.endpoint import Patience
    from mosaic.proxy.logins import LoginFileError, Logins, read_logins
    from mosaic.proxy.routes import ProxyTextError

    folder = _folder(options)
    login = options.proxy_login
    try:
        trust = trust_of(Path(options.ca) if options.ca else None)
        logins = read_logins(Path(login)) if login else Logins()
        dialler = Dialler(
            reactor=reactor,
            routes=routes_for(
                options.proxy, reactor=reactor, logins=logins, trust=trust
            ),
            logins=logins,
            trust=trust,
            patience=Patience(connect_s=8.0),
        )
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        root = options.updates_root
        return make_updates(
            reactor,
            dialler,
            state=folder,
            server=parse_server(options.server),
            public_key=load_or_make_key(folder).public_octets,
            root=Path(root).read_bytes() if root else None,
            strict=not options.allow_downgrade,
            # Who runs the agent is asked by the agent; here a person decides.
            supervised=True,
        )
    except (OptionError, KeyRefused, LoginFileError, ProxyTextError) as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}") from error

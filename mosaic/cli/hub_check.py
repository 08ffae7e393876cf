# Some of Twisted's functions are not annotated.
# mypy: allow-untyped-calls
"""`mosaic hub check`: the network between this box and its server (docs/hub.md)."""

from __future__ import annotations

import argparse
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mosaic.cli.errors import Refused
from mosaic.cli.hub_run import MISSING
from mosaic.cli.netcheck import show_report, tell_check
from mosaic.cli.output import add_json_flag
from mosaic.config.settings import Settings

AGENT_S = 320.0
"""The agent gives up sooner."""
JSON = "application/json"


def add_action(actions: Any) -> None:
    """Add `check` to the verb `hub`."""
    parser = actions.add_parser(
        "check",
        help="check the network between this box and its server",
        description="Asks the agent that runs on this box, so that its own proxy and"
        " logins are used, and its server hears of it. Where none runs, or with"
        " --server, it checks by itself with the options given. Exit status: 0 good,"
        " 1 degraded, 2 blocked.",
    )
    parser.add_argument(
        "--state", dest="hub_state", metavar="DIR", help="what the hub keeps"
    )
    parser.add_argument("--server", metavar="URL", help="not by the agent: this one")
    parser.add_argument("--ca", metavar="FILE", help="certificates to trust (PEM)")
    parser.add_argument("--proxy", default="auto", metavar="HOW", help="as in run")
    parser.add_argument("--proxy-login", metavar="FILE", help="as in run")
    parser.add_argument("--quick", action="store_true", help="measure nothing")
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """By the agent, else by ourselves."""
    try:
        from mosaic.hub.options import default_state
    except ModuleNotFoundError as error:
        raise Refused(f"{error.name} is missing; {MISSING}") from error
    state = Path(options.hub_state) if options.hub_state else default_state()
    report = None if options.server else _asked(state)
    if report is None:
        report = _checked(state, options)
    else:
        for check in () if options.json else report.checks:
            tell_check(check)
    show_report(report, as_json=options.json)
    return int(report.exit_code)


def _asked(state: Path) -> Any:
    """The report of the agent on this box; None where none runs."""
    import msgspec

    from mosaic.hub.build import LOCAL_FILE
    from mosaic.hub.netfound import Found

    try:
        page = (state / LOCAL_FILE).read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{state / LOCAL_FILE}: {error.strerror}") from error
    # The page is on this machine: no proxy has a part in it.
    parts = urlsplit(page)
    try:
        talk = HTTPConnection("127.0.0.1", parts.port or 0, timeout=AGENT_S)
        talk.request("POST", f"{parts.path}check", headers={"Accept": JSON})
        answer = talk.getresponse()
        content = answer.read()
        if answer.status == 503:
            raise Refused(content[:300].decode(errors="replace").strip())
        if answer.status != 200:
            return None  # the port is somebody else's now
        return msgspec.json.decode(content, type=Found).report
    except (OSError, HTTPException, ValueError):
        return None


def _checked(state: Path, options: argparse.Namespace) -> Any:
    """In a reactor of our own."""
    from twisted.internet import reactor as _reactor
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from mosaic.netcheck.engine import check_network
    from mosaic.netcheck.known import KnownServers

    reactor: Any = _reactor
    server, dialler = _way(reactor, state, options)
    check = check_network(
        server,
        dialler,
        told=(lambda check: None) if options.json else tell_check,
        quick=options.quick,
        known=KnownServers(state / "known_servers.json"),
    )
    came: list[Any] = []

    def start() -> None:
        done = Deferred.fromCoroutine(check).addBoth(came.append)
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    if isinstance(came[0], Failure):
        came[0].raiseException()
    return came[0]


def _way(reactor: Any, state: Path, options: argparse.Namespace) -> tuple[str, Any]:
    """The server's URL and how it is dialled, with what was typed at the wall."""
    from mosaic.hub.build import trust_of
    from mosaic.hub.memory import MemoryFile
    from mosaic.hub.options import OptionError, parse_server
    from mosaic.hub.proxylogin import ProxyLogins
    from mosaic.proxy.client import Dialler
    from mosaic.proxy.discover import routes_for
    from mosaic.proxy.endpoint import Patience
    from mosaic.proxy.logins import LoginFileError
    from mosaic.proxy.routes import ProxyTextError

    try:
        server = options.server or MemoryFile(state).load()[0].server
        if not server:
            raise Refused(f"{state} knows no server: give --server https://HOST")
        given = Path(options.proxy_login) if options.proxy_login else None
        logins = ProxyLogins(state, given)
        trust = trust_of(Path(options.ca) if options.ca else None)
        routes = routes_for(options.proxy, reactor=reactor, logins=logins, trust=trust)
        url = parse_server(server)
    except (OptionError, LoginFileError, ProxyTextError) as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}") from error
    return url, Dialler(
        reactor=reactor,
        routes=routes,
        logins=logins,
        trust=trust,
        patience=Patience(connect_s=5.0),
    )

# Some of Twisted's functions are not annotated.
# mypy: allow-untyped-calls
"""`mosaic netcheck`: whether meetings work from here, and where they do not."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mosaic.app.planned import known_addresses
from mosaic.cli.errors import Refused
from mosaic.cli.output import add_json_flag
from mosaic.config.settings import Settings

MARKS = {"ok": "ok", "degraded": "poor", "blocked": "BLOCKED", "skipped": "-"}


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "netcheck",
        help="check the network between here and a server",
        description="Exit status: 0 good, 1 degraded, 2 blocked.",
    )
    parser.add_argument(
        "--server", metavar="URL", help="https://HOST[:PORT]; this machine's by default"
    )
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
    parser.add_argument(
        "--quick", action="store_true", help="leave quality and bandwidth out"
    )
    parser.add_argument(
        "--long",
        action="store_true",
        help="hold a silent connection for a minute too",
    )
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Run a reactor of our own until the check is through."""
    from twisted.internet import reactor as _reactor
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from mosaic.config.load import state_folder
    from mosaic.netcheck.engine import NetworkCheck, Server
    from mosaic.netcheck.known import KnownServers
    from mosaic.proxy.client import Dialler
    from mosaic.proxy.discover import routes_for
    from mosaic.proxy.endpoint import Patience
    from mosaic.proxy.logins import LoginFileError, Logins, read_logins
    from mosaic.proxy.routes import ProxyTextError

    reactor: Any = _reactor
    trust = _trust(settings, options)
    try:
        server = Server.parse(_server(settings, options))
        login = options.proxy_login
        logins = read_logins(Path(login)) if login else Logins()
        routes = routes_for(options.proxy, reactor=reactor, logins=logins, trust=trust)
    except (ValueError, LoginFileError, ProxyTextError) as error:
        raise Refused(str(error)) from error
    check = NetworkCheck(
        server,
        Dialler(
            reactor=reactor,
            routes=routes,
            logins=logins,
            trust=trust,
            patience=Patience(connect_s=5.0),
        ),
        told=_ignore if options.json else tell_check,
        quick=options.quick,
        long=options.long,
        known=KnownServers(state_folder(settings) / "known_servers.json"),
    )
    came: list[Any] = []

    def start() -> None:
        done = Deferred.fromCoroutine(check.run()).addBoth(came.append)
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    report = came[0]
    if isinstance(report, Failure):
        report.raiseException()
    show_report(report, as_json=options.json)
    return int(report.exit_code)


def _server(settings: Settings, options: argparse.Namespace) -> str:
    if options.server:
        return str(options.server)
    url = known_addresses(settings).https_url
    if url is None:
        raise Refused("give --server https://HOST")
    return url


def _trust(settings: Settings, options: argparse.Namespace) -> Any:
    """--ca, this machine's own CA for this machine's own server, or the system's."""
    from twisted.internet.ssl import Certificate, trustRootFromCertificates

    from mosaic.config.load import state_folder

    path = options.ca
    if path is None and not options.server and not settings.tls.certs:
        own = state_folder(settings) / "tls" / "ca.pem"
        path = str(own) if own.exists() else None
    if path is None:
        return None
    try:
        return trustRootFromCertificates([Certificate.loadPEM(Path(path).read_bytes())])
    except (OSError, ValueError) as error:
        raise Refused(f"--ca {path}: {error}") from error
    except Exception as error:  # OpenSSL's own
        raise Refused(f"--ca {path} is no certificate") from error


def show_report(report: Any, *, as_json: bool) -> None:
    """The verdicts, or all of it as JSON."""
    import msgspec

    if as_json:
        print(msgspec.json.encode(report).decode())
        return
    print(f"\n{report.server} by {report.via}: {MARKS[report.outcome]}")
    for verdict in report.verdicts:
        mark = MARKS[verdict.outcome]
        print(f"  {verdict.capability:<11} {mark:<8} {shown(verdict.advice)}")


def shown(text: str) -> str:
    """What strangers say (names in certificates, portals, proxies), without what a
    terminal would obey."""
    return "".join(each if each.isprintable() else "?" for each in text)


def tell_check(check: Any) -> None:
    """One line, and one of advice."""
    took = "" if check.ms is None else f"{check.ms:.0f} ms"
    where = f"[{check.stage}] " if check.stage else ""
    line = (
        f"{MARKS[check.outcome]:<8} {check.name:<16} {took:>8}  {where}{check.detail}"
    )
    sys.stdout.write(shown(line).rstrip() + "\n")
    if check.advice:
        sys.stdout.write(f"{'':<36}{shown(check.advice)}\n")
    sys.stdout.flush()


def _ignore(check: Any) -> None:
    """JSON is printed at the end."""

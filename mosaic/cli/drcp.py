"""`mosaic drcp conformance`: hold a server against docs/protocols/drcp.md."""

# Some of Twisted's TLS and web functions are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any
from urllib.parse import urlsplit

from mosaic.cli.errors import Refused
from mosaic.cli.output import add_json_flag
from mosaic.config.settings import Settings


def add_to(verbs: Any) -> None:
    """Add the verb and its action."""
    parser = verbs.add_parser("drcp", help="the collaboration protocol: conformance")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser(
        "conformance",
        help="check a running server, this one or another's",
        description="Runs the checks in a room of the server. A host's token is"
        " enough for all of them; with a PIN, or tokens of editors, those that"
        " need more are skipped. Exit status 1 if a check fails.",
    )
    check.add_argument("url", metavar="URL", help="https://HOST[:PORT], or its /drcp")
    check.add_argument(
        "--token", action="append", default=[], help="a room token; may be repeated"
    )
    check.add_argument("--viewer-token", metavar="TOKEN", help="a viewer's")
    check.add_argument("--hub-id", metavar="ID", help="join as guests: the room")
    check.add_argument("--pin", help="and its PIN")
    check.add_argument("--ca", metavar="FILE", help="certificates to trust (PEM)")
    check.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="this check alone"
    )
    add_json_flag(check)
    check.set_defaults(run=_conformance)


def websocket_url(text: str) -> str:
    """The native door of a server. Raises Refused."""
    parts = urlsplit(text)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise Refused(f"{text} is no http, https, ws or wss URL")
    path = parts.path.rstrip("/").removesuffix("/drcp")
    return f"{scheme}://{parts.netloc}{path}/drcp"


def _conformance(settings: Settings, options: argparse.Namespace) -> int:
    url = websocket_url(options.url)
    if not options.token and options.pin is None:
        raise Refused("give --token, or --hub-id and --pin")
    if options.pin is not None and options.hub_id is None and not options.token:
        raise Refused("--pin needs --hub-id")
    results = _run(url, options)
    failed = [result for result in results if result.outcome == "fail"]
    if options.json:
        print(json.dumps([dataclasses.asdict(result) for result in results]))
    else:
        counts = {
            outcome: sum(1 for result in results if result.outcome == outcome)
            for outcome in ("pass", "fail", "skip")
        }
        print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if failed else 0


def _run(url: str, options: argparse.Namespace) -> list[Any]:
    """Run a reactor of our own until the checks are through."""
    # Not before: the other verbs need no reactor.
    from twisted.internet import reactor as _reactor
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure
    from twisted.web.client import BrowserLikePolicyForHTTPS

    from mosaic.drcpclient.conformance.run import CHECKS, run
    from mosaic.drcpclient.conformance.seats import Http, Seats

    reactor: Any = _reactor
    trust = _trust(options.ca)
    policy = None if trust is None else BrowserLikePolicyForHTTPS(trust)
    http = Http(reactor, _http(url), policy=policy)
    seats = Seats(
        http,
        tokens=options.token,
        viewer_token=options.viewer_token,
        hub_id=options.hub_id,
        pin=options.pin,
    )
    came: list[Any] = []

    def start() -> None:
        work = run(
            reactor, url, seats, trust=trust, only=options.only,
            told=_ignore if options.json else _tell,
        )  # fmt: skip
        done = Deferred.fromCoroutine(work).addBoth(came.append)
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    results = came[0]
    if isinstance(results, Failure):
        results.raiseException()
    unknown = set(options.only) - set(CHECKS)
    if unknown:
        raise Refused(f"no such check: {', '.join(sorted(unknown))}")
    return list(results)


def _http(url: str) -> str:
    return "http" + url.removesuffix("/drcp").removeprefix("ws")


def _trust(path: str | None) -> Any:
    if path is None:
        return None
    from twisted.internet.ssl import Certificate, trustRootFromCertificates

    try:
        with open(path, "rb") as file:
            certificate = Certificate.loadPEM(file.read())
    except (OSError, ValueError) as error:
        raise Refused(f"--ca {path}: {error}") from error
    return trustRootFromCertificates([certificate])


def _ignore(result: Any) -> None:
    """JSON is printed at the end."""


def _tell(result: Any) -> None:
    detail = f": {result.detail}" if result.detail else ""
    sys.stdout.write(f"{result.outcome}  {result.section:<4} {result.name}{detail}\n")
    sys.stdout.flush()

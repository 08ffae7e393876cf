"""A headless hub as a program: JSON lines in, JSON lines out.

`python -m tests.support.headless URL CA [--proxy URL] [--camera test|none|FILE]
[--relay-only] [--record FOLDER]`. Commands on its input, each answered by one line:

{"do": "join", "room": …, "token": …, "role": …}    {"do": "leave"}
{"do": "say", "text": …}    {"do": "draw"}
{"do": "present", "file"?: …}    {"do": "unpresent"}
{"do": "forget"}    the network is another one
{"do": "facts"} -> who is there, what arrived of whom, how each call goes
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from pathlib import Path
from typing import Any

from twisted.internet import asyncioreactor

if __name__ == "__main__":
    asyncioreactor.install()  # before anything asks for a reactor

from pycrdt import Map
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.logger import globalLogBeginner, textFileLogObserver

from mosaic.hub.media import participant
from mosaic.hub.media.participant import MediaOptions
from mosaic.hub.media.sources import FileSource, Source, TestSource
from mosaic.hub.participant import RoomPass, Seat
from mosaic.proxy.client import Dialler
from mosaic.proxy.discover import routes_for
from mosaic.proxy.logins import Logins

reactor: Any = _reactor

STROKE: dict[str, Any] = {
    "id": "hub-stroke", "type": "freedraw", "version": 1, "versionNonce": 1,
    "isDeleted": False, "updated": 1, "x": 400, "y": 300, "width": 200, "height": 80,
    "angle": 0, "strokeColor": "#1e1e1e", "backgroundColor": "transparent",
    "fillStyle": "solid", "strokeWidth": 4, "strokeStyle": "solid", "roughness": 1,
    "opacity": 100, "groupIds": [], "frameId": None, "index": "a0", "roundness": None,
    "seed": 1, "boundElements": [], "link": None, "locked": False,
    "points": [[at * 10, (at % 5) * 16] for at in range(21)],
    "pressures": [], "simulatePressure": True, "lastCommittedPoint": None,
}  # fmt: skip


class Program:
    """The hub and its commands."""

    def __init__(self, options: argparse.Namespace) -> None:
        trust = trustRootFromCertificates(
            [Certificate.loadPEM(Path(options.ca).read_bytes())]
        )
        logins = Logins()
        self.dialler = Dialler(
            reactor=reactor,
            routes=routes_for(options.proxy, reactor=reactor, logins=logins),
            logins=logins,
            trust=trust,
        )
        self.url = options.url
        self.seats: list[Seat] = []
        self.joined_at: float | None = None
        self.hub = participant(
            reactor,
            self.dialler,
            self.told,
            MediaOptions(
                camera=TestSource(width=288, height=164, fps=10)
                if options.small
                else source(options.camera),
                record=Path(options.record) if options.record else None,
                relay_only=options.relay_only,
            ),
        )

    def told(self, seat: Seat) -> None:
        """How it goes."""
        self.seats.append(seat)
        if seat.state == "live" and self.joined_at is None:
            self.joined_at = reactor.seconds()

    async def do(self, command: dict[str, Any]) -> dict[str, Any]:
        """One command; its answer."""
        match command["do"]:
            case "join":
                self.joined_at = None
                await self.hub.join(
                    RoomPass(
                        room=command["room"],
                        token=command["token"],
                        role=command.get("role", "editor"),
                        url=f"{self.url}/drcp",
                    ),
                    [],
                )
            case "leave":
                await self.hub.leave()
            case "say":
                self.hub.say(command["text"])
            case "draw":
                board = self.hub.document("board")
                board.crdt.doc.get("elements", type=Map)["hub-stroke"] = STROKE  # type: ignore[attr-defined]
            case "present":
                wide = TestSource(width=400, height=226, fps=5)
                self.hub.present(source(command.get("file", "none")) or wide)
            case "unpresent":
                self.hub.stop_presenting()
            case "forget":
                self.hub.relays.forget()
            case "facts":
                return self.facts()
            case "quit":
                await self.hub.leave()
                reactor.callLater(0, reactor.stop)
        return {}

    def facts(self) -> dict[str, Any]:
        """All that a test may ask."""
        hub, view = self.hub, self.hub.room
        calls = {}
        for person, call in hub.calls.items():
            secured = call.secured
            calls[person] = {
                "connected": call.connected,
                "failed": call.failed,
                "path": call.path,
                "relay": call.relay,
                "generation": call.generation,
                "secured": [secured.dtls, secured.cipher, secured.srtp]
                if secured
                else None,
                "sending": sorted({item.kind for item in call.incoming if item.active}),
            }
        heard = [
            {
                "person": person,
                "kind": kind,
                "video": it.video_frames,
                "audio": it.audio_frames,
                "size": [it.width, it.height],
                "level": max(it.peak, -999.0),
                "first_at": it.first_at,
            }
            for (person, kind), it in (
                hub.reception.heard.items() if hub.reception else ()
            )
        ]
        board = None
        if view is not None:
            elements = hub.document("board").crdt.doc.get("elements", type=Map)  # type: ignore[attr-defined]
            board = sorted(elements.keys())
        return {
            "me": view.me if view else None,
            "people": {k: v["name"] for k, v in view.people.items()} if view else {},
            "chat": [line["text"] for line in view.chat.values()] if view else [],
            "calls": calls,
            "heard": heard,
            "board": board,
            "joined_at": self.joined_at,
            "states": [[seat.state, seat.problem] for seat in self.seats],
            "relays": [
                [hop, str(report.failure) if report.failure else None]
                for hop, report in hub.relays.reports.items()
            ],
            "files": [str(path) for path in hub.reception.files]
            if hub.reception
            else [],
        }


def source(name: str) -> Source | None:
    """`test`, `none` or a file."""
    if name == "none":
        return None
    return TestSource() if name == "test" else FileSource(Path(name))


def main() -> None:
    """Read commands until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("ca")
    parser.add_argument("--proxy", default="direct")
    parser.add_argument("--camera", default="test")
    parser.add_argument("--small", action="store_true", help="288x164, 10 a second")
    parser.add_argument("--record")
    parser.add_argument("--relay-only", action="store_true")
    program = Program(parser.parse_args())
    globalLogBeginner.beginLoggingTo(
        [textFileLogObserver(sys.stderr)], redirectStandardIO=False
    )

    def say(answer: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    def run(line: str) -> None:
        work = Deferred.fromCoroutine(program.do(json.loads(line)))
        work.addErrback(lambda failure: {"error": failure.getTraceback()})
        work.addCallback(say)

    def read() -> None:
        for line in sys.stdin:
            reactor.callFromThread(run, line)
        reactor.callFromThread(run, '{"do": "quit"}')

    reactor.callWhenRunning(say, {"ready": True})
    threading.Thread(target=read, daemon=True).start()
    reactor.run()


if __name__ == "__main__":
    main()

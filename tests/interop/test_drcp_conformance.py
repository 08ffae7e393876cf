"""The conformance checks: our server passes, and wrong ones are found out."""

# Autobahn's functions are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource

from mosaic.cli.main import main
from mosaic.drcpclient.conformance import peer
from mosaic.drcpclient.conformance.run import CHECKS, Result, run
from mosaic.drcpclient.conformance.seats import Http, Seats
from mosaic.services.drcp import document, native
from mosaic.services.drcp.awareness import AwarenessTable
from mosaic.services.drcp.people import EventRing
from mosaic.services.drcp.room import LiveRoom
from mosaic.wire.drcp.native import NativeFraming
from mosaic.wire.drcp.native import opened_message as true_opened
from mosaic.workspace.model import Role
from tests.support.drcp import HUB
from tests.support.drcp_served import ServedCase, reactor
from tests.support.running import RunningMosaic


class CheckedCase(ServedCase):
    """What the checks say of the server."""

    async def results(self, *only: str) -> dict[str, Result]:
        """What the checks say, by name."""
        base = f"127.0.0.1:{self.number}"
        seats = Seats(
            Http(reactor, f"http://{base}"),
            tokens=[self.token(who) for who in ("ann", "bob", "cid")],
            viewer_token=self.token("eve", Role.VIEWER),
            hub_id=HUB,
        )
        found = await run(reactor, f"ws://{base}/drcp", seats, only=only)
        return {result.name: result for result in found}


class CheckTests(CheckedCase):
    """Each wrong server fails the check that is made for it."""

    async def test_a_right_server_passes(self) -> None:
        """But for what needs REST."""
        results = await self.results()
        failed = [r for r in results.values() if r.outcome == "fail"]
        self.assertEqual([r.name for r in failed], ["snapshot-ref"], failed)
        skipped = [r.name for r in results.values() if r.outcome == "skip"]
        self.assertEqual(skipped, ["kick"])
        self.assertEqual(set(results), set(CHECKS))

    async def test_any_number_of_runs_in_one_room(self) -> None:
        """Each finds empty the documents that the one before it has made."""
        for _ in range(3):
            results = await self.results()
            failed = [r.name for r in results.values() if r.outcome == "fail"]
            self.assertEqual(failed, ["snapshot-ref"], results)
            self.assertLessEqual(len(await self.store.document_names(HUB)), len(CHECKS))

    async def test_a_full_room_is_named(self) -> None:
        """With the code, and at once."""
        for number in range(256):
            await self.store.append_updates(HUB, f"notes/n{number}", [])
        result = (await self.results("channel-range"))["channel-range"]
        self.assertEqual(result.outcome, "fail")
        self.assertIn("error 4413 (the room has too many documents)", result.detail)

    async def found_out(self, check: str) -> None:
        """The check says no, without being patient about it."""
        self.patch(peer, "PATIENCE_S", 1.0)
        result = (await self.results(check))[check]
        self.assertEqual(result.outcome, "fail", check)
        self.assertTrue(result.detail)

    async def test_acknowledging_twice(self) -> None:
        """A client would count an edit as saved that is not."""
        true = NativeFraming.status

        def twice(self: Any, channel: Any, saved: bool, count: int) -> list[bytes]:
            return true(self, channel, saved, 2 * count)

        self.patch(NativeFraming, "status", twice)
        await self.found_out("every-update-is-acknowledged")

    async def test_no_pong(self) -> None:
        """A client would hang up."""
        self.patch(NativeFraming, "pong", lambda self, channel: [])
        await self.found_out("ping")

    async def test_believing_the_awareness(self) -> None:
        """Anybody could be anybody."""
        self.patch(document, "_stamp", lambda attachment, state: state)
        self.patch(AwarenessTable, "_stamped", lambda self, owner, text: text)
        await self.found_out("awareness-is-stamped")

    async def test_viewers_who_write(self) -> None:
        """The right is the server's to check."""
        self.patch(Role, "may_edit", True)
        await self.found_out("viewers-do-not-edit")

    async def test_a_wrong_state_vector(self) -> None:
        """Each join would send everything back."""

        def wrong(channel: int, **members: Any) -> bytes:
            return true_opened(channel, **{**members, "state_vector": b"\0"})

        self.patch(native, "opened_message", wrong)
        await self.found_out("open-is-one-round-trip")

    async def test_ghosts(self) -> None:
        """Who has gone must go from the screens."""
        self.patch(AwarenessTable, "leave", lambda self, owner: None)
        await self.found_out("awareness-ends-with-the-connection")

    async def test_events_without_numbers(self) -> None:
        """Nobody could resume."""
        true = EventRing.add

        def unnumbered(self: Any, *args: Any, **more: Any) -> bytes:
            self.seq -= 1
            return true(self, *args, **more)

        self.patch(EventRing, "add", unnumbered)
        await self.found_out("events-are-numbered")

    async def test_forgetting_what_was_missed(self) -> None:
        """Resumed, and yet nothing comes."""
        self.patch(EventRing, "since", lambda self, seq: [])
        await self.found_out("resume")

    async def test_two_connections_of_one(self) -> None:
        """The older must go."""
        true = LiveRoom.enter

        def beside(self: Any, member: Any) -> None:
            member.native, was = False, member.native
            true(self, member)
            member.native = was

        self.patch(LiveRoom, "enter", beside)
        await self.found_out("replaced")

    async def test_another_server_altogether(self) -> None:
        """One that echoes passes nearly nothing."""

        class Echo(WebSocketServerProtocol):
            """Says what it hears."""

            def onConnect(self, request: Any) -> str:
                return "drcp.1"

            def onMessage(self, payload: bytes, isBinary: bool) -> None:
                self.sendMessage(payload, isBinary)

        factory: Any = WebSocketServerFactory()
        factory.protocol = Echo
        factory.startFactory()
        await self.port.stopListening()
        root = Resource()
        root.putChild(b"drcp", WebSocketResource(factory))
        self.listen(root)
        self.patch(peer, "PATIENCE_S", 0.5)
        names = ("hello-first", "welcome", "several-in-a-frame", "replaced")
        results = await self.results(*names)
        outcomes = {name: result.outcome for name, result in results.items()}
        self.assertEqual(outcomes, dict.fromkeys(names, "fail"))


class CommandTests(SynchronousTestCase):
    """`mosaic drcp conformance`."""

    def test_usage(self) -> None:
        """One line, exit status 1; 2 for what argparse refuses."""
        for words in (
            ["ftp://x", "--token", "t"],
            ["http://127.0.0.1:1"],
            ["http://127.0.0.1:1", "--pin", "1"],
            ["http://127.0.0.1:1", "--token", "t", "--ca", "/nowhere.pem"],
        ):
            self.assertEqual(main(["drcp", "conformance", *words]), 1, words)
        with self.assertRaises(SystemExit) as caught:
            main(["drcp", "conformance"])
        self.assertEqual(caught.exception.code, 2)


class MosaicTests(TestCase):
    """The command against `twistd mosaic`."""

    timeout = 300

    async def test_mosaic_conforms(self) -> None:
        """With a host's token: all of it; with a PIN over TLS: what it allows."""
        mosaic = RunningMosaic()
        self.addCleanup(mosaic.stop)
        await deferToThread(mosaic.start)
        room = await deferToThread(mosaic.command_json, "room", "create", "C")
        ca = str(Path(mosaic.state) / "tls" / "ca.pem")
        host = ["--token", room["token"]]
        guest = ["--hub-id", room["hub_id"], "--pin", room["pin"], "--ca", ca]
        ask: Callable[..., Any] = mosaic.command
        for url, words, skipped in (
            (mosaic.url, host, []),
            (mosaic.tls_url, guest, ["viewers-do-not-edit", "kick"]),
        ):
            done = await deferToThread(
                ask, "drcp", "conformance", url, "--json", *words
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            results = json.loads(done.stdout)
            self.assertEqual(
                sorted(r["name"] for r in results if r["outcome"] == "skip"),
                sorted(skipped),
            )
            self.assertGreater(len(results), 50)
        dead = RunningMosaic()
        done = await deferToThread(ask, "drcp", "conformance", dead.url, *host)
        self.assertEqual(done.returncode, 1)

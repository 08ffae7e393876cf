"""The agent against a server in memory: enrolment, feed, rooms, commands."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.agent import GRACE_S, REMOVED_S, HubAgent, Parts
from mosaic.hub.calls import Calls
from mosaic.hub.commands import HubCommands
from mosaic.hub.keys import load_or_make_key
from mosaic.hub.machine import HubMachine, State
from mosaic.hub.memory import MemoryFile
from mosaic.hub.netfound import Found
from mosaic.hub.netwatch import NoNetworkChecks
from mosaic.hub.participant import RoomPass, Seat
from mosaic.hub.server import Server
from mosaic.hub.sitting import HeadlessSitter
from mosaic.hub.updates.updates import HubUpdates
from mosaic.hub.updating import NoUpdates, UpdateState
from mosaic.hub.withupdates import connect_updates
from mosaic.netcheck.result import Report
from mosaic.wire.hops import LoginWanted
from tests.support.hub_server import CODE, HUB_ID, FakeHubServer

ROOM = "100000009"


class FakeUpdates:
    """Says what it is told to say."""

    state = UpdateState()
    changed: Callable[[], None]


class FakePresence:
    """Counts."""

    online = False

    def start(self) -> None:
        self.online = True

    def stop(self) -> None:
        self.online = False


class FakeParticipant:
    """Sits down at once."""

    def __init__(self, told: Any) -> None:
        self.told = told
        self.passes: list[RoomPass] = []
        self.refreshed = 0
        self.inside: str | None = None

    async def join(self, room: RoomPass, ice_servers: Any) -> None:
        self.passes.append(room)
        self.inside = room.room
        self.told(Seat(state="live"))

    def refresh(self, room: RoomPass) -> None:
        self.refreshed += 1

    async def leave(self) -> None:
        self.inside = None


class FakeNetwork(NoNetworkChecks):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def reached(self) -> None:
        self.heard.append("reached")

    def lost(self) -> None:
        self.heard.append("lost")

    def stop(self) -> None:
        self.heard.append("stop")

    async def check(self, reason: str) -> Found:
        self.heard.append(reason)
        report = Report(
            server="x", via="direct", outcome="ok", verdicts=(), checks=(), took_s=1
        )
        return Found(server="x", at=0, reason=reason, quick=False, report=report)


class AgentTests(SynchronousTestCase):
    """Time is a Clock's, the network a StubTreq's."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.clock = Clock()
        self.server = FakeHubServer(self.clock)
        self.ended: list[bool] = []

    def agent(self, *, code: str | None = CODE, wall_ahead_s: float = 0.0) -> HubAgent:
        """A new process on the same disk."""
        file = MemoryFile(self.folder)
        memory, _ = file.load()
        self.http = self.server.treq
        self.server_calls = server = Server(
            Calls(self.clock, self.http, "https://hub.example.org"),
            "https://hub.example.org",
            load_or_make_key(self.folder),
            wall=lambda: self.clock.seconds() + wall_ahead_s,
            monotonic=self.clock.seconds,
        )
        self.presence = FakePresence()
        self.network = FakeNetwork()

        def sit(told: Any) -> HeadlessSitter:
            def participant(say: Any) -> FakeParticipant:
                self.participant = FakeParticipant(say)
                return self.participant

            return HeadlessSitter(self.clock, server, participant, told)

        def commands(agent: HubAgent) -> HubCommands:
            return HubCommands(
                server,
                NoUpdates(),
                state=self.folder,
                log=lambda: b"a line\n",
                screenshot=None,
                clear_screens=None,
                network=agent.network,
            )

        agent = HubAgent(
            self.clock,
            HubMachine(memory, random=lambda: 1.0),
            Parts(
                server=server,
                memory=file,
                sit=sit,
                commands=commands,
                presence=lambda agent: self.presence,
                network=lambda agent: self.network,
            ),
            code=code,
            name="Lisbon",
            random=lambda: 1.0,
            ended=self.ended.append,
        )
        agent.start()
        self.settle()
        return agent

    def settle(self) -> None:
        """Let what is under way in memory arrive."""
        for _ in range(20):
            self.server.treq.flush()
            self.clock.advance(0)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.settle()

    def test_new_box_is_enrolled_and_reports(self) -> None:
        """From nothing to idle, with what the administrator sees."""
        agent = self.agent()
        self.assertIs(agent.machine.state, State.IDLE)
        self.assertEqual(agent.machine.memory.hub_id, HUB_ID)
        self.assertEqual(MemoryFile(self.folder).load()[0].hub_id, HUB_ID)
        assert self.server.status is not None
        self.assertEqual(self.server.status["doing"], "idle")
        self.assertTrue(self.presence.online)
        self.assertEqual(self.server.paths("POST").count("/hubs"), 1)

    def test_wrong_code_is_said_and_another_can_be_typed(self) -> None:
        """No try after try: they are limited."""
        agent = self.agent(code="0000000000")
        self.assertIs(agent.machine.state, State.UNENROLLED)
        self.assertIn("403", agent.problem or "")
        self.pass_time(5)
        self.assertEqual(self.server.paths("POST"), ["/hubs"])
        agent.enrol(CODE)
        self.settle()
        self.assertIs(agent.machine.state, State.IDLE)
        self.assertIsNone(agent.problem)

    def test_clock_that_is_wrong_is_no_obstacle(self) -> None:
        """The server says its time, and is asked once more with that."""
        agent = self.agent(wall_ahead_s=-86400.0 * 365)
        self.assertIs(agent.machine.state, State.IDLE)
        self.pass_time(700)  # the next token needs no second try
        self.pass_time(1)
        tokens = f"/hubs/{HUB_ID}/tokens"
        self.assertEqual(self.server.paths("POST").count(tokens), 3)

    def test_desired_room_is_entered_and_left(self) -> None:
        """And told to the administrator."""
        agent = self.agent()
        self.server.change(room=ROOM)
        self.settle()
        self.assertEqual(self.participant.inside, ROOM)
        self.assertIs(agent.machine.state, State.MEETING)
        assert self.server.status is not None
        self.assertEqual(
            (self.server.status["doing"], self.server.status["room"]), ("meeting", ROOM)
        )
        self.server.change(room=None)
        self.settle()
        self.assertIsNone(self.participant.inside)
        self.assertEqual(self.server.status["doing"], "idle")

    def test_killed_in_a_meeting_it_is_back_without_the_feed(self) -> None:
        """No time passes: the memory names the room, the server gives a pass."""
        self.agent()
        self.server.change(room=ROOM)
        self.settle()
        self.server.refusals[f"/hubs/{HUB_ID}/feed"] = (503, "")
        again = self.agent(code=None)
        self.assertEqual(self.participant.inside, ROOM)
        self.assertIs(again.machine.state, State.MEETING)

    def test_removed_hub_leaves_at_once(self) -> None:
        """Not at the next poll's end: the server ends the poll."""
        agent = self.agent()
        self.server.change(room=ROOM)
        self.settle()
        self.server.remove()
        self.settle()
        self.assertIs(agent.machine.state, State.REMOVED)
        self.assertIsNone(self.participant.inside)
        self.assertFalse(self.presence.online)
        self.server.enrolled = True  # it was a mistake, and is put right
        self.pass_time(REMOVED_S)
        self.assertIs(agent.machine.state, State.MEETING)

    def test_commands_are_carried_out_and_answered(self) -> None:
        """What cannot be done says why."""
        self.agent()
        self.server.order("log", "c1")
        self.settle()
        self.server.order("update-check", "c2")
        self.settle()
        self.server.order("screenshot", "c3")
        self.settle()
        self.server.order("dance", "c4")
        self.settle()
        self.assertEqual(self.server.files["c1"], b"a line\n")
        self.assertTrue(self.server.results["c1"]["ok"])
        said = {id_: r["detail"] for id_, r in self.server.results.items()}
        self.assertEqual(said["c2"], "updates are not set up on this hub")
        self.assertEqual(said["c3"], "this hub has no screen")
        self.assertIn("dance", said["c4"])
        self.assertFalse(self.server.results["c4"]["ok"])

    def test_the_network_is_watched_and_checked_on_command(self) -> None:
        """Told whether the server is there; the answer says how it is."""
        agent = self.agent()
        self.assertEqual(set(self.network.heard), {"reached"})
        self.server.order("check-network", "c1")
        self.settle()
        self.assertIn("asked", self.network.heard)
        self.assertEqual(self.server.results["c1"], {"ok": True, "detail": "ok"})
        self.server.refusals[f"/hubs/{HUB_ID}/feed"] = (503, "")
        self.server.change()
        self.settle()
        self.assertEqual(self.network.heard[-1], "lost")
        Deferred.fromCoroutine(agent.stop())
        self.assertEqual(self.network.heard[-1], "stop")

    def test_an_update_under_way_is_told_until_the_restart(self) -> None:
        """Whoever asked for it, and if nobody did."""
        agent = self.agent()
        updates = FakeUpdates()
        connect_updates(cast(HubUpdates, updates), agent, self.ended.append)
        told = []
        for state in ("available", "installing", "restart", "failed"):
            updates.state = UpdateState(state=state)
            updates.changed()
            self.settle()
            assert self.server.status is not None
            told.append(self.server.status["doing"])
        self.assertEqual(told, ["idle", "updating", "updating", "idle"])

    def test_restart_is_answered_before_it_happens(self) -> None:
        """Else the administrator would wait for ever."""
        self.agent()
        self.server.order("restart", "c1")
        self.settle()
        self.pass_time(0.1)
        self.assertEqual(self.ended, [True])
        self.assertTrue(self.server.results["c1"]["ok"])

    def test_lost_server_is_tried_again_later_and_later(self) -> None:
        """And the problem names the hop and says what to set."""
        agent = self.agent()
        calls: list[float] = []

        async def refuse(*_: Any) -> None:
            calls.append(self.clock.seconds())
            raise LoginWanted("proxy http://proxy.example.org:3128", ("Basic",))

        agent.parts.server.feed = refuse  # type: ignore[method-assign,assignment]
        self.server.change()
        for _ in range(40):
            self.pass_time(0.5)
        self.assertIs(agent.machine.state, State.OFFLINE)
        self.assertIn("proxy http://proxy.example.org:3128", agent.problem or "")
        self.assertIn("--proxy-login", agent.advice)
        gaps = [b - a for a, b in pairwise(calls)]
        self.assertEqual(gaps[:4], [0.5, 1.0, 2.0, 4.0])

    def test_poke_ends_a_pause(self) -> None:
        """Somebody corrected the login: why wait?"""
        agent = self.agent()
        self.server.refusals[f"/hubs/{HUB_ID}/feed"] = (503, "")
        self.server.change()
        self.settle()
        for _ in range(6):
            self.pass_time(8)
        del self.server.refusals[f"/hubs/{HUB_ID}/feed"]
        agent.look()
        self.settle()
        self.assertIs(agent.machine.state, State.IDLE)

    def test_poke_outlives_a_dead_poll(self) -> None:
        """A proxy that forgot the connection does not hide the news."""
        agent = self.agent()
        self.server.desired["room"] = ROOM  # nobody tells the poll
        self.server.seq += 1
        agent.look()
        self.settle()
        self.assertIsNone(self.participant.inside)
        self.pass_time(GRACE_S)
        self.assertEqual(self.participant.inside, ROOM)

    def test_pass_is_refreshed_before_it_ends(self) -> None:
        """A long meeting has no hole each hour."""
        self.agent()
        self.server.change(room=ROOM)
        self.settle()
        self.pass_time(2500)
        self.assertEqual(self.participant.refreshed, 1)
        self.assertEqual(len(self.participant.passes), 1)
        self.assertEqual(self.server.held, [None, "room-token"])

    def test_full_disk_is_said_and_stops_nothing(self) -> None:
        """The meeting goes on; a kill would forget the room."""
        agent = self.agent()

        def full(memory: Any) -> None:
            raise OSError(28, "No space left on device")

        agent.parts.memory.save = full  # type: ignore[method-assign]
        self.server.change(room=ROOM)
        self.settle()
        self.assertIs(agent.machine.state, State.MEETING)
        self.assertIn("No space left", agent.problem or "")

    def test_any_bytes_from_the_server_are_a_problem_not_a_fault(self) -> None:
        """A captive portal answers 200 with a page."""
        agent = self.agent()
        self.server._feed = lambda: ["<html>"]  # type: ignore[assignment,return-value]
        self.server.change()
        self.settle()
        self.assertIn("cannot be read", agent.problem or "")
        self.assertEqual(self.flushLoggedErrors(), [])

"""The hub's state machine: from facts to a state, and back after a kill."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.backoff import LAST_S, Backoff
from mosaic.hub.feed import Command, Desired, Feed, HubFacts
from mosaic.hub.machine import REPORT_S, HubMachine, State
from mosaic.hub.memory import Memory, Result, decode_memory, encode_memory
from mosaic.hub.words import (
    Action,
    Answer,
    Ask,
    CommandEnded,
    Enrolled,
    Enter,
    EntryBegins,
    Event,
    Execute,
    FeedRead,
    Forget,
    HubRemoved,
    Leave,
    Report,
    Restart,
    Save,
    SeatChanged,
    ServerLost,
    Show,
    Tick,
    UpdateRuns,
)

HUB = "412907338"
ROOM = "100000009"
OTHER = "200000008"


def feed(room: str | None = None, *commands: Command, seq: int = 1) -> Feed:
    return Feed(
        seq=seq,
        hub=HubFacts(hub_id=HUB, name="Lisbon"),
        desired=Desired(room=room),
        commands=commands,
    )


def machine(memory: Memory | None = None) -> HubMachine:
    made = HubMachine(memory or Memory(hub_id=HUB, name="Lisbon"), random=lambda: 1.0)
    made.start(0)
    return made


def of(kind: type, actions: list[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, kind)]


class MachineTests(SynchronousTestCase):
    """One walk for each rule."""

    def test_a_box_is_enrolled_once(self) -> None:
        """The Hub ID is kept before anything else is done with it."""
        hub = machine(Memory(server="https://hub.example.org"))
        self.assertIs(hub.state, State.UNENROLLED)
        actions = hub.handle(Enrolled(HUB, "Lisbon"), 1)
        self.assertEqual(actions[0], Save(hub.memory))
        self.assertEqual(hub.memory.hub_id, HUB)
        self.assertIs(hub.state, State.OFFLINE)
        hub.handle(FeedRead(feed()), 2)
        self.assertIs(hub.state, State.IDLE)

    def test_desired_room_is_entered_and_left(self) -> None:
        """The state of the feed is followed, in whatever order it changes."""
        hub = machine()
        self.assertIn(Enter(ROOM), hub.handle(FeedRead(feed(ROOM)), 1))
        self.assertIs(hub.state, State.JOINING)
        self.assertIn(Report(), hub.handle(SeatChanged(ROOM, "live"), 2))
        self.assertIs(hub.state, State.MEETING)
        hub.handle(SeatChanged(ROOM, "presenting"), 3)
        self.assertIs(hub.state, State.PRESENTING)
        actions = hub.handle(FeedRead(feed(OTHER)), 4)
        self.assertEqual([Leave(ROOM), Enter(OTHER)], of(Leave | Enter, actions))  # type: ignore[arg-type]
        actions = hub.handle(FeedRead(feed(None)), 5)
        self.assertIn(Leave(OTHER), actions)
        self.assertIs(hub.state, State.IDLE)

    def test_same_feed_changes_nothing(self) -> None:
        """A long poll that ends with nothing new neither writes nor enters."""
        hub = machine()
        hub.handle(FeedRead(feed(ROOM)), 1)
        self.assertEqual(hub.handle(FeedRead(feed(ROOM)), 2), [])

    def test_killed_in_a_meeting_it_goes_back_at_once(self) -> None:
        """Without asking the server first: the memory alone says where."""
        hub = machine()
        hub.handle(FeedRead(feed(ROOM)), 1)
        again = HubMachine(decode_memory(encode_memory(hub.memory)), random=lambda: 0.0)
        self.assertEqual(again.start(0), [Show(Desired(room=ROOM)), Enter(ROOM)])

    def test_offline_meeting_goes_on(self) -> None:
        """A feed that fails is no reason to leave a room that works."""
        hub = machine()
        hub.handle(FeedRead(feed(ROOM)), 1)
        hub.handle(SeatChanged(ROOM, "live"), 2)
        hub.handle(ServerLost("proxy http://p:3128: wants a login"), 3)
        self.assertIs(hub.state, State.MEETING)
        hub.handle(SeatChanged(ROOM, "offline"), 4)
        self.assertIs(hub.state, State.OFFLINE)
        self.assertEqual(hub.problem, "proxy http://p:3128: wants a login")

    def test_seat_that_ended_is_taken_again_later(self) -> None:
        """An old token is no end; the pauses grow and are bounded."""
        hub = machine()
        hub.handle(FeedRead(feed(ROOM)), 0)
        hub.handle(ServerLost("no answer"), 0)  # and nothing to report
        pauses = []
        now = 0.0
        for _ in range(10):
            hub.handle(SeatChanged(ROOM, "ended", "expired"), now)
            due = hub.next_deadline()
            assert due is not None
            pauses.append(min(due - now, LAST_S))
            self.assertEqual(of(Enter, hub.handle(Tick(), due - 0.01)), [])
            self.assertIn(Enter(ROOM), hub.handle(Tick(), due))
            now = due
        self.assertEqual(pauses[:3], [0.5, 1.0, 2.0])
        self.assertEqual(max(pauses), LAST_S)

    def test_kicked_hub_asks_for_none(self) -> None:
        """Nobody shall need to kick a hub twice."""
        hub = machine()
        hub.handle(FeedRead(feed(ROOM)), 1)
        actions = hub.handle(SeatChanged(ROOM, "out", "kicked"), 2)
        self.assertIn(Ask(None), actions)

    def test_word_of_a_room_that_was_left_is_stale(self) -> None:
        """Seats say late what they say."""
        hub = machine()
        hub.handle(FeedRead(feed(ROOM)), 1)
        hub.handle(FeedRead(feed(OTHER)), 2)
        hub.handle(SeatChanged(ROOM, "live"), 3)
        self.assertIs(hub.state, State.JOINING)

    def test_removed_hub_forgets(self) -> None:
        """At once: out of the meeting, nothing kept, nothing done."""
        hub = machine()
        hub.handle(FeedRead(feed(ROOM)), 1)
        hub.handle(SeatChanged(ROOM, "live"), 2)
        actions = hub.handle(HubRemoved(), 3)
        self.assertEqual(actions, [Save(hub.memory), Leave(ROOM), Forget()])
        self.assertIs(hub.state, State.REMOVED)
        self.assertIsNone(hub.memory.feed)
        self.assertEqual(hub.handle(SeatChanged(ROOM, "live"), 4), [])
        hub.handle(FeedRead(feed()), 5)
        self.assertIs(hub.state, State.IDLE)

    def test_command_is_done_once_and_answered_until_heard(self) -> None:
        """The server lists a command until it has the answer."""
        hub = machine()
        log = Command(id="c1", command="log")
        self.assertIn(Execute(log), hub.handle(FeedRead(feed(None, log)), 1))
        self.assertEqual(of(Execute, hub.handle(FeedRead(feed(None, log)), 2)), [])
        done = Result(ok=True, detail="12 kB")
        actions = hub.handle(CommandEnded("c1", done), 3)
        self.assertEqual(actions, [Save(hub.memory), Answer("c1", done)])
        again = machine(decode_memory(encode_memory(hub.memory)))
        actions = again.handle(FeedRead(feed(None, log)), 1)
        self.assertEqual(of(Execute, actions), [])
        self.assertIn(Answer("c1", done), actions)
        again.handle(FeedRead(feed()), 2)
        self.assertEqual(again.memory.done, {})

    def test_restart_is_remembered_before_it_is_done(self) -> None:
        """Else each start would find the command and restart again."""
        hub = machine()
        restart = Command(id="c1", command="restart")
        actions = hub.handle(FeedRead(feed(None, restart)), 1)
        self.assertIsInstance(actions[0], Save)
        self.assertIn("c1", hub.memory.done)
        self.assertIn(Restart(), actions)
        again = machine(decode_memory(encode_memory(hub.memory)))
        actions = again.handle(FeedRead(feed(None, restart)), 1)
        self.assertNotIn(Restart(), actions)
        self.assertIn(Answer("c1", Result(ok=True)), actions)

    def test_calendar_entry_is_joined_once_and_only_from_idle(self) -> None:
        """Somebody who ends the meeting early is not brought back."""
        hub = machine()
        hub.handle(FeedRead(feed(ROOM)), 1)
        self.assertEqual(hub.handle(EntryBegins("a", OTHER), 2), [])
        hub.handle(FeedRead(feed(None)), 3)
        self.assertIn(Ask(OTHER), hub.handle(EntryBegins("b", OTHER), 4))
        self.assertEqual(hub.handle(EntryBegins("b", OTHER), 5), [])

    def test_status_is_told_again_after_a_while(self) -> None:
        """The server takes silence for absence."""
        hub = machine()
        self.assertIn(Report(), hub.handle(FeedRead(feed()), 0))
        self.assertEqual(hub.next_deadline(), REPORT_S)
        self.assertEqual(hub.handle(Tick(), REPORT_S), [Report()])

    def test_updating_is_shown(self) -> None:
        """Whoever looks at the wall shall not pull the plug."""
        hub = machine()
        hub.handle(FeedRead(feed()), 1)
        hub.handle(UpdateRuns(True), 2)
        self.assertIs(hub.state, State.UPDATING)
        hub.handle(UpdateRuns(False), 3)
        self.assertIs(hub.state, State.IDLE)


class BackoffTests(SynchronousTestCase):
    """The pauses of many."""

    def test_pauses_are_spread_and_bounded(self) -> None:
        """Half of each pause is chance."""
        least, most = Backoff(lambda: 0.0), Backoff(lambda: 1.0)
        self.assertEqual([least.next_s() for _ in range(3)], [0.25, 0.5, 1.0])
        self.assertEqual(max(most.next_s() for _ in range(20)), LAST_S)
        most.worked()
        self.assertEqual(most.next_s(), 0.5)


ROOMS = st.sampled_from([None, ROOM, OTHER])
COMMANDS = st.lists(
    st.sampled_from(
        [
            Command(id="r", command="restart"),
            Command(id="l", command="log"),
            Command(id="s", command="screenshot"),
        ]
    ),
    unique_by=lambda command: command.id,
    max_size=3,
)
EVENTS = st.one_of(
    st.builds(lambda room, commands: FeedRead(feed(room, *commands)), ROOMS, COMMANDS),
    st.builds(
        SeatChanged,
        st.sampled_from([ROOM, OTHER]),
        st.sampled_from(["joining", "live", "presenting", "offline", "ended", "out"]),
    ),
    st.just(ServerLost("no answer")),
    st.just(HubRemoved()),
    st.builds(CommandEnded, st.sampled_from("lsx"), st.just(Result(ok=False))),
    st.builds(UpdateRuns, st.booleans()),
    st.builds(EntryBegins, st.sampled_from("ab"), st.just(OTHER)),
    st.just(Tick()),
    st.just(Enrolled(HUB, "Lisbon")),
    st.just(Enrolled(OTHER, "Porto")),
)


class Walk(RuleBasedStateMachine):
    """Any events in any order, with kills between them.

    What an onlooker knows: the disk (the last Save) and the room that the
    actions put the hub into.
    """

    def __init__(self) -> None:
        super().__init__()
        self.disk = encode_memory(Memory())
        self.now = 0.0
        self.room: str | None = None
        self.hub = HubMachine(Memory(), random=lambda: 0.5)
        self.follow(self.hub.start(self.now))

    def follow(self, actions: list[Action]) -> None:
        for place, action in enumerate(actions):
            match action:
                case Save(memory):
                    assert place == 0
                    self.disk = encode_memory(memory)
                case Enter(room):
                    assert self.room in (None, room)
                    self.room = room
                case Leave(room):
                    assert self.room == room
                    self.room = None
                case Restart():
                    assert "r" in decode_memory(self.disk).done
                case Execute(command):
                    assert command.id not in decode_memory(self.disk).done
                case Report():
                    assert self.hub.reached
                case _:
                    pass

    @rule(event=EVENTS, later=st.floats(0, 100))
    def hear(self, event: Event, later: float) -> None:
        self.now += later
        self.follow(self.hub.handle(event, self.now))

    @rule()
    def wait(self) -> None:
        """Deadlines move on: a Tick at one leaves none in the past."""
        due = self.hub.next_deadline()
        if due is not None:
            self.now = max(self.now, due)
            self.follow(self.hub.handle(Tick(), self.now))
            after = self.hub.next_deadline()
            assert after is None or after > self.now

    @rule()
    def kill(self) -> None:
        """What comes back is what was saved, and it goes where it was."""
        was = self.hub.room
        self.room = None
        self.hub = HubMachine(decode_memory(self.disk), random=lambda: 0.5)
        self.follow(self.hub.start(self.now))
        assert self.room == was

    @invariant()
    def disk_is_the_memory(self) -> None:
        assert decode_memory(self.disk) == self.hub.memory

    @invariant()
    def room_is_the_one_wanted(self) -> None:
        assert self.room == self.hub.room == self.hub.wanted

    @invariant()
    def state_agrees_with_the_room(self) -> None:
        if self.hub.state in (State.MEETING, State.PRESENTING, State.JOINING):
            assert self.room is not None
        if self.hub.state in (State.IDLE, State.REMOVED, State.UNENROLLED):
            assert self.room is None


class WalkTests(SynchronousTestCase):
    """Any course of events."""

    def test_any_walk_with_kills_keeps_the_rules(self) -> None:
        """What holds after each step stands in Walk's invariants."""
        run_state_machine_as_test(
            Walk,
            settings=settings(
                max_examples=60, stateful_step_count=40, deadline=None, database=None
            ),
        )

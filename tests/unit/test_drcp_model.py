"""Any interleaving over all three doors converges, and viewers never write.

A state machine (hypothesis) joins, edits, drops, changes roles, kicks, stalls
readers, and kills or drains the server; frames travel one by one and are lost
with their sockets. MOSAIC_MODEL_EXAMPLES asks for more runs than the usual 80.
"""

from __future__ import annotations

import json
import os
from typing import Any, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from pycrdt import Doc
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.interface import Door
from mosaic.bus.memory import MemoryBus
from mosaic.config.settings import Drcp
from mosaic.services.drcp.replica import rebuild
from mosaic.services.drcp.service import DrcpService
from mosaic.workspace.model import Role
from tests.support.drcp import HUB, Hub
from tests.support.drcp_links import (
    NAME,
    HocuspocusLink,
    Link,
    NativeLink,
    YLink,
    marks_in,
)

EXAMPLES = int(os.environ.get("MOSAIC_MODEL_EXAMPLES", "80"))
STEPS = 60
PEOPLE = 6
LIMITS: dict[str, Any] = {
    # Small, so that a few edits already make a reader fall behind, and no
    # rate: time hardly passes here.
    "queue_bytes": 120,
    "snapshot_after_s": 0.3,
    "messages_per_s": 1e6,
    "message_burst": 10**6,
    "unload_after_s": 2.0,
}

who = st.integers(0, PEOPLE - 1)


ACTIONS = [
    *["write"] * 8,
    *["connect"] * 4,
    *["carry"] * 4,
    *["everybody"] * 4,
    *["carry_one", "tick", "stall", "commit", "change_role", "present"] * 2,
    *["drop", "kill", "drain", "kick", "forgive", "settle"],
]
"""What may happen next, the everyday things more often."""


class Meeting(RuleBasedStateMachine):
    """Six people, two at each door; one of them begins as a viewer."""

    @initialize(lobby=st.booleans(), viewer=who, slow_disk=st.booleans())
    def furnish(self, lobby: bool, viewer: int, slow_disk: bool) -> None:
        """A room, and everybody in it but those in the lobby."""
        self.hub = Hub(**LIMITS)
        self.links: list[Link] = [
            make(f"p{number}")
            for number, make in enumerate(
                [NativeLink, NativeLink, YLink, YLink, HocuspocusLink, HocuspocusLink]
            )
        ]
        self.roles = {link.who: Role.EDITOR for link in self.links}
        self.roles[f"p{viewer}"] = Role.VIEWER
        self.slow_disk = slow_disk
        self.out: set[str] = set()
        self.waiting = {"p0"} if lobby else set()
        # What a viewer had in the document when it became one.
        self.frozen: dict[str, set[tuple[str, int]]] = {}
        for link in self.links:
            self.give_token(link)
        self.freeze(f"p{viewer}")
        for link in self.links:
            link.connect(self.hub.service)
        self.everybody()
        self.commit()

    def give_token(self, link: Link) -> None:
        """As the door would answer now."""
        self.hub.token(
            link.who,
            self.roles[link.who],
            participant_id=link.participant_id,
            waiting=link.who in self.waiting,
            expires_at=1e9,
        )

    @rule(
        what=st.sampled_from(ACTIONS),
        number=who,
        other=who,
        places=st.lists(st.integers(0, 999), min_size=1, max_size=4),
        role=st.sampled_from([Role.VIEWER, Role.EDITOR]),
        seconds=st.sampled_from([0.0, 0.008, 0.05, 0.5]),
    )
    def act(
        self,
        what: str,
        number: int,
        other: int,
        places: list[int],
        role: Role,
        seconds: float,
    ) -> None:
        """One rule for all, so that the weights are ours."""
        match what:
            case "connect" | "drop" | "carry" | "carry_one" | "kick":
                getattr(self, what)(number)
            case "stall":
                self.stall(number)
                for at in places:
                    self.write(other, [at])
                    self.everybody()
            case "write":
                self.write(number, places)
            case "present":
                self.present(number, other)
            case "tick":
                self.tick(seconds)
            case "change_role":
                self.change_role(number, role)
            case "forgive":
                self.forgive(number)
                self.admit()
            case _:
                getattr(self, what)()

    # People -------------------------------------------------------------------
    def connect(self, number: int) -> None:
        """Somebody comes, or comes back."""
        link = self.links[number]
        if link.connection is None and link.who not in self.out:
            link.connect(self.hub.service)

    def write(self, number: int, places: list[int]) -> None:
        """On line or not, with the right or not."""
        for at in places:
            self.links[number].write(at)

    def present(self, number: int, other: int) -> None:
        """Show a state under one's own client id, or another's."""
        self.links[number].present(1000 + other)

    def drop(self, number: int) -> None:
        """A socket dies with what is under way."""
        self.links[number].drop()

    # The network and time ---------------------------------------------------
    def carry_one(self, number: int) -> None:
        """One frame to the server."""
        self.links[number].carry_up()

    def carry(self, number: int) -> None:
        """All of one client's frames, both ways."""
        self.links[number].carry()

    def everybody(self, rounds: int = 2) -> None:
        """Everybody's frames, and a tick, some times."""
        for _ in range(rounds):
            for link in self.links:
                link.carry()
            self.tick(0.06)

    def tick(self, seconds: float) -> None:
        """Batches flush, snapshots are made, the bus delivers."""
        self.hub.clock.advance(0)
        self.hub.clock.advance(seconds)

    def stall(self, number: int) -> None:
        """A reader does not read any more, or does again."""
        connection = self.links[number].connection
        if connection is None:
            return
        if connection.outbound.paused:
            connection.outbound.resumeProducing()
        else:
            connection.outbound.pauseProducing()

    # Hosts ---------------------------------------------------------------------
    def change_role(self, number: int, role: Role) -> None:
        """At once, wherever they are."""
        link = self.links[number]
        if link.who in self.out or link.who in self.waiting:
            return
        self.roles[link.who] = role
        self.give_token(link)
        self.news(link, "role", role=role.value)
        self.freeze(link.who)

    def admit(self) -> None:
        """From the lobby."""
        for name in list(self.waiting):
            self.waiting.discard(name)
            link = next(link for link in self.links if link.who == name)
            self.give_token(link)
            self.news(link, "admitted", role=self.roles[name].value)

    def kick(self, number: int) -> None:
        """Their token is of no use any more."""
        link = self.links[number]
        self.out.add(link.who)
        self.hub.door.principals.pop(link.who, None)
        self.news(link, "kicked")
        link.fetch()
        assert link.connection is None or not self.is_member(link)

    def forgive(self, number: int) -> None:
        """A new token."""
        link = self.links[number]
        if link.who in self.out:
            self.out.discard(link.who)
            self.give_token(link)

    def news(self, link: Link, kind: str, **more: str) -> None:
        """What the door tells the room by the bus."""
        load = {"type": kind, "participant_id": link.participant_id, **more}
        self.hub.bus.publish(f"room.{HUB}.people", load)
        self.hub.clock.advance(0)

    def commit(self, done: bool = True) -> None:
        """The disk has done what it had to do, or (in a crash) never will."""
        if done:
            self.hub.store.release()
        self.hub.store.held = [] if self.slow_disk else None

    def settle(self) -> None:
        """Nothing happens for a while: who is connected has everything."""
        self.commit()
        for link in self.links:
            if link.connection is not None and link.connection.outbound.paused:
                link.connection.outbound.resumeProducing()
        for _ in range(6):
            self.everybody()
            self.commit()
        there = marks_in(self.live_document())
        for link in self.links:
            if link.connection is not None and self.is_member(link):
                lacking = set(there) - set(marks_in(link.doc))
                assert not lacking, f"{link.who} lacks {lacking}"

    # The server -----------------------------------------------------------------
    def kill(self) -> None:
        """Everything in memory is gone, commits under way too."""
        for link in self.links:
            # What it had written to the sockets still arrives.
            link.fetch()
            link.drop(tell=False)
        for room in self.hub.service.rooms.values():
            for document in room.desk.documents.values():
                document.stop()  # the dead do not go on when a read comes back
        self.commit(done=False)
        for call in self.hub.clock.getDelayedCalls():
            call.cancel()
        self.start()
        self.check_disk()

    def drain(self) -> None:
        """A restart as the operator does it."""
        self.hub.store.release()
        stopped: Deferred[None] = self.hub.service.stopService()
        for link in self.links:
            link.fetch()
            link.drop()
        self.hub.clock.advance(3)
        assert stopped.called
        self.start()
        self.commit()
        self.check_disk()

    def start(self) -> None:
        """Another life over the same store."""
        hub = self.hub
        hub.bus = MemoryBus(hub.clock)
        hub.service = DrcpService(
            hub.clock,
            Drcp(**LIMITS),
            door=cast(Door, hub.door),
            store=hub.store,
            bus=hub.bus,
            origin_allowed=lambda origin, host: True,
            wall_clock=hub.clock.seconds,
        )
        hub.service.startService()

    # What must hold ---------------------------------------------------------
    @invariant()
    def viewers_do_not_write(self) -> None:
        """Nothing of theirs comes into the document while they are viewers."""
        if not hasattr(self, "frozen") or not self.frozen:
            return
        there = set(marks_in(self.live_document()))
        for name, before in self.frozen.items():
            now = {mark for mark in there if mark[0] == name}
            assert now <= before, f"{name} wrote {now - before} as a viewer"

    @invariant()
    def nobody_speaks_for_another(self) -> None:
        """A state is of whom the server says it is."""
        for link in getattr(self, "links", []):
            for entry in link.heard:
                state = json.loads(entry.state)
                if state is not None:
                    assert state["user"]["id"] == state["sender"], entry
            link.heard.clear()

    def freeze(self, name: str) -> None:
        """Remember what a new viewer has written so far; forget an editor's."""
        if self.roles[name] is Role.EDITOR:
            self.frozen.pop(name, None)
            return
        there = set(marks_in(self.live_document()))
        for link in self.links:
            # What an editor got before a crash, the editor gives back.
            if link.who != name:
                there.update(marks_in(link.doc))
        self.frozen[name] = {mark for mark in there if mark[0] == name}

    def live_document(self) -> Doc[Any]:
        """What the server would give to somebody who joins now."""
        room = self.hub.service.rooms.get(HUB)
        live = None if room is None else room.desk.documents.get(NAME)
        if live is None or not live.epoch:
            return self.stored()
        doc: Doc[Any] = Doc()
        live.flush()
        doc.apply_update(live._replica.full())
        return doc

    def stored(self) -> Doc[Any]:
        """What is on the disk."""
        loaded: list[Any] = []
        self.hub.store.load_document(HUB, NAME).addCallback(loaded.append)
        replica, poison = rebuild(loaded[0])
        assert not poison
        doc: Doc[Any] = Doc()
        doc.apply_update(replica.full())
        return doc

    def check_disk(self) -> None:
        """What was acknowledged is there, once."""
        there = marks_in(self.stored())
        assert len(there) == len(set(there)), "a mark is doubled"
        for link in self.links:
            for number in range(1, link.acknowledged + 1):
                assert (link.who, number) in there, f"{link.who}.{number} is lost"
            made = {number for name, number in there if name == link.who}
            assert not made or max(made) <= link.made, "a mark is invented"

    def nobody_promised(self, marks: set[tuple[str, int]]) -> None:
        """What a viewer still shows and the server does not have was lost in a
        crash before it was acknowledged, and no editor was left to give it back."""
        kept = {link.who: link.acknowledged for link in self.links}
        for name, number in marks:
            assert number > kept[name], f"{name}.{number} is lost"

    def is_member(self, link: Link) -> bool:
        """Whether the server has them in the room."""
        room = self.hub.service.rooms.get(HUB)
        members = room.members if room is not None else set()
        return any(m.participant_id == link.participant_id for m in members)

    def teardown(self) -> None:
        """Quiet: everybody comes back, everything arrives, all is the same."""
        if not hasattr(self, "links"):
            return
        self.settle()
        self.slow_disk = False
        self.commit()
        self.admit()
        for number, link in enumerate(self.links):
            self.forgive(number)
            link.drop()
        for link in self.links:
            link.connect(self.hub.service)
        for _ in range(50):
            moved = [link.carry() for link in self.links]
            self.hub.clock.advance(0)
            self.hub.clock.advance(0.06)
            if not any(moved):
                break
        self.viewers_do_not_write()
        self.nobody_speaks_for_another()
        self.check_disk()
        live = self.live_document()
        there = marks_in(live)
        assert marks_in(self.stored()) == there, "the disk is behind"
        for link in self.links:
            assert link.connection is not None, (link.who, link.wire.closed)
            mine = {(link.who, number) for number in range(1, link.made + 1)}
            if self.roles[link.who] is Role.EDITOR:
                assert mine <= set(there), f"{link.who} lost {mine - set(there)}"
                assert marks_in(link.doc) == there, f"{link.who} differs"
            else:
                others = [mark for mark in marks_in(link.doc) if mark not in mine]
                kept = [mark for mark in others if mark in there]
                assert kept == [m for m in there if m not in mine], link.who
                self.nobody_promised(set(others) - set(there))
            if isinstance(link, NativeLink) and self.roles[link.who] is Role.EDITOR:
                assert not link.shared.unsaved, link.shared
        self.hub.service.stopService()
        self.hub.clock.advance(3)


class ModelTests(SynchronousTestCase):
    """The state machine, eighty runs of sixty steps."""

    def test_any_interleaving_converges(self) -> None:
        """And what was acknowledged survives, and viewers never write."""
        run_state_machine_as_test(
            Meeting,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

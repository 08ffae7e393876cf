"""How a document's batches, journal entries and snapshots are made cheap."""

from __future__ import annotations

from typing import Any

from hypothesis import given, reject, settings
from hypothesis import strategies as st
from pycrdt import Doc
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.drcp.pace import MAX_TICK_S, MIN_TICK_S, SHARE
from mosaic.services.drcp.replica import CrdtError, Replica, guarded, merged
from mosaic.wire.drcp import client
from mosaic.wire.drcp.yprotocols import Step, Type
from mosaic.workspace.documents import check_state_vector, check_update
from mosaic.workspace.model import Role
from tests.support.drcp import HUB, Hub, Peer
from tests.unit.test_documents import operations, perform


class TickTests(SynchronousTestCase):
    """The first edit goes at once, those after it in batches."""

    def quick(self) -> tuple[Hub, Peer, Peer]:
        """Two members; one has just typed, and the other has heard of it."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.open()
        bob.open()
        hub.tick(1)
        ann.type("a")
        hub.clock.advance(0)
        bob.hear()
        self.assertEqual(str(bob.text), "a")
        return hub, ann, bob

    def test_a_burst_waits_for_the_tick(self) -> None:
        """Not a moment longer."""
        hub, ann, bob = self.quick()
        ann.type("b")
        hub.clock.advance(MIN_TICK_S * 0.9)
        bob.hear()
        self.assertEqual(str(bob.text), "a")
        hub.clock.advance(MIN_TICK_S * 0.11)
        bob.hear()
        self.assertEqual(str(bob.text), "ab")

    def test_dear_flushes_come_less_often(self) -> None:
        """A room that takes long to write to keeps its share of the time."""
        hub, ann, bob = self.quick()
        write = bob.wire.write

        def dear(data: bytes) -> None:
            hub.clock.rightNow += 4 * MIN_TICK_S / SHARE
            write(data)

        bob.wire.write = dear  # type: ignore[method-assign]  # a slow machine
        for _ in range(30):
            ann.type("x")
            hub.clock.advance(0)
            hub.clock.advance(MAX_TICK_S)
        bob.hear()
        ann.type("y")
        hub.clock.advance(MIN_TICK_S * 1.5)
        self.assertEqual(bob.hear(), [])
        hub.clock.advance(MAX_TICK_S)
        bob.hear()
        self.assertTrue(str(bob.text).endswith("y"))


class JournalTests(SynchronousTestCase):
    """What one author sends between two flushes is one entry."""

    def test_a_run_of_typing_is_one_entry(self) -> None:
        """Each message is acknowledged all the same, and nothing is lost."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        hub.tick(1)
        for letter in "typing":
            ann.type(letter)
        hub.tick()
        stored = self.successResultOf(hub.store.load_document(HUB, "board"))
        self.assertEqual(len(stored.updates), 1)
        ann.hear()
        self.assertEqual(ann.saved, [True] * 6)
        self.assertEqual(hub.service.counters.updates_saved, 6)
        bob = hub.native("bob")
        bob.open()
        bob.hear()
        self.assertEqual(str(bob.text), "typing")

    def test_authors_are_told_apart(self) -> None:
        """Two of them: the updates as they came, each under its name."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.open()
        bob.open()
        hub.tick(1)
        sent = [ann.type("a"), bob.type("b"), ann.type("c")]
        hub.tick()
        stored = self.successResultOf(hub.store.load_document(HUB, "board"))
        self.assertEqual(list(stored.updates), sent)

    def test_what_waits_for_another_stays_as_it_came(self) -> None:
        """No merge of it is trusted to hold it."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        hub.tick(1)
        first, second = (Peer.type(ann, letter) for letter in "ab")
        hub.tick()
        bob = hub.native("bob")
        bob.open(name="notes/other")
        hub.tick(1)
        bob.say(client.sync(1, Step.UPDATE, second))
        bob.say(client.sync(1, Step.UPDATE, bob.type("own")))
        hub.tick()
        bob.say(client.sync(1, Step.UPDATE, first))
        hub.tick()
        stored = self.successResultOf(hub.store.load_document(HUB, "notes/other"))
        self.assertIn(second, stored.updates)
        cid = hub.native("cid")
        cid.open(name="notes/other")
        cid.hear()
        self.assertEqual(sorted(str(cid.text)), sorted("abown"))


class MergeTests(SynchronousTestCase):
    """A merged update is stored, and must be read again."""

    @settings(max_examples=200, deadline=None)
    @given(operations, st.integers(1, 12))
    def test_merges_pass_the_check(
        self, steps: list[tuple[str, str, Any, int]], size: int
    ) -> None:
        """Whatever an editor does, check_update takes what the CRDT makes of
        any run of it, and it means the same."""
        doc: Doc[Any] = Doc()
        try:
            updates = guarded(perform, doc, steps)
        except CrdtError as error:
            self.assertTrue(error.panicked)
            reject()  # the CRDT cannot make this edit in the first place
        again = Replica()
        for at in range(0, len(updates), size):
            part = updates[at : at + size]
            update = merged(part)
            summary = check_update(update)
            again.apply([(update, summary)], update)
        self.assertTrue(again.is_complete)
        self.assertEqual(
            check_state_vector(again.state_vector()),
            check_state_vector(doc.get_state()),
        )


class SnapshotTests(SynchronousTestCase):
    """Twenty who join at once cost one encoding."""

    def test_newcomers_get_the_same_bytes(self) -> None:
        """The very same object, until somebody edits."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        ann.type("kept")
        hub.tick(1)
        frames = []
        for who in ("bob", "cid"):
            peer = hub.native(who)
            peer.open()
            frames.append(peer.wire.writes[-1])
            peer.hear()
            self.assertEqual(str(peer.text), "kept")
        self.assertIs(frames[0], frames[1])
        ann.type(" on")
        hub.tick()
        dan = hub.native("dan")
        dan.open()
        (opened,) = dan.of(Type.OPENED)
        self.assertEqual(str(dan.text), "kept on")
        self.assertTrue(opened.write)

    def test_roles_and_channels_are_told_apart(self) -> None:
        """What is in the frame besides the document differs."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        ann.type("kept")
        hub.tick(1)
        for channel, role in ((1, "editor"), (2, "editor"), (1, "viewer")):
            peer = hub.native(f"p{channel}{role}", Role(role))
            peer.open(channel=channel)
            (message,) = [m for m in peer.hear() if m.type == Type.OPENED]
            self.assertEqual(message.channel, channel)
            self.assertEqual(message.value.write, role == "editor")

    def test_stock_clients_share_theirs(self) -> None:
        """Answers to sync step 1, too."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        ann.type("kept")
        hub.tick(1)
        frames = []
        for who in ("bob", "cid"):
            peer = hub.y(who)
            peer.say(b"\x00\x00\x01\x00")
            frames += [w for w in peer.wire.writes if b"kept" in w]
            peer.hear()
            self.assertEqual(str(peer.text), "kept")
        self.assertEqual(len(frames), 2)
        self.assertIs(frames[0], frames[1])

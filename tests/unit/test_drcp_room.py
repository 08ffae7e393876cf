"""The live room: documents, acknowledgements, roles, people."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, Text
from twisted.internet.defer import fail
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.drcp.journal import FIRST_RETRY_S
from mosaic.store.interface import JournalEntry, StoreFull
from mosaic.wire.drcp import client, hocuspocus
from mosaic.wire.drcp.yprotocols import Step, Type, encode_sync
from mosaic.workspace.model import Role
from tests.support.drcp import HUB, HocuspocusPeer, Hub


class DocumentTests(SynchronousTestCase):
    """Edits reach everybody and the disk."""

    def test_an_edit_reaches_the_others(self) -> None:
        """Two native clients converge."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.open()
        bob.open()
        ann.type("hello")
        hub.tick()
        bob.hear()
        self.assertEqual(str(bob.text), "hello")

    def test_a_late_join_gets_all_in_one_answer(self) -> None:
        """opened carries the batch that is not flushed yet, too."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        ann.type("one ")
        hub.tick()
        ann.type("two")
        bob = hub.native("bob")
        bob.open()
        (opened,) = bob.of(Type.OPENED)
        self.assertEqual(str(bob.text), "one two")
        self.assertTrue(opened.write)

    def test_offline_edits_reach_everybody(self) -> None:
        """Step 2 of a client is an update for all, not for the server alone."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.open()
        bob.text += "made offline"
        bob.open()
        (opened,) = bob.of(Type.OPENED)
        missing = bob.doc.get_update(opened.state_vector)
        bob.say(client.sync(1, Step.ANSWER, missing))
        hub.tick()
        ann.hear()
        self.assertEqual(str(ann.text), "made offline")

    def test_acknowledged_only_after_commit(self) -> None:
        """Live fan-out does not wait for the disk, the acknowledgement does."""
        hub = Hub()
        hub.store.held = []
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.open()
        bob.open()
        ann.type("x")
        hub.tick()
        bob.hear()
        ann.hear()
        self.assertEqual((str(bob.text), ann.saved), ("x", []))
        hub.store.release()
        ann.hear()
        self.assertEqual(ann.saved, [True])

    def test_a_lone_typist_waits_for_no_tick(self) -> None:
        """After silence the flush comes in the same reactor turn."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.open()
        bob.open()
        hub.tick(1)
        ann.type("x")
        hub.clock.advance(0)
        bob.hear()
        self.assertEqual(str(bob.text), "x")

    def test_a_burst_is_one_write_of_the_same_bytes(self) -> None:
        """Merged, framed once, one write for each member."""
        hub = Hub()
        ann, bob, cid = hub.native("ann"), hub.native("bob"), hub.native("cid")
        for peer in (ann, bob, cid):
            peer.open()
        hub.tick(1)
        for word in "abcdefgh":
            ann.type(word)
        ann.say(client.awareness(1, ann.doc.client_id, 1, "{}"))
        writes = len(bob.wire.writes), len(cid.wire.writes)
        hub.tick()
        self.assertEqual(len(bob.wire.writes), writes[0] + 1)
        self.assertEqual(len(cid.wire.writes), writes[1] + 1)
        self.assertIs(bob.wire.writes[-1], cid.wire.writes[-1])
        bob.hear()
        self.assertEqual(str(bob.text), "abcdefgh")

    def test_full_disk_is_told_and_recovers(self) -> None:
        """Not saved is said; live goes on; saved is said when it is."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.open()
        bob.open()
        hub.store.failure = StoreFull("no space left")
        ann.type("x")
        hub.tick()
        ann.type("y")
        hub.tick()
        ann.hear()
        bob.hear()
        self.assertEqual(str(bob.text), "xy")
        self.assertEqual(ann.saved, [False, False])
        self.assertEqual(ann.errors, [(1, 507), (1, 507)])
        hub.store.failure = None
        hub.clock.advance(FIRST_RETRY_S)
        ann.hear()
        self.assertEqual(ann.saved, [False, False, True, True])
        stored = self.successResultOf(hub.store.load_document(HUB, "board"))
        self.assertEqual(len(stored.updates), 2)

    def test_a_poisoned_journal_still_opens(self) -> None:
        """What cannot be applied is set aside."""
        hub = Hub()
        good: Doc[Any] = Doc()
        good.get("t", type=Text).insert(0, "kept")
        entries = [
            JournalEntry(update=bytes.fromhex("fea69968"), author="x"),
            JournalEntry(update=good.get_update(), author="x"),
        ]
        self.successResultOf(hub.store.append_updates(HUB, "board", entries))
        ann = hub.native("ann")
        ann.open()
        ann.hear()
        self.assertEqual(str(ann.text), "kept")
        self.assertEqual([q.seq for q in hub.store.quarantined], [1])

    def test_poison_and_a_full_disk(self) -> None:
        """What cannot be set aside now is left out all the same."""
        hub = Hub()
        entry = JournalEntry(update=b"rubbish", author="x")
        self.successResultOf(hub.store.append_updates(HUB, "board", [entry]))

        def full(*args: Any, **kwargs: Any) -> Any:
            return fail(StoreFull("no space left"))

        hub.store.quarantine_update = full  # type: ignore[method-assign]
        ann = hub.native("ann")
        ann.open()
        self.assertEqual(len(ann.of(Type.OPENED)), 1)

    def test_a_panic_harms_neither_room_nor_members(self) -> None:
        """The culprit is told, the document is rebuilt, edits go on."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.open()
        bob.open()
        ann.type("a")
        hub.tick()
        document = hub.service.rooms[HUB].desk.documents["board"]

        class Panic(BaseException):
            """What a Rust panic looks like."""

        class Broken:
            """A Doc that panics."""

            def apply_update(self, update: bytes) -> None:
                raise Panic("index out of bounds")

        document._replica._doc = Broken()  # type: ignore[assignment]  # a broken one
        bad = ann.type("bad")
        hub.tick()
        self.assertEqual(hub.service.counters.crdt_panics, 1)
        ann.hear()
        self.assertEqual((ann.errors, ann.saved), ([(1, 4400)], [True, False]))
        ann.say(client.sync(1, Step.UPDATE, bad))
        hub.tick()
        bob.hear()
        self.assertEqual(str(bob.text), "abad")

    def test_out_of_order_updates_reach_late_joiners(self) -> None:
        """The CRDT's encoding lacks what waits: it is sent beside it, and no
        snapshot replaces the journal until it is complete."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        far: Doc[Any] = Doc()
        text = far.get("t", type=Text)
        text += "first "
        first = far.get_update()
        before = far.get_state()
        text += "second"
        second = far.get_update(before)
        ann.say(client.sync(1, Step.UPDATE, second))
        hub.tick()
        document = hub.service.rooms[HUB].desk.documents["board"]
        saved = self.successResultOf(self.deferred(document.snapshot()))
        self.assertFalse(saved)
        bob = hub.native("bob")
        bob.open()
        bob.hear()
        ann.say(client.sync(1, Step.UPDATE, first))
        hub.tick()
        bob.hear()
        self.assertEqual(str(bob.text), "first second")
        saved = self.successResultOf(self.deferred(document.snapshot()))
        self.assertTrue(saved)

    def deferred(self, work: Any) -> Any:
        """A coroutine as a Deferred."""
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(work)

    def test_leaving_makes_a_snapshot_and_the_room_unloads(self) -> None:
        """It comes back as it was, with the same epoch."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        (opened,) = ann.of(Type.OPENED)
        ann.type("kept")
        ann.drop()
        stored = self.successResultOf(hub.store.load_document(HUB, "board"))
        self.assertEqual(stored.updates, ())
        self.assertTrue(stored.snapshot)
        hub.tick(hub.service.settings.unload_after_s)
        self.assertEqual(hub.service.rooms, {})
        bob = hub.native("bob")
        bob.open()
        (again,) = bob.of(Type.OPENED)
        self.assertEqual((str(bob.text), again.epoch), ("kept", opened.epoch))

    def test_activity_makes_a_snapshot(self) -> None:
        """After snapshot_after_s the journal is short again."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        ann.type("kept")
        hub.tick(hub.service.settings.snapshot_after_s)
        hub.tick()
        stored = self.successResultOf(hub.store.load_document(HUB, "board"))
        self.assertEqual(len(stored.updates), 0)

    def test_draining_saves_and_says_so(self) -> None:
        """stopService fires after commit, with 1012 for everybody."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        hub.store.held = []
        ann.type("last words")
        stopping = hub.service.stopService()
        self.assertNoResult(stopping)
        hub.store.release()
        self.assertEqual(ann.wire.closed, (1012, "restarting"))
        ann.drop()
        self.successResultOf(stopping)
        ann.hear()
        self.assertIn("draining", [event["type"] for event in ann.events])
        hub.clock.advance(0)  # the bus tells who has gone
        self.assertEqual(hub.clock.getDelayedCalls(), [])


class DoorTests(SynchronousTestCase):
    """A document opened through one door is live in the others."""

    def test_three_doors_lead_to_one_document(self) -> None:
        """Native, y-websocket and Hocuspocus converge."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.y("bob")
        address = f"{HUB}/board"
        cid = HocuspocusPeer(hub)
        cid.say(hocuspocus.token_message(address, hub.token("cid")))
        ann.open()
        ann.type("native ")
        hub.tick()
        bob.hear()
        before = bob.doc.get_state()
        bob.text += "y"
        bob.say(encode_sync(Step.UPDATE, bob.doc.get_update(before)))
        hub.tick()
        ann.hear()
        self.assertEqual(str(ann.text), "native y")
        doc: Doc[Any] = Doc()
        seen = []
        for payload in cid.wire.messages():
            name, kind, reader = hocuspocus.read_address(payload)
            self.assertEqual(name, address)
            seen.append(kind)
            if kind == Type.SYNC:
                reader.var_uint()
                doc.apply_update(reader.bytes())
        self.assertEqual(str(doc.get("t", type=Text)), "native y")
        self.assertEqual(seen[0], Type.AUTH)

    def test_a_viewer_is_read_only_everywhere(self) -> None:
        """Each way to write is refused, whatever the door."""
        hub = Hub()
        doc: Doc[Any] = Doc()
        doc.get("t", type=Text).insert(0, "no")
        update = doc.get_update()
        ann = hub.native("ann", Role.VIEWER)
        ann.open()
        bob = hub.y("bob", Role.VIEWER)
        cid = HocuspocusPeer(hub)
        address = f"{HUB}/board"
        cid.say(hocuspocus.token_message(address, hub.token("cid", Role.VIEWER)))
        for step in (Step.ANSWER, Step.UPDATE):
            for kind in (Type.SYNC, Type.SYNC_REPLY):
                body = encode_sync(step, update)[1:]
                ann.say(bytes((1, kind)) + body)
            bob.say(encode_sync(step, update))
            cid.say(hocuspocus.client_sync(address, step, update))
        hub.tick()
        ann.hear()
        self.assertEqual(ann.errors, [(1, 4403)] * 4)
        self.assertEqual(ann.saved, [False] * 4)
        stored = self.successResultOf(hub.store.load_document(HUB, "board"))
        self.assertEqual(stored.updates, ())
        scopes = [p for p in cid.wire.messages() if b"readonly" in p]
        self.assertEqual(len(scopes), 1)

    def test_bad_tokens_are_refused(self) -> None:
        """4401 natively and on /y; a denied document on /hocuspocus."""
        hub = Hub()
        ann = hub.native("ann")
        del hub.door.principals["ann"]
        other = type(ann)(hub, "ann")
        other.say(client.hello("ann", client="test"))
        self.assertEqual(other.wire.closed and other.wire.closed[0], 4401)
        bob = type(hub.y("bob"))(hub, "nobody", "board")
        self.assertEqual(bob.wire.closed and bob.wire.closed[0], 4401)
        cid = HocuspocusPeer(hub)
        cid.say(hocuspocus.token_message(f"{HUB}/board", "nobody"))
        self.assertIsNone(cid.wire.closed)
        (denied,) = cid.wire.messages()
        self.assertIn(b"unknown or expired", denied)

    def test_other_clients_are_kept_awake(self) -> None:
        """They hang up after 30 s without a message."""
        hub = Hub()
        bob = hub.y("bob")
        bob.hear()
        hub.clock.pump([5.0] * 3)
        self.assertEqual(bob.hear(), [bytes((Type.AWARENESS, 1, 0))])

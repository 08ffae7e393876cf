"""The client's half of DRCP: nothing lost, nothing said twice."""

from __future__ import annotations

import gzip
from typing import Any

from pycrdt import Doc, Text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.store.interface import StoreFull
from mosaic.wire.drcp.yprotocols import Type
from mosaic.workspace.model import Role
from tests.support.drcp import HUB, Hub
from tests.support.drcp_session import SessionPeer


def entered(hub: Hub, who: str, role: Role = Role.EDITOR, **more: Any) -> SessionPeer:
    """A connected participant."""
    peer = SessionPeer(hub, hub.token(who, role))
    peer.connect()
    return peer


class FetchingPeer(SessionPeer):
    """A participant whose HTTP works."""

    def fetch(self, reference: Any) -> bytes:
        """As the service has it."""
        etag = reference["url"].rpartition("/")[2]
        packed = self.hub.service.find_state(HUB, etag)
        return gzip.decompress(packed) if packed else b""


class SharingTests(SynchronousTestCase):
    """One document, edits both ways."""

    def setUp(self) -> None:
        """A room with one person."""
        self.hub = Hub()
        self.ann = entered(self.hub, "ann")

    def settle(self, *peers: SessionPeer) -> None:
        """Ticks and frames until nothing moves."""
        for _ in range(4):
            for peer in peers:
                peer.work()
            self.hub.tick()
        for peer in peers:
            peer.work()

    def test_edits_before_and_after_opening(self) -> None:
        """All are acknowledged, in order, and everybody has them."""
        bob = SessionPeer(self.hub, self.hub.token("bob"))
        bob.type("before ")
        self.assertEqual(bob.shared.unsaved, 1)
        bob.connect()
        self.settle(self.ann, bob)
        bob.type("after")
        self.settle(self.ann, bob)
        self.assertEqual(str(self.ann.text), "before after")
        self.assertEqual((bob.shared.unsaved, bob.shared.saved_through), (0, 2))

    def test_one_message_in_flight(self) -> None:
        """What is edited meanwhile is merged into the next."""
        self.hub.store.held = []
        for letter in "abcdef":
            self.ann.type(letter)
            self.ann.work()
            self.hub.tick()
        self.assertEqual(self.ann.shared.unsaved, 6)
        self.hub.store.release()
        self.settle(self.ann)
        self.assertEqual(
            (self.ann.shared.unsaved, self.ann.shared.saved_through), (0, 6)
        )
        statuses = self.ann.kinds().count(Type.SYNC_STATUS)
        self.assertEqual(statuses, 2)

    def test_what_was_under_way_is_sent_again(self) -> None:
        """And is there once."""
        self.hub.store.held = []
        self.ann.type("lost acknowledgement")
        self.ann.work()
        self.hub.tick()
        self.ann.drop()
        self.ann.type(", offline")
        self.hub.store.release()
        self.ann.connect()
        self.settle(self.ann)
        bob = entered(self.hub, "bob")
        self.settle(bob)
        self.assertEqual(str(bob.text), "lost acknowledgement, offline")
        self.assertEqual(self.ann.shared.unsaved, 0)

    def test_nothing_is_said_when_nothing_is_lacking(self) -> None:
        """A return costs no journal entry."""
        self.ann.type("x")
        self.settle(self.ann)
        before = self.hub.service.counters.updates_in
        self.ann.drop()
        self.ann.connect()
        self.settle(self.ann)
        self.assertEqual(self.hub.service.counters.updates_in, before)

    def test_edits_of_an_earlier_life(self) -> None:
        """What the document had before this program opened it is sent too."""
        bob = SessionPeer(self.hub, self.hub.token("bob"))
        old: Doc[Any] = Doc()
        old.get("t", type=Text).insert(0, "from a file")
        bob.session.documents["board"].crdt.apply_update(old.get_update())
        bob.connect()
        self.settle(bob, self.ann)
        self.assertEqual(str(self.ann.text), "from a file")

    def test_a_viewers_edits_wait_for_the_right(self) -> None:
        """They are not sent, and go when perm says so."""
        eve = entered(self.hub, "eve", Role.VIEWER)
        eve.type("please")
        self.settle(eve, self.ann)
        self.assertEqual((str(self.ann.text), eve.shared.unsaved), ("", 1))
        news = {"type": "role", "participant_id": f"{'eve':0>16}", "role": "editor"}
        self.hub.bus.publish(f"room.{HUB}.people", news)
        self.settle(eve, self.ann)
        self.assertEqual((str(self.ann.text), eve.shared.unsaved), ("please", 0))
        self.assertEqual(eve.shared.refused, [])

    def test_a_right_lost_under_way(self) -> None:
        """The refused edit is offered again when the right comes back."""
        self.ann.type("x")
        (frame,) = self.ann.session.take()
        people = f"room.{HUB}.people"
        news = {"type": "role", "participant_id": f"{'ann':0>16}", "role": "viewer"}
        self.hub.bus.publish(people, news)
        self.hub.tick()
        assert self.ann.connection is not None
        self.ann.connection.frame_received(frame)
        self.settle(self.ann)
        self.assertEqual((self.ann.shared.unsaved, self.ann.shared.refused), (1, []))
        self.hub.bus.publish(people, {**news, "role": "editor"})
        self.settle(self.ann)
        self.assertEqual(self.ann.shared.unsaved, 0)

    def test_a_full_disk(self) -> None:
        """Not saved until the server says so, then acknowledged."""
        self.hub.store.failure = StoreFull("full")
        self.ann.type("x")
        self.settle(self.ann)
        self.assertEqual(self.ann.shared.unsaved, 1)
        self.assertEqual(self.ann.shared.problem and self.ann.shared.problem[0], 507)
        self.hub.store.failure = None
        self.hub.clock.pump([1.0] * 12)
        self.settle(self.ann)
        self.assertEqual((self.ann.shared.unsaved, self.ann.shared.problem), (0, None))

    def test_a_refused_edit_is_named(self) -> None:
        """The good ones beside it are saved."""
        hub = Hub(max_document_bytes=600)
        ann = entered(hub, "ann")
        ann.drop()
        ann.type("small ")
        self.doc_edit(ann, "x" * 1000)
        ann.connect()
        for _ in range(6):
            ann.work()
            hub.tick()
        ann.work()
        (refused,) = [r for r in ann.shared.refused if r.edit.number]
        self.assertEqual((refused.code, refused.edit.number), (4413, 2))
        bob = entered(hub, "bob")
        self.assertEqual(str(bob.text), "small ")

    def doc_edit(self, peer: SessionPeer, text: str) -> None:
        """An edit in a text of its own, so that nothing depends on it."""
        other = peer.doc.get("other", type=Text)
        other += text

    def test_a_forked_document_is_left_alone(self) -> None:
        """Another epoch is another history: never merge (no fork is made here)."""
        self.ann.type("mine")
        self.settle(self.ann)
        self.ann.drop()
        self.ann.shared.epoch = "another"
        self.ann.type(" only")
        self.ann.connect()
        self.settle(self.ann)
        self.assertTrue(self.ann.shared.forked)
        bob = entered(self.hub, "bob")
        self.assertEqual(str(bob.text), "mine")

    def test_states_of_others(self) -> None:
        """Shown, changed, and gone with their connection; ours is repeated."""
        bob = entered(self.hub, "bob")
        bob.shared.present('{"cursor":1}')
        self.settle(self.ann, bob)
        (state,) = self.ann.shared.states.values()
        self.assertIn('"cursor":1', state)
        bob.drop()
        self.settle(self.ann)
        self.assertEqual(self.ann.shared.states, {})
        bob.connect()
        self.settle(self.ann, bob)
        self.assertEqual(len(self.ann.shared.states), 1)

    def test_the_lobby(self) -> None:
        """Documents open when a host lets us in."""
        gus = entered_waiting(self.hub, "gus")
        gus.type("hi")
        self.settle(gus)
        self.assertFalse(gus.session.live)
        news = {"type": "admitted", "participant_id": f"{'gus':0>16}", "role": "editor"}
        self.hub.bus.publish(f"room.{HUB}.people", news)
        self.settle(gus, self.ann)
        self.assertEqual(str(self.ann.text), "hi")

    def test_events_are_resumed(self) -> None:
        """What was missed comes once."""
        bob = entered(self.hub, "bob")
        bob.drop()
        self.ann.session.event("reaction", {"emoji": "!"})
        self.settle(self.ann)
        bob.kinds()
        bob.connect()
        self.settle(bob)
        assert bob.session.welcome is not None
        self.assertTrue(bob.session.welcome["resumed"])
        events = [m.value["type"] for m in bob.seen if m.type == Type.EVENT]
        self.assertEqual(events, ["leave", "reaction", "join"])

    def test_a_large_document(self) -> None:
        """By HTTP, and by the channel where HTTP has nothing."""
        hub = Hub(snapshot_ref_bytes=100)
        ann = entered(hub, "ann")
        ann.type("x" * 1000)
        ann.work()
        hub.tick()
        for make in (FetchingPeer, SessionPeer):
            peer = make(hub, hub.token("bob"))
            peer.type("mine ")
            peer.connect()
            for _ in range(4):
                peer.work()
                ann.work()
                hub.tick()
            self.assertIn("x" * 1000, str(peer.text))
            self.assertEqual(str(ann.text), str(peer.text))
            self.assertEqual(peer.shared.unsaved, 0)

    def test_a_document_that_cannot_be_opened(self) -> None:
        """Its error is kept; it may be tried again."""
        peer = SessionPeer(self.hub, self.hub.token("bob"), name="nothing")
        peer.connect()
        self.assertEqual(peer.shared.problem and peer.shared.problem[0], 4404)
        self.assertIsNone(peer.shared.channel)
        peer.session.reopen(peer.shared)
        peer.work()
        self.assertEqual(peer.kinds().count(Type.ERROR), 2)


def entered_waiting(hub: Hub, who: str) -> SessionPeer:
    """Somebody in the lobby."""
    peer = SessionPeer(hub, hub.token(who, waiting=True))
    peer.connect()
    return peer

"""Every limit of the collaboration service, one test each."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.config.settings import Drcp
from mosaic.services.drcp.desk import MAX_DOCUMENTS
from mosaic.services.drcp.pace import MAX_TICK_S, MIN_TICK_S, Pace, TokenBucket
from mosaic.services.drcp.people import RING, EventRing
from mosaic.wire.drcp import client, hocuspocus
from mosaic.wire.drcp.yprotocols import Step, Type, encode_sync
from mosaic.workspace.model import Role
from tests.support.drcp import HUB, HocuspocusPeer, Hub


def update_of(text: str) -> bytes:
    """An update that inserts a text."""
    doc: Doc[Any] = Doc()
    doc.get("t", type=Text).insert(0, text)
    return doc.get_update()


class InboundTests(SynchronousTestCase):
    """Bad or too much input costs its sender alone."""

    def test_a_hostile_state_vector(self) -> None:
        """Five bytes that would cost 535 MB are refused on the channel."""
        hub = Hub()
        ann = hub.native("ann")
        ann.say(client.open_document(1, "board", bytes.fromhex("8080808001")))
        ann.open(channel=2)
        ann.say(client.sync(2, Step.STATE_VECTOR, bytes.fromhex("8080808001")))
        ann.hear()
        self.assertEqual(ann.errors, [(1, 4400), (2, 4400)])
        self.assertIsNone(ann.wire.closed)

    def test_a_long_state_vector(self) -> None:
        """4 KiB, then 4413; the channel may be opened again."""
        hub = Hub()
        ann = hub.native("ann")
        limit = Drcp().max_state_vector_bytes
        ann.say(client.open_document(1, "board", bytes(limit + 1)))
        ann.hear()
        self.assertEqual(ann.errors, [(1, 4413)])
        ann.open()
        self.assertEqual(len(ann.of(Type.OPENED)), 1)

    def test_a_long_state_vector_of_a_stock_client(self) -> None:
        """It knows no errors: the whole document is the answer."""
        hub = Hub(max_state_vector_bytes=10)
        ann, bob = hub.native("ann"), hub.y("bob")
        ann.say(client.open_document(1, "board", b"\0"))
        ann.type("kept")
        hub.tick()
        bob.doc = type(bob.doc)()
        bob.text = bob.doc.get("t", type=Text)
        bob.hear()
        bob.say(encode_sync(Step.STATE_VECTOR, bytes(11)))
        bob.hear()
        self.assertEqual(str(bob.text), "kept")

    def test_a_malformed_update(self) -> None:
        """Refused before the CRDT sees it; nobody else hears of it."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        ann.say(client.sync(1, Step.UPDATE, bytes.fromhex("fea69968")))
        hub.tick()
        ann.hear()
        self.assertEqual((ann.errors, ann.saved), ([(1, 4400)], [False]))

    def test_large_awareness(self) -> None:
        """64 KiB, then 4413 on the channel."""
        hub = Hub(max_awareness_bytes=100)
        ann = hub.native("ann")
        ann.open()
        ann.say(client.awareness(1, 7, 1, '"' + "x" * 100 + '"'))
        ann.hear()
        self.assertEqual(ann.errors, [(1, 4413)])

    def test_awareness_that_is_no_json(self) -> None:
        """4400 on the channel."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        for text in ("{", "NaN", '{"x":1e999}', "[" * 5000):
            ann.say(client.awareness(1, 7, 1, text))
        ann.hear()
        self.assertEqual(ann.errors, [(1, 4400)] * 4)

    def test_awareness_with_half_a_character(self) -> None:
        """JavaScript writes such a thing when a name is cut: no fault."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.open()
        bob.open()
        ann.say(client.awareness(1, 7, 1, '{"cut":"\\ud83d"}'))
        hub.tick()
        ((entry,),) = bob.of(Type.AWARENESS)
        self.assertIn('"cut":"?"', entry.state)
        self.assertEqual(ann.errors, [])

    def test_a_crowd_of_awareness_ids(self) -> None:
        """One connection speaks for a few clients at most."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        for number in range(17):
            ann.say(client.awareness(1, number, 1, "{}"))
        ann.hear()
        self.assertEqual(ann.errors, [(1, 4403)])

    def test_a_full_document(self) -> None:
        """20 MiB, then 4413; what fits still goes in."""
        hub = Hub(max_document_bytes=300)
        ann = hub.native("ann")
        ann.open()
        ann.say(client.sync(1, Step.UPDATE, update_of("x" * 200)))
        hub.tick()
        ann.say(client.sync(1, Step.UPDATE, update_of("y" * 200)))
        ann.say(client.sync(1, Step.UPDATE, update_of("z" * 20)))
        hub.tick()
        ann.hear()
        self.assertEqual(ann.errors, [(1, 4413)])
        self.assertEqual(sorted(ann.saved), [False, True, True])

    def test_large_frames_are_for_editors_documents(self) -> None:
        """More than a frame: an update yes, anything else 4413."""
        hub = Hub(max_frame_bytes=1000)
        ann = hub.native("ann")
        ann.open()
        ann.say(client.sync(1, Step.UPDATE, update_of("x" * 2000)))
        ann.say(client.sync(1, Step.STATE_VECTOR, bytes(2000)))
        ann.hear()
        self.assertEqual(ann.errors, [(1, 4413)])
        self.assertGreater(ann.wire.limit, hub.service.settings.max_sync_bytes)
        bob = hub.native("bob", Role.VIEWER)
        self.assertEqual(bob.wire.limit, 1000)

    def test_too_many_messages(self) -> None:
        """First reading is paused, then the connection ends with 4429."""
        hub = Hub()
        ann = hub.native("ann")
        for _ in range(Drcp().message_burst):
            ann.say(client.ping())
        self.assertIn("rate", ann.wire.pauses)
        self.assertIsNone(ann.wire.closed)
        hub.clock.advance(1)
        self.assertEqual(ann.wire.pauses, set())
        for _ in range(3 * Drcp().message_burst):
            ann.say(client.ping())
        self.assertEqual(ann.wire.closed, (4429, "too many messages"))

    def test_messages_in_one_frame_count_too(self) -> None:
        """A frame of a thousand pings is a thousand messages."""
        hub = Hub()
        ann = hub.native("ann")
        ann.say(client.ping() * 1000)
        self.assertEqual(ann.wire.closed, (4429, "too many messages"))

    def test_too_many_bytes(self) -> None:
        """A megabyte a second; a large message costs a bounded pause."""
        bucket = TokenBucket(messages_per_s=10, burst=20, bytes_per_s=100, now=0)
        self.assertEqual(bucket.take(150, 0), 0.5)
        self.assertEqual(bucket.take(10**9, 60), 4.0)

    def test_no_hello_in_time(self) -> None:
        """A silent socket is closed."""
        hub = Hub()
        hub.token("ann")
        ann = type(hub.native("bob"))(hub, "ann")
        hub.clock.advance(Drcp().handshake_timeout_s)
        self.assertEqual(ann.wire.closed and ann.wire.closed[0], 4401)
        cid = HocuspocusPeer(hub)
        hub.clock.advance(Drcp().handshake_timeout_s)
        self.assertEqual(cid.wire.closed and cid.wire.closed[0], 4401)

    def test_documents_have_names_and_a_number(self) -> None:
        """Others are 4404, too many 4413."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open("../etc")
        for number in range(MAX_DOCUMENTS):
            hub.store.load_document(HUB, f"notes/{number}")
        ann.open("notes/more")
        ann.open("notes/1", channel=2)
        ann.hear()
        self.assertEqual(ann.errors, [(1, 4404), (1, 4413)])

    def test_bad_events_do_not_end_the_connection(self) -> None:
        """Errors on channel 0."""
        hub = Hub()
        ann = hub.native("ann")
        for kind, data in (
            ("chat", {"text": "x" * 4001, "message_id": "m"}),
            ("chat", {"text": "x", "message_id": "m" * 65}),
            ("state", {"hand": "up"}),
            ("reaction", {"emoji": "x" * 33}),
            ("join", {}),
        ):
            ann.say(client.event(kind, data))
        ann.hear()
        self.assertEqual(ann.errors, [(0, 4400)] * 5)
        self.assertIsNone(ann.wire.closed)

    def test_garbage_ends_the_connection_alone(self) -> None:
        """4400, and the others go on."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.say(b"\xff" * 20)
        self.assertEqual(ann.wire.closed and ann.wire.closed[0], 4400)
        self.assertIsNone(bob.wire.closed)

    def test_another_rooms_token(self) -> None:
        """A token opens its own room alone."""
        hub = Hub()
        cid = HocuspocusPeer(hub)
        cid.say(hocuspocus.token_message("987654321/board", hub.token("cid")))
        (denied,) = cid.wire.messages()
        self.assertIn(b"another room", denied)

    def test_the_ring_is_bounded(self) -> None:
        """What is gone is not replayed."""
        ring = EventRing()
        for _ in range(RING + 1):
            ring.add("reaction", {}, at=0.0, sender=None)
        self.assertIsNone(ring.since(0))
        self.assertEqual(len(ring.since(1) or ()), RING)
        self.assertIsNone(ring.since(RING + 2))


class AnythingTests(SynchronousTestCase):
    """Whatever one member sends, the room goes on."""

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([b"\x01\x00\x02", b"\x01\x00\x00", b"\x01\x01", b""]),
                st.binary(max_size=40),
            ),
            max_size=6,
        )
    )
    def test_the_others_do_not_notice(self, frames: list[tuple[bytes, bytes]]) -> None:
        """Updates, state vectors, awareness and plain noise."""
        hub = Hub()
        ann, bob, cid = hub.native("ann"), hub.native("bob"), hub.native("cid")
        for peer in (ann, bob, cid):
            peer.open()
        for head, noise in frames:
            ann.say(head + (bytes((len(noise),)) + noise if head else noise))
            hub.tick()
        bob.type("still here")
        hub.tick()
        cid.hear()
        self.assertIn("still here", str(cid.text))
        self.assertIsNone(cid.wire.closed)
        self.assertEqual(len(bob.of(Type.SYNC_STATUS)), 1)


class OutboundTests(SynchronousTestCase):
    """A slow reader costs nobody else, and catches up by one diff."""

    def slow(self, **limits: Any) -> tuple[Hub, Any, Any]:
        """A writer and a reader whose socket is full."""
        hub = Hub(**limits)
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.open()
        bob.open()
        hub.tick(1)
        bob.hear()
        bob.connection.outbound.pauseProducing()
        return hub, ann, bob

    def test_one_diff_after_the_drain(self) -> None:
        """Past queue_bytes nothing is queued; the diff is exact."""
        hub, ann, bob = self.slow(queue_bytes=100)
        for _ in range(40):
            ann.type("x" * 50)
            hub.tick()
        outbound = bob.connection.outbound
        self.assertTrue(outbound.is_behind)
        self.assertLess(outbound.queued_bytes, 300)
        self.assertEqual(bob.hear(), [])
        outbound.resumeProducing()
        self.assertFalse(outbound.is_behind)
        bob.hear()
        self.assertEqual(str(bob.text), "x" * 2000)
        self.assertEqual(hub.service.counters.slow_diffs, 1)
        ann.type("y")
        hub.tick()
        bob.hear()
        self.assertEqual(str(bob.text), "x" * 2000 + "y")

    def test_full_sockets_are_counted(self) -> None:
        """Also by who pauses twice, resumes, is closed, or pauses after that:
        nobody looks for slow readers where there are none."""
        hub, _, bob = self.slow()
        counters, outbound = hub.service.counters, bob.connection.outbound
        self.assertEqual(counters.full, 1)
        outbound.pauseProducing()
        self.assertEqual(counters.full, 1)
        outbound.resumeProducing()
        self.assertEqual(counters.full, 0)
        outbound.pauseProducing()
        bob.drop()
        outbound.pauseProducing()
        self.assertEqual(counters.full, 0)

    def test_awareness_is_dropped_first(self) -> None:
        """Cursors are not queued; the present ones come after the drain."""
        hub, ann, bob = self.slow()
        for clock in range(1, 20):
            ann.say(client.awareness(1, 7, clock, "{}"))
            hub.tick()
        self.assertEqual(bob.connection.outbound.queued_bytes, 0)
        bob.connection.outbound.resumeProducing()
        ((entry,),) = bob.of(Type.AWARENESS)
        self.assertEqual(entry.clock, 19)

    def test_ten_seconds_behind(self) -> None:
        """Then 4408."""
        hub, ann, bob = self.slow(queue_bytes=10)
        for _ in range(2):
            ann.type("x" * 50)
            hub.tick()
        hub.clock.advance(hub.service.settings.max_behind_s)
        self.assertEqual(bob.wire.closed, (4408, "too slow"))
        self.assertIsNone(ann.wire.closed)

    def test_too_much_queued(self) -> None:
        """What cannot be dropped is bounded, too."""
        _, ann, bob = self.slow(max_behind_bytes=2000, messages_per_s=10_000.0)
        for number in range(20):
            data = {"text": "x" * 200, "message_id": str(number)}
            ann.say(client.event("chat", data))
        self.assertEqual(bob.wire.closed, (4408, "too slow"))

    def test_a_slow_reader_waits_for_large_answers(self) -> None:
        """Asking again and again does not fill the server's memory."""
        hub, ann, bob = self.slow()
        ann.type("x" * 1000)
        hub.tick()
        for _ in range(10):
            bob.say(client.sync(1, Step.STATE_VECTOR, b"\0"))
        self.assertIn("busy", bob.wire.pauses)
        self.assertLess(bob.connection.outbound.queued_bytes, 2000)
        bob.connection.outbound.resumeProducing()
        answers = [v for v in bob.of(Type.SYNC) if v[0] is Step.ANSWER]
        self.assertEqual(len(answers), 10)
        self.assertNotIn("busy", bob.wire.pauses)


class PaceTests(SynchronousTestCase):
    """The tick follows the load."""

    def test_the_tick_is_clamped(self) -> None:
        """16 ms for a small room, 50 ms at most; and a bounded share of the time."""
        pace = Pace(due=1)
        self.assertEqual(pace.tick_s(0.0001), MIN_TICK_S)
        self.assertEqual(pace.tick_s(0.001), 0.024)
        pace.due = 10
        self.assertEqual(pace.tick_s(0.001), MAX_TICK_S)

"""Large documents are referred to, and fetched by HTTP."""

from __future__ import annotations

import gzip
from hashlib import sha256
from typing import Any

from pycrdt import Doc
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.drcp import client
from mosaic.wire.drcp.client import Opened
from mosaic.wire.drcp.yprotocols import Step, Type
from tests.support.drcp import HUB, Hub, Peer
from tests.support.rest import RestCase

CAPS = ("snapshotRef",)
LONG = "".join(f"line {number}\n" for number in range(400))


class ReferenceTests(SynchronousTestCase):
    """`opened` says where the state is and what that state lacks."""

    def setUp(self) -> None:
        """A room with a document of more than a kilobyte."""
        self.hub = Hub(snapshot_ref_bytes=1000)
        self.ann = self.hub.native("ann")
        self.ann.open()
        self.ann.type(LONG)
        self.hub.tick()

    def enter(self, who: str, caps: tuple[str, ...] = CAPS) -> Peer:
        """A client that says what it can do."""
        peer = Peer(self.hub, self.hub.token(who))
        peer.say(client.hello(who, client="test", caps=caps))
        return peer

    def opened(self, peer: Peer) -> Opened:
        """The answer to open, applied without the state."""
        peer.open()
        (opened,) = peer.of(Type.OPENED)
        assert isinstance(opened, Opened)
        return opened

    def state(self, reference: dict[str, Any]) -> bytes:
        """What HTTP would send."""
        path, _, etag = reference["url"].rpartition("/")
        self.assertEqual(path, f"/api/v1/rooms/{HUB}/states")
        packed = self.hub.service.find_state(HUB, etag)
        assert packed is not None
        state = gzip.decompress(packed)
        self.assertEqual(sha256(state).hexdigest(), reference["etag"])
        self.assertEqual(len(state), reference["size"])
        return state

    def test_state_and_rest_are_the_document(self) -> None:
        """Also when it has changed after the state was made."""
        self.opened(self.enter("bob"))
        self.ann.type("more")
        self.hub.tick()
        cid = self.enter("cid")
        opened = self.opened(cid)
        assert opened.reference is not None
        self.assertLess(len(opened.update), 200)
        self.assertNotEqual(str(cid.text), str(self.ann.text))
        cid.doc.apply_update(self.state(opened.reference))
        self.assertEqual(str(cid.text), str(self.ann.text))

    def test_only_for_those_who_can(self) -> None:
        """Others get it all in the answer."""
        bob = self.enter("bob", caps=())
        self.assertIsNone(self.opened(bob).reference)
        self.assertEqual(str(bob.text), LONG)

    def test_a_small_difference_is_not_worth_a_request(self) -> None:
        """Who has most of it gets the rest at once."""
        bob = self.enter("bob")
        bob.doc.apply_update(self.ann.doc.get_update())
        self.ann.type("more")
        self.hub.tick()
        self.assertIsNone(self.opened(bob).reference)
        self.assertEqual(str(bob.text), str(self.ann.text))

    def test_it_is_packed_once(self) -> None:
        """And again only when much has been written since, some time ago."""
        references = []
        for who in ("bob", "cid", "dan", "eve"):
            references.append(self.opened(self.enter(who)).reference)
            if who == "cid":
                self.ann.type(LONG)
                self.hub.tick()
            if who == "dan":
                self.hub.tick(6)
        etags = [r and r["etag"] for r in references]
        self.assertEqual(etags[0], etags[1])
        self.assertEqual(etags[1], etags[2], "packing is not repeated in a hurry")
        self.assertNotEqual(etags[2], etags[3])
        assert references[0] is not None
        self.state(references[0])

    def test_what_happens_while_it_is_packed(self) -> None:
        """Edits are in the rest; who has left gets nothing."""
        held: list[Deferred[Any]] = []
        room = self.hub.service.rooms[HUB]

        def later(function: Any, *args: Any) -> Deferred[Any]:
            gate: Deferred[Any] = Deferred()
            held.append(gate)
            return gate.addCallback(lambda _: function(*args))

        room.desk.shelf._run_in_thread = later
        bob, cid, dan = [self.enter(who) for who in ("bob", "cid", "dan")]
        for peer in (bob, cid, dan):
            peer.open()
        self.ann.type("late")
        cid.drop()
        dan.say(client.close_channel(1))
        self.hub.tick()
        (gate,) = held
        gate.callback(None)
        (opened,) = bob.of(Type.OPENED)
        bob.doc.apply_update(self.state(opened.reference))
        self.assertEqual(str(bob.text), str(self.ann.text))
        self.assertEqual(cid.of(Type.OPENED) + dan.of(Type.OPENED), [])
        self.ann.type("!")
        self.hub.tick()
        bob.hear()
        self.assertEqual(str(bob.text), str(self.ann.text))

    def test_a_state_that_is_gone(self) -> None:
        """A state vector on the open channel brings everything."""
        bob = self.enter("bob")
        self.opened(bob)
        self.assertIsNone(self.hub.service.find_state(HUB, "0" * 64))
        self.assertIsNone(self.hub.service.find_state("987654321", "0" * 64))
        bob.say(client.sync(1, Step.STATE_VECTOR, Doc().get_state()))
        bob.hear()
        self.assertEqual(str(bob.text), LONG)


class DownloadTests(RestCase):
    """GET …/states/SHA256."""

    def setUp(self) -> None:
        """One state, of the only room."""
        super().setUp()
        kept = {(self.room.hub_id, "a" * 64): gzip.compress(b"state")}
        self.use(self.build(find_state=lambda hub, etag: kept.get((hub, etag))))
        self.path = f"{self.hub}/states/{'a' * 64}"

    def test_the_bytes(self) -> None:
        """Packed for those who take it, with a name that never changes."""
        token = self.room_token("viewer")
        packed = self.ask(
            "GET", self.path, token, headers={"Accept-Encoding": "br, gzip"}
        )
        self.assertEqual(packed.header("Content-Encoding"), "gzip")
        self.assertEqual(gzip.decompress(packed.body), b"state")
        self.assertIn("private", packed.header("Cache-Control") or "")
        plain = self.ask("GET", self.path, token)
        self.assertEqual((plain.status, plain.body), (200, b"state"))
        again = self.ask(
            "GET", self.path, token, headers={"If-None-Match": f'"{"a" * 64}"'}
        )
        self.assertEqual((again.status, again.body), (304, b""))

    def test_only_for_the_room(self) -> None:
        """A token of another room, or none, opens nothing."""
        other = self.run_steps(self.door.create_room("Red", owner="ada"))
        self.problem(self.ask("GET", self.path, None), 401)
        token = self.room_token("host", other.hub_id)
        self.problem(self.ask("GET", self.path, token), 403)
        mine = f"/api/v1/rooms/{other.hub_id}/states/{'a' * 64}"
        self.problem(self.ask("GET", mine, token), 404)

"""Versions of live documents: when they are kept, and how one comes back."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, Map
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.drcp.history import DocumentHistory
from mosaic.store.interface import NotFound, StoreFull
from mosaic.wire.drcp import client
from mosaic.wire.drcp.yprotocols import Step
from mosaic.workspace.restore import contents
from mosaic.workspace.versions import Author, NotRestored, Reason, Version
from tests.support.drcp import HUB, Hub, Peer

BOB = Author(id="b" * 16, name="Bob", account="bob")
DAY_S = 86400.0


class VersionCase(SynchronousTestCase):
    """A hub in memory, and what is asked of it from outside."""

    def setUp(self) -> None:
        self.hub = Hub()
        self.live = DocumentHistory(self.hub.service, self.hub.store)

    def done(self, steps: Any) -> Any:
        """The result of what waits for nothing."""
        if not isinstance(steps, Deferred):
            steps = Deferred.fromCoroutine(steps)
        return self.successResultOf(steps)

    def versions(self, name: str = "board") -> list[Version]:
        """Newest first."""
        return list(self.done(self.hub.store.versions(HUB, name)))

    def reasons(self) -> list[Reason]:
        """Of the board's, newest first."""
        return [version.reason for version in self.versions()]

    def ada(self, name: str = "board") -> Peer:
        """Somebody who has the document open."""
        peer = self.hub.native("ada", expires_at=1e9)
        peer.open(name)
        peer.hear()
        return peer

    def name(self, label: str = "Draft") -> Version:
        """Name the board as it is."""
        version = self.done(
            self.live.name_version(HUB, "board", label=label, by=BOB.id)
        )
        assert isinstance(version, Version)
        return version


class KeepingTests(VersionCase):
    """By the clock, by leaving, by name."""

    def test_five_minutes_of_activity_make_a_version(self) -> None:
        """Counted from the first edit; silence makes none."""
        ada = self.ada()
        self.hub.tick(400)
        self.assertEqual(self.reasons(), [])
        ada.type("x")
        self.hub.tick(299)
        self.assertEqual(self.reasons(), [])
        self.hub.tick(2)
        self.assertEqual(self.reasons(), [Reason.AUTO])
        self.hub.tick(1000)
        self.assertEqual(self.reasons(), [Reason.AUTO])

    def test_leaving_makes_a_version_if_something_changed(self) -> None:
        """Also when it changed before a restart of the server."""
        ada = self.ada()
        ada.type("x")
        ada.drop()
        self.assertEqual(self.reasons(), [Reason.EMPTY])
        ada = self.ada()
        ada.drop()
        self.assertEqual(len(self.versions()), 1)
        [version] = self.versions()
        self.assertEqual([one.name for one in version.authors], ["Ada"])

    def test_a_name_keeps_what_is_on_the_screen(self) -> None:
        """Edits of this very tick included, whatever was kept before."""
        ada = self.ada()
        ada.type("x")
        first = self.name()
        second = self.name("Again")
        state = self.hub.store.version_state(HUB, "board", first.id)
        self.assertEqual(contents(self.done(state)), {"t": [("x", {})]})
        self.assertEqual([one.name for one in first.authors], ["Ada"])
        self.assertEqual((first.by, second.authors), (BOB.id, ()))
        self.assertEqual(ada.saved or (ada.hear() and ada.saved), [True])

    def test_nothing_unsaved_gets_a_name(self) -> None:
        """On a full disk a version cannot promise what the journal could not."""
        ada = self.ada()
        self.hub.store.failure = StoreFull("full")
        ada.type("x")
        self.hub.tick()
        failing = Deferred.fromCoroutine(
            self.live.name_version(HUB, "board", label="x", by="")
        )
        self.failureResultOf(failing, StoreFull)
        self.hub.store.failure = None
        self.hub.tick(2)
        self.assertEqual(self.name().through_seq, 1)

    def test_an_unknown_document_is_not_made(self) -> None:
        """By asking for its version."""
        missing = Deferred.fromCoroutine(
            self.live.name_version(HUB, "notes/x", label="x", by="")
        )
        self.failureResultOf(missing, NotFound)
        missing = Deferred.fromCoroutine(
            self.live.name_version("999999999", "board", label="x", by="")
        )
        self.failureResultOf(missing, NotFound)

    def test_clients_have_their_authors(self) -> None:
        """Somebody who hands on what another wrote does not become its author."""
        ada = self.ada()
        update = ada.type("x")
        self.hub.tick()
        eve = self.hub.native("eve")
        eve.open()
        eve.hear()
        eve.say(client.sync(1, Step.UPDATE, update))
        eve.type("y")
        self.hub.tick()
        found = self.done(self.hub.store.authors(HUB, "board"))
        clients = {one.name: one.client_ids for one in found}
        self.assertEqual(
            clients,
            {"Ada": (ada.doc.client_id,), "Eve": (eve.doc.client_id,)},
        )


class RestoringTests(VersionCase):
    """A new edit for everybody."""

    def restore(self, version: Version) -> Any:
        """As Bob, from outside."""
        return self.done(
            self.live.restore_version(HUB, "board", version.id, author=BOB)
        )

    def test_everybody_gets_it_live(self) -> None:
        """Through the doors of all makes, and it is in the journal as Bob's."""
        ada, eve = self.ada(), self.hub.y("eve")
        ada.type("first")
        version = self.name()
        ada.type(" second")
        self.hub.tick()
        self.assertTrue(self.restore(version))
        for peer in (ada, eve):
            peer.hear()
            self.assertEqual(str(peer.text), "first")
        self.assertEqual(self.reasons()[0], Reason.RESTORE)
        self.assertEqual(self.versions()[0].by, BOB.id)
        authors = self.done(self.hub.store.authors(HUB, "board"))
        self.assertIn("Bob", [one.name for one in authors])
        self.assertFalse(self.restore(version))

    def test_the_restore_is_undone_by_the_version_before_it(self) -> None:
        """History only grows; the epoch stays."""
        ada = self.ada()
        ada.type("first")
        version = self.name()
        ada.type(" second")
        epoch = self.hub.service.rooms[HUB].desk.documents["board"].epoch
        self.restore(version)
        self.assertTrue(self.restore(self.versions()[0]))
        ada.hear()
        self.assertEqual(str(ada.text), "first second")
        again = self.hub.service.rooms[HUB].desk.documents["board"].epoch
        self.assertEqual(again, epoch)

    def test_an_edit_made_offline_meanwhile_is_kept(self) -> None:
        """It merges, as with anybody's edit."""
        ada, eve = self.ada(), self.hub.native("eve")
        ada.type("first")
        version = self.name()
        eve.open()
        eve.hear()
        ada.type(" second")
        self.hub.tick()
        self.restore(version)
        eve.text.insert(0, "offline ")
        eve.say(client.sync(1, Step.UPDATE, eve.doc.get_update()))
        self.hub.tick()
        for peer in (ada, eve):
            peer.hear()
            self.assertEqual(str(peer.text), "offline first")

    def test_a_full_disk_changes_nothing(self) -> None:
        """What is on the screen could not be kept, so it stays there."""
        ada = self.ada()
        ada.type("first")
        version = self.name()
        ada.type(" second")
        self.hub.tick()

        def full(*args: Any, **kwargs: Any) -> Any:
            raise StoreFull("full")

        self.hub.store.save_version = full  # type: ignore[method-assign]
        failing = Deferred.fromCoroutine(
            self.live.restore_version(HUB, "board", version.id, author=BOB)
        )
        self.failureResultOf(failing, StoreFull)
        ada.hear()
        self.assertEqual(str(ada.text), "first second")

    def test_a_state_that_cannot_be_read_is_refused(self) -> None:
        """The room is unharmed."""
        ada = self.ada()
        ada.type("first")
        self.hub.tick()
        saved = self.hub.store.save_version(
            HUB, "board", b"\x01\x02garbage", through_seq=99, reason=Reason.AUTO
        )
        version = self.done(saved)
        failing = Deferred.fromCoroutine(
            self.live.restore_version(HUB, "board", version.id, author=BOB)
        )
        self.failureResultOf(failing, NotRestored)
        ada.type("!")
        self.hub.tick()
        ada.hear()
        self.assertEqual(ada.saved, [True, True])


class PruningTests(VersionCase):
    """Old tombstones of drawn elements."""

    def draw(self, peer: Peer, key: str, *, deleted: bool, at_ms: float) -> None:
        """Write an element."""
        elements = peer.doc.get("elements", type=Map)
        before = peer.doc.get_state()
        elements[key] = {
            "id": key, "isDeleted": deleted, "updated": at_ms, "version": 1.0,
            "points": [0.0] * 100,
        }  # fmt: skip
        peer.say(client.sync(1, Step.UPDATE, peer.doc.get_update(before)))
        self.hub.tick()

    def board(self) -> Doc[Any]:
        """As it is stored."""
        stored = self.done(self.hub.store.load_document(HUB, "board"))
        doc: Doc[Any] = Doc()
        for update in (stored.snapshot, *stored.updates):
            if update:
                doc.apply_update(update)
        self.size = len(stored.snapshot)
        return doc

    def filled(self) -> Peer:
        """A board with an old tombstone, a fresh one and an old element."""
        ada = self.ada()
        old = 1000.0
        for number in range(50):
            self.draw(ada, f"old{number}", deleted=True, at_ms=old)
        self.draw(ada, "shown", deleted=False, at_ms=old)
        self.draw(ada, "fresh", deleted=True, at_ms=(DAY_S + 1000) * 1000)
        self.hub.clock.advance(DAY_S)
        return ada

    def test_old_ones_go_when_the_room_is_left(self) -> None:
        """What is shown, and what was deleted today, stays; the size goes down."""
        ada = self.filled()
        ada.drop()
        self.board()
        before = self.size
        self.hub.tick(61)
        self.assertNotIn(HUB, self.hub.service.rooms)
        elements = self.board().get("elements", type=Map).to_py()
        self.assertEqual(sorted(elements), ["fresh", "shown"])
        self.assertLess(self.size, before / 10)

    def test_not_while_somebody_is_here(self) -> None:
        """Their page does it, or nobody."""
        self.filled()
        self.hub.tick(120)
        self.assertEqual(len(self.board().get("elements", type=Map)), 52)

    def test_who_was_away_brings_nothing_back(self) -> None:
        """Their copy of a tombstone is deleted by the merge; their edits stay."""
        ada = self.filled()
        away: Doc[Any] = Doc()
        away.apply_update(ada.doc.get_update())
        ada.drop()
        self.hub.tick(61)
        elements = away.get("elements", type=Map)
        elements["old7"] = {"id": "old7", "isDeleted": False, "updated": 5.0}
        elements["mine"] = {"id": "mine", "isDeleted": False, "updated": 5.0}
        eve = self.hub.native("eve")
        eve.doc = away
        eve.open()
        eve.hear()
        eve.say(client.sync(1, Step.UPDATE, away.get_update()))
        self.hub.tick()
        eve.hear()
        kept = {"fresh", "shown", "old7", "mine"}
        self.assertEqual(set(self.board().get("elements", type=Map).keys()), kept)
        self.assertEqual(set(elements.keys()), kept)

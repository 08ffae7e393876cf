"""Versions over REST: who may do what, and what comes of it."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, Map

from mosaic.config.settings import History
from mosaic.store.interface import JournalEntry, StoreFull
from mosaic.workspace.documents import check_update
from mosaic.workspace.restore import contents
from mosaic.workspace.tasks import Outcome
from mosaic.workspace.versions import Author, Reason
from tests.support.rest import RestCase


def drawing(**elements: float) -> bytes:
    """A board with these elements at these places."""
    doc: Doc[Any] = Doc()
    board = doc.get("elements", type=Map)
    for name, x in elements.items():
        board[name] = {
            "id": name, "type": "rectangle", "isDeleted": False, "x": x,
            "version": 1.0, "versionNonce": 1.0, "updated": 1.0,
        }  # fmt: skip
    return doc.get_update()


class VersionCase(RestCase):
    """A room with a board that has an element a."""

    history = History(max_named=2)

    def setUp(self) -> None:
        super().setUp()
        self.editor = self.room_token("editor")
        self.viewer = self.room_token("viewer")
        self.write(drawing(a=1.0))

    def write(self, update: bytes, name: str = "board") -> None:
        """Somebody edited."""
        writer = Author(id="aa" * 8, name="Eve", account=None, client_ids=(7,))
        entry = JournalEntry(update=update, author=writer.id, writer=writer)
        self.run_steps(self.store.append_updates(self.room.hub_id, name, [entry]))

    def name(self, label: str = "Draft", token: str | None = None, **more: Any) -> Any:
        """Name a version of the board."""
        body = {"document": "board", "label": label, **more}
        return self.ask("POST", f"{self.hub}/versions", token or self.editor, json=body)

    def board(self) -> Any:
        """What a page that opens the board sees."""
        stored = self.run_steps(self.store.load_document(self.room.hub_id, "board"))
        doc: Doc[Any] = Doc()
        for update in (stored.snapshot, *stored.updates):
            if update:
                doc.apply_update(update)
        return doc

    def shown(self) -> list[str]:
        """Elements that are not deleted."""
        elements = self.board().get("elements", type=Map).to_py()
        return sorted(k for k, one in elements.items() if not one["isDeleted"])


class NamingTests(VersionCase):
    """Keep, list, read, rename, delete."""

    def test_a_named_version_is_listed_and_read(self) -> None:
        """With who wrote it; the state is a Yjs update with an ETag."""
        made = self.name(label=" Draft  1 ")
        self.assertEqual(made.status, 201, made.body)
        version = made.json()
        self.assertEqual((version["label"], version["reason"]), ("Draft 1", "named"))
        self.assertEqual([one["name"] for one in version["authors"]], ["Eve"])
        for query in ("", "?document=board"):
            listed = self.ask("GET", f"{self.hub}/versions{query}", self.viewer)
            self.assertEqual(listed.json(), {"versions": [version]})
        none = self.ask("GET", f"{self.hub}/versions?document=notes/a", self.viewer)
        self.assertEqual(none.json(), {"versions": []})
        url = f"{self.hub}/versions/{version['id']}"
        state = self.ask("GET", url, self.viewer)
        self.assertEqual(contents(state.body), contents(drawing(a=1.0)))
        tag = state.header("ETag")
        assert tag is not None
        again = self.ask("GET", url, self.viewer, headers={"If-None-Match": tag})
        self.assertEqual((again.status, again.body), (304, b""))

    def test_viewers_look_and_strangers_do_not(self) -> None:
        """Naming and restoring is editing; deleting is the host's."""
        url = f"{self.hub}/versions/{self.name().json()['id']}"
        self.problem(self.name(token=self.viewer), 403)
        self.problem(self.ask("POST", f"{url}/restore", self.viewer), 403)
        patch = {"label": "x"}
        self.problem(self.ask("PATCH", url, self.viewer, json=patch), 403)
        self.problem(self.ask("DELETE", url, self.editor), 403)
        self.problem(self.ask("GET", f"{self.hub}/versions", self.bob), 403)
        self.problem(self.ask("GET", f"{self.hub}/versions"), 401)
        self.assertEqual(self.ask("DELETE", url, self.ada).status, 204)
        self.problem(self.ask("GET", url, self.viewer), 404)

    def test_names_can_change(self) -> None:
        """And go: then the version lives as long as an automatic one."""
        url = f"{self.hub}/versions/{self.name().json()['id']}"
        for label in ("Final", None):
            changed = self.ask("PATCH", url, self.editor, json={"label": label})
            self.assertEqual(changed.json()["label"], label)
        self.problem(self.ask("PATCH", url, self.editor, json={"label": "\u202e"}), 422)

    def test_named_versions_are_bounded(self) -> None:
        """They are never forgotten by themselves."""
        first = self.name("one").json()
        self.name("two")
        self.assertIn(
            "2 named versions", self.problem(self.name("three"), 409)["detail"]
        )
        url = f"{self.hub}/versions/{first['id']}"
        self.ask("PATCH", url, self.editor, json={"label": None})
        self.assertEqual(self.name("three").status, 201)
        again = self.ask("PATCH", url, self.editor, json={"label": "one"})
        self.problem(again, 409)

    def test_what_is_not_there(self) -> None:
        """No document is made by asking for its version."""
        self.problem(self.name(document="notes/none"), 404)
        names = self.run_steps(self.store.document_names(self.room.hub_id))
        self.assertEqual(names, ["board"])
        self.problem(self.name(document="nonsense"), 422)
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/restore")):
            url = f"{self.hub}/versions/99{path}"
            self.problem(self.ask(method, url, self.ada), 404)

    def test_authors_by_client(self) -> None:
        """So that a page can colour what each wrote."""
        found = self.ask("GET", f"{self.hub}/authors?document=board", self.viewer)
        self.assertEqual(
            found.json(),
            {
                "authors": [
                    {"id": "aa" * 8, "name": "Eve", "account": None, "client_ids": [7]}
                ]
            },
        )

    def test_a_full_disk_is_told(self) -> None:
        """507, and nothing is kept."""

        def full(*args: Any, **kwargs: Any) -> Any:
            raise StoreFull("no space")

        self.store.save_version = full  # type: ignore[method-assign]
        self.problem(self.name(), 507)
        self.assertEqual(len(self.flushLoggedErrors(StoreFull)), 1)

    def test_a_closed_room_is_read_only(self) -> None:
        """Its past can still be looked at."""
        version = self.name().json()
        self.ask("POST", f"{self.hub}/close", self.ada)
        self.problem(self.name(token=self.ada), 423)
        restore = f"{self.hub}/versions/{version['id']}/restore"
        self.problem(self.ask("POST", restore, self.ada), 423)
        listed = self.ask("GET", f"{self.hub}/versions", self.ada)
        self.assertEqual(len(listed.json()["versions"]), 1)


class RestoringTests(VersionCase):
    """Back, as a new edit."""

    def restore(self, version: int) -> Any:
        """As an editor."""
        return self.ask("POST", f"{self.hub}/versions/{version}/restore", self.editor)

    def test_the_document_is_as_it_was(self) -> None:
        """And what was there is a version of its own, to go back to."""
        version = self.name().json()["id"]
        self.wall += 60
        hub_id = self.room.hub_id
        before = self.run_steps(self.store.load_document(hub_id, "board"))
        service = self.live._service
        room = self.run_steps(service.room(hub_id))
        board = self.run_steps(room.desk.open("board"))
        edit = drawing(b=2.0)
        bob = Author(id="bb", name="Bob", account=None)
        self.run_steps(board.edit(Outcome(edit, check_update(edit)), bob))
        self.assertEqual(self.shown(), ["a", "b"])
        self.assertEqual(self.restore(version).json(), {"changed": True})
        self.assertEqual(self.shown(), ["a"])
        after = self.run_steps(self.store.load_document(hub_id, "board"))
        self.assertEqual(after.epoch, before.epoch)
        self.assertGreater(after.last_seq, before.last_seq)
        newest = self.run_steps(self.store.versions(hub_id, "board"))[0]
        self.assertEqual(newest.reason, Reason.RESTORE)
        self.assertEqual(self.restore(newest.id).json(), {"changed": True})
        self.assertEqual(self.shown(), ["a", "b"])

    def test_nothing_to_restore(self) -> None:
        """It is said, and nobody gets an edit."""
        version = self.name().json()["id"]
        self.assertEqual(self.restore(version).json(), {"changed": False})

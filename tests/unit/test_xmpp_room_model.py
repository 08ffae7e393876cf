"""Whatever happens in whatever order, both doors of a room agree in the end."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from mosaic.store.interface import NotFound
from mosaic.workspace.archive import Span
from mosaic.workspace.model import Role
from tests.support.muc import (
    Browser,
    Meeting,
    XmppClient,
    body,
    codes,
    error,
    item,
    nick,
)

ROLES = {"moderator": "host", "participant": "editor", "visitor": "viewer"}
EXAMPLES = int(os.environ.get("MOSAIC_MODEL_EXAMPLES", "60"))
STEPS = 40
CLIENTS = ("bob/a", "bob/b", "cyd/a", "eve/a")


class Seen:
    """What one client believes, from what it has heard and nothing else."""

    def __init__(self, client: XmppClient) -> None:
        self.client = client
        self.inside = False
        self.people: dict[str, str] = {}
        self.lines: list[str] = []

    def hear(self) -> None:
        """Take in what came."""
        for node in self.client.hear():
            if node.name == "presence":
                self._presence(node)
            elif node.attributes.get("type") == "groupchat":
                text = body(node)
                if text is not None:
                    self.lines.append(text)

    def _presence(self, node: Any) -> None:
        who, kind = nick(node), node.attributes.get("type", "")
        if error(node):
            return
        if kind == "unavailable":
            self.people.pop(who, None)
            if "110" in codes(node) and "303" not in codes(node):
                self.inside = False
                self.people.clear()
                self.lines.clear()
            return
        self.people[who] = ROLES[item(node)["role"]]
        if "110" in codes(node):
            self.inside = True
            self.client.nick = who


class DoorsMachine(RuleBasedStateMachine):
    """Joins, leaves, words, roles and kicks through both doors at once.

    The bus delivers only when `settle` is drawn, so everything interleaves.
    """

    @initialize()
    def begin(self) -> None:
        """A room of Ann's, who is not in it."""
        self.meeting = Meeting()
        settle = self.meeting.settle
        self.settle_now = settle
        self.meeting.settle = lambda: None  # type: ignore[method-assign]  # the rules decide
        self.clients: dict[str, Seen] = {}
        for name in CLIENTS:
            account, _, resource = name.partition("/")
            self.clients[name] = Seen(self.meeting.client(account, resource))
        self.pages: dict[str, Browser] = {}
        self.said: list[str] = []
        self.count = 0

    def text(self) -> str:
        """Words that nobody has said yet."""
        self.count += 1
        return f"line {self.count}"

    @rule()
    def settle(self) -> None:
        """The bus delivers."""
        self.settle_now()

    # Through XMPP
    @rule(name=st.sampled_from(CLIENTS), as_nick=st.sampled_from(["", "Zoe", "Pat"]))
    def join(self, name: str, as_nick: str) -> None:
        """With the whole history; perhaps again, perhaps under a taken nick."""
        seen = self.clients[name]
        seen.hear()
        if not seen.inside:
            wanted = as_nick or name.partition("/")[0].title()
            seen.client.join(wanted, history="<history maxstanzas='500'/>")

    @rule(name=st.sampled_from(CLIENTS))
    def leave(self, name: str) -> None:
        """By itself."""
        self.clients[name].client.leave()

    @rule(name=st.sampled_from(CLIENTS), to=st.sampled_from(["Zoe", "Yan", "Pat"]))
    def rename(self, name: str, to: str) -> None:
        """To a nick that is free, or not."""
        client = self.clients[name].client
        client.say(f"<presence to='{client.room(to)}'/>")

    @rule(name=st.sampled_from(CLIENTS))
    def say(self, name: str) -> None:
        """Refused outside."""
        self.clients[name].client.write(self.text(), ident=f"i{self.count}")

    # Through the browser
    @rule(name=st.sampled_from(["Pat", "Quin"]))
    def open_page(self, name: str) -> None:
        """Or open it again, as somebody else of the same name."""
        if name not in self.pages or self.pages[name].closed:
            self.pages[name] = self.meeting.browser(name)

    @rule(name=st.sampled_from(["Pat", "Quin"]))
    def close_page(self, name: str) -> None:
        """By itself."""
        page = self.pages.pop(name, None)
        if page is not None:
            page.drop()

    @rule(name=st.sampled_from(["Pat", "Quin"]))
    def write(self, name: str) -> None:
        """Nothing happens after the page was put out."""
        page = self.pages.get(name)
        if page is not None and page.closed is None:
            page.write(self.text())

    # Hosts
    def somebody(self, number: int) -> str | None:
        """The id of one whose token is in the store."""
        ids = sorted(
            token.participant_id
            for token in self.meeting.store._tokens.values()
            if token.kind == "room"
        )
        return ids[number % len(ids)] if ids else None

    @rule(number=st.integers(0, 9))
    def kick(self, number: int) -> None:
        """Whoever it is, by whatever door."""
        who = self.somebody(number)
        if who is not None:
            with contextlib.suppress(NotFound):
                self.meeting.run(self.meeting.door.kick(self.meeting.hub_id, who))

    @rule(number=st.integers(0, 9), role=st.sampled_from(list(Role)))
    def give_role(self, number: int, role: Role) -> None:
        """Whoever it is, by whatever door."""
        who = self.somebody(number)
        if who is not None:
            self.meeting.run(self.meeting.door.admit(self.meeting.hub_id, who, role))

    # What must hold
    @precondition(lambda self: hasattr(self, "meeting"))
    @invariant()
    def history_only_grows(self) -> None:
        """A line that was told never goes, and none is told twice."""
        for seen in self.clients.values():
            seen.hear()
            assert len(seen.lines) == len(set(seen.lines)), seen.lines

    def teardown(self) -> None:
        """Everything comes to rest: now all must agree."""
        if not hasattr(self, "meeting"):
            return
        for _ in range(4):
            self.settle_now()
        for name, page in list(self.pages.items()):
            if page.closed is not None:
                page.drop()
                del self.pages[name]
        for _ in range(4):
            self.settle_now()
        self.check_agreement()
        for seen in self.clients.values():
            seen.client.leave()
        for page in self.pages.values():
            page.drop()
        for _ in range(4):
            self.settle_now()
        assert self.meeting.rooms.live == {}, "a room stays though nobody is in it"
        assert self.meeting.rooms.counters.occupants == 0
        assert (
            self.meeting.drcp.rooms[self.meeting.hub_id].people == {}
            if (self.meeting.hub_id in self.meeting.drcp.rooms)
            else True
        )

    def check_agreement(self) -> None:
        """Occupants, roles and history, at every client and page."""
        archive = self.meeting.store.room_archive(self.meeting.hub_id, Span(limit=999))
        history = [entry.text for entry in self.meeting.value(archive)]
        muc = self.meeting.rooms.live.get(self.meeting.hub_id)
        here = {}
        if muc is not None:
            here = {o.nick: o.role.value for o in muc.people.by_nick.values()}
        for seen in self.clients.values():
            seen.hear()
        inside = [seen for seen in self.clients.values() if seen.inside]
        for seen in inside:
            assert seen.people == here, (seen.client.nick, seen.people, here)
            assert seen.lines == history, (seen.lines, history)
        seats = 0 if muc is None else len(muc.people.seats)
        assert seats == len(inside), (seats, len(inside))
        for page in self.pages.values():
            page.hear()
            shown = sorted(p["role"] for p in page.people.values())
            if muc is not None:
                assert shown == sorted(here.values()), (page.people, here)
            assert page.chat()[-100:] == history[-100:], (page.chat(), history)


class ModelTests(SynchronousTestCase):
    """The state machine."""

    def test_any_interleaving_ends_in_agreement(self) -> None:
        """On who is there, as what, and what was said."""
        run_state_machine_as_test(
            DoorsMachine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

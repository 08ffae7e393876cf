"""Who decides what in a room: roles, standing, bans, configuration, its end."""

from __future__ import annotations

from typing import Any

from mosaic.services.xmpp.rooms.names import (
    NS_MUC_OWNER,
    NS_MUC_USER,
)
from mosaic.store.interface import NotFound
from mosaic.wire.xmpp.stanza import NS_CLIENT
from mosaic.workspace.model import Role
from tests.support.muc import Meeting, codes, error, item, nick, shown
from tests.support.muc_rule import RuleCase


class RoleTests(RuleCase):
    """Sections 8 and 9.6."""

    def test_a_kick(self) -> None:
        """307 and the reason for all; the token ends; the page sees it."""
        self.admin(self.ann, nick="Bob", role="none", reason="enough")
        [gone] = self.cyd.hear()
        self.assertEqual((shown([gone]), codes(gone)), (["-Bob"], {"307"}))
        self.assertEqual(codes(self.bob.hear()[0]), {"307", "110"})
        x = gone.child(NS_MUC_USER, "x")
        assert x is not None
        self.assertEqual(x.children[0].children[0].text, "enough")
        self.assertNotIn("Bob", self.page.names())
        self.bob.join()
        self.assertEqual(shown(self.bob.hear())[-1], "#")

    def test_a_kick_reaches_the_page(self) -> None:
        """The browser is put out as by a host with a browser."""
        self.admin(self.ann, nick="Pat", role="none")
        self.assertEqual(self.page.closed, (4403, "kicked"))
        self.assertEqual(shown(self.bob.hear()), ["-Pat"])

    def test_a_kick_from_the_page_reaches_the_client(self) -> None:
        """REST asks the same door."""
        muc = self.meeting.rooms.live[self.meeting.hub_id]
        bob = muc.people.by_nick["Bob"]
        self.meeting.run(self.meeting.door.kick(self.meeting.hub_id, bob.id))
        self.meeting.settle()
        self.assertEqual(codes(self.bob.hear()[0]), {"307", "110"})
        self.assertNotIn("Bob", self.page.names())

    def test_voice_is_taken_and_given(self) -> None:
        """A visitor is a viewer, at every door."""
        self.admin(self.ann, nick="Bob", role="visitor")
        self.assertEqual(item(self.cyd.hear()[0])["role"], "visitor")
        self.assertEqual(self.page.names()["Bob"], "viewer")
        self.admin(self.ann, nick="Pat", role="visitor")
        self.assertEqual(self.page.names()["Pat"], "viewer")
        self.assertEqual(item(self.cyd.hear()[0])["role"], "visitor")
        self.admin(self.ann, nick="Pat", role="participant")
        self.assertEqual(self.page.names()["Pat"], "editor")

    def test_a_moderator_for_now(self) -> None:
        """May kick, and not what owners may."""
        self.admin(self.ann, nick="Bob", role="moderator")
        said = item(self.cyd.hear()[0])
        self.assertEqual((said["affiliation"], said["role"]), ("none", "moderator"))
        self.assertEqual(self.page.names()["Bob"], "host")
        for wanted in (
            {"nick": "Cyd", "role": "moderator"},
            {"nick": "Ann", "role": "none"},
        ):
            self.assertEqual(error(self.admin(self.bob, **wanted)), "not-allowed")
        answer = self.admin(self.bob, jid="cyd@localhost", affiliation="owner")
        self.assertEqual(error(answer), "forbidden")
        self.assertEqual(error(self.admin(self.bob, nick="Cyd", role="none")), "")
        self.assertIn("307", codes(self.cyd.hear()[-1]))

    def test_who_may_not(self) -> None:
        """Neither those inside nor strangers."""
        eve = self.meeting.client("eve")
        for who in (self.bob, eve):
            for wanted in (
                {"nick": "Cyd", "role": "none"},
                {"jid": "bob@localhost", "affiliation": "owner"},
            ):
                self.assertEqual(error(self.admin(who, **wanted)), "forbidden")
        self.assertEqual(self.list(self.bob, role="moderator"), "forbidden")
        self.assertEqual(self.list(self.bob, affiliation="owner"), "forbidden")

    def test_what_makes_no_sense(self) -> None:
        """Each is told why."""
        for wanted, condition in (
            ({"nick": "Nobody", "role": "none"}, "item-not-found"),
            ({"nick": "Bob", "role": "king"}, "bad-request"),
            ({"nick": "Bob"}, "bad-request"),
            ({"jid": "bob@localhost", "affiliation": "king"}, "bad-request"),
            ({"jid": "nobody@localhost", "affiliation": "member"}, "item-not-found"),
            ({"jid": "bob@elsewhere", "affiliation": "member"}, "not-acceptable"),
            ({"nick": "Pat", "affiliation": "member"}, "not-acceptable"),
            ({"jid": "@", "affiliation": "member"}, "jid-malformed"),
            ({"jid": "ann@localhost", "affiliation": "member"}, "conflict"),
            ({"jid": "root@localhost", "affiliation": "none"}, "not-allowed"),
        ):
            self.assertEqual(error(self.admin(self.ann, **wanted)), condition, wanted)

    def test_lists(self) -> None:
        """By role of those here, by affiliation of accounts."""
        self.assertEqual(self.list(self.ann, role="participant"), ["Bob", "Cyd", "Pat"])
        self.assertEqual(self.list(self.ann, affiliation="owner"), ["Ann"])
        self.admin(self.ann, jid="eve@localhost", affiliation="member")
        self.assertEqual(self.list(self.ann, affiliation="member"), ["eve@localhost"])


class StandingTests(RuleCase):
    """Sections 9.1 to 9.5 and 10."""

    def members(self) -> dict[str, Role]:
        """As the store has them."""
        found: dict[str, Role] = self.meeting.value(
            self.meeting.store.members(self.meeting.hub_id)
        )
        return found

    def test_an_owner_is_a_standing_host(self) -> None:
        """Also if an admin was asked for: Mosaic has one kind."""
        self.admin(self.ann, jid="bob@localhost", affiliation="admin")
        said = item(self.cyd.hear()[-1])
        self.assertEqual((said["affiliation"], said["role"]), ("owner", "moderator"))
        self.assertEqual(self.members()["bob"], Role.HOST)
        self.assertEqual(self.page.names()["Bob"], "host")
        self.admin(self.bob, nick="Ann", affiliation="none")
        self.assertEqual(self.members()["ann"], Role.HOST)

    def test_a_member_comes_and_goes(self) -> None:
        """Taking it takes the token: 321, as the browser is put out too."""
        self.admin(self.ann, jid="bob@localhost", affiliation="member")
        self.assertEqual(item(self.cyd.hear()[-1])["affiliation"], "member")
        self.admin(self.ann, jid="bob@localhost", affiliation="none")
        self.assertEqual(codes(self.bob.hear()[-1]), {"321", "110"})
        self.assertNotIn("bob", self.members())

    def test_a_ban_holds_at_every_door(self) -> None:
        """301, out of the page as well, and no way back with the PIN."""
        page = self.meeting.browser("Bobs page", account="bob")
        self.admin(self.ann, jid="bob@localhost", affiliation="outcast", reason="no")
        self.assertEqual(codes(self.bob.hear()[-1]), {"301", "110"})
        gone = [node for node in self.cyd.hear() if codes(node)]
        self.assertEqual({nick(node) for node in gone}, {"Bob", "Bobs page"})
        self.assertEqual(page.closed, (4403, "kicked"))
        self.bob.join()
        self.assertEqual(error(self.bob.hear()[0]), "forbidden")
        self.assertEqual(self.list(self.ann, affiliation="outcast"), ["bob@localhost"])
        self.admin(self.ann, jid="bob@localhost", affiliation="none")
        self.bob.join()
        self.assertEqual(item(self.bob.hear()[-2])["affiliation"], "none")

    def test_a_change_by_rest_is_seen(self) -> None:
        """The page of a host made Bob a host."""
        self.meeting.store.set_member(self.meeting.hub_id, "bob", Role.HOST)
        news = {"type": "member", "account": "bob"}
        self.meeting.bus.publish(f"room.{self.meeting.hub_id}.people", news)
        self.meeting.settle()
        said = item(self.bob.hear()[-1])
        self.assertEqual((said["affiliation"], said["role"]), ("owner", "moderator"))


class LobbyTests(RuleCase):
    """Waiting to be let in."""

    def setUp(self) -> None:
        super().setUp()
        self.meeting.change(lobby=True)
        self.quiet()
        self.eve = self.meeting.client("eve")
        self.eve.join()

    def test_one_who_waits_is_told(self) -> None:
        """And is not in the room."""
        [told] = self.eve.hear()
        self.assertIn("lobby", told.children[0].text)
        self.assertEqual(self.bob.hear(), [])
        self.eve.write("let me in")
        self.assertEqual(error(self.eve.hear()[0]), "not-acceptable")

    def waiting(self) -> Any:
        """What REST and hosts' pages show."""
        return self.meeting.value(
            self.meeting.store.waiting_tokens(self.meeting.hub_id)
        )

    def answer(self, role: Role | None) -> None:
        """As a host's page does."""
        [token] = self.waiting()
        self.assertEqual(token.name, "Eve")
        self.meeting.run(
            self.meeting.door.admit(self.meeting.hub_id, token.participant_id, role)
        )
        self.meeting.settle()

    def test_a_host_lets_them_in_from_the_browser(self) -> None:
        """The join goes on where it stood."""
        self.eve.hear()
        self.answer(Role.VIEWER)
        heard = self.eve.hear()
        self.assertEqual(shown(heard)[-2:], ["+Eve", "#"])
        self.assertEqual(item(heard[-2])["role"], "visitor")
        self.assertEqual(self.page.names()["Eve"], "viewer")
        self.assertEqual(self.waiting(), [])

    def test_a_host_refuses(self) -> None:
        """The answer to the join is an error."""
        self.eve.hear()
        self.answer(None)
        self.assertEqual(shown(self.eve.hear()), ["!forbidden"])

    def test_one_who_gives_up_or_asks_again(self) -> None:
        """Nobody waits twice; nobody waits who has gone."""
        self.eve.join()
        self.assertEqual(len(self.waiting()), 1)
        self.eve.leave()
        self.assertEqual(self.waiting(), [])

    def test_a_member_need_not_wait(self) -> None:
        """Made one meanwhile."""
        self.eve.hear()
        self.admin(self.ann, jid="eve@localhost", affiliation="member")
        self.assertEqual(shown(self.eve.hear())[-2:], ["+Eve", "#"])

    def test_a_closed_room_lets_nobody_wait(self) -> None:
        """They are told."""
        self.eve.hear()
        self.meeting.change("closed", closed_at=1.0)
        self.assertEqual(shown(self.eve.hear()), ["!gone"])


class DoorTests(RuleCase):
    """People of both doors."""

    def test_each_door_shows_the_other(self) -> None:
        """Names, roles, and how they came."""
        self.assertEqual(
            self.page.names(),
            {"Ann": "host", "Bob": "editor", "Cyd": "editor", "Pat": "editor"},
        )
        via = {p["name"]: p.get("via") for p in self.page.people.values()}
        self.assertEqual(
            via, {"Ann": "xmpp", "Bob": "xmpp", "Cyd": "xmpp", "Pat": None}
        )
        guest = self.meeting.browser("Pat")
        [joined] = self.bob.hear()
        self.assertEqual((nick(joined), item(joined).get("jid")), ("Pat (2)", None))
        guest.drop()
        self.assertEqual(shown(self.bob.hear()), ["-Pat (2)"])

    def test_an_account_with_a_page_has_its_address(self) -> None:
        """As it has its account name in the browser."""
        self.meeting.browser("Eve \U0001f40e", account="eve")
        [joined] = self.bob.hear()
        self.assertEqual((nick(joined), item(joined)["jid"]), ("Eve", "eve@localhost"))

    def test_a_nick_is_a_name(self) -> None:
        """Also when it changes."""
        self.bob.say(f"<presence to='{self.bob.room('Robert')}'/>")
        self.assertIn("Robert", self.page.names())
        self.assertNotIn("Bob", self.page.names())

    def test_a_room_that_is_made_while_a_page_is_open(self) -> None:
        """Whoever comes first by XMPP sees the pages that were there before."""
        other = Meeting()
        page = other.browser("Pat")
        bob = other.client("bob")
        bob.join()
        self.assertEqual(shown(bob.hear()), ["+Pat", "+Bob", "#"])
        page.drop()
        self.assertEqual(shown(bob.hear()), ["-Pat"])

    def test_a_room_removed_from_under_us(self) -> None:
        """An unknown room is refused, whatever is asked."""
        self.failureResultOf(self.meeting.store.room("999999999"), NotFound)
        eve = self.meeting.client("eve")
        eve.local = "nowhere"
        answer = eve.ask("get", f"<query xmlns='{NS_MUC_OWNER}'/>")
        self.assertEqual(error(answer), "item-not-found")
        self.assertEqual(answer.children[-1].ns, NS_CLIENT)

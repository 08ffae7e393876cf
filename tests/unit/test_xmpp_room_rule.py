"""Who decides what in a room: roles, standing, bans, configuration, its end."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.answers import NS_PING
from mosaic.services.xmpp.extras.disco import NS_DISCO_INFO, NS_DISCO_ITEMS
from mosaic.services.xmpp.rooms.names import (
    NS_CONFERENCE,
    NS_DATA,
    NS_MUC_ADMIN,
    NS_MUC_CONFIG,
    NS_MUC_OWNER,
    NS_MUC_USER,
)
from mosaic.store.interface import NotFound
from mosaic.wire.xmpp.stanza import NS_CLIENT
from mosaic.wire.xmpp.xml import Node, element, read_node
from mosaic.workspace.model import Role
from tests.support.muc import HOST, Meeting, XmppClient, codes, error, item, nick, shown


class RuleCase(SynchronousTestCase):
    """Ann owns the room; Bob and Cyd came by the PIN; Pat has a page."""

    def setUp(self) -> None:
        self.meeting = Meeting()
        self.ann = self.meeting.inside("ann")
        self.bob = self.meeting.inside("bob")
        self.cyd = self.meeting.inside("cyd")
        self.page = self.meeting.browser("Pat")
        self.quiet()

    def quiet(self) -> None:
        """Forget what was heard so far."""
        for client in (self.ann, self.bob, self.cyd):
            client.hear()

    def admin(self, who: XmppClient, reason: str = "", **wanted: str) -> Node:
        """A change of somebody's role or affiliation; the answer."""
        inside = [element("reason", None, reason)] if reason else []
        changed = element("item", wanted, *inside)
        return who.ask("set", element("query", None, changed, ns=NS_MUC_ADMIN))

    def list(self, who: XmppClient, **wanted: str) -> Any:
        """Addresses or nicks of a list, or the error."""
        query = element("query", None, element("item", wanted), ns=NS_MUC_ADMIN)
        answer = who.ask("get", query)
        if error(answer):
            return error(answer)
        found = answer.children[0].children
        return [c.attributes.get("nick") or c.attributes["jid"] for c in found]


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


class ConfigurationTests(RuleCase):
    """Section 10."""

    def submit(self, who: XmppClient, kind: str = "submit", **values: str) -> str:
        """A form; the error, if there is one."""
        fields = [
            element("field", {"var": var}, element("value", None, value))
            for var, value in {
                "FORM_TYPE": NS_MUC_CONFIG,
                **{f"muc#roomconfig_{k}": v for k, v in values.items()},
            }.items()
        ]
        form = element("x", {"type": kind}, *fields, ns=NS_DATA)
        answer = who.ask("set", element("query", None, form, ns=NS_MUC_OWNER))
        return error(answer)

    def room(self) -> Any:
        """As the store has it."""
        return self.meeting.value(self.meeting.store.room(self.meeting.hub_id))

    def test_the_form_shows_the_room(self) -> None:
        """To standing hosts alone."""
        query = f"<query xmlns='{NS_MUC_OWNER}'/>"
        self.assertEqual(error(self.bob.ask("get", query)), "forbidden")
        form = self.ann.ask("get", query).children[0].children[0]
        values = {
            c.attributes["var"]: c.children[0].text
            for c in form.children
            if c.name == "field"
        }
        self.assertEqual(values["muc#roomconfig_roomname"], "Blue")
        self.assertEqual(values["muc#roomconfig_roomsecret"], self.room().pin)
        self.assertEqual(values["muc#roomconfig_membersonly"], "0")

    def test_a_form_changes_the_room(self) -> None:
        """For all doors; 104 for those inside."""
        self.assertEqual(
            self.submit(
                self.ann,
                roomname="Red",
                roomsecret="123456",
                passwordprotectedroom="0",
                membersonly="1",
                moderatedroom="true",
            ),
            "",
        )
        room = self.room()
        self.assertEqual((room.name, room.pin), ("Red", "123456"))
        self.assertTrue(room.locked and room.moderated and not room.lobby)
        self.assertTrue(room.open_to_accounts)
        told = [node for node in self.bob.hear() if "104" in codes(node)]
        self.assertEqual(len(told), 1)
        rooms = [e["data"] for e in self.page.hear() if e["type"] == "room"]
        self.assertEqual((rooms[-1]["name"], rooms[-1]["locked"]), ("Red", True))

    def test_what_cannot_be(self) -> None:
        """Nothing of such a form is taken."""
        before = self.room()
        for values in (
            {"roomsecret": "secret"},
            {"roomname": ""},
            {"publicroom": "1"},
            {"maxusers": "7"},
            {"whois": "moderators"},
        ):
            said = self.submit(self.ann, **{"membersonly": "1", **values})
            self.assertEqual(said, "not-acceptable", values)
        self.assertEqual(self.submit(self.ann, membersonly="maybe"), "bad-request")
        self.assertEqual(self.submit(self.bob, membersonly="1"), "forbidden")
        self.assertEqual(self.submit(self.ann, "cancel", membersonly="1"), "")
        self.assertEqual(self.room(), before)

    def test_destroying_closes_the_room(self) -> None:
        """For all, with <destroy/>; its contents are kept."""
        destroy = f"<query xmlns='{NS_MUC_OWNER}'><destroy/></query>"
        self.assertEqual(error(self.bob.ask("set", destroy)), "forbidden")
        self.ann.ask("set", destroy)
        [gone] = self.bob.hear()
        x = gone.child(NS_MUC_USER, "x")
        assert x is not None
        self.assertIn("destroy", [child.name for child in x.children])
        self.assertEqual(item(gone)["affiliation"], "none")
        self.assertEqual(self.page.closed, (4423, "closed"))
        self.assertIsNotNone(self.room().closed_at)
        self.page.drop()
        self.assertEqual(self.meeting.rooms.live, {})
        self.assertEqual(len(self.meeting.store._tokens), 1)  # the page's


class PrivateTests(RuleCase):
    """Between two, and to those outside."""

    def to(self, who: XmppClient, target: str, inner: str, kind: str = "chat") -> None:
        """A message to a nick."""
        who.say(f"<message to='{who.room(target)}' type='{kind}'>{inner}</message>")

    def test_a_private_message(self) -> None:
        """For one alone, from the nick."""
        self.to(self.bob, "Cyd", "<body>psst</body>")
        [told] = self.cyd.hear()
        self.assertEqual(told.attributes["from"], f"blue@{HOST}/Bob")
        self.assertIsNotNone(told.child(NS_MUC_USER, "x"))
        self.assertEqual((self.ann.hear(), self.page.chat()), ([], []))
        self.to(self.bob, "Nobody", "<body>x</body>")
        self.to(self.bob, "Pat", "<body>x</body>")
        self.to(self.bob, "Cyd", "<body>x</body>", "groupchat")
        self.assertEqual(
            [error(node) for node in self.bob.hear()],
            ["item-not-found", "recipient-unavailable", "bad-request"],
        )

    def test_a_question_to_an_occupant(self) -> None:
        """Goes to their client, and its answer comes back."""
        self.bob.say(
            f"<iq type='get' id='v' to='{self.bob.room('Cyd')}'>"
            "<query xmlns='jabber:iq:version'/></iq>"
        )
        [asked] = self.cyd.hear()
        self.assertEqual(asked.attributes["from"], f"blue@{HOST}/Bob")
        self.cyd.say(f"<iq type='result' id='v' to='{self.cyd.room('Bob')}'/>")
        [answer] = self.bob.hear()
        self.assertEqual((nick(answer), answer.attributes["id"]), ("Cyd", "v"))

    def test_pings(self) -> None:
        """XEP-0410: am I still in there?"""
        ping = f"<ping xmlns='{NS_PING}'/>"
        self.assertEqual(error(self.bob.ask("get", ping, nick="Bob")), "")
        self.assertEqual(error(self.bob.ask("get", ping)), "")
        eve = self.meeting.client("eve")
        self.assertEqual(error(eve.ask("get", ping, nick="Eve")), "not-acceptable")

    def test_an_invitation(self) -> None:
        """From the room; a host's has the PIN in it, and declining goes back."""
        invite = (
            f"<x xmlns='{NS_MUC_USER}'><invite to='eve@localhost'>"
            "<reason>come</reason></invite></x>"
        )
        for who in (self.bob, self.ann):
            who.say(f"<message to='{who.room()}'>{invite}</message>")
        (first, sender, to), (second, _, _) = self.meeting.net.delivered
        self.assertEqual((str(sender), str(to)), (f"blue@{HOST}", "eve@localhost"))
        pins = []
        for stanza in (first, second):
            node = read_node(stanza)
            x = node.child(NS_MUC_USER, "x")
            assert x is not None
            self.assertEqual(x.children[0].children[0].text, "come")
            password = x.child(NS_MUC_USER, "password")
            pins.append(None if password is None else password.text)
            direct = node.child(NS_CONFERENCE, "x")
            assert direct is not None
            self.assertEqual(direct.attributes["jid"], f"blue@{HOST}")
        self.assertEqual(pins, [None, self.meeting.room.pin])
        eve = self.meeting.client("eve")
        eve.say(
            f"<message to='blue@{HOST}'><x xmlns='{NS_MUC_USER}'>"
            "<decline to='ann@localhost'><reason>busy</reason></decline></x></message>"
        )
        [declined] = self.ann.hear()
        x = declined.child(NS_MUC_USER, "x")
        assert x is not None
        self.assertEqual(x.children[0].attributes["from"], "eve@localhost")

    def test_a_voice_is_asked_for_and_given(self) -> None:
        """Hosts get a form, pages see a raised hand."""
        self.admin(self.ann, nick="Bob", role="visitor")
        self.quiet()
        request = (
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
            "<value>http://jabber.org/protocol/muc#request</value></field>"
            "<field var='muc#role'><value>participant</value></field>{}</x>"
        )
        self.bob.say(f"<message to='{self.bob.room()}'>{request.format('')}</message>")
        [asked] = self.ann.hear()
        self.assertEqual(asked.children[0].ns, NS_DATA)
        self.assertEqual(self.cyd.hear(), [])
        self.page.hear()
        hands = {p["name"]: p["hand"] for p in self.page.people.values()}
        self.assertTrue(hands["Bob"])
        granted = (
            "<field var='muc#roomnick'><value>Bob</value></field>"
            "<field var='muc#request_allow'><value>true</value></field>"
        )
        answer = f"<message to='{{}}'>{request.format(granted)}</message>"
        self.cyd.say(answer.format(self.cyd.room()))
        self.assertEqual(shown(self.cyd.hear()), ["!forbidden"])
        self.ann.say(answer.format(self.ann.room()))
        self.assertEqual(self.page.names()["Bob"], "editor")
        hands = {p["name"]: p["hand"] for p in self.page.people.values()}
        self.assertFalse(hands["Bob"])


class DiscoTests(RuleCase):
    """Section 6."""

    def info(self, who: XmppClient, local: str = "blue") -> Any:
        """Features and name, or the error."""
        who.local = local
        answer = who.ask("get", f"<query xmlns='{NS_DISCO_INFO}'/>")
        if error(answer):
            return error(answer)
        children = answer.children[0].children
        features = {c.attributes["var"] for c in children if c.name == "feature"}
        return features, children[0].attributes.get("name"), children[-1]

    def test_a_room(self) -> None:
        """Those inside learn its name and how many there are."""
        features, name, form = self.info(self.bob)
        self.assertEqual(name, "Blue")
        self.assertTrue(
            {"muc_open", "muc_passwordprotected", "urn:xmpp:mam:2"} < features
        )
        values = {
            c.attributes["var"]: c.children[0].text for c in form.children if c.children
        }
        self.assertEqual(values["muc#roominfo_occupants"], "4")

    def test_a_stranger_learns_nothing(self) -> None:
        """A Hub ID that exists answers as one that does not."""
        eve = self.meeting.client("eve")
        known, name, _ = self.info(eve, self.meeting.hub_id)
        self.assertIsNone(name)
        self.assertEqual(self.info(eve, "100000009")[0], known)
        self.assertEqual(self.info(eve, "no-such-room"), "item-not-found")

    def test_the_service_lists_what_one_may_see(self) -> None:
        """The owner's, a member's, all for an administrator."""
        seen = []
        for name in ("ann", "eve", "root"):
            client = self.meeting.client(name)
            client.say(
                f"<iq type='get' id='i' to='{HOST}'>"
                f"<query xmlns='{NS_DISCO_ITEMS}'/></iq>"
            )
            [answer] = client.hear()
            seen.append([c.attributes["jid"] for c in answer.children[0].children])
        self.assertEqual(seen, [[f"blue@{HOST}"], [], [f"blue@{HOST}"]])

    def test_what_is_not_offered(self) -> None:
        """Registration, among others."""
        answer = self.bob.ask("get", "<query xmlns='jabber:iq:register'/>")
        self.assertEqual(error(answer), "service-unavailable")
        client = self.meeting.client("eve")
        client.say(f"<iq type='get' id='i' to='{HOST}'><x xmlns='urn:x'/></iq>")
        self.assertEqual(error(client.hear()[0]), "service-unavailable")


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

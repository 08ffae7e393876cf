"""A room's configuration, what goes past the others, and what it says of itself."""

from __future__ import annotations

from typing import Any

from mosaic.services.xmpp.answers import NS_PING
from mosaic.services.xmpp.extras.disco import NS_DISCO_INFO, NS_DISCO_ITEMS
from mosaic.services.xmpp.rooms.names import (
    NS_CONFERENCE,
    NS_MUC_CONFIG,
    NS_MUC_OWNER,
    NS_MUC_USER,
)
from mosaic.wire.xmpp.forms import NS_FORM
from mosaic.wire.xmpp.xml import element, read_node
from tests.support.muc import HOST, XmppClient, codes, error, item, nick, shown
from tests.support.muc_rule import RuleCase


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
        form = element("x", {"type": kind}, *fields, ns=NS_FORM)
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
        self.assertEqual(asked.children[0].ns, NS_FORM)
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

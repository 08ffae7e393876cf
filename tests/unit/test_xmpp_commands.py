"""Commands (XEP-0050) and what administrators do with them (XEP-0133)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.extras.commands import MAX_SESSIONS, NS_COMMANDS, SESSION_S
from mosaic.services.xmpp.extras.forms import Field, Questions
from mosaic.wire.xmpp.forms import FormError
from mosaic.wire.xmpp.xml import Node, element
from tests.support.xmpp import MemoryClient, condition
from tests.support.xmpp_house import XmppCase

CLIENT = "jabber:client"
DATA = "jabber:x:data"
ADMIN = "http://jabber.org/protocol/admin"
INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"


def submitted(form_type: str, **fields: str | list[str]) -> str:
    """A form that was filled in."""
    return element(
        "x",
        {"type": "submit"},
        *(
            element(
                "field",
                {"var": var.replace("_", "-") if var != "FORM_TYPE" else var},
                *(
                    element("value", None, value)
                    for value in ([values] if isinstance(values, str) else values)
                ),
            )
            for var, values in {"FORM_TYPE": form_type, **fields}.items()
        ),
        ns=DATA,
    )


def found_in(command: Node) -> dict[str, list[str]]:
    """The fields of the form in an answer."""
    form = command.child(DATA, "x")
    assert form is not None, command
    return {
        field.attributes["var"]: [v.text for v in field.children if v.name == "value"]
        for field in form.children
        if field.name == "field"
    }


def value(text: str) -> Node:
    """A value of a field."""
    return Node(DATA, "value", {}, [], text)


QUESTIONS = Questions(
    "t",
    "Title",
    (
        Field("one", "text-single", "One", required=True),
        Field("many", "text-multi", "Many"),
        Field("who", "jid-multi", "Who"),
    ),
)


class FormTests(SynchronousTestCase):
    """XEP-0004, read strictly."""

    def node(self, *fields: tuple[str, list[str]], kind: str = "submit") -> Node:
        """A form."""
        children = [
            Node(
                DATA,
                "field",
                {"var": var},
                [Node(DATA, "value", {}, [], v) for v in vs],
            )
            for var, vs in fields
        ]
        return Node(DATA, "x", {"type": kind}, children)

    def test_what_fits(self) -> None:
        """Fields that were left out have no values; addresses are prepared."""
        form = self.node(("one", ["1"]), ("who", ["Ann@Localhost", ""]))
        self.assertEqual(
            QUESTIONS.read(form), {"one": ["1"], "many": [], "who": ["ann@localhost"]}
        )

    def test_what_does_not(self) -> None:
        """Each with a sentence."""
        one = ("one", ["1"])
        for form in (
            self.node(one, kind="form"),
            self.node(),
            self.node(("one", [])),
            self.node(("one", [""])),
            self.node(("one", ["1", "2"])),
            self.node(one, one),
            self.node(one, ("else", ["x"])),
            self.node(one, ("who", ["a@b@c"])),
            self.node(one, ("FORM_TYPE", ["other"])),
            self.node(one, ("many", ["x"] * 1001)),
            Node(DATA, "x", {"type": "submit"}, [Node(DATA, "reported", {})]),
            Node("u", "x", {"type": "submit"}),
        ):
            with self.assertRaises(FormError):
                QUESTIONS.read(form)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["one", "many", "who", "FORM_TYPE", "else"]),
                st.lists(st.text(max_size=5), max_size=3),
            ),
            max_size=5,
        )
    )
    def test_any_form_is_read_or_refused(
        self, fields: list[tuple[str, list[str]]]
    ) -> None:
        """With every question answered, or FormError."""
        try:
            answers = QUESTIONS.read(self.node(*fields))
        except FormError:
            return
        self.assertEqual(set(answers), {"one", "many", "who"})
        self.assertEqual(len(answers["one"]), 1)


class CommandCase(XmppCase):
    """ann administers."""

    def run_command(
        self,
        node: str,
        form: str = "",
        *,
        client: MemoryClient | None = None,
        to: str = "localhost",
        **attributes: str,
    ) -> Node:
        """The answer to one step."""
        sent = element(
            "command",
            {"node": node, **attributes},
            *([form] if form else []),
            ns=NS_COMMANDS,
        )
        return self.ask(client or self.ann, sent, to, kind="set")

    def begin(self, node: str) -> str:
        """The session of a command that asks."""
        [command] = self.run_command(node, action="execute").children
        self.assertEqual(command.attributes["status"], "executing")
        return command.attributes["sessionid"]

    def do(self, node: str, **fields: str | list[str]) -> Node:
        """Run a command of XEP-0133 to its end; the answer's child or the IQ."""
        session = self.begin(f"{ADMIN}#{node}")
        form = submitted(ADMIN, **fields)
        answer = self.run_command(f"{ADMIN}#{node}", form, sessionid=session)
        if answer.attributes["type"] == "error":
            return answer
        [command] = answer.children
        self.assertEqual(command.attributes["status"], "completed")
        return command

    def note(self, command: Node) -> tuple[str, str]:
        """Type and text."""
        told = command.child(NS_COMMANDS, "note")
        assert told is not None
        return told.attributes["type"], told.text

    def accounts(self) -> list[str]:
        """All of them."""
        return [one.name for one in self.run_steps(self.store.accounts())]


class SessionTests(CommandCase):
    """Stages, sessions and errors."""

    NODE = f"{ADMIN}#add-user"

    def refused(self, answer: Node, what: str, why: str) -> None:
        """Both conditions are there."""
        error = answer.child(CLIENT, "error")
        assert error is not None, answer
        self.assertEqual(condition(answer), why)
        self.assertIn((NS_COMMANDS, what), [(n.ns, n.name) for n in error.children])

    def test_others_see_and_run_nothing(self) -> None:
        """Not even which commands there are."""
        for to in ("localhost", "mosaic.localhost"):
            query = f"<query xmlns='{ITEMS}' node='{NS_COMMANDS}'/>"
            self.assertEqual(self.result(self.bob, query, to).children, [])
            for ns in (INFO, ITEMS):
                query = f"<query xmlns='{ns}' node='{self.NODE}'/>"
                answer = self.ask(self.bob, query, to)
                self.assertEqual(condition(answer), "item-not-found")
            for node in (self.NODE, "nonsense"):
                answer = self.run_command(node, client=self.bob, to=to)
                self.assertEqual(condition(answer), "forbidden")

    def test_administrators_find_them(self) -> None:
        """Section 2, at the domain and at Mosaic's own component."""
        for to in ("localhost", "mosaic.localhost"):
            query = f"<query xmlns='{ITEMS}' node='{NS_COMMANDS}'/>"
            items = self.result(self.ann, query, to).children
            self.assertIn(self.NODE, [item.attributes["node"] for item in items])
            self.assertEqual({item.attributes["jid"] for item in items}, {to})
            self.assertNotIn("shutdown", " ".join(i.attributes["node"] for i in items))
            for item in items:
                query = f"<query xmlns='{INFO}' node='{item.attributes['node']}'/>"
                identity = self.result(self.ann, query, to).children[0]
                self.assertEqual(identity.attributes["type"], "command-node")
                query = f"<query xmlns='{ITEMS}' node='{item.attributes['node']}'/>"
                self.assertEqual(self.result(self.ann, query, to).children, [])

    def test_the_form_is_asked_first(self) -> None:
        """Section 3.4."""
        [command] = self.run_command(self.NODE).children
        [actions, form] = command.children
        self.assertEqual(actions.attributes, {"execute": "complete"})
        self.assertEqual([n.name for n in actions.children], ["complete"])
        asked = [n.attributes["var"] for n in form.children if n.name == "field"]
        expected = ["FORM_TYPE", "accountjid", "password", "password-verify"]
        self.assertEqual(asked, expected)

    def test_cancel(self) -> None:
        """And then the session is gone."""
        session = self.begin(self.NODE)
        answer = self.run_command(self.NODE, sessionid=session, action="cancel")
        self.assertEqual(answer.children[0].attributes["status"], "canceled")
        answer = self.run_command(self.NODE, sessionid=session, action="cancel")
        self.refused(answer, "bad-sessionid", "bad-request")

    def test_sessions_belong_to_one_client_and_command(self) -> None:
        """Nobody goes on with another's."""
        session = self.begin(self.NODE)
        other = self.client("ann", "other")
        answer = self.run_command(self.NODE, client=other, sessionid=session)
        self.refused(answer, "bad-sessionid", "bad-request")
        answer = self.run_command(f"{ADMIN}#announce", sessionid=session)
        self.refused(answer, "bad-sessionid", "bad-request")

    def test_wrong_steps(self) -> None:
        """Section 4.4."""
        session = self.begin(self.NODE)
        steps: tuple[tuple[dict[str, Any], str, str], ...] = (
            ({"action": "dance"}, "malformed-action", "bad-request"),
            ({"action": "complete"}, "bad-action", "bad-request"),
            ({"action": "prev", "sessionid": session}, "bad-action", "bad-request"),
            ({"sessionid": session}, "bad-payload", "bad-request"),
            ({"sessionid": "x"}, "bad-sessionid", "bad-request"),
        )
        for attributes, what, why in steps:
            answer = self.run_command(self.NODE, **attributes)
            self.refused(answer, what, why)
        self.assertEqual(condition(self.run_command("x")), "item-not-found")

    def test_sessions_end(self) -> None:
        """After ten minutes, and when there are too many."""
        session = self.begin(self.NODE)
        self.wall += SESSION_S
        answer = self.run_command(self.NODE, sessionid=session, action="cancel")
        self.refused(answer, "session-expired", "not-allowed")
        first = self.begin(self.NODE)
        for _ in range(MAX_SESSIONS):
            self.begin(self.NODE)
        answer = self.run_command(self.NODE, sessionid=first, action="cancel")
        self.refused(answer, "bad-sessionid", "bad-request")

    def test_whoever_is_no_administrator_any_more_stops(self) -> None:
        """Looked up at each step."""
        session = self.begin(self.NODE)
        self.store._accounts["ann"] = self.store._accounts["bob"]
        answer = self.run_command(self.NODE, sessionid=session, action="cancel")
        self.assertEqual(condition(answer), "forbidden")

    def test_a_mistake_can_be_corrected(self) -> None:
        """The session goes on, and adds once."""
        session = self.begin(self.NODE)
        for password in ("short", "long enough"):
            form = submitted(
                ADMIN,
                accountjid="dan@localhost",
                password=password,
                password_verify=password,
            )
            answer = self.run_command(self.NODE, form, sessionid=session)
        self.assertEqual(answer.attributes["type"], "result")
        answer = self.run_command(self.NODE, form, sessionid=session)
        self.refused(answer, "bad-sessionid", "bad-request")


class AdministrationTests(CommandCase):
    """XEP-0133, by the rules of the house."""

    def test_add_and_log_in(self) -> None:
        """Section 4.1: names are kept as everywhere."""
        command = self.do(
            "add-user",
            accountjid="Dan@localhost",
            password="correct horse",
            password_verify="correct horse",
        )
        self.assertEqual(self.note(command), ("info", "dan was added"))
        client = self.house.connect()
        client.start()
        self.assertEqual(client.auth("dan", "correct horse").name, "success")
        self.assertFalse(self.run_steps(self.store.account("dan")).admin)

    def test_what_cannot_be_added(self) -> None:
        """With the sentences of the house."""
        for jid, password, again, why in (
            ("bob@localhost", "long enough", "long enough", "conflict"),
            ("dan@localhost", "short", "short", "not-acceptable"),
            ("dan@localhost", "long enough", "otherwise", "not-acceptable"),
            ("dan@elsewhere", "long enough", "long enough", "not-acceptable"),
            ("localhost", "long enough", "long enough", "not-acceptable"),
            ("dan@localhost/r", "long enough", "long enough", "not-acceptable"),
            ("d!n@localhost", "long enough", "long enough", "not-acceptable"),
            ("dan@localhost", "", "", "bad-request"),
            ("a@b@c", "long enough", "long enough", "bad-request"),
        ):
            answer = self.do(
                "add-user", accountjid=jid, password=password, password_verify=again
            )
            self.assertEqual(condition(answer), why, jid)
        self.assertEqual(self.accounts(), ["ann", "bob", "eve"])

    def test_delete(self) -> None:
        """Section 4.2: sessions end, unknown names stop it before it begins."""
        answer = self.do("delete-user", accountjids=["bob@localhost", "x@localhost"])
        self.assertEqual(condition(answer), "item-not-found")
        self.assertEqual(self.accounts(), ["ann", "bob", "eve"])
        command = self.do(
            "delete-user",
            accountjids=["bob@localhost", "eve@localhost", "bob@localhost"],
        )
        self.assertEqual(self.note(command), ("info", "removed: bob, eve"))
        self.assertEqual(self.accounts(), ["ann"])
        self.house.clock.advance(0)
        self.assertFalse(self.bob.open)

    def test_the_last_administrator_stays(self) -> None:
        """As over REST."""
        command = self.do("delete-user", accountjids=["bob@localhost", "ann@localhost"])
        kind, text = self.note(command)
        self.assertEqual(kind, "error")
        self.assertIn("last administrator", text)
        self.assertIn("removed before: bob", text)
        self.assertEqual(self.accounts(), ["ann", "eve"])

    def test_change_password(self) -> None:
        """Section 4.6: the old one is of no use any more."""
        self.do(
            "change-user-password",
            accountjid="bob@localhost",
            password="battery staple",
        )
        for password, expected in (
            ("hidden", "failure"),
            ("battery staple", "success"),
        ):
            client = self.house.connect()
            client.start()
            self.assertEqual(client.auth("bob", password).name, expected)
        answer = self.do(
            "change-user-password",
            accountjid="x@localhost",
            password="battery staple",
        )
        self.assertEqual(condition(answer), "item-not-found")

    def test_end_sessions(self) -> None:
        """Section 4.5: all of an account, or one."""
        phone = self.client("bob", "phone")
        command = self.do("end-user-session", accountjids=["bob@localhost/phone"])
        self.assertEqual(self.note(command), ("info", "sessions ended: 1"))
        self.assertEqual((phone.open, self.bob.open), (False, True))
        self.do("end-user-session", accountjids=["bob@localhost", "x@localhost"])
        self.assertFalse(self.bob.open)

    def listed(self, node: str, var: str) -> list[str]:
        """What a command without questions found."""
        [command] = self.run_command(node).children
        self.assertEqual(command.attributes["status"], "completed")
        return found_in(command)[var]

    def test_lists_and_numbers(self) -> None:
        """Sections 4.14 to 4.21."""
        for node, var, expected in (
            (
                "get-registered-users-list",
                "registereduserjids",
                ["ann@localhost", "bob@localhost", "eve@localhost"],
            ),
            ("get-registered-users-num", "registeredusersnum", ["3"]),
            (
                "get-online-users-list",
                "onlineuserjids",
                ["ann@localhost/a", "bob@localhost/b"],
            ),
            ("get-online-users-num", "onlineusersnum", ["2"]),
        ):
            self.assertEqual(self.listed(f"{ADMIN}#{node}", var), expected)
        self.wall += 9
        for var, expected in (
            ("uptime_s", ["9"]),
            ("sessions", ["2"]),
            ("rooms", ["0"]),
        ):
            self.assertEqual(self.listed("mosaic#statistics", var), expected)

    def test_announce(self) -> None:
        """Section 4.23: to everybody who is online."""
        self.do("announce", subject="Down", announcement=["At five", "for an hour"])
        [message] = [n for n in self.bob.receive() if n.name == "message"]
        self.assertEqual(message.attributes["from"], "localhost")
        self.assertEqual(message.attributes["type"], "headline")
        told = {child.name: child.text for child in message.children}
        self.assertEqual(told, {"subject": "Down", "body": "At five\nfor an hour"})

    def test_create_a_room(self) -> None:
        """It is the administrator's own."""
        node = "mosaic#create-room"
        session = self.begin(node)
        form = submitted("urn:mosaic:admin", name="Blue", alias="blue")
        [command] = self.run_command(node, form, sessionid=session).children
        room = self.run_steps(self.store.room_by_alias("blue"))
        found = found_in(command)
        self.assertEqual(found["hub_id"], [room.hub_id])
        self.assertEqual((room.name, room.owner), ("Blue", "ann"))
        session = self.begin(node)
        answer = self.run_command(node, form, sessionid=session)
        self.assertEqual(condition(answer), "conflict")

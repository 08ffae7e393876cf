"""What is said in rooms: kept once, told in order, read again."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.history import read_stamp, read_wanted
from mosaic.services.xmpp.rooms.names import (
    NS_DELAY,
    NS_FORWARD,
    NS_MAM,
    NS_MODERATE,
    NS_RETRACT,
    NS_RSM,
    NS_SID,
)
from mosaic.services.xmpp.rooms.render import stamp
from mosaic.wire.xmpp.stanza import NS_CLIENT
from mosaic.wire.xmpp.xml import Node
from mosaic.workspace.model import Role
from tests.support.muc import HOST, Meeting, XmppClient, body, error, nick, shown

RETRACT = "<retract xmlns='urn:xmpp:message-retract:1' id='{}'/>"
REPLACE = "<replace xmlns='urn:xmpp:message-correct:0' id='{}'/>"


def room_id(node: Node) -> str:
    """The number that the room gave a message (XEP-0359)."""
    found = [c for c in node.children if (c.ns, c.name) == (NS_SID, "stanza-id")]
    assert len(found) == 1, found
    assert found[0].attributes["by"].endswith(f"@{HOST}")
    return found[0].attributes["id"]


class ChatCase(SynchronousTestCase):
    """Two clients and a page."""

    def setUp(self) -> None:
        self.meeting = Meeting()
        self.ann, self.bob = self.meeting.inside("ann"), self.meeting.inside("bob")
        self.page = self.meeting.browser("Pat")
        self.ann.hear()
        self.bob.hear()


class SpeechTests(ChatCase):
    """Groupchat messages."""

    def test_everybody_hears_it_with_its_number(self) -> None:
        """The author too, and the page."""
        self.bob.write("hi <&> you", ident="m1")
        for client in (self.ann, self.bob):
            [message] = client.hear()
            self.assertEqual((nick(message), body(message)), ("Bob", "hi <&> you"))
            self.assertEqual(message.attributes["id"], "m1")
            self.assertEqual(room_id(message), "1")
        self.assertEqual(self.page.chat(), ["hi <&> you"])

    def test_what_the_page_says_is_heard(self) -> None:
        """With its message_id as id, from the nick of the page's person."""
        self.page.write("from the page", "pm-1")
        [message] = self.bob.hear()
        self.assertEqual((nick(message), body(message)), ("Pat", "from the page"))
        self.assertEqual(message.attributes["id"], "pm-1")
        self.assertEqual(message.attributes["type"], "groupchat")
        self.assertEqual(self.page.chat(), ["from the page"])

    def test_one_order_for_all(self) -> None:
        """Whoever says it."""
        self.bob.write("1")
        self.page.write("2")
        self.ann.write("3")
        self.page.write("4")
        self.assertEqual([body(m) for m in self.bob.hear()], ["1", "2", "3", "4"])
        self.assertEqual(self.page.chat(), ["1", "2", "3", "4"])

    def test_payloads_pass_and_what_is_the_rooms_does_not(self) -> None:
        """A client cannot say who it is or what number its message has."""
        self.bob.write(
            "hi",
            more="<x xmlns='urn:other'/>"
            f"<stanza-id xmlns='{NS_SID}' by='blue@{HOST}' id='666'/>"
            "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>"
            f"<delay xmlns='{NS_DELAY}' stamp='2000-01-01T00:00:00Z'/>",
        )
        [message] = self.ann.hear()
        names = [child.name for child in message.children]
        self.assertEqual(names, ["body", "x", "stanza-id", "occupant-id"])
        self.assertEqual(room_id(message), "1")

    def test_what_is_more_than_a_text_stays_whole(self) -> None:
        """Now and in the archive: languages, long ids."""
        ident = "i" * 200
        self.bob.say(
            f"<message to='{self.bob.room()}' type='groupchat' id='{ident}'>"
            "<body xml:lang='de'>hallo</body></message>"
        )
        [message] = self.ann.hear()
        self.assertEqual(message.attributes["id"], ident)
        self.bob.hear()
        self.bob.ask("set", f"<query xmlns='{NS_MAM}'/>")
        self.assertIn(b"xml:lang='de'", b"".join(self.bob.raw))

    def test_the_same_again_is_no_second_line(self) -> None:
        """After a cut a client sends it again; it alone hears it again."""
        origin = f"<origin-id xmlns='{NS_SID}' id='o1'/>"
        self.bob.write("once", ident="a", more=origin)
        self.bob.hear()
        self.ann.hear()
        self.bob.leave()
        self.bob.join("Bobby")
        self.bob.hear()
        self.ann.hear()
        self.bob.write("once", ident="b", more=origin)
        [again] = self.bob.hear()
        self.assertEqual((body(again), room_id(again)), ("once", "1"))
        self.assertEqual(self.ann.hear(), [])
        self.assertEqual(self.page.chat(), ["once"])

    def test_ids_that_begin_anew_are_not_taken_for_repetitions(self) -> None:
        """Many clients count from one after each start: nothing may be lost."""
        self.bob.write("first", ident="1")
        self.bob.leave()
        self.bob.join()
        self.bob.write("second", ident="1")
        self.assertEqual(self.page.chat(), ["first", "second"])

    def test_a_line_is_at_most_4000_characters(self) -> None:
        """At both doors."""
        self.bob.write("x" * 4000)
        self.bob.write("x" * 4001)
        self.page.write("x" * 4001)
        first, second = self.bob.hear()
        self.assertEqual(len(body(first) or ""), 4000)
        self.assertEqual(error(second), "policy-violation")
        self.assertEqual(len(self.page.chat()), 1)
        self.assertEqual(self.page.errors[0]["code"], 4400)

    def test_viewers_write_unless_the_room_is_moderated(self) -> None:
        """The same at both doors."""
        muc = self.meeting.rooms.live[self.meeting.hub_id]
        occupant = muc.people.by_nick["Bob"]
        self.meeting.run(
            self.meeting.door.admit(self.meeting.hub_id, occupant.id, Role.VIEWER)
        )
        self.meeting.settle()
        self.bob.write("may I")
        self.meeting.change(moderated=True)
        self.bob.hear()
        self.bob.write("and now")
        self.assertEqual(shown(self.bob.hear()), ["!forbidden"])
        self.assertEqual(self.page.chat(), ["may I"])

    def test_what_has_no_text_passes(self) -> None:
        """Chat states and markers go to XMPP alone and are not kept."""
        self.bob.say(
            f"<message to='{self.bob.room()}' type='groupchat'>"
            "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
        )
        [told] = self.ann.hear()
        self.assertEqual([c.name for c in told.children], ["composing", "occupant-id"])
        last = self.meeting.store.last_seq(self.meeting.hub_id)
        self.assertEqual(self.meeting.value(last), 0)
        self.assertEqual(self.page.chat(), [])

    def test_reactions_are_kept_and_hints_are_honoured(self) -> None:
        """XEP-0444, and XEP-0334 for what is no line."""
        reactions = "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>"
        start = f"<message to='{self.bob.room()}' type='groupchat'>"
        no_store = "<no-store xmlns='urn:xmpp:hints'/>"
        for inner in (
            reactions,
            reactions + no_store,
            "<y xmlns='urn:y'/><store xmlns='urn:xmpp:hints'/>",
            "<y xmlns='urn:y'/>",
        ):
            self.bob.say(start + inner + "</message>")
        kept = [
            any(child.name == "stanza-id" for child in message.children)
            for message in self.ann.hear()
        ]
        self.assertEqual(kept, [True, False, True, False])
        self.assertEqual(self.page.chat(), [])

    def test_a_number_that_was_missed_is_read_from_the_store(self) -> None:
        """The bus is a hint (another node's word may be lost)."""
        add = self.meeting.store.add_message
        add(
            self.meeting.hub_id,
            message_id="lost",
            author_id="x",
            author="Xi",
            text="lost",
            at=1.0,
        )
        self.bob.write("next")
        self.assertEqual(shown(self.ann.hear()), ["Xi: lost", "Bob: next"])

    def test_the_subject(self) -> None:
        """Section 8.1: told to all and to those who come later."""
        self.bob.say(
            f"<message to='{self.bob.room()}' type='groupchat'>"
            "<subject>Plans</subject></message>"
        )
        [told] = self.ann.hear()
        self.assertEqual((shown([told]), nick(told)), (["#Plans"], "Bob"))
        cyd = self.meeting.client("cyd")
        cyd.join()
        self.assertEqual(shown(cyd.hear())[-1], "#Plans")
        self.assertEqual(self.page.chat(), [])


class ChangedLineTests(ChatCase):
    """Corrections and retractions."""

    def test_a_correction(self) -> None:
        """XMPP gets the stanza, the page the line as it reads now."""
        self.bob.write("helo", ident="m1")
        self.bob.write("hello", ident="m2", more=REPLACE.format("m1"))
        texts = [body(m) for m in self.ann.hear()]
        self.assertEqual(texts, ["helo", "hello"])
        self.assertEqual(self.page.chat(), ["hello"])
        [line] = self.page.lines.values()
        self.assertIn("edited_at", line)

    def test_nobody_corrects_anothers_line(self) -> None:
        """It is a line of its own then."""
        self.bob.write("mine", ident="m1")
        self.ann.write("forged", ident="m2", more=REPLACE.format("m1"))
        self.assertEqual(self.page.chat(), ["mine", "forged"])

    def test_ones_own_line_is_taken_back(self) -> None:
        """XEP-0424: a tombstone for all, and nothing left in the archive."""
        self.bob.write("oops", ident="m1", more="<x xmlns='urn:oops'/>")
        [said] = self.ann.hear()
        self.bob.write("took it back", ident="m2", more=RETRACT.format(room_id(said)))
        [told] = self.ann.hear()
        self.assertIsNotNone(told.child(NS_RETRACT, "retract"))
        self.assertEqual(self.page.chat(), [""])
        cyd = self.meeting.client("cyd")
        cyd.join(history="")
        text = b"".join(cyd.raw)
        self.assertNotIn(b"oops", text)

    def test_nobody_takes_back_anothers_line(self) -> None:
        """But a host, in the room's name (XEP-0425), whatever door it came by."""
        self.page.write("rude")
        [said] = self.bob.hear()
        ident = room_id(said)
        self.bob.write("fallback", more=RETRACT.format(ident))
        self.assertEqual(shown(self.bob.hear()), ["!forbidden"])
        moderate = (
            f"<moderate xmlns='{NS_MODERATE}' id='{ident}'>"
            f"<retract xmlns='{NS_RETRACT}'/><reason>be kind</reason></moderate>"
        )
        self.assertEqual(error(self.bob.ask("set", moderate)), "forbidden")
        self.assertEqual(self.ann.ask("set", moderate).attributes["type"], "result")
        [told] = self.bob.hear()
        self.assertEqual(told.attributes["from"], f"blue@{HOST}")
        retract = told.child(NS_RETRACT, "retract")
        assert retract is not None
        self.assertEqual(retract.attributes["id"], ident)
        moderated = retract.child(NS_MODERATE, "moderated")
        assert moderated is not None
        self.assertEqual(moderated.attributes["by"], f"blue@{HOST}/Ann")
        self.assertEqual(self.page.chat(), [""])
        self.assertEqual(error(self.ann.ask("set", moderate)), "item-not-found")


class HistoryTests(ChatCase):
    """Section 7.2.13."""

    def come(self, history: str) -> list[str]:
        """Join anew; the lines that come as history."""
        cyd = self.meeting.client("cyd")
        cyd.join(history=history)
        found = [m for m in cyd.hear() if m.name == "message" and body(m) is not None]
        for message in found:
            self.assertIsNotNone(message.child(NS_DELAY, "delay"))
            room_id(message)
        cyd.leave()
        return [body(m) or "" for m in found]

    def test_limits(self) -> None:
        """Each alone, and what is not said is twenty."""
        for number in range(25):
            (self.page if number % 2 else self.bob).write(str(number))
            self.meeting.clock.advance(10)
        texts = [str(number) for number in range(25)]
        self.assertEqual(self.come(""), texts[5:])
        self.assertEqual(self.come("<history maxstanzas='0'/>"), [])
        self.assertEqual(self.come("<history maxstanzas='2'/>"), texts[-2:])
        self.assertEqual(self.come("<history maxchars='0'/>"), [])
        self.assertEqual(self.come("<history seconds='25'/>"), texts[-2:])
        since = stamp(self.meeting.house.wall() - 35)
        self.assertEqual(self.come(f"<history since='{since}'/>"), texts[-3:])
        few = self.come("<history maxchars='200'/>")
        self.assertTrue(0 < len(few) < 5, few)
        self.assertEqual(few, texts[-len(few) :])

    def test_nonsense_is_refused(self) -> None:
        """Not taken for no limit."""
        cyd = self.meeting.client("cyd")
        cyd.join(history="<history since='yesterday'/>")
        cyd.join(history="<history maxstanzas='-1'/>")
        self.assertEqual([error(n) for n in cyd.hear()], ["bad-request"] * 2)

    @given(
        st.dictionaries(st.sampled_from(["since", "seconds", "maxchars"]), st.text())
    )
    def test_any_history_is_a_limit_or_refused(self, said: dict[str, str]) -> None:
        """Never an exception of another kind."""
        try:
            wanted = read_wanted(Node(NS_CLIENT, "history", said))
        except Undeliverable:
            return
        self.assertTrue(0 <= wanted.max_stanzas <= 500)

    @given(st.floats(0, 4e9))
    def test_times_come_back(self, at: float) -> None:
        """To the millisecond."""
        self.assertLess(abs(read_stamp(stamp(at)) - at), 0.002)


class ArchiveTests(ChatCase):
    """XEP-0313."""

    def query(self, client: XmppClient, inner: str = "", rsm: str = "") -> Any:
        """Numbers and bodies of a page, and the fin."""
        rsm = f"<set xmlns='{NS_RSM}'>{rsm}</set>" if rsm else ""
        answer = client.ask(
            "set", f"<query xmlns='{NS_MAM}' queryid='f'>{inner}{rsm}</query>"
        )
        found = []
        for message in client.hear():
            result = message.child(NS_MAM, "result")
            if result is None:
                continue
            self.assertEqual(result.attributes["queryid"], "f")
            forwarded = result.child(NS_FORWARD, "forwarded")
            assert forwarded is not None
            said = forwarded.child(NS_CLIENT, "message")
            assert said is not None
            found.append((int(result.attributes["id"]), nick(said), body(said)))
        return found, answer

    def fin(self, answer: Node) -> tuple[str | None, dict[str, str]]:
        """Whether it is complete, and the set."""
        fin = answer.child(NS_MAM, "fin")
        assert fin is not None, (answer, error(answer))
        page = fin.child(NS_RSM, "set")
        assert page is not None
        return fin.attributes.get("complete"), {c.name: c.text for c in page.children}

    def fill(self, count: int) -> None:
        """Lines from both doors."""
        for number in range(1, count + 1):
            (self.page if number % 2 else self.bob).write(str(number))
        self.ann.hear()
        self.bob.hear()

    def test_pages_forwards_and_backwards(self) -> None:
        """Every entry once, whichever way."""
        self.fill(7)
        found, answer = self.query(self.bob, rsm="<max>3</max>")
        self.assertEqual(found, [(1, "Pat", "1"), (2, "Bob", "2"), (3, "Pat", "3")])
        self.assertEqual(self.fin(answer), (None, {"first": "1", "last": "3"}))
        found, answer = self.query(self.bob, rsm="<max>5</max><after>3</after>")
        self.assertEqual([n for n, _, _ in found], [4, 5, 6, 7])
        self.assertEqual(self.fin(answer)[0], "true")
        found, answer = self.query(self.bob, rsm="<max>2</max><before/>")
        self.assertEqual([n for n, _, _ in found], [6, 7])
        self.assertIsNone(self.fin(answer)[0])
        found, _ = self.query(
            self.bob, "<flip-page/>", "<max>2</max><before>6</before>"
        )
        self.assertEqual([n for n, _, _ in found], [5, 4])
        found, answer = self.query(self.bob, rsm="<max>0</max>")
        self.assertEqual((found, self.fin(answer)[1]), ([], {"count": "7"}))

    def test_filters(self) -> None:
        """By time, by ids, and what we do not have is refused."""
        self.fill(3)
        form = (
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
            f"<value>{NS_MAM}</value></field><field var='{{}}'>"
            "<value>{}</value></field></x>"
        )
        later = stamp(self.meeting.house.wall() + 1)
        self.assertEqual(self.query(self.bob, form.format("start", later))[0], [])
        self.assertEqual(len(self.query(self.bob, form.format("end", later))[0]), 3)
        found, _ = self.query(self.bob, form.format("ids", "2"))
        self.assertEqual([n for n, _, _ in found], [2])
        found, _ = self.query(self.bob, form.format("after-id", "2"))
        self.assertEqual([n for n, _, _ in found], [3])
        for var, value, condition in (
            ("with", "a@b", "feature-not-implemented"),
            ("ids", "99", "item-not-found"),
            ("start", "now", "bad-request"),
        ):
            self.assertEqual(
                error(self.query(self.bob, form.format(var, value))[1]), condition
            )
        unknown = self.query(self.bob, rsm="<after>99</after>")[1]
        self.assertEqual(error(unknown), "item-not-found")

    def test_who_may_read(self) -> None:
        """Those inside and members; nobody else."""
        self.fill(1)
        eve = self.meeting.client("eve")
        self.assertEqual(error(self.query(eve)[1]), "forbidden")
        self.meeting.store.set_member(self.meeting.hub_id, "eve", Role.VIEWER)
        self.assertEqual(len(self.query(eve)[0]), 1)

    def test_a_line_that_was_taken_back_is_a_tombstone(self) -> None:
        """XEP-0424 section 6."""
        self.bob.write("oops", ident="m1")
        [said] = self.bob.hear()
        self.bob.write("x", more=RETRACT.format(room_id(said)))
        self.bob.hear()
        self.bob.ask("set", f"<query xmlns='{NS_MAM}'/>")
        text = b"".join(self.bob.raw)
        self.assertIn(b"<retracted", text)
        self.assertNotIn(b"oops", text)

    def test_metadata_and_fields(self) -> None:
        """What there is."""
        self.fill(2)
        answer = self.bob.ask("get", f"<metadata xmlns='{NS_MAM}'/>")
        ends = {c.name: c.attributes["id"] for c in answer.children[0].children}
        self.assertEqual(ends, {"start": "1", "end": "2"})
        answer = self.bob.ask("get", f"<query xmlns='{NS_MAM}'/>")
        fields = [
            c.attributes.get("var") for c in answer.children[0].children[0].children
        ]
        self.assertIn("after-id", fields)

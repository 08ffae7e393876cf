"""An account reads its archive (XEP-0313), in pages (XEP-0059)."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.people import archive
from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import MemoryClient, MemoryXmpp, condition

MAM = "urn:xmpp:mam:2"
RSM = "http://jabber.org/protocol/rsm"
FORM = "jabber:x:data"
FORWARD = "urn:xmpp:forward:0"


def query(*, page: str = "", query_id: str = "", flip: bool = False, **of: str) -> str:
    """A query; the fields are named with _ for -. Many values: with commas."""
    fields = "".join(
        f"<field var='{name.rstrip('_').replace('_', '-')}'>"
        + "".join(f"<value>{value}</value>" for value in values.split(","))
        + "</field>"
        for name, values in of.items()
    )
    form = (
        f"<x xmlns='{FORM}' type='submit'><field var='FORM_TYPE' type='hidden'>"
        f"<value>{MAM}</value></field>{fields}</x>"
    )
    attribute = f" queryid='{query_id}'" if query_id else ""
    pages = f"<set xmlns='{RSM}'>{page}</set>" if page else ""
    flipped = "<flip-page/>" if flip else ""
    return (
        f"<iq type='set' id='q'><query xmlns='{MAM}'{attribute}>{form}{pages}{flipped}"
        "</query></iq>"
    )


class Base(SynchronousTestCase):
    """Five messages, a minute apart."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()
        self.ann = self.house.client("ann", "a")
        self.bob = self.house.client("bob", "b")
        for client, to, body in (
            (self.ann, "bob@localhost/b", "1"),
            (self.bob, "ann@localhost", "2"),
            (self.ann, "eve@localhost", "3"),
            (self.ann, "bob@localhost/b", "4"),
            (self.bob, "ann@localhost/a", "5"),
        ):
            client.send(f"<message to='{to}' type='chat'><body>{body}</body></message>")
            self.house.clock.advance(60)
        self.ann.receive()
        self.bob.receive()

    def ask(
        self, sent: str, client: MemoryClient | None = None
    ) -> tuple[list[Node], Node]:
        """The results and the <fin/>, or the error."""
        *results, answer = (client or self.ann).send(sent)
        found = []
        for node in results:
            result = node.child(MAM, "result")
            assert result is not None
            found.append(result)
        return found, answer

    def bodies(self, sent: str, client: MemoryClient | None = None) -> str:
        """What the messages of a page say."""
        results, answer = self.ask(sent, client)
        self.assertEqual(answer.attributes["type"], "result")
        return "".join(self.message(result).children[0].text for result in results)

    def message(self, result: Node) -> Node:
        """The stanza in a result."""
        [forwarded] = result.children
        self.assertEqual((forwarded.ns, forwarded.name), (FORWARD, "forwarded"))
        return forwarded.children[1]

    def refused(self, sent: str) -> str:
        """The condition."""
        results, answer = self.ask(sent)
        self.assertEqual(results, [])
        return condition(answer)

    def ids(self) -> list[str]:
        """Of ann's messages."""
        return [result.attributes["id"] for result in self.ask(query())[0]]


class QueryTests(Base):
    """Section 4."""

    def test_a_message_as_it_was(self) -> None:
        """With its addresses, its moment and the id that its receiver saw."""
        results, answer = self.ask(query(query_id="f27"))
        self.assertEqual(len(results), 5)
        first = results[0]
        self.assertEqual(first.attributes["queryid"], "f27")
        delay, message = first.children[0].children
        self.assertEqual(delay.attributes["stamp"][:19], "2026-09-21T14:13:20")
        self.assertEqual(
            message.attributes,
            {"from": "ann@localhost/a", "to": "bob@localhost/b", "type": "chat"},
        )
        self.assertEqual(message.ns, "jabber:client")
        [fin] = answer.children
        self.assertEqual((fin.ns, fin.name), (MAM, "fin"))
        self.assertEqual(fin.attributes["complete"], "true")
        [page] = fin.children
        ids = [result.attributes["id"] for result in results]
        self.assertEqual(
            [(n.name, n.text) for n in page.children],
            [("first", ids[0]), ("last", ids[-1]), ("count", "5")],
        )
        self.assertEqual(page.children[0].attributes["index"], "0")

    def test_each_has_an_archive(self) -> None:
        """And sees its own messages alone."""
        self.assertEqual(self.bodies(query()), "12345")
        self.assertEqual(self.bodies(query(), self.bob), "1245")
        eve = self.house.client("eve", "e")
        self.assertEqual(self.bodies(query(), eve), "3")
        self.ann.receive()
        iq = query().replace("<iq ", "<iq to='bob@localhost' ")
        self.assertEqual(self.refused(iq), "service-unavailable")

    def test_the_receiver_saw_the_id(self) -> None:
        """XEP-0313 section 3.1: so that a client knows where it is."""
        self.ann.send("<message to='bob@localhost/b'><body>6</body></message>")
        [message] = self.bob.receive()
        seen = message.child("urn:xmpp:sid:0", "stanza-id")
        assert seen is not None
        results, _ = self.ask(query(), self.bob)
        self.assertEqual(results[-1].attributes["id"], seen.attributes["id"])

    def test_filters(self) -> None:
        """With whom, and when."""
        self.assertEqual(self.bodies(query(with_="bob@localhost")), "1245")
        self.assertEqual(self.bodies(query(with_="bob@localhost/b")), "1245")
        self.assertEqual(self.bodies(query(with_="bob@localhost/x")), "")
        self.assertEqual(self.bodies(query(with_="BOB@localhost")), "1245")
        start, end = "2026-09-21T14:14:20Z", "2026-09-21T14:16:20Z"
        self.assertEqual(self.bodies(query(start=start)), "2345")
        self.assertEqual(self.bodies(query(start=start, end=end)), "234")

    def test_ids(self) -> None:
        """The extended fields, and the order of a page."""
        ids = self.ids()
        self.assertEqual(self.bodies(query(after_id=ids[1])), "345")
        self.assertEqual(self.bodies(query(before_id=ids[1])), "1")
        self.assertEqual(self.bodies(query(ids=f"{ids[3]},{ids[0]}")), "14")
        self.assertEqual(self.bodies(query(flip=True)), "54321")

    def test_pages(self) -> None:
        """From the start, from the end, and to both ends."""
        ids = self.ids()

        def page(text: str) -> tuple[str, bool]:
            _, answer = self.ask(query(page=text))
            whole = answer.children[0].attributes.get("complete") == "true"
            return self.bodies(query(page=text)), whole

        self.assertEqual(page("<max>2</max>"), ("12", False))
        self.assertEqual(page(f"<max>2</max><after>{ids[1]}</after>"), ("34", False))
        self.assertEqual(page(f"<max>2</max><after>{ids[3]}</after>"), ("5", True))
        self.assertEqual(page("<max>2</max><before/>"), ("45", False))
        self.assertEqual(page(f"<max>2</max><before>{ids[1]}</before>"), ("1", True))
        self.assertEqual(page("<max>2</max><index>3</index>"), ("45", True))
        self.assertEqual(page("<max>0</max>"), ("", False))

    def test_a_page_ends_early_when_it_is_big(self) -> None:
        """A client is never sent more than it can take at a time."""
        self.patch(archive, "PAGE_BYTES", 250)
        for text, expected in (("<max>5</max>", "12"), ("<max>5</max><before/>", "45")):
            _, answer = self.ask(query(page=text))
            self.assertNotIn("complete", answer.children[0].attributes)
            self.assertEqual(self.bodies(query(page=text)), expected)
        self.patch(archive, "PAGE_BYTES", 1)
        self.assertEqual(self.bodies(query()), "1")

    def test_refusals(self) -> None:
        """Unknown ids, unknown fields, and what makes no sense."""
        for sent, expected in (
            (query(page="<after>0000000000000001</after>"), "item-not-found"),
            (query(page="<before>x</before>"), "item-not-found"),
            (query(after_id="ffffffffffffffff"), "item-not-found"),
            (query(ids="0000000000000001"), "item-not-found"),
            (query(colour="red"), "feature-not-implemented"),
            (query(start="yesterday"), "bad-request"),
            (query(start="9999-12-31T23:59:59Z,1970-01-01T00:00:00Z"), "bad-request"),
            (query(with_="@"), "jid-malformed"),
            (query(page="<max>many</max>"), "bad-request"),
            (query(page="<index>1</index><after>x</after>"), "bad-request"),
            (query().replace("type='submit'", "type='cancel'"), "bad-request"),
            (query().replace(f">{MAM}<", ">other<"), "bad-request"),
        ):
            self.assertEqual(self.refused(sent), expected, sent)

    def test_what_is_not_archived(self) -> None:
        """Headlines, errors, states, and what asks not to be."""
        for inner, kind in (
            ("<body>x</body><no-store xmlns='urn:xmpp:hints'/>", "chat"),
            ("<body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/>", "chat"),
            ("<body>x</body>", "headline"),
            ("<active xmlns='http://jabber.org/protocol/chatstates'/>", "chat"),
            ("<data xmlns='u'/>", "normal"),
        ):
            self.ann.send(
                f"<message to='bob@localhost/b' type='{kind}'>{inner}</message>"
            )
        self.assertEqual(self.bodies(query()), "12345")
        hint = "<a xmlns='u'/><store xmlns='urn:xmpp:hints'/>"
        self.ann.send(f"<message to='bob@localhost/b'>{hint}</message>")
        self.assertEqual(len(self.ids()), 6)

    def test_the_form_and_the_ends(self) -> None:
        """Sections 4.1.5 and 5.1."""
        [answer] = self.ann.send(f"<iq type='get' id='1'><query xmlns='{MAM}'/></iq>")
        fields = {f.attributes["var"] for f in answer.children[0].children[0].children}
        self.assertLessEqual({"with", "start", "end", "ids", "after-id"}, fields)
        ask = f"<iq type='get' id='1'><metadata xmlns='{MAM}'/></iq>"
        [answer] = self.ann.send(ask)
        start, end = answer.children[0].children
        ids = self.ids()
        self.assertEqual(
            (start.attributes["id"], end.attributes["id"]), (ids[0], ids[-1])
        )
        eve = MemoryXmpp().client("eve")
        [answer] = eve.send(ask)
        self.assertEqual(answer.children[0].children, [])

    def test_discovery(self) -> None:
        """On the account (section 7)."""
        info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        [answer] = self.ann.send(f"<iq type='get' id='1'>{info}</iq>")
        found = {n.attributes.get("var") for n in answer.children[0].children}
        self.assertLessEqual({MAM, archive.EXTENDED, "urn:xmpp:sid:0"}, found)


class PreferenceTests(Base):
    """Section 6."""

    def prefer(self, default: str, always: str = "", never: str = "") -> Node:
        """Set them; the answer."""

        def listed(name: str, jids: str) -> str:
            inner = "".join(f"<jid>{jid}</jid>" for jid in jids.split())
            return f"<{name}>{inner}</{name}>"

        [answer] = self.ann.send(
            f"<iq type='set' id='p'><prefs xmlns='{MAM}' default='{default}'>"
            f"{listed('always', always)}{listed('never', never)}</prefs></iq>"
        )
        return answer

    def write_to(self, *names: str) -> str:
        """One message to each; what the archive has of them."""
        for name in names:
            self.ann.send(f"<message to='{name}'><body>{name[0]}</body></message>")
        return self.bodies(query())[5:]

    def test_they_are_kept(self) -> None:
        """As they were set."""
        answer = self.prefer("roster", "bob@localhost", "eve@localhost")
        [shown] = self.ann.send(f"<iq type='get' id='p'><prefs xmlns='{MAM}'/></iq>")
        for found in (answer, shown):
            prefs = found.children[0]
            self.assertEqual(prefs.attributes["default"], "roster")
            self.assertEqual(
                [[jid.text for jid in one.children] for one in prefs.children],
                [["bob@localhost"], ["eve@localhost"]],
            )

    def test_never(self) -> None:
        """But for the exceptions; the other's archive is the other's."""
        self.prefer("never", "bob@localhost")
        self.assertEqual(self.write_to("bob@localhost", "eve@localhost"), "b")
        eve = self.house.client("eve", "e")
        self.assertEqual(self.bodies(query(), eve), "3e")

    def test_always_but(self) -> None:
        """The list comes first."""
        self.prefer("always", never="bob@localhost")
        self.assertEqual(self.write_to("bob@localhost", "eve@localhost"), "e")

    def test_refusals(self) -> None:
        """No default, and what is no address."""
        self.assertEqual(condition(self.prefer("sometimes")), "bad-request")
        self.assertEqual(condition(self.prefer("always", "@")), "jid-malformed")


class PruneTests(SynchronousTestCase):
    """xmpp.archive_days."""

    def test_old_ones_go(self) -> None:
        """Those that are older than the setting, and only if it is set."""
        for days, left in ((1.0, "n"), (0.0, "on")):
            house = MemoryXmpp(archive_days=days)
            ann = house.client("ann", "a")
            ann.send("<message to='bob@localhost'><body>o</body></message>")
            house.clock.advance(86000)
            ann.send("<message to='bob@localhost'><body>n</body></message>")
            house.clock.advance(1000)
            self.successResultOf(Deferred.fromCoroutine(house.service.prune()))
            results = [n for n in ann.send(query()) if n.name == "message"]
            found = [n.children[0].children[0].children[1] for n in results]
            self.assertEqual("".join(n.children[0].text for n in found), left)

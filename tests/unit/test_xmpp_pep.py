"""Personal eventing (XEP-0163): what an account publishes and who hears of it."""

from __future__ import annotations

import base64
import hashlib

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import MemoryClient, MemoryXmpp, condition

NS = "http://jabber.org/protocol/pubsub"
OWNER = f"{NS}#owner"
EVENT = f"{NS}#event"
ERRORS = f"{NS}#errors"
INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
TUNE = "http://jabber.org/protocol/tune"
BOOKMARKS = "urn:xmpp:bookmarks:1"


def form(kind: str, **fields: str) -> str:
    """A submitted form of pubsub#... fields."""
    inner = "".join(
        f"<field var='pubsub#{name}'><value>{value}</value></field>"
        for name, value in fields.items()
    )
    return (
        f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>"
        f"<value>{NS}#{kind}</value></field>{inner}</x>"
    )


def publish(node: str = TUNE, item: str = "", payload: str = "", **options: str) -> str:
    """A publication."""
    payload = payload or f"<tune xmlns='{TUNE}'><title>x</title></tune>"
    named = f" id='{item}'" if item else ""
    wanted = ""
    if options:
        filled = form("publish-options", **options)
        wanted = f"<publish-options>{filled}</publish-options>"
    return (
        f"<iq type='set' id='p'><pubsub xmlns='{NS}'><publish node='{node}'>"
        f"<item{named}>{payload}</item></publish>{wanted}</pubsub></iq>"
    )


def get_items(node: str = TUNE, inner: str = "", to: str = "", **more: str) -> str:
    """A request for items."""
    address = f" to='{to}'" if to else ""
    attributes = "".join(f" {name}='{value}'" for name, value in more.items())
    return (
        f"<iq type='get' id='g'{address}><pubsub xmlns='{NS}'>"
        f"<items node='{node}'{attributes}>{inner}</items></pubsub></iq>"
    )


def ask(inner: str, *, kind: str = "set", ns: str = NS) -> str:
    """Any other request."""
    return f"<iq type='{kind}' id='a'><pubsub xmlns='{ns}'>{inner}</pubsub></iq>"


def detail(answer: Node) -> str:
    """The condition of pubsub#errors."""
    [error] = [node for node in answer.children if node.name == "error"]
    return next(node.name for node in error.children if node.ns == ERRORS)


def ids(answer: Node) -> list[str]:
    """Of the items in an answer."""
    return [item.attributes["id"] for item in answer.children[0].children[0].children]


def events(nodes: list[Node]) -> list[tuple[str, str, str]]:
    """Notifications: whose, of which node, and what of which item."""
    found = []
    for node in nodes:
        event = node.child(EVENT, "event")
        for inner in event.children if event is not None else ():
            of = node.attributes["from"]
            name = inner.attributes["node"]
            found += [
                (of, name, f"{one.name} {one.attributes['id']}")
                for one in inner.children
            ]
            if inner.name != "items":
                found.append((of, name, inner.name))
    return found


class Base(SynchronousTestCase):
    """Ann publishes; Bob listens."""

    everyone = True

    def setUp(self) -> None:
        self.house = MemoryXmpp(everyone_is_contact=self.everyone)
        self.ann = self.house.client("ann", "a")
        self.bob = self.listening("bob", "b", TUNE)
        self.ann.receive()

    def listening(self, name: str, resource: str, *nodes: str) -> MemoryClient:
        """A client that wants to know of nodes."""
        client = self.house.connect()
        client.log_in(name, resource, present=False)
        self.came = self.say(client, *nodes)
        return client

    def say(self, client: MemoryClient, *nodes: str) -> list[Node]:
        """Presence with capabilities; everything that comes of it."""
        features = sorted(f"{node}+notify" for node in nodes)
        text = "client/bot//<" + "".join(f"{one}<" for one in features)
        digest = hashlib.sha1(text.encode()).digest()
        version = base64.b64encode(digest).decode()
        came = client.send(
            "<presence><c xmlns='http://jabber.org/protocol/caps' node='n'"
            f" hash='sha-1' ver='{version}'/></presence>"
        )
        for node in came:
            if node.name == "iq" and node.children[0].ns == INFO:
                inner = "".join(f"<feature var='{one}'/>" for one in features)
                came += client.send(
                    f"<iq type='result' id='{node.attributes['id']}' to='localhost'>"
                    f"<query xmlns='{INFO}'><identity category='client' type='bot'/>"
                    f"{inner}</query></iq>"
                )
        return came

    def refused(self, client: MemoryClient, sent: str) -> tuple[str, str]:
        """Condition and detail."""
        [answer] = client.send(sent)
        return condition(answer), detail(answer)


class PublishTests(Base):
    """Nodes are made by publishing, and kept."""

    def test_who_listens_hears(self) -> None:
        """The item with its payload, in a headline from the bare address."""
        [answer] = self.ann.send(publish(item="1"))
        self.assertEqual(ids(answer), ["1"])
        [message] = self.bob.receive()
        self.assertEqual(
            (message.attributes["from"], message.attributes["to"]),
            ("ann@localhost", "bob@localhost/b"),
        )
        self.assertEqual(message.attributes["type"], "headline")
        [item] = message.children[0].children[0].children
        self.assertEqual((item.children[0].ns, item.children[0].name), (TUNE, "tune"))

    def test_an_id_is_made(self) -> None:
        """And told to both."""
        [answer] = self.ann.send(publish())
        [made] = ids(answer)
        self.assertEqual(
            events(self.bob.receive()), [("ann@localhost", TUNE, f"item {made}")]
        )

    def test_items_are_read(self) -> None:
        """All, some, and the newest; by anybody who may."""
        for item in "123":
            self.ann.send(publish(item=item, max_items="max", persist_items="true"))
        for client, to in ((self.ann, ""), (self.bob, "ann@localhost")):
            client.receive()
            for sent, expected in (
                (get_items(to=to), ["1", "2", "3"]),
                (get_items(to=to, max_items="2"), ["2", "3"]),
                (get_items(to=to, inner="<item id='2'/>"), ["2"]),
            ):
                [answer] = client.send(sent)
                self.assertEqual(ids(answer), expected)

    def test_payloads_need_no_context(self) -> None:
        """Prefixes of the outside are declared inside."""
        payload = "<t:tune xmlns:t='u:t' t:a='1' xml:lang='de'>a<t:b/>c</t:tune>"
        self.ann.send(publish(item="1", payload=payload))
        [event] = self.bob.receive()
        stored = event.children[0].children[0].children[0].children[0]
        self.assertEqual((stored.ns, stored.name, stored.text), ("u:t", "tune", "ac"))
        self.assertEqual(stored.children[0].ns, "u:t")
        self.assertEqual(stored.attributes["xml:lang"], "de")

    def test_a_newcomer_gets_the_newest(self) -> None:
        """XEP-0163 section 4.3.4: once the server knows that it listens."""
        self.ann.send(publish(item="1"), publish(item="2"))
        self.listening("eve", "e", TUNE)
        self.assertEqual(events(self.came), [("ann@localhost", TUNE, "item 2")])
        self.listening("eve", "other", "urn:other")
        self.assertEqual(events(self.came), [])

    def test_ones_own_devices_hear_too(self) -> None:
        """Also of what nobody else sees (XEP-0223)."""
        tab = self.listening("ann", "tab", BOOKMARKS)
        other = self.listening("bob", "other", BOOKMARKS)
        options = {"persist_items": "true", "access_model": "whitelist"}
        self.ann.send(
            publish(
                BOOKMARKS,
                "theplay@conference.shakespeare.lit",
                f"<conference xmlns='{BOOKMARKS}' autojoin='true'><nick>JC</nick>"
                "</conference>",
                max_items="max",
                send_last_published_item="never",
                **options,
            )
        )
        self.assertEqual(len(events(tab.receive())), 1)
        self.assertEqual(events(other.receive()), [])
        other.receive()
        sent = get_items(BOOKMARKS, to="ann@localhost")
        self.assertEqual(self.refused(other, sent), ("not-allowed", "closed-node"))
        self.listening("ann", "third", BOOKMARKS)
        self.assertEqual(events(self.came), [])

    def test_publish_options_are_preconditions(self) -> None:
        """XEP-0060 section 7.1.5."""
        self.ann.send(publish(item="1", access_model="whitelist"))
        failed = ("conflict", "precondition-not-met")
        self.assertEqual(
            self.refused(self.ann, publish(item="2", access_model="open")), failed
        )
        self.assertEqual(
            self.refused(self.ann, publish(item="2", colour="red")), failed
        )
        [answer] = self.ann.send(publish(item="2", access_model="whitelist"))
        self.assertEqual(ids(answer), ["2"])

    def test_retracting(self) -> None:
        """The item is gone, and that is told."""
        self.ann.send(publish(item="1"))
        self.bob.receive()
        retract = ask(f"<retract node='{TUNE}'><item id='1'/></retract>")
        [answer] = self.ann.send(retract)
        self.assertEqual(answer.attributes["type"], "result")
        self.assertEqual(
            events(self.bob.receive()), [("ann@localhost", TUNE, "retract 1")]
        )
        [answer] = self.ann.send(retract)
        self.assertEqual(condition(answer), "item-not-found")

    def test_limits(self) -> None:
        """Nodes, items, bytes."""
        self.house = MemoryXmpp(pep_nodes=1, pep_items=2, pep_item_bytes=100)
        self.ann = self.house.client("ann", "a")
        self.ann.send(publish(max_items="max", item="1"), publish(item="2"))
        self.ann.send(publish(item="3"))
        [answer] = self.ann.send(get_items())
        self.assertEqual(ids(answer), ["2", "3"])
        self.assertEqual(
            self.refused(self.ann, publish("other")),
            ("resource-constraint", "max-nodes-exceeded"),
        )
        self.assertEqual(
            self.refused(self.ann, ask("<create node='other'/>")),
            ("resource-constraint", "max-nodes-exceeded"),
        )
        big = f"<t xmlns='u'>{'x' * 100}</t>"
        self.assertEqual(
            self.refused(self.ann, publish(payload=big)),
            ("not-acceptable", "payload-too-big"),
        )
        [answer] = self.ann.send(publish(max_items="3"))
        self.assertEqual(condition(answer), "not-acceptable")

    def test_refusals(self) -> None:
        """Each with its condition of pubsub#errors."""
        item = "<item id='1'><a xmlns='u'/></item>"
        required = ("bad-request", "item-required")
        for inner, expected in (
            ("<publish node='n'/>", required),
            (f"<publish>{item}</publish>", ("bad-request", "nodeid-required")),
            (
                f"<publish node='n'>{item}{item}</publish>",
                ("bad-request", "item-required"),
            ),
            (
                "<publish node='n'><i xmlns='u'/></publish>",
                ("bad-request", "item-required"),
            ),
            (
                "<publish node='n'><item/></publish>",
                ("bad-request", "payload-required"),
            ),
            (
                "<publish node='n'><item><a/><b/></item></publish>",
                ("bad-request", "invalid-payload"),
            ),
            ("<subscribe node='n'/>", ("feature-not-implemented", "unsupported")),
            ("<affiliations node='n'/>", ("feature-not-implemented", "unsupported")),
        ):
            self.assertEqual(self.refused(self.ann, ask(inner)), expected)
        for sent, plain in (
            (ask(""), "bad-request"),
            (get_items("nothing"), "item-not-found"),
            (get_items(to="nobody@localhost"), "service-unavailable"),
            (publish().replace("<iq ", "<iq to='bob@localhost' "), "forbidden"),
            (publish("n" * 1025), "not-acceptable"),
        ):
            [answer] = self.ann.send(sent)
            self.assertEqual(condition(answer), plain, sent)


class NodeTests(Base):
    """What an owner does with nodes."""

    def test_created_with_a_configuration(self) -> None:
        """Named, or with a name of the server's."""
        configure = f"<configure>{form('node_config', access_model='open')}</configure>"
        [answer] = self.ann.send(ask(f"<create node='n'/>{configure}"))
        self.assertEqual(answer.children, [])
        [answer] = self.ann.send(ask("<create node='n'/>"))
        self.assertEqual(condition(answer), "conflict")
        [answer] = self.ann.send(ask("<create/>"))
        self.assertTrue(answer.children[0].children[0].attributes["node"])
        self.assertEqual(self.config("n")["pubsub#access_model"], ["open"])

    def config(self, node: str) -> dict[str, list[str]]:
        """As the form says it."""
        [answer] = self.ann.send(
            ask(f"<configure node='{node}'/>", kind="get", ns=OWNER)
        )
        fields = answer.children[0].children[0].children[0].children
        return {
            field.attributes["var"]: [
                value.text for value in field.children if value.name == "value"
            ]
            for field in fields
        }

    def test_configured(self) -> None:
        """The form is filled in and comes back; the rest stays."""
        self.ann.send(publish(item="1"))
        before = self.config(TUNE)
        wanted = form("node_config", access_model="open", max_items="7", other="x")
        [answer] = self.ann.send(
            ask(f"<configure node='{TUNE}'>{wanted}</configure>", ns=OWNER)
        )
        self.assertEqual(answer.attributes["type"], "result")
        changes = {"pubsub#access_model": ["open"], "pubsub#max_items": ["7"]}
        self.assertEqual(self.config(TUNE), before | changes)
        for name, value in (
            ("max_items", "many"),
            ("persist_items", "perhaps"),
            ("access_model", "authorize"),
        ):
            bad = form("node_config", **{name: value})
            [answer] = self.ann.send(
                ask(f"<configure node='{TUNE}'>{bad}</configure>", ns=OWNER)
            )
            self.assertEqual(condition(answer), "not-acceptable")
        [answer] = self.ann.send(ask("<default/>", kind="get", ns=OWNER))
        self.assertEqual(answer.children[0].children[0].name, "default")

    def test_purged_and_deleted(self) -> None:
        """Both are told."""
        self.ann.send(publish(item="1"))
        self.bob.receive()
        for what in ("purge", "delete"):
            [answer] = self.ann.send(ask(f"<{what} node='{TUNE}'/>", ns=OWNER))
            self.assertEqual(answer.attributes["type"], "result")
            self.assertEqual(
                events(self.bob.receive()), [("ann@localhost", TUNE, what)]
            )
        for what in ("purge", "delete", "configure"):
            [answer] = self.ann.send(ask(f"<{what} node='{TUNE}'/>", ns=OWNER))
            self.assertEqual(condition(answer), "item-not-found")

    def test_discovery(self) -> None:
        """XEP-0163 section 6: an identity, features, and the nodes one may see."""
        self.ann.send(publish(item="1"), publish("secret", access_model="whitelist"))
        info = f"<iq type='get' id='1' to='ann@localhost'><query xmlns='{INFO}'/></iq>"
        [answer] = self.ann.send(info)
        found = [node.attributes for node in answer.children[0].children]
        self.assertIn({"category": "pubsub", "type": "pep"}, found)
        self.assertIn({"var": f"{NS}#publish-options"}, found)
        items = info.replace(INFO, ITEMS)
        for client, expected in ((self.ann, [TUNE, "secret"]), (self.bob, [TUNE])):
            client.receive()
            [answer] = client.send(items)
            nodes = [node.attributes["node"] for node in answer.children[0].children]
            self.assertEqual(nodes, expected)


class StrangerTests(Base):
    """Accounts that are not subscribed to each other."""

    everyone = False

    def test_strangers_neither_hear_nor_read(self) -> None:
        """The presence access model; open nodes are read but not told of."""
        self.ann.send(publish(item="1"))
        self.assertEqual(events(self.bob.receive()), [])
        self.assertEqual(
            self.refused(self.bob, get_items(to="ann@localhost")),
            ("not-authorized", "presence-subscription-required"),
        )
        self.ann.send(publish("open", "1", access_model="open"))
        [answer] = self.bob.send(get_items("open", to="ann@localhost"))
        self.assertEqual(ids(answer), ["1"])
        self.listening("bob", "late", TUNE, "open")
        self.assertEqual(events(self.came), [])

    def test_subscribers_do(self) -> None:
        """From when they are."""
        self.bob.send("<presence type='subscribe' to='ann@localhost'/>")
        self.ann.send("<presence type='subscribed' to='bob@localhost'/>")
        self.bob.receive()
        self.ann.send(publish(item="1"))
        self.assertEqual(len(events(self.bob.receive())), 1)
        self.ann.send(
            "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
            "<item jid='bob@localhost'/></block></iq>"
        )
        self.bob.receive()
        self.ann.send(publish(item="2"))
        self.assertEqual(events(self.bob.receive()), [])
        [answer] = self.bob.send(get_items(to="ann@localhost"))
        self.assertEqual(condition(answer), "service-unavailable")
        self.listening("bob", "late", TUNE)
        self.assertEqual(events(self.came), [])

"""vCards and pictures: kept, converted, told in presence, fetched over HTTP."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.extras.profiles import NS_UPDATE
from mosaic.services.xmpp.extras.vcards import (
    MAX_VCARD_BYTES,
    NS_TEMP,
    NS_VCARD4,
    VcardError,
    read_vcard,
    to_vcard4,
    to_vcard_temp,
    vcard_temp,
    write_node,
)
from mosaic.store.belongings import Avatar, Profile
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import StreamParser
from mosaic.wire.xmpp.xml import Node, element, read_node
from tests.support.rest import RestCase
from tests.support.xmpp import HEADER, condition
from tests.support.xmpp_house import XmppCase

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
SHA1 = hashlib.sha1(PNG).hexdigest()
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"
VCARD = (
    "<FN>Ann &amp; Co</FN><N><FAMILY>A</FAMILY><GIVEN>Nn</GIVEN></N>"
    "<EMAIL><WORK/><USERID>ann@example.org</USERID></EMAIL>"
    "<TEL><CELL/><NUMBER>+1 2</NUMBER></TEL><ORG><ORGNAME>O</ORGNAME>"
    "<ORGUNIT>U</ORGUNIT></ORG><ADR><HOME/><STREET>S</STREET></ADR>"
    "<JABBERID>ann@localhost</JABBERID><BDAY>2000-01-02</BDAY><DESC>d</DESC>"
)


def tree(text: str) -> Node:
    """Parsed, as a stanza's child is."""
    found = StreamParser(max_stanza_bytes=1 << 20).feed(
        (HEADER + f"<iq>{text}</iq>").encode()
    )[-1]
    assert isinstance(found, Stanza)
    return read_node(found).children[0]


def photo(data: bytes = PNG, kind: str = "image/png") -> str:
    """A picture, with line breaks as old clients write them."""
    text = base64.encodebytes(data).decode()
    return f"<PHOTO><TYPE>{kind}</TYPE><BINVAL>{text}</BINVAL></PHOTO>"


def vcard(*parts: str) -> str:
    """The element."""
    return f"<vCard xmlns='{NS_TEMP}'>{''.join(parts)}</vCard>"


WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=9)
FIELDS = st.sampled_from(["FN", "NICKNAME", "BDAY", "URL", "TITLE", "ROLE", "DESC"])


class ConversionTests(SynchronousTestCase):
    """Between XEP-0054 and XEP-0292."""

    def test_there_and_back(self) -> None:
        """Nothing that both know is lost."""
        old = tree(vcard(VCARD))
        new = to_vcard4(old, "https://x/y")
        self.assertEqual((new.ns, new.name), (NS_VCARD4, "vcard"))
        found = {child.name: child for child in new.children}
        self.assertEqual(found["fn"].children[0].text, "Ann & Co")
        self.assertEqual(found["impp"].children[0].text, "xmpp:ann@localhost")
        self.assertEqual(found["photo"].children[0].text, "https://x/y")
        [kind] = found["email"].children[0].children
        self.assertEqual(kind.children[0].text, "work")
        back = to_vcard_temp(new)
        self.assertEqual(
            sorted(write_node(child) for child in back.children),
            sorted(write_node(child) for child in old.children),
        )

    @given(st.lists(st.tuples(FIELDS, WORDS)))
    def test_any_simple_fields(self, fields: list[tuple[str, str]]) -> None:
        """In their order, and through XML."""
        parts = [element(name, None, text) for name, text in fields]
        old = tree(vcard(*parts))
        new = tree(write_node(to_vcard4(old)))
        self.assertEqual(write_node(to_vcard_temp(new)), write_node(old))

    def test_others_addresses_are_no_jabber_ids(self) -> None:
        """impp holds any network."""
        new = tree(
            f"<vcard xmlns='{NS_VCARD4}'><impp><uri>sip:a@b</uri></impp>"
            "<tel><uri>tel:+1</uri></tel></vcard>"
        )
        self.assertEqual(
            write_node(to_vcard_temp(new)),
            '<vCard xmlns="vcard-temp"><TEL><NUMBER>+1</NUMBER></TEL></vCard>',
        )


NODES = st.recursive(
    st.builds(
        Node,
        st.sampled_from([NS_TEMP, "u"]),
        st.sampled_from(["PHOTO", "BINVAL", "EXTVAL", "FN", "N"]),
        st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=4)),
        st.just([]),
        st.text(max_size=12),
    ),
    lambda inner: st.builds(
        Node,
        st.sampled_from([NS_TEMP, "u"]),
        st.sampled_from(["PHOTO", "N", "vCard"]),
        st.just({}),
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)


class ReadingTests(SynchronousTestCase):
    """Whatever a client calls a vCard."""

    @given(st.lists(NODES, max_size=5))
    def test_it_is_kept_or_refused(self, children: list[Node]) -> None:
        """And what is kept is XML that says the same again."""
        try:
            profile = read_vcard(
                Node(NS_TEMP, "vCard", {}, children), max_picture_bytes=100
            )
        except VcardError:
            return
        again = read_vcard(tree(vcard_temp(profile)), max_picture_bytes=100)
        self.assertEqual(again, profile)


class VcardTests(XmppCase):
    """XEP-0054."""

    def set(self, *parts: str, refused: str = "") -> None:
        """Set ann's."""
        answer = self.ask(self.ann, vcard(*parts), kind="set")
        kind = answer.attributes["type"]
        self.assertEqual(condition(answer) if kind == "error" else "", refused)

    def read(self, client: Any, to: str = "ann@localhost") -> Node:
        """As somebody sees it."""
        return self.result(client, f"<vCard xmlns='{NS_TEMP}'/>", to)

    def test_set_and_get(self) -> None:
        """The same facts and the same picture, by anybody."""
        self.set(VCARD, photo())
        for client in (self.ann, self.bob):
            seen = self.read(client)
            picture = seen.children.pop()
            self.assertEqual(seen, tree(vcard(VCARD)))
            [kind, data] = picture.children
            self.assertEqual(kind.text, "image/png")
            self.assertEqual(base64.b64decode(data.text), PNG)
        kept = self.run_steps(self.store.profile("ann"))
        self.assertEqual(
            kept.avatar, Avatar(sha1=SHA1, media_type="image/png", data=PNG)
        )

    def test_nobody_and_nothing_look_alike(self) -> None:
        """Names are not told; one's own is empty."""
        for to in ("eve@localhost", "nobody@localhost"):
            asked = f"<vCard xmlns='{NS_TEMP}'/>"
            answer = self.ask(self.ann, asked, to)
            self.assertEqual(condition(answer), "item-not-found")
        self.assertEqual(self.read(self.ann, "").children, [])

    def test_only_ones_own_is_set(self) -> None:
        """Section 3.2."""
        answer = self.ask(self.ann, vcard(VCARD), "bob@localhost", kind="set")
        self.assertEqual(answer.attributes["type"], "error")

    def test_a_picture_is_looked_at(self) -> None:
        """Claims do not matter; SVG, links and too much are refused whole."""
        self.set(photo(PNG, "image/svg+xml"))
        kept = self.run_steps(self.store.profile("ann"))
        self.assertEqual(kept.avatar.media_type, "image/png")
        for part in (
            photo(SVG, "image/png"),
            photo(PNG + bytes(131072)),
            "<PHOTO><BINVAL>%%%</BINVAL></PHOTO>",
            "<PHOTO><EXTVAL>https://tracker.example/x</EXTVAL></PHOTO>",
            "<LOGO><EXTVAL>https://tracker.example/x</EXTVAL></LOGO>",
            f"<DESC>{'x' * MAX_VCARD_BYTES}</DESC>",
        ):
            self.set(part, refused="not-acceptable")
        self.assertEqual(self.run_steps(self.store.profile("ann")), kept)

    def test_an_empty_picture_is_none(self) -> None:
        """As clients say that they took it away."""
        self.set(photo())
        self.set("<FN>A</FN><PHOTO/>")
        kept = self.run_steps(self.store.profile("ann"))
        self.assertEqual(kept, Profile(vcard="<FN>A</FN>"))


class PresenceTests(XmppCase):
    """XEP-0153 and XEP-0398: the hash is in presence."""

    def hash_in(self, node: Node) -> str | None:
        """What presence tells; "" for no picture, None for nothing."""
        told = node.child(NS_UPDATE, "x")
        if told is None:
            return None
        picture = told.child(NS_UPDATE, "photo")
        assert picture is not None
        return picture.text

    def change(self, *parts: str) -> None:
        """Ann's vCard."""
        self.ask(self.ann, vcard(*parts), kind="set")

    def seen(self) -> list[str | None]:
        """What bob's client was told of ann since the last look."""
        return [
            self.hash_in(node)
            for node in self.bob.receive()
            if node.attributes["from"] == "ann@localhost/a"
        ]

    def test_a_change_is_told_at_once(self) -> None:
        """Set, changed in other things, taken away."""
        self.change(photo())
        self.assertEqual(self.seen(), [SHA1])
        self.change(photo(), "<FN>A</FN>")
        self.assertEqual(self.seen(), [])
        self.change("<FN>A</FN>")
        self.assertEqual(self.seen(), [""])

    def test_later_presence_has_it_too(self) -> None:
        """Whatever form the client's own presence has."""
        self.change(photo())
        self.seen()
        for sent in (
            "<presence/>",
            "<presence><show>away</show></presence>",
            "<presence ><priority>1</priority></presence >",
            "<c:presence xmlns:c='jabber:client'/>",
        ):
            self.ann.send(sent)
            self.assertEqual(self.seen(), [SHA1], sent)
        self.ann.send("<presence type='unavailable'/>")
        self.assertEqual(self.seen(), [None])

    def test_clients_that_tell_it_themselves_are_left_alone(self) -> None:
        """They know what they show."""
        self.change(photo())
        self.seen()
        other = "<photo>" + "0" * 40 + "</photo>"
        self.ann.send(f"<presence><x xmlns='{NS_UPDATE}'>{other}</x></presence>")
        self.assertEqual(self.seen(), ["0" * 40])
        self.change()
        self.assertEqual(self.seen(), [])

    def test_a_new_session_and_a_new_start(self) -> None:
        """The hash comes from the store."""
        self.change(photo())
        self.ann.drop()
        self.bob.receive()
        again = self.client("ann", "a")
        self.assertEqual(self.seen(), [SHA1])
        profiles = self.house.service._extras.profiles
        profiles.forget("ann")
        again.send("<presence/>")
        self.assertEqual(self.seen(), [None])
        self.run_steps(profiles.load())
        again.send("<presence/>")
        self.assertEqual(self.seen(), [SHA1])


class ConversionOfNodesTests(XmppCase):
    """XEP-0398: vCards and personal eventing tell the same."""

    DATA = "urn:xmpp:avatar:data"
    METADATA = "urn:xmpp:avatar:metadata"
    CARD = "urn:xmpp:vcard4"
    PUBSUB = "http://jabber.org/protocol/pubsub"

    def publish(
        self, node: str, payload: str, item: str = "current", **options: str
    ) -> None:
        """By ann."""
        fields = "".join(
            f"<field var='pubsub#{name}'><value>{value}</value></field>"
            for name, value in options.items()
        )
        kind = f"{self.PUBSUB}#publish-options"
        form = (
            "<publish-options><x xmlns='jabber:x:data' type='submit'>"
            f"<field var='FORM_TYPE'><value>{kind}</value></field>{fields}</x>"
            "</publish-options>"
        )
        inner = f"<publish node='{node}'><item id='{item}'>{payload}</item></publish>"
        wanted = (
            f"<pubsub xmlns='{self.PUBSUB}'>{inner}{form if options else ''}</pubsub>"
        )
        self.result(self.ann, wanted, kind="set")

    def publish_picture(self, data: bytes = PNG, **options: str) -> str:
        """Data, then metadata; its hash."""
        sha1 = hashlib.sha1(data).hexdigest()
        text = base64.b64encode(data).decode()
        self.publish(self.DATA, f"<data xmlns='{self.DATA}'>{text}</data>", sha1)
        info = f"<info id='{sha1}' bytes='{len(data)}' type='image/png'/>"
        metadata = f"<metadata xmlns='{self.METADATA}'>{info}</metadata>"
        self.publish(self.METADATA, metadata, sha1, **options)
        return sha1

    def items(self, node: str) -> list[Node]:
        """What bob reads of ann's."""
        asked = f"<pubsub xmlns='{self.PUBSUB}'><items node='{node}'/></pubsub>"
        answer = self.result(self.bob, asked, "ann@localhost")
        return [item.children[0] for item in answer.children[0].children]

    def profile(self) -> Profile:
        """What is kept of ann."""
        kept: Profile = self.run_steps(self.store.profile("ann"))
        return kept

    def test_announced(self) -> None:
        """So that clients tell it one way only."""
        info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        features = [
            n.attributes.get("var") for n in self.result(self.ann, info).children
        ]
        self.assertIn("urn:xmpp:pep-vcard-conversion:0", features)

    def test_a_vcard_is_published(self) -> None:
        """Data, metadata with the picture's address, and a vCard4."""
        self.result_of_set(vcard("<FN>Ann</FN>", photo()))
        [data] = self.items(self.DATA)
        self.assertEqual(base64.b64decode(data.text), PNG)
        [metadata] = self.items(self.METADATA)
        url = f"https://meet.example.org/api/v1/avatars/{SHA1}"
        facts = {"id": SHA1, "bytes": str(len(PNG)), "type": "image/png"}
        self.assertEqual(
            [info.attributes for info in metadata.children],
            [facts, facts | {"url": url}],
        )
        [card] = self.items(self.CARD)
        told = {child.name: child.children[0].text for child in card.children}
        self.assertEqual(told, {"fn": "Ann", "photo": url})
        self.result_of_set(vcard("<FN>Ann</FN>"))
        [metadata] = self.items(self.METADATA)[-1:]
        self.assertEqual(metadata.children, [])

    def result_of_set(self, inner: str) -> None:
        """ann's vCard is set."""
        answer = self.ask(self.ann, inner, kind="set")
        self.assertEqual(answer.attributes["type"], "result")

    def test_a_published_picture_is_in_the_vcard_and_in_presence(self) -> None:
        """From the metadata on, with the card as it was."""
        self.result_of_set(vcard("<FN>Ann</FN>"))
        self.bob.receive()
        sha1 = self.publish_picture()
        self.assertEqual(self.profile().vcard, "<FN>Ann</FN>")
        avatar = self.profile().avatar
        assert avatar is not None
        self.assertEqual((avatar.sha1, avatar.data), (sha1, PNG))
        hashes = [
            node.child(NS_UPDATE, "x")
            for node in self.bob.receive()
            if node.name == "presence"
        ]
        self.assertEqual([n.children[0].text for n in hashes if n], [sha1])
        self.publish(self.METADATA, f"<metadata xmlns='{self.METADATA}'/>")
        self.assertIsNone(self.profile().avatar)

    def test_private_pictures_stay_private(self) -> None:
        """A node that the owner alone may read becomes no vCard."""
        self.publish_picture(access_model="whitelist")
        self.assertIsNone(self.profile().avatar)

    def test_what_is_not_carried_over(self) -> None:
        """SVG, a wrong hash, and no data: they stay where they are."""
        self.publish(self.METADATA + "x", "<metadata xmlns='x'/>")
        for data in (SVG, b"GIF"):
            self.publish_picture(data)
            self.assertIsNone(self.profile().avatar)
        info = f"<info id='{'0' * 40}' bytes='1' type='image/png'/>"
        told = f"<metadata xmlns='{self.METADATA}'>{info}</metadata>"
        self.publish(self.METADATA, told)
        self.assertIsNone(self.profile().avatar)
        self.publish_picture()
        self.assertIsNotNone(self.profile().avatar)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_published_card(self) -> None:
        """XEP-0292: the facts that both know, with the picture as it was."""
        self.result_of_set(vcard(photo()))
        self.publish(
            self.CARD,
            f"<vcard xmlns='{NS_VCARD4}'><fn><text>Ann B</text></fn>"
            "<gender><sex>F</sex></gender></vcard>",
        )
        self.assertEqual(self.profile().vcard, "<FN>Ann B</FN>")
        self.assertIsNotNone(self.profile().avatar)


class PictureTests(RestCase):
    """GET /avatars/{sha1}."""

    def test_served_once_and_for_ever(self) -> None:
        """With its own type, an ETag, and for any page."""
        avatar = Avatar(sha1=SHA1, media_type="image/png", data=PNG)
        self.run_steps(self.store.set_profile("bob", Profile(avatar=avatar)))
        path = f"/api/v1/avatars/{SHA1}"
        got = self.ask("GET", path)
        self.assertEqual((got.status, got.body), (200, PNG))
        self.assertEqual(got.header("Content-Type"), "image/png")
        self.assertEqual(got.header("X-Content-Type-Options"), "nosniff")
        self.assertIn("immutable", got.header("Cache-Control") or "")
        self.assertIn("sandbox", got.header("Content-Security-Policy") or "")
        again = self.ask("GET", path, headers={"If-None-Match": f'"{SHA1}"'})
        self.assertEqual(again.status, 304)
        self.problem(self.ask("GET", "/api/v1/avatars/" + "0" * 40), 404)
        self.problem(self.ask("GET", "/api/v1/avatars/x"), 404)

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
    to_vcard4,
    to_vcard_temp,
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

    def test_the_picture_is_published_elsewhere_by_url(self) -> None:
        """What PEP is told, and what it tells (XEP-0084 section 4.2)."""
        profiles = self.house.service._extras.profiles
        told: list[tuple[str, Avatar | None]] = []
        profiles.on_picture.append(lambda *change: told.append(change))
        self.change(photo())
        [(account, avatar)] = told
        self.assertEqual(account, "ann")
        [info] = tree(profiles.metadata(avatar)).children
        self.assertEqual(
            info.attributes,
            {
                "id": SHA1,
                "bytes": str(len(PNG)),
                "type": "image/png",
                "url": f"https://meet.example.org/api/v1/avatars/{SHA1}",
            },
        )
        self.assertEqual(tree(profiles.metadata(None)).children, [])
        self.run_steps(profiles.picture_published("ann", None))
        self.assertEqual(self.seen(), [SHA1, ""])
        self.run_steps(profiles.picture_published("ann", b"GIF89a"))
        self.assertEqual(len(told), 1)


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

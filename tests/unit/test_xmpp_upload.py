"""Slots over XMPP (XEP-0363)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic.auth import tokens
from mosaic.services.xmpp.extras.upload import NS_UPLOAD
from mosaic.wire.xmpp.xml import Node, element
from tests.support.xmpp import condition
from tests.support.xmpp_house import XmppCase

HOST = "upload.localhost"
INFO = "http://jabber.org/protocol/disco#info"
CLIENT = "jabber:client"


def request(name: str = "a.png", size: str = "10", kind: str = "image/png") -> str:
    """Ask for a slot."""
    wanted = {"filename": name, "size": size, "content-type": kind}
    return element("request", wanted, ns=NS_UPLOAD)


class UploadTests(XmppCase):
    """What the component upload.<domain> does."""

    xmpp: dict[str, Any] = {"upload_bytes_per_day": 1000}

    def refused(self, inner: str) -> Node:
        """The error that bob gets."""
        error = self.ask(self.bob, inner, HOST).child(CLIENT, "error")
        assert error is not None
        return error

    def test_found_by_discovery(self) -> None:
        """Section 3: among the items, with its largest size in a form."""
        items = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
        found = self.result(self.bob, items, "localhost").children
        self.assertIn(HOST, [n.attributes["jid"] for n in found])
        info = self.result(self.bob, f"<query xmlns='{INFO}'/>", HOST).children
        self.assertEqual(
            info[0].attributes,
            {"category": "store", "type": "file", "name": "Mosaic uploads"},
        )
        self.assertIn(NS_UPLOAD, [n.attributes.get("var") for n in info])
        [form] = [n for n in info if n.name == "x"]
        fields = {f.attributes["var"]: f.children[0].text for f in form.children}
        self.assertEqual(fields, {"FORM_TYPE": NS_UPLOAD, "max-file-size": "1000"})

    def test_a_slot(self) -> None:
        """Section 4: two links of HTTPS, different, of which digests are kept."""
        slot = self.result(self.bob, request("très cool.png"), HOST)
        put, get = slot.children
        self.assertEqual((slot.ns, put.name, get.name), (NS_UPLOAD, "put", "get"))
        self.assertTrue(get.attributes["url"].endswith("/tr%C3%A8s%20cool.png"))
        for link in (put, get):
            self.assertTrue(
                link.attributes["url"].startswith("https://meet.example.org/api/v1/")
            )
        secret = urlsplit(put.attributes["url"]).path.rpartition("/")[2]
        kept = self.run_steps(
            self.store.upload_slot(tokens.digest(secret), now=self.wall)
        )
        self.assertEqual((kept.account, kept.size_bytes), ("bob", 10))
        self.assertEqual(kept.media_type, "image/png")
        self.assertNotIn(secret.encode(), kept.put_digest)

    def test_too_large(self) -> None:
        """Section 5: with the size that would do."""
        error = self.refused(request(size="1001"))
        self.assertEqual(error.attributes["type"], "modify")
        [what, _, detail] = error.children
        self.assertEqual(what.name, "not-acceptable")
        self.assertEqual((detail.ns, detail.name), (NS_UPLOAD, "file-too-large"))
        self.assertEqual(detail.children[0].text, "1000")

    def test_quota(self) -> None:
        """Section 5: with the time from which it will do."""
        self.result(self.bob, request(size="600"), HOST)
        error = self.refused(request(size="401"))
        self.assertEqual(error.attributes["type"], "wait")
        [what, _, detail] = error.children
        self.assertEqual(what.name, "resource-constraint")
        self.assertEqual(detail.attributes, {"stamp": "2023-11-15T22:13:20Z"})
        self.result(self.ann, request(size="401"), HOST)

    def test_nonsense(self) -> None:
        """Sizes and names that cannot be."""
        for size in ("", "-1", "0", "1e3", "\u0661", "9" * 40):
            answer = self.ask(self.bob, request(size=size), HOST)
            self.assertEqual(condition(answer), "bad-request", size)
        for name in ("", "/", "a/", " "):
            answer = self.ask(self.bob, request(name=name), HOST)
            self.assertEqual(condition(answer), "bad-request", name)

    def test_accounts_only(self) -> None:
        """A stranger's address is no account, whatever its local part."""
        self.run_steps(self.store.remove_account("bob"))
        answer = self.ask(self.bob, request(), HOST)
        self.assertEqual(condition(answer), "forbidden")

    @settings(max_examples=60)
    @given(
        st.text(),
        st.text(),
        st.one_of(st.integers().map(str), st.text("0123456789.e+- ")),
    )
    def test_any_request_is_answered(self, name: str, kind: str, size: str) -> None:
        """With a slot or with an error that the XEP knows."""
        answer = self.ask(self.bob, request(name, size, kind), HOST)
        if answer.attributes["type"] == "error":
            self.assertIn(
                condition(answer),
                {"bad-request", "not-acceptable", "resource-constraint"},
            )

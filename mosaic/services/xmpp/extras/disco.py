"""What an address tells of itself: service discovery (XEP-0030) with forms
(XEP-0128), and the hash of it (XEP-0115)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from mosaic.wire.xmpp.forms import NS_FORM
from mosaic.wire.xmpp.xml import Xml, element

NS_DISCO_INFO = "http://jabber.org/protocol/disco#info"
NS_DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
NS_CAPS = "http://jabber.org/protocol/caps"


@dataclass(frozen=True, slots=True)
class Identity:
    """Category and type from the registry of XEP-0030; name: for people, in the
    language lang."""

    category: str
    kind: str
    name: str = ""
    lang: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """Further facts (XEP-0128). fields: names with their values."""

    form_type: str
    fields: tuple[tuple[str, tuple[str, ...]], ...]

    def xml(self) -> Xml:
        """A form of the type "result"."""
        hidden = element("value", None, self.form_type)
        fields = [element("field", {"var": "FORM_TYPE", "type": "hidden"}, hidden)]
        fields += [
            element("field", {"var": var}, *(element("value", None, v) for v in values))
            for var, values in self.fields
        ]
        return element("x", {"type": "result"}, *fields, ns=NS_FORM)


@dataclass(frozen=True, slots=True)
class Item:
    """Something below an address. node: of a command or the like."""

    jid: str
    name: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The answer to disco#info."""

    identities: tuple[Identity, ...]
    features: tuple[str, ...] = ()
    forms: tuple[Form, ...] = ()

    def xml(self, node: str = "") -> Xml:
        """The `<query/>`; node: as it was asked for."""
        who = (
            element(
                "identity",
                {
                    "category": one.category,
                    "type": one.kind,
                    "name": one.name or None,
                    "xml:lang": one.lang or None,
                },
            )
            for one in self.identities
        )
        what = (element("feature", {"var": name}) for name in self.features)
        forms = (form.xml() for form in self.forms)
        attributes = {"node": node or None}
        return element("query", attributes, *who, *what, *forms, ns=NS_DISCO_INFO)

    def ver(self) -> str:
        """The verification string, hashed with SHA-1 (XEP-0115 section 5.1)."""
        parts = _in_order(
            f"{one.category}/{one.kind}/{one.lang}/{one.name}"
            for one in self.identities
        )
        parts += _in_order(self.features)
        for form in sorted(self.forms, key=lambda form: form.form_type.encode()):
            parts.append(form.form_type)
            for var, values in sorted(form.fields, key=lambda f: f[0].encode()):
                parts += [var, *_in_order(values)]
        text = "".join(part + "<" for part in parts)
        return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()  # noqa: S324 - what the XEP demands


def items_xml(items: Iterable[Item], node: str = "") -> Xml:
    """The answer to disco#items."""
    lines = (
        element(
            "item",
            {"jid": one.jid, "node": one.node or None, "name": one.name or None},
        )
        for one in items
    )
    return element("query", {"node": node or None}, *lines, ns=NS_DISCO_ITEMS)


def capabilities(node: str, ver: str) -> Xml:
    """The stream feature by which a server saves its clients the question."""
    return element("c", {"hash": "sha-1", "node": node, "ver": ver}, ns=NS_CAPS)


def _in_order(texts: Iterable[str]) -> list[str]:
    """Sorted by their bytes (i;octet)."""
    return sorted(texts, key=lambda text: text.encode())

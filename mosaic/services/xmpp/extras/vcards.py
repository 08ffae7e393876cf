"""vCards: what is kept of one (XEP-0054), and the newer form of it (XEP-0292).

Pure functions between trees of XML. The picture is kept apart from the rest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable

from mosaic.store.belongings import Avatar, Profile
from mosaic.wire.xmpp.xml import Node, Xml, element
from mosaic.workspace.media import picture_type

NS_TEMP = "vcard-temp"
NS_VCARD4 = "urn:ietf:params:xml:ns:vcard-4.0"
MAX_VCARD_BYTES = 65536
"""Without the picture."""

_SIMPLE = (
    ("FN", "fn", "text"),
    ("NICKNAME", "nickname", "text"),
    ("BDAY", "bday", "date"),
    ("URL", "url", "uri"),
    ("TITLE", "title", "text"),
    ("ROLE", "role", "text"),
    ("DESC", "note", "text"),
    ("TZ", "tz", "text"),
    ("JABBERID", "impp", "uri"),
)
_PARTS = {
    "N": (
        "n",
        (
            ("FAMILY", "surname"),
            ("GIVEN", "given"),
            ("MIDDLE", "additional"),
            ("PREFIX", "prefix"),
            ("SUFFIX", "suffix"),
        ),
    ),
    "ADR": (
        "adr",
        (
            ("POBOX", "pobox"),
            ("EXTADD", "ext"),
            ("STREET", "street"),
            ("LOCALITY", "locality"),
            ("REGION", "region"),
            ("PCODE", "code"),
            ("CTRY", "country"),
        ),
    ),
}
_TYPED = (("EMAIL", "USERID", "email"), ("TEL", "NUMBER", "tel"))
_KINDS = ("HOME", "WORK", "VOICE", "FAX", "CELL", "VIDEO", "PAGER")
_XMPP = "xmpp:"


class VcardError(ValueError):
    """It cannot be kept. The message is for the person."""


def write_node(node: Node, outer_ns: str = "") -> Xml:
    """A tree as XML, where outer_ns is the default namespace."""
    # XML 1.0 section 2.11: a reader would make this of it anyway.
    text = node.text.replace("\r\n", "\n").replace("\r", "\n")
    inner: list[str | Xml] = [text] if text.strip() else []
    inner += [write_node(child, node.ns) for child in node.children]
    ns = node.ns if node.ns != outer_ns else None
    return element(node.name, node.attributes, *inner, ns=ns)


def read_vcard(vcard: Node, *, max_picture_bytes: int) -> Profile:
    """What to keep of a `<vCard/>` that somebody sets. Raises VcardError."""
    if any(_lies_elsewhere(child) for child in vcard.children):
        raise VcardError("a picture that lies elsewhere would tell who looks at it")
    photo = vcard.child(NS_TEMP, "PHOTO")
    rest = "".join(
        write_node(child, NS_TEMP)
        for child in vcard.children
        if (child.ns, child.name) != (NS_TEMP, "PHOTO")
    )
    if len(rest.encode()) > MAX_VCARD_BYTES:
        raise VcardError(f"a vCard has at most {MAX_VCARD_BYTES} bytes")
    picture = None if photo is None else _picture(photo, max_picture_bytes)
    return Profile(vcard=rest, avatar=picture)


def make_avatar(data: bytes, *, max_bytes: int) -> Avatar:
    """A picture that may be kept. Raises VcardError."""
    if len(data) > max_bytes:
        raise VcardError(f"a picture has at most {max_bytes} bytes")
    kind = picture_type(data)
    if kind is None:
        raise VcardError("a picture is PNG, JPEG, GIF or WebP")
    sha1 = hashlib.sha1(data).hexdigest()  # noqa: S324 - what the XEPs count by
    return Avatar(sha1=sha1, media_type=kind, data=data)


def vcard_temp(profile: Profile) -> Xml:
    """The `<vCard/>` of a profile, with its picture in it."""
    photo: Xml | str = ""
    if profile.avatar is not None:
        data = base64.b64encode(profile.avatar.data).decode()
        photo = element(
            "PHOTO",
            None,
            element("TYPE", None, profile.avatar.media_type),
            element("BINVAL", None, data),
        )
    return element("vCard", None, Xml(profile.vcard), photo, ns=NS_TEMP)


def to_vcard4(vcard: Node, photo_url: str = "") -> Node:
    """The same facts as a `<vcard/>` of RFC 6351. photo_url: of the picture."""
    made = Node(NS_VCARD4, "vcard", {})
    for child in vcard.children:
        if child.ns == NS_TEMP:
            made.children += _newer(child)
    if photo_url:
        made.children.append(_new("photo", [_new("uri", text=photo_url)]))
    return made


def to_vcard_temp(vcard: Node) -> Node:
    """The same facts as a `<vCard/>` of XEP-0054, without a picture."""
    made = Node(NS_TEMP, "vCard", {})
    for child in vcard.children:
        if child.ns == NS_VCARD4:
            made.children += _older(child)
    return made


def _lies_elsewhere(node: Node) -> bool:
    """PHOTO, LOGO and SOUND may hold a link."""
    return node.child(NS_TEMP, "EXTVAL") is not None


def _picture(photo: Node, max_bytes: int) -> Avatar | None:
    binval = photo.child(NS_TEMP, "BINVAL")
    text = "" if binval is None else "".join(binval.text.split())
    if not text:
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise VcardError("the picture is not base64") from error
    return make_avatar(data, max_bytes=max_bytes)


def _newer(node: Node) -> Iterable[Node]:
    for old, new, kind in _SIMPLE:
        if node.name == old and node.text.strip():
            prefix = _XMPP if old == "JABBERID" else ""
            yield _new(new, [_new(kind, text=prefix + node.text.strip())])
    if node.name in _PARTS:
        name, parts = _PARTS[node.name]
        told = [_new(new, text=_text(node, NS_TEMP, old)) for old, new in parts]
        yield _new(name, [*_kinds_of(node), *told])
    if node.name == "ORG":
        units = [
            _new("text", text=unit.text.strip())
            for unit in node.children
            if unit.name in ("ORGNAME", "ORGUNIT") and unit.text.strip()
        ]
        if units:
            yield _new("org", units)
    for old, value, new in _TYPED:
        told_text = _text(node, NS_TEMP, value) if node.name == old else ""
        if told_text:
            yield _new(new, [*_kinds_of(node), _new("text", text=told_text)])


def _kinds_of(node: Node) -> list[Node]:
    """HOME, WORK and the like as `<parameters/>`."""
    kinds = [kind for kind in _KINDS if node.child(NS_TEMP, kind) is not None]
    types = [_new("type", [_new("text", text=kind.lower())]) for kind in kinds]
    return [_new("parameters", types)] if types else []


def _older(node: Node) -> Iterable[Node]:
    for old, new, kind in _SIMPLE:
        text = _text(node, NS_VCARD4, kind) if node.name == new else ""
        if text and old == "JABBERID" and not text.startswith(_XMPP):
            continue  # another network's address
        if text:
            yield _old(old, text=text.removeprefix(_XMPP if old == "JABBERID" else ""))
    for old_name, (name, parts) in _PARTS.items():
        if node.name == name:
            told = [(old, _text(node, NS_VCARD4, new)) for old, new in parts]
            inner = [_old(old, text=text) for old, text in told if text]
            if inner:
                yield _old(old_name, [*_types_of(node), *inner])
    if node.name == "org":
        texts = [one.text.strip() for one in node.children if one.name == "text"]
        if texts:
            names = ["ORGNAME", *["ORGUNIT"] * (len(texts) - 1)]
            pairs = zip(names, texts, strict=True)
            yield _old("ORG", [_old(name, text=text) for name, text in pairs])
    for old, value, new in _TYPED:
        text = _text(node, NS_VCARD4, "text") if node.name == new else ""
        if not text and node.name == new == "tel":
            text = _text(node, NS_VCARD4, "uri").removeprefix("tel:")
        if text:
            yield _old(old, [*_types_of(node), _old(value, text=text)])


def _types_of(node: Node) -> list[Node]:
    parameters = node.child(NS_VCARD4, "parameters")
    types = [] if parameters is None else parameters.children
    said = {
        text.text.strip().upper()
        for kind in types
        if kind.name == "type"
        for text in kind.children
    }
    return [_old(kind) for kind in _KINDS if kind in said]


def _text(node: Node, ns: str, name: str) -> str:
    child = node.child(ns, name)
    return "" if child is None else child.text.strip()


def _new(name: str, children: list[Node] | None = None, *, text: str = "") -> Node:
    return Node(NS_VCARD4, name, {}, children or [], text)


def _old(name: str, children: list[Node] | None = None, *, text: str = "") -> Node:
    return Node(NS_TEMP, name, {}, children or [], text)

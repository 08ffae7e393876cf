"""What a message carries, told from its bytes, and changes to them.

A message whose bytes hold no namespace that matters is never parsed; the
others are walked once. Nothing is rebuilt: children are cut out and put in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.xml import wrapper_start

NS_SID = "urn:xmpp:sid:0"
NS_HINTS = "urn:xmpp:hints"
NS_CARBONS = "urn:xmpp:carbons:2"
NS_DELAY = "urn:xmpp:delay"
NS_FORWARD = "urn:xmpp:forward:0"
NS_MUC_USER = "http://jabber.org/protocol/muc#user"


class Carries:
    """What matters of a message's children: bits, as plain numbers, for every
    message is asked."""

    BODY = 1
    CONTENT = 2
    """Anything beyond chat states, ids and hints."""
    IM = 4
    """Receipts (XEP-0184), chat states (0085) or markers (0333)."""
    LASTING = 8
    """What belongs into an archive though it has no body."""
    STATE = 16
    """A chat state."""
    STANZA_ID = 32
    NO_STORE = 64
    NO_PERMANENT_STORE = 128
    NO_COPY = 256
    STORE = 512
    PRIVATE = 1024
    """XEP-0280 section 9: not to be carbon-copied."""
    MUC = 2048
    """Something of a room: a private message in one, or an invitation."""
    INVITATION = 4096


_HINTS = {
    "no-store": Carries.NO_STORE,
    "no-permanent-store": Carries.NO_PERMANENT_STORE,
    "no-copy": Carries.NO_COPY,
    "store": Carries.STORE,
}
_QUIET = {NS_HINTS, NS_SID, "urn:xmpp:origin-id:0", "jabber:x:delay", NS_DELAY}
"""Children of these say something of the message and nothing to a person."""
_IM = {
    "urn:xmpp:receipts": Carries.IM,
    "urn:xmpp:chat-markers:0": Carries.IM,
    "http://jabber.org/protocol/chatstates": Carries.IM | Carries.STATE,
}
_LASTING = {
    "urn:xmpp:chat-markers:0",
    "urn:xmpp:receipts",
    "urn:xmpp:message-retract:0",
    "urn:xmpp:message-retract:1",
    "urn:xmpp:message-correct:0",
    "urn:xmpp:message-moderate:1",
    "urn:xmpp:reactions:0",
    "urn:xmpp:fasten:0",
    "urn:xmpp:jingle-message:0",
    "urn:xmpp:eme:0",
    "eu.siacs.conversations.axolotl",
    "urn:xmpp:omemo:2",
}
_TAG = re.compile(rb"""<[^"'>]*+(?:(?:"[^"]*+"|'[^']*+')[^"'>]*+)*+>""")
_SLASH = b"/"[0]
_NAME = re.compile(rb"<[^\s/>]+")
_DEFAULT = re.compile(
    rb"""<[^\s/>]+(?:\s+[^\s=/<>"']+\s*=\s*(?:"[^"]*+"|'[^']*+'))*?\s+xmlns\s*="""
)
"""A start tag that declares a default namespace."""
_REQUESTS = {("urn:xmpp:receipts", "request"), ("urn:xmpp:chat-markers:0", "markable")}
"""They only accompany a body."""
_NS_CONFERENCE = "jabber:x:conference"


@dataclass(frozen=True, slots=True)
class Child:
    """One child element of a stanza: where its bytes are."""

    ns: str
    name: str
    attributes: dict[str, str]
    start: int
    end: int


def carries(stanza: Stanza) -> int:
    """What a message carries."""
    raw = stanza.raw
    if not stanza.inherited and not (
        b"urn:" in raw or b"protocol/" in raw or b"jabber:x:" in raw
        # a character reference may spell any namespace
        or b"&#" in raw or b"eu.siacs" in raw
    ):  # fmt: skip
        if b"<body" in raw:
            return _BODY
        return 0 if stanza.payload is None else Carries.CONTENT
    found = 0
    for child in children(stanza):
        found |= _of_child(child, stanza)
    return found


_BODY = Carries.BODY | Carries.CONTENT


def _of_child(child: Child, stanza: Stanza) -> int:
    ns, name = child.ns, child.name
    if ns == NS_CLIENT:
        if name == "body":
            return _BODY
        return 0 if name == "thread" else Carries.CONTENT
    if ns == NS_HINTS:
        return _HINTS.get(name, 0)
    if ns == NS_SID:
        return Carries.STANZA_ID if name == "stanza-id" else 0
    if ns in _QUIET:
        return 0
    if ns == NS_CARBONS and name == "private":
        return Carries.PRIVATE
    found = _IM.get(ns, 0)
    if not found & Carries.STATE:
        found |= Carries.CONTENT
    if ns in _LASTING and (ns, name) not in _REQUESTS:
        found |= Carries.LASTING
    if ns == _NS_CONFERENCE:
        found |= Carries.INVITATION | Carries.LASTING
    if ns == NS_MUC_USER:
        found |= Carries.MUC
        if b"invite" in stanza.raw[child.start : child.end]:
            found |= Carries.INVITATION | Carries.LASTING
    return found


def children(stanza: Stanza) -> list[Child]:
    """The child elements, in order; offsets are into the raw bytes."""
    found: list[Child] = []
    prefix = wrapper_start(stanza)
    depth = 0
    begun: tuple[str, dict[str, str], int] = ("", {}, 0)

    parser = expat.ParserCreate("UTF-8", " ")

    def started(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, begun
        depth += 1
        if depth == 3:
            begun = (name, attributes, parser.CurrentByteIndex - len(prefix))

    def ended(_: str) -> None:
        nonlocal depth
        if depth == 3:
            here = parser.CurrentByteIndex - len(prefix)
            full, attributes, start = begun
            ns, _, local = full.rpartition(" ")
            plain = {key: value for key, value in attributes.items() if " " not in key}
            end = _tag_end(stanza.raw, start)
            if stanza.raw[end - 2] != _SLASH:  # not an empty element
                end = _tag_end(stanza.raw, here)
            found.append(Child(ns, local, plain, start, end))
        depth -= 1

    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    parser.Parse(prefix, False)
    parser.Parse(stanza.raw, False)
    return found


def _tag_end(raw: bytes, start: int) -> int:
    """Behind the tag that starts there."""
    found = _TAG.match(raw, start)
    assert found is not None  # the parser checked it
    return found.end()


def without(raw: bytes, gone: list[tuple[int, int]]) -> bytes:
    """The bytes without some ranges of them, which are in order."""
    kept, at = [], 0
    for start, end in gone:
        kept.append(raw[at:start])
        at = end
    return b"".join((*kept, raw[at:]))


def with_child(raw: bytes, child: bytes) -> bytes:
    """The stanza with one more child, the last."""
    if raw.endswith(b"</message>"):
        return raw[:-10] + child + b"</message>"
    if raw.endswith(b"/>"):
        name = raw[1:].split(None, 1)[0].removesuffix(b"/>")
        return b"%b>%b</%b>" % (raw[:-2], child, name)
    end = raw.rindex(b"</")
    return raw[:end] + child + raw[end:]


def standalone(raw: bytes) -> bytes:
    """The stanza with its namespace declared, to stand inside another."""
    start = raw[: _tag_end(raw, 0)]
    if b"xmlns" in start and _DEFAULT.match(start):
        return raw
    name = _NAME.match(start)
    assert name is not None  # it is a tag
    at = name.end()
    return b"%b xmlns='%b'%b" % (raw[:at], NS_CLIENT.encode(), raw[at:])


def forwarded(raw: bytes, delay: bytes = b"") -> bytes:
    """XEP-0297: a whole stanza as a child of another. delay: an element."""
    return b"<forwarded xmlns='%b'>%b%b</forwarded>" % (
        NS_FORWARD.encode(),
        delay,
        standalone(raw),
    )


def delay(stamp: str, sender: str) -> bytes:
    """XEP-0203. stamp: as XEP-0082 writes it."""
    return (
        f"<delay xmlns='{NS_DELAY}' from={quoteattr(sender)} stamp='{stamp}'/>".encode()
    )

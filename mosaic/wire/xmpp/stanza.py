"""A stanza as its own bytes, cut from the stream, and what its start says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from xml.sax.saxutils import quoteattr

NS_CLIENT = "jabber:client"
STANZA_NAMES = frozenset({"message", "presence", "iq"})

_START = re.compile(
    rb"""<([^\s/>]+)((?:\s+[^\s=/<>"']+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(/?)>"""
)
_ATTRIBUTE = re.compile(rb"""\s+([^\s=/<>"']+)\s*=\s*("[^"]*"|'[^']*')""")


@dataclass(slots=True, kw_only=True)
class Stanza:
    """One child of the stream. Not to be changed (not frozen, as that would make
    each one three times as dear).

    raw: its bytes, checked to be namespace-well-formed XML without DOCTYPE,
    comment or processing instruction. name and ns: of its element. attributes:
    those without namespace, decoded. payload: (ns, name) of its first child
    element, or None. inherited: declarations of the stream header that the
    bytes may lean on, as attribute bytes, apart from what every client stream
    has.
    """

    raw: bytes
    name: str
    ns: str
    attributes: dict[str, str] = field(default_factory=dict)
    payload: tuple[str, str] | None = None
    inherited: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def is_stanza(self) -> bool:
        """Message, presence or IQ, as opposed to stream negotiation."""
        return self.ns == NS_CLIENT and self.name in STANZA_NAMES

    @property
    def type(self) -> str:
        """The type attribute, or ""."""
        return self.attributes.get("type", "")

    @property
    def to(self) -> str | None:
        """The raw addressee, or None."""
        return self.attributes.get("to")

    @property
    def id(self) -> str | None:
        """The id attribute, or None."""
        return self.attributes.get("id")

    def stamped(
        self, sender: str, *, to: str | None = None, alone: bool = False
    ) -> bytes:
        """The same bytes with our `from`, never a rebuilt tree.

        sender: replaces whatever the client claimed (RFC 6120 section 8.1.2.1).
        to: replaces the addressee when given. alone: declare jabber:client too,
        for where no stream header does it (RFC 7395).
        """
        if to is None and not (alone or self.inherited or "from" in self.attributes):
            bare_start = b"<" + self.name.encode()
            if self.raw.startswith(bare_start):
                rest = self.raw[len(bare_start) :]
                return b"%b from=%b%b" % (bare_start, quoted(sender), rest)
        start = _START.match(self.raw)
        assert start is not None  # the parser checked it
        ours = {b"from": quoted(sender)}
        if to is not None:
            ours[b"to"] = quoted(to)
        kept = [
            (name, value)
            for name, value in _ATTRIBUTE.findall(start[2])
            if name not in ours
        ]
        said = {name for name, _ in kept}
        declared = [(name, value) for name, value in self.inherited if name not in said]
        if alone and b"xmlns" not in said and b"xmlns" not in dict(declared):
            declared.append((b"xmlns", quoted(NS_CLIENT)))
        attributes = b"".join(
            b" %b=%b" % pair for pair in (*ours.items(), *kept, *declared)
        )
        return b"<%b%b%b>%b" % (
            start[1],
            attributes,
            start[3],
            self.raw[start.end() :],
        )


class StartTag:
    """The start tag at the beginning of an element. name_end: where its name
    ends."""

    __slots__ = ("_attributes", "name_end")

    def __init__(self, raw: bytes) -> None:
        found = _START.match(raw)
        assert found is not None  # it is XML that the server made or checked
        self.name_end = found.end(1)
        self._attributes = found[2]

    def declares(self) -> set[bytes]:
        """The names of its attributes that declare namespaces."""
        if b"xmlns" not in self._attributes:
            return set()
        names = (name for name, _ in _ATTRIBUTE.findall(self._attributes))
        return {name for name in names if name.startswith(b"xmlns")}


def start_tag_end(buffer: bytes | bytearray, start: int) -> tuple[int, bool]:
    """Where the start tag at an offset ends, and whether it is an empty
    element (`/>`). The tag must be complete and well-formed."""
    found = _START.match(buffer, start)
    assert found is not None
    return found.end(), bool(found[3])


@lru_cache(maxsize=4096)
def quoted(value: str) -> bytes:
    """An attribute's value with its quotes."""
    return quoteattr(value).encode()

"""Cut a client's byte stream into stanzas without building trees (RFC 6120).

expat checks every byte, namespaces included; what is handed on is the stanza's
own bytes. Refused: DOCTYPE, comments, processing instructions and foreign
entities (section 11.1), any encoding but UTF-8 (11.6), and whatever passes the
limits. After an error the parser is dead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, NoReturn
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from mosaic.wire.xmpp.errors import StreamError
from mosaic.wire.xmpp.gate import TagGate
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza, start_tag_end

NS_STREAM = "http://etherx.jabber.org/streams"
MAX_DEPTH = 64
MAX_ATTRIBUTES = 64
MAX_ELEMENTS = 10_000
"""Of one stanza: each costs as much time as a hundred bytes of text."""
MAX_TAG_BYTES = 65_536
"""A tag is counted and checked only when all of it is there."""
RENEW_BYTES = 1 << 20
"""expat remembers each distinct name for its whole life, so a parser that a
client feeds new names forever is replaced after this many bytes."""

_ANY_HEADER = (
    b"<stream:stream xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)

_PROLOG = re.compile(
    rb"[ \t\r\n]*+(?:<\?xml[ \t\r\n][^>]*+>)?+[ \t\r\n]*+(?:<(?![?!])|\Z)"
)
"""All that may come up to the root's start tag."""

_RESTRICTED_CODES = frozenset(
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_UNDEFINED_ENTITY,
        expat.errors.XML_ERROR_RECURSIVE_ENTITY_REF,
        expat.errors.XML_ERROR_ASYNC_ENTITY,
        expat.errors.XML_ERROR_EXTERNAL_ENTITY_HANDLING,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStart:
    """The stream header came in. attributes: those without namespace."""

    attributes: dict[str, str] = field(default_factory=dict)
    lang: str | None = None


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The peer closed its stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFault:
    """The stream is to be closed with this RFC 6120 section 4.9.3 condition."""

    condition: str
    text: str = ""


Event = StreamStart | Stanza | StreamEnd | StreamFault


class Header(NamedTuple):
    """What a parser has to know of a stream's header to go on behind it. raw: its
    start tag. inherited: as of Stanza."""

    raw: bytes
    inherited: tuple[tuple[bytes, bytes], ...]


class StreamParser:
    """Bytes of one stream in, events out; make a new one at each restart.

    max_stanza_bytes may be raised while it runs (after login).
    """

    def __init__(
        self,
        *,
        max_stanza_bytes: int,
        max_depth: int = MAX_DEPTH,
        max_attributes: int = MAX_ATTRIBUTES,
    ) -> None:
        self.max_stanza_bytes = max_stanza_bytes
        self._max_depth = max_depth
        self._max_attributes = max_attributes
        self._gate = TagGate()
        self._events: list[Event] = []
        self._dead = False
        self._depth = 0
        self._header = b""
        self._inherited: tuple[tuple[bytes, bytes], ...] = ()
        self._priming = False
        self._namespaces: list[tuple[str | None, str]] = []
        self._name = ""
        self._elements = 0
        self._attributes: dict[str, str] = {}
        self._payload: tuple[str, str] | None = None
        self._pending = bytearray()
        self._begin = 0
        self._base = 0
        self._fed = 0
        self._expat = self._new_expat()

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete; after a StreamFault or a
        StreamEnd always none."""
        if self._dead:
            return []
        try:
            self._parse(self._gate.feed(data))
            self._check_waiting()
        except StreamError as error:
            self._fault(error.condition, error.text)
        except expat.ExpatError as error:
            restricted = error.code in _RESTRICTED_CODES
            self._fault(
                "restricted-xml" if restricted else "not-well-formed",
                expat.ErrorString(error.code) or "",
            )
        events, self._events = self._events, []
        return events

    def _fault(self, condition: str, text: str) -> None:
        if self._dead:
            return
        self._dead = True
        self._events.append(StreamFault(condition=condition, text=text))

    def _parse(self, complete: bytes) -> None:
        if not complete:
            return
        if self._depth == 0 and not _PROLOG.match(complete):
            # A lone quote would make expat wait for its twin.
            raise StreamError("not-well-formed", "text before the stream")
        if self._fed > RENEW_BYTES and self._depth == 1:
            self._renew()
        self._pending += complete
        self._fed += len(complete)
        self._expat.Parse(complete, False)
        self._forget(
            self._begin if self._depth > 1 else self._base + len(self._pending)
        )

    def _forget(self, upto: int) -> None:
        """Drop the bytes before an offset of the stream."""
        del self._pending[: upto - self._base]
        self._base = upto

    def _check_waiting(self) -> None:
        """The limits hold for what is not complete yet, too."""
        if self._dead:
            return
        waiting = len(self._gate.held)
        if self._depth > 1:
            waiting += len(self._pending)
        elif self._depth == 1:
            waiting -= self._gate.skip_space()
        else:
            waiting += self._fed
        if self._depth <= 1 and self._gate.holds_text():
            raise StreamError("not-well-formed", "text outside of a stanza")
        if waiting > self.max_stanza_bytes or self._gate.tag_bytes > MAX_TAG_BYTES:
            self._too_big()
        if self._gate.refused:
            raise StreamError("restricted-xml", self._gate.refused)

    def _too_big(self) -> NoReturn:
        raise StreamError("policy-violation", "the stanza is too big")

    # What expat tells.

    def _new_expat(self) -> expat.XMLParserType:
        parser = expat.ParserCreate("UTF-8", " ")
        parser.buffer_text = True
        if hasattr(parser, "SetReparseDeferralEnabled"):
            parser.SetReparseDeferralEnabled(False)
        parser.StartElementHandler = self._started
        parser.EndElementHandler = self._ended
        parser.StartNamespaceDeclHandler = self._declared
        parser.CharacterDataHandler = self._loose_text
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._restricted
        parser.EntityDeclHandler = self._restricted
        parser.CommentHandler = self._restricted
        parser.ProcessingInstructionHandler = self._restricted
        return parser

    def _restricted(self, *_: object) -> NoReturn:
        raise StreamError("restricted-xml")

    def _declaration(self, version: str, encoding: str | None, _: int) -> None:
        if version != "1.0":
            raise StreamError("restricted-xml", "XML 1.0 only")
        if encoding is not None and encoding.upper() != "UTF-8":
            raise StreamError("unsupported-encoding")

    def _loose_text(self, text: str) -> None:
        if self._dead or self._priming:
            return
        if text.strip(" \t\r\n"):
            raise StreamError("not-well-formed", "text outside of a stanza")

    def _declared(self, prefix: str | None, uri: str | None) -> None:
        self._namespaces.append((prefix, uri or ""))
        if len(self._namespaces) > self._max_attributes:
            raise StreamError("policy-violation", "too many namespaces")

    def _started(self, name: str, attributes: dict[str, str]) -> None:
        if len(attributes) + len(self._namespaces) > self._max_attributes:
            raise StreamError("policy-violation", "too many attributes")
        self._depth = depth = self._depth + 1
        if depth > 2:
            self._elements += 1
            if depth > self._max_depth:
                raise StreamError("policy-violation", "nested too deep")
            if self._elements > MAX_ELEMENTS:
                raise StreamError("policy-violation", "too many elements")
            if depth == 3 and self._payload is None:
                self._payload = _split(name)
        elif depth == 2:
            self._elements = 0
            self._begin = self._expat.CurrentByteIndex
            self._expat.CharacterDataHandler = None
            self._name, self._attributes = name, _plain(attributes)
            self._payload = None
        else:
            self._stream_started(name, attributes)
        if self._namespaces:
            self._namespaces.clear()

    def _stream_started(self, name: str, attributes: dict[str, str]) -> None:
        if self._priming:
            return
        ns, local = _split(name)
        if ns != NS_STREAM:
            raise StreamError("invalid-namespace", "not a stream of XMPP")
        if local != "stream":
            raise StreamError("bad-format", "the root is not a stream")
        begin = self._expat.CurrentByteIndex - self._base
        end, empty = start_tag_end(self._pending, begin)
        if end - begin > self.max_stanza_bytes:
            self._too_big()
        if not empty:
            self._header = bytes(self._pending[begin:end])
        self._inherited = _inherited(self._namespaces)
        if (None, NS_CLIENT) not in self._namespaces and all(
            uri != NS_CLIENT for _, uri in self._namespaces
        ):
            raise StreamError("invalid-namespace", "not a client's stream")
        self._events.append(
            StreamStart(
                attributes=_plain(attributes),
                lang=attributes.get("http://www.w3.org/XML/1998/namespace lang"),
            )
        )

    def _ended(self, _: str) -> None:
        if self._dead:
            return
        self._depth -= 1
        if self._depth == 0:
            self._dead = True
            self._events.append(StreamEnd())
        elif self._depth == 1:
            self._expat.CharacterDataHandler = self._loose_text
            self._events.append(self._cut())

    def _cut(self) -> Stanza:
        """The bytes of the stanza that ends here."""
        pending = self._pending
        begin = self._begin - self._base
        if self._payload is None:
            end, empty = start_tag_end(pending, begin)
        else:
            empty = False
        if not empty:
            # expat stands at the start of the end tag. Behind an empty element it
            # would stand at whatever comes next, be it another's end tag.
            end = pending.index(b">", self._expat.CurrentByteIndex - self._base) + 1
        if end - begin > self.max_stanza_bytes:
            self._too_big()
        ns, name = _split(self._name)
        return Stanza(
            raw=bytes(pending[begin:end]),
            name=name,
            ns=ns,
            attributes=self._attributes,
            payload=self._payload,
            inherited=self._inherited,
        )

    @property
    def idle(self) -> bool:
        """Whether a stream is open and nothing of it is half read: then another
        parser that begins at() the same header would do as well."""
        return self._depth == 1 and not (self._dead or self._pending or self._gate.held)

    @property
    def header(self) -> Header:
        """Where the stream stands in."""
        return Header(self._header, self._inherited)

    def at(self, header: Header) -> None:
        """Stand in a stream that began with this header."""
        self._header, self._inherited = header
        self._renew()

    def _renew(self) -> None:
        """Go on with a new expat that has seen only the stream header."""
        self._expat = self._new_expat()
        self._priming, self._depth = True, 0
        self._expat.Parse(self._header, False)
        self._priming = False
        self._pending.clear()
        self._base = self._fed = len(self._header)


def read_stanza(raw: bytes) -> Stanza:
    """What the start of a stanza says that is bytes already: one that the server
    has sent, so that it is well-formed."""
    parser = StreamParser(max_stanza_bytes=1 << 30, max_depth=1 << 30)
    parser.feed(_ANY_HEADER)
    for event in parser.feed(raw):
        if isinstance(event, Stanza):
            return event
    raise ValueError("these bytes are not one stanza")


@lru_cache(maxsize=1024)
def _split(name: str) -> tuple[str, str]:
    ns, _, local = name.rpartition(" ")
    return ns, local


def _plain(attributes: dict[str, str]) -> dict[str, str]:
    """Attributes without a namespace."""
    for name in attributes:
        if " " in name:
            return {name: attributes[name] for name in attributes if " " not in name}
    return attributes


def _inherited(
    namespaces: list[tuple[str | None, str]],
) -> tuple[tuple[bytes, bytes], ...]:
    """Declarations of the header that a receiver's stream does not have."""
    usual = {(None, NS_CLIENT), ("stream", NS_STREAM)}
    return tuple(
        (
            (f"xmlns:{prefix}" if prefix else "xmlns").encode(),
            quoteattr(uri).encode(),
        )
        for prefix, uri in namespaces
        if (prefix, uri) not in usual
    )

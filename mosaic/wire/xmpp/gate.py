"""Hold a half-received tag back until the rest of it has come.

Some expat versions scan an unfinished token again from its start at each call,
so that a long attribute in small pieces costs its square; others postpone the
end of a tag that came in pieces. Behind this gate expat only ever sees whole
tags: the cost is linear and nothing is late, with every expat.
"""

from __future__ import annotations

import re
from enum import Enum, auto

_WHOLE_TAGS = re.compile(
    rb"""(?:[^<]*+<(?![!?])[^"'>]*+(?:(?:"[^"]*+"|'[^']*+')[^"'>]*+)*+>)*+"""
)
"""As many complete tags as there are, with the text before each."""
_TAG_STOP = re.compile(rb"""["'>]""")
_SPACE = b" \t\r\n"
_TEXT = re.compile(rb"[ \t\r\n]*+[^ \t\r\n<]")
_CDATA = b"<![CDATA["
_DECLARATION = re.compile(rb"<\?xml[ \t\r\n]")


class _Within(Enum):
    TEXT = auto()
    TAG = auto()
    CDATA = auto()


class TagGate:
    """Bytes in, complete tags (each with the text before it) out."""

    def __init__(self) -> None:
        self.held = bytearray()
        """What waits: text, and perhaps the start of a tag."""
        self.refused = ""
        """What stands at the end of `held` and XMPP does not allow (RFC 6120
        section 11.1): a comment, a DOCTYPE or a processing instruction."""
        self._scanned = 0
        self._opening = 0
        self._within = _Within.TEXT
        self._quote = b""
        self._declaring = False

    def feed(self, data: bytes) -> bytes:
        """Add data; return what is complete now, possibly nothing. Once
        something is refused, nothing is let through any more."""
        if self.refused:
            return b""
        if self.held:
            self.held += data
            return self._release()
        end = _whole_tags_end(data, 0)
        if end == len(data):
            return data
        self.held += data[end:]
        return data[:end] + self._release()

    def skip_space(self) -> int:
        """Drop white space at the start of what is held: between stanzas it
        only keeps the line alive. Returns how many bytes that were."""
        if self.held[:1].strip(_SPACE):
            return 0
        space = len(self.held) - len(self.held.lstrip(_SPACE))
        del self.held[:space]
        self._scanned = max(0, self._scanned - space)
        return space

    def holds_text(self) -> bool:
        """Whether anything but white space stands before the first tag."""
        if self.held[:1] == b"<":
            return False
        return bool(self.held) and _TEXT.match(self.held) is not None

    @property
    def tag_bytes(self) -> int:
        """How much of an unfinished tag has come."""
        return len(self.held) - self._opening if self._within is _Within.TAG else 0

    def _release(self) -> bytes:
        """Cut off everything up to the end of the last complete tag."""
        complete = 0
        while (end := self._token_end()) is not None:
            complete = _whole_tags_end(self.held, end)
            self._scanned, self._within = complete, _Within.TEXT
        released = bytes(self.held[:complete])
        del self.held[:complete]
        self._scanned -= complete
        return released

    def _token_end(self) -> int | None:
        """Where the next tag ends, or None; remembers how far it looked."""
        if self._within is _Within.TEXT:
            self._enter_token()
        if self._within is _Within.TAG:
            return self._scan_tag()
        if self._within is _Within.CDATA:
            closing = self.held.find(b"]]>", self._scanned)
            if closing >= 0:
                return closing + 3
            self._scanned = max(self._scanned, len(self.held) - 2)
        return None

    def _enter_token(self) -> None:
        """Find the next `<` and what it begins, once that can be told."""
        opening = self.held.find(b"<", self._scanned)
        if opening < 0:
            self._scanned = len(self.held)
            return
        self._scanned = opening
        head = bytes(self.held[opening : opening + len(_CDATA)])
        if head[1:2] == b"!":
            if not _CDATA.startswith(head):
                self.refused = "a comment or a DOCTYPE"
            elif head == _CDATA:
                self._within, self._scanned = _Within.CDATA, opening + len(_CDATA)
        elif head[1:2] == b"?" and not _DECLARATION.match(head):
            if len(head) > len(b"<?xml") or not b"<?xml".startswith(head):
                self.refused = "a processing instruction"
        elif len(head) > 1:
            self._within, self._scanned = _Within.TAG, opening + 1
            self._opening = opening
            self._declaring = head[1:2] == b"?"

    def _scan_tag(self) -> int | None:
        """The `>` that no quotes enclose."""
        while True:
            if self._quote:
                closing = self.held.find(self._quote, self._scanned)
                if closing < 0:
                    break
                self._quote, self._scanned = b"", closing + 1
            stop = _TAG_STOP.search(self.held, self._scanned)
            if stop is None:
                break
            self._scanned = stop.end()
            if stop[0] == b">":
                return self._checked_end(stop.end())
            self._quote = bytes(stop[0])
        self._scanned = len(self.held)
        return None

    def _checked_end(self, end: int) -> int | None:
        """A declaration must end with `?>`, or expat would wait for that."""
        if self._declaring and self.held[end - 2 : end] != b"?>":
            self.refused = "a processing instruction"
            return None
        return end


def _whole_tags_end(data: bytes | bytearray, start: int) -> int:
    found = _WHOLE_TAGS.match(data, start)
    assert found is not None  # it matches the empty string
    return found.end()

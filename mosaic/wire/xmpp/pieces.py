"""Take a stanza's bytes apart without building them anew."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.parsers import expat

from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza, start_tag_end
from mosaic.wire.xmpp.xml import wrapper_start

_ATTRIBUTE = re.compile(rb"""\s+([^\s=/<>"']+)\s*=\s*("[^"]*"|'[^']*')""")
_NAME = re.compile(rb"<([^\s/>]+)")
_ADDRESSES = frozenset({b"from", b"to"})

Unwanted = Callable[[str, str, dict[str, str]], bool]
"""Whether a child goes: its namespace, name, and attributes without one."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A stanza whose addresses are still to be written.

    name: of the tag, with its prefix if it has one. attributes: as they were,
    without `from` and `to`, namespace declarations included, each with a space
    before it. inner: all between the tags.
    """

    name: bytes
    attributes: bytes
    inner: bytes

    def whole(self) -> bytes:
        """The stanza without addresses."""
        return b"<%b%b>%b</%b>" % (self.name, self.attributes, self.inner, self.name)


def open_stanza(
    stanza: Stanza,
    *,
    keep: Callable[[bytes], bool] = lambda name: True,
    unwanted: Unwanted | None = None,
) -> Opened:
    """Take a stanza apart.

    keep: by its name, whether an attribute stays; declarations always do.
    unwanted: children that are left out.
    """
    raw = stanza.raw
    end, empty = start_tag_end(raw, 0)
    name = _NAME.match(raw)
    assert name is not None  # the parser checked it
    found = _ATTRIBUTE.findall(raw[name.end() : end])
    said = {key for key, _ in found}
    kept = [
        (key, value)
        for key, value in found
        if key.startswith(b"xmlns") or (key not in _ADDRESSES and keep(key))
    ]
    kept += [pair for pair in stanza.inherited if pair[0] not in said]
    inner = b""
    if not empty:
        inner = raw[end : raw.rindex(b"</")]
        if unwanted is not None:
            inner = b"".join(_pieces(stanza, unwanted))
    attributes = b"".join(b" %b=%b" % pair for pair in kept)
    return Opened(name[1], attributes, inner)


def reopen(text: str) -> Opened:
    """Take apart what Opened.whole() has made."""
    raw = text.encode()
    return open_stanza(Stanza(raw=raw, name="message", ns=NS_CLIENT))


def _pieces(stanza: Stanza, unwanted: Unwanted) -> list[bytes]:
    """What is between the tags, without the unwanted children."""
    raw, before = stanza.raw, wrapper_start(stanza)
    begin = start_tag_end(raw, 0)[0]
    cuts: list[tuple[int, int]] = []
    depth = 0
    start: int | None = None
    parser = expat.ParserCreate("UTF-8", " ")

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, start
        depth += 1
        if depth == 2:
            ns, _, local = name.rpartition(" ")
            if unwanted(ns, local, attributes):
                start = parser.CurrentByteIndex - len(before)

    def closed(_: str) -> None:
        nonlocal depth, start
        if depth == 2 and start is not None:
            end, is_empty = start_tag_end(raw, start)
            if not is_empty:
                end = raw.index(b">", parser.CurrentByteIndex - len(before)) + 1
            cuts.append((start, end))
            start = None
        depth -= 1

    parser.Parse(before, False)
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    parser.Parse(raw, False)
    kept = []
    for cut_start, cut_end in cuts:
        kept.append(raw[begin:cut_start])
        begin = cut_end
    kept.append(raw[begin : raw.rindex(b"</")])
    return kept

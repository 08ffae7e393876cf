# mypy: disable-error-code="no-untyped-call"
# Twisted's service and words packages have no annotations.
"""From a stanza's bytes to the Element that Wokkel's parts want, and back."""

from __future__ import annotations

from twisted.words.xish import domish

from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.xml import wrapper_start


def to_element(stanza: Stanza, sender: str) -> domish.Element:
    """Build the tree of a stanza that the stream parser has checked, with our
    `from` on it."""
    found: list[domish.Element] = []
    stream = domish.elementStream()
    stream.DocumentStartEvent = lambda _: None
    stream.ElementEvent = found.append
    stream.DocumentEndEvent = lambda: None
    stream.parse(wrapper_start(stanza))
    stream.parse(stanza.stamped(sender))
    return found[0]


def inner_xml(stanza: Stanza, *path: tuple[str, str]) -> str:
    """The first element below a path of children of a stanza's first child, as
    XML that needs no context. The path must be there."""
    here = next(to_element(stanza, "").elements())
    for ns, name in path:
        here = next(
            child for child in here.elements() if (child.uri, child.name) == (ns, name)
        )
    inner: str = next(here.elements()).toXml()
    return inner


def from_element(element: domish.Element) -> Stanza:
    """A component's stanza as bytes that fit into any client's stream."""
    payload = next(element.elements(), None)
    raw = element.toXml(defaultUri=NS_CLIENT)
    return Stanza(
        raw=raw.encode(),
        name=element.name,
        ns=NS_CLIENT,
        attributes=_plain(element),
        payload=None if payload is None else (payload.uri or "", payload.name),
    )


def _plain(element: domish.Element) -> dict[str, str]:
    return {
        key: value for key, value in element.attributes.items() if isinstance(key, str)
    }

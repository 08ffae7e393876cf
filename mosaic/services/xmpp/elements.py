# mypy: disable-error-code="no-untyped-call"
# Twisted's service and words packages have no annotations.
"""From a stanza's bytes to the Element that Wokkel's parts want, and back."""

from __future__ import annotations

from twisted.words.xish import domish

from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.xml import wrapper_start

NS_COMPONENT = "jabber:component:accept"


def to_element(stanza: Stanza, sender: str) -> domish.Element:
    """Build the tree of a stanza that the stream parser has checked, with our
    `from` on it."""
    return _parsed(wrapper_start(stanza), stanza.stamped(sender))


def read_element(raw: bytes) -> domish.Element:
    """The tree of a stanza of ours in jabber:client."""
    return _parsed(b"<w xmlns='jabber:client'>", raw)


def _parsed(*pieces: bytes) -> domish.Element:
    found: list[domish.Element] = []
    stream = domish.elementStream()
    stream.DocumentStartEvent = lambda _: None
    stream.ElementEvent = found.append
    stream.DocumentEndEvent = lambda: None
    for piece in pieces:
        stream.parse(piece)
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
    _into_client_namespace(element)
    payload = next(element.elements(), None)
    raw = element.toXml(defaultUri=NS_CLIENT)
    return Stanza(
        raw=raw.encode(),
        name=element.name,
        ns=NS_CLIENT,
        attributes=_plain(element),
        payload=None if payload is None else (payload.uri or "", payload.name),
    )


def _into_client_namespace(element: domish.Element) -> None:
    """What came through a component's stream is a client's stanza here
    (XEP-0114 section 2: another namespace, the same stanzas)."""
    left = [element]
    while left:
        one = left.pop()
        if one.uri in (NS_COMPONENT, None, ""):
            one.uri = NS_CLIENT
        if one.defaultUri == NS_COMPONENT:
            one.defaultUri = NS_CLIENT
        left.extend(one.elements())


def _plain(element: domish.Element) -> dict[str, str]:
    return {
        key: value for key, value in element.attributes.items() if isinstance(key, str)
    }

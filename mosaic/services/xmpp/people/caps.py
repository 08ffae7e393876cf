"""What clients can do, as they say in their presence (XEP-0115).

Each version is asked for once, of whoever brings it first; the answer counts
for everybody if it has the hash that the version is.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mosaic.services.xmpp.answers import Answers
from mosaic.services.xmpp.exchange import Exchange
from mosaic.services.xmpp.extras.disco import NS_DISCO_INFO
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.forms import FORM_TYPE, NS_FORM
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Node, element, read_node

NS_CAPS = "http://jabber.org/protocol/caps"
KNOWN_VERSIONS = 1000
ANSWER_TIMEOUT_S = 30.0
_HASHES = {"sha-1": "sha1", "sha-256": "sha256"}

Version = tuple[str, str]
"""Hash and value."""
Known = Callable[[Session, frozenset[str]], None]
"""Told what the client of a session can do."""


@dataclass(slots=True)
class _Asking:
    """A version that somebody was asked for. node: of the question."""

    node: str
    session: Session
    id: str
    waiting: list[Session]
    deadline: IDelayedCall


class Capabilities:
    """Finds the features of available sessions and tells on_known of them."""

    def __init__(self, clock: IReactorTime, exchange: Exchange) -> None:
        self._clock = clock
        self._exchange = exchange
        self._answers: Answers | None = None
        self._versions: OrderedDict[Version, frozenset[str]] = OrderedDict()
        self._asking: dict[Version, _Asking] = {}
        self._said: dict[Session, Version] = {}
        self.on_known: list[Known] = []

    def register(self, answers: Answers) -> None:
        """Hear the answers to our own questions."""
        self._answers = answers

    def heard(self, session: Session, stanza: Stanza) -> None:
        """A session's presence, available."""
        if b"protocol/caps" not in stanza.raw:
            if self._said.pop(session, None) is not None:
                self._tell(session, frozenset())
            return
        caps = read_node(stanza).child(NS_CAPS, "c")
        if caps is None:
            return
        of = caps.attributes
        version = (of.get("hash", ""), of.get("ver", ""))
        if self._said.get(session) == version or not all(version):
            return
        self._said[session] = version
        known = self._versions.get(version)
        if known is not None:
            self._versions.move_to_end(version)
            self._tell(session, known)
        elif version in self._asking:
            self._asking[version].waiting.append(session)
        else:
            self._ask(version, f"{of.get('node', '')}#{of.get('ver', '')}", session, [])

    def gone(self, session: Session) -> None:
        """A session is not available any more."""
        version = self._said.pop(session, None)
        asking = None if version is None else self._asking.get(version)
        if version is None or asking is None:
            return
        if asking.session is session:
            self._ask_next(version, asking)
        elif session in asking.waiting:
            asking.waiting.remove(session)

    # Questions.

    def _ask(
        self, version: Version, node: str, session: Session, waiting: list[Session]
    ) -> None:
        assert self._answers is not None  # registered before anybody is there
        id = self._exchange.new_id()
        deadline = self._clock.callLater(ANSWER_TIMEOUT_S, self._too_late, version, id)
        asking = _Asking(node, session, id, waiting, deadline)
        self._asking[version] = asking
        self._answers.expect(
            session, id, lambda answer: self._answered(version, asking, answer)
        )
        attributes = {
            "type": "get",
            "id": id,
            "from": self._exchange.domain,
            "to": session.address,
        }
        query = element("query", {"node": node}, ns=NS_DISCO_INFO)
        session.send(element("iq", attributes, query).encode())

    def _too_late(self, version: Version, id: str) -> None:
        asking = self._asking.get(version)
        if asking is not None and asking.id == id:
            self._ask_next(version, asking)

    def _end(self, version: Version, asking: _Asking) -> None:
        del self._asking[version]
        if asking.deadline.active():
            asking.deadline.cancel()

    def _ask_next(self, version: Version, asking: _Asking) -> None:
        """Somebody else who says the same."""
        self._end(version, asking)
        assert self._answers is not None  # registered before anybody is there
        self._answers.forget(asking.session, asking.id)
        if asking.waiting:
            first, *rest = asking.waiting
            self._ask(version, asking.node, first, rest)

    def _answered(self, version: Version, asking: _Asking, answer: Stanza) -> None:
        if self._asking.get(version) is not asking:
            return
        query = None
        if answer.type == "result":
            query = read_node(answer).child(NS_DISCO_INFO, "query")
        if query is None:
            self._ask_next(version, asking)
            return
        features = frozenset(
            node.attributes.get("var", "")
            for node in query.children
            if (node.ns, node.name) == (NS_DISCO_INFO, "feature")
        )
        if self._said.get(asking.session) == version:
            self._tell(asking.session, features)
        if verification(query, version[0]) != version[1]:
            # It counts for the one who said it (section 5.4).
            self._ask_next(version, asking)
            return
        self._end(version, asking)
        self._versions[version] = features
        if len(self._versions) > KNOWN_VERSIONS:
            self._versions.popitem(last=False)
        for session in asking.waiting:
            if self._said.get(session) == version:
                self._tell(session, features)

    def _tell(self, session: Session, features: frozenset[str]) -> None:
        for known in self.on_known:
            known(session, features)


def verification(query: Node, algorithm: str) -> str | None:
    """The version of a disco#info answer (section 5.1), None if it is
    ill-formed or the hash unknown."""
    if algorithm not in _HASHES:
        return None
    identities, features, forms = [], [], []
    for node in query.children:
        of = node.attributes
        if (node.ns, node.name) == (NS_DISCO_INFO, "identity"):
            parts = ("category", "type", "xml:lang", "name")
            identities.append("/".join(of.get(part, "") for part in parts))
        elif (node.ns, node.name) == (NS_DISCO_INFO, "feature"):
            features.append(of.get("var", ""))
        elif (node.ns, node.name) == (NS_FORM, "x"):
            forms.append(_form(node))
    whole = [*sorted(identities, key=_octets), *sorted(features, key=_octets)]
    kinds = [form[0] for form in forms if form is not None]
    if len(set(identities)) < len(identities) or len(set(features)) < len(features):
        return None
    if len(set(kinds)) < len(kinds):
        return None
    for form in sorted((form for form in forms if form), key=lambda f: _octets(f[0])):
        whole.extend(form)
    text = "".join(f"{part}<" for part in whole)
    digest = hashlib.new(_HASHES[algorithm], text.encode()).digest()
    return base64.b64encode(digest).decode()


def _form(node: Node) -> list[str] | None:
    """One form's part; None for a form that has no kind and is left out."""
    kind = ""
    fields: list[tuple[str, list[str]]] = []
    for field in node.children:
        name = field.attributes.get("var", "")
        values = [value.text for value in field.children if value.name == "value"]
        if name == FORM_TYPE:
            if field.attributes.get("type") != "hidden" or not values:
                return None
            kind = values[0]
        elif field.name == "field":
            fields.append((name, values))
    if not kind:
        return None
    found = [kind]
    for name, values in sorted(fields, key=lambda pair: _octets(pair[0])):
        found += [name, *sorted(values, key=_octets)]
    return found


def _octets(text: str) -> bytes:
    return text.encode()

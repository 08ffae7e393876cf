"""What comes along with a login by SASL2: a session (XEP-0386), or the one
before (XEP-0198), and a token for the next time (XEP-0484)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mosaic.auth.fast import FastToken
from mosaic.services.xmpp.login import NS_BIND2, NS_FAST
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.jid import JidError, prepare_resource
from mosaic.wire.xmpp.xml import Node, Xml, element

MAX_TAG = 64
"""Characters of the client's own part of a resource."""
_IDENTITY_BYTES = 9

BindFeature = Callable[[Session, Node], str]
"""Turns something on for a session that is being bound: the element that asks
for it in, what to answer within `<bound/>` out, "" for nothing."""


@dataclass(slots=True)
class AtBind:
    """What a client may turn on in the same breath (XEP-0386 section 3.2)."""

    features: dict[tuple[str, str], BindFeature] = field(default_factory=dict)

    def add(self, ns: str, name: str, turn_on: BindFeature) -> None:
        """Take an element of `<bind/>`; its namespace is announced."""
        self.features[ns, name] = turn_on

    def namespaces(self) -> list[str]:
        """What is announced, sorted."""
        return sorted({ns for ns, _ in self.features})

    def turn_on(self, session: Session, bind: Node) -> str:
        """Fulfil the wishes; those that nobody knows are passed over."""
        answers = []
        for wish in bind.children:
            feature = self.features.get((wish.ns, wish.name))
            if feature is not None:
                answers.append(feature(session, wish))
        return "".join(answers)


def resource_for(bind: Node, account: str, client: str, fresh: str) -> str:
    """Tag and identity (section 3.2.1). The same client gets the same resource
    each time, so that it replaces its own older session; the name that it gave
    itself is not to be seen in it.

    client: what it calls itself, or "". fresh: random text.
    """
    identity = fresh
    if client:
        digest = hashlib.sha256(f"{account}\0{client}".encode()).digest()
        identity = base64.urlsafe_b64encode(digest[:_IDENTITY_BYTES]).decode()
    tag = bind.child(NS_BIND2, "tag")
    text = "" if tag is None else tag.text.strip()
    if text and len(text) <= MAX_TAG:
        try:
            return f"{prepare_resource(text)}/{identity}"
        except JidError:
            pass
    return identity


def token_element(token: FastToken) -> Xml:
    """A token for the next time (XEP-0484 section 3.3)."""
    expiry = datetime.fromtimestamp(token.expires_at, UTC)
    return element(
        "token",
        {"token": token.secret, "expiry": expiry.strftime("%Y-%m-%dT%H:%M:%SZ")},
        ns=NS_FAST,
    )

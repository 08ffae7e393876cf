"""Presence subscriptions (RFC 6121 sections 2 and 3): what one side keeps of a
contact, and how each subscription stanza changes it (appendix A)."""

from __future__ import annotations

from dataclasses import dataclass, replace

SUBSCRIPTION_TYPES = frozenset(
    {"subscribe", "subscribed", "unsubscribe", "unsubscribed"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One contact of an account.

    jid: a bare address. listed: stands in the roster; without it we only
    remember that it asks. to: we get its presence. from_: it gets ours. ask: we
    asked and wait. approved: it will be granted when it asks (section 3.4).
    asking: its request that nobody has answered yet, as it came.
    """

    jid: str
    name: str = ""
    groups: tuple[str, ...] = ()
    listed: bool = False
    to: bool = False
    from_: bool = False
    ask: bool = False
    approved: bool = False
    asking: bytes = b""

    @property
    def subscription(self) -> str:
        """As the roster says it: none, to, from or both."""
        if self.to:
            return "both" if self.from_ else "to"
        return "from" if self.from_ else "none"

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to remember."""
        return self == Contact(jid=self.jid)


@dataclass(frozen=True, slots=True)
class Step:
    """After a stanza: what the contact is now; whether the stanza goes on, to
    the other side or to the clients; what is answered in our name, or ""."""

    contact: Contact
    onward: bool
    reply: str = ""


def sent(contact: Contact, kind: str) -> Step:
    """The account sends this to the contact (appendix A.2)."""
    if kind == "subscribe":
        ask = not contact.to
        return Step(replace(contact, listed=True, ask=ask), True)
    if kind == "unsubscribe":
        return Step(replace(contact, to=False, ask=False), True)
    if kind == "subscribed":
        if contact.asking:
            granted = replace(contact, listed=True, from_=True, asking=b"")
            return Step(replace(granted, approved=False), True)
        if contact.from_:
            return Step(contact, False)
        return Step(replace(contact, listed=True, approved=True), False)
    onward = contact.from_ or bool(contact.asking)
    return Step(replace(contact, from_=False, asking=b"", approved=False), onward)


def received(contact: Contact, kind: str, stanza: bytes) -> Step:
    """The contact sends this to the account (appendix A.3).

    stanza: kept if it is a request that its clients must answer.
    """
    if kind == "subscribe":
        if contact.from_:
            return Step(contact, False, "subscribed")
        if contact.approved:
            granted = replace(contact, from_=True, approved=False)
            return Step(granted, False, "subscribed")
        if contact.asking:
            return Step(contact, False)
        return Step(replace(contact, asking=stanza), True)
    if kind == "subscribed":
        if not contact.ask:
            return Step(contact, False)
        return Step(replace(contact, to=True, ask=False), True)
    if kind == "unsubscribe":
        onward = contact.from_ or bool(contact.asking)
        return Step(replace(contact, from_=False, asking=b""), onward)
    onward = contact.to or contact.ask
    return Step(replace(contact, to=False, ask=False), onward)

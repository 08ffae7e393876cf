"""Who gets which stanza (RFC 6121 section 8.5), among sessions and components.

Between people bytes are forwarded; a component gets an Element through
`to_component`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred

from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.errors import STANZA_ERROR_TYPES
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Xml, element

LASTING_TYPES = ("", "normal", "chat")
"""Messages that are meant for a person, now or later."""
NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
MAX_SESSIONS = 50
"""Resources that one account may have bound at a time."""

Component = Callable[[Stanza, Jid, Jid], Deferred[None] | None]
"""Takes a stanza, its sender and its addressee; fires when what was said is safe
or refused, None if that is so already."""
Guard = Callable[[Stanza, Jid, Jid], bool]
"""Whether a stanza may pass from its sender to its addressee; False drops it
without a word. Raises Undeliverable."""


class Undeliverable(Exception):
    """A stanza error for the sender (RFC 6120 section 8.3.3).

    kind: the error's type where it is not the usual one of the condition. text:
    told to people. detail: an application's own condition (section 8.3.4).
    """

    def __init__(
        self, condition: str, *, kind: str = "", text: str = "", detail: str = ""
    ) -> None:
        super().__init__(condition)
        self.condition = condition
        self.kind = kind or STANZA_ERROR_TYPES[condition]
        self.text = text
        self.detail = detail


class Exchange:
    """The sessions of one domain and the components beside it."""

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.components: dict[str, Component] = {}
        self.on_bind: list[Callable[[Session], None]] = []
        self.guard: Guard | None = None
        self.inbox: Component | None = None
        """Takes messages of types normal and chat to people; else they are
        delivered and forgotten."""
        self.on_unbind: list[Callable[[Session], None]] = []
        self._sessions: dict[str, dict[str, Session]] = {}
        self._asked = 0

    # Sessions.

    def bind(self, session: Session) -> None:
        """Take a session in; an older one of the same address is closed.

        Raises Undeliverable (resource-constraint) past MAX_SESSIONS.
        """
        mine = self._sessions.setdefault(session.jid.local, {})
        older = mine.get(session.jid.resource)
        if older is None and len(mine) >= MAX_SESSIONS:
            raise Undeliverable("resource-constraint")
        if older is not None:
            older.close("conflict")
        mine = self._sessions.setdefault(session.jid.local, {})
        mine[session.jid.resource] = session
        for tell in self.on_bind:
            tell(session)

    def unbind(self, session: Session) -> None:
        """Forget a session; safe to call twice."""
        mine = self._sessions.get(session.jid.local, {})
        if mine.get(session.jid.resource) is session:
            del mine[session.jid.resource]
            if not mine:
                del self._sessions[session.jid.local]
            for told in self.on_unbind:
                told(session)

    def sessions(self) -> Iterator[Session]:
        """All of them, safe against changes meanwhile."""
        for mine in list(self._sessions.values()):
            yield from list(mine.values())

    def of_account(self, local: str) -> list[Session]:
        """The sessions of one account."""
        return list(self._sessions.get(local, {}).values())

    def find(self, jid: Jid) -> Session | None:
        """The session of a full address."""
        return self._sessions.get(jid.local, {}).get(jid.resource)

    # Delivery.

    def deliver(self, stanza: Stanza, sender: Jid, to: Jid) -> Deferred[None] | None:
        """Pass a stanza on to whom it is for; see Component for what it returns.

        Raises Undeliverable; nobody is told about a lost error or result.
        """
        if not self.may_pass(stanza, sender, to):
            return None
        component = self.components.get(to.domain)
        if component is not None:
            return component(stanza, sender, to)
        if to.domain != self.domain:
            raise Undeliverable("remote-server-not-found")
        if stanza.name != "message":
            self._send(stanza, sender, self._receivers(stanza, to))
        elif self.inbox and to.local and stanza.type in LASTING_TYPES:
            self.inbox(stanza, sender, to)
        else:
            receivers = self.message_receivers(stanza.type, to)
            if not receivers and stanza.type in ("groupchat", *LASTING_TYPES):
                raise Undeliverable("service-unavailable")
            self._send(stanza, sender, receivers)
        return None

    def may_pass(self, stanza: Stanza, sender: Jid, to: Jid) -> bool:
        """Ask the guard. Raises Undeliverable."""
        return self.guard is None or self.guard(stanza, sender, to)

    def _send(self, stanza: Stanza, sender: Jid, receivers: list[Session]) -> None:
        raw = stanza.stamped(str(sender))
        for session in receivers:
            if session.quiet is not None and stanza.name == "message":
                session.quiet.let_go()
            session.send(raw)

    def _receivers(self, stanza: Stanza, to: Jid) -> list[Session]:
        """Of presence and IQs (RFC 6121 section 8.5)."""
        exact = self.find(to) if to.resource else None
        if exact is not None:
            return [exact]
        if stanza.name == "presence":
            return [] if to.resource else self.available(to.local)
        if stanza.type in ("error", "result"):
            return []
        raise Undeliverable("service-unavailable")

    def message_receivers(self, kind: str, to: Jid) -> list[Session]:
        """Who gets a message of that type (RFC 6121 section 8.5)."""
        mine = self._sessions.get(to.local)
        if mine is None:
            return []
        if to.resource:
            exact = mine.get(to.resource)
            if exact is not None:
                return [exact]
        if kind in ("error", "groupchat") or (to.resource and kind == "headline"):
            return []
        return [
            session
            for session in mine.values()
            if session.presence is not None and session.priority >= 0
        ]

    def available(self, local: str) -> list[Session]:
        """The account's sessions that have sent initial presence."""
        mine = self._sessions.get(local)
        if mine is None:
            return []
        return [session for session in mine.values() if session.presence is not None]

    def count_of(self, local: str) -> int:
        """How many sessions an account has."""
        mine = self._sessions.get(local)
        return 0 if mine is None else len(mine)

    def accounts(self) -> list[str]:
        """Those that have sessions."""
        return list(self._sessions)

    def new_id(self) -> str:
        """An id for a request of the server's own."""
        self._asked += 1
        return f"mosaic-{self._asked:x}"

    def everyone_available(self) -> list[Session]:
        """All sessions that have sent initial presence."""
        return [s for s in self.sessions() if s.presence is not None]


def error_reply(
    stanza: Stanza, error: Undeliverable, *, sender: str, to: str
) -> Xml | None:
    """The error for a stanza, or None where RFC 6120 section 8.3 forbids one.

    sender: who could not be reached. to: who sent the stanza.
    """
    if stanza.type == "error" or (stanza.name == "iq" and stanza.type == "result"):
        return None
    if stanza.name == "presence" and stanza.type not in ("", "unavailable"):
        return None
    what = element(error.condition, ns=NS_STANZAS)
    text = element("text", None, error.text, ns=NS_STANZAS) if error.text else ""
    return element(
        stanza.name,
        {"type": "error", "id": stanza.id, "from": sender, "to": to},
        element("error", {"type": error.kind}, what, text, Xml(error.detail)),
    )

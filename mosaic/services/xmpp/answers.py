"""IQs that the server answers itself: for its domain and for an account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Xml, element

NS_DISCO_INFO = "http://jabber.org/protocol/disco#info"
NS_DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
NS_PING = "urn:xmpp:ping"
NS_ROSTER = "jabber:iq:roster"
NS_SESSION = "urn:ietf:params:xml:ns:xmpp-session"

_FEATURES = (NS_DISCO_INFO, NS_DISCO_ITEMS, NS_PING)
_Answer = Callable[[Session, bool], Awaitable["Xml | str"]]


class Answers:
    """Ping, service discovery and the generated roster.

    account_names: every account of the domain, for the roster.
    """

    def __init__(
        self,
        exchange: Exchange,
        account_names: Callable[[], Awaitable[Iterable[str]]],
    ) -> None:
        self._exchange = exchange
        self._account_names = account_names
        self._answers: dict[tuple[str, str, str], _Answer] = {
            ("get", NS_PING, "ping"): self._nothing,
            ("set", NS_SESSION, "session"): self._nothing,
            ("get", NS_DISCO_INFO, "query"): self._info,
            ("get", NS_DISCO_ITEMS, "query"): self._items,
            ("get", NS_ROSTER, "query"): self._roster,
        }

    async def asked(self, session: Session, stanza: Stanza, to: Jid | None) -> None:
        """Answer an IQ to the domain (to), or to the account itself (None or its
        bare address). Raises Undeliverable (service-unavailable)."""
        if stanza.type in ("result", "error"):
            return
        ns, name = stanza.payload or ("", "")
        answer = self._answers.get((stanza.type, ns, name))
        if answer is None:
            raise Undeliverable("service-unavailable")
        of_domain = to is not None and not to.local
        inner = await answer(session, of_domain)
        session.send(
            element(
                "iq",
                {
                    "type": "result",
                    "id": stanza.id,
                    "from": session.jid.bare if to is None else str(to),
                    "to": session.address,
                },
                inner,
            ).encode()
        )

    async def _nothing(self, session: Session, of_domain: bool) -> str:
        return ""

    async def _info(self, session: Session, of_domain: bool) -> Xml:
        """XEP-0030: who answers here, and what it can do."""
        identity = {"category": "account", "type": "registered"}
        if of_domain:
            identity = {"category": "server", "type": "im", "name": "Mosaic"}
        features = (element("feature", {"var": feature}) for feature in _FEATURES)
        return element(
            "query", None, element("identity", identity), *features, ns=NS_DISCO_INFO
        )

    async def _items(self, session: Session, of_domain: bool) -> Xml:
        """The components beside the domain, or nothing below an account."""
        hosts = sorted(self._exchange.components) if of_domain else []
        items = (element("item", {"jid": host}) for host in hosts)
        return element("query", None, *items, ns=NS_DISCO_ITEMS)

    async def _roster(self, session: Session, of_domain: bool) -> Xml:
        """RFC 6121 section 2.1.3: the organisation, without oneself."""
        if of_domain:
            raise Undeliverable("service-unavailable")
        items = (
            element(
                "item",
                {
                    "jid": f"{name}@{self._exchange.domain}",
                    "name": name,
                    "subscription": "both",
                },
            )
            for name in sorted(await self._account_names())
            if name != session.jid.local
        )
        return element("query", None, *items, ns=NS_ROSTER)

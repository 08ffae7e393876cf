"""Hubs as contacts: everybody has them, and sees what they do.

A seam: it works for whatever HubSource is given; without one there are no hubs.
"""

from __future__ import annotations

from collections.abc import Iterable

from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.people.csi import tell_presence
from mosaic.services.xmpp.people.directory import Directory
from mosaic.services.xmpp.people.presence import Presence
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.subscription import Contact
from mosaic.wire.xmpp.xml import element
from mosaic.workspace.hubs import HUBS, Doing, HubSource, HubState

GROUP = "Hubs"
RESOURCE = "hub"
_SHOW = {Doing.MEETING: "dnd", Doing.PRESENTING: "dnd", Doing.UPDATING: "xa"}


class HubContacts:
    """Contacts at `hubs.<domain>`, whose presence is what they do."""

    def __init__(
        self,
        exchange: Exchange,
        source: HubSource,
        *,
        directory: Directory,
        presence: Presence,
    ) -> None:
        self.host = f"{HUBS}.{exchange.domain}"
        self._exchange = exchange
        self._source = source
        self._directory = directory
        self._told: set[Session] = set()
        self._known = {state.id: state.name for state in source.states()}
        exchange.components[self.host] = self._received
        directory.sources.append(self._contacts)
        presence.on_available.append(self._available)
        presence.on_gone.append(self._told.discard)
        source.listen(self._changed, self._gone)

    async def _contacts(self) -> Iterable[Contact]:
        return [
            Contact(
                jid=f"{state.id}@{self.host}",
                name=state.name,
                groups=(GROUP,),
                listed=True,
                to=True,
                from_=True,
            )
            for state in self._source.states()
        ]

    def _available(self, session: Session, stanza: Stanza) -> None:
        """One who has just come sees every hub that is there."""
        if session in self._told:
            return
        self._told.add(session)
        for state in self._source.states():
            if state.doing is not Doing.OFFLINE:
                session.send(self._presence(state))

    def _changed(self, state: HubState) -> None:
        if self._known.get(state.id) != state.name:
            self._known[state.id] = state.name
            self._directory.changed()
        self._tell(state)

    def _gone(self, state: HubState) -> None:
        self._known.pop(state.id, None)
        self._tell(state)
        self._directory.changed()

    def _tell(self, state: HubState) -> None:
        raw = self._presence(state)
        for session in self._exchange.everyone_available():
            tell_presence(session, self._address(state), raw)

    def _address(self, state: HubState) -> str:
        return f"{state.id}@{self.host}/{RESOURCE}"

    def _presence(self, state: HubState) -> bytes:
        attributes = {"from": self._address(state)}
        if state.doing is Doing.OFFLINE:
            return element("presence", {**attributes, "type": "unavailable"}).encode()
        show = _SHOW.get(state.doing)
        return element(
            "presence",
            attributes,
            *([element("show", None, show)] if show else []),
            element("status", None, state.doing.value),
        ).encode()

    def _received(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """Nobody reads at a hub yet."""
        if stanza.name != "presence":
            raise Undeliverable("service-unavailable")

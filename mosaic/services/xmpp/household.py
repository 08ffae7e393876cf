"""What all streams of the service share."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mosaic.auth.interface import Door
from mosaic.config.settings import Xmpp
from mosaic.services.xmpp.answers import Answers
from mosaic.services.xmpp.counters import Counters
from mosaic.services.xmpp.exchange import Exchange
from mosaic.services.xmpp.hubagents import HubStreams
from mosaic.services.xmpp.outbox import Turn
from mosaic.services.xmpp.people.messages import Messages
from mosaic.services.xmpp.people.persons import Persons
from mosaic.services.xmpp.people.presence import Presence
from mosaic.services.xmpp.session import Session
from mosaic.services.xmpp.streams.inline import AtBind
from mosaic.services.xmpp.streams.managed import EndedSessions, Managed
from mosaic.services.xmpp.streams.spare import SpareParsers
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Xml


class Stream(Protocol):
    """A connection of whatever kind, as the service sees it."""

    def close(self, condition: str | None = None, text: str = "") -> None:
        """End it, with a stream error if one is named."""

    def closed(self) -> Deferred[None]:
        """Fires when the connection is truly gone."""

    def look(self) -> None:
        """The house looks around: ask the peer whether it is there, or take it
        for gone (streams/upkeep.py)."""


Nonza = Callable[[Session, Stanza], None]
"""Takes an element of a bound stream that is no stanza, such as `<active/>`."""


PresenceMark = Callable[[Session, Stanza], Stanza]
"""Adds to a session's presence before anybody sees it."""


def new_token() -> str:
    """144 random bits as text: nonces, stream ids, resources."""
    return secrets.token_urlsafe(18)


@dataclass(slots=True, kw_only=True)
class Household:
    """The collaborators of a stream, and the streams that there are.

    at_bind: what may be turned on while binding (XEP-0386). nonzas: who takes
    elements that are no stanzas, by namespace and name.
    resumable: managed sessions by what a client names to come back. ended: those
    that are over. draining: nobody new is let in. parsers:
    those that no stream needs at the moment.
    """

    clock: IReactorTime
    settings: Xmpp
    door: Door
    exchange: Exchange
    persons: Persons
    presence: Presence
    messages: Messages
    answers: Answers
    agents: HubStreams
    features: list[Xml] = field(default_factory=list)
    """What a stream offers once its client has logged in."""
    marks: list[PresenceMark] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)
    streams: set[Stream] = field(default_factory=set)
    at_bind: AtBind = field(default_factory=AtBind)
    nonzas: dict[tuple[str, str], Nonza] = field(default_factory=dict)
    resumable: dict[str, Managed] = field(default_factory=dict)
    ended: EndedSessions = field(default_factory=EndedSessions)
    draining: bool = False
    parsers: SpareParsers = field(default_factory=SpareParsers)
    turn: Turn = field(init=False)

    def __post_init__(self) -> None:
        self.turn = Turn(self.clock)

    new_token: Callable[[], str] = new_token

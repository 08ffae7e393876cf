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
from mosaic.services.xmpp.messages import Messages
from mosaic.services.xmpp.presence import Presence
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.stanza import Stanza


class Stream(Protocol):
    """A connection of whatever kind, as the service sees it."""

    def close(self, condition: str | None = None, text: str = "") -> None:
        """End it, with a stream error if one is named."""

    def closed(self) -> Deferred[None]:
        """Fires when the connection is truly gone."""


PresenceMark = Callable[[Session, Stanza], Stanza]
"""Adds to a session's presence before anybody sees it."""


def new_token() -> str:
    """144 random bits as text: nonces, stream ids, resources."""
    return secrets.token_urlsafe(18)


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """The collaborators of a stream, and the streams that there are."""

    clock: IReactorTime
    settings: Xmpp
    door: Door
    exchange: Exchange
    presence: Presence
    messages: Messages
    answers: Answers
    marks: list[PresenceMark] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)
    streams: set[Stream] = field(default_factory=set)
    new_token: Callable[[], str] = new_token

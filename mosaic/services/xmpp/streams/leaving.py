"""The end of a session: others hear of it, and what it never got is handed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.xmpp.session import Session

if TYPE_CHECKING:
    from mosaic.services.xmpp.household import Household

_log = Logger()


def leave(house: Household, session: Session, unacknowledged: list[bytes]) -> None:
    """Unbind a session, say so to those who saw it, and hand on its stanzas."""
    house.counters.sessions -= 1
    house.exchange.unbind(session)
    house.presence.gone(session)
    for raw in unacknowledged:
        if raw.startswith(b"<presence"):
            continue
        try:
            _hand_on(house, session, raw)
        except Exception as error:
            reason = Failure(error)  # type: ignore[no-untyped-call]
            _log.failure("an undelivered stanza was lost", reason)


def _hand_on(house: Household, session: Session, raw: bytes) -> None:
    house.counters.undelivered += 1
    house.messages.undelivered(raw, session)

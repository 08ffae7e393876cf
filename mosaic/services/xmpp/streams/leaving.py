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
        _hand_on(house, session, raw)


def _hand_on(house: Household, session: Session, raw: bytes) -> None:
    """One that fails does not hold up the others."""
    if raw.startswith(b"<presence"):
        return
    house.counters.undelivered += 1
    try:
        errand = house.messages.undelivered(raw, session)
    except Exception as error:
        _lost(Failure(error))  # type: ignore[no-untyped-call]
        return
    if errand is None:
        return
    house.errands.add(errand)

    def done(_: object) -> None:
        house.errands.discard(errand)

    errand.addErrback(_lost).addCallback(done)


def _lost(reason: Failure) -> None:
    _log.failure("an undelivered stanza was lost", reason)

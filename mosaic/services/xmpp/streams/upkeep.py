"""Looking around: who is still there, and who owes an acknowledgement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

if TYPE_CHECKING:
    from mosaic.services.xmpp.household import Household


class Upkeep:
    """Has every stream look after itself, some times in each `answer_s`: one
    timer for all of them, and nothing to be done when bytes come in."""

    LOOKS = 2
    """In each answer_s."""

    def __init__(self, house: Household) -> None:
        self._house = house
        self._call: IDelayedCall | None = None

    @property
    def every_s(self) -> float:
        """How long it is from one look to the next."""
        return self._house.settings.answer_s / self.LOOKS

    def start(self) -> None:
        """Begin."""
        self._call = self._house.clock.callLater(self.every_s, self._look)

    def stop(self) -> None:
        """End; safe to call twice."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look(self) -> None:
        self.start()
        for stream in list(self._house.streams):
            stream.look()

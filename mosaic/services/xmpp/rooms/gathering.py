"""Who is in a room and who is told of whom.

Up to `xmpp.presence_limit` occupants everybody is told of everybody. Above it
the room is crowded: moderators are still shown to all, and all to moderators
and to themselves; the coming, going and presence of the others is told to
nobody else. Those whom all had been told of before take leave of all. When
nine tenths of the limit are reached again, everybody is told of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mosaic.services.xmpp.rooms.front import Front
from mosaic.services.xmpp.rooms.names import Status
from mosaic.services.xmpp.rooms.occupants import Occupant, Seat
from mosaic.services.xmpp.rooms.render import Cast, presence_cast
from mosaic.wire.xmpp.jid import Jid

CALM_AGAIN = 0.9


class Gathering:
    """The occupants of one room, by nick, participant and session.

    sweep: called soon after something could not be sent to some seats; they
    are in `lost`.
    """

    def __init__(self, front: Front, sweep: Callable[[], None]) -> None:
        self._front = front
        self._sweep = sweep
        self._is_due = False
        self.by_nick: dict[str, Occupant] = {}
        self.by_id: dict[str, Occupant] = {}
        self.seats: dict[Jid, Seat] = {}
        self.crowded = False
        self.lost: list[Seat] = []
        # What newcomers are told of each: made again when it is another.
        self._shown: dict[Occupant, Cast] = {}

    # Sending ---------------------------------------------------------------
    def cast(
        self, cast: Cast, seats: Iterable[Seat] | None = None, seq: int = 0
    ) -> None:
        """The same to all, or to some. seq: of an entry of the archive; who
        has had it as history is left out."""
        send, count = self._front.outlet.send, 0
        for seat in list(self.seats.values() if seats is None else seats):
            if seq and seq <= seat.since:
                continue
            head, tail = cast(seat)
            count += 1
            if not send(seat.jid, head + seat.to + tail):
                self.lost.append(seat)
        self._front.counters.copies += count
        if self.lost and not self._is_due:
            # Not now: to take one out tells others, who may be lost in turn.
            self._is_due = True
            self._front.clock.callLater(0, self._swept)

    def _swept(self) -> None:
        self._is_due = False
        self._sweep()

    # Coming and going ------------------------------------------------------
    def add(self, occupant: Occupant) -> None:
        """Without telling anybody."""
        self.by_nick[occupant.nick] = occupant
        self.by_id[occupant.id] = occupant
        if len(self.by_nick) > self._front.settings.presence_limit:
            self.crowded = True

    def sit(self, seat: Seat) -> None:
        """A session takes its place with its occupant."""
        seat.occupant.seats.append(seat)
        self.seats[seat.jid] = seat
        self._front.counters.occupants += 1

    def rise(self, seat: Seat) -> None:
        """A session leaves its place, without telling anybody."""
        if self.seats.get(seat.jid) is seat:
            del self.seats[seat.jid]
            seat.occupant.seats.remove(seat)
            self._front.counters.occupants -= 1

    def remove(self, occupant: Occupant) -> None:
        """Without telling anybody."""
        if self.by_nick.get(occupant.nick) is occupant:
            del self.by_nick[occupant.nick]
        if self.by_id.get(occupant.id) is occupant:
            del self.by_id[occupant.id]
        self._shown.pop(occupant, None)

    def rename(self, occupant: Occupant, nick: str) -> None:
        """Another nick, without telling anybody."""
        del self.by_nick[occupant.nick]
        occupant.nick = nick
        self.by_nick[nick] = occupant

    # Telling ---------------------------------------------------------------
    def show(
        self,
        occupant: Occupant,
        *,
        but: Seat | None = None,
        own: Iterable[Status] = (),
        stanza_id: str | None = None,
    ) -> None:
        """Tell of an occupant's presence as it is now."""
        occupant.announced = self._concerns_all(occupant) or (
            occupant.announced and not self.crowded
        )
        cast = self._shown[occupant] = presence_cast(
            occupant, self._front.host, own=own, stanza_id=stanza_id
        )
        seats = self._audience(occupant)
        self.cast(cast, [seat for seat in seats if seat is not but])

    def show_first(self, occupant: Occupant) -> None:
        """Tell the others of one who has just come."""
        occupant.announced = self._concerns_all(occupant)
        cast = self._shown[occupant] = presence_cast(occupant, self._front.host)
        others = [s for s in self._audience(occupant) if s.occupant is not occupant]
        self.cast(cast, others)

    def show_gone(self, occupant: Occupant, cast: Cast) -> None:
        """Tell of one who has gone; the cast says how."""
        everybody = occupant.announced or self._concerns_all(occupant)
        seats = self.seats.values() if everybody else self._audience(occupant)
        self.cast(cast, [seat for seat in seats if seat.occupant is not occupant])

    def introduce(self, seat: Seat) -> None:
        """Tell a session of the others."""
        shy = self.crowded and not seat.occupant.is_moderator
        seat.sparse = shy
        for other in list(self.by_nick.values()):
            if other is not seat.occupant and (other.is_moderator or not shy):
                self.cast(self._present(other), [seat])

    def settle(self) -> None:
        """After somebody has gone: is it calm enough to tell everybody of all?"""
        limit = self._front.settings.presence_limit * CALM_AGAIN
        if not self.crowded or len(self.by_nick) > limit:
            return
        self.crowded = False
        sparse = [seat for seat in self.seats.values() if seat.sparse]
        for occupant in list(self.by_nick.values()):
            cast = self._present(occupant)
            told = sparse if occupant.announced else self.seats.values()
            occupant.announced = True
            self.cast(cast, [seat for seat in told if seat.occupant is not occupant])
        for seat in sparse:
            seat.sparse = False

    def catch_up(self, occupant: Occupant) -> None:
        """One who has become a moderator is told of everybody."""
        for seat in list(occupant.seats):
            if seat.sparse and occupant.is_moderator:
                self.introduce(seat)

    def _present(self, occupant: Occupant) -> Cast:
        cast = self._shown.get(occupant)
        if cast is None:
            cast = self._shown[occupant] = presence_cast(occupant, self._front.host)
        return cast

    def _concerns_all(self, occupant: Occupant) -> bool:
        return not self.crowded or occupant.is_moderator

    def _audience(self, occupant: Occupant) -> list[Seat]:
        if self._concerns_all(occupant):
            return list(self.seats.values())
        return [
            seat
            for seat in self.seats.values()
            if seat.occupant is occupant or seat.occupant.is_moderator
        ]

"""What every store does with activation codes, hubs, seats and commands."""

from __future__ import annotations

from dataclasses import replace

from mosaic.store.errors import NameTaken, NotFound
from mosaic.store.hubs import HubSeat, TooMany
from mosaic.workspace.hubcodes import HubCode
from mosaic.workspace.hubnetwork import HubNetwork, NetworkTrial, NetworkVerdict
from mosaic.workspace.hubs import (
    CalendarEntry,
    Desired,
    Hub,
    HubCommand,
    Outcome,
    UpdatePolicy,
    Window,
)
from mosaic.workspace.model import Room
from tests.support.stores import (
    NOW,
    ROOM,
    SECOND,
    MemoryCase,
    SqlCase,
    StoreContract,
)

CODE = HubCode(
    id="c" * 16,
    digest=b"d" * 32,
    name="third floor",
    uses=2,
    uses_left=2,
    created_at=NOW,
    expires_at=NOW + 600,
    by="ada",
)
THIRD = Room(hub_id="300000007", name="Box", pin="000001", created_at=NOW)
HUB = Hub(
    hub_id=THIRD.hub_id,
    name="Lisbon",
    public_key=b"p" * 32,
    code=CODE.digest,
    enrolled_at=NOW,
    version="1.0",
    platform="Debian 12",
)
NETWORK = HubNetwork(
    at=NOW,
    reason="daily",
    outcome="degraded",
    verdicts=(NetworkVerdict(capability="media", outcome="degraded", advice="TLS"),),
    checks=(NetworkTrial(name="udp-53", outcome="blocked", ms=2104.0),),
)
MEETING = CalendarEntry(start=1, end=2, title="Review", room="100000009", pin="012345")


def command(number: int, **changes: object) -> HubCommand:
    """A restart, changed as said."""
    base = HubCommand(
        id=f"{number:032x}",
        hub_id=HUB.hub_id,
        command="restart",
        by="ada",
        at=NOW + number,
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields of one type each


def seat(person: str, **changes: object) -> HubSeat:
    """A place in the blue room, changed as said."""
    base = HubSeat(
        participant_id=person.ljust(16, "0"),
        hub_id=HUB.hub_id,
        room=ROOM.hub_id,
        created_at=NOW,
        expires_at=NOW + 60,
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # as above


class HubsCase(StoreContract):
    """A house with a code."""

    def setUp(self) -> None:
        super().setUp()
        self.furnish()
        self.result(self.store.add_hub_code(CODE))

    def enrol(self, hub: Hub = HUB, room: Room = THIRD, now: float = NOW) -> Hub:
        """Bring a hub in."""
        return self.result(self.store.enrol_hub(hub, room, now=now, most=3))

    def left(self) -> int:
        """Uses of the code."""
        return self.result(self.store.hub_codes())[0].uses_left


class CodeContract(HubsCase):
    """Codes, and coming by them."""

    def test_codes_are_found_by_their_digest(self) -> None:
        """And listed; each is kept once."""
        self.assertEqual(self.result(self.store.hub_code(CODE.digest)), CODE)
        self.assertIsNone(self.result(self.store.hub_code(b"e" * 32)))
        self.assertEqual(self.result(self.store.hub_codes()), [CODE])
        self.fails(NameTaken, self.store.add_hub_code(replace(CODE, id="e" * 16)))
        self.fails(NameTaken, self.store.add_hub_code(replace(CODE, digest=b"e")))

    def test_codes_go(self) -> None:
        """One by its id, the old ones by their expiry."""
        old = replace(CODE, id="e" * 16, digest=b"e" * 32, expires_at=NOW - 1)
        self.result(self.store.add_hub_code(old))
        gone = self.result(self.store.remove_hub_codes(expired_before=NOW))
        self.assertEqual((gone, self.result(self.store.hub_codes())), (1, [CODE]))
        self.result(self.store.remove_hub_code(CODE.id))
        self.fails(NotFound, self.store.remove_hub_code(CODE.id))

    def test_a_hub_comes_with_its_room(self) -> None:
        """The code is used once for it."""
        self.assertEqual(self.enrol(), HUB)
        self.assertEqual(self.result(self.store.hubs()), [HUB])
        self.assertEqual(self.result(self.store.room(THIRD.hub_id)), THIRD)
        self.assertEqual(self.left(), 1)

    def test_the_same_key_is_the_same_hub(self) -> None:
        """It lost the answer and asks again, when the code is used up too."""
        self.enrol()
        other = replace(HUB, hub_id="400000006", name="again")
        self.assertEqual(self.enrol(other), HUB)
        self.assertEqual(self.left(), 1)
        second = replace(HUB, hub_id=SECOND.hub_id, public_key=b"q" * 32)
        self.enrol(second, SECOND)
        self.assertEqual(self.left(), 0)
        self.assertEqual(self.enrol(other, now=NOW + 9999), HUB)
        self.assertEqual(len(self.result(self.store.hubs())), 2)

    def test_a_known_key_needs_a_code_all_the_same(self) -> None:
        """Its own, or a good one."""
        self.enrol()
        stranger = replace(HUB, code=b"x" * 32)
        self.fails(NotFound, self.store.enrol_hub(stranger, THIRD, now=NOW, most=3))
        good = replace(CODE, id="e" * 16, digest=b"x" * 32)
        self.result(self.store.add_hub_code(good))
        self.assertEqual(self.enrol(stranger), HUB)

    def test_bad_codes_bring_nobody(self) -> None:
        """Unknown, over, or used up: one answer, and nothing is kept."""
        for hub, now in ((replace(HUB, code=b"x" * 32), NOW), (HUB, NOW + 600)):
            self.fails(NotFound, self.store.enrol_hub(hub, THIRD, now=now, most=3))
        self.assertEqual(self.result(self.store.hubs()), [])
        self.fails(NotFound, self.store.room(THIRD.hub_id))
        self.assertEqual(self.left(), 2)

    def test_there_is_a_most(self) -> None:
        """Past it nobody comes, and no code is spent."""
        self.fails(TooMany, self.store.enrol_hub(HUB, THIRD, now=NOW, most=0))
        self.assertEqual(self.left(), 2)

    def test_a_taken_number_is_told(self) -> None:
        """So that another one can be tried; no code is spent."""
        wrong = replace(HUB, hub_id=ROOM.hub_id)
        self.fails(NameTaken, self.store.enrol_hub(wrong, ROOM, now=NOW, most=3))
        self.assertEqual(self.left(), 2)


class HubContract(HubsCase):
    """One hub that is there."""

    def setUp(self) -> None:
        super().setUp()
        self.enrol()

    def hub(self) -> Hub:
        """As it is kept."""
        return self.result(self.store.hubs())[0]

    def test_everything_that_changes_is_kept(self) -> None:
        """And seq tells the feed."""
        wanted = replace(
            HUB,
            name="Porto",
            version="2.0",
            desired=Desired(room=ROOM.hub_id, sent=False, volume=1, muted=True),
            update=UpdatePolicy(channel="beta", window=Window(start="1", end="2")),
            calendar_url="https://example.org/a.ics",
            calendar=(MEETING, replace(MEETING, pin=None)),
            last_seen=NOW + 5,
            network=NETWORK,
        )
        done = self.result(self.store.change_hub(HUB.hub_id, lambda hub: wanted))
        self.assertEqual(done, replace(wanted, seq=2))
        self.assertEqual(self.hub(), done)

    def test_what_the_feed_does_not_show_is_no_news(self) -> None:
        """Unless it is told to be."""
        change = self.store.change_hub
        found = replace(HUB, last_seen=NOW, network=NETWORK)
        seen = self.result(change(HUB.hub_id, lambda hub: found))
        self.assertEqual(seen.seq, 1)
        same = self.result(change(HUB.hub_id, lambda hub: hub, touch=True))
        self.assertEqual((same.seq, self.hub().seq), (2, 2))

    def test_what_makes_it_itself_stays(self) -> None:
        """Whatever a change says."""
        thief = replace(HUB, hub_id="1", public_key=b"x", code=b"y", seq=99)
        done = self.result(self.store.change_hub(HUB.hub_id, lambda hub: thief))
        self.assertEqual(done, HUB)

    def test_a_change_that_fails_changes_nothing(self) -> None:
        """Its error comes back."""

        def refuse(hub: Hub) -> Hub:
            raise ZeroDivisionError

        self.fails(ZeroDivisionError, self.store.change_hub(HUB.hub_id, refuse))
        self.fails(NotFound, self.store.change_hub("1", lambda hub: hub))
        self.assertEqual(self.hub(), HUB)

    def test_removal_keeps_the_room(self) -> None:
        """Seats and commands go."""
        self.result(self.store.add_hub_seat(seat("a")))
        self.result(self.store.add_hub_command(command(1), most=9))
        self.result(self.store.remove_hub(HUB.hub_id))
        self.fails(NotFound, self.store.remove_hub(HUB.hub_id))
        self.assertEqual(self.result(self.store.hubs()), [])
        self.assertEqual(self.result(self.store.room(THIRD.hub_id)), THIRD)
        self.assertEqual(self.result(self.store.hub_seats(HUB.hub_id)), [])
        self.assertEqual(self.result(self.store.hub_commands()), [])

    # Seats
    def test_seats(self) -> None:
        """Kept in their order, found by participant, forgotten."""
        first, second = seat("a"), seat("b", created_at=NOW + 1, expires_at=NOW + 90)
        for one in (second, first):
            self.result(self.store.add_hub_seat(one))
        found = self.result(self.store.hub_seats(HUB.hub_id))
        self.assertEqual(found, [first, second])
        find = self.store.hub_seat
        self.assertEqual(self.result(find(second.participant_id)), second)
        self.assertIsNone(self.result(find("nobody")))
        gone = self.result(self.store.remove_hub_seats(expired_before=NOW + 70))
        self.assertEqual(gone, 1)
        prolong = self.store.prolong_hub_seat
        self.result(prolong(second.participant_id, NOW + 500))
        self.assertEqual(
            self.result(find(second.participant_id)),
            replace(second, expires_at=NOW + 500),
        )
        self.fails(NotFound, prolong(first.participant_id, NOW + 500))
        self.result(self.store.remove_hub_seat(second.participant_id))
        self.result(self.store.remove_hub_seat(second.participant_id))
        self.assertEqual(self.result(self.store.hub_seats(HUB.hub_id)), [])
        self.fails(NotFound, self.store.add_hub_seat(seat("a", hub_id="1")))

    # Commands
    def test_a_command_is_news(self) -> None:
        """The hub that comes back has the next seq."""
        hub = self.result(self.store.add_hub_command(command(1), most=9))
        self.assertEqual((hub.seq, self.hub().seq), (2, 2))
        found = self.result(self.store.hub_command(HUB.hub_id, command(1).id))
        self.assertEqual(found, command(1))
        self.fails(NotFound, self.store.hub_command("1", command(1).id))
        lost = command(2, hub_id="1")
        self.fails(NotFound, self.store.add_hub_command(lost, most=9))

    def test_so_many_wait(self) -> None:
        """Those that were answered do not count."""
        add = self.store.add_hub_command
        self.result(add(command(1), most=1))
        self.fails(TooMany, add(command(2), most=1))
        self.finish(1)
        self.result(add(command(2), most=1))
        listed = self.result(self.store.hub_commands(hub_id=HUB.hub_id))
        self.assertEqual([one.id for one in listed], [command(2).id, command(1).id])
        waiting = self.result(self.store.hub_commands(state=Outcome.WAITING))
        self.assertEqual([one.id for one in waiting], [command(2).id])

    def finish(self, number: int) -> bool:
        """Answer a command."""
        return self.result(
            self.store.finish_hub_command(
                HUB.hub_id, command(number).id, state=Outcome.FAILED, detail="no"
            )
        )

    def test_the_first_answer_counts(self) -> None:
        """A file comes before it or not at all."""
        self.result(self.store.add_hub_command(command(1), most=9))

        def note() -> None:
            self.result(
                self.store.note_hub_file(
                    HUB.hub_id, command(1).id, media_type="image/png", size_bytes=7
                )
            )

        note()
        self.assertEqual((self.finish(1), self.finish(1)), (True, False))
        wanted = command(
            1,
            state=Outcome.FAILED,
            detail="no",
            media_type="image/png",
            size_bytes=7,
        )
        found = self.result(self.store.hub_command(HUB.hub_id, command(1).id))
        self.assertEqual(found, wanted)
        with self.assertRaises(NotFound):
            note()
        with self.assertRaises(NotFound):
            self.finish(3)

    def test_old_commands_go(self) -> None:
        """And are told, so that their files can go."""
        for number in (1, 2):
            self.result(self.store.add_hub_command(command(number), most=9))
        gone = self.result(self.store.remove_hub_commands(before=NOW + 2))
        self.assertEqual(gone, [command(1)])
        self.assertEqual(len(self.result(self.store.hub_commands())), 1)


class MemoryCodeTests(MemoryCase, CodeContract):
    """The fake."""


class SqlCodeTests(SqlCase, CodeContract):
    """On disk."""


class MemoryHubTests(MemoryCase, HubContract):
    """The fake."""


class SqlHubTests(SqlCase, HubContract):
    """On disk."""


# Abstract: nothing for the runner to collect.
del StoreContract, MemoryCase, SqlCase, HubsCase, CodeContract, HubContract

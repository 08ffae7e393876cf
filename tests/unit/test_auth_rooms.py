"""The door for rooms: PINs, members, lobby, lock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.interface import (
    Forbidden,
    InvalidToken,
    Issued,
    RoomUnavailable,
    TryLater,
    WrongCredentials,
)
from mosaic.store.interface import NameTaken, NotFound
from mosaic.workspace.ids import (
    format_hub_id,
    is_participant_id,
    luhn_digit,
    parse_hub_id,
)
from mosaic.workspace.model import Principal, Role
from tests.support.doors import NOON, House

HOME = "192.0.2.1"
RIGHT = "correct horse"


class RoomCase(SynchronousTestCase):
    """A room of ada's, with ben as a viewer and root as administrator."""

    def setUp(self) -> None:
        self.house = House()
        self.door = self.house.door
        self.run_ = self.house.run
        for name in ("ada", "ben", "cyd", "root"):
            self.run_(self.door.add_account(name, RIGHT, admin=name == "root"))
        self.room = self.run_(self.door.create_room("Blue", owner="ada", alias="Blue"))
        self.hub_id = self.room.hub_id
        self.successResultOf(
            self.house.store.set_member(self.hub_id, "ben", Role.VIEWER)
        )
        self.other = str((int(self.room.pin) + 1) % 1_000_000).zfill(6)

    def join(self, **changes: Any) -> Issued:
        """As a guest with the right PIN, changed as said."""
        given = {"name": "Guest", "pin": self.room.pin, "address": HOME, **changes}
        hub_id = given.pop("hub_id", self.hub_id)
        return self.run_(self.door.join(hub_id, **given))

    def session(self, name: str) -> Principal:
        """Log in."""
        issued = self.run_(self.door.log_in(name, RIGHT, address="198.51.100.1"))
        return issued.principal

    def as_member(self, name: str) -> Issued:
        """Join with a session and no PIN."""
        return self.join(name="", pin=None, session=self.session(name))

    def change(self, **changes: Any) -> None:
        """Lock, close, …"""
        self.room = replace(self.room, **changes)
        self.successResultOf(self.house.store.update_room(self.room))


class JoinTests(RoomCase):
    """Who comes in as what."""

    def test_a_new_room_can_be_found(self) -> None:
        """By a well-formed Hub ID and by its folded alias."""
        self.assertEqual(parse_hub_id(self.hub_id), self.hub_id)
        found = self.successResultOf(self.house.store.room_by_alias("blue"))
        self.assertEqual((found.owner, found.created_at), ("ada", NOON))
        with self.assertRaises(NameTaken):
            self.run_(self.door.create_room("Second", owner=None, alias="BLUE"))

    def test_a_moderated_room_lets_guests_in_as_viewers(self) -> None:
        """A host gives them a voice; members keep their roles."""
        self.change(moderated=True)
        self.assertEqual(self.join().principal.role, Role.VIEWER)
        self.assertEqual(self.as_member("ada").principal.role, Role.HOST)

    def test_a_banned_account_is_told_after_the_pin(self) -> None:
        """Without it nobody learns that the room exists."""
        self.successResultOf(self.house.store.set_banned(self.hub_id, "cyd", True))
        session = self.session("cyd")
        with self.assertRaises(Forbidden):
            self.join(session=session)
        with self.assertRaises(WrongCredentials):
            self.join(session=session, pin=self.other)
        self.assertEqual(self.join().principal.role, Role.EDITOR)

    def test_a_room_that_is_open_to_accounts(self) -> None:
        """They come as guests would with the PIN; guests still need it."""
        self.change(open_to_accounts=True, lobby=True)
        issued = self.join(name="", pin=None, session=self.session("cyd"))
        self.assertEqual(issued.principal.role, Role.EDITOR)
        self.assertTrue(issued.principal.waiting)
        with self.assertRaises(WrongCredentials):
            self.join(pin=None)
        self.successResultOf(self.house.store.set_banned(self.hub_id, "cyd", True))
        with self.assertRaises(Forbidden):
            self.join(name="", pin=None, session=self.session("cyd"))

    def test_a_token_is_prolonged(self) -> None:
        """For as long as a new one lives."""
        issued = self.join()
        self.house.clock.advance(1000)
        until = self.run_(self.door.prolong(issued.token))
        self.assertEqual(until, issued.principal.expires_at + 1000)
        principal = self.run_(self.door.principal(issued.token))
        self.assertEqual(principal.expires_at, until)
        self.run_(self.door.log_out(issued.token))
        with self.assertRaises(NotFound):
            self.run_(self.door.prolong(issued.token))

    def test_a_guest_with_the_pin_is_an_editor(self) -> None:
        """Typed the way people type."""
        issued = self.join(
            hub_id=format_hub_id(self.hub_id),
            pin=f" {self.room.pin} ",
            name=" Eve\u202e ",
        )
        principal = self.run_(self.door.principal(issued.token))
        self.assertEqual(principal, issued.principal)
        self.assertEqual((principal.name, principal.account), ("Eve", None))
        self.assertEqual((principal.hub_id, principal.role), (self.hub_id, Role.EDITOR))
        self.assertTrue(is_participant_id(principal.participant_id))
        self.assertFalse(principal.waiting or principal.admin)

    def test_members_need_no_pin_and_have_their_role(self) -> None:
        """Owners and administrators are hosts; a room token is never an admin's."""
        roles = {
            name: self.as_member(name).principal for name in ("ada", "ben", "root")
        }
        self.assertEqual(
            {name: principal.role for name, principal in roles.items()},
            {"ada": Role.HOST, "ben": Role.VIEWER, "root": Role.HOST},
        )
        self.assertFalse(roles["root"].admin)
        self.assertEqual(roles["ada"].name, "ada")

    def test_an_account_without_a_role_needs_the_pin(self) -> None:
        """And is an editor then, under its own account."""
        with self.assertRaises(WrongCredentials):
            self.as_member("cyd")
        principal = self.join(session=self.session("cyd")).principal
        self.assertEqual((principal.account, principal.role), ("cyd", Role.EDITOR))

    def test_a_room_token_opens_no_door_by_itself(self) -> None:
        """Else one PIN entry would outlive the PIN."""
        inside = self.join().principal
        with self.assertRaises(WrongCredentials):
            self.join(pin=None, session=inside)

    def test_wrong_pins_and_unknown_rooms_answer_alike(self) -> None:
        """Nobody learns which Hub IDs exist."""
        body = str(10_000_000 + (int(self.hub_id[:8]) + 1) % 90_000_000)
        unknown = body + luhn_digit(body)
        answers = set()
        for number, (hub_id, pin) in enumerate(
            ((self.hub_id, self.other), (unknown, self.other), ("nonsense", "12"),
             (unknown, None), (self.hub_id, None), (self.hub_id, "------"))
        ):  # fmt: skip
            with self.assertRaises(WrongCredentials) as caught:
                self.join(hub_id=hub_id, pin=pin, address=f"198.51.100.{number}")
            answers.add(str(caught.exception))
        self.assertEqual(len(answers), 1)

    def test_a_rooms_pin_is_guarded_from_everywhere(self) -> None:
        """Five guesses from five machines, then the right one waits too."""
        for host in range(5):
            with self.assertRaises(WrongCredentials):
                self.join(pin=self.other, address=f"198.51.100.{host}")
        with self.assertRaises(TryLater):
            self.join()
        self.as_member("ben")
        self.house.clock.advance(30)
        self.join()

    def test_an_address_is_held_over_rooms(self) -> None:
        """One machine that tries one PIN in many rooms."""
        for number in range(5):
            with self.assertRaises(WrongCredentials):
                self.join(hub_id=f"20000000{number}", pin=self.other)
        with self.assertRaises(TryLater):
            self.join()
        self.join(address="198.51.100.7")

    def test_locked_refuses_all_but_hosts(self) -> None:
        """With the right PIN or membership; a wrong PIN learns nothing."""
        self.change(locked=True)
        for attempt in (self.join, lambda: self.as_member("ben")):
            with self.assertRaises(RoomUnavailable) as caught:
                attempt()
            self.assertEqual(caught.exception.reason, "locked")
        with self.assertRaises(WrongCredentials):
            self.join(pin=self.other)
        self.as_member("ada")

    def test_closed_refuses_everyone(self) -> None:
        """Hosts reopen it first."""
        self.change(closed_at=NOON)
        for attempt in (self.join, lambda: self.as_member("ada")):
            with self.assertRaises(RoomUnavailable) as caught:
                attempt()
            self.assertEqual(caught.exception.reason, "closed")

    def test_a_name_is_needed(self) -> None:
        """A sentence for the form."""
        with self.assertRaisesRegex(ValueError, "empty"):
            self.join(name="\u200b")


class LobbyTests(RoomCase):
    """Waiting, admitting, refusing, kicking."""

    def setUp(self) -> None:
        super().setUp()
        self.change(lobby=True)
        self.house.news()
        self.people = f"room.{self.hub_id}.people"

    def again(self, issued: Issued) -> Principal:
        """Who the token is now."""
        return self.run_(self.door.principal(issued.token))

    def test_guests_wait_and_hosts_hear_of_it(self) -> None:
        """Members walk past; an account without a role waits too."""
        issued = self.join()
        waiting = issued.principal
        self.assertTrue(waiting.waiting)
        self.assertIsNone(self.run_(self.door.role_in(waiting, self.hub_id)))
        expected = {
            "type": "waiting",
            "participant_id": waiting.participant_id,
            "name": "Guest",
        }
        self.assertEqual(self.house.news(), [(self.people, expected)])
        self.assertTrue(self.join(session=self.session("cyd")).principal.waiting)
        self.assertFalse(self.as_member("ben").principal.waiting)

    def test_admitted_with_a_role(self) -> None:
        """The same token is good now."""
        issued = self.join()
        who = issued.principal.participant_id
        self.house.news()
        self.run_(self.door.admit(self.hub_id, who, Role.VIEWER))
        principal = self.again(issued)
        self.assertEqual((principal.waiting, principal.role), (False, Role.VIEWER))
        admitted = {"type": "admitted", "participant_id": who, "role": "viewer"}
        self.assertEqual(self.house.news(), [(self.people, admitted)])
        self.run_(self.door.admit(self.hub_id, who, Role.HOST))
        promoted = {"type": "role", "participant_id": who, "role": "host"}
        self.assertEqual(self.house.news(), [(self.people, promoted)])

    def test_refused(self) -> None:
        """The token is void; who is in already cannot be refused."""
        issued = self.join()
        who = issued.principal.participant_id
        self.house.news()
        self.run_(self.door.admit(self.hub_id, who, None))
        with self.assertRaises(InvalidToken):
            self.again(issued)
        refused = {"type": "refused", "participant_id": who}
        self.assertEqual(self.house.news(), [(self.people, refused)])
        member = self.as_member("ben").principal.participant_id
        for participant_id in (who, member):
            with self.assertRaises(NotFound):
                self.run_(self.door.admit(self.hub_id, participant_id, None))

    def test_kicked(self) -> None:
        """The token is void and the room knows."""
        issued = self.as_member("ben")
        who = issued.principal.participant_id
        self.run_(self.door.kick(self.hub_id, who))
        with self.assertRaises(InvalidToken):
            self.again(issued)
        kicked = {"type": "kicked", "participant_id": who}
        self.assertEqual(self.house.news(), [(self.people, kicked)])
        with self.assertRaises(NotFound):
            self.run_(self.door.kick(self.hub_id, who))

    def test_participants_are_handled_in_their_own_room(self) -> None:
        """A host elsewhere has no power here."""
        who = self.join().principal.participant_id
        elsewhere = self.run_(self.door.create_room("Red", owner=None)).hub_id
        with self.assertRaises(NotFound):
            self.run_(self.door.kick(elsewhere, who))
        with self.assertRaises(NotFound):
            self.run_(self.door.admit(elsewhere, who, Role.HOST))


class TokenTests(RoomCase):
    """Tokens for scripts, roles, and TURN."""

    def test_a_token_for_a_script(self) -> None:
        """With the role and the time asked for."""
        issued = self.run_(
            self.door.room_token(
                self.hub_id, role=Role.VIEWER, name="Screen", ttl_s=60.0, account=None
            )
        )
        self.assertEqual(issued.principal.role, Role.VIEWER)
        self.assertEqual(issued.principal.expires_at, NOON + 60)
        for ttl_s in (0.0, -1.0, 1e12, float("nan")):
            with self.assertRaises(ValueError):
                self.run_(
                    self.door.room_token(
                        self.hub_id, role=Role.HOST, name="x", ttl_s=ttl_s, account=None
                    )
                )

    def test_roles_count_where_they_are_given(self) -> None:
        """A room token in its room; a session by membership; admins everywhere."""
        elsewhere = self.run_(self.door.create_room("Red", owner=None)).hub_id
        guest = self.join().principal

        def role(principal: Principal, hub_id: str) -> Role | None:
            return self.run_(self.door.role_in(principal, hub_id))

        self.assertEqual(role(guest, self.hub_id), Role.EDITOR)
        self.assertIsNone(role(guest, elsewhere))
        self.assertEqual(role(self.session("ben"), self.hub_id), Role.VIEWER)
        self.assertIsNone(role(self.session("ben"), elsewhere))
        self.assertEqual(role(self.session("root"), elsewhere), Role.HOST)
        self.assertIsNone(role(self.session("root"), "000000000"))

    def test_turn_credentials(self) -> None:
        """For those inside; our own URLs, at the host they came by."""
        guest = self.join().principal
        given = self.door.turn_credentials(guest, "meet.example")
        self.assertEqual(given.urls, ("turn:meet.example:3478?transport=udp",))
        start = f"{int(NOON) + 3600}:{guest.participant_id}/"
        self.assertTrue(given.username.startswith(start))
        another = self.door.turn_credentials(guest, "h")
        self.assertNotEqual(given.username, another.username)
        self.assertEqual((given.credential, given.ttl), ("hmac", 3600))
        session = self.door.turn_credentials(self.session("ada"), "h").username
        self.assertIn(":ada/", session)
        with self.assertRaises(Forbidden):
            self.door.turn_credentials(replace(guest, waiting=True), "h")


del RoomCase  # abstract: nothing for the runner to collect

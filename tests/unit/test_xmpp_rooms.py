"""Coming into rooms, being there, and going (XEP-0045)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.rooms.names import NS_OCCUPANT_ID
from mosaic.store.interface import NotFound
from mosaic.workspace import attendance
from mosaic.workspace.attendance import Attendee, Via
from mosaic.workspace.model import Role
from tests.support.muc import HOST, Meeting, codes, error, item, nick, shown


class JoinTests(SynchronousTestCase):
    """Section 7.2."""

    def setUp(self) -> None:
        self.meeting = Meeting()

    def test_the_first_comes_in(self) -> None:
        """The PIN is the password; oneself, then the subject."""
        bob = self.meeting.client("bob")
        bob.join()
        heard = bob.hear()
        self.assertEqual(shown(heard), ["+Bob", "#"])
        self.assertEqual(codes(heard[0]), {"100", "110", "170"})
        self.assertEqual(heard[0].attributes["id"], "j")
        self.assertEqual(heard[0].attributes["from"], f"blue@{HOST}/Bob")
        said = item(heard[0])
        self.assertEqual((said["affiliation"], said["role"]), ("none", "participant"))
        self.assertEqual(said["jid"], "bob@localhost/r")

    def test_the_owner_needs_no_pin(self) -> None:
        """As in the browser: a standing role is enough."""
        ann = self.meeting.client("ann")
        ann.join(pin=None)
        said = item(ann.hear()[0])
        self.assertEqual((said["affiliation"], said["role"]), ("owner", "moderator"))

    def test_an_administrator_is_a_host(self) -> None:
        """Everywhere, without being a member."""
        root = self.meeting.client("root")
        root.join(pin=None)
        said = item(root.hear()[0])
        self.assertEqual((said["affiliation"], said["role"]), ("owner", "moderator"))

    def test_everybody_is_told(self) -> None:
        """The newcomer of all, all of the newcomer."""
        bob, cyd = self.meeting.inside("bob"), self.meeting.client("cyd")
        cyd.join()
        self.assertEqual(shown(cyd.hear()), ["+Bob", "+Cyd", "#"])
        [joined] = bob.hear()
        self.assertEqual((nick(joined), codes(joined)), ("Cyd", set()))

    def test_hub_id_and_alias_are_one_room(self) -> None:
        """Each hears the room from the address by which it came."""
        bob, cyd = self.meeting.inside("bob"), self.meeting.client("cyd")
        cyd.join(local=self.meeting.hub_id)
        [other, own, _] = cyd.hear()
        self.assertEqual(other.attributes["from"], f"{self.meeting.hub_id}@{HOST}/Bob")
        self.assertEqual(nick(own), "Cyd")
        [joined] = bob.hear()
        self.assertEqual(joined.attributes["from"], f"blue@{HOST}/Cyd")

    def test_a_wrong_pin(self) -> None:
        """And none, and a Hub ID that does not exist, are refused alike."""
        bob = self.meeting.client("bob")
        bob.join(pin="000000" if self.meeting.room.pin != "000000" else "111111")
        bob.join(pin=None)
        bob.join(local="100000009")
        refused = bob.hear()
        self.assertEqual([error(node) for node in refused], ["not-authorized"] * 3)
        self.assertEqual({node.attributes["type"] for node in refused}, {"error"})
        self.assertEqual(self.meeting.rooms.live, {})

    def test_guessing_is_slowed_down(self) -> None:
        """Five tries, as for everybody else; the right PIN waits as well."""
        eve = self.meeting.client("eve")
        for number in range(5):
            eve.join(pin=f"{int(self.meeting.room.pin) ^ (number + 1):06d}"[:6])
        eve.join()
        conditions = [error(node) for node in eve.hear()]
        self.assertEqual(conditions, ["not-authorized"] * 5 + ["resource-constraint"])

    def test_unknown_hub_ids_are_slowed_down_too(self) -> None:
        """Else it would be seen which exist."""
        eve = self.meeting.client("eve")
        for _ in range(6):
            eve.join(local="100000009")
        conditions = [error(node) for node in eve.hear()]
        self.assertEqual(conditions[5], "resource-constraint")

    def test_a_nick_is_somebodys(self) -> None:
        """Of whoever came first, by whatever door."""
        self.meeting.inside("bob", nick="Zoe")
        self.meeting.browser("Yan")
        cyd = self.meeting.client("cyd")
        cyd.join("Zoe")
        cyd.join("Yan")
        self.assertEqual([error(node) for node in cyd.hear()], ["conflict"] * 2)

    def test_one_person_with_a_page_and_a_client(self) -> None:
        """The same account is given another nick, with status 210."""
        self.meeting.browser("Bob", account="bob")
        bob = self.meeting.client("bob")
        bob.join("Bob")
        page, own, _ = bob.hear()
        self.assertEqual((nick(page), nick(own)), ("Bob", "Bob (2)"))
        self.assertIn("210", codes(own))

    def test_a_hub_has_the_address_of_its_contact(self) -> None:
        """In the item, where every client looks; a guest of its name has none."""
        self.meeting.browser("Lisbon")
        box = Attendee(
            id="b1",
            name="Lisbon",
            role=Role.EDITOR,
            account=None,
            via=Via.BROWSER,
            hub="412907338",
        )
        told = attendance.here("other", box)
        self.meeting.bus.publish(attendance.topic_of(self.meeting.hub_id), told)
        self.meeting.settle()
        bob = self.meeting.client("bob")
        bob.join()
        guest, hub, _ = bob.hear()[:3]
        self.assertEqual((nick(guest), nick(hub)), ("Lisbon", "Lisbon (2)"))
        self.assertNotIn("jid", item(guest))
        self.assertEqual(item(hub)["jid"], "412907338@hubs.localhost")

    def test_one_nick_on_two_devices(self) -> None:
        """The others see one occupant, until the last device has gone."""
        cyd = self.meeting.inside("cyd")
        phone = self.meeting.inside("bob", "phone")
        cyd.hear()
        laptop = self.meeting.client("bob", "laptop")
        laptop.join()
        self.assertEqual(shown(laptop.hear()), ["+Cyd", "+Bob", "#"])
        self.assertEqual(shown(cyd.hear()), [])
        laptop.leave()
        self.assertEqual(shown(laptop.hear()), ["-Bob"])
        self.assertEqual(shown(cyd.hear()), ["+Bob"])
        phone.leave()
        self.assertEqual(shown(cyd.hear()), ["-Bob"])

    def test_asking_again_tells_everything_again(self) -> None:
        """A client that lost its state (XEP-0045 section 7.2.17)."""
        self.meeting.inside("cyd")
        bob = self.meeting.inside("bob")
        bob.join()
        self.assertEqual(shown(bob.hear()), ["+Cyd", "+Bob", "#"])
        bob.leave()
        self.assertEqual(shown(bob.hear()), ["-Bob"])

    def test_asking_again_under_another_nick_changes_the_nick(self) -> None:
        """One session has one place, by whichever address it asks."""
        cyd, bob = self.meeting.inside("cyd"), self.meeting.inside("bob")
        cyd.hear()
        bob.join("Rob", local=self.meeting.hub_id)
        self.assertEqual(shown(cyd.hear()), ["-Bob", "+Rob"])
        muc = self.meeting.rooms.live[self.meeting.hub_id]
        self.assertEqual(len(muc.people.by_nick), 2)
        self.assertEqual(len(muc.people.seats), 2)

    def test_what_makes_no_sense(self) -> None:
        """No nick, no request, a nick that cannot be shown."""
        bob = self.meeting.client("bob")
        bob.say(f"<presence to='blue@{HOST}'/>")
        bob.say(f"<presence to='blue@{HOST}/Bob'/>")
        bob.join("x" * 65)
        bob.say(f"<message to='blue@{HOST}' type='groupchat'><body>x</body></message>")
        self.assertEqual(
            [error(node) for node in bob.hear()],
            ["jid-malformed", "not-acceptable", "not-acceptable", "not-acceptable"],
        )

    def test_a_room_is_made_by_entering(self) -> None:
        """The one who enters owns it (section 10.1)."""
        bob = self.meeting.client("bob")
        bob.join(local="plans", pin=None)
        own = bob.hear()[0]
        self.assertIn("201", codes(own))
        self.assertEqual(item(own)["affiliation"], "owner")
        room = self.meeting.value(self.meeting.store.room_by_alias("plans"))
        self.assertEqual((room.owner, room.name), ("bob", "plans"))
        # As people expect of a named room, their colleagues need no PIN.
        cyd = self.meeting.client("cyd")
        cyd.join(local="plans", pin=None)
        self.assertEqual(item(cyd.hear()[1])["role"], "participant")

    def test_rooms_are_made_only_if_allowed(self) -> None:
        """`xmpp.create_rooms`; and names that no alias can have never are."""
        meeting = Meeting(create_rooms=False)
        bob = meeting.client("bob")
        bob.join(local="plans", pin=None)
        self.assertEqual(error(bob.hear()[0]), "not-allowed")
        bob = self.meeting.client("bob")
        bob.join(local="a+b", pin=None)
        self.assertEqual(error(bob.hear()[0]), "not-acceptable")
        self.failureResultOf(self.meeting.store.room_by_alias("plans"), NotFound)

    def test_a_stranger_makes_no_room(self) -> None:
        """Under another server an address may be nobody's here."""
        other = self.meeting.client("bob")
        other.jid = type(other.jid)("bob", "elsewhere.example", "r")
        self.meeting.net.clients[other.jid] = other
        other.join(local="plans")
        self.assertEqual(error(other.hear()[0]), "not-allowed")
        other.join()
        self.assertEqual(item(other.hear()[0])["role"], "participant")

    def test_locked_closed_banned_full(self) -> None:
        """Each has its own condition; a host comes in all the same."""
        bob = self.meeting.client("bob")
        self.meeting.change(locked=True)
        bob.join()
        self.meeting.store.set_member(self.meeting.hub_id, "bob", Role.EDITOR)
        bob.join()
        ann = self.meeting.inside("ann")
        self.assertEqual(ann.nick, "Ann")
        self.meeting.store.set_member(self.meeting.hub_id, "bob", None)
        self.meeting.change(locked=False)
        self.meeting.store.set_banned(self.meeting.hub_id, "bob", True)
        bob.join()
        self.meeting.change("closed", closed_at=1.0)
        bob.join()
        conditions = [error(node) for node in bob.hear()]
        self.assertEqual(
            conditions, ["registration-required", "not-allowed", "forbidden", "gone"]
        )
        small = Meeting(max_occupants=1)
        small.inside("bob")
        cyd = small.client("cyd")
        cyd.join()
        self.assertEqual(error(cyd.hear()[0]), "service-unavailable")

    def test_what_is_said_right_behind_the_join_waits_for_it(self) -> None:
        """Bots do not wait for their own presence."""
        bob = self.meeting.client("bob")
        bob.nick = "Bob"
        bob.say(
            f"<presence to='blue@{HOST}/Bob'><x xmlns='http://jabber.org/protocol/muc'>"
            f"<password>{self.meeting.room.pin}</password></x></presence>"
            f"<message to='blue@{HOST}' type='groupchat'><body>hi</body></message>"
        )
        self.assertEqual(shown(bob.hear()), ["+Bob", "#", "Bob: hi"])

    def test_the_occupant_id_is_the_persons(self) -> None:
        """The same under another nick, another one in another room."""
        bob = self.meeting.client("bob")
        seen = set()
        for local, as_nick in (("blue", "One"), ("blue", "Two"), ("mine", "One")):
            bob.join(as_nick, local=local)
            found = bob.hear()[0].child(NS_OCCUPANT_ID, "occupant-id")
            assert found is not None
            seen.add(found.attributes["id"])
            bob.leave()
            bob.hear()
        self.assertEqual(len(seen), 2)


class PresenceTests(SynchronousTestCase):
    """Being there and going."""

    def setUp(self) -> None:
        self.meeting = Meeting()
        self.bob, self.cyd = self.meeting.inside("bob"), self.meeting.inside("cyd")
        self.bob.hear()

    def test_a_change_is_told_as_it_was_said(self) -> None:
        """What clients tell of themselves passes; what is the room's does not."""
        self.bob.say(
            f"<presence to='blue@{HOST}/Bob' xml:lang='de'><show>dnd</show>"
            "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/>"
            "<x xmlns='http://jabber.org/protocol/muc#user'>"
            "<item affiliation='owner' role='moderator'/></x>"
            "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/></presence>"
        )
        [told] = self.cyd.hear()
        names = [child.name for child in told.children]
        self.assertEqual(names, ["show", "c", "x", "occupant-id"])
        self.assertEqual(item(told)["affiliation"], "none")
        self.assertEqual(codes(self.bob.hear()[0]), {"110"})

    def test_another_nick(self) -> None:
        """Section 7.6: goodbye with 303, and hello."""
        self.bob.say(f"<presence to='blue@{HOST}/Bobby'/>")
        gone, here = self.cyd.hear()
        self.assertEqual((nick(gone), codes(gone)), ("Bob", {"303"}))
        self.assertEqual(item(gone)["nick"], "Bobby")
        self.assertEqual(nick(here), "Bobby")
        own_gone, own_here = self.bob.hear()
        self.assertEqual((codes(own_gone), codes(own_here)), ({"303", "110"}, {"110"}))
        self.bob.say(f"<presence to='blue@{HOST}/Cyd'/>")
        self.assertEqual(error(self.bob.hear()[0]), "conflict")

    def test_leaving(self) -> None:
        """With the last words; the empty room is forgotten."""
        self.bob.leave("lunch")
        [gone] = self.cyd.hear()
        self.assertEqual(shown([gone]), ["-Bob"])
        self.assertEqual(gone.children[0].name, "status")
        self.assertEqual(item(gone)["role"], "none")
        self.assertIn("110", codes(self.bob.hear()[0]))
        self.cyd.leave()
        self.assertEqual(self.meeting.rooms.live, {})
        self.assertEqual(self.meeting.rooms.counters.occupants, 0)

    def test_tokens_end_with_the_stay(self) -> None:
        """Nothing is left in the store of those who have gone."""
        tokens = self.meeting.store._tokens
        self.assertEqual(len(tokens), 2)
        self.bob.leave()
        self.cyd.leave()
        self.assertEqual(len(tokens), 0)

    def test_a_session_that_is_gone_is_taken_out(self) -> None:
        """Nothing can be sent to it: status 333."""
        self.cyd.vanish()
        self.bob.write("anybody?")
        heard = self.bob.hear()
        self.assertEqual(shown(heard), ["Bob: anybody?", "-Cyd"])
        self.assertEqual(codes(heard[1]), {"333"})
        self.assertEqual(self.meeting.rooms.counters.ghosts, 1)

    def test_an_error_that_comes_back_takes_out_too(self) -> None:
        """Under another server that is how one learns; others mean nothing."""
        for condition in ("feature-not-implemented", "recipient-unavailable"):
            self.cyd.say(
                f"<message to='blue@{HOST}' type='error'><error type='cancel'>"
                f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
                "</error></message>"
            )
        self.assertEqual(shown(self.bob.hear()), ["-Cyd"])

    def test_the_end_of_the_service(self) -> None:
        """Status 332 for each; the browsers see them go."""
        page = self.meeting.browser("Pat")
        self.meeting.rooms.stop()
        self.assertIn("332", codes(self.bob.hear()[-1]))
        self.meeting.settle()
        self.assertEqual(list(page.names()), ["Pat"])

    def test_a_long_stay(self) -> None:
        """The token is prolonged as long as somebody is there."""
        for _ in range(200):
            self.meeting.clock.advance(600)
        self.meeting.run(self.meeting.door.forget_expired())
        self.meeting.bus.publish("store", {"type": "changed"})
        self.meeting.settle()
        self.assertEqual(
            len(self.meeting.rooms.live[self.meeting.hub_id].people.seats), 2
        )

    def test_not_too_fast(self) -> None:
        """Presence costs as much as a message: it goes to all."""
        meeting = Meeting(room_stanza_burst=3, room_stanzas_per_s=1.0)
        bob = meeting.inside("bob")
        for _ in range(4):
            bob.say(f"<presence to='blue@{HOST}/Bob'/>")
        self.assertEqual(shown(bob.hear()), ["+Bob"] * 3 + ["!resource-constraint"])
        meeting.clock.advance(1)
        bob.write("again")
        self.assertEqual(shown(bob.hear()), ["Bob: again"])


class CrowdTests(SynchronousTestCase):
    """Above `xmpp.presence_limit`."""

    def setUp(self) -> None:
        self.meeting = Meeting(presence_limit=3)
        self.ann = self.meeting.inside("ann")
        self.first = [self.meeting.inside("bob", f"b{n}", nick=f"B{n}") for n in (1, 2)]
        for client in (self.ann, *self.first):
            client.hear()

    def test_who_is_told_of_whom(self) -> None:
        """Ordinary occupants hear of moderators and themselves."""
        cyd = self.meeting.client("cyd")
        cyd.join()
        self.assertEqual(shown(cyd.hear()), ["+Ann", "+Cyd", "#"])
        self.assertEqual(shown(self.ann.hear()), ["+Cyd"])
        self.assertEqual(shown(self.first[0].hear()), [])
        cyd.say(f"<presence to='blue@{HOST}/Cyd'><show>away</show></presence>")
        self.assertEqual(shown(cyd.hear()), ["+Cyd"])
        self.assertEqual(shown(self.ann.hear()), ["+Cyd"])
        self.assertEqual(shown(self.first[0].hear()), [])
        self.ann.say(f"<presence to='blue@{HOST}/Ann'><show>away</show></presence>")
        self.assertEqual(shown(self.first[0].hear()), ["+Ann"])
        cyd.leave()
        self.assertEqual(shown(self.first[0].hear()), [])

    def test_everybody_is_heard(self) -> None:
        """Only presence is spared."""
        self.meeting.inside("cyd").write("hello")
        self.assertEqual(shown(self.first[0].hear()), ["Cyd: hello"])

    def test_those_who_were_announced_take_leave(self) -> None:
        """Else they would stay in the lists of others as ghosts."""
        cyd = self.meeting.inside("cyd")
        self.first[0].leave()
        self.assertEqual(shown(self.first[1].hear()), ["-B1"])
        del cyd

    def test_when_it_is_calm_again_all_are_told_of_all(self) -> None:
        """Below nine tenths of the limit."""
        cyd = self.meeting.inside("cyd")
        self.ann.hear()
        self.first[0].leave()
        cyd.hear()
        self.first[1].hear()
        self.ann.leave()
        self.assertEqual(shown(cyd.hear()), ["-Ann", "+B2"])
        self.assertEqual(shown(self.first[1].hear()), ["-Ann", "+Cyd"])

    def test_a_new_moderator_is_told_of_all(self) -> None:
        """And all of them."""
        cyd = self.meeting.inside("cyd")
        self.ann.hear()
        self.ann.ask(
            "set",
            "<query xmlns='http://jabber.org/protocol/muc#admin'>"
            "<item nick='Cyd' role='moderator'/></query>",
        )
        self.assertEqual(shown(cyd.hear()), ["+Cyd", "+Ann", "+B1", "+B2"])
        self.assertEqual(shown(self.first[0].hear()), ["+Cyd"])

"""People in a live room: presence, chat, roles, and who is put out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from mosaic.store.hubs import HubSeat
from mosaic.store.interface import StoredToken
from mosaic.wire.drcp import client
from mosaic.wire.drcp.yprotocols import Type
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.workspace.model import Role
from tests.support.drcp import HUB, Hub


class PeopleTests(SynchronousTestCase):
    """Who is here, what they say, and what hosts decide."""

    def test_join_person_leave(self) -> None:
        """Everybody hears of everybody, with growing numbers."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        (welcome,) = bob.of(Type.WELCOME)
        self.assertEqual([p["name"] for p in welcome["people"]], ["Ann", "Bob"])
        bob.say(client.event("state", {"hand": True}))
        bob.drop()
        ann.hear()
        self.assertEqual([e["type"] for e in ann.events], ["join", "person", "leave"])
        self.assertTrue(ann.events[1]["data"]["hand"])
        self.assertEqual([e["seq"] for e in ann.events], [2, 3, 4])

    def test_a_hub_is_marked_and_nobody_else(self) -> None:
        """By the token: what somebody says of themselves changes nothing."""
        hub = Hub()
        box = hub.native("lisbon", hub="412907338")
        liar = hub.native("liar", name="Lisbon")
        mine = {"hand": True, "hub": "412907338", "via": "xmpp"}
        liar.say(client.event("state", mine))
        box.hear()
        (welcome,) = liar.of(Type.WELCOME)
        self.assertEqual(
            [person.get("hub") for person in welcome["people"]], ["412907338", None]
        )
        self.assertEqual([e["type"] for e in box.events], ["join", "person"])
        for event in box.events:
            self.assertEqual(set(event["data"]) & {"hub", "via"}, set())

    def test_chat_is_kept_once_and_told_after_commit(self) -> None:
        """The same message_id twice is one line."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        for _ in range(2):
            ann.say(client.event("chat", {"text": "hi", "message_id": "m1"}))
        ann.hear()
        bob.hear()
        lines = [e["data"]["text"] for e in bob.events if e["type"] == "chat"]
        self.assertEqual(lines, ["hi"])
        cid = hub.native("cid")
        (welcome,) = cid.of(Type.WELCOME)
        self.assertEqual([m["author"] for m in welcome["chat"]], ["Ann"])

    def test_signals_go_to_one(self) -> None:
        """Nobody else hears them, and the server says who sent them."""
        hub = Hub()
        ann, bob, cid = hub.native("ann"), hub.native("bob"), hub.native("cid")
        ann.say(client.signal(f"{'bob':0>16}", {"sdp": "x"}))
        self.assertEqual(
            bob.of(Type.SIGNAL), [{"from": f"{'ann':0>16}", "data": {"sdp": "x"}}]
        )
        self.assertEqual(cid.of(Type.SIGNAL), [])

    def test_resume_replays_what_was_missed(self) -> None:
        """Within the ring; else the whole state comes."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        (welcome,) = bob.of(Type.WELCOME)
        bob.drop()
        ann.say(client.event("reaction", {"emoji": "!"}))
        again = type(bob)(hub, "bob")
        resume = (welcome["sid"], welcome["seq"])
        again.say(client.hello("bob", client="test", resume=resume))
        (greeted,) = again.of(Type.WELCOME)
        self.assertTrue(greeted["resumed"])
        self.assertEqual(
            [e["type"] for e in again.events], ["leave", "reaction", "join"]
        )
        last = type(bob)(hub, "bob")
        last.say(client.hello("bob", client="test", resume=("other.1", 1)))
        messages = last.hear()
        self.assertEqual([m.type for m in messages][:2], [Type.WELCOME, Type.RESYNC])
        self.assertEqual(again.wire.closed and again.wire.closed[0], 4409)

    def test_the_lobby(self) -> None:
        """Documents are shut until a host admits."""
        hub = Hub()
        self.successResultOf(hub.store.waiting_tokens(HUB))
        host, guest = hub.native("host", Role.HOST), hub.native("gus", waiting=True)
        (welcome,) = guest.of(Type.WELCOME)
        self.assertTrue(welcome["waiting"])
        self.assertEqual(welcome["people"], [])
        guest.open()
        guest.hear()
        self.assertEqual(guest.errors, [(1, 4423)])
        news = {"type": "admitted", "participant_id": f"{'gus':0>16}", "role": "viewer"}
        hub.bus.publish(f"room.{HUB}.people", news)
        hub.tick()
        guest.open()
        guest.hear()
        self.assertEqual([e["type"] for e in guest.events], ["admitted"])
        self.assertIn(1, [a.channel for a in _attachments(hub)])
        host.hear()
        kinds = [e["type"] for e in host.events]
        self.assertIn("lobby", kinds)
        self.assertIn("join", kinds)

    def test_hosts_see_which_of_those_who_wait_is_a_hub(self) -> None:
        """By its token, whatever the others call themselves."""
        hub = Hub()
        seat = HubSeat(
            participant_id=f"{'lisbon':0>16}",
            hub_id="412907338",
            room=HUB,
            created_at=0.0,
            expires_at=1e12,
        )
        self.patch(hub.store, "hub_seat", lambda _: succeed(seat))
        for number, kind in enumerate(("room", "seat")):
            token = replace(_stored("lisbon"), kind=kind, waiting=True)
            hub.store.add_token(replace(token, digest=b"%d" % number))
        host = hub.native("host", Role.HOST)
        hub.native("gus", waiting=True)
        hub.tick()
        host.hear()
        told = [e["data"]["waiting"] for e in host.events if e["type"] == "lobby"][-1]
        self.assertEqual([one["name"] for one in told], ["Lisbon"] * 2)
        self.assertEqual([one.get("hub") for one in told], [None, "412907338"])

    def test_roles_change_at_once(self) -> None:
        """An editor made viewer writes no more."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        news = {"type": "role", "participant_id": f"{'ann':0>16}", "role": "viewer"}
        hub.bus.publish(f"room.{HUB}.people", news)
        hub.tick()
        self.assertEqual(ann.of(Type.PERM), [{"role": "viewer", "write": False}])
        ann.type("x")
        ann.hear()
        self.assertEqual(ann.errors, [(1, 4403)])

    def test_a_standing_role_changes_who_is_inside(self) -> None:
        """By REST (the bus says whose) or from another process (look at all)."""
        hub = Hub()
        key = b"k" * 32
        verifier = ScramVerifier(
            salt=key, iterations=4096, stored_key=key, server_key=key
        )
        self.successResultOf(hub.store.add_account("ann", verifier, admin=False))
        ann = hub.native("ann", account="ann")
        ann.open()
        self.successResultOf(hub.store.add_token(_stored("ann", account="ann")))
        for role, topic, news in (
            (Role.VIEWER, f"room.{HUB}.people", {"type": "member", "account": "ann"}),
            (Role.HOST, "store", {"type": "changed"}),
        ):
            self.successResultOf(hub.store.set_member(HUB, "ann", role))
            hub.bus.publish(topic, news)
            hub.tick()
            write = role.may_edit
            self.assertEqual(ann.of(Type.PERM), [{"role": role.value, "write": write}])
        self.successResultOf(hub.store.set_member(HUB, "ann", None))
        news = {"type": "member", "account": "ann"}
        hub.bus.publish(f"room.{HUB}.people", news)
        hub.tick()
        self.assertEqual(ann.wire.closed, (4403, "kicked"))

    def test_an_editor_from_the_lobby_may_send_large_documents(self) -> None:
        """The size limit follows the role, and perm says so."""
        hub = Hub()
        gus = hub.native("gus", waiting=True)
        before = gus.wire.limit
        news = {"type": "admitted", "participant_id": f"{'gus':0>16}", "role": "editor"}
        hub.bus.publish(f"room.{HUB}.people", news)
        hub.tick()
        self.assertGreater(gus.wire.limit, before)
        self.assertEqual(gus.of(Type.PERM), [{"role": "editor", "write": True}])

    def test_kick_close_and_account_end_connections(self) -> None:
        """Each with its code."""
        hub = Hub()
        ann, bob, cid = (
            hub.native("ann"),
            hub.native("bob", account="bob"),
            hub.native("cid"),
        )
        news = {"type": "kicked", "participant_id": f"{'ann':0>16}"}
        hub.bus.publish(f"room.{HUB}.people", news)
        hub.bus.publish("account.bob", {"type": "password"})
        hub.tick()
        hub.bus.publish(f"room.{HUB}", {"type": "closed"})
        hub.tick()
        self.assertEqual(
            [p.wire.closed for p in (ann, bob, cid)],
            [(4403, "kicked"), (4401, "logged out"), (4423, "closed")],
        )

    def test_what_another_process_wrote_takes_effect(self) -> None:
        """A token that the command line revoked, a room that it closed."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        hub.store.add_token(_stored("ann"))
        hub.bus.publish("store", {"type": "changed"})
        hub.tick()
        self.assertIsNone(ann.wire.closed)
        self.assertEqual(bob.wire.closed, (4401, "logged out"))
        stored = self.successResultOf(hub.store.room(HUB))
        self.successResultOf(hub.store.update_room(replace(stored, closed_at=1.0)))
        hub.bus.publish("store", {"type": "changed"})
        hub.tick()
        self.assertEqual(ann.wire.closed, (4423, "closed"))

    def test_a_closed_room_lets_nobody_in(self) -> None:
        """Whatever the bus said or lost: the database is asked."""
        hub = Hub()
        ann = hub.native("ann")
        stored = self.successResultOf(hub.store.room(HUB))
        self.successResultOf(hub.store.update_room(replace(stored, closed_at=1.0)))
        bob = hub.native("bob")
        self.assertEqual(bob.wire.closed, (4423, "closed"))
        self.assertIsNone(ann.wire.closed)

    def test_welcome_is_the_first_message_of_a_host(self) -> None:
        """The lobby's state comes after it."""
        hub = Hub()
        kinds = [message.type for message in hub.native("ann", Role.HOST).hear()]
        self.assertEqual(kinds, [Type.WELCOME, Type.EVENT])

    def test_expiry_and_refresh(self) -> None:
        """A refreshed token lives on, an expired one ends the connection."""
        hub = Hub()
        soon = hub.clock.seconds() + 50
        ann = hub.native("ann", expires_at=soon)
        bob = hub.native("bob", expires_at=soon)
        hub.token("new", participant_id=f"{'ann':0>16}")
        ann.say(client.refresh("new"))
        hub.clock.pump([10.0] * 6)
        self.assertIsNone(ann.wire.closed)
        self.assertEqual(bob.wire.closed, (4401, "expired"))

    def test_a_refresh_for_another_is_refused(self) -> None:
        """A token speaks for its participant."""
        hub = Hub()
        ann = hub.native("ann")
        ann.say(client.refresh(hub.token("bob")))
        ann.hear()
        self.assertEqual(ann.errors, [(0, 4403)])


class AwarenessTests(SynchronousTestCase):
    """The server says who is who."""

    def test_states_are_stamped_and_removed(self) -> None:
        """user.name and user.id are the server's; a dead socket leaves a null."""
        hub = Hub()
        ann, bob = hub.native("ann", Role.VIEWER), hub.native("bob")
        ann.open()
        bob.open()
        ann.say(client.awareness(1, 7, 1, '{"user":{"name":"Bob","color":"red"}}'))
        hub.tick()
        ((entry,),) = bob.of(Type.AWARENESS)
        self.assertIn('"name":"Ann"', entry.state)
        self.assertIn('"color":"red"', entry.state)
        ann.drop()
        hub.tick()
        ((entry,),) = bob.of(Type.AWARENESS)
        self.assertEqual((entry.client, entry.clock, entry.state), (7, 2, "null"))

    def test_nobody_speaks_for_another(self) -> None:
        """A client id belongs to the connection that introduced it."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.open()
        bob.open()
        ann.say(client.awareness(1, 7, 1, '{"x":1}'))
        bob.say(client.awareness(1, 7, 5, "null"))
        hub.tick()
        ((entry,),) = ann.of(Type.AWARENESS)
        self.assertIn('"x":1', entry.state)
        bob.hear()
        self.assertEqual(bob.errors, [(1, 4403)])

    def test_the_last_state_of_a_tick_wins(self) -> None:
        """Cursors move faster than ticks."""
        hub = Hub()
        ann, bob = hub.native("ann"), hub.native("bob")
        ann.open()
        bob.open()
        for clock in (1, 2, 3):
            ann.say(client.awareness(1, 7, clock, "{}"))
        hub.tick()
        ((entry,),) = bob.of(Type.AWARENESS)
        self.assertEqual(entry.clock, 3)

    def test_who_comes_later_sees_who_is_here(self) -> None:
        """The states follow opened."""
        hub = Hub()
        ann = hub.native("ann")
        ann.open()
        ann.say(client.awareness(1, 7, 1, "{}"))
        hub.tick()
        bob = hub.native("bob")
        bob.open()
        ((entry,),) = bob.of(Type.AWARENESS)
        self.assertEqual(entry.client, 7)


def _stored(who: str, account: str | None = None) -> StoredToken:
    """An editor's room token as the store keeps it."""
    return StoredToken(
        digest=b"a",
        kind="room",
        name=who.title(),
        account=account,
        hub_id=HUB,
        role=Role.EDITOR,
        participant_id=f"{who:0>16}",
        created_at=0.0,
        expires_at=1e12,
    )


def _attachments(hub: Hub) -> list[Any]:
    return list(hub.service.rooms[HUB].desk.documents["board"].attachments)

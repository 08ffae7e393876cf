"""A live room and those who are in it through another door."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.drcp import client
from mosaic.wire.drcp.yprotocols import Type
from mosaic.workspace import attendance, conversation
from mosaic.workspace.archive import Kind, Saying
from mosaic.workspace.attendance import Attendee, Via
from mosaic.workspace.model import Role
from tests.support.drcp import HUB, Hub, Peer

XENA = Attendee(
    id="00000000000000ee", name="Xena", role=Role.EDITOR, account="xe", via=Via.XMPP
)


class DoorsCase(SynchronousTestCase):
    """A hub, and another door that is the test."""

    def setUp(self) -> None:
        self.hub = Hub()
        self.told: list[dict[str, Any]] = []
        for topic in (attendance.topic_of(HUB), conversation.topic_of(HUB)):
            self.hub.bus.subscribe(topic, lambda _, load: self.told.append(load))

    def tell(self, payload: dict[str, Any]) -> None:
        """The other door speaks."""
        self.hub.bus.publish(attendance.topic_of(HUB), payload)
        self.hub.clock.advance(0)

    def events(self, peer: Peer, *kinds: str) -> list[Any]:
        """The data of events that a peer has heard since the last time."""
        peer.events.clear()
        peer.hear()
        return [e["data"] for e in peer.events if e["type"] in kinds]

    def say(self, message_id: str, text: str, **more: Any) -> None:
        """Somebody says something by XMPP; it is kept and told."""
        saying = Saying(
            **{
                "kind": Kind.LINE,
                "message_id": message_id,
                "author_id": XENA.id,
                "author": XENA.name,
                "text": text,
                "at": 1000.0,
                "occupant_id": "o",
                **more,
            }
        )
        entry = self.successResultOf(self.hub.store.add_saying(HUB, saying))
        self.hub.bus.publish(conversation.topic_of(HUB), conversation.said(entry))
        self.hub.clock.advance(0)


class AttendanceTests(DoorsCase):
    """People."""

    def test_the_room_tells_who_is_in_it(self) -> None:
        """Coming, a raised hand, a role and going, each once."""
        ann = self.hub.native("ann")
        ann.say(client.event("state", {"hand": True}))
        self.hub.clock.advance(0)
        ann.drop()
        self.hub.clock.advance(0)
        kinds = [load["type"] for load in self.told]
        self.assertEqual(kinds, ["here", "here", "gone"])
        self.assertEqual([load.get("hand") for load in self.told[:2]], [False, True])
        self.assertEqual(self.told[0]["via"], "browser")

    def test_others_are_people(self) -> None:
        """They join, change and leave like everybody, and say how they came."""
        ann = self.hub.native("ann")
        self.tell(attendance.here("x", XENA))
        self.tell(attendance.here("x", replace(XENA, role=Role.HOST)))
        self.tell(attendance.gone("x", XENA.id))
        join, person, leave = self.events(ann, "join", "person", "leave")
        self.assertEqual((join["via"], join["role"]), ("xmpp", "editor"))
        self.assertEqual(person["role"], "host")
        self.assertEqual(leave, {"id": XENA.id})

    def test_a_room_that_is_loaded_later_knows_them(self) -> None:
        """They were there first."""
        self.tell(attendance.here("x", XENA))
        (welcome,) = self.hub.native("ann").of(Type.WELCOME)
        via = {one["name"]: one.get("via") for one in welcome["people"]}
        self.assertEqual(via, {"Xena": "xmpp", "Ann": None})

    def test_a_signal_to_them_is_lost(self) -> None:
        """XMPP has no ear for it."""
        ann = self.hub.native("ann")
        self.tell(attendance.here("x", XENA))
        ann.say(client.signal(XENA.id, {"sdp": "x"}))
        self.assertEqual(self.hub.service.counters.signals_dropped, 1)

    def test_a_door_that_opens_hears_who_is_here(self) -> None:
        """It has missed the joins."""
        self.hub.native("ann")
        self.hub.clock.advance(0)
        self.told.clear()
        self.hub.bus.publish(attendance.QUESTION, attendance.question("late"))
        self.hub.clock.advance(0)
        self.hub.clock.advance(0)
        self.assertEqual([load["name"] for load in self.told], ["Ann"])


class ChatTests(DoorsCase):
    """What is said."""

    def test_both_doors_hear_both(self) -> None:
        """A line of the page goes out once, one from outside comes in once."""
        ann = self.hub.native("ann")
        ann.say(client.event("chat", {"text": "hi", "message_id": "m1"}))
        self.say("m2", "hello")
        lines = self.events(ann, "chat")
        self.assertEqual(
            [(one["seq"], one["text"]) for one in lines], [(1, "hi"), (2, "hello")]
        )
        said = [load["text"] for load in self.told if load["type"] == "said"]
        self.assertEqual(said, ["hi", "hello"])
        (welcome,) = self.hub.native("bob").of(Type.WELCOME)
        self.assertEqual([one["text"] for one in welcome["chat"]], ["hi", "hello"])

    def test_a_line_that_is_told_late_keeps_its_place(self) -> None:
        """Welcome has the order of the history, whatever the bus did."""
        ann = self.hub.native("ann")
        saying = Saying(
            kind=Kind.LINE,
            message_id="m1",
            author_id=XENA.id,
            author="Xena",
            text="first",
            at=1.0,
            occupant_id="o",
        )
        entry = self.successResultOf(self.hub.store.add_saying(HUB, saying))
        self.hub.bus.publish(conversation.topic_of(HUB), conversation.said(entry))
        ann.say(client.event("chat", {"text": "second", "message_id": "m2"}))
        self.hub.clock.advance(0)
        (welcome,) = self.hub.native("bob").of(Type.WELCOME)
        texts = [one["text"] for one in welcome["chat"]]
        self.assertEqual(texts, ["first", "second"])

    def test_edits_and_retractions(self) -> None:
        """The line is told again as it reads now; no new line appears."""
        ann = self.hub.native("ann")
        self.say("m1", "helo")
        self.say("e1", "hello", kind=Kind.EDIT, about=1)
        self.say("t1", "", kind=Kind.RETRACTION, about=1)
        edit, retraction = self.events(ann, "edit")
        self.assertEqual((edit["seq"], edit["text"]), (1, "hello"))
        self.assertEqual(edit["edited_at"], 1000.0)
        self.assertEqual((retraction["text"], retraction["retracted_at"]), ("", 1000.0))
        (welcome,) = self.hub.native("bob").of(Type.WELCOME)
        [line] = welcome["chat"]
        self.assertEqual((line["text"], line["retracted_at"]), ("", 1000.0))

    def test_what_is_no_line_is_not_shown(self) -> None:
        """Reactions and markers are for XMPP alone."""
        ann = self.hub.native("ann")
        self.say("r1", "", kind=Kind.OTHER, stanza="<message/>")
        self.assertEqual(self.events(ann, "chat", "edit"), [])

    def test_viewers_do_not_write_in_a_moderated_room(self) -> None:
        """Told with the line that is refused; editors write."""
        room = self.successResultOf(self.hub.store.room(HUB))
        self.hub.store.update_room(replace(room, moderated=True))
        vic, ann = self.hub.native("vic", Role.VIEWER), self.hub.native("ann")
        vic.say(client.event("chat", {"text": "may I", "message_id": "m1"}))
        ann.say(client.event("chat", {"text": "yes", "message_id": "m2"}))
        self.assertEqual([one["text"] for one in self.events(vic, "chat")], ["yes"])
        self.assertEqual(vic.errors, [(0, 4403)])

"""Who is where, as the doors tell each other; and what was said."""

from __future__ import annotations

from dataclasses import replace
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from mosaic.workspace import attendance, conversation
from mosaic.workspace.archive import Entry, Kind
from mosaic.workspace.attendance import Attendance, Attendee, Via
from mosaic.workspace.model import Role

HUB = "123456782"
TOPIC = attendance.topic_of(HUB)
ANN = Attendee(id="a1", name="Ann", role=Role.EDITOR, account="ann", via=Via.XMPP)

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


class AttendanceTests(TestCase):
    """One door's picture of the others."""

    def setUp(self) -> None:
        self.roll = Attendance(source="me")

    def test_come_change_go(self) -> None:
        """Each is told once, with what was before."""
        change = self.roll.heard(TOPIC, attendance.here("other", ANN))
        assert change is not None
        self.assertEqual((change.before, change.after), (None, ANN))
        self.assertIsNone(self.roll.heard(TOPIC, attendance.here("other", ANN)))
        raised = replace(ANN, hand=True)
        change = self.roll.heard(TOPIC, attendance.here("other", raised))
        assert change is not None
        self.assertEqual((change.before, change.after), (ANN, raised))
        self.assertEqual(self.roll.people(HUB), [raised])
        change = self.roll.heard(TOPIC, attendance.gone("other", "a1"))
        assert change is not None
        self.assertEqual((change.before, change.after), (raised, None))
        self.assertEqual((self.roll.people(HUB), list(self.roll.rooms())), ([], []))

    def test_a_hub_is_told_as_one(self) -> None:
        """And a door of an earlier version, which says nothing of it, is heard."""
        box = replace(ANN, account=None, via=Via.BROWSER, hub="412907338")
        told = attendance.here("other", box)
        self.roll.heard(TOPIC, told)
        self.assertEqual(self.roll.people(HUB), [box])
        del told["hub"]
        self.roll.heard(TOPIC, told)
        self.assertEqual(self.roll.people(HUB), [replace(box, hub=None)])

    def test_own_words_are_not_heard(self) -> None:
        """A door knows its own people."""
        self.assertIsNone(self.roll.heard(TOPIC, attendance.here("me", ANN)))
        self.assertEqual(self.roll.people(HUB), [])

    def test_a_late_goodbye_of_the_old_door(self) -> None:
        """Who has already come back by another door stays."""
        self.roll.heard(TOPIC, attendance.here("one", ANN))
        self.roll.heard(TOPIC, attendance.here("two", replace(ANN, hand=True)))
        self.assertIsNone(self.roll.heard(TOPIC, attendance.gone("one", "a1")))
        self.assertEqual(len(self.roll.people(HUB)), 1)

    @given(json)
    def test_other_words_change_nothing(self, payload: object) -> None:
        """A later version may say more than we understand."""
        said = payload if isinstance(payload, dict) else {"type": "here"}
        self.assertIsNone(self.roll.heard(TOPIC, said))
        self.assertIsNone(self.roll.heard("room.1.people", said))
        self.assertIsNone(conversation.read_said(HUB, said))


class ConversationTests(TestCase):
    """What was said goes over the bus whole."""

    def test_there_and_back(self) -> None:
        """The entry that was kept is the entry that is heard."""
        entry = Entry(
            hub_id=HUB,
            seq=7,
            kind=Kind.EDIT,
            message_id="m",
            author_id="a1",
            author="Ann",
            text="x",
            at=1.5,
            occupant_id="o",
            stanza_id="s",
            stanza="<message/>",
            about=6,
        )
        self.assertEqual(conversation.read_said(HUB, conversation.said(entry)), entry)
        message = conversation.message_of(entry)
        heard = conversation.read_said(HUB, conversation.said_in_browser(message))
        assert heard is not None
        self.assertEqual(conversation.message_of(heard), message)
        self.assertEqual(heard.kind, Kind.LINE)

"""What a viewer wrote at a stock door, once the viewer may write."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mosaic.workspace.model import Role
from tests.support.drcp import HUB, Hub
from tests.support.drcp_links import HocuspocusLink, Link, YLink, marks_in


class PromotionTests(SynchronousTestCase):
    """Stock clients keep what was refused, and build on it."""

    def meet(self, *links: Link) -> None:
        """Everybody's frames and a tick, until all have arrived."""
        for _ in range(4):
            for link in links:
                link.carry()
            self.hub.clock.advance(0.06)

    def give_token(self, link: Link, role: Role) -> None:
        """As the door would answer now."""
        self.hub.token(
            link.who, role, participant_id=link.participant_id, expires_at=1e9
        )

    def test_a_new_editor_is_asked_for_it(self) -> None:
        """Nothing waits for what was refused before, and all see it."""
        for make in (YLink, HocuspocusLink):
            self.hub = Hub()
            viewer, other = make("vic"), YLink("eve")
            self.give_token(viewer, Role.VIEWER)
            self.give_token(other, Role.EDITOR)
            for link in (viewer, other):
                link.connect(self.hub.service)
            self.meet(viewer, other)
            viewer.write(0)
            self.meet(viewer, other)
            self.assertEqual(marks_in(other.doc), [])
            self.give_token(viewer, Role.EDITOR)
            load = {"participant_id": viewer.participant_id, "role": "editor"}
            self.hub.bus.publish(f"room.{HUB}.people", {"type": "role", **load})
            viewer.write(1)
            self.meet(viewer, other)
            self.assertEqual(marks_in(other.doc), [("vic", 1), ("vic", 2)], make.door)
            viewer.drop()
            other.drop()

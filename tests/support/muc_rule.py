"""A meeting with a host, for the tests of who may do what."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.rooms.names import (
    NS_MUC_ADMIN,
)
from mosaic.wire.xmpp.xml import Node, element
from tests.support.muc import Meeting, XmppClient, error


class RuleCase(SynchronousTestCase):
    """Ann owns the room; Bob and Cyd came by the PIN; Pat has a page."""

    def setUp(self) -> None:
        self.meeting = Meeting()
        self.ann = self.meeting.inside("ann")
        self.bob = self.meeting.inside("bob")
        self.cyd = self.meeting.inside("cyd")
        self.page = self.meeting.browser("Pat")
        self.quiet()

    def quiet(self) -> None:
        """Forget what was heard so far."""
        for client in (self.ann, self.bob, self.cyd):
            client.hear()

    def admin(self, who: XmppClient, reason: str = "", **wanted: str) -> Node:
        """A change of somebody's role or affiliation; the answer."""
        inside = [element("reason", None, reason)] if reason else []
        changed = element("item", wanted, *inside)
        return who.ask("set", element("query", None, changed, ns=NS_MUC_ADMIN))

    def list(self, who: XmppClient, **wanted: str) -> Any:
        """Addresses or nicks of a list, or the error."""
        query = element("query", None, element("item", wanted), ns=NS_MUC_ADMIN)
        answer = who.ask("get", query)
        if error(answer):
            return error(answer)
        found = answer.children[0].children
        return [c.attributes.get("nick") or c.attributes["jid"] for c in found]

"""Hubs as contacts, with a double in place of the hubs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.xmpp.stanza import NS_CLIENT
from mosaic.wire.xmpp.xml import Node
from mosaic.workspace.hubs import Doing, HubState
from tests.support.xmpp import MemoryClient, MemoryXmpp

HUB = "lobby@hubs.localhost"


class FakeHubs:
    """A HubSource whose hubs are the test's."""

    def __init__(self, *states: HubState) -> None:
        self.known = {state.id: state for state in states}
        self.told: list[Callable[[HubState], None]] = []
        self.told_gone: list[Callable[[HubState], None]] = []

    def states(self) -> Iterable[HubState]:
        """All of them."""
        return list(self.known.values())

    def listen(
        self,
        changed: Callable[[HubState], None],
        gone: Callable[[HubState], None] = lambda state: None,
    ) -> None:
        """Remember it."""
        self.told.append(changed)
        self.told_gone.append(gone)

    def remove(self, hub: str) -> None:
        """A hub is no hub any more."""
        state = replace(self.known.pop(hub), doing=Doing.OFFLINE)
        for tell in self.told_gone:
            tell(state)

    def be(self, hub: str, doing: Doing) -> None:
        """A hub does something else, or is there for the first time."""
        state = HubState(id=hub, name=hub.title(), doing=doing)
        self.known[hub] = state
        for tell in self.told:
            tell(state)


class HubTests(SynchronousTestCase):
    """What accounts see of them."""

    def setUp(self) -> None:
        lobby = HubState(id="lobby", name="Lobby", doing=Doing.MEETING)
        self.hubs = FakeHubs(
            lobby, HubState(id="cellar", name="Cellar", doing=Doing.OFFLINE)
        )
        self.house = MemoryXmpp(hubs=self.hubs)

    def presences(self, nodes: list[Node]) -> list[tuple[str, str, str]]:
        """Address, type or show, status, of hubs."""
        found = []
        for node in nodes:
            sender = node.attributes.get("from", "")
            if node.name == "presence" and "@hubs." in sender:
                show = node.child(NS_CLIENT, "show")
                status = node.child(NS_CLIENT, "status")
                kind = node.attributes.get("type") or (show.text if show else "")
                found.append((sender, kind, status.text if status else ""))
        return found

    def come(self) -> tuple[MemoryClient, list[tuple[str, str, str]]]:
        """A client that has just become available, and the hubs it sees."""
        client = self.house.connect()
        client.log_in("ann", present=False)
        return client, self.presences(client.send("<presence/>"))

    def test_one_who_comes_sees_what_they_do(self) -> None:
        """Those that are there, once."""
        client, seen = self.come()
        self.assertEqual(seen, [(f"{HUB}/hub", "dnd", "in a meeting")])
        again = self.presences(client.send("<presence><show>away</show></presence>"))
        self.assertEqual(again, [])

    def test_changes_are_seen(self) -> None:
        """Also that one is gone."""
        client, _ = self.come()
        for doing in (Doing.IDLE, Doing.PRESENTING, Doing.UPDATING, Doing.OFFLINE):
            self.hubs.be("lobby", doing)
        seen = [told for _, *told in self.presences(client.receive())]
        self.assertEqual(
            seen,
            [
                ["", "idle"],
                ["dnd", "presenting"],
                ["xa", "updating"],
                ["unavailable", ""],
            ],
        )

    def test_they_stand_in_the_roster(self) -> None:
        """Under a group of their own; a new one is pushed."""
        client, _ = self.come()
        roster = client.send(
            "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"
        )[-1]
        names = {i.attributes["jid"]: i for i in roster.children[0].children}
        self.assertEqual(names[HUB].attributes["name"], "Lobby")
        self.assertEqual(names[HUB].attributes["subscription"], "both")
        self.hubs.be("attic", Doing.IDLE)
        pushed = [node for node in client.receive() if node.name == "iq"]
        [item] = pushed[0].children[0].children
        self.assertEqual(item.attributes["jid"], "attic@hubs.localhost")

    def test_one_that_is_removed_leaves_the_roster(self) -> None:
        """And its presence ends."""
        client, _ = self.come()
        client.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
        self.hubs.remove("lobby")
        came = client.receive()
        self.assertEqual(self.presences(came), [(f"{HUB}/hub", "unavailable", "")])
        [push] = [node for node in came if node.name == "iq"]
        [item] = push.children[0].children
        self.assertEqual(item.attributes["subscription"], "remove")

    def test_nobody_reads_there(self) -> None:
        """A message is refused, not lost."""
        client, _ = self.come()
        [answer] = client.send(f"<message to='{HUB}'><body>hello</body></message>")
        self.assertEqual(answer.attributes["type"], "error")

"""Whatever people do, in any order: both rosters agree, memory and store agree,
everybody sees exactly whom they may see, and nothing reaches the blocked."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis.strategies import builds, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.people.persons import Person
from mosaic.wire.xmpp.jid import parse_jid
from mosaic.wire.xmpp.subscription import SUBSCRIPTION_TYPES
from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import ACCOUNTS, MemoryClient, MemoryXmpp

NAMES = sorted(ACCOUNTS)
CLIENTS = [(name, resource) for name in NAMES for resource in ("1", "2")]
STANZAS = {
    "available": "<presence/>",
    "away": "<presence><show>away</show></presence>",
    "unavailable": "<presence type='unavailable'/>",
    "message": "<message to='{}' type='chat'><body>x</body></message>",
    "probe": "<presence type='probe' to='{}'/>",
    "add": "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='{}'/>"
    "</query></iq>",
    "remove": "<iq type='set' id='1'><query xmlns='jabber:iq:roster'>"
    "<item jid='{}' subscription='remove'/></query></iq>",
    "block": "<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'>"
    "<item jid='{}'/></block></iq>",
    "unblock": "<iq type='set' id='1'><unblock xmlns='urn:xmpp:blocking'>"
    "<item jid='{}'/></unblock></iq>",
} | {kind: f"<presence type='{kind}' to='{{}}'/>" for kind in SUBSCRIPTION_TYPES}


@dataclass(frozen=True)
class Deed:
    """What one client does about one account."""

    client: tuple[str, str]
    what: str
    whom: str


DEEDS = lists(
    builds(
        Deed,
        sampled_from(CLIENTS),
        sampled_from([*STANZAS, "subscribe", "subscribed", "drop"]),
        sampled_from(NAMES),
    ),
    max_size=25,
)


class World:
    """Three accounts with two devices each, and what each device has been told."""

    def __init__(self, *, everyone: bool) -> None:
        self.everyone = everyone
        self.house = MemoryXmpp(everyone_is_contact=everyone)
        self.clients: dict[tuple[str, str], MemoryClient] = {}
        self.seen: dict[tuple[str, str], set[str]] = {}
        for name, resource in CLIENTS:
            self.log_in(name, resource)

    def log_in(self, name: str, resource: str) -> None:
        """A device that has asked for the roster and is available."""
        client = self.house.connect()
        client.log_in(name, resource, present=False)
        client.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
        self.clients[name, resource] = client
        self.seen[name, resource] = set()
        client.protocol.dataReceived(b"<presence/>")

    def do(self, deed: Deed) -> None:
        """One deed; the client learns of its own absence by itself."""
        client = self.clients[deed.client]
        if deed.what == "drop":
            client.drop()
            self.log_in(*deed.client)
            return
        if deed.what == "unavailable":
            self.look()
            self.seen[deed.client] = set()
        sent = STANZAS[deed.what].format(f"{deed.whom}@localhost")
        client.protocol.dataReceived(sent.encode())

    def look(self) -> list[tuple[str, Node]]:
        """What came since: to which account, and the stanza."""
        came = []
        for key, client in self.clients.items():
            for node in client.receive():
                came.append((key[0], node))
                if node.name == "presence" and not node.attributes.get("type"):
                    self.seen[key].add(node.attributes["from"])
                elif node.attributes.get("type") == "unavailable":
                    self.seen[key].discard(node.attributes["from"])
        return came

    def person(self, name: str) -> Person:
        """As the server knows it."""
        found = self.house.household.persons.at_hand(name)
        assert found is not None
        return found

    def shows(self, name: str, viewer: str) -> bool:
        """Whether one lets another see it, blocks apart."""
        if self.everyone or name == viewer:
            return True
        return self.person(name).contact(f"{viewer}@localhost").from_

    def parted(self, one: str, other: str) -> bool:
        """Whether either blocks the other."""
        return self.person(one).blocks(parse_jid(f"{other}@localhost")) or self.person(
            other
        ).blocks(parse_jid(f"{one}@localhost"))

    def may_hear(self) -> set[tuple[str, str]]:
        """Pairs of accounts of which the second may hear the first."""
        return {
            (one, other)
            for one in NAMES
            for other in NAMES
            if not self.parted(one, other)
        }

    def may_see(self) -> set[tuple[str, str]]:
        """Pairs of which the second sees the first's presence."""
        return {pair for pair in self.may_hear() if self.shows(*pair)}


class AnyOrderTests(SynchronousTestCase):
    """Twenty-five deeds of six devices."""

    def run_deeds(self, deeds: list[Deed], *, everyone: bool) -> None:
        """Do them, and look after each."""
        world = World(everyone=everyone)
        world.look()
        for deed in deeds:
            heard, saw = world.may_hear(), world.may_see()
            world.do(deed)
            came = world.look()
            heard |= world.may_hear()
            saw |= world.may_see()
            self.check_deliveries(came, heard, saw)
            self.check_rosters(world)
            self.check_views(world)
        self.assertEqual(self.flushLoggedErrors(), [])

    def check_deliveries(
        self,
        came: list[tuple[str, Node]],
        heard: set[tuple[str, str]],
        saw: set[tuple[str, str]],
    ) -> None:
        """Nothing came from whom one may not hear or see, before and after."""
        for name, node in came:
            sender = node.attributes.get("from", "").partition("@")[0]
            kind = node.attributes.get("type", "")
            if sender not in NAMES or kind == "error":
                continue  # an error is the server's word in another's name
            if node.name == "presence" and kind == "":
                self.assertIn((sender, name), saw, node)
            elif kind != "unsubscribed":  # also a probe's answer, for anybody
                self.assertIn((sender, name), heard, node)

    def check_rosters(self, world: World) -> None:
        """What one gives is what the other gets; and the store knows it."""
        for one in NAMES:
            person = world.person(one)
            for other in NAMES:
                mine = person.contact(f"{other}@localhost")
                theirs = world.person(other).contact(f"{one}@localhost")
                self.assertEqual(mine.from_, theirs.to, (one, other))
                self.assertFalse(mine.ask and mine.to, (one, other))
                self.assertFalse(mine.asking and mine.from_, (one, other))
            kept = self.successResultOf(world.house.store.person(one))
            self.assertEqual(
                {contact.jid: contact for contact in kept.contacts}, person.contacts
            )
            self.assertEqual(kept.blocked, person.blocked)

    def check_views(self, world: World) -> None:
        """Each available device sees exactly the devices that it may see."""
        household = world.house.household
        for name, resource in CLIENTS:
            session = household.exchange.find(parse_jid(f"{name}@localhost/{resource}"))
            assert session is not None
            if session.presence is None:
                continue
            expected = {
                other.address
                for other in household.exchange.everyone_available()
                if (other.jid.local, name) in world.may_see()
            }
            self.assertEqual(world.seen[name, resource], expected, (name, resource))

    @settings(max_examples=60, deadline=None)
    @given(DEEDS)
    def test_strangers(self, deeds: list[Deed]) -> None:
        """Accounts that must ask each other."""
        self.run_deeds(deeds, everyone=False)

    @settings(max_examples=30, deadline=None)
    @given(DEEDS)
    def test_colleagues(self, deeds: list[Deed]) -> None:
        """One organisation."""
        self.run_deeds(deeds, everyone=True)

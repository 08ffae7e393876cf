"""Kicked from the room is kicked from the relay."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.app.revocation import revoke_with_the_door
from mosaic.auth.turn_credentials import TurnSecrets
from mosaic.bus.memory import MemoryBus


class FakeRelay:
    """Allocations by user name."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)

    def drop(self, matches: Callable[[str], bool]) -> None:
        """End those that match."""
        self.names -= {name for name in self.names if matches(name)}


class RevocationTests(SynchronousTestCase):
    """Credentials and allocations go together."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.bus = MemoryBus(self.clock)
        self.secrets = TurnSecrets([b"s" * 32], ttl_s=600)
        self.minted = {
            name: self.secrets.mint(name, 0.0) for name in ("p1", "p2", "ada")
        }
        self.relay = FakeRelay(*(each.username for each in self.minted.values()))
        revoke_with_the_door(
            self.bus, secrets=self.secrets, relay=self.relay, now=lambda: 10.0
        )

    def works(self, name: str) -> bool:
        """Whether the credentials still pass, and the allocation stands."""
        username = self.minted[name].username
        passes = bool(self.secrets.passwords_for(username, 20.0))
        self.assertEqual(passes, username in self.relay.names)
        return passes

    def publish(self, topic: str, **payload: str) -> None:
        """Publish, and let the bus turn."""
        self.bus.publish(topic, payload)
        self.clock.advance(0)

    def test_kicked_participant(self) -> None:
        """Only the one."""
        self.publish("room.412907338.people", type="kicked", participant_id="p1")
        self.assertFalse(self.works("p1"))
        self.assertTrue(self.works("p2"))

    def test_removed_account(self) -> None:
        """By its name."""
        self.publish("account.ada", type="removed")
        self.assertFalse(self.works("ada"))
        self.assertTrue(self.works("p1"))

    def test_other_news_revoke_nothing(self) -> None:
        """A new role is no reason."""
        self.publish("room.1.people", type="role", participant_id="p1", role="viewer")
        self.assertTrue(self.works("p1"))

"""The hubs in memory beside a store that others write too; and their tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis.strategies import binary, integers, text
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.hubfleet import Fleet
from mosaic.auth.hubtokens import AGENT, SCREEN, HubSigner, new_serial, read_token
from mosaic.bus.memory import MemoryBus
from mosaic.store.memory import MemoryStore
from mosaic.wire.hubproofs import (
    enrolment_text,
    from_base64url,
    to_base64url,
    token_text,
)
from mosaic.workspace.hubs import Doing, Hub, HubState

HUB = Hub(
    hub_id="412907338",
    name="Lisbon",
    public_key=b"p" * 32,
    code=b"c" * 32,
    enrolled_at=1.0,
)
OTHER = replace(HUB, hub_id="100000009", name="Porto", public_key=b"q" * 32)


class SlowStore(MemoryStore):
    """Its list of hubs is read when the test says, and given when it says."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Hub] = []
        self.slow: list[Deferred[list[Hub]]] = []
        self.is_slow = False

    def hubs(self) -> Deferred[list[Hub]]:
        """The rows, now or later."""
        answer: Deferred[list[Hub]] = Deferred()
        if self.is_slow:
            self.slow.append(answer)
        else:
            answer.callback(list(self.rows))
        return answer


class FleetTests(SynchronousTestCase):
    """What is read, what happens meanwhile, and who is told."""

    def setUp(self) -> None:
        """Two hubs."""
        self.clock = Clock()
        self.store = SlowStore()
        self.store.rows = [HUB, OTHER]
        self.bus = MemoryBus(self.clock)
        self.fleet = Fleet(
            self.store,
            self.bus,
            clock=self.clock,
            wall=self.clock.seconds,
            offline_after_s=60.0,
        )
        self.run_steps(self.fleet.start())

    def run_steps(self, steps: Any) -> Any:
        """The result of a coroutine that waits for nothing."""
        return self.successResultOf(Deferred.fromCoroutine(steps))

    def ids(self) -> list[str]:
        """Who is there."""
        return [live.hub.hub_id for live in self.fleet.every()]

    def reading(self) -> Deferred[list[Hub]]:
        """A read that is under way."""
        self.store.is_slow = True
        self.bus.publish("store", {"type": "changed"})
        self.clock.advance(0)
        [answer] = self.store.slow
        return answer

    def test_a_removal_is_newer_than_what_is_being_read(self) -> None:
        """A hub that was removed does not come back by an old list."""
        answer = self.reading()
        self.fleet.removed(HUB.hub_id)
        answer.callback([HUB, OTHER])
        self.assertEqual(self.ids(), [OTHER.hub_id])

    def test_so_are_an_enrolment_and_a_change(self) -> None:
        """A hub that has just come stays; a newer row is not undone."""
        answer = self.reading()
        third = replace(HUB, hub_id="200000008", public_key=b"r" * 32)
        self.fleet.enrolled(third)
        self.fleet.changed(replace(HUB, name="Faro", seq=2))
        answer.callback([HUB, OTHER])
        self.assertEqual(len(self.ids()), 3)
        live = self.fleet.get(HUB.hub_id)
        assert live is not None
        self.assertEqual(live.hub.name, "Faro")

    def test_what_is_read_counts(self) -> None:
        """Gone, new and other hubs; waiting feeds wake."""
        live = self.fleet.get(HUB.hub_id)
        assert live is not None
        waiter = self.fleet.wait(live, 25)
        third = replace(HUB, hub_id="200000008", public_key=b"r" * 32)
        self.reading().callback([replace(HUB, seq=2), third])
        self.assertEqual(self.ids(), [HUB.hub_id, third.hub_id])
        self.successResultOf(waiter.news)

    def test_a_late_change_does_not_bring_a_hub_back(self) -> None:
        """It was removed before the answer came."""
        self.fleet.removed(HUB.hub_id)
        self.fleet.changed(replace(HUB, seq=9))
        self.assertEqual(self.ids(), [OTHER.hub_id])

    def test_listeners_hear_what_others_may_see(self) -> None:
        """Coming, doing, a new name, silence, the end; one that fails stops none."""
        told: list[HubState] = []
        gone: list[HubState] = []

        def fail(state: HubState) -> None:
            raise ZeroDivisionError

        self.fleet.listen(fail)
        self.fleet.listen(told.append, gone.append)
        live = self.fleet.get(HUB.hub_id)
        assert live is not None
        self.fleet.heard(live)
        self.fleet.heard(live)
        self.fleet.report(live, Doing.MEETING, "status")
        self.fleet.changed(replace(HUB, name="Faro", seq=2))
        self.clock.advance(59)
        self.fleet.sweep()
        self.clock.advance(2)
        self.fleet.sweep()
        self.fleet.removed(HUB.hub_id)
        seen = [(state.name, state.doing) for state in told]
        self.assertEqual(
            seen,
            [
                ("Lisbon", Doing.IDLE),
                ("Lisbon", Doing.MEETING),
                ("Faro", Doing.MEETING),
                ("Faro", Doing.OFFLINE),
            ],
        )
        self.assertEqual([state.doing for state in gone], [Doing.OFFLINE])
        self.assertGreaterEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 4)

    def test_levels(self) -> None:
        """Each hub counts for one state."""
        live = self.fleet.get(HUB.hub_id)
        assert live is not None
        self.fleet.report(live, Doing.UPDATING, "status")
        waiter = self.fleet.wait(live, 25)
        counters = self.fleet.counters
        self.assertEqual((counters.enrolled, counters.offline), (2, 1))
        self.assertEqual((counters.updating, counters.waiting), (1, 1))
        self.fleet.let_go(live, waiter)
        self.fleet.let_go(live, waiter)
        self.assertEqual(self.fleet.counters.waiting, 0)


class TokenTests(SynchronousTestCase):
    """Tokens and proofs as text."""

    signer = HubSigner(b"k" * 32)

    def test_a_token_is_of_one_hub_key_and_server(self) -> None:
        """The same hub with another key has none of the old one's."""
        for kind in (AGENT, SCREEN):
            minted = self.signer.mint(
                HUB, kind=kind, expires_at=99, serial=new_serial()
            )
            token = read_token(minted)
            assert token is not None
            self.assertEqual((token.kind, token.hub_id), (kind, HUB.hub_id))
            self.assertTrue(self.signer.is_genuine(token, HUB))
            self.assertFalse(
                self.signer.is_genuine(token, replace(HUB, public_key=b"x" * 32))
            )
            self.assertFalse(HubSigner(b"l" * 32).is_genuine(token, HUB))

    @given(text())
    def test_any_text_is_a_token_or_none(self, told: str) -> None:
        """Nothing else happens; and it is never genuine."""
        for shown in (told, f"mh_{told}", f"mh_a.412907338.9.{told}"):
            token = read_token(shown)
            if token is not None:
                self.assertFalse(self.signer.is_genuine(token, HUB))

    @given(binary(min_size=32, max_size=32))
    def test_keys_survive_base64(self, key: bytes) -> None:
        """With padding and without."""
        told = to_base64url(key)
        self.assertEqual(from_base64url(told, 32), key)
        self.assertEqual(from_base64url(told + "=", 32), key)

    @given(text(), integers(1, 64))
    def test_any_text_is_base64_or_an_error(self, told: str, size: int) -> None:
        """Of exactly that size."""
        try:
            self.assertEqual(len(from_base64url(told, size)), size)
        except ValueError:
            pass

    def test_what_is_signed(self) -> None:
        """Fixed for ever: hubs that are older sign it so (docs/protocols/hub.md)."""
        key = bytes(range(32))
        self.assertEqual(
            enrolment_text("7KQ2MXW9RD", key),
            b"mosaic-hub-enrol\n7KQ2MXW9RD\n"
            b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        )
        self.assertEqual(
            token_text("412907338", 1790000000, "n" * 16),
            b"mosaic-hub-token\n412907338\n1790000000\nnnnnnnnnnnnnnnnn",
        )

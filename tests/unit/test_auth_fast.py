"""Second verifiers, and tokens for quick logins, through the whole door."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.fast import FastToken
from tests.support.doors import House

CLIENT = b"c" * 32
HT = "HT-SHA-256-NONE"


class FastTests(SynchronousTestCase):
    """Tokens."""

    def setUp(self) -> None:
        self.house = House()
        self.door = self.house.door
        self.house.run(self.door.add_account("ann", "password", admin=False))

    def issue(self, mechanism: str = HT) -> FastToken:
        """Ann's."""
        token = self.house.run(
            self.door.fast.issue("ann", CLIENT, mechanism, keep=None)
        )
        assert token is not None
        return token

    def found(self) -> list[str]:
        """The secrets that ann's client could come with."""
        return [t.secret for t in self.house.run(self.door.fast.find("ann", CLIENT))]

    def test_a_token_is_found_as_it_was_given(self) -> None:
        """Computed again, not kept."""
        token = self.issue()
        self.assertEqual(self.found(), [token.secret])
        self.assertNotIn(token.secret, repr(vars(self.house.store)))

    def test_a_password_makes_its_own_tokens(self) -> None:
        """So does another account of the name."""
        token = self.issue()
        self.house.run(self.door.set_password("ann", "pass-word"))
        self.assertNotIn(token.secret, self.found())
        token = self.issue()
        self.house.run(self.door.remove_account("ann"))
        self.assertEqual(self.found(), [])
        self.house.run(self.door.add_account("ann", "pass-word", admin=False))
        self.assertEqual(self.found(), [])

    def test_nobody_without_an_account_gets_one(self) -> None:
        """It may have gone in the meantime."""
        issue = self.door.fast.issue("eve", CLIENT, HT, keep=None)
        self.assertIsNone(self.house.run(issue))

    def test_old_ones_are_forgotten(self) -> None:
        """With the other tokens of the house."""
        token = self.issue()
        self.house.clock.advance(token.expires_at - self.house.wall() + 1)
        [over] = self.house.run(self.door.fast.find("ann", CLIENT))
        self.assertTrue(over.expired)
        self.assertEqual(self.house.run(self.door.forget_expired()), 1)
        self.assertEqual(self.found(), [])


class SecondVerifierTests(SynchronousTestCase):
    """SCRAM-SHA-1, which an operator may turn on."""

    def test_a_password_that_is_set_gets_one(self) -> None:
        """An account from before is told like an unknown one."""
        house = House()
        house.run(house.door.add_account("old", "password", admin=False))
        fake = house.run(house.door.scram_sha_1_verifier("old"))
        self.assertFalse(fake.matches("password"))
        self.assertEqual((fake.digest, len(fake.stored_key)), ("sha1", 20))
        self.assertEqual(fake, house.run(house.door.scram_sha_1_verifier("old")))
        other = House(scram_sha_1=True)
        other.run(other.door.add_account("new", "password", admin=False))
        self.assertTrue(
            other.run(other.door.scram_sha_1_verifier("new")).matches("password")
        )
        other.run(other.door.set_password("new", "pass-word"))
        found = other.run(other.door.scram_sha_1_verifier("new"))
        self.assertTrue(found.matches("pass-word"))
        unknown = other.run(other.door.scram_sha_1_verifier("no one"))
        self.assertEqual(unknown.iterations, found.iterations)

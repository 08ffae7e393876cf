"""The door for people with accounts."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.interface import (
    Door,
    InvalidToken,
    Issued,
    TryLater,
    WrongCredentials,
)
from mosaic.store.interface import NameTaken, NotFound
from tests.support.doors import NOON, House

HOME = "192.0.2.1"
RIGHT = "correct horse"


class AccountTests(SynchronousTestCase):
    """One account, ada, with the password RIGHT."""

    def setUp(self) -> None:
        self.house = House()
        self.door: Door = self.house.door
        self.run_ = self.house.run
        self.run_(self.door.add_account("Ada", RIGHT, admin=False))

    def log_in(
        self, name: str = "ada", password: str = RIGHT, address: str = HOME
    ) -> Issued:
        """Try to."""
        return self.run_(self.door.log_in(name, password, address=address))

    def wrong(self, count: int, name: str = "ada", address: str = HOME) -> None:
        """That many wrong passwords."""
        for _ in range(count):
            with self.assertRaises(WrongCredentials):
                self.log_in(name, "wrong", address)

    def test_the_right_password_gives_a_session(self) -> None:
        """However the name is written; the token is good at once."""
        issued = self.log_in(" ADA ")
        principal = self.run_(self.door.principal(issued.token))
        self.assertEqual(principal, issued.principal)
        self.assertEqual((principal.name, principal.account), ("ada", "ada"))
        self.assertEqual((principal.hub_id, principal.role), (None, None))
        self.assertFalse(principal.admin)

    def test_unknown_accounts_cost_and_answer_the_same(self) -> None:
        """One PBKDF2 with as many rounds, the same sentence, the same count."""
        answers: list[tuple[str, int]] = []
        for name in ("ada", "eve", "not/a/name"):
            before = self.house.threads.calls
            with self.assertRaises(WrongCredentials) as caught:
                self.log_in(name, "wrong", f"198.51.100.{len(answers)}")
            answers.append((str(caught.exception), self.house.threads.calls - before))
        self.assertEqual(answers, [answers[0]] * 3)
        self.assertEqual(answers[0][1], 1)
        real = self.run_(self.door.scram_verifier("ada"))
        fake = self.run_(self.door.scram_verifier("eve"))
        self.assertEqual(real.iterations, fake.iterations)
        self.assertEqual(fake, self.run_(self.door.scram_verifier("EVE")))

    def test_unknown_accounts_are_backed_off_alike(self) -> None:
        """Or the missing 429 would tell."""
        for name, address in (("ada", HOME), ("eve", "198.51.100.1")):
            self.wrong(5, name, address)
            with self.assertRaises(TryLater):
                self.log_in(name, RIGHT, "203.0.113.9")

    def test_the_right_password_must_wait_too(self) -> None:
        """Else the wait would only slow the owner."""
        self.wrong(5)
        with self.assertRaises(TryLater) as caught:
            self.log_in()
        self.assertEqual(caught.exception.retry_after_s, 30)
        self.house.clock.advance(30)
        self.log_in()

    def test_tries_sent_at_once_are_still_five(self) -> None:
        """A thousand guesses in flight must not all pass the first check."""
        self.house.threads.held = []
        answers: list[object] = []
        for number in range(1000):
            guess = self.door.log_in("ada", f"guess {number}", address=HOME)
            Deferred.fromCoroutine(guess).addBoth(answers.append)
        worked = 0
        while self.house.threads.held:
            self.house.threads.held.pop(0)()
            self.house.clock.pump([0] * 1000)
            worked += 1
        self.assertEqual((worked, len(answers)), (5, 1000))

    def test_sessions_end(self) -> None:
        """By the wall clock, with a minute of leeway."""
        issued = self.log_in()
        self.assertEqual(issued.principal.expires_at, NOON + 604_800)
        self.house.clock.advance(604_800 + 60)
        self.run_(self.door.principal(issued.token))
        self.house.clock.advance(1)
        with self.assertRaises(InvalidToken):
            self.run_(self.door.principal(issued.token))
        self.assertEqual(self.run_(self.house.door.forget_expired()), 1)

    def test_logging_out_revokes(self) -> None:
        """That token and no other; twice is no error."""
        first, second = self.log_in(), self.log_in()
        for _ in range(2):
            self.run_(self.door.log_out(first.token))
        with self.assertRaises(InvalidToken):
            self.run_(self.door.principal(first.token))
        self.run_(self.door.principal(second.token))

    def test_what_is_no_token_is_refused(self) -> None:
        """Empty, cut, lengthened, or from elsewhere."""
        token = self.log_in().token
        for other in (
            "",
            token[:-1],
            token + "A",
            token.upper(),
            "\ud800",
            "ms_" + "A" * 43,
        ):
            with self.assertRaises(InvalidToken):
                self.run_(self.door.principal(other))

    def test_a_new_password_ends_sessions_and_is_told(self) -> None:
        """Live connections hear it on the bus."""
        issued = self.log_in()
        self.run_(self.door.set_password("Ada", "battery staple"))
        with self.assertRaises(InvalidToken):
            self.run_(self.door.principal(issued.token))
        self.assertEqual(self.house.news(), [("account.ada", {"type": "password"})])
        self.log_in(password="battery staple")

    def test_a_removed_account_is_told(self) -> None:
        """And cannot log in."""
        issued = self.log_in()
        self.run_(self.door.remove_account("ADA"))
        self.assertEqual(self.house.news(), [("account.ada", {"type": "removed"})])
        with self.assertRaises(InvalidToken):
            self.run_(self.door.principal(issued.token))
        self.wrong(1)
        with self.assertRaises(NotFound):
            self.run_(self.door.remove_account("ada"))

    def test_bad_names_and_passwords_are_refused_with_a_reason(self) -> None:
        """Before any work."""
        before = self.house.threads.calls
        for name, password in (
            ("a b", RIGHT),
            ("", RIGHT),
            ("ben", ""),
            ("ben", "\x07" * 9),
        ):
            with self.assertRaises(ValueError):
                self.run_(self.door.add_account(name, password, admin=False))
        self.assertEqual(self.house.threads.calls, before)
        with self.assertRaises(NameTaken):
            self.run_(self.door.add_account("ADA", RIGHT, admin=False))

    def test_others_share_the_count(self) -> None:
        """XMPP and DRCP check and note what their own SCRAM found."""
        for _ in range(5):
            self.door.check_tries(account="Ada", address=HOME)
            self.door.note_failure(account="Ada", address=HOME)
        with self.assertRaises(TryLater):
            self.log_in()
        self.door.note_success(account="ada", address=HOME)
        self.log_in()


class SetupTests(SynchronousTestCase):
    """The first administrator."""

    def setUp(self) -> None:
        self.house = House()
        self.door = self.house.door
        self.run_ = self.house.run

    def code(self) -> str:
        """A new setup code."""
        code = self.run_(self.door.new_setup_code())
        assert code is not None
        return code

    def test_the_code_makes_one_administrator(self) -> None:
        """Who is logged in at once."""
        issued = self.run_(self.door.set_up(self.code(), "root", RIGHT))
        self.assertTrue(self.run_(self.door.principal(issued.token)).admin)
        self.assertIsNone(self.run_(self.door.new_setup_code()))

    def test_every_code_is_void_once_there_is_an_administrator(self) -> None:
        """The same one again, an older one, and after `user add --admin`."""
        first, second = self.code(), self.code()
        self.run_(self.door.set_up(first, "root", RIGHT))
        for code in (first, second):
            with self.assertRaises(InvalidToken):
                self.run_(self.door.set_up(code, "other", RIGHT))

    def test_two_at_once_make_one(self) -> None:
        """The second waits for the first, then finds the door shut."""
        code = self.code()
        self.house.threads.held = []
        answers: list[object] = []
        for name in ("one", "two"):
            Deferred.fromCoroutine(self.door.set_up(code, name, RIGHT)).addCallbacks(
                answers.append, lambda failure: answers.append(failure.type)
            )
        while self.house.threads.held:
            self.house.threads.held.pop(0)()
            self.house.clock.advance(0)
        self.assertEqual(answers[1], InvalidToken)
        names = [a.name for a in self.successResultOf(self.house.store.accounts())]
        self.assertEqual(names, ["one"])

    def test_a_mistake_leaves_the_code_usable(self) -> None:
        """A short password is no reason to look for the terminal again."""
        code = self.code()
        with self.assertRaises(ValueError):
            self.run_(self.door.set_up(code, "root", "x"))
        self.run_(self.door.set_up(code, "root", RIGHT))

    def test_other_tokens_are_no_codes_and_a_code_is_no_token(self) -> None:
        """Kinds do not mix."""
        with self.assertRaises(InvalidToken):
            self.run_(self.door.principal(self.code()))
        self.run_(self.door.add_account("ben", RIGHT, admin=False))
        session = self.run_(self.door.log_in("ben", RIGHT, address=HOME))
        with self.assertRaises(InvalidToken):
            self.run_(self.door.set_up(session.token, "root", RIGHT))

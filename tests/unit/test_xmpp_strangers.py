"""What a stranger sees of a name is the same whether there is such an account.

Time cannot be asserted here; `tests/bench/xmpp/names.py` measures it. What takes
time can: HMACs, hashes, reads, and the steps of the database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.store import accounts
from mosaic.store.database import driver, open_engine, prepare_database
from tests.support.xmpp import VERIFIER, condition, sasl
from tests.support.xmpp_house import XmppCase


class StrangerTests(XmppCase):
    """Wrong passwords over the real door."""

    def count(self, whom: Any, name: str, into: Counter[str]) -> None:
        """Count the calls of something from here on."""
        original: Callable[..., Any] = getattr(whom, name)

        def counting(*args: Any, **named: Any) -> Any:
            into[name] += 1
            return original(*args, **named)

        self.patch(whom, name, counting)

    def attempt(self, name: str, work: Counter[str]) -> tuple[object, Counter[str]]:
        """A wrong password: what was answered, and the work that it made."""
        client = self.house.connect()
        client.start()
        work.clear()
        [challenge] = client.send(
            sasl("auth", f"n,,n={name},r=mine".encode(), "SCRAM-SHA-256")
        )
        text = base64.b64decode(challenge.text).decode()
        nonce = text.partition(",")[0].removeprefix("r=")
        proof = base64.b64encode(bytes(32)).decode()
        answers = client.send(sasl("response", f"c=biws,r={nonce},p={proof}".encode()))
        shape = re.sub("[A-Za-z0-9+/_-]{20,}", lambda found: f"<{len(found[0])}>", text)
        return (shape, [condition(one) for one in answers]), Counter(work)

    def test_known_and_unknown_names_are_the_same_work(self) -> None:
        """And the same bytes, but for salt and nonce; at every try."""
        work: Counter[str] = Counter()
        for name in dir(self.store):
            if not name.startswith("_") and callable(getattr(self.store, name)):
                self.count(self.store, name, work)
        self.count(hmac, "digest", work)
        self.count(hmac, "compare_digest", work)
        self.count(hashlib, "new", work)
        self.check_iterations("bob")
        seen = [
            self.attempt(name, work)
            for names in (("bob", "bod"), ("bob", "bod"))
            for name in names
        ]
        for one in seen[1:]:
            self.assertEqual(one, seen[0])
        _, done = seen[0]
        self.assertEqual(done["verifier"], 1, done)
        self.assertGreaterEqual(done["digest"], 2, done)

    def check_iterations(self, name: str) -> None:
        """As many as the house gives to nobody."""
        stored = self.run_steps(self.store.verifier(name))
        fake = self.run_steps(self.door.scram_verifier("nobody"))
        self.assertEqual(stored.iterations, fake.iterations)


class DatabaseTests(SynchronousTestCase):
    """The read behind it."""

    def test_a_name_costs_sqlite_the_same_steps(self) -> None:
        """Found or not: a stranger could measure a row that is fetched."""
        path = Path(self.mktemp())
        prepare_database(path, check=False)
        engine = open_engine(path, write=True)
        self.addCleanup(engine.dispose)
        steps = 0

        def step() -> int:
            nonlocal steps
            steps += 1
            return 0

        with engine.begin() as connection:
            for n in range(100, 200):
                accounts.add(connection, f"u{n}", VERIFIER, admin=False, at=0.0)
            driver(connection).set_progress_handler(step, 1)
            taken = {}
            for name in ("u150", "u15", "u15a", "a", "u150x"):
                steps = 0
                found = accounts.verifier(connection, name)
                self.assertEqual(found is not None, name == "u150", name)
                taken[name] = steps
            driver(connection).set_progress_handler(None, 0)
            self.assertIsNone(accounts.verifier(connection, "zoe"))
        self.assertEqual(len(set(taken.values())), 1, taken)
        self.assertGreater(steps, 3)

"""What every store does with second verifiers and tokens for quick logins."""

from __future__ import annotations

from dataclasses import replace

from mosaic.store.interface import NotFound
from mosaic.store.logins import StoredFastToken
from tests.support.stores import (
    NOW,
    OTHER,
    VERIFIER,
    MemoryCase,
    SqlCase,
    StoreContract,
)

SHA_1 = replace(VERIFIER, stored_key=b"k" * 20, server_key=b"v" * 20, digest="sha1")
PHONE, BOX = b"p" * 32, b"b" * 32


def token(serial: bytes, **changes: object) -> StoredFastToken:
    """Ada's token of her phone, changed as said."""
    base = StoredFastToken(
        account="ada",
        client=PHONE,
        serial=serial.ljust(16, b"."),
        mechanism="HT-SHA-256-NONE",
        created_at=NOW,
        expires_at=NOW + 60,
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields of one type each


class LoginsContract(StoreContract):
    """Both kinds."""

    def setUp(self) -> None:
        super().setUp()
        self.furnish()

    def add(self, *tokens: StoredFastToken, keep: bytes | None = None) -> None:
        """Keep them, one after the other."""
        for one in tokens:
            self.result(self.store.add_fast_token(one, keep=keep, most=4))

    def kept(self, client: bytes = PHONE) -> list[StoredFastToken]:
        """Ada's."""
        return self.result(self.store.fast_tokens("ada", client))

    def test_a_second_verifier_belongs_to_a_password(self) -> None:
        """It is not found beside another first one, whoever set that."""
        self.assertIsNone(self.result(self.store.scram_sha_1("ada")))
        self.result(self.store.set_scram_sha_1("ada", SHA_1))
        self.assertEqual(self.result(self.store.scram_sha_1("ada")), SHA_1)
        self.result(self.store.set_verifier("ada", OTHER))
        self.assertIsNone(self.result(self.store.scram_sha_1("ada")))
        self.result(self.store.set_scram_sha_1("ada", SHA_1))
        self.assertEqual(self.result(self.store.scram_sha_1("ada")), SHA_1)

    def test_accounts_take_them_along(self) -> None:
        """And nobody who comes later under the name gets them."""
        self.result(self.store.set_scram_sha_1("ada", SHA_1))
        self.add(token(b"1"))
        self.result(self.store.remove_account("ada"))
        self.result(self.store.add_account("ada", VERIFIER, admin=False))
        self.assertIsNone(self.result(self.store.scram_sha_1("ada")))
        self.assertEqual(self.kept(), [])

    def test_unknown_accounts(self) -> None:
        """NotFound where something would be kept."""
        self.fails(NotFound, self.store.set_scram_sha_1("eve", SHA_1))
        stranger = token(b"1", account="eve")
        self.fails(NotFound, self.store.add_fast_token(stranger, keep=None, most=4))
        self.assertIsNone(self.result(self.store.scram_sha_1("eve")))
        self.assertEqual(self.result(self.store.fast_tokens("eve", PHONE)), [])

    def test_a_token_replaces_those_before(self) -> None:
        """Except the one in use, and those of other clients."""
        self.add(token(b"1"), token(b"2", client=BOX))
        one = token(b"1").serial
        self.add(token(b"3", expires_at=NOW + 90), keep=one)
        self.assertEqual([t.serial[:1] for t in self.kept()], [b"3", b"1"])
        self.add(token(b"4"))
        self.assertEqual([t.serial[:1] for t in self.kept()], [b"4"])
        self.assertEqual(self.kept(BOX), [token(b"2", client=BOX)])

    def test_an_account_has_a_bound_number(self) -> None:
        """The oldest make room."""
        for number in range(6):
            client = bytes([number]) * 32
            self.add(token(b"%d" % number, client=client, created_at=NOW + number))
        found = [len(self.kept(bytes([number]) * 32)) for number in range(6)]
        self.assertEqual(found, [0, 0, 1, 1, 1, 1])

    def test_use_ends_the_older_one(self) -> None:
        """Those that expire earlier, of the same client."""
        self.add(token(b"1"), token(b"5", client=BOX))
        self.add(token(b"2", expires_at=NOW + 90), keep=token(b"1").serial)
        use = self.store.use_fast_token
        self.assertTrue(self.result(use(token(b"1").serial, count=None)))
        self.assertEqual(len(self.kept()), 2)
        self.assertTrue(self.result(use(token(b"2").serial, count=None)))
        self.assertEqual([t.serial[:1] for t in self.kept()], [b"2"])
        self.assertFalse(self.result(use(token(b"1").serial, count=None)))
        self.assertEqual(len(self.kept(BOX)), 1)

    def test_counts_only_grow(self) -> None:
        """Whatever came before is refused and changes nothing."""
        self.add(token(b"1"))
        serial = token(b"1").serial
        outcomes = [
            self.result(self.store.use_fast_token(serial, count=count))
            for count in (3, 3, 1, None, 4)
        ]
        self.assertEqual(outcomes, [True, False, False, True, True])
        self.assertEqual(self.kept()[0].count, 4)

    def test_removal(self) -> None:
        """One, and those that are over."""
        self.add(token(b"1"), token(b"2", client=BOX, expires_at=NOW + 90))
        self.assertEqual(
            self.result(self.store.remove_fast_tokens(expired_before=NOW + 70)), 1
        )
        self.assertEqual((self.kept(), len(self.kept(BOX))), ([], 1))
        self.result(self.store.remove_fast_token(token(b"2").serial))
        self.result(self.store.remove_fast_token(token(b"2").serial))
        self.assertEqual(self.kept(BOX), [])


class MemoryLoginsTests(MemoryCase, LoginsContract):
    """The fake."""


class SqlLoginsTests(SqlCase, LoginsContract):
    """On disk."""


# Abstract: nothing for the runner to collect.
del StoreContract, MemoryCase, SqlCase, LoginsContract

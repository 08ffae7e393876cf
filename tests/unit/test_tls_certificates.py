"""Folders of certificates: what is found in them, and what is refused how."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis.strategies import binary, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from mosaic.tls.certificates import load_certificates
from mosaic.tls.errors import CertificateError
from tests.support.tls_folders import (
    certificate_folder,
    ec_key,
    key_pem,
    rsa_key,
    self_signed,
)


class FolderTests(SynchronousTestCase):
    """A folder that each test fills."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def put(self, name: str, *parts: bytes) -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_bytes(b"".join(parts))
        return path

    def refusal(self, at: str) -> str:
        """The message of the error, which must name the file `at`."""
        error: CertificateError = self.assertRaises(
            CertificateError, load_certificates, self.folder
        )
        self.assertEqual(error.path, self.folder / at if at else self.folder)
        self.assertEqual(str(error), f"{error.path}: {error.message}")
        self.assertNotIn("\n", str(error))
        return error.message


class LoadTests(FolderTests):
    """Folders that serve."""

    def test_our_own_folder_gives_rsa_and_ecdsa(self) -> None:
        """And the authority beside them is not served."""
        folder = certificate_folder(self.folder / "tls")
        found = load_certificates(folder)
        self.assertEqual(
            [(pair.algorithm, pair.path.name, pair.key_path.name) for pair in found],
            [
                ("ecdsa", "server-ecdsa.pem", "server-ecdsa.key"),
                ("rsa", "server-rsa.pem", "server-rsa.key"),
            ],
        )
        self.assertEqual(found[0].expires, found[0].leaf.not_valid_after_utc)

    def test_lets_encrypt_folder_gives_the_full_chain(self) -> None:
        """cert.pem, chain.pem, fullchain.pem and privkey.pem, as certbot leaves it."""
        leaf = self_signed(ec_key())
        issuer = certificate_folder(self.folder / "issuer") / "ca.pem"
        self.put("cert.pem", leaf)
        self.put("chain.pem", issuer.read_bytes())
        self.put("fullchain.pem", leaf, issuer.read_bytes())
        self.put("privkey.pem", key_pem(ec_key()))
        (pair,) = load_certificates(self.folder)
        self.assertEqual(pair.path.name, "fullchain.pem")
        self.assertEqual(len(pair.chain), 2)

    def test_one_file_may_hold_certificate_and_key(self) -> None:
        """As HAProxy has them."""
        self.put("site.pem", self_signed(rsa_key()), key_pem(rsa_key()))
        (pair,) = load_certificates(self.folder)
        self.assertEqual((pair.path, pair.key_path), (self.folder / "site.pem",) * 2)

    def test_ec_parameters_may_stand_before_the_key(self) -> None:
        """`openssl ecparam -genkey` writes both."""
        parameters = (
            b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
            b"-----END EC PARAMETERS-----\n"
        )
        self.put("a.crt", self_signed(ec_key()))
        self.put("a.key", parameters, key_pem(ec_key()))
        self.assertEqual(len(load_certificates(self.folder)), 1)

    def test_names_do_not_matter(self) -> None:
        """The public key says what belongs together."""
        self.put("one.cer", self_signed(ec_key()))
        self.put("two.key", key_pem(ec_key()))
        self.put("README", b"-----BEGIN CERTIFICATE-----")
        self.assertEqual(len(load_certificates(self.folder)), 1)

    def test_of_two_certificates_for_one_key_the_later_serves(self) -> None:
        """A renewal that keeps its key."""
        self.put("a.pem", self_signed(ec_key(), days=10))
        self.put("b.pem", self_signed(ec_key(), days=20))
        self.put("c.pem", self_signed(ec_key(), days=5))
        self.put("a.key", key_pem(ec_key()))
        (pair,) = load_certificates(self.folder)
        self.assertEqual(pair.path.name, "b.pem")


class RefuseTests(FolderTests):
    """Folders that do not serve: the error names the file and the way out."""

    def test_folder_missing(self) -> None:
        """A typing error in the configuration."""
        self.folder.rmdir()
        self.assertIn("no such file", self.refusal(""))

    def test_folder_empty(self) -> None:
        """Nothing, or authorities alone."""
        self.assertIn("holds no server certificate", self.refusal(""))

    def test_key_of_another_certificate(self) -> None:
        """The usual slip of a renewal by hand."""
        self.put("site.pem", self_signed(ec_key(0)))
        self.put("site.key", key_pem(ec_key(1)))
        self.assertIn("is not the key of site.pem", self.refusal("site.key"))

    def test_privkey_of_another_certificate(self) -> None:
        """The same in a Let's Encrypt folder."""
        self.put("fullchain.pem", self_signed(ec_key(0)))
        self.put("privkey.pem", key_pem(ec_key(1)))
        self.assertIn("is not the key of fullchain.pem", self.refusal("privkey.pem"))

    def test_no_key(self) -> None:
        """A certificate alone serves nobody."""
        self.put("site.pem", self_signed(ec_key()))
        self.assertIn("no private key", self.refusal("site.pem"))

    def test_rsa_too_short(self) -> None:
        """Mozilla's profiles, and browsers, want 2048 bits."""
        self.put("site.pem", self_signed(rsa_key(1024)))
        self.put("site.key", key_pem(rsa_key(1024)))
        self.assertIn("1024 bits", self.refusal("site.key"))

    def test_curve_that_browsers_do_not_take(self) -> None:
        """Chromium has no P-521 signatures."""
        self.put("site.pem", self_signed(ec_key(0, "P-521")))
        self.put("site.key", key_pem(ec_key(0, "P-521")))
        self.assertIn("P-256 or P-384", self.refusal("site.key"))

    def test_key_encrypted(self) -> None:
        """Nobody types a password at a restart."""
        self.put("site.pem", self_signed(ec_key()))
        self.put("site.key", key_pem(ec_key(), b"secret"))
        self.assertIn("encrypted", self.refusal("site.key"))

    def test_two_certificates_of_one_kind(self) -> None:
        """OpenSSL would serve the last and say nothing."""
        for number in (0, 1):
            self.put(f"{number}.pem", self_signed(ec_key(number)))
            self.put(f"{number}.key", key_pem(ec_key(number)))
        self.assertIn("second ECDSA certificate beside 0.pem", self.refusal("1.pem"))

    def test_certificate_cut_short(self) -> None:
        """A copy that broke off."""
        self.put("site.pem", self_signed(ec_key())[:200])
        self.assertIn("no PEM certificate", self.refusal("site.pem"))

    def test_key_cut_short(self) -> None:
        """The same for the key; no part of it is in the message."""
        self.put("site.pem", self_signed(ec_key()))
        self.put("site.key", key_pem(ec_key())[:100])
        self.assertIn("no PEM private key", self.refusal("site.key"))

    @settings(max_examples=60)
    @given(binary(max_size=80), sampled_from(["a.pem", "a.key", "a.crt"]))
    def test_any_file_gives_a_clear_error(self, noise: bytes, name: str) -> None:
        """Whatever lies there, it is read or refused by name."""
        begins = (b"", b"-----BEGIN CERTIFICATE-----\n", key_pem(ec_key())[:60])
        for begin in begins:
            folder = Path(self.mktemp())
            folder.mkdir()
            (folder / name).write_bytes(begin + noise)
            error = self.assertRaises(CertificateError, load_certificates, folder)
            self.assertIn(error.path, (folder, folder / name))

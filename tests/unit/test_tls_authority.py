"""The private authority: made once, renewed in time, readable by its owner alone."""

from __future__ import annotations

import datetime
import stat
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import verification
from twisted.trial.unittest import SynchronousTestCase

from mosaic.tls.authority import ensure_certificates, subject_alternative_names
from mosaic.tls.errors import CertificateError
from tests.support.tls_folders import NOW, certificate_folder

DAY = 86400.0


def read(path: Path) -> x509.Certificate:
    """The first certificate of a file."""
    return x509.load_pem_x509_certificate(path.read_bytes())


class EnsureCertificatesTests(SynchronousTestCase):
    """What lies in the folder after one call, and after the next."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.folder = certificate_folder(self.state / "tls")

    def contents(self) -> dict[str, bytes]:
        """All files of the folder."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def test_first_call_makes_an_authority_and_two_certificates(self) -> None:
        """RSA for old clients, ECDSA for cheap handshakes; nothing else is left."""
        state = Path(self.mktemp())
        folder = ensure_certificates(state, "mosaic.example", NOW)
        self.assertEqual(folder, state / "tls")
        names = {f"{stem}.{end}" for stem in ("ca", "server-rsa", "server-ecdsa")
                 for end in ("pem", "key")}  # fmt: skip
        self.assertEqual({path.name for path in folder.iterdir()}, names)
        for path in folder.glob("*.key"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)
        self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o700)
        self.assertEqual(stat.S_IMODE(state.stat().st_mode), 0o700)
        key = read(folder / "server-rsa.pem").public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        self.assertEqual(key.key_size, 2048)

    def test_a_strict_verifier_accepts_the_chain(self) -> None:
        """RFC 5280 and CA/Browser Forum rules, as cryptography enforces them."""
        store = verification.Store([read(self.folder / "ca.pem")])
        moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
        verifier = (
            verification.PolicyBuilder()
            .store(store)
            .time(moment)
            .build_server_verifier(x509.DNSName("rooms.localhost"))
        )
        for stem in ("server-rsa", "server-ecdsa"):
            chain = verifier.verify(read(self.folder / f"{stem}.pem"), [])
            self.assertEqual(len(chain), 2)

    def test_lifetimes(self) -> None:
        """Ten years to install the authority once; a year at most for the rest."""
        authority = read(self.folder / "ca.pem")
        leaf = read(self.folder / "server-ecdsa.pem")
        life = authority.not_valid_after_utc - authority.not_valid_before_utc
        self.assertGreater(life.days, 3600)
        life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
        self.assertLessEqual(life, datetime.timedelta(days=366))

    def test_second_call_changes_nothing(self) -> None:
        """A restart keeps every certificate."""
        before = self.contents()
        ensure_certificates(self.state, "localhost", NOW + DAY)
        self.assertEqual(self.contents(), before)

    def test_certificates_are_renewed_thirty_days_before_they_end(self) -> None:
        """And the authority stays: people have installed it."""
        before = self.contents()
        ensure_certificates(self.state, "localhost", NOW + 334 * DAY)
        self.assertEqual(self.contents(), before)
        ensure_certificates(self.state, "localhost", NOW + 336 * DAY)
        after = self.contents()
        self.assertEqual(after["ca.pem"], before["ca.pem"])
        self.assertNotEqual(after["server-rsa.pem"], before["server-rsa.pem"])
        self.assertNotEqual(after["server-ecdsa.pem"], before["server-ecdsa.pem"])

    def test_a_new_host_gets_new_certificates(self) -> None:
        """Browsers compare the name."""
        before = self.contents()
        ensure_certificates(self.state, "meet.example", NOW)
        self.assertEqual(self.contents()["ca.pem"], before["ca.pem"])
        leaf = read(self.folder / "server-rsa.pem")
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        self.assertEqual(
            names.value.get_values_for_type(x509.DNSName),
            ["meet.example", "rooms.meet.example", "localhost"],
        )

    def test_an_authority_near_its_end_is_replaced(self) -> None:
        """No certificate outlives its issuer."""
        ensure_certificates(self.state, "localhost", NOW + 3630 * DAY)
        authority = read(self.folder / "ca.pem")
        leaf = read(self.folder / "server-rsa.pem")
        leaf.verify_directly_issued_by(authority)
        end = datetime.datetime.fromtimestamp(NOW + 3650 * DAY, datetime.UTC)
        self.assertGreater(authority.not_valid_after_utc, end)

    def test_a_crash_between_key_and_certificate_is_mended(self) -> None:
        """The pair that does not match is made again."""
        other = certificate_folder(self.state / "other", "other.example")
        key = (other / "server-rsa.key").read_bytes()
        (self.folder / "server-rsa.key").write_bytes(key)
        before = self.contents()
        ensure_certificates(self.state, "localhost", NOW)
        after = self.contents()
        self.assertNotEqual(after["server-rsa.key"], key)
        self.assertEqual(after["server-ecdsa.pem"], before["server-ecdsa.pem"])

    def test_a_damaged_authority_is_not_replaced_silently(self) -> None:
        """It is installed in browsers; its loss is for a person to decide."""
        for name, content in (("ca.key", None), ("ca.pem", b"not a certificate")):
            path = self.folder / name
            kept = path.read_bytes()
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content)
            error = self.assertRaises(
                CertificateError, ensure_certificates, self.state, "localhost", NOW
            )
            self.assertEqual(error.path, self.folder / "ca.pem")
            self.assertNotIn("\n", str(error))
            path.write_bytes(kept)


class SubjectAlternativeNamesTests(SynchronousTestCase):
    """Names and addresses of the server."""

    def test_a_name_outside_ascii_is_written_as_a_label(self) -> None:
        """Certificates hold A-labels (RFC 5280 section 7.2)."""
        self.assertIn(
            x509.DNSName("xn--mnchen-3ya.example"),
            subject_alternative_names("münchen.example"),
        )

    def test_an_address_is_an_address_and_has_no_rooms(self) -> None:
        """rooms.192.0.2.1 is no name."""
        names = subject_alternative_names("192.0.2.1")
        self.assertEqual(
            [str(name.value) for name in names],
            ["localhost", "192.0.2.1", "127.0.0.1", "::1"],
        )

    def test_nothing_stands_twice(self) -> None:
        """For the default host the names overlap."""
        names = subject_alternative_names("localhost")
        self.assertEqual(len(names), len(set(names)))

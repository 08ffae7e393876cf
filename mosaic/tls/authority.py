"""A private certificate authority in the state folder, and the server's certificates.

It serves an installation that has no certificate of its own yet: browsers
and hubs are given `<state>/tls/ca.pem` once and then trust this server. The
server has an RSA and an ECDSA certificate, because old clients know only the
first and the second costs a fraction of the CPU.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.logger import Logger

from mosaic.tls.errors import CertificateError

AUTHORITY_LIFETIME = datetime.timedelta(days=3650)
LEAF_LIFETIME = datetime.timedelta(days=365)
"""Mozilla's intermediate profile allows 366 days, clock skew included."""
RENEW_BEFORE = datetime.timedelta(days=30)
CLOCK_SKEW = datetime.timedelta(hours=1)
RSA_BITS = 2048

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_log = Logger()


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: PrivateKey


def new_rsa_key() -> PrivateKey:
    """Make an RSA-2048 key (some tenths of a second)."""
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def new_ecdsa_key() -> PrivateKey:
    """Make a P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


LEAVES: dict[str, Callable[[], PrivateKey]] = {
    "server-rsa": new_rsa_key,
    "server-ecdsa": new_ecdsa_key,
}


def ensure_certificates(state_dir: Path, host: str, now: float) -> Path:
    """Make what is missing, or near its end, in `<state>/tls`; return that folder.

    host: the public name or IP address. now: seconds since the epoch. A
    server certificate is made anew 30 days before it expires and when the
    host has changed. The authority stays as long as it lives, because people
    have installed it.

    Raises CertificateError if the authority's files are damaged, and OSError
    if the folder cannot be written.
    """
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    folder = state_dir / "tls"
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    names = subject_alternative_names(host)
    authority = _ensure_authority(folder, host, moment)
    for stem, new_key in LEAVES.items():
        if not _leaf_serves(folder, stem, names, authority.certificate, moment):
            pair = issue_leaf(authority, new_key(), host, moment)
            _write_pair(folder, stem, pair)
            _log.info(
                "certificate made: {path} for {host}",
                path=folder / f"{stem}.pem",
                host=host,
                expires=pair.certificate.not_valid_after_utc.isoformat(),
            )
    return folder


def subject_alternative_names(host: str) -> list[x509.GeneralName]:
    """The names a server certificate is good for: the host's and this machine's.

    rooms.<host> is the XMPP address of the rooms. Names outside ASCII are
    written as A-labels.
    """
    names: list[str] = []
    addresses: list[IPv4Address | IPv6Address] = []
    try:
        addresses.append(ip_address(host))
    except ValueError:
        label = host.rstrip(".").lower().encode("idna").decode()
        names += [label, f"rooms.{label}"]
    names.append("localhost")
    addresses += [ip_address("127.0.0.1"), ip_address("::1")]
    return [
        *(x509.DNSName(name) for name in dict.fromkeys(names)),
        *(x509.IPAddress(address) for address in dict.fromkeys(addresses)),
    ]


def new_authority(host: str, now: datetime.datetime) -> KeyPair:
    """Make a self-signed authority that may sign server certificates only."""
    key = new_ecdsa_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # The tail keeps two installations of one name apart in a trust store.
    tail = identifier.digest.hex()[:8]
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Mosaic"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{host[:40]} private CA {tail}"),
        ]
    )
    certificate = (
        _builder(name, name, key, now, now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(certificate, key)


def issue_leaf(
    authority: KeyPair, key: PrivateKey, host: str, now: datetime.datetime
) -> KeyPair:
    """Sign a server certificate for the host, never past the authority's end."""
    issuer = authority.certificate
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    # RFC 5280 section 4.1.2.6: a common name has at most 64 characters.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    end = min(now - CLOCK_SKEW + LEAF_LIFETIME, issuer.not_valid_after_utc)
    certificate = (
        _builder(name, issuer.subject, key, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(
            x509.SubjectAlternativeName(subject_alternative_names(host)),
            critical=False,
        )
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                identifier.value
            ),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    return KeyPair(certificate, key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    now: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    """What authority and server certificates have in common."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(end)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    """An authority signs certificates, a server signs handshakes."""
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _ensure_authority(folder: Path, host: str, now: datetime.datetime) -> KeyPair:
    """Load the authority; make it where there is none, or where its time is over."""
    path = folder / "ca.pem"
    if path.exists():
        pair = _load_pair(folder, "ca")
        if pair is None:
            raise CertificateError(
                path,
                "the private CA cannot be used: ca.pem or ca.key is missing, damaged "
                "or of another pair; restore it from a backup, or delete ca.pem to "
                "have a new one made (clients must then trust the new one)",
            )
        if pair.certificate.not_valid_after_utc - now > RENEW_BEFORE:
            return pair
    pair = new_authority(host, now)
    _write_pair(folder, "ca", pair)
    _log.info("private CA made: {path}", path=path)
    return pair


def _leaf_serves(
    folder: Path,
    stem: str,
    names: list[x509.GeneralName],
    authority: x509.Certificate,
    now: datetime.datetime,
) -> bool:
    """Whether the stored server certificate can stay."""
    pair = _load_pair(folder, stem)
    if pair is None or pair.certificate.not_valid_after_utc - now <= RENEW_BEFORE:
        return False
    try:
        pair.certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    try:
        found = pair.certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return False
    return list(found.value) == names


def _load_pair(folder: Path, stem: str) -> KeyPair | None:
    """Read a pair that was made here; None where it is missing or does not match."""
    try:
        certificate = x509.load_pem_x509_certificate(
            (folder / f"{stem}.pem").read_bytes()
        )
        key = load_pem_private_key((folder / f"{stem}.key").read_bytes(), None)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if not isinstance(key, PrivateKey):
        return None
    if key.public_key() != certificate.public_key():
        return None
    return KeyPair(certificate, key)


def _write_pair(folder: Path, stem: str, pair: KeyPair) -> None:
    """Write the key, then the certificate: a crash between leaves a mismatch.

    A mismatch is seen at the next start, and the pair is made again.
    """
    key = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_atomically(folder / f"{stem}.key", key, 0o600)
    certificate = pair.certificate.public_bytes(Encoding.PEM)
    _write_atomically(folder / f"{stem}.pem", certificate, 0o644)


def _write_atomically(path: Path, content: bytes, mode: int) -> None:
    """Put the whole content under the name, or nothing; never with a wider mode."""
    temporary = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

"""Certificates for tests, made once in a process: RSA keys take their time."""

from __future__ import annotations

import datetime
import shutil
import tempfile
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from mosaic.tls.authority import PrivateKey, ensure_certificates

NOW = datetime.datetime.now(datetime.UTC).timestamp()


@cache
def _made(host: str) -> Path:
    """One folder of certificates for each host, kept until the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="mosaic-test-tls-")
    _KEPT.append(folder)
    return ensure_certificates(Path(folder.name), host, NOW)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def certificate_folder(target: Path, host: str = "localhost") -> Path:
    """Copy an authority and its two server certificates to `target`."""
    shutil.copytree(_made(host), target)
    return target


def replace_certificates(target: Path, host: str) -> None:
    """Renew the two server certificates, signed by another authority."""
    for path in _made(host).iterdir():
        shutil.copy(path, target / path.name)


def self_signed(key: PrivateKey, *, name: str = "test", days: int = 90) -> bytes:
    """A server certificate as PEM, good for `days` from now."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(days=1))
        .not_valid_after(start + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def key_pem(key: PrivateKey, password: bytes | None = None) -> bytes:
    """A private key as PEM, encrypted where a password is given."""
    protection: KeySerializationEncryption = (
        BestAvailableEncryption(password) if password else NoEncryption()
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


@cache
def ec_key(number: int = 0, curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    """A P-256 or P-521 key, the same for the same number."""
    return ec.generate_private_key(
        ec.SECP256R1() if curve == "P-256" else ec.SECP521R1()
    )


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key, the same for the same size."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)

"""Read the certificates that a folder holds, and refuse what cannot serve.

Files are matched by their public keys, not by their names, so that our own
folder, a Let's Encrypt `live/` folder and a folder of an operator's own making
all do.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from mosaic.tls.errors import CertificateError

MIN_RSA_BITS = 2048
CURVES = ("secp256r1", "secp384r1")
CERTIFICATE_SUFFIXES = (".pem", ".crt", ".cer")
KEY_SUFFIXES = (".key", ".pem")

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertificate:
    """One certificate with its chain and its key, checked to belong together.

    chain: the leaf first, as it is sent. algorithm: "rsa" or "ecdsa".
    """

    path: Path
    key_path: Path
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey

    @property
    def leaf(self) -> x509.Certificate:
        """The server's own certificate."""
        return self.chain[0]

    @property
    def algorithm(self) -> str:
        """The kind of the key: a server can have one certificate of each."""
        return "rsa" if isinstance(self.key, rsa.RSAPrivateKey) else "ecdsa"

    @property
    def expires(self) -> datetime.datetime:
        """When it ends, in UTC."""
        return self.leaf.not_valid_after_utc


@dataclass(frozen=True, slots=True)
class _Chain:
    path: Path
    certificates: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class _Key:
    path: Path
    key: PrivateKey


def load_certificates(folder: Path) -> list[ServerCertificate]:
    """Read every pair in a folder: at most one RSA and one ECDSA certificate.

    Certificates in `*.pem`, `*.crt`, `*.cer`, keys in `*.key` and `*.pem`; one
    file may hold both. A file of authorities alone (`ca.pem`, `chain.pem`) is
    passed over. An expired certificate is read like any other: see `expires`.

    Raises CertificateError naming the file.
    """
    chains, keys = _read_folder(folder)
    if not chains:
        raise CertificateError(
            folder,
            "holds no server certificate; put the certificate (.pem or .crt) "
            "and its private key (.key) there",
        )
    by_public_key = {_public_bytes(found.key.public_key()): found for found in keys}
    best: dict[str, ServerCertificate] = {}
    for chain in chains:
        pair = _pair(chain, by_public_key, keys)
        known = best.get(pair.algorithm)
        best[pair.algorithm] = pair if known is None else _prefer(known, pair)
    return [best[algorithm] for algorithm in sorted(best)]


def _read_folder(folder: Path) -> tuple[list[_Chain], list[_Key]]:
    """All certificate chains and all keys in the folder, in order of names."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise CertificateError(folder, _cannot_read(error)) from None
    chains: list[_Chain] = []
    keys: list[_Key] = []
    for path in paths:
        if path.suffix not in {*CERTIFICATE_SUFFIXES, *KEY_SUFFIXES}:
            continue
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CertificateError(path, _cannot_read(error)) from None
        if path.suffix in KEY_SUFFIXES and b"PRIVATE KEY-----" in content:
            keys.append(_Key(path, _load_key(path, content)))
        if path.suffix in CERTIFICATE_SUFFIXES and b"-----BEGIN CERT" in content:
            chain = _load_chain(path, content)
            if not _is_authority(chain[0]):
                chains.append(_Chain(path, chain))
    return chains, keys


def _cannot_read(error: OSError) -> str:
    """An operating system's refusal, and the way out."""
    reason = (error.strerror or type(error).__name__).lower()
    return f"cannot be read ({reason}); check the path and who owns it"


def _load_chain(path: Path, content: bytes) -> tuple[x509.Certificate, ...]:
    """Parse every certificate of a file."""
    try:
        return tuple(x509.load_pem_x509_certificates(content))
    except ValueError:
        raise CertificateError(
            path, "is no PEM certificate that can be read; copy the file again"
        ) from None


def _load_key(path: Path, content: bytes) -> PrivateKey:
    """Parse a private key and check that it is of a kind that browsers take."""
    try:
        key = load_pem_private_key(_key_block(content), None)
    except TypeError:
        raise CertificateError(
            path,
            "the private key is encrypted; store it without a password "
            "(openssl pkey -in FILE -out NEW)",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(
            path, "is no PEM private key that can be read; copy the file again"
        ) from None
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < MIN_RSA_BITS:
            raise CertificateError(
                path,
                f"the RSA key has {key.key_size} bits; "
                f"use {MIN_RSA_BITS} or more, or an ECDSA key",
            )
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return key
    raise CertificateError(
        path, "is a key that browsers do not take; use RSA, or ECDSA on P-256 or P-384"
    )


def _key_block(content: bytes) -> bytes:
    """The key's own PEM block: EC parameters may stand in front of it."""
    lines = content.splitlines(keepends=True)
    begins = (
        index
        for index, line in enumerate(lines)
        if line.startswith(b"-----BEGIN ") and b"PRIVATE KEY-----" in line
    )
    return b"".join(lines[next(begins, 0) :])


def _is_authority(certificate: x509.Certificate) -> bool:
    """Whether it signs other certificates, and so is none to serve with."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return found.value.ca


def _public_bytes(key: object) -> bytes:
    """A public key in a form that compares; b"" for kinds without one."""
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b""


def _pair(
    chain: _Chain, by_public_key: dict[bytes, _Key], keys: Iterable[_Key]
) -> ServerCertificate:
    """Find the key of a certificate."""
    leaf = chain.certificates[0]
    found = by_public_key.get(_public_bytes(leaf.public_key()))
    if found is not None:
        return ServerCertificate(
            path=chain.path,
            key_path=found.path,
            chain=chain.certificates,
            key=found.key,
        )
    expected = {f"{chain.path.stem}.key", "privkey.pem"}
    for key in keys:
        if key.path.name in expected:
            raise CertificateError(
                key.path,
                f"is not the key of {chain.path.name}; put the key that belongs to "
                "this certificate there",
            )
    raise CertificateError(
        chain.path,
        "has no private key in this folder; add it as "
        f"{chain.path.stem}.key, or move the certificate away",
    )


def _prefer(known: ServerCertificate, other: ServerCertificate) -> ServerCertificate:
    """Of one key's certificates the one with the longer chain, then the later end."""
    if _public_bytes(known.key.public_key()) != _public_bytes(other.key.public_key()):
        raise CertificateError(
            other.path,
            f"is a second {other.algorithm.upper()} certificate beside "
            f"{known.path.name}; keep one of the two",
        )
    return max(known, other, key=lambda pair: (len(pair.chain), pair.expires))

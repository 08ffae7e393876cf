"""The TLS of every port: TLS 1.2 and 1.3, AEAD suites with forward secrecy.

RFC 9325 and Mozilla's intermediate profile, without AES-128. The curves are
pinned in mosaic.tls.groups, because they must be set before OpenSSL loads.
"""

from __future__ import annotations

import datetime
import hashlib
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from mosaic.tls.certificates import ServerCertificate, load_certificates
from mosaic.tls.errors import CertificateError

ALPN_PROTOCOLS = (b"http/1.1", b"xmpp-client", b"stun.turn")
"""RFC 7301, XEP-0368, RFC 7443. No h2: WebSocket needs HTTP/1.1."""

SUITES_TLS12 = (
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
SUITES_TLS13 = b"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

# Numbers from OpenSSL's ssl.h that pyOpenSSL does not name.
_OP_PRIORITIZE_CHACHA = 1 << 21
_OP_NO_RENEGOTIATION = 1 << 30
_DTLS1_2 = 0xFEFD

_OPTIONS = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_CIPHER_SERVER_PREFERENCE  # also prefers ECDSA over RSA in TLS 1.3
    | _OP_PRIORITIZE_CHACHA  # for phones without AES instructions
    | _OP_NO_RENEGOTIATION
)


def select_alpn(_connection: object, offered: Iterable[bytes]) -> Any:
    """Take the first protocol of the client's list that is served here.

    Where there is none the handshake goes on without ALPN, and the first
    bytes decide. (CertificateOptions answers b"" there, which the client sees
    as an internal error.)
    """
    for name in offered:
        if name in ALPN_PROTOCOLS:
            return name
    return SSL.NO_OVERLAPPING_PROTOCOLS


def select_turn(_connection: object, offered: Iterable[bytes]) -> Any:
    """`stun.turn` if the client offers it (RFC 7443), else no ALPN."""
    return b"stun.turn" if b"stun.turn" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def make_context(
    certificates: Iterable[ServerCertificate], *, datagrams: bool = False
) -> SSL.Context:
    """Build the context that serves these certificates.

    datagrams: DTLS 1.2, for TURN alone (RFC 7350).

    Raises CertificateError if OpenSSL refuses one of them.
    """
    # Any: pyOpenSSL's published stubs are older than the calls used here.
    method = SSL.DTLS_SERVER_METHOD if datagrams else SSL.TLS_METHOD
    context: Any = SSL.Context(method)
    context.set_min_proto_version(_DTLS1_2 if datagrams else SSL.TLS1_2_VERSION)
    context.set_options(_OPTIONS)
    if datagrams:
        # There is no socket below to ask for its MTU.
        context.set_options(SSL.OP_NO_QUERY_MTU)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(SUITES_TLS12)
    context.set_tls13_ciphersuites(SUITES_TLS13)
    # Sessions live in tickets that the clients keep: no memory of them here.
    context.set_session_id(b"mosaic")
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_alpn_select_callback(select_turn if datagrams else select_alpn)
    for certificate in certificates:
        try:
            # Unlike add_extra_chain_cert it keeps one chain per certificate.
            context.use_certificate_chain_file(str(certificate.path))
            context.use_privatekey(certificate.key)
            context.check_privatekey()
        except SSL.Error as error:
            raise CertificateError(
                certificate.path, f"OpenSSL refuses it ({_reason(error)}); replace it"
            ) from None
    made: SSL.Context = context
    return made


def _reason(error: SSL.Error) -> str:
    """OpenSSL's own words for the last error of its queue."""
    queue = error.args[0] if error.args else ()
    return str(queue[-1][-1]) if queue else "no reason given"


@implementer(IOpenSSLServerConnectionCreator)
class ServerContext:
    """Makes the TLS side of each new connection from a folder's certificates.

    reload() changes what later connections get; those that are open keep the
    context they began with.
    """

    def __init__(self, folder: Path) -> None:
        """Read the folder. Raises CertificateError."""
        self.folder = folder
        self.certificates: tuple[ServerCertificate, ...] = ()
        self._datagrams: SSL.Context | None = None
        self._context = self._read()

    @property
    def expires(self) -> datetime.datetime:
        """When the first of the certificates ends, in UTC."""
        return min(certificate.expires for certificate in self.certificates)

    def key_hashes(self) -> list[str]:
        """SHA-256 of each certificate's public key (SPKI), in hexadecimal."""
        return [
            hashlib.sha256(
                held.chain[0]
                .public_key()
                .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ).hexdigest()
            for held in self.certificates
        ]

    def reload(self) -> None:
        """Read the folder again.

        Raises CertificateError, and serves on with the old certificates then.
        """
        self._context = self._read()

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Start one connection with the present certificates."""
        return SSL.Connection(self._context, None)

    def connection_on(self, skt: socket.socket) -> SSL.Connection:
        """The same, with OpenSSL on the socket itself."""
        return SSL.Connection(self._context, skt)

    def for_datagrams(self) -> SSL.Context:
        """The context of DTLS with the present certificates."""
        if self._datagrams is None:
            self._datagrams = make_context(self.certificates, datagrams=True)
        return self._datagrams

    def _read(self) -> SSL.Context:
        """Load and check everything before anything is changed."""
        certificates = tuple(load_certificates(self.folder))
        context = make_context(certificates)
        self.certificates = certificates
        self._datagrams = None
        return context


class Certificates:
    """The contexts in use, one for each folder of certificates."""

    def __init__(self) -> None:
        self._contexts: dict[Path, ServerContext] = {}

    def context(self, folder: Path) -> ServerContext:
        """The folder's context, made at first use. Raises CertificateError."""
        key = folder.absolute()
        if key not in self._contexts:
            self._contexts[key] = ServerContext(folder)
        return self._contexts[key]

    def reload(self) -> list[CertificateError]:
        """Read every folder again; return what is wrong, one error a folder.

        A folder that is wrong keeps its old certificates, the others change.
        """
        errors = []
        for context in self._contexts.values():
            try:
                context.reload()
            except CertificateError as error:
                errors.append(error)
        return errors

    def expires(self) -> datetime.datetime | None:
        """When the first certificate of all folders ends, in UTC."""
        return min(
            (context.expires for context in self._contexts.values()), default=None
        )

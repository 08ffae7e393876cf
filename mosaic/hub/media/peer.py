"""aiortc's peer connection with our ciphers and our candidates.

The seam: aiortc has no public door for its cipher list, its TURN client or the
order of its checks. What is replaced here is replaced in one object each,
nothing in the module, and a missing name fails at the import, not in a call
(docs/decisions/060-media-in-a-hub.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_256_GCM,
    RTCCertificate,
    RTCDtlsTransport,
    SRTPProtectionProfile,
)
from OpenSSL import SSL

from mosaic.hub.media.candidates import Gatherer, by_relay
from mosaic.hub.media.offers import keep_negotiated

STRONG = b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"
"""Between hubs: 256-bit keys, nothing else."""
LENIENT = STRONG + b":ECDHE-ECDSA-AES128-GCM-SHA256"
"""With browsers: libwebrtc has no AES-256-GCM; it knows the last two."""

_TRANSPORTS = "_RTCPeerConnection__dtlsTransports"
_CERTIFICATES = "_RTCPeerConnection__certificates"
_MAKE = "_RTCPeerConnection__createDtlsTransport"
if not hasattr(RTCPeerConnection, _MAKE):
    raise ImportError("this release of aiortc makes its transports in another way")


@dataclass(frozen=True, slots=True)
class Secured:
    """What was negotiated. dtls: version; cipher: OpenSSL's name; srtp: profile."""

    dtls: str
    cipher: str
    srtp: str


class HubCertificate(RTCCertificate):
    """Its own for each connection. strong: 256-bit suites alone."""

    strong = False

    def _create_ssl_context(
        self, srtp_profiles: list[SRTPProtectionProfile]
    ) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(STRONG if self.strong else LENIENT)
        # As a server, ours goes first.
        context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
        return context


class HubPeerConnection(RTCPeerConnection):
    """One peer connection with one transport."""

    def __init__(self, gatherer: Gatherer) -> None:
        # No servers: aiortc would ask a public one by default.
        super().__init__(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._gatherer = gatherer
        self._certificate = HubCertificate.generateCertificate()
        setattr(self, _CERTIFICATES, [self._certificate])

    def require_strong(self) -> None:
        """Take 256-bit suites and SRTP AEAD_AES_256_GCM, or fail. Before DTLS."""
        self._certificate.strong = True
        for transport in self._transports():
            transport._srtp_profiles = [SRTP_AEAD_AES_256_GCM]

    async def createOffer(self) -> RTCSessionDescription:
        """An offer that keeps payload types and extension ids."""
        negotiated = {
            transceiver.kind: (transceiver._codecs, transceiver._headerExtensions)
            for transceiver in reversed(self.getTransceivers())
            if transceiver.currentDirection is not None
        }
        offer = await super().createOffer()
        return keep_negotiated(offer, self.getTransceivers(), negotiated)

    @property
    def secured(self) -> Secured | None:
        """How media are encrypted; None before the handshake."""
        for transport in self._transports():
            tls = transport._ssl
            if transport.state == "connected" and tls is not None:
                return Secured(
                    tls.get_protocol_version_name(),
                    tls.get_cipher_name() or "",
                    tls.get_selected_srtp_profile().decode(),
                )
        return None

    @property
    def path(self) -> str | None:
        """ "direct" or "relay", as the present pair goes; None without one."""
        for transport in self._transports():
            for pair in transport.transport._connection._nominated.values():
                return "relay" if by_relay(pair) else "direct"
        return None

    @property
    def relay(self) -> str | None:
        """Our relay and the way to it, whether packets take it or not."""
        return self._gatherer.relay.hop if self._gatherer.relay else None

    @property
    def packets_received(self) -> int:
        """Since the beginning; to see that the other side is silent."""
        return sum(
            int(report.packetsReceived)
            for transport in self._transports()
            for report in transport._get_stats().values()
        )

    def _transports(self) -> set[RTCDtlsTransport]:
        transports: set[RTCDtlsTransport] = getattr(self, _TRANSPORTS)
        return transports

    def _RTCPeerConnection__createDtlsTransport(self) -> RTCDtlsTransport:
        made: Any = super()._RTCPeerConnection__createDtlsTransport()  # type: ignore[misc]
        self._gatherer.equip(made.transport._connection)
        # Whoever answers may choose, and a DTLS server chooses the ciphers: a
        # browser would take its own first, which are of 128 bits.
        made._set_role("server")
        if self._certificate.strong:
            made._srtp_profiles = [SRTP_AEAD_AES_256_GCM]
        transport: RTCDtlsTransport = made
        return transport

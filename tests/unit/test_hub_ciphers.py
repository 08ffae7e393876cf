"""Which keys a hub's DTLS takes, with whom, and what its later offers say."""

from __future__ import annotations

from unittest import IsolatedAsyncioTestCase, TestCase

from aiortc import RTCSessionDescription
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate
from aiortc.sdp import SessionDescription
from OpenSSL import SSL

from mosaic.hub.media.candidates import Gatherer
from mosaic.hub.media.ice import NoRelay, Relays
from mosaic.hub.media.peer import HubCertificate, HubPeerConnection
from mosaic.hub.media.servers import Servers
from mosaic.proxy.client import direct_dialler

BROWSER = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"
"""libwebrtc's order over DTLS 1.2, as far as we share it."""


def end(certificate: RTCCertificate, ciphers: bytes | None = None) -> SSL.Connection:
    """One end of DTLS in memory."""
    context = certificate._create_ssl_context(SRTP_PROFILES)
    if ciphers is not None:
        context.set_cipher_list(ciphers)
    return SSL.Connection(context)


def shake(client: SSL.Connection, server: SSL.Connection) -> tuple[str, str]:
    """The cipher and the SRTP profile; SSL.Error if there is none in common."""
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(20):
        done = 0
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
                done += 1
            except SSL.WantReadError:
                pass
            try:
                while True:
                    other.bio_write(one.bio_read(1500))
            except SSL.WantReadError:
                pass
        if done == 2:
            break
    return str(server.get_cipher_name()), server.get_selected_srtp_profile().decode()


def hub_certificate(*, strong: bool) -> HubCertificate:
    """A hub's."""
    certificate = HubCertificate.generateCertificate()
    certificate.strong = strong
    return certificate


class CipherTests(TestCase):
    """DTLS 1.2 in memory, both ends as aiortc makes them."""

    def test_two_hubs(self) -> None:
        """256 bits in DTLS and in SRTP."""
        ends = (end(hub_certificate(strong=True)) for _ in range(2))
        self.assertEqual(
            shake(*ends), ("ECDHE-ECDSA-AES256-GCM-SHA384", "SRTP_AEAD_AES_256_GCM")
        )

    def test_a_hub_takes_no_less_from_a_hub(self) -> None:
        """Whoever said that it can do 256 bits and offers 128 is refused."""
        client = end(HubCertificate.generateCertificate(), BROWSER.split(b":")[0])
        with self.assertRaises(SSL.Error):
            shake(client, end(hub_certificate(strong=True)))

    def test_a_browser(self) -> None:
        """It has no AES-256 in DTLS; as the server, a hub chooses ChaCha20."""
        client = end(RTCCertificate.generateCertificate(), BROWSER)
        cipher, _ = shake(client, end(hub_certificate(strong=False)))
        self.assertEqual(cipher, "ECDHE-ECDSA-CHACHA20-POLY1305")

    def test_a_browser_with_aes_128_alone(self) -> None:
        """Media come, as strong as the browser can."""
        client = end(RTCCertificate.generateCertificate(), BROWSER.split(b":")[0])
        cipher, _ = shake(client, end(hub_certificate(strong=False)))
        self.assertEqual(cipher, "ECDHE-ECDSA-AES128-GCM-SHA256")


OFFER = """v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=sendonly
a=mid:0
a=msid:s t
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuv
a=fingerprint:sha-256 {}
a=setup:actpass
""".format(":".join(["AA"] * 32)).replace("\n", "\r\n")


class OfferTests(IsolatedAsyncioTestCase):
    """A browser refuses an id that changes its meaning within a connection."""

    async def test_later_offers_keep_what_was_negotiated(self) -> None:
        """Types and ids of their audio, and nothing of it is used for our video."""
        problems: list[NoRelay] = []
        relays = Relays(direct_dialler(_Reactor()))
        gatherer = Gatherer(relays, Servers(), relay_only=True, problem=problems.append)
        pc = HubPeerConnection(gatherer)
        await pc.setRemoteDescription(RTCSessionDescription(OFFER, "offer"))
        await pc.setLocalDescription()
        answer = SessionDescription.parse(pc.localDescription.sdp)
        assert answer.media[0].dtls is not None
        self.assertEqual(answer.media[0].dtls.role, "server")
        pc.addTransceiver("video", direction="sendonly")
        offer = SessionDescription.parse((await pc.createOffer()).sdp)
        await pc.close()

        audio, video = offer.media
        self.assertEqual([codec.payloadType for codec in audio.rtp.codecs], [111])
        theirs = {
            extension.id: extension.uri for extension in audio.rtp.headerExtensions
        }
        self.assertEqual(theirs[9], "urn:ietf:params:rtp-hdrext:sdes:mid")
        for extension in video.rtp.headerExtensions:
            self.assertEqual(
                theirs.get(extension.id or 0, extension.uri), extension.uri
            )
        types = [codec.payloadType for codec in video.rtp.codecs]
        self.assertNotIn(111, types)
        self.assertEqual(len(types), len(set(types)))
        for codec in video.rtp.codecs:
            if "apt" in codec.parameters:
                self.assertIn(codec.parameters["apt"], types)


class _Reactor:
    """All that Relays asks of one."""

    @staticmethod
    def seconds() -> float:
        return 0.0

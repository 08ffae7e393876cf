"""One peer connection under perfect negotiation (W3C webrtc-pc, 10.7).

aiortc cannot roll an offer back, restart ICE or trickle its own candidates. So
the polite side of two offers takes theirs on a fresh connection, at the very
beginning, or asks for new connections on both sides, later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from aiortc import MediaStreamTrack, RTCRtpTransceiver, RTCSessionDescription
from aiortc.sdp import SessionDescription, candidate_from_sdp

from mosaic.hub.media.peer import HubPeerConnection
from mosaic.hub.media.signals import Candidate, Description, StreamKind
from mosaic.hub.media.sources import Feed, Media

Slot = tuple[StreamKind, Media]
Published = Mapping[Slot, Feed]
"""What is sent; one-way each, so that the two sides never share a slot."""
Outcome = Literal["done", "ignored", "take-over", "renew"]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A track of theirs. active: they send it now."""

    kind: StreamKind
    media: Media
    track: MediaStreamTrack
    active: bool


class NegotiatedConnection:
    """A peer connection that both sides may renegotiate at any time.

    send: takes our descriptions. changed: told when the state or what they send
    changed. polite: the side that gives way when both offer at once.
    """

    def __init__(
        self,
        pc: HubPeerConnection,
        *,
        polite: bool,
        send: Callable[[Description], object],
        changed: Callable[[], object],
    ) -> None:
        self.pc = pc
        self._polite = polite
        self._send = send
        self._changed = changed
        self._lock = asyncio.Lock()
        self._offering = self._answered = False
        self._published: Published = {}
        self._slots: dict[Slot, RTCRtpTransceiver] = {}
        self._fed: dict[Slot, Feed | None] = {}
        self._ids: dict[StreamKind, str] = {"camera": str(uuid4())}
        self._ids["screen"] = str(uuid4())
        self._their_kinds: dict[str, StreamKind] = {}
        self._their_fragment: str | None = None
        self.incoming: list[Incoming] = []
        self.closed = False
        pc.on("connectionstatechange", changed)

    @property
    def state(self) -> str:
        """As RTCPeerConnection.connectionState."""
        return "closed" if self.closed else str(self.pc.connectionState)

    @property
    def stable(self) -> bool:
        """No offer is open."""
        return self.pc.signalingState == "stable" and not self._offering

    @property
    def sends(self) -> bool:
        """Something of ours is under way."""
        return bool(self._published)

    async def publish(self, tracks: Published) -> None:
        """Send these; negotiates only where a slot comes or goes."""
        self._published = dict(tracks)
        await self._negotiate()

    async def receive(self, body: Description | Candidate) -> Outcome:
        """A description or candidate of theirs. Raises what aiortc raises: this
        connection is of no more use."""
        if isinstance(body, Candidate):
            async with self._lock:
                await self._add(body)
            return "done"
        if body.type == "offer":
            return await self._take_offer(body)
        # Their next offer may be on the heels of this answer: no glare.
        self._answered = True
        try:
            async with self._lock:
                if self.pc.signalingState != "have-local-offer" or self.closed:
                    return "ignored"  # the answer to one that is over
                self._prepare(body)
                await self.pc.setRemoteDescription(
                    RTCSessionDescription(body.sdp, "answer")
                )
                self._look(body.sdp)
        finally:
            self._answered = False
        await self._negotiate()
        return "done"

    async def close(self) -> None:
        """End it; nothing is called back any more."""
        if not self.closed:
            self.closed = True
            self.pc.remove_listener("connectionstatechange", self._changed)
            for transceiver in self._slots.values():
                self._stop_reading(transceiver)
            await self.pc.close()

    async def _take_offer(self, body: Description) -> Outcome:
        if not (self.stable or self._answered):
            if not self._polite:
                return "ignored"
            first = self.pc.remoteDescription is None
            return "take-over" if first else "renew"
        async with self._lock:
            if self.closed:
                return "ignored"
            if not self._prepare(body):
                return "renew"  # an ICE restart
            await self.pc.setRemoteDescription(RTCSessionDescription(body.sdp, "offer"))
            self._look(body.sdp)
            await self.pc.setLocalDescription()
            self._say()
        await self._negotiate()
        return "done"

    async def _negotiate(self) -> None:
        """Offer, if what is published asks for it and nothing is open."""
        async with self._lock:
            if self.closed or self.pc.signalingState != "stable" or not self._place():
                return
            self._offering = True
            try:
                await self.pc.setLocalDescription()
            finally:
                self._offering = False
            self._say()

    def _place(self) -> bool:
        """Put the tracks into their slots; True if that needs an offer."""
        changed = False
        for slot in sorted(self._published.keys() | self._slots.keys()):
            feed, transceiver = self._published.get(slot), self._slots.get(slot)
            if transceiver is None:
                # Made only now: an offer of theirs would take it for its own.
                assert feed is not None
                track = feed.reader()
                transceiver = self.pc.addTransceiver(track, direction="sendonly")
                transceiver.sender._stream_id = self._ids[slot[0]]
                self._slots[slot], self._fed[slot] = transceiver, feed
                changed = True
                continue
            if self._fed[slot] is not feed:
                self._stop_reading(transceiver)
                transceiver.sender.replaceTrack(feed.reader() if feed else None)
                self._fed[slot] = feed
            direction = "sendonly" if feed else "inactive"
            if transceiver.direction != direction:
                transceiver.direction = direction
                changed = True
        return changed

    @staticmethod
    def _stop_reading(transceiver: RTCRtpTransceiver) -> None:
        if transceiver.sender.track is not None:
            transceiver.sender.track.stop()

    def _say(self) -> None:
        local = self.pc.localDescription
        if self.closed or local is None:
            return
        kinds = {kind for kind, _ in self._slots}
        streams = {self._ids[kind]: kind for kind in kinds}
        offered: Literal["offer", "answer"] = "offer"
        if local.type == "answer":
            offered = "answer"
        self._send(Description(offered, local.sdp, streams, strong=True))

    def _prepare(self, body: Description) -> bool:
        """Before their description; False if it restarts ICE."""
        self._their_kinds.update(body.streams)
        if body.strong and self.pc.secured is None:
            self.pc.require_strong()
        media = SessionDescription.parse(body.sdp).media
        ice = media[0].ice if media else None
        fragment = ice.usernameFragment if ice else None
        if self._their_fragment not in (None, fragment):
            return False
        self._their_fragment = fragment
        return True

    async def _add(self, body: Candidate) -> None:
        if self.closed or self.pc.remoteDescription is None:
            return  # of an offer that was ignored
        if body.line is None:
            await self.pc.addIceCandidate(None)
            return
        try:
            candidate = candidate_from_sdp(body.line)
            candidate.sdpMid, candidate.sdpMLineIndex = body.mid, body.index
            await self.pc.addIceCandidate(candidate)
        except (AssertionError, ValueError):
            return  # one candidate less is never the end of a call

    def _look(self, sdp: str) -> None:
        """What they send, by their description."""
        media = {
            section.rtp.muxId: section
            for section in SessionDescription.parse(sdp).media
        }
        incoming = []
        for transceiver in self.pc.getTransceivers():
            section, track = (
                media.get(transceiver.mid or ""),
                transceiver.receiver.track,
            )
            if section is None or track is None:
                continue
            stream = (section.msid or "").split(" ")[0]
            active = section.direction in ("sendonly", "sendrecv")
            kind = self._their_kinds.get(stream, "camera")
            heard: Media = "audio" if transceiver.kind == "audio" else "video"
            incoming.append(Incoming(kind, heard, track, active))
        self.incoming = incoming
        self._changed()

"""Those who have a document open, and the bytes that they get."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from mosaic.services.drcp.counters import Counters
from mosaic.services.drcp.member import Attachment
from mosaic.wire.drcp.framing import websocket_frames
from mosaic.wire.drcp.yprotocols import AwarenessEntry


class Audience:
    """The members at a document. One encoding for each framing, the same bytes
    for all who share it; who reads slowly costs nobody else."""

    def __init__(self, counters: Counters) -> None:
        self.attachments: dict[Attachment, None] = {}
        self._counters = counters
        self._framed: dict[Hashable, bytes] = {}

    def mark_behind(self, state_vector: Callable[[], bytes]) -> None:
        """Members whose queue is full get a diff later, from what they have.

        state_vector: of the document as it is, asked for if need be.
        """
        if not self._counters.full:
            return
        known: bytes | None = None
        for attachment in self.attachments:
            outbound = attachment.outbound
            if not outbound.paused:
                continue
            if attachment.behind is None and outbound.is_full:
                if known is None:
                    known = state_vector()
                attachment.behind = known
                outbound.fall_behind()

    def send(self, updates: list[bytes], entries: list[AwarenessEntry]) -> None:
        """One write for each member."""
        if not updates and not entries:
            return
        frames: dict[object, bytes] = {}
        deliveries = 0
        for attachment in list(self.attachments):
            outbound = attachment.outbound
            if outbound.paused or attachment.behind is not None:
                deliveries += self._send_to_slow(attachment, updates, entries)
                continue
            data = frames.get(attachment.key)
            if data is None:
                data = _frame(attachment, updates, entries)
                frames[attachment.key] = data
            deliveries += 1
            outbound.write(data)
        self._counters.deliveries += deliveries

    def _send_to_slow(
        self,
        attachment: Attachment,
        updates: list[bytes],
        entries: list[AwarenessEntry],
    ) -> int:
        """What a member with a full buffer gets: no awareness, and no updates
        once it is behind. The number of writes."""
        outbound = attachment.outbound
        if outbound.paused and entries:
            attachment.awareness_stale = True
            entries = []
        if attachment.behind is not None:
            updates = []
        if not updates and not entries:
            return 0
        outbound.write(_frame(attachment, updates, entries))
        return 1

    def framed(
        self,
        attachment: Attachment,
        update: bytes,
        frame: Callable[[bytes], list[bytes]],
        *,
        kind: Hashable,
    ) -> bytes:
        """WebSocket frames with the whole document, made once for all who ask
        for it in the same way, until forget_frames().

        frame: what makes messages of it; what they hold but the update follows
        from `kind` and the attachment's key.
        """
        key = (kind, attachment.key)
        framed = self._framed.get(key)
        if framed is None:
            framed = self._framed[key] = websocket_frames(frame(update))
        return framed

    def forget_frames(self) -> None:
        """The document has changed."""
        self._framed.clear()

    def keep_alive(self) -> None:
        """Clients of other makes hang up after 30 s without a message."""
        for attachment in self.attachments:
            if not attachment.member.native:
                payloads = attachment.member.framing.keep_alive(attachment.channel)
                attachment.member.send(payloads)


def _frame(
    attachment: Attachment, updates: list[bytes], entries: list[AwarenessEntry]
) -> bytes:
    """WebSocket frames with a batch, for every member with the same key."""
    framing, channel = attachment.member.framing, attachment.channel
    payloads: list[bytes] = []
    for update in updates[:-1]:
        payloads += framing.batch(channel, update, ())
    payloads += framing.batch(channel, updates[-1] if updates else b"", entries)
    return websocket_frames(payloads)

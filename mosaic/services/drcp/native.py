"""The native door: `/drcp`, subprotocol drcp.1."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from mosaic.services.drcp.connection import BoundedWire, Connection, Entrance
from mosaic.services.drcp.document import LiveDocument
from mosaic.services.drcp.member import Attachment, Member
from mosaic.services.drcp.room import LiveRoom
from mosaic.wire.drcp import events as ev
from mosaic.wire.drcp.framing import websocket_frames
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.wire.drcp.native import (
    SNAPSHOT_REF,
    NativeFraming,
    Session,
    close_message,
    error_body,
    json_message,
    opened_message,
)
from mosaic.wire.drcp.yprotocols import Type
from mosaic.workspace.model import Role

FRAMING = NativeFraming()


class NativeConnection(Connection):
    """Hello, then documents on channels and the room's events on channel 0."""

    native = True

    def __init__(self, service: Entrance, wire: BoundedWire) -> None:
        self._session = Session()
        super().__init__(service, wire, FRAMING, self._session)
        self._member: Member | None = None
        self._room: LiveRoom | None = None
        self._caps: frozenset[str] = frozenset()

    def perform(self, event: ev.Event) -> Coroutine[Any, Any, None] | None:
        """Do what the client asked for. Raises ProtocolError."""
        if isinstance(event, ev.Update | ev.Awareness) and self._member is not None:
            attachment = self._member.attachments.get(event.channel)
            if attachment is not None:
                return self.in_document(attachment, event)
            return None
        match event:
            case ev.Hello():
                return self._hello(event)
            case ev.Violation():
                self.violated(event.code, event.message, event.channel)
                return None
            case ev.Ping():
                self.send(self.framing.pong(event.channel))
                return None
        member, room = self._member, self._room
        if member is None or room is None:
            raise ProtocolError("hello must come first", code=4401)
        return self._inside(member, room, event)

    def _inside(
        self, member: Member, room: LiveRoom, event: ev.Event
    ) -> Coroutine[Any, Any, None] | None:
        match event:
            case ev.Open():
                return self._open(member, room, event)
            case ev.RoomEvent():
                self._guarded(room.receive_event, member, event.type, event.data)
            case ev.Signal():
                self._guarded(room.relay_signal, member, event.to, event.data)
            case ev.Rpc():
                self._call(event)
            case ev.Refresh():
                return self._refresh(member, room, event)
            case _:
                channel = getattr(event, "channel", None)
                attachment = member.attachments.get(channel or 0)
                if attachment is not None:
                    return self.in_document(attachment, event)
        return None

    def _guarded(self, call: Callable[..., None], *args: object) -> None:
        """A refused event is told on channel 0 and does not end anything."""
        try:
            call(*args)
        except ProtocolError as error:
            self._error(error.code, str(error))

    def _error(self, code: int, message: str) -> None:
        self.send([json_message(0, Type.ERROR, error_body(code, message))])

    async def _hello(self, hello: ev.Hello) -> None:
        try:
            principal, room = await self.service.admit(hello.token)
        except ProtocolError as error:
            self.service.counters.refused_connections += 1
            self.close(error.code, str(error))
            return
        if self.closed:
            return
        self._room = room
        self._caps = hello.caps
        self._member = member = self.join(principal, room)
        self.send([b"".join(room.welcome(member, hello.resume))])
        room.welcomed(member)

    async def _open(self, member: Member, room: LiveRoom, event: ev.Open) -> None:
        assert isinstance(event.channel, int)
        try:
            if member.waiting:
                raise ProtocolError("you are in the lobby", code=4423)
            attachment = await self.attach(member, room, event.channel, event.name)
            if event.channel not in self._session.open_channels:
                return
            document = attachment.document
            opened = await self._opened(member, room, attachment, event.state_vector)
            if opened is None:
                return
        except ProtocolError:
            self._session.close_channel(event.channel)
            raise
        attachment.open()
        self.outbound.write(opened)
        states = document.awareness.states()
        if states:
            self.send(self.framing.batch(event.channel, b"", states))

    async def _opened(
        self,
        member: Member,
        room: LiveRoom,
        attachment: Attachment,
        state_vector: bytes,
    ) -> bytes | None:
        """The frame of `opened`; None if nobody waits for it any more.

        Nothing may come between it and the attachment. Raises ProtocolError.
        """
        document, channel = attachment.document, attachment.channel
        write = member.role.may_edit
        reference: tuple[bytes, ev.Json] | None = None
        assert isinstance(channel, int)

        def message(update: bytes) -> list[bytes]:
            opened = opened_message(
                channel,
                epoch=document.epoch,
                write=write,
                update=update,
                state_vector=document.state_vector(),
                reference=reference and reference[1],
            )
            return [opened]

        size = len(document.diff(state_vector))
        if size > self.service.settings.snapshot_ref_bytes:
            reference = await self._refer(room, document)
            if self.closed or member not in room.members:
                return None
            if channel not in self._session.open_channels:
                return None
        if reference is not None:
            # It may have changed while the state was packed.
            return websocket_frames(message(document.diff(reference[0])))
        kind = (Type.OPENED, document.epoch, write)
        return document.framed_diff(attachment, state_vector, message, kind=kind)

    async def _refer(
        self, room: LiveRoom, document: LiveDocument
    ) -> tuple[bytes, ev.Json] | None:
        """What a state on HTTP holds, and where it is; None: send it all here."""
        if SNAPSHOT_REF not in self._caps:
            return None
        state = await room.desk.shelf.state_of(document)
        return state.state_vector, state.reference(room.room.hub_id)

    def _call(self, call: ev.Rpc) -> None:
        body: dict[str, Any] = {"id": call.id}
        if call.method == "time":
            body["result"] = {"server_time": self.service.wall_clock()}
        else:
            body["error"] = {"code": 4404, "message": "no such method"}
        self.send([json_message(0, Type.RPC_RESULT, body)])

    async def _refresh(
        self, member: Member, room: LiveRoom, refresh: ev.Refresh
    ) -> None:
        try:
            principal = await self.service.principal(refresh.token)
        except ProtocolError as error:
            self._error(error.code, str(error))
            return
        same = principal.participant_id == member.participant_id
        if not same or principal.hub_id != room.room.hub_id:
            self._error(4403, "the token is another participant's")
            return
        member.principal = principal
        if principal.role is not None and not principal.waiting:
            room.change_role(member, principal.role)
        self.check_expiry()

    def role_changed(self, member: Member) -> None:
        """perm, on channel 0."""
        super().role_changed(member)
        role: Role = member.role
        body = {"role": role.value, "write": role.may_edit}
        self.send([json_message(0, Type.PERM, body)])

    def close_document(self, channel: int) -> None:
        """The server closes a channel."""
        self._session.close_channel(channel)
        self.send([close_message(channel)])

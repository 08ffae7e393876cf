"""The doors for stock clients: `/y/<hub_id>/<doc>?token=` and `/hocuspocus`."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from mosaic.services.drcp.connection import BoundedWire, Connection, Entrance
from mosaic.services.drcp.member import Attachment, Member
from mosaic.services.drcp.room import LiveRoom
from mosaic.wire.drcp import events as ev
from mosaic.wire.drcp import hocuspocus, ywebsocket
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.workspace.documents import is_document_name
from mosaic.workspace.model import Principal

_HOCUSPOCUS = hocuspocus.HocuspocusFraming()
_Y = ywebsocket.YWebsocketFraming()

MAX_ADDRESSES = 64

Admitted = tuple[Principal, LiveRoom]


async def check_y(service: Entrance, hub_id: str, name: str, token: str) -> Admitted:
    """Who may open `/y/<hub_id>/<name>?token=`. Raises ProtocolError."""
    principal, room = await service.admit(token)
    if principal.hub_id != hub_id:
        raise ProtocolError("the token is for another room", code=4403)
    if principal.waiting:
        raise ProtocolError("you are in the lobby", code=4423)
    if not is_document_name(name):
        raise ProtocolError("no such document", code=4404)
    return principal, room


class YConnection(Connection):
    """One document; the token came with the URL.

    admitted: what check_y() said in this turn of the reactor, if it was asked.
    """

    def __init__(
        self,
        service: Entrance,
        wire: BoundedWire,
        hub_id: str,
        name: str,
        token: str,
        *,
        admitted: Admitted | None = None,
    ) -> None:
        super().__init__(service, wire, _Y, ywebsocket.YWebsocketSession())
        self._attachment: Attachment | None = None
        self.start(self._enter(hub_id, name, token, admitted))

    async def _enter(
        self, hub_id: str, name: str, token: str, admitted: Admitted | None
    ) -> None:
        try:
            if admitted is None:
                admitted = await check_y(self.service, hub_id, name, token)
        except ProtocolError as error:
            self.service.counters.refused_connections += 1
            self.send([ywebsocket.permission_denied(str(error))])
            raise
        if self.closed:
            return
        principal, room = admitted
        member = self.join(principal, room)
        attachment = await self.attach(member, room, ywebsocket.CHANNEL, name)
        document = attachment.document
        document.flush()
        attachment.open()
        self._attachment = attachment
        self.ask(attachment)
        states = document.awareness.states()
        if states:
            self.send(self.framing.batch(attachment.channel, b"", states))

    def perform(self, event: ev.Event) -> Coroutine[Any, Any, None] | None:
        """Do what the client asked for. Raises ProtocolError."""
        attachment = self._attachment
        if isinstance(event, ev.Violation):
            self.close(event.code, event.message)
        elif attachment is not None:
            return self.in_document(attachment, event)
        return None

    def role_changed(self, member: Member) -> None:
        """A new editor is asked for what was refused to the viewer."""
        super().role_changed(member)
        _ask_editor(self, member)


class HocuspocusConnection(Connection):
    """Any number of documents, each with its own token."""

    def __init__(self, service: Entrance, wire: BoundedWire) -> None:
        super().__init__(service, wire, _HOCUSPOCUS, hocuspocus.HocuspocusSession())
        self._addresses: dict[str, Attachment] = {}

    def perform(self, event: ev.Event) -> Coroutine[Any, Any, None] | None:
        """Do what the client asked for. Raises ProtocolError."""
        if not isinstance(event, ev.Update | ev.Awareness):
            match event:
                case ev.Violation():
                    self.close(event.code, event.message)
                    return None
                case ev.Ping():
                    self.send(self.framing.pong(event.channel))
                    return None
                case ev.Authenticate():
                    return self._authenticate(event.channel, event.token)
        address = getattr(event, "channel", "")
        attachment = self._addresses.get(address)
        if attachment is None:
            return None
        if isinstance(event, ev.Close):
            self._drop(attachment)
            return None
        return self.in_document(attachment, event)

    async def _authenticate(self, address: str, token: str) -> None:
        """A refusal concerns this document alone (the socket has others)."""
        known = self._addresses.get(address)
        try:
            if known is None and len(self._addresses) >= MAX_ADDRESSES:
                raise ProtocolError("too many documents", code=4429)
            await self._enter(address, token, known)
        except ProtocolError as error:
            if self.closed:
                return
            self.service.counters.refused_connections += 1
            if known is not None:
                self._drop(known)
            self.send([hocuspocus.permission_denied(address, str(error))])

    async def _enter(self, address: str, token: str, known: Attachment | None) -> None:
        hub_id, name = hocuspocus.split_address(address)
        principal, room = await self.service.admit(token)
        if principal.hub_id != hub_id:
            raise ProtocolError("the token is for another room", code=4403)
        if principal.waiting:
            raise ProtocolError("you are in the lobby", code=4423)
        if self.closed:
            return
        if known is not None:
            if known.member.participant_id != principal.participant_id:
                raise ProtocolError("the token is another participant's", code=4403)
            known.member.principal = principal
            self.check_expiry()
            self._tell_scope(known)
            return
        member = self.join(principal, room)
        try:
            attachment = await self.attach(member, room, address, name)
        except ProtocolError:
            self.forget(member)
            raise
        attachment.document.flush()
        attachment.open()
        self._addresses[address] = attachment
        self._tell_scope(attachment)
        states = attachment.document.awareness.states()
        if states:
            self.send(self.framing.batch(address, b"", states))

    def _tell_scope(self, attachment: Attachment) -> None:
        write = attachment.member.role.may_edit
        address = str(attachment.channel)
        self.send([hocuspocus.authenticated(address, write=write)])

    def _drop(self, attachment: Attachment) -> None:
        self._addresses.pop(str(attachment.channel), None)
        self.forget(attachment.member)

    def role_changed(self, member: Member) -> None:
        """The scope, for each of the member's documents."""
        super().role_changed(member)
        for attachment in list(member.attachments.values()):
            self._tell_scope(attachment)
        _ask_editor(self, member)

    def member_ended(self, member: Member, code: int, reason: str) -> None:
        """The document is closed for this member; the last one ends the socket."""
        for address in [str(channel) for channel in member.attachments]:
            self._addresses.pop(address, None)
            self.send([hocuspocus.permission_denied(address, reason)])
            self.send([hocuspocus.closed(address, reason)])
        self.forget(member)
        if not self._addresses:
            self.close(code, reason)


def _ask_editor(connection: Connection, member: Member) -> None:
    """Stock clients keep what a viewer wrote, and build on it: without it their
    later edits would wait for ever."""
    if not member.role.may_edit:
        return
    for attachment in list(member.attachments.values()):
        # A document that cannot be read has said so by itself.
        with suppress(ProtocolError):
            connection.ask(attachment)

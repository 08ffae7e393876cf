# mypy: disable-error-code="no-untyped-call"
# (twisted.web.iweb has no annotations)
"""Commands to hubs, and what comes back."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from twisted.logger import Logger

from mosaic.auth.hubfleet import Live
from mosaic.auth.hubs import HubDesk
from mosaic.auth.interface import Forbidden
from mosaic.bus.interface import Bus, Payload
from mosaic.services.rest.blobfiles import UploadBody
from mosaic.services.rest.hubdocuments import (
    CommandResult,
    CommandsView,
    CommandView,
    MadeCommand,
    NewCommand,
    UpdateState,
)
from mosaic.services.rest.hubfiles import KINDS, HubFiles
from mosaic.services.rest.hubs import HubRights, is_administrator
from mosaic.services.rest.operations import Call, FileAnswer, Operation, Who
from mosaic.services.rest.problems import Refusal
from mosaic.services.rest.security import SANDBOX_POLICY
from mosaic.store.hubs import TooMany
from mosaic.store.interface import NotFound, Store
from mosaic.workspace.hubs import HOST_COMMANDS, HubCommand, Outcome
from mosaic.workspace.media import media_type
from mosaic.workspace.model import Principal

_ID_BYTES = 16
_INSTALL = "update-install"
_NOTHING = UpdateState(state="")
_log = Logger()


class HubCommands:
    """Operations on commands. now: Unix seconds."""

    def __init__(
        self,
        *,
        hubs: HubDesk,
        store: Store,
        bus: Bus,
        rights: HubRights,
        files: HubFiles,
        now: Callable[[], float],
    ) -> None:
        self._hubs = hubs
        self._store = store
        self._rights = rights
        self._files = files
        self._now = now
        bus.subscribe("hub.*", self._hub_news)

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (*self._asking(), *self._answering())

    def _asking(self) -> tuple[Operation, ...]:
        one = "/hubs/{hub_id}/commands/{command_id}"
        return (
            Operation(
                id="listHubCommands",
                method="GET",
                path="/hubs/{hub_id}/commands",
                summary="What a hub was asked, newest first",
                tag="hubs",
                who=Who.ADMITTED,
                run=self.list,
                answer=CommandsView,
            ),
            Operation(
                id="commandHub",
                method="POST",
                path="/hubs/{hub_id}/commands",
                summary="Ask something of a hub; a host may ask for a screenshot",
                tag="hubs",
                who=Who.ADMITTED,
                run=self.ask,
                body=NewCommand,
                answer=MadeCommand,
                status=201,
                refusals=(409,),
            ),
            Operation(
                id="installHubUpdate",
                method="POST",
                path="/hubs/{hub_id}/update",
                summary="By touch: install the update that the hub has found",
                tag="hubs",
                who=Who.SCREEN,
                run=self.install,
                answer=MadeCommand,
                status=201,
                refusals=(409,),
            ),
            Operation(
                id="showHubCommand",
                method="GET",
                path=one,
                summary="How far a command is",
                tag="hubs",
                who=Who.ADMITTED,
                run=self.show,
                answer=CommandView,
            ),
            Operation(
                id="downloadHubFile",
                method="GET",
                path=f"{one}/file",
                summary="The screenshot or log that came with the answer",
                tag="hubs",
                who=Who.ADMITTED,
                run=self.download,
                file=True,
            ),
        )

    def _answering(self) -> tuple[Operation, ...]:
        one = "/hubs/{hub_id}/commands/{command_id}"
        return (
            Operation(
                id="uploadHubFile",
                method="PUT",
                path=f"{one}/file",
                summary="The file of an answer, before the answer",
                tag="hubs",
                who=Who.HUB,
                run=self.upload,
                status=204,
                refusals=(413, 415, 422),
                upload=True,
            ),
            Operation(
                id="answerHubCommand",
                method="POST",
                path=f"{one}/result",
                summary="What became of a command; the first answer counts",
                tag="hubs",
                who=Who.HUB,
                run=self.answer,
                body=CommandResult,
                status=204,
            ),
        )

    # People ---------------------------------------------------------------
    async def ask(self, call: Call, body: NewCommand) -> MadeCommand:
        """It waits until the agent answers, or for a day."""
        live = await self._rights.commanded(call)
        who = call.caller.known
        _check_right(who, body.command)
        if body.command not in self._hubs.settings.commands:
            raise Forbidden(f"this server does not let anybody ask for {body.command}")
        arguments = msgspec.json.encode(body.arguments).decode()
        by = (who.account or who.name)[:64]
        return await self._add(live, body.command, by=by, arguments=arguments)

    async def install(self, call: Call, body: None) -> MadeCommand:
        """Whoever stands at the wall says when; what, the administrator's channel."""
        live = call.caller.as_hub.live
        if _INSTALL not in self._hubs.settings.commands:
            raise Forbidden(f"this server does not let anybody ask for {_INSTALL}")
        for one in live.commands:
            if one.command == _INSTALL:
                return MadeCommand(id=one.id)  # a second touch is no second wish
        if live.status is None or not (live.status.update or _NOTHING).available:
            raise Refusal(409, "this hub has found no update")
        return await self._add(live, _INSTALL, by="screen", arguments="{}")

    async def _add(
        self, live: Live, name: str, *, by: str, arguments: str
    ) -> MadeCommand:
        command = HubCommand(
            id=secrets.token_hex(_ID_BYTES),
            hub_id=live.hub.hub_id,
            command=name,
            by=by,
            at=self._now(),
            arguments=arguments,
        )
        try:
            hub = await self._store.add_hub_command(
                command, most=self._hubs.settings.waiting_commands
            )
        except TooMany as error:
            raise Refusal(409, str(error)) from None
        self._hubs.fleet.changed(hub, commands=(*live.commands, command))
        return MadeCommand(id=command.id)

    async def list(self, call: Call, body: None) -> CommandsView:
        """Those that the caller may see."""
        live = await self._rights.commanded(call)
        who = call.caller.known
        found = await self._store.hub_commands(hub_id=live.hub.hub_id)
        return CommandsView(
            commands=[_view(one) for one in found if _has_right(who, one.command)]
        )

    async def show(self, call: Call, body: None) -> CommandView:
        """One of them."""
        return _view(await self._visible(call))

    async def download(self, call: Call, body: None) -> FileAnswer:
        """As an attachment."""
        command = await self._visible(call)
        if command.media_type is None:
            raise NotFound("no file came with this command")
        suffix = "png" if command.media_type == "image/png" else "txt"
        return FileAnswer(
            path=str(self._files.path_of(command.hub_id, command.id)),
            media_type=command.media_type,
            headers={
                "Content-Disposition": f'attachment; filename="{command.id}.{suffix}"',
                "Content-Security-Policy": SANDBOX_POLICY,
                "Cache-Control": "private, no-store",
            },
        )

    async def _visible(self, call: Call) -> HubCommand:
        live = await self._rights.commanded(call)
        command = await self._store.hub_command(
            live.hub.hub_id, call.path["command_id"]
        )
        if not _has_right(call.caller.known, command.command):
            raise NotFound("there is no such command")
        return command

    # The agent ------------------------------------------------------------
    async def upload(self, call: Call, body: None) -> None:
        """Keep the body that has arrived."""
        hub_id, id = call.path["hub_id"], call.path["command_id"]
        content: Any = call.request.content
        if not isinstance(content, UploadBody) or content.size_bytes == 0:
            raise Refusal(422, "the file is empty")
        if content.closed:
            raise Refusal(400, "the upload was broken off")
        kind = media_type(call.request.getHeader("content-type"))
        if kind not in KINDS:
            raise Refusal(415, f"a file is one of {', '.join(KINDS)}")
        command = await self._store.hub_command(hub_id, id)
        if command.state is not Outcome.WAITING:
            raise NotFound("this command has been answered")
        size = content.size_bytes
        await self._files.keep(hub_id, id, content, kind)
        try:
            await self._store.note_hub_file(
                hub_id, id, media_type=kind, size_bytes=size
            )
        except BaseException:
            await self._files.forget(hub_id, id)
            raise

    async def answer(self, call: Call, body: CommandResult) -> None:
        """The first one counts."""
        live = call.caller.as_hub.live
        id = call.path["command_id"]
        state = Outcome.DONE if body.ok else Outcome.FAILED
        await self._finish(live, id, state=state, detail=body.detail)

    async def _finish(
        self, live: Live, id: str, *, state: Outcome, detail: str
    ) -> None:
        await self._store.finish_hub_command(
            live.hub.hub_id, id, state=state, detail=detail
        )
        live.commands = tuple(one for one in live.commands if one.id != id)

    # From time to time ----------------------------------------------------
    async def prune(self) -> int:
        """What was not answered has failed; what is old goes, with its file."""
        settings = self._hubs.settings
        now = self._now()
        for live in self._hubs.fleet.every():
            for one in live.commands:
                if one.at < now - settings.command_timeout_s:
                    detail = "the hub did not answer"
                    await self._finish(
                        live, one.id, state=Outcome.FAILED, detail=detail
                    )
        before = now - settings.command_keep_s
        gone = await self._store.remove_hub_commands(before=before)
        for one in gone:
            await self._files.forget(one.hub_id, one.id)
        return len(gone)

    def _hub_news(self, topic: str, payload: Payload) -> None:
        if payload.get("type") == "removed":
            self._files.forget(topic.partition(".")[2]).addErrback(
                lambda failure: _log.failure("files of a hub stay", failure)
            )


def _check_right(who: Principal, command: str) -> None:
    if not _has_right(who, command):
        raise Forbidden("this needs an administrator")


def _has_right(who: Principal, command: str) -> bool:
    return is_administrator(who) or command in HOST_COMMANDS


def _view(command: HubCommand) -> CommandView:
    path = f"/api/v1/hubs/{command.hub_id}/commands/{command.id}/file"
    state: Any = command.state.value
    return CommandView(
        id=command.id,
        command=command.command,
        by=command.by,
        at=command.at,
        state=state,
        detail=command.detail,
        file=None if command.media_type is None else path,
    )

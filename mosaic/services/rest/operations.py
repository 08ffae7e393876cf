"""The route table: each operation is declared once.

The dispatcher and the OpenAPI document are both made from these declarations,
so that neither can say what the other does not.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from twisted.web.iweb import IRequest

from mosaic.auth.hublogin import HubCaller
from mosaic.auth.interface import InvalidToken
from mosaic.workspace.model import Principal, Role


class Who(Enum):
    """Who may call an operation; the value is the sentence for people."""

    ANYONE = "Anyone."
    ANYONE_OR_SESSION = "Anyone; a session is used if there is one."
    TOKEN = "Any token, also one that waits in a lobby."  # noqa: S105 - a sentence
    ADMITTED = "Any token that does not wait in a lobby."
    SESSION = "A session."
    ADMIN = "A session of an administrator."
    IN_ROOM = "Anybody in the room."
    EDITOR = "An editor or a host of the room."
    HOST = "A host of the room."
    HUB = "The hub's agent, by a token of the hub."
    HUB_OR_SCREEN = "The hub's agent, or one of its screens."
    SCREEN = "A screen of a hub."

    @property
    def needs_token(self) -> bool:
        """Whether a request without a token is refused."""
        return self not in {Who.ANYONE, Who.ANYONE_OR_SESSION}

    @property
    def in_room(self) -> bool:
        """Whether the caller's role in the path's room decides."""
        return self in {Who.IN_ROOM, Who.EDITOR, Who.HOST}

    @property
    def of_hub(self) -> bool:
        """Whether only hubs may call, and no people."""
        return self in {Who.HUB, Who.HUB_OR_SCREEN, Who.SCREEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. role: in the room of the path, where that was looked up. hub: set
    where only hubs may call."""

    address: str
    token: str | None = None
    principal: Principal | None = None
    role: Role | None = None
    hub: HubCaller | None = None

    @property
    def as_hub(self) -> HubCaller:
        """The hub; the table has made sure that there is one."""
        if self.hub is None:
            raise InvalidToken
        return self.hub

    @property
    def known(self) -> Principal:
        """The principal; the table has made sure that there is one."""
        if self.principal is None:
            raise InvalidToken
        return self.principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, parsed. path: its parameters. query: of the declared type."""

    request: IRequest
    caller: Caller
    path: dict[str, str]
    query: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnswer:
    """A file to send as it is. headers: further ones."""

    path: str
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesAnswer:
    """Bytes in memory to send as they are. headers: further ones."""

    data: bytes
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)


Run = Callable[[Call, Any], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call of the API.

    id: its operationId. path: below /api/v1, parameters in braces. body,
    query: the types that check the request. answer: the type of the result of
    run, None for 204. status: of success. refusals: other statuses beyond those
    that every operation of its kind has. upload: the body is a file, in
    request.content. file: the answer is a FileAnswer or BytesAnswer.
    """

    id: str
    method: str
    path: str
    summary: str
    tag: str
    who: Who
    run: Run
    body: type | None = None
    query: type | None = None
    answer: type | None = None
    status: int = 200
    refusals: tuple[int, ...] = ()
    upload: bool = False
    file: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the path parameters, in order."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status that this operation can answer with.

        400 is for a head or body that cannot be read; 429 for too many
        requests; 503 for a store that is away.
        """
        found = {self.status, 400, 429, 503, *self.refusals}
        if self.who is not Who.ANYONE:
            found.add(401)
        if self.who not in {Who.ANYONE, Who.ANYONE_OR_SESSION, Who.TOKEN}:
            found.add(403)
        if self.parameters:
            found.add(404)
        if self.query or self.body:
            found.add(422)
        if self.body:
            found |= {413, 415}
        if self.method != "GET":
            found.add(507)
        return tuple(sorted(found))


PARAMETERS: dict[str, tuple[str, str]] = {
    "hub_id": (r"[0-9]{9}", "The room's Hub ID: 9 digits."),
    "name": (r"[^/\x00-\x20\x7f]{1,64}", "An account's name."),
    "account": (r"[^/\x00-\x20\x7f]{1,64}", "An account's name."),
    "participant_id": (r"[0-9a-f]{16}", "The id of somebody in the room."),
    "version": (r"[1-9][0-9]{0,15}", "The number of a version."),
    "export_id": (r"[0-9a-f]{32}", "The id of an export."),
    "document": (
        r"board|room|notes/[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        "A document: `board`, `room` or `notes/<slug>`; the slash as it is, or as %2F.",
    ),
    "code_id": (r"[0-9a-f]{16}", "The id of an activation code."),
    "command_id": (r"[0-9a-f]{32}", "The id of a command to a hub."),
    "slot": (r"ms_[A-Za-z0-9_-]{43}", "The secret of an upload's link."),
    "filename": (r"[^/\x00-\x1f\x7f]{1,255}", "A file's name, for people only."),
    "sha1": (r"[0-9a-f]{40}", "SHA-1 of a picture, in hexadecimal."),
    "sha256": (r"[0-9a-f]{64}", "SHA-256 of the file, in hexadecimal."),
}
"""Pattern and description of every path parameter; another form is a 404."""

WITH_SLASHES = frozenset({"document"})
"""Path parameters that may hold a slash."""

"""The JSON documents of the API: what is asked and what is answered.

Requests refuse unknown fields and bound every length, so that what reaches a
handler is small and typed. OpenAPI is generated from these same types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from mosaic.config.settings import Region
from mosaic.workspace.model import Role
from mosaic.workspace.versions import VERSION_NAME_CHARS, Reason

# What a person can type in one line: something visible, no control characters.
_LINE = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"

AccountName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=_LINE,
        description="Letters, digits, dots, underscores and dashes of any script;"
        " kept case-folded.",
        examples=["ada"],
    ),
]
Password = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1024,
        description="As it was typed; it is prepared by SASLprep.",
        examples=["correct horse battery"],
    ),
]
FreshPassword = Annotated[
    str,
    Meta(
        min_length=6,
        max_length=1024,
        description="At least 6 characters that SASLprep (RFC 4013) lets through.",
        examples=["correct horse battery"],
    ),
]
DisplayName = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=_LINE, examples=["Ada"])
]
RoomName = Annotated[
    str, Meta(min_length=1, max_length=100, pattern=_LINE, examples=["Blue room"])
]
Alias = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=_LINE, examples=["standup"])
]
Pin = Annotated[
    str,
    Meta(
        max_length=32, description="6 digits; spaces are forgiven.", examples=["042917"]
    ),
]
SetupCode = Annotated[str, Meta(min_length=1, max_length=128)]
DocumentName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        description="board, room or notes/<name>.",
        examples=["board", "notes/main"],
    ),
]
VersionLabel = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=VERSION_NAME_CHARS,
        pattern=_LINE,
        examples=["Before the workshop"],
    ),
]
TtlS = Annotated[int, Meta(ge=1, le=31_536_000, description="Seconds.")]


class Body(Struct, kw_only=True, forbid_unknown_fields=True):
    """A request body or query: nothing that is not declared."""


class Answer(Struct, kw_only=True):
    """An answer's body."""


class LogIn(Body):
    """Name and password of an account."""

    name: AccountName
    password: Password


class SetUp(Body):
    """The one-time code of the first run, and the first administrator."""

    code: SetupCode
    name: AccountName
    password: FreshPassword


class NewUser(Body):
    """An account to make."""

    name: AccountName
    password: FreshPassword
    admin: bool = False


class NewPassword(Body):
    """A password to set."""

    password: FreshPassword


class NewRoom(Body):
    """A room to make. alias: the local part of its XMPP address."""

    name: RoomName
    alias: Alias | None = None


class RoomPatch(Body):
    """What to change; what is absent stays."""

    name: RoomName | None = None
    locked: bool | None = None
    lobby: bool | None = None
    moderated: bool | None = None


class Join(Body):
    """A guest gives a PIN; a member's session needs none."""

    name: DisplayName
    pin: Pin | None = None


class NewToken(Body):
    """A room token for a script or an invitation; a name for who uses it."""

    role: Role
    name: DisplayName | None = None
    ttl_s: TtlS | None = None


class Membership(Body):
    """The role to give."""

    role: Role


class Admission(Body):
    """Let somebody in from the lobby, or not. role: None keeps the guest's."""

    admit: bool
    role: Role | None = None


class MessagesQuery(Body):
    """The page of chat before a sequence number, newest if there is none."""

    before: Annotated[int, Meta(ge=1, le=2**53)] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=200)] = 100


class VersionsQuery(Body):
    """Versions of one document, or of all."""

    document: DocumentName | None = None


class DocumentQuery(Body):
    """Which document."""

    document: DocumentName


class NewVersion(Body):
    """A document to keep as it is now, and its name."""

    document: DocumentName
    label: VersionLabel


class VersionPatch(Body):
    """The new name; null takes it away."""

    label: VersionLabel | None


class ExportQuery(Body):
    """The format to write a document in."""

    format: Literal["svg", "png", "pdf", "excalidraw", "html", "md", "docx", "ydoc"]


class User(Answer):
    """An account."""

    name: str
    admin: bool
    created_at: float


class Users(Answer):
    """Every account, by name."""

    users: list[User]


class Session(Answer):
    """A session token: the only time it is shown."""

    token: str
    expires_at: float
    account: User


class Me(Answer):
    """Who the token speaks for. hub_id, role: of a room token."""

    name: str
    account: str | None
    admin: bool
    hub_id: str | None
    role: Role | None
    participant_id: str
    expires_at: float
    waiting: bool


class RoomView(Answer):
    """A room. pin is null, and join_url without it, for all but hosts."""

    hub_id: str
    name: str
    pin: str | None
    join_url: str
    alias: str | None
    locked: bool
    lobby: bool
    moderated: bool
    owner: str | None
    created_at: float
    closed_at: float | None


class Rooms(Answer):
    """Rooms: all of them for an administrator, else one's own."""

    rooms: list[RoomView]


class Member(Answer):
    """An account's standing role in a room."""

    account: str
    role: Role


class Members(Answer):
    """Everybody with a standing role."""

    members: list[Member]


class JoinedRoom(Answer):
    """The room that a token opens."""

    hub_id: str
    name: str


class Joined(Answer):
    """A room token: the only time it is shown. waiting: in the lobby."""

    token: str
    expires_at: float
    role: Role | None
    waiting: bool
    participant_id: str
    room: JoinedRoom


class Waiting(Answer):
    """Somebody in the lobby. hub: the Hub ID of a room box, null for people."""

    participant_id: str
    name: str
    hub: str | None


class Lobby(Answer):
    """Everybody in the lobby."""

    waiting: list[Waiting]


class ChatLine(Answer):
    """One message of the room's history."""

    seq: int
    message_id: str
    author_id: str
    author: str
    text: str
    at: float
    edited_at: float | None
    retracted_at: float | None


class Messages(Answer):
    """A page of chat, oldest first."""

    messages: list[ChatLine]


class BlobView(Answer):
    """An upload. url: where this room finds it."""

    sha256: str
    size_bytes: int
    media_type: str
    url: str


class ExportView(Answer):
    """An export of a room. progress: from 0 to 1; step: what is being written.
    detail: why it failed. expires_at: when its archive is removed. url: of
    the archive, once the state is "ready"."""

    export_id: str
    state: Literal["waiting", "running", "ready", "failed"]
    progress: float
    step: str
    detail: str
    size_bytes: int | None
    created_at: float
    expires_at: float | None
    url: str | None


class RegionView(Answer):
    """Relays in another place; the same credentials are good there."""

    name: str
    urls: list[str]


def region_views(regions: Sequence[Region]) -> list[RegionView]:
    """As configured."""
    return [RegionView(name=each.name, urls=list(each.urls)) for each in regions]


class TurnView(Answer):
    """Credentials for RTCPeerConnection's iceServers. ttl: seconds. regions: who
    can tell which is nearest may use those in place of urls."""

    urls: list[str]
    username: str
    credential: str
    ttl: int
    regions: list[RegionView]


class NetcheckView(Answer):
    """What a network check tries. address: the caller's, as seen here.

    urls, username, credential, ttl: as in TurnView, for a minute and towards our
    own relays alone. udp_ports: where STUN is answered; dtls_ports: by DTLS.
    xmpp_port: direct TLS. redirect_port: plain HTTP. region: this place's name.
    spki_sha256: hashes of our certificates' keys; another one on the wire
    means that TLS is inspected on the way.
    """

    address: str
    urls: list[str]
    username: str
    credential: str
    ttl: int
    udp_ports: list[int]
    xmpp_port: int | None
    xmpp_domain: str
    drcp: bool
    spki_sha256: list[str]
    dtls_ports: list[int]
    redirect_port: int | None
    region: str
    regions: list[RegionView]


class AuthorView(Answer):
    """Somebody who edited. client_ids: the Yjs clients that they wrote as; they
    are given for a document, not for a version."""

    id: str
    name: str
    account: str | None
    client_ids: list[int]


class AuthorsView(Answer):
    """Everybody who ever edited, first come first."""

    authors: list[AuthorView]


class VersionView(Answer):
    """A kept state of a document. label: its name, null for one that is kept
    for a time only. by: the id of who asked for it. authors: those who edited
    since the version before, when it was kept."""

    id: int
    document: str
    at: float
    label: str | None
    reason: Reason
    by: str | None
    size_bytes: int
    authors: list[AuthorView]


class Versions(Answer):
    """Versions, newest first."""

    versions: list[VersionView]


class Restored(Answer):
    """changed: false if the document was already like that."""

    changed: bool

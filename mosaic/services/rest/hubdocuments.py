"""The JSON documents of hubs (docs/protocols/hub.md)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from mosaic.services.rest.documents import Answer, Body, DisplayName
from mosaic.workspace.model import Role

Text = Annotated[str, Meta(max_length=300)]
Short = Annotated[str, Meta(max_length=40)]
Version = Annotated[str, Meta(max_length=64)]
Platform = Annotated[str, Meta(max_length=128)]
RoomId = Annotated[str, Meta(pattern="^[0-9]{9}$", examples=["412907338"])]
RoomPin = Annotated[str, Meta(pattern="^[0-9]{6}$", examples=["615823"])]
Base64 = Annotated[
    str, Meta(max_length=96, description="base64url (RFC 4648 section 5).")
]
At = Annotated[float, Meta(ge=0, le=1e12, description="Unix seconds.")]
Size = Annotated[int, Meta(ge=0, le=2**53)]
ClockTime = Annotated[
    str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["02:00"])
]
Channel = Annotated[str, Meta(pattern="^[a-z0-9-]{1,32}$", examples=["stable"])]
Locale = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$",
        max_length=35,
        examples=["en"],
    ),
]
Layout = Literal["auto", "board", "people", "screen"]
Reported = Literal["idle", "meeting", "presenting", "updating"]
NetworkOutcome = Literal["ok", "degraded", "blocked", "skipped"]
NetworkReason = Literal["enrolled", "daily", "unreachable", "asked", "local"]
Scalar = Annotated[str, Meta(max_length=1000)] | int | float | bool | None
Arguments = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Scalar], Meta(max_length=16)
]
CalendarUrl = Annotated[
    str, Meta(max_length=2048, pattern=r"^https://[^\x00-\x20\x7f]+$")
]


# Activation codes ---------------------------------------------------------
class NewHubCode(Body):
    """What is absent is as the server's settings say."""

    name: Annotated[str, Meta(max_length=64)] = ""
    uses: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    expires_in_s: Annotated[int, Meta(ge=1, le=31_536_000)] | None = None


class HubCodeView(Answer):
    """An activation code, without its characters. by: who made it, "" for the
    command line."""

    id: str
    name: str
    uses: int
    uses_left: int
    created_at: float
    expires_at: float
    by: str


class MadeHubCode(HubCodeView):
    """The same with its characters: the only time they are shown."""

    code: str


class HubCodes(Answer):
    """Every activation code, oldest first."""

    codes: list[HubCodeView]


# Enrolment and login ------------------------------------------------------
class Enrol(Body):
    """A box that wants to be a hub here."""

    code: Annotated[str, Meta(max_length=64, examples=["7KQ2M-XW9RD"])]
    public_key: Base64
    proof: Base64
    name: DisplayName | None = None
    version: Version = ""
    platform: Platform = ""


class Enrolled(Answer):
    """Who it is now. server_time: Unix seconds."""

    hub_id: str
    name: str
    server_time: float
    jid: str


class HubProof(Body):
    """A signed request for a token. time: Unix seconds."""

    time: Annotated[int, Meta(ge=0, le=2**53)]
    nonce: Annotated[str, Meta(max_length=64)]
    signature: Base64


class HubXmpp(Answer):
    """How the agent logs in over XMPP."""

    jid: str
    password: str
    domain: str


class HubTokenView(Answer):
    """An agent's token."""

    token: str
    expires_in_s: int
    xmpp: HubXmpp


class Ticket(Body):
    """What a screen was opened with."""

    ticket: Annotated[str, Meta(max_length=128)]


class TicketView(Answer):
    """Good once, within a minute."""

    ticket: str


class ScreenTokenView(Answer):
    """A screen's token."""

    token: str
    hub_id: str
    expires_in_s: int


# What it shall do ---------------------------------------------------------
class FeedQuery(Body):
    """after: the seq that is known; absent: answer at once. wait: seconds."""

    after: Annotated[int, Meta(ge=0, le=2**53)] | UnsetType = UNSET
    wait: Annotated[int, Meta(ge=0, le=55)] = 25


class FeedHub(Answer):
    """What the wall shows."""

    hub_id: str
    name: str
    pin: str
    join_url: str
    join_host: str


class DesiredView(Answer):
    """What a hub shall do. room: null for idle."""

    room: str | None
    volume: int
    muted: bool
    screen_on: bool
    layout: Layout
    locale: str


class FeedCommand(Answer):
    """Something to do once."""

    id: str
    command: str
    arguments: Arguments


class MeetingView(Answer):
    """An entry of the room's calendar; times in whole Unix seconds."""

    start: int
    end: int
    title: str
    room: str | None


class WindowView(Body):
    """Local time of the hub."""

    start: ClockTime
    end: ClockTime


class UpdatePolicyView(Answer):
    """Which releases a hub takes, and when; null: on demand alone."""

    channel: str
    window: WindowView | None


class UpdateState(Body):
    """How far an update is. available: its version. size: bytes."""

    state: Short
    available: Version | None = None
    notes: Annotated[str, Meta(max_length=4000)] | None = None
    size: Size | None = None


class FoundView(Answer):
    """The same for a screen. runs: the version that the hub runs."""

    state: str
    available: str | None
    notes: str | None
    size: int | None
    runs: str | None


# Its network --------------------------------------------------------------
class NetworkVerdictDoc(Body):
    """One capability, and one line of what to do."""

    capability: Short
    outcome: NetworkOutcome
    advice: Text = ""


class NetworkCheckDoc(Body):
    """One thing that was tried (docs/netcheck.md). stage: where it failed."""

    name: Annotated[str, Meta(max_length=64)]
    outcome: NetworkOutcome
    ms: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    stage: Short = ""
    detail: Text = ""
    advice: Text = ""


class NetworkResult(Body):
    """What an agent found. age_s: how long ago; its clock may be wrong. reason: why
    it looked. quick: without measurements."""

    outcome: NetworkOutcome
    reason: NetworkReason
    age_s: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    quick: bool = False
    via: Text = ""
    took_s: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    verdicts: Annotated[list[NetworkVerdictDoc], Meta(max_length=16)] = []
    checks: Annotated[list[NetworkCheckDoc], Meta(max_length=64)] = []


class NetworkView(Answer):
    """A hub's latest network check, in short; at: Unix seconds."""

    at: float
    outcome: NetworkOutcome
    reason: NetworkReason
    quick: bool
    via: str
    took_s: float
    verdicts: list[NetworkVerdictDoc]


class NetworkDetails(NetworkView):
    """The same with everything that was tried."""

    checks: list[NetworkCheckDoc]


class Feed(Answer):
    """Everything that a hub has to know. commands, calendar_url and report are for
    the agent alone; found, the update that the agent reported, and network, what
    it found when it checked its network, for the screens."""

    seq: int
    hub: FeedHub
    desired: DesiredView
    commands: list[FeedCommand]
    calendar: list[MeetingView]
    calendar_url: str | None
    report: bool
    update: UpdatePolicyView
    found: FoundView | None
    network: NetworkView | None


class DesiredPatch(Body):
    """What is absent stays."""

    room: RoomId | UnsetType | None = UNSET
    volume: Annotated[int, Meta(ge=0, le=100)] | UnsetType = UNSET
    muted: bool | UnsetType = UNSET
    screen_on: bool | UnsetType = UNSET
    layout: Layout | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET


class UpdatePatch(Body):
    """What is absent stays. window: null for on demand alone."""

    channel: Channel | UnsetType = UNSET
    window: WindowView | UnsetType | None = UNSET


class HubPatch(Body):
    """What is absent stays. calendar_url: null takes it away."""

    name: DisplayName | UnsetType = UNSET
    desired: DesiredPatch | UnsetType = UNSET
    update: UpdatePatch | UnsetType = UNSET
    calendar_url: CalendarUrl | UnsetType | None = UNSET


class WantedRoom(Body):
    """Where a hub wants to be itself."""

    room: RoomId | None
    pin: Annotated[str, Meta(max_length=32)] | None = None


class SeatWish(Body):
    """token: the room token that the caller holds; it lives on if it still fits."""

    token: Annotated[str, Meta(max_length=64)] | None = None


class SeatView(Answer):
    """A hub's token for the room where it shall be."""

    room: str
    name: str
    token: str
    role: Role | None
    waiting: bool
    participant_id: str
    expires_at: float


# What it reports ----------------------------------------------------------
class Screen(Body):
    """A screen of the box, in pixels. shown: it draws the page."""

    name: Short
    width: Annotated[int, Meta(ge=0, le=100_000)] = 0
    height: Annotated[int, Meta(ge=0, le=100_000)] = 0
    shown: bool = False


class Meeting(Body):
    """An entry of the calendar as the agent found it."""

    start: At
    end: At
    title: Text
    room: RoomId | None = None
    pin: RoomPin | None = None


class Status(Body):
    """What an agent says of itself."""

    doing: Reported
    room: RoomId | None = None
    version: Version | None = None
    platform: Platform | None = None
    uptime_s: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    screens: Annotated[list[Screen], Meta(max_length=16)] = []
    proxy: Text | None = None
    route: Text | None = None
    update: UpdateState | None = None
    problem: Text | None = None
    calendar: Annotated[list[Meeting], Meta(max_length=100)] | None = None


class StatusView(Answer):
    """The same as others see it; at: Unix seconds of the report."""

    at: float
    doing: Reported
    room: str | None
    version: str | None
    platform: str | None
    uptime_s: float | None
    screens: list[Screen]
    proxy: str | None
    route: str | None
    update: UpdateState | None
    problem: str | None


class HubView(Answer):
    """A hub. last_seen: Unix seconds, 0 for never. network: its latest check. status:
    the last report, null if there was none since the server started."""

    hub_id: str
    name: str
    enrolled_at: float
    online: bool
    last_seen: float
    doing: Literal["idle", "meeting", "presenting", "updating", "offline"]
    version: str
    platform: str
    desired: DesiredView
    update: UpdatePolicyView
    has_calendar: bool
    network: NetworkView | None
    status: StatusView | None


class HubsView(Answer):
    """The hubs that the caller may command, in the order of their enrolment."""

    hubs: list[HubView]


# Commands -----------------------------------------------------------------
class NewCommand(Body):
    """What to ask of a hub."""

    command: Literal[
        "restart",
        "update-check",
        "update-install",
        "screenshot",
        "log",
        "wipe",
        "check-network",
    ]
    arguments: Arguments = {}


class MadeCommand(Answer):
    """Under which id it waits."""

    id: str


class CommandView(Answer):
    """A command. file: the path of what came with the answer, or null."""

    id: str
    command: str
    by: str
    at: float
    state: Literal["waiting", "done", "failed"]
    detail: str
    file: str | None


class CommandsView(Answer):
    """Commands of a hub, newest first."""

    commands: list[CommandView]


class CommandResult(Body):
    """An agent's answer."""

    ok: bool
    detail: Annotated[str, Meta(max_length=4000)] = ""

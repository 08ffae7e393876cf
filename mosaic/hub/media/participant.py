"""A hub in a meeting without a screen: it is seen, heard, sees, hears and writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mosaic.drcpclient.client import DrcpClient
from mosaic.hub.media.call import PeerCall
from mosaic.hub.media.ice import NoRelay, Relays
from mosaic.hub.media.mesh import CallMesh
from mosaic.hub.media.nearest import NearestRegion, TurnAnswer, pings_by
from mosaic.hub.media.negotiated import Slot
from mosaic.hub.media.people import RoomView
from mosaic.hub.media.servers import Servers, read_servers
from mosaic.hub.media.signals import CallSignal, StreamKind, write_signal
from mosaic.hub.media.sinks import Reception
from mosaic.hub.media.sources import Feed, Shared, Source
from mosaic.hub.media.tasks import Tasks
from mosaic.hub.participant import IceServer, RoomPass, Seat, Told
from mosaic.proxy.client import Dialler, http_client
from mosaic.wire.drcp.client import Message
from mosaic.wire.drcp.shareddoc import SharedDocument
from mosaic.wire.drcp.yprotocols import Type

LAST_RETRY_S = 8.0
OUT = frozenset({4403, 4404, 4423})
"""Close codes that say: not you, or not any more."""
LEAVE_S = 3.0
"""A relay that does not answer any more holds nobody in the room for longer."""

_log = Logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaOptions:
    """camera: what is sent from the beginning, None for nothing. record: a folder
    for what others send. record_kind: webm or mp4. relay_only: never directly."""

    camera: Source | None = None
    record: Path | None = None
    record_kind: str = "webm"
    relay_only: bool = False


@dataclass(slots=True)
class _Stay:
    """What lasts from join to leave."""

    room: RoomPass
    given: Servers
    client: DrcpClient
    mesh: CallMesh
    reception: Reception
    view: RoomView = field(default_factory=RoomView)
    last_state: str = "idle"


class HeadlessParticipant:
    """`mosaic.hub.participant.Participant` with media, on the asyncio reactor.

    Its coroutines are Twisted's: await them where Deferreds are awaited.
    """

    def __init__(
        self, reactor: Any, dialler: Dialler, told: Told, options: MediaOptions
    ) -> None:
        self.relays = Relays(dialler)
        self.nearest: NearestRegion | None = None
        self._reactor = reactor
        self._dialler = dialler
        self._told = told
        self._options = options
        self._tasks = Tasks()
        self._camera = Shared(options.camera) if options.camera else None
        self._screen: Shared | None = None
        self._problem: str | None = None
        self._seat: Seat | None = None
        self._stay: _Stay | None = None

    # mosaic.hub.participant.Participant --------------------------------------
    async def join(self, room: RoomPass, ice_servers: Sequence[IceServer]) -> None:
        """Go in, and stay in until leave()."""
        await self.leave()
        client = DrcpClient(
            self._reactor,
            room.url,
            room.token,
            name="mosaic-hub",
            last_retry_s=LAST_RETRY_S,
            endpoint=lambda: self._way(room.url),
            heard=self._hear,
        )
        mesh = CallMesh(
            self._reactor,
            instance=str(uuid4()),
            relays=self.relays,
            tasks=self._tasks,
            fetch=self._servers,
            send=self._signal,
            local=self._local,
            changed=self._call_changed,
            no_relay=self._no_relay,
            relay_only=self._options.relay_only,
        )
        reception = Reception(
            self._reactor,
            self._tasks,
            folder=self._options.record,
            kind=self._options.record_kind,
        )
        given = read_servers(ice_servers)
        self._stay = stay = _Stay(room, given, client, mesh, reception)
        client.start()
        self._follow(stay)

    def refresh(self, room: RoomPass) -> None:
        """A newer pass of the same room."""
        if self._stay is not None:
            self._stay.room = room
            self._stay.client.refresh(room.token)

    async def leave(self) -> None:
        """Out of the meeting; files are closed, nothing goes on."""
        stay, self._stay = self._stay, None
        self._problem = self._seat = None
        if stay is not None:
            self._stop_screen()
            await stay.client.stop()
            await Deferred.fromFuture(asyncio.ensure_future(self._hang_up(stay)))
        if self.nearest is not None:
            self.nearest.stop()

    # What a hub does in a meeting --------------------------------------------
    @property
    def live(self) -> bool:
        """In the meeting, and past the lobby."""
        stay = self._stay
        return stay is not None and stay.client.state == "live" and bool(stay.view.me)

    @property
    def room(self) -> RoomView | None:
        """Who is there and what was said; None outside."""
        return self._stay.view if self._stay else None

    @property
    def calls(self) -> dict[str, PeerCall]:
        """By participant."""
        return dict(self._stay.mesh.calls) if self._stay else {}

    @property
    def reception(self) -> Reception | None:
        """What arrived; None outside."""
        return self._stay.reception if self._stay else None

    def document(self, name: str) -> SharedDocument:
        """A document of the room (`board`, `notes/…`); edits are sent by themselves.
        RuntimeError outside."""
        return self._inside().client.open(name)

    def say(self, text: str) -> None:
        """A line of chat. RuntimeError outside."""
        client = self._inside().client
        client.session.event("chat", {"text": text, "message_id": uuid4().hex})
        client.flush()

    def present(self, source: Source) -> None:
        """Send it as this hub's screen, in place of the one before."""
        stay = self._inside()
        if self._screen is not None:
            self._screen.stop()
        self._screen = Shared(source)
        self._publish(stay)

    def stop_presenting(self) -> None:
        """Send no screen any more. Safe to call twice."""
        if self._stop_screen() and self._stay is not None:
            self._publish(self._stay)

    # -------------------------------------------------------------------------
    def _inside(self) -> _Stay:
        if self._stay is None:
            raise RuntimeError("not in a meeting")
        return self._stay

    def _stop_screen(self) -> bool:
        screen, self._screen = self._screen, None
        if screen is not None:
            screen.stop()
        return screen is not None

    def _publish(self, stay: _Stay) -> None:
        stay.mesh.publish()
        self._tell_state(stay)
        self._look(stay)

    def _tell_state(self, stay: _Stay) -> None:
        local = self._local()
        if self.live and not stay.view.waiting:
            facts = {
                "mic": ("camera", "audio") in local,
                "cam": ("camera", "video") in local,
                "screen": self._screen is not None,
            }
            stay.client.session.event("state", facts)
            stay.client.flush()

    def _local(self) -> dict[Slot, Feed]:
        """What we publish now."""
        sources: dict[StreamKind, Shared | None] = {
            "camera": self._camera,
            "screen": self._screen,
        }
        return {
            (kind, media): feed
            for kind, shared in sources.items()
            if shared is not None
            for media, feed in shared.feeds.items()
        }

    def _way(self, url: str) -> Any:
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        port = parts.port or (443 if secure else 80)
        scheme = "https" if secure else "http"
        return self._dialler.endpoint(
            parts.hostname or "", port, tls=secure, scheme=scheme
        )

    def _hear(self, message: Message) -> None:
        stay = self._stay
        if stay is None:
            return
        if message.type == Type.SIGNAL:
            stay.mesh.receive(str(message.value["from"]), message.value["data"])
            return
        match stay.view.hear(message):
            case "room":
                if not self.relays.reports:
                    self._tasks.start(self._probe(stay))
                me = stay.view.me
                assert me is not None
                stay.mesh.live(me, stay.view.callable)
                self._tell_state(stay)
            case "join":
                person = str(message.value["data"]["id"])
                if person in stay.view.callable:
                    stay.mesh.joined(person)
            case "leave":
                stay.mesh.left(str(message.value["data"]["id"]))
        self._look(stay)

    def _signal(self, person: str, signal: CallSignal) -> bool:
        stay = self._stay
        if stay is None or stay.client.state != "live":
            return False
        stay.client.session.signal(person, write_signal(signal))
        stay.client.flush()
        return True

    def _call_changed(self, person: str) -> None:
        stay = self._stay
        if stay is not None and (call := stay.mesh.calls.get(person)):
            stay.reception.take(person, call.incoming)
            if call.connected and call.path == "relay":
                self._problem = None
            self._look(stay)

    def _no_relay(self, error: NoRelay) -> None:
        self._problem = f"no relay: {error}"
        if self._stay is not None:
            self._look(self._stay)

    def _follow(self, stay: _Stay) -> None:
        """Look whenever the client's state is another."""

        def look(_: object) -> None:
            if self._stay is stay:
                stay.last_state = stay.client.state
                if stay.client.state != "live":
                    stay.mesh.offline()
                self._look(stay)
                self._follow(stay)

        stay.client.until(lambda: stay.client.state != stay.last_state).addCallback(
            look
        )

    def _look(self, stay: _Stay) -> None:
        """Tell how it goes, if that is news."""
        if self._stay is not stay:
            return
        problem, state = self._problem, stay.client.state
        if state == "live":
            seated = "presenting" if self._screen else "live"
            seated = "joining" if stay.view.waiting else seated
        elif stay.client.ended is not None:
            code, reason = stay.client.ended
            seated = "out" if code in OUT else "ended"
            problem = f"the meeting ended ({code} {reason})".replace(" )", ")")
        else:
            seated = "offline" if stay.view.me else "joining"
            problem = stay.client.problem or problem
        seat = Seat(state=seated, problem=problem)
        if seat != self._seat:
            self._seat = seat
            self._told(seat)

    async def _servers(self) -> Servers:
        """The servers for one call: a login of its own, as browsers ask for it."""
        stay = self._inside()
        parts = urlsplit(stay.room.url)
        scheme = "https" if parts.scheme == "wss" else "http"
        url = f"{scheme}://{parts.netloc}/api/v1/turn-credentials"
        login: dict[bytes | str, bytes | str] = {
            "Authorization": f"Bearer {stay.room.token}"
        }
        try:
            found = await Deferred.fromCoroutine(self._ask(url, login)).asFuture(
                asyncio.get_running_loop()
            )
        except Exception as error:
            _log.warn("no relay credentials of {url}: {error!r}", url=url, error=error)
            return stay.given
        if found is None:
            return stay.given
        if self.nearest is None:
            ping = pings_by(self._dialler, f"{scheme}://{parts.netloc}")
            self.nearest = NearestRegion(ping, self._reactor.seconds)
        return await self.nearest.servers(found)

    async def _probe(self, stay: _Stay) -> None:
        """Try every way to a relay, so that the calls need not, and trouble is told."""
        servers = await self._servers()
        reports = await self.relays.probe(servers.relays)
        failures = [report.failure for report in reports if report.failure]
        if self._stay is stay and len(failures) == len(reports):
            self._no_relay(NoRelay(failures))

    async def _ask(
        self, url: str, headers: dict[bytes | str, bytes | str]
    ) -> TurnAnswer | None:
        client = http_client(self._dialler)
        answer = await client.post(url, headers=headers, data=b"", timeout=10)
        content = await answer.content()
        if answer.code != 200:
            return None
        return msgspec.json.decode(content, type=TurnAnswer)

    async def _hang_up(self, stay: _Stay) -> None:
        await stay.reception.stop()
        try:
            await asyncio.wait_for(stay.mesh.close(), LEAVE_S)
            await asyncio.wait_for(self._tasks.settled(), LEAVE_S)
        except TimeoutError:
            self._tasks.cancel()

# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""Makes the agent's objects: the only place that knows all of them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as replace_field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from mosaic.hub.agent import HubAgent, Parts
from mosaic.hub.announce import Announcement
from mosaic.hub.calendar.reading import reading_in_a_process
from mosaic.hub.calendar.source import CalendarSource
from mosaic.hub.calendar.watch import CalendarWatch
from mosaic.hub.calls import Calls
from mosaic.hub.commands import HubCommands
from mosaic.hub.keys import KeyRefused, load_or_make_key
from mosaic.hub.kiosk.screens import Screens
from mosaic.hub.kiosk.ways import Ways
from mosaic.hub.local.owner import LocalOwner
from mosaic.hub.local.site import LocalPage
from mosaic.hub.loglines import LogLines
from mosaic.hub.machine import HubMachine
from mosaic.hub.memory import Memory, MemoryFile, write_durably
from mosaic.hub.options import HubOptions, OptionError
from mosaic.hub.participant import Participant, Seat
from mosaic.hub.presence import HubPresence
from mosaic.hub.proxylogin import ProxyLogins
from mosaic.hub.seat import DrcpParticipant
from mosaic.hub.server import Server, XmppLogin
from mosaic.hub.sitting import HeadlessSitter, Sitter
from mosaic.hub.sound import Sound
from mosaic.hub.updating import NoUpdates
from mosaic.hub.withnetwork import network_for
from mosaic.hub.withupdates import connect_updates, updates_for
from mosaic.hub.words import EntryBegins
from mosaic.proxy.client import Dialler, http_client
from mosaic.proxy.discover import routes_for
from mosaic.proxy.endpoint import Patience
from mosaic.proxy.logins import LoginFileError, Logins, read_logins
from mosaic.proxy.routes import ProxyTextError
from mosaic.proxy.trust import authorities_in, platform_and

if TYPE_CHECKING:
    from mosaic.hub.updates.updates import HubUpdates

_log = Logger()

LOCAL_FILE = "local-page"
"""Holds the address of the local page, for whoever may read the state folder."""


@dataclass(slots=True, kw_only=True)
class Hub:
    """The agent with what runs beside it. listening: the local page's port."""

    agent: HubAgent
    options: HubOptions
    updates: HubUpdates | NoUpdates
    page: LocalPage
    screens: Screens | None
    ways: Ways
    calendar: CalendarWatch
    announcement: Announcement | None
    reactor: Any
    listening: Any = None

    async def start(self) -> None:
        """All of it. Raises OptionError where the local page has no port."""
        try:
            self.listening = self.page.listen(self.reactor, self.options.local_port)
        except CannotListenError as error:
            raise OptionError(f"--local-port: {error}") from error
        # Who has the key may change the proxy login: it is not for the log.
        write_durably(self.options.state / LOCAL_FILE, f"{self.page.url}/\n".encode())
        _log.info(
            "local page on port {port}, its address in {file}",
            port=self.page.port,
            file=str(self.options.state / LOCAL_FILE),
        )
        self.agent.start()
        self.updates.start()
        self.calendar.start()
        if self.announcement is not None:
            self.announcement.start()
        if self.screens is not None:
            await self.ways.start()
            self.screens.start()

    async def stop(self) -> None:
        """All of it."""
        self.updates.stop()
        self.calendar.stop()
        await self.agent.stop()
        if self.announcement is not None:
            await self.announcement.stop()
        if self.screens is not None:
            await self.screens.stop()
            await self.ways.stop()
        if self.listening is not None:
            await self.listening.stopListening()


def build_hub(
    reactor: Any,
    options: HubOptions,
    *,
    log: LogLines,
    ended: Callable[[bool], None],
) -> Hub:
    """Everything for one hub. Raises OptionError, one line."""
    _make_folder(options)
    memory, file = _memory(options)
    try:
        key = load_or_make_key(options.state)
        logins = ProxyLogins(options.state, options.proxy_login)
        trust = trust_of(options.ca)
        calendar_logins = (
            read_logins(options.calendar_login) if options.calendar_login else Logins()
        )
        routes = routes_for(options.proxy, reactor=reactor, logins=logins, trust=trust)
    except (KeyRefused, LoginFileError, ProxyTextError) as error:
        raise OptionError(str(error)) from error
    dialler = Dialler(
        reactor=reactor,
        routes=routes,
        logins=logins,
        trust=trust,
        patience=Patience(connect_s=8.0),
    )
    server = Server(
        Calls(reactor, http_client(dialler, keep=True), options.server),
        options.server,
        key,
        wall=time.time,
        monotonic=reactor.seconds,
    )
    updates = updates_for(reactor, dialler, options, key)

    made: list[Screens] = []

    def pinned() -> None:
        for screens in made:
            Deferred.fromCoroutine(screens.start_anew())

    ways = Ways(
        dialler,
        options.server,
        state=options.state,
        private=options.ca is not None,
        changed=pinned,
    )

    def sit(told: Callable[[str, Seat], None]) -> Sitter:
        if options.kiosk:
            made.append(
                Screens(
                    reactor,
                    options,
                    local=lambda: page.url,
                    ways=ways,
                    told=told,
                    random=random.random,
                    changed=lambda: agent.report(),
                )
            )
            return made[0]

        def participant(say: Callable[[Seat], None]) -> Participant:
            return make_participant(reactor, dialler, say, options)

        return HeadlessSitter(reactor, server, participant, told)

    def commands(agent: HubAgent) -> HubCommands:
        return HubCommands(
            server,
            updates,
            state=options.state,
            log=log.text,
            screenshot=made[0].screenshot if made else None,
            clear_screens=made[0].clear if made else None,
            network=agent.network,
        )

    def presence(agent: HubAgent) -> HubPresence:
        async def login(refused: bool) -> XmppLogin | None:
            if refused:
                server.forget_token()
            hub_id = agent.machine.memory.hub_id
            return None if hub_id is None else await server.xmpp_login(hub_id)

        return HubPresence(
            reactor,
            dialler,
            options.server,
            login,
            poked=agent.look,
            random=random.random,
        )

    def begins(key: str, room: str) -> None:
        if options.join_calendar:
            agent.hear(EntryBegins(key, room))

    # Calendars stand elsewhere, with certificates that the whole world knows.
    abroad = replace_field(dialler, trust=platform_and(trust))
    calendar = CalendarWatch(
        reactor,
        CalendarSource(http_client(abroad), logins=calendar_logins, wall=time.time),
        reading_in_a_process(reactor),
        server=options.server,
        wall=time.time,
        begins=begins,
        changed=lambda: agent.report(),
    )

    parts = Parts(
        server=server,
        memory=file,
        sit=sit,
        commands=commands,
        presence=presence,
        updates=updates,
        network=lambda agent: network_for(reactor, dialler, options, server, agent),
        show=Sound(reactor).show,
        screens=lambda: made[0].describe() if made else [],
        calendar=calendar.as_reported,
        problem=lambda: calendar.problem or (made[0].problem if made else None),
        calendar_url=lambda url: calendar.watch(url or options.calendar),
        proxy=routes.describe,
        reached=ways.learn if options.kiosk else None,
    )
    agent = HubAgent(
        reactor,
        HubMachine(memory, random=random.random),
        parts,
        code=options.code,
        name=options.name,
        random=random.random,
        ended=ended,
    )
    connect_updates(updates, agent, ended)
    screens = made[0] if made else None
    owner = LocalOwner(
        agent,
        options.server,
        logins,
        screens=len(options.screens) if options.kiosk else 0,
        screen_shows=screens.screen_shows if screens else None,
        ready=lambda: ways.ready or not options.kiosk,
    )
    page = LocalPage(owner, options.server)
    return Hub(
        agent=agent,
        options=options,
        updates=updates,
        page=page,
        screens=screens,
        ways=ways,
        calendar=calendar,
        announcement=_announcement(reactor, options, owner),
        reactor=reactor,
    )


def make_participant(
    reactor: Any,
    dialler: Dialler,
    told: Callable[[Seat], None],
    options: HubOptions,
) -> Participant:
    """With media where that is installed, else a silent seat. Raises OptionError
    for a file that cannot be sent, or media that are asked for and not there."""
    try:
        media = import_module("mosaic.hub.media")
    except ImportError as error:
        if options.send or options.record:
            raise OptionError(
                f"--send and --record want the extra hub: {error}"
            ) from None
        _log.info("no media: {why}", why=str(error))
        return DrcpParticipant(reactor, dialler, told)
    try:
        chosen = media.options_for(send=options.send, record=options.record)
    except (OSError, ValueError) as error:
        raise OptionError(f"--send or --record: {error}") from error
    made: Participant = media.participant(reactor, dialler, told, chosen)
    return made


def _announcement(
    reactor: Any, options: HubOptions, owner: LocalOwner
) -> Announcement | None:
    if not options.announce:
        return None
    port = urlsplit(options.server).port or 443
    return Announcement(reactor, owner.wall, port)


def _make_folder(options: HubOptions) -> None:
    try:
        options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(options.state, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise OptionError(f"--state {options.state}: {error.strerror}") from error


def _memory(options: HubOptions) -> tuple[Memory, MemoryFile]:
    """What is remembered, of this server: at another one the hub is new."""
    file = MemoryFile(options.state)
    try:
        memory, problem = file.load()
        if problem is not None:
            _log.error("{problem}", problem=problem)
        if memory.server and memory.server != options.server:
            _log.warn(
                "this hub was at {old}; at {new} it begins anew",
                old=memory.server,
                new=options.server,
            )
            memory = Memory(slot=memory.slot)
        memory = replace(memory, server=options.server)
        file.save(memory)
    except OSError as error:
        raise OptionError(f"{file.path}: {error.strerror}") from error
    return memory, file


def trust_of(path: Path | None) -> Any:
    """--ca, or the system's. Raises OptionError."""
    if path is None:
        return None
    try:
        return authorities_in(path.read_bytes())
    except OSError as error:
        raise OptionError(f"--ca {path}: {error.strerror}") from error
    except ValueError as error:
        raise OptionError(f"--ca {path} {error}") from error

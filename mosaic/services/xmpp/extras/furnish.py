"""Puts the extras together: what they answer, and at which addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mosaic.auth.interface import Door
from mosaic.auth.uploads import UploadDesk
from mosaic.config.settings import Xmpp
from mosaic.services.xmpp.answers import Answers
from mosaic.services.xmpp.exchange import Exchange
from mosaic.services.xmpp.extras.administration import Administration
from mosaic.services.xmpp.extras.asked import Known, Registry
from mosaic.services.xmpp.extras.commands import Commands
from mosaic.services.xmpp.extras.desk import Desk
from mosaic.services.xmpp.extras.disco import Identity
from mosaic.services.xmpp.extras.facts import (
    NAME,
    ServerFacts,
    contact_form,
    software_form,
)
from mosaic.services.xmpp.extras.profiles import Profiles
from mosaic.services.xmpp.extras.seen import LastSeen
from mosaic.services.xmpp.extras.services import ExternalServices
from mosaic.services.xmpp.extras.surroundings import Surroundings
from mosaic.services.xmpp.extras.upload import UploadSlots
from mosaic.services.xmpp.presence import Presence
from mosaic.store.interface import Store


@dataclass(slots=True, kw_only=True)
class Extras:
    """What the server offers beside talking.

    is_account: whether a local part is an account of this domain. new_id:
    unguessable text.
    """

    exchange: Exchange
    answers: Answers
    door: Door
    store: Store
    settings: Xmpp
    around: Surroundings
    presence: Presence
    is_account: Callable[[str], Awaitable[bool]]
    new_id: Callable[[], str]
    facts: ServerFacts = field(init=False)
    seen: LastSeen = field(init=False)
    known: Known = field(init=False)
    services: ExternalServices = field(init=False)
    uploads: UploadSlots = field(init=False)
    profiles: Profiles = field(init=False)
    commands: Commands = field(init=False)

    def __post_init__(self) -> None:
        self.facts = ServerFacts(self.around.wall, started_at=self.around.wall())
        self.seen = LastSeen(
            self.exchange, self.store, facts=self.facts, may_see=self._may_see
        )
        self.known = Known(frozenset({self.exchange.domain}))
        self.services = ExternalServices(
            self.door, self.known, host=self.around.public_host, wall=self.around.wall
        )
        links = UploadDesk(
            self.store,
            wall=self.around.wall,
            web=self.around.web,
            max_bytes=self.around.max_upload_bytes,
            bytes_per_day=self.settings.upload_bytes_per_day,
            slot_s=self.settings.upload_slot_s,
        )
        self.uploads = UploadSlots(links, self.known)
        self.profiles = Profiles(
            self.store,
            self.exchange,
            self.presence,
            web=self.around.web,
            max_picture_bytes=self.settings.avatar_max_bytes,
        )
        self.commands = Commands(
            self.store, self.known, wall=self.around.wall, new_id=self.new_id
        )
        Administration(
            self.door,
            self.store,
            self.exchange,
            self.known,
            self.facts,
            new_id=self.new_id,
        ).offer(self.commands)
        self._for_the_domain()

    def _for_the_domain(self) -> None:
        self._for_everybody(self.answers)
        self.seen.register(self.answers)
        self.profiles.register(self.answers)
        self.answers.describe(software_form())
        contacts = contact_form(self.settings.contact_addresses)
        if contacts is not None:
            self.answers.describe(contacts)

    def _for_everybody(self, registry: Registry) -> None:
        """What the domain and Mosaic's own component answer alike."""
        self.facts.register(registry)
        self.services.register(registry)
        self.commands.register(registry)

    def desks(self, mosaic: str, base: str) -> list[Desk]:
        """Our components. mosaic: the address of Mosaic itself; base: what the
        others' addresses end in."""
        return [self._mosaic_desk(mosaic), self.uploads.desk(f"upload.{base}")]

    def _mosaic_desk(self, host: str) -> Desk:
        """Mosaic itself as a component."""
        desk = Desk(host, Identity("component", "generic", NAME))
        self._for_everybody(desk)
        desk.forms.append(software_form())
        return desk

    async def _may_see(self, asker: str, account: str) -> bool:
        """In one organisation everybody with an account sees everybody."""
        return await self.is_account(account)

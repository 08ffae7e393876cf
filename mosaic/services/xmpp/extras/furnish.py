"""Puts the extras together: what they answer, and at which addresses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.interfaces import IReactorTime

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
from mosaic.services.xmpp.extras.outlet import Parent
from mosaic.services.xmpp.extras.profiles import Profiles, Say
from mosaic.services.xmpp.extras.seen import LastSeen, MaySee
from mosaic.services.xmpp.extras.services import ExternalServices
from mosaic.services.xmpp.extras.surroundings import Surroundings
from mosaic.services.xmpp.extras.upload import UploadSlots
from mosaic.store.interface import Store


@dataclass(slots=True, kw_only=True)
class Extras:
    """What the server offers beside talking.

    may_see: whether an account sees another's presence. say_presence: says it
    again for a session. new_id: unguessable text.
    """

    clock: IReactorTime
    exchange: Exchange
    answers: Answers
    door: Door
    store: Store
    settings: Xmpp
    around: Surroundings
    may_see: MaySee
    say_presence: Say
    new_id: Callable[[], str]
    facts: ServerFacts = field(init=False)
    seen: LastSeen = field(init=False)
    profiles: Profiles = field(init=False)

    def __post_init__(self) -> None:
        self.facts = ServerFacts(self.around.wall, started_at=self.around.wall())
        self.seen = LastSeen(
            self.clock,
            self.exchange,
            self.store,
            facts=self.facts,
            may_see=self.may_see,
        )
        self.profiles = Profiles(
            self.store,
            self.exchange,
            self.say_presence,
            web=self.around.web,
            max_picture_bytes=self.settings.avatar_max_bytes,
        )
        self._answer_for_the_domain()

    def _answer_for_the_domain(self) -> None:
        self._answer(self.answers, Known(frozenset({self.exchange.domain})))
        self.seen.register(self.answers)
        self.profiles.register(self.answers)
        self.answers.describe(software_form())
        contacts = contact_form(self.settings.contact_addresses)
        if contacts is not None:
            self.answers.describe(contacts)

    def _answer(self, registry: Registry, known: Known) -> None:
        """What the domain and Mosaic's own component answer alike."""
        around = self.around
        self.facts.register(registry)
        ExternalServices(
            self.door, known, host=around.public_host, wall=around.wall
        ).register(registry)
        commands = Commands(self.store, known, wall=around.wall, new_id=self.new_id)
        Administration(
            self.door,
            self.store,
            self.exchange,
            known,
            self.facts,
            new_id=self.new_id,
        ).offer(commands)
        commands.register(registry)

    def hang_under(
        self, parent: Parent, *, accounts: str, mosaic: str, base: str
    ) -> list[Desk]:
        """Host our components at a parent.

        accounts: the domain whose users the parent vouches for, "" for none.
        mosaic: the address of Mosaic itself. base: what others' end in.
        """
        known = Known(frozenset({accounts} if accounts else ()))
        desk = Desk(mosaic, Identity("component", "generic", NAME))
        self._answer(desk, known)
        desk.forms.append(software_form())
        links = UploadDesk(
            self.store,
            wall=self.around.wall,
            web=self.around.web,
            max_bytes=self.around.max_upload_bytes,
            bytes_per_day=self.settings.upload_bytes_per_day,
            slot_s=self.settings.upload_slot_s,
        )
        uploads = UploadSlots(links, known).desk(f"upload.{base}")
        desks = [desk, uploads]
        for one in desks:
            one.outlet = parent.host(one.host, one.receive)
        return desks

    def desk_for_strangers(self) -> Desk:
        """What others' components may ask of the domain itself."""
        desk = Desk(self.exchange.domain, Identity("server", "im", NAME))
        self.facts.register(desk)
        return desk

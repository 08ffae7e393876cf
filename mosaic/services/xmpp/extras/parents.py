"""All that our components hang under, and that hangs under us: started and
stopped together."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorTime

from mosaic.config.errors import ConfigError
from mosaic.config.settings import Xmpp
from mosaic.config.xmpp import read_secret
from mosaic.services.xmpp.exchange import Exchange
from mosaic.services.xmpp.extras.disco import Item
from mosaic.services.xmpp.extras.furnish import Extras
from mosaic.services.xmpp.extras.listener import (
    ComponentFactory,
    ComponentHosts,
    HostsOutlet,
)
from mosaic.services.xmpp.extras.outlet import Outlet, Receive


class Parents:
    """inside: this process's own. outside: another server, or None. hosts: for
    the components of others, or None.

    Raises ConfigError for a secret that cannot be read.
    """

    def __init__(
        self,
        clock: IReactorTime,
        exchange: Exchange,
        extras: Extras,
        settings: Xmpp,
    ) -> None:
        # Wokkel's component module chooses the reactor when it is imported.
        from mosaic.services.xmpp.extras.inside import InsideParent
        from mosaic.services.xmpp.extras.outside import OutsideParent

        self._settings = settings
        self._listen = extras.around.listen
        self._port: Any = None
        self._below: list[Item] = []
        domain = exchange.domain
        self.inside = InsideParent(exchange)
        for desk in extras.hang_under(
            self.inside, accounts=domain, mosaic=f"mosaic.{domain}", base=domain
        ):
            extras.answers.name_host(desk.host, desk.identity.name)
        self.outside: OutsideParent | None = None
        if settings.component:
            self.outside = OutsideParent(
                clock,
                extras.around.connect(settings.component),
                secret=read_secret(
                    "xmpp.component_secret_file", settings.component_secret_file
                ),
            )
            base = settings.component_domain
            accounts = settings.component_accounts
            desks = extras.hang_under(
                self.outside, accounts=accounts, mosaic=base, base=base
            )
            self._below = [Item(one.host, one.identity.name) for one in desks[1:]]
            desks[0].list_below(lambda: self._below)
        self.hosts = self._make_hosts(clock, exchange, extras)

    def hang_outside(self, host: str, name: str, receive: Receive) -> Outlet:
        """Host one more component under the other server, which there must be;
        before start(). name: what service discovery calls it."""
        assert self.outside is not None
        self._below.append(Item(host, name))
        return self.outside.host(host, receive)

    def _make_hosts(
        self, clock: IReactorTime, exchange: Exchange, extras: Extras
    ) -> ComponentHosts | None:
        if not self._settings.components_listen:
            return None
        about_us = extras.desk_for_strangers()
        hosts = ComponentHosts(
            exchange,
            clock,
            secrets={
                one.domain: read_secret(
                    f"xmpp.components[{at}].secret_file", one.secret_file
                )
                for at, one in enumerate(self._settings.components)
            },
            about_us=about_us.receive,
            new_id=extras.new_id,
            max_stanza_bytes=self._settings.max_stanza_bytes,
            handshake_timeout_s=self._settings.auth_timeout_s,
        )
        about_us.outlet = HostsOutlet(hosts)
        return hosts

    async def start(self) -> None:
        """Connect and listen. Raises ConfigError."""
        self.inside.start()
        if self.outside is not None:
            self.outside.start()
        if self.hosts is not None:
            text = self._settings.components_listen
            try:
                listening = self._listen(text).listen(ComponentFactory(self.hosts))
                self._port = await cast("Deferred[Any]", listening)
            except Exception as error:
                why = f"{text!r} cannot be opened: {error}"
                raise ConfigError("xmpp.components_listen", why) from error

    def stop(self) -> Deferred[None]:
        """Part; fires when every stream is closed."""
        port, self._port = self._port, None
        ends: list[Deferred[Any]] = []
        if port is not None:
            ends.append(maybeDeferred(port.stopListening))
        if self.hosts is not None:
            ends.append(self.hosts.close_all())
        if self.outside is not None:
            ends.append(self.outside.stop())
        self.inside.stop()
        return DeferredList(ends).addCallback(lambda _: None)

"""When somebody was last here (XEP-0012), kept over restarts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mosaic.services.xmpp.answers import About, Answers, Question
from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.extras.facts import NS_LAST, ServerFacts
from mosaic.services.xmpp.session import Session
from mosaic.store.belongings import Belongings
from mosaic.wire.xmpp.xml import element

_log = Logger()

MaySee = Callable[[str, str], Awaitable[bool]]
"""Whether an account (first) sees another's presence (second)."""


WRITE_EVERY_S = 5.0
"""A commit for each who leaves would cost as much as a login."""


class LastSeen:
    """Notes the end of each account's last session, and tells of it.

    What is not written yet is told all the same; a crash forgets it.
    """

    def __init__(
        self,
        clock: IReactorTime,
        exchange: Exchange,
        store: Belongings,
        *,
        facts: ServerFacts,
        may_see: MaySee,
    ) -> None:
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self._exchange = exchange
        self._store = store
        self._facts = facts
        self._may_see = may_see
        self._writing: set[Deferred[None]] = set()
        self._unwritten: dict[str, float] = {}
        exchange.on_unbind.append(self._left)

    def register(self, answers: Answers) -> None:
        """The domain's uptime, one's own and one's contacts' last presence."""
        about = About.DOMAIN | About.ACCOUNT
        answers.add("get", NS_LAST, "query", self._last, about)

    def written(self) -> Deferred[object]:
        """Fires when all that was noted is in the store, or failed."""
        if self._timer is not None:
            self._timer.cancel()
            self._write()
        return DeferredList(list(self._writing)).addCallback(lambda _: None)

    def _left(self, session: Session) -> None:
        account = session.jid.local
        if self._exchange.of_account(account):
            return
        self._unwritten[account] = self._facts.wall()
        if self._timer is None:
            self._timer = self._clock.callLater(WRITE_EVERY_S, self._write)

    def _write(self) -> None:
        self._timer = None
        seen = dict(self._unwritten)
        writing = self._store.note_seen(seen)
        self._writing.add(writing)

        def failed(failure: object) -> None:
            _log.warn("when an account was last seen is not saved: {why}", why=failure)

        def done(_: object) -> None:
            self._writing.discard(writing)
            for account, at in seen.items():
                if self._unwritten.get(account) == at:
                    del self._unwritten[account]

        writing.addErrback(failed)
        writing.addCallback(done)

    async def _last(self, question: Question) -> str:
        if question.about is About.DOMAIN:
            return self._facts.uptime()
        account = question.account
        if question.about is About.OTHER and not await self._may_see(
            question.session.jid.local, account
        ):
            raise Undeliverable("forbidden")  # also for names that nobody has
        seconds = 0
        if not self._exchange.available(account):
            at = self._unwritten.get(account)
            if at is None:
                at = await self._store.last_seen(account)
            if at is None:
                raise Undeliverable("item-not-found")
            seconds = max(0, int(self._facts.wall() - at))
        return element("query", {"seconds": str(seconds)}, ns=NS_LAST)

"""The roster (RFC 6121 section 2): generated from the organisation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from mosaic.services.xmpp.answers import About, Answers, Question
from mosaic.wire.xmpp.xml import element

NS_ROSTER = "jabber:iq:roster"


class Roster:
    """Everybody with an account is a contact of everybody.

    account_names: every account of the domain.
    """

    def __init__(
        self, domain: str, account_names: Callable[[], Awaitable[Iterable[str]]]
    ) -> None:
        self._domain = domain
        self._account_names = account_names

    def register(self, answers: Answers) -> None:
        """Answer what clients ask about it."""
        answers.add("get", NS_ROSTER, "query", self._get, About.OWN, feature=None)

    async def _get(self, question: Question) -> str:
        """RFC 6121 section 2.1.3: the organisation, without oneself."""
        items = (
            element(
                "item",
                {
                    "jid": f"{name}@{self._domain}",
                    "name": name,
                    "subscription": "both",
                },
            )
            for name in sorted(await self._account_names())
            if name != question.account
        )
        return element("query", None, *items, ns=NS_ROSTER)

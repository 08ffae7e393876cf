"""Profiles of people: vCards and pictures (XEP-0054, 0153, 0084, 0398).

A picture is told by its hash in presence, and fetched over HTTP, once, by
whoever does not have it: nobody needs a vCard for it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

from mosaic.services.xmpp.about import About
from mosaic.services.xmpp.answers import Answers, Question
from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.extras.vcards import (
    MAX_VCARD_BYTES,
    NS_TEMP,
    VcardError,
    make_avatar,
    read_vcard,
    vcard_temp,
)
from mosaic.services.xmpp.session import Session
from mosaic.store.belongings import Avatar, Belongings, Profile
from mosaic.store.interface import NotFound
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import NS_STREAM, StreamParser
from mosaic.wire.xmpp.xml import Xml, element

NS_UPDATE = "vcard-temp:x:update"
NS_METADATA = "urn:xmpp:avatar:metadata"
NS_AVATAR_DATA = "urn:xmpp:avatar:data"
AVATARS_PATH = "/api/v1/avatars"
"""Where REST serves pictures: `…/<sha1>`."""

_OURS = re.compile(
    rb'<x xmlns="vcard-temp:x:update"><photo(?:/>|>[0-9a-f]{40}</photo>)</x>'
)


Kept = Callable[[str, Profile, bool], Awaitable[None]]
"""Account, what it tells now, and whether the picture has changed."""
Say = Callable[[Session, Stanza, Jid | None], Awaitable[None]]
"""The way of a session's presence."""


class Profiles:
    """What people tell of themselves.

    say_presence: says it again for a session. web: where the web side is.
    on_kept: told of each vCard that somebody sets, and whether the picture is
    another, for whatever publishes it elsewhere; what comes from there goes to
    picture_published() and card_published().
    """

    def __init__(
        self,
        store: Belongings,
        exchange: Exchange,
        say_presence: Say,
        *,
        web: Callable[[], str],
        max_picture_bytes: int,
    ) -> None:
        self._store = store
        self._exchange = exchange
        self._say_presence = say_presence
        self._web = web
        self._max = max_picture_bytes
        self._hashes: dict[str, str] = {}
        self.on_kept: list[Kept] = []

    def register(self, answers: Answers) -> None:
        """Anybody's may be read, one's own be set (XEP-0054 section 3)."""
        answers.add("get", NS_TEMP, "vCard", self._get, About.ACCOUNT, feature=None)
        answers.add("set", NS_TEMP, "vCard", self._set, About.OWN, feature=None)
        answers.announce(NS_TEMP, About.DOMAIN | About.ACCOUNT)

    async def load(self) -> None:
        """Learn whose picture has which hash, for presence."""
        self._hashes = await self._store.avatar_hashes()

    def forget(self, account: str) -> None:
        """The account was removed."""
        self._hashes.pop(account, None)

    # vCards.

    async def _get(self, question: Question) -> str:
        """Unknown accounts look like those that told nothing."""
        profile = await self._store.profile(question.account)
        own = question.about is About.OWN
        if profile == Profile() and not own:
            raise Undeliverable("item-not-found")
        return vcard_temp(profile)

    async def _set(self, question: Question) -> str:
        try:
            profile = read_vcard(question.payload, max_picture_bytes=self._max)
        except VcardError as error:
            raise Undeliverable("not-acceptable", text=str(error)) from error
        await self._keep(question.account, profile)
        return ""

    # Pictures.

    async def picture_published(self, account: str, data: bytes | None) -> None:
        """A picture that came another way (XEP-0084), None for none any more.

        Raises VcardError, NotFound.
        """
        picture = data and make_avatar(data, max_bytes=self._max)
        profile = await self._store.profile(account)
        await self._keep(account, replace(profile, avatar=picture or None), tell=False)

    async def card_published(self, account: str, vcard: str) -> None:
        """Another card by another way; children as Profile.vcard has them.

        Raises VcardError, Undeliverable.
        """
        if len(vcard.encode()) > MAX_VCARD_BYTES:
            raise VcardError(f"a vCard has at most {MAX_VCARD_BYTES} bytes")
        profile = await self._store.profile(account)
        await self._keep(account, replace(profile, vcard=vcard), tell=False)

    async def _keep(self, account: str, profile: Profile, *, tell: bool = True) -> None:
        try:
            await self._store.set_profile(account, profile)
        except NotFound as error:
            raise Undeliverable("forbidden") from error
        before, after = self._hashes.get(account), profile.avatar
        changed = before != (after and after.sha1)
        for told in self.on_kept if tell else ():
            await told(account, profile, changed)
        if not changed:
            return
        if after is None:
            self.forget(account)
        else:
            self._hashes[account] = after.sha1
        for session in self._exchange.of_account(account):
            await self._say_again(session)

    def url(self, sha1: str) -> str:
        """Where the picture of that hash is."""
        return f"{self._web()}{AVATARS_PATH}/{sha1}"

    def metadata(self, avatar: Avatar | None) -> Xml:
        """What XEP-0084 publishes of a picture: that it is in the data node, and
        where it is over HTTP."""
        if avatar is None:
            return element("metadata", ns=NS_METADATA)
        facts = {
            "id": avatar.sha1,
            "bytes": str(len(avatar.data)),
            "type": avatar.media_type,
        }
        by_url = facts | {"url": self.url(avatar.sha1)}
        infos = (element("info", facts), element("info", by_url))
        return element("metadata", None, *infos, ns=NS_METADATA)

    # Presence.

    def mark(self, session: Session, stanza: Stanza) -> Stanza:
        """Presence with the hash of the picture in it (XEP-0398 section 4).

        Left alone: clients that tell a hash themselves, people without one.
        """
        sha1 = self._hashes.get(session.jid.local)
        if sha1 is None or stanza.type or NS_UPDATE.encode() in stanza.raw:
            return stanza
        return replace(
            stanza,
            raw=_with(stanza.raw, _update(sha1)),
            payload=stanza.payload or (NS_UPDATE, "x"),
        )

    async def _say_again(self, session: Session) -> None:
        """XEP-0398 section 4: those who see somebody learn of the change."""
        if session.presence is None:
            return
        sha1 = self._hashes.get(session.jid.local)
        before = _OURS.sub(b"", session.presence)
        if NS_UPDATE.encode() in before:
            return  # the client does it itself
        await self._say_presence(session, _cut(_with(before, _update(sha1))), None)


def _update(sha1: str | None) -> bytes:
    """Section 4.1 of XEP-0153; an empty `<photo/>` says that there is none."""
    photo = element("photo", None, sha1 or "")
    return element("x", None, photo, ns=NS_UPDATE).encode()


def _with(raw: bytes, child: bytes) -> bytes:
    """A stanza's bytes with one more child at the end."""
    if raw.endswith(b"/>"):
        name = re.split(rb"[\s/>]", raw[1:], maxsplit=1)[0]
        return b"%b>%b</%b>" % (raw[:-2], child, name)
    end = raw.rindex(b"</")
    return raw[:end] + child + raw[end:]


def _cut(raw: bytes) -> Stanza:
    """A stanza of ours, as the stream parser gives it."""
    parser = StreamParser(max_stanza_bytes=1 << 22)
    header = f"<stream:stream xmlns='jabber:client' xmlns:stream='{NS_STREAM}'>"
    found = parser.feed(header.encode() + raw)[-1]
    assert isinstance(found, Stanza)
    return found

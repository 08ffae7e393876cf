"""Pictures and cards are the same, whichever way a client tells them: by vCard
(XEP-0054) or by personal eventing (XEP-0084, XEP-0292), as XEP-0398 has it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from twisted.logger import Logger

from mosaic.services.xmpp.about import About
from mosaic.services.xmpp.answers import Answers
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.extras.profiles import (
    NS_AVATAR_DATA,
    NS_METADATA,
    Profiles,
)
from mosaic.services.xmpp.extras.vcards import (
    NS_TEMP,
    NS_VCARD4,
    VcardError,
    to_vcard4,
    to_vcard_temp,
    write_node,
)
from mosaic.store.belongings import Avatar, Profile
from mosaic.store.errors import StoreError
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.xml import Node, Xml, element, read_node

NODE_VCARD4 = "urn:xmpp:vcard4"
FEATURE = "urn:xmpp:pep-vcard-conversion:0"

_log = Logger()

Published = Callable[[str, str, str, bytes], Awaitable[None]]
"""Told of what an account published where others may read it: account, node, id
of the item, payload."""


class Publishing(Protocol):
    """The part of personal eventing that this needs."""

    on_publish: list[Published]

    async def publish_for(
        self, account: str, node: str, item_id: str, payload: bytes
    ) -> None:
        """In the account's name, without telling on_publish.

        Raises Undeliverable, StoreError.
        """

    async def payload_of(self, account: str, node: str, item_id: str) -> bytes | None:
        """What was published there, or None."""


class Conversion:
    """Carries changes over, both ways; what cannot be carried stays as it is."""

    def __init__(self, profiles: Profiles, pep: Publishing) -> None:
        self._profiles = profiles
        self._pep = pep
        profiles.on_kept.append(self._kept)
        pep.on_publish.append(self._published)

    def register(self, answers: Answers) -> None:
        """Tell clients that one way is enough."""
        answers.announce(FEATURE, About.ACCOUNT)

    # From personal eventing to the vCard.

    async def _published(
        self, account: str, node: str, item_id: str, payload: bytes
    ) -> None:
        if node not in (NS_METADATA, NODE_VCARD4):
            return
        try:
            told = _tree(payload)
            if node == NS_METADATA:
                await self._picture_told(account, told)
            elif (told.ns, told.name) == (NS_VCARD4, "vcard"):
                await self._card_told(account, told)
        except (VcardError, Undeliverable, StoreError) as error:
            # It is published all the same: a picture that we do not keep is
            # seen by those whose clients ask for it there.
            _log.info("a publication became no vCard: {why}", why=type(error).__name__)

    async def _picture_told(self, account: str, metadata: Node) -> None:
        """XEP-0398 section 3.1: the metadata is what counts; empty for none."""
        infos = [one for one in metadata.children if one.name == "info"]
        if not infos:
            await self._profiles.picture_published(account, None)
            return
        for info in infos:
            sha1 = info.attributes.get("id", "")
            data = await self._pep.payload_of(account, NS_AVATAR_DATA, sha1)
            picture = b"" if data is None else _picture(data)
            if picture and hashlib.sha1(picture).hexdigest() == sha1:  # noqa: S324 - as XEP-0084 names it
                await self._profiles.picture_published(account, picture)
                return

    async def _card_told(self, account: str, card: Node) -> None:
        kept = to_vcard_temp(card).children
        rest = Xml("".join(write_node(child, NS_TEMP) for child in kept))
        await self._profiles.card_published(account, rest)

    # From the vCard to personal eventing.

    async def _kept(
        self, account: str, profile: Profile, picture_changed: bool
    ) -> None:
        try:
            if picture_changed:
                await self._publish_picture(account, profile.avatar)
            await self._publish_card(account, profile)
        except (Undeliverable, StoreError) as error:
            _log.info("a vCard was not published: {why}", why=type(error).__name__)

    async def _publish_picture(self, account: str, avatar: Avatar | None) -> None:
        """The data before the metadata (XEP-0084 section 4.2)."""
        item = "none" if avatar is None else avatar.sha1
        if avatar is not None:
            text = base64.b64encode(avatar.data).decode()
            data = element("data", None, text, ns=NS_AVATAR_DATA)
            await self._pep.publish_for(account, NS_AVATAR_DATA, item, data.encode())
        metadata = self._profiles.metadata(avatar)
        await self._pep.publish_for(account, NS_METADATA, item, metadata.encode())

    async def _publish_card(self, account: str, profile: Profile) -> None:
        """XEP-0292 section 3.1, with the picture by its address."""
        inner = element("vCard", None, Xml(profile.vcard), ns=NS_TEMP)
        url = "" if profile.avatar is None else self._profiles.url(profile.avatar.sha1)
        card = write_node(to_vcard4(_tree(inner.encode()), url))
        await self._pep.publish_for(account, NODE_VCARD4, "current", card.encode())


def _tree(payload: bytes) -> Node:
    """Of one element that was checked when it came, or that is ours."""
    return read_node(Stanza(raw=payload, name="item", ns=NS_CLIENT))


def _picture(payload: bytes) -> bytes:
    """The bytes in a `<data/>`, b"" for none."""
    try:
        text = "".join(_tree(payload).text.split())
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""

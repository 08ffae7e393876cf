"""A request whose sender is known, and the answers that are signed for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import FiveTuple
from mosaic.wire.stun.attributes import Attribute, ErrorCode
from mosaic.wire.stun.message import Class, Message, encode, seal
from mosaic.wire.turn.events import Answer
from mosaic.wire.turn.refusals import Refusal


class Request(msgspec.Struct, frozen=True):
    """A request whose integrity holds, and the key that signs the answer."""

    message: Message
    five_tuple: FiveTuple
    now: float
    username: str
    key: bytes

    def success(self, attributes: Iterable[tuple[Attribute[Any], Any]] = ()) -> Answer:
        """A signed success response."""
        return self._answer(Class.SUCCESS, attributes)

    def error(self, refusal: Refusal) -> Answer:
        """A signed error response."""
        code = ErrorCode(refusal.code, str(refusal))
        return self._answer(
            Class.ERROR, [(stun.ERROR_CODE, code), *refusal.attributes()]
        )

    def success_of(self, body: bytes) -> Answer:
        """A signed success response of attributes that are packed already."""
        message = self.message
        data = seal(
            message.method,
            Class.SUCCESS,
            message.transaction,
            body,
            key=self.key,
            digest=message.digest or "sha1",
            fingerprint=message.fingerprint,
        )
        return Answer(self.five_tuple, data)

    def _answer(
        self, cls: Class, attributes: Iterable[tuple[Attribute[Any], Any]]
    ) -> Answer:
        message = self.message
        data = encode(
            message.method,
            cls,
            message.transaction,
            attributes,
            key=self.key,
            digest=message.digest or "sha1",
            fingerprint=message.fingerprint,
        )
        return Answer(self.five_tuple, data)

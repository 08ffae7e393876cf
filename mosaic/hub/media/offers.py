"""Later offers keep what was negotiated (RFC 8829 5.2.2, RFC 8285 section 6).

aiortc offers its own payload types and extension ids each time. A browser
refuses ids that change their meaning, and would send types that our receiver
was never told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy

from aiortc import RTCRtpTransceiver, RTCSessionDescription
from aiortc.rtcrtpparameters import (
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
)
from aiortc.sdp import SessionDescription

DYNAMIC = range(96, 128)
"""Payload types without a fixed meaning (RFC 3551)."""
SHORT_IDS = range(1, 15)
"""Of extensions with one-byte headers (RFC 8285 section 4.2)."""


def keep_negotiated(
    offer: RTCSessionDescription,
    transceivers: Sequence[RTCRtpTransceiver],
    negotiated: dict[
        str, tuple[list[RTCRtpCodecParameters], list[RTCRtpHeaderExtensionParameters]]
    ],
) -> RTCSessionDescription:
    """The offer with the types and ids of `negotiated` (by kind), the
    transceivers' own lists included; new kinds keep clear of them."""
    if not negotiated:
        return offer
    parsed = SessionDescription.parse(offer.sdp)
    by_line = {t._get_mline_index(): t for t in transceivers}
    for at, media in enumerate(parsed.media):
        transceiver = by_line.get(at)
        if media.kind not in ("audio", "video") or transceiver is None:
            continue
        if media.kind in negotiated:
            codecs, extensions = negotiated[media.kind]
        else:
            others = list(negotiated.values())
            codecs = clear_of(
                transceiver._codecs, (c for some, _ in others for c in some)
            )
            extensions = alike(
                transceiver._headerExtensions, (e for _, some in others for e in some)
            )
        transceiver._codecs = list(codecs)
        transceiver._headerExtensions = list(extensions)
        media.fmt = [codec.payloadType for codec in codecs]
        media.rtp.codecs = list(codecs)
        media.rtp.headerExtensions = list(extensions)
    return RTCSessionDescription(sdp=str(parsed), type=offer.type)


def clear_of(
    codecs: Iterable[RTCRtpCodecParameters], others: Iterable[RTCRtpCodecParameters]
) -> list[RTCRtpCodecParameters]:
    """The codecs with payload types that the others do not use."""
    taken = {int(other.payloadType or 0) for other in others}
    given: dict[int, int] = {}
    found = []
    for codec in deepcopy(list(codecs)):
        old = int(codec.payloadType or 0)
        if old in DYNAMIC:
            new = old if old not in taken else next(_free(DYNAMIC, taken))
            given[old] = codec.payloadType = new
            taken.add(new)
        found.append(codec)
    for codec in found:
        apt = codec.parameters.get("apt")
        if isinstance(apt, int):
            codec.parameters["apt"] = given.get(apt, apt)
    return found


def alike(
    extensions: Iterable[RTCRtpHeaderExtensionParameters],
    others: Iterable[RTCRtpHeaderExtensionParameters],
) -> list[RTCRtpHeaderExtensionParameters]:
    """The extensions with the ids that the others have for them, or free ones."""
    ids = {other.uri: other.id for other in others}
    taken = set(ids.values())
    found = []
    for extension in extensions:
        number = ids.get(extension.uri)
        if number is None:
            own = extension.id
            number = own if own not in taken else next(_free(SHORT_IDS, taken))
            taken.add(number)
        found.append(RTCRtpHeaderExtensionParameters(id=number, uri=extension.uri))
    return found


def _free(numbers: range, taken: set[int]) -> Iterator[int]:
    return (number for number in numbers if number not in taken)

"""HTTP file upload (XEP-0363): the component that gives out slots."""

from __future__ import annotations

from mosaic.auth.uploads import UploadDesk, UploadTooLarge
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.extras.asked import Asked, Known
from mosaic.services.xmpp.extras.desk import Desk
from mosaic.services.xmpp.extras.disco import Form, Identity
from mosaic.services.xmpp.extras.facts import stamp
from mosaic.store.belongings import QuotaExceeded
from mosaic.store.interface import NotFound, StoreFull
from mosaic.wire.xmpp.xml import element

NS_UPLOAD = "urn:xmpp:http:upload:0"


class UploadSlots:
    """Accounts may share files; strangers may not.

    links: makes the slots. known: whose account an address is.
    """

    def __init__(self, links: UploadDesk, known: Known) -> None:
        self._links = links
        self._known = known

    def desk(self, host: str) -> Desk:
        """The component at a host (section 3: the form tells the largest size)."""
        desk = Desk(host, Identity("store", "file", "Mosaic uploads"))
        largest = str(self._links.max_bytes)
        desk.forms.append(Form(NS_UPLOAD, (("max-file-size", (largest,)),)))
        desk.add("get", NS_UPLOAD, "request", self._request)
        return desk

    async def _request(self, asked: Asked) -> str:
        """Section 4. Raises Undeliverable as in section 5."""
        account = self._known.account(asked.asker)
        if account is None:
            raise Undeliverable("forbidden")
        wanted = asked.payload.attributes
        try:
            links = await self._links.slot(
                account,
                name=wanted.get("filename", ""),
                size_bytes=_size(wanted.get("size", "")),
                kind=wanted.get("content-type"),
            )
        except ValueError as error:
            raise Undeliverable("bad-request", text=str(error)) from error
        except NotFound as error:
            raise Undeliverable("forbidden") from error
        except UploadTooLarge as error:
            limit = element("max-file-size", None, str(error.max_bytes))
            raise Undeliverable(
                "not-acceptable",
                text=str(error),
                detail=element("file-too-large", None, limit, ns=NS_UPLOAD),
            ) from error
        except QuotaExceeded as error:
            retry = element("retry", {"stamp": stamp(error.free_at)}, ns=NS_UPLOAD)
            raise Undeliverable(
                "resource-constraint", text=str(error), detail=retry
            ) from error
        except StoreFull as error:
            text = "the disk is full"
            raise Undeliverable("resource-constraint", text=text) from error
        return element(
            "slot",
            None,
            element("put", {"url": links.put_url}),
            element("get", {"url": links.get_url}),
            ns=NS_UPLOAD,
        )


def _size(text: str) -> int:
    """A number of bytes. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise ValueError("the size is no number of bytes")
    return int(text)

"""slixmpp uses archives, carbons, blocks and personal eventing, with a store on
disk and real sockets."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.ssl import (
    CertificateOptions,
    PrivateCertificate,
    TLSVersion,
)
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

import mosaic
from mosaic.config.settings import Xmpp
from mosaic.services.xmpp.service import XmppService
from mosaic.store.sql import SqlStore
from tests.support.certificate import self_signed_pem
from tests.support.door import FakeDoor
from tests.support.xmpp import ACCOUNTS, VERIFIER, FakeBus

ROOT = Path(mosaic.__file__).parent.parent
reactor: Any = _reactor


class PeopleTests(TestCase):
    """The service behind direct TLS on loopback."""

    timeout = 180

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits
        """A store, the service, a port."""
        return Deferred.fromCoroutine(self.set_up())

    async def set_up(self) -> None:
        """See setUp."""
        self.store = SqlStore(Path(self.mktemp()) / "m.db", reactor)
        await self.store.start()
        self.addCleanup(self.store.stop)
        for name in ACCOUNTS:
            await self.store.add_account(name, VERIFIER, admin=False)
        self.service = XmppService(
            reactor,
            Xmpp(),
            domain="localhost",
            door=cast(Any, FakeDoor(ACCOUNTS)),
            store=self.store,
            bus=FakeBus(),
        )
        await self.service.startService()
        self.addCleanup(self.service.stopService)
        pem = self_signed_pem()
        self.certificate = Path(self.mktemp())
        self.certificate.write_text(pem[pem.index("-----BEGIN CERTIFICATE") :])
        pair = PrivateCertificate.loadPEM(pem)
        tls = CertificateOptions(
            privateKey=pair.privateKey.original,
            certificate=pair.original,
            raiseMinimumTo=TLSVersion.TLSv1_2,
            acceptableProtocols=[b"xmpp-client"],
        )
        listening = reactor.listenSSL(
            0, self.service.stream_factory(), tls, interface="127.0.0.1"
        )
        self.addCleanup(listening.stopListening)
        self.port = listening.getHost().port

    async def test_slixmpp(self) -> None:
        """Each part as another's client understands it."""
        out, err, code = await getProcessOutputAndValue(
            sys.executable,
            [
                "-m", "tests.support.slixmpp_people",
                str(self.port), str(self.certificate.resolve()),
            ],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            path=str(ROOT),
        )  # fmt: skip
        self.assertEqual(code, 0, err.decode()[-3000:])
        self.assertEqual(
            json.loads(out),
            {
                "heard": "one",
                "sent copy": "one",
                "received copy": "two",
                "waited": ["later", True],
                "archive": ["one", "two", "later"],
                "with bob": 2,
                "avatar": "ann@localhost",
                "picture": "picture",
                "late avatar": "ann@localhost",
                "blocked": ["bob@localhost"],
                "refused": "service-unavailable",
                "quiet": True,
            },
        )

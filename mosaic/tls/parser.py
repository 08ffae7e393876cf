"""The `mosaic-tls:` endpoint for Twisted's own endpoint strings.

Listing plugins makes an instance of this class, so OpenSSL is imported only
when a description is parsed.
"""

from __future__ import annotations

from twisted.internet.interfaces import (
    IReactorCore,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamServerEndpointStringParser)
class MosaicTlsParser:
    """`mosaic-tls:443:certs=/etc/mosaic/tls`, for any Twisted program.

    Outside Mosaic there is no default certificate, so `certs=` must be given.
    mosaic.tls.endpoints.server_endpoint documents the other arguments.
    """

    prefix = "mosaic-tls"

    def parseStreamServer(
        self, reactor: IReactorCore, *args: object, **kwargs: object
    ) -> IStreamServerEndpoint:
        """Make the endpoint. Raises ValueError, or CertificateError for `certs=`."""
        from mosaic.tls.endpoints import tls_endpoint

        return tls_endpoint(
            reactor,
            [str(value) for value in args],
            {key: str(value) for key, value in kwargs.items()},
            default_context=None,
        )

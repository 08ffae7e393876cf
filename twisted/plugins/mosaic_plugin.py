"""What `twistd` and Twisted's endpoint strings learn from Mosaic.

This file runs whenever any Twisted program lists its plugins: it must import
nothing heavy and install no reactor.
"""

from twisted.application.service import ServiceMaker

from mosaic.tls.parser import MosaicTlsParser

mosaic = ServiceMaker(
    "Mosaic", "mosaic.tap", "A self-hosted meeting workspace.", "mosaic"
)
mosaic_tls = MosaicTlsParser()

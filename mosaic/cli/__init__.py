"""The `mosaic` command: one module to a verb."""

from mosaic.cli.main import main

__all__ = ["main"]

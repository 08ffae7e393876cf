"""Mosaic: a self-hosted meeting workspace in one process and on one TLS port."""

__version__ = "0.1.0"

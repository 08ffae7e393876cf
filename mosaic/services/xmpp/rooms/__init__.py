"""Rooms in XMPP: a Mosaic room and its MUC (XEP-0045) are one thing."""

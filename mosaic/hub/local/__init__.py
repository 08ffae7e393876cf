"""The hub's own page on 127.0.0.1: what the wall shows without a server."""

"""Releases of the hub's program: built, signed offline, published as a TUF feed."""

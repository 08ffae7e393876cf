"""A TURN server as a pure value (RFC 8656): requests, tables, policy."""

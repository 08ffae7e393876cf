"""Checks that hold any DRCP/1 server against docs/protocols/drcp.md."""

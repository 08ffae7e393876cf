"""The network check: one engine for the command, the hub and tests."""

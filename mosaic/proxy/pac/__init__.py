"""Proxy auto-configuration: scripts of strangers, run in a process of their own."""

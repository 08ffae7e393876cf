"""Signed updates on a hub: looked for by TUF, installed into the slot that does
not run, proved healthy or taken back (docs/updates.md)."""

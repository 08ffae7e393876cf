"""The agent on a room box: `mosaic hub run` (docs/hub.md, docs/protocols/hub.md)."""

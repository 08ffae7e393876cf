"""The `mosaic` command: one module to a verb."""

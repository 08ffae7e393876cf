"""The history of the tables, run by `mosaic.store.migrate`."""

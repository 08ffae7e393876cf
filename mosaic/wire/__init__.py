"""Pure protocol cores: bytes and the time in, events and bytes out."""

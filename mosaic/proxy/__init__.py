"""The way out of networks that want a proxy, for programs that dial."""

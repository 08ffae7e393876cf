"""What the system says about proxies: environment, GNOME, macOS, Windows."""

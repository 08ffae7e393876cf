"""Settings: a TOML file and command-line flags into frozen values."""

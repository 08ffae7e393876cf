"""What the server offers beside talking: discovery, uploads, profiles, commands,
and its ways to other servers' components."""

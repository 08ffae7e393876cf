"""STUN messages as pure values (RFC 8489): codec, integrity and framing."""

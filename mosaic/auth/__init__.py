"""Who may come in: passwords, PINs, tokens, TURN credentials, back-off."""

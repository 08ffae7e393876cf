"""The truth on disk: accounts, rooms, tokens, chat and the update journal."""

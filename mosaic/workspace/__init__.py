"""The domain: rooms, people, roles, documents, chat; pure rules."""

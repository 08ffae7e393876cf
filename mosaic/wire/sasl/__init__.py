"""SASL mechanisms as pure state: SCRAM-SHA-256 and what is stored for it."""

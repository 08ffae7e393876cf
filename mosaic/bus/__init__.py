"""Publish and subscribe between the services, and later between nodes."""

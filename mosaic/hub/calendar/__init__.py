"""The room's calendar: read every few minutes, reported, and joined by."""

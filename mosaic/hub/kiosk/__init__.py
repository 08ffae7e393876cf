"""Chromium on the wall: started, watched, looked at, wiped."""

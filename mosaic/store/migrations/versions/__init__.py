"""One module for each step; each names the step before it."""

"""Reading what callers pass."""

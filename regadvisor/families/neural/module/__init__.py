"""The caller's own torch module."""

"""Strengths as objects and code of other libraries."""

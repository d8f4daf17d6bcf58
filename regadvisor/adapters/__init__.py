"""Strengths as plain numbers into configured objects of other libraries."""

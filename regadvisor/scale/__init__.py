"""Data too large for memory: one pass over them, in parts, to a sample and what is known of every row."""

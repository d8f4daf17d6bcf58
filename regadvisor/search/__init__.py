"""Training candidates and searching strengths."""

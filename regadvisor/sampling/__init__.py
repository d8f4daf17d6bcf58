"""Drawing the rows to validate on, and checking that they stand for the whole."""

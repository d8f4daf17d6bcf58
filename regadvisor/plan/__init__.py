"""How much to do."""

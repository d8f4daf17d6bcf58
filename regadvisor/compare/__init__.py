"""Which of two kinds is better, and how sure that is."""

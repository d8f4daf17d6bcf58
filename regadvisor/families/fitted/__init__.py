"""Models that somebody else trains: a function of the caller's, or scikit-learn."""

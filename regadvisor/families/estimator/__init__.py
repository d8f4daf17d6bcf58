"""A scikit-learn model of the caller's."""

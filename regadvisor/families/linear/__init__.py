"""Linear models, all candidates along one path."""

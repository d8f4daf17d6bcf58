"""The models that candidates are trained as."""

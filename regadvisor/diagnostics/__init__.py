"""What the features look like, measured without training a candidate."""

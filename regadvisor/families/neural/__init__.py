"""Networks, trained many at once along a leading model axis."""

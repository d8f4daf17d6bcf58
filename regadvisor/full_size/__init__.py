"""From the sample to all rows: laws of strengths, gains and what rescaling costs."""

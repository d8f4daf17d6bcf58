"""Every number that decides something, with its source.

Numbers that only set a size or a speed live where they are used; a number that can change a reply, an
outcome or a warning lives here.
"""

from __future__ import annotations

# ------------------------------------------------------------------------------------- Q1: the sample

#: Standardised mean difference below which two samples count as balanced (Austin 2009, Stat. Med. 28:3083).
EQUIVALENT_SMD = 0.1
#: Variance ratio within 4/5 … 5/4 (Rubin 2001 uses 1/2 … 2 for observational studies; a random
#: sub sample of a known population has to do better).
EQUIVALENT_VARIANCE_RATIO = 1.25
#: A complement smaller than this share of the rows is too small to be compared with.
SMALLEST_COMPLEMENT = 0.2
#: False discovery rate of the shift tests (Benjamini and Hochberg 1995).
SHIFT_FDR = 0.05

# ----------------------------------------------------------------------------------- Q2: the resources

#: Bounds of ``budget="auto"`` in seconds around the projected cost of one full run.
AUTO_BUDGET_S = (5.0, 60.0)
#: Fewer rows than this cannot be split into folds whose losses mean anything.
FEWEST_ROWS_TO_VALIDATE = 20

# ---------------------------------------------------------------------------- Q4 to Q9: the comparisons

#: Two kinds are the same if their mean losses differ by at most this share of the loss.
SAME_REGION = 0.005
#: Posterior mass a reply needs, else it is unsure (Benavoli et al. 2017 use .95 for a claim; a default
#: to start with needs less, and 0.8 is the usual power of a planned comparison).
REPLY_MASS = 0.8
#: Probabilities are clipped here before the log, so one sure mistake costs at most 16 nats.
PROBABILITY_FLOOR = 1e-7
#: No support or confidence is ever stated above this.
HIGHEST_SUPPORT = 0.99

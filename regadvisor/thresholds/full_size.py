"""Q10: from the sample to all rows, for gains and strengths."""

# ------------------------------------------------------------------------------------------------------ gains

#: Beyond this many times the rows of the sample a gain is not extrapolated to more than "unsure".
FARTHEST_EXTRAPOLATION = 8.0
#: Models are trained on all rows, if the budget has room for it, where these are more than this many times
#: those of the sample.
MEASURED_FROM_RATIO = 2.0

# ------------------------------------------------------------------------------------------------ other sizes

#: A check on all rows has to fit into this share of the time that is left.
CHECK_SHARE = 0.8
#: Rescaled strengths lose at most this share of what the kind is ahead of the constant.
RESCALING_MOST_LOST = 0.5

# -------------------------------------------------------------------------------------------------- strengths

#: From a sample to all rows, strength × Σ lr of a decoupled penalty falls with the rows to a power within
#: this range (``full_size.STRENGTH_LAWS``).
EXPONENT_RANGE = (0.0, 1.0)
#: No further than to this many times the rows of the sample, the most that was measured.
FARTHEST_RATIO = 64.0

"""Q4s to Q9b: the search, comparisons, what is said of fits, claims and the decision."""

# ---------------------------------------------------------------------------------------------------- replies

#: Two kinds are the same if their mean losses differ by at most this share of the loss.
SAME_REGION = 0.005
#: Q9b: the best candidate of another kind overrules the pick from this share of the loss on; smaller
#: differences are chance more often than not. With few candidates a kind, as in a quick search for networks,
#: leaving the question out cost 4% of the loss on real sets; with a dense grid it makes no clear difference
#: (``benchmarks/decision.py``). The share was set on the same sets.
OVERRULED_FROM = 0.002
#: Posterior mass a reply needs, else it is unsure (Benavoli et al. 2017 use .95 for a claim; a default
#: to start with needs less, and 0.8 is the usual power of a planned comparison).
REPLY_MASS = 0.8
#: The bootstrap draws at most this many things: more clusters (rows) are put together at random. The variance
#: of a mean is then known to within sqrt(2 / 2000) = 3% of itself; the 200 draws know it to within 10%.
MOST_BUNDLES = 2000
#: Probabilities are clipped here before the log, so one sure mistake costs at most 16 nats.
PROBABILITY_FLOOR = 1e-7
#: No support or confidence is ever stated above this.
HIGHEST_SUPPORT = 0.99

# ------------------------------------------------------------------------------------- Q4s: is there a signal

#: "Does any candidate beat the constant?" is no while the mass of "better" is below this. On shuffled
#: targets the mass exceeds 0.67 in 5% of the draws at 60 to 200 rows and in fewer at more rows
#: (``tests/test_advise.py`` repeats it on the diabetes data).
SIGNAL_MASS = 0.7

# ----------------------------------------------------------------------------------------------------- claims

#: Probability inside the interval of a comparison.
INTERVAL = 0.95
#: Rows needed are not projected beyond this many times the rows at hand.
FARTHEST_PROJECTION = 50

# --------------------------------------------------------------------------- losses, overfit, zeroed features

#: A held-out loss counts as at most this many times the constant's mean loss; a run that diverged counts
#: as just this. Far above anything worth having, and its square is still exact to compare with.
LARGEST_LOSS = 1e6
#: Overfit: held-out loss exceeds the train loss by this share of itself … (least squares with p features
#: expects a gap of about 2p/n, so this is a tenth as many features as rows)
OVERFIT_GAP = 0.2
#: … and by this share of the constant's loss: near a perfect fit a large relative gap means nothing.
OVERFIT_OF_CONSTANT = 0.05
#: A loss on new rows of more than twice that in training is told even near a perfect fit.
BY_HEART_GAP = 0.5
#: Underfit: even the training rows are fitted no better than this share below the constant's loss.
UNDERFIT_GAIN = 0.05
#: A run exploded if its held-out loss is above this multiple of the constant's: no sensible model is three
#: times worse than knowing nothing but the mean. A baseline's lost losses count as just this.
EXPLODED = 3.0
#: A feature is listed as zeroed if its weights were all zero in at least this share of the folds (as in
#: stability selection, Meinshausen and Bühlmann 2010, whose cut-offs lie between 0.6 and 0.9, a feature
#: kept in most folds is not called zeroed).
ZEROED_SHARE = 0.6

# ----------------------------------------------------------------------------------------------- the decision

#: "Can't tell" if no comparison on the path was decided and the interval of the outcome against none
#: allows a gain and a harm of this share of the loss: ten times the region in which kinds are the same.
CANT_TELL_WIDTH = 10 * SAME_REGION
#: The words for how sure a claim is, by the least share of resamplings. The scale is coarse: how often each
#: word was right on test rows is in ``benchmarks/RESULTS.md``.
LIKELY = ((0.95, "very likely"), (0.8, "likely"), (0.6, "more likely than not"), (0.4, "a toss-up"))
#: Support below which a claim is not called shown.
TOSS_UP = 0.6
#: What another kind might save is told by this quantile of the resamplings. Where thousands of rows were held
#: out it held 73 of 79 times, 92% (83 to 99%; ``benchmarks/first_screen.py``).
LOST_MASS = 0.9
#: Two kinds tie, too, if neither is shown to be better and the interval of their difference lies within this
#: share of the loss, half of what makes a verdict "can't tell". With less at stake any of them will do.
TIE_WIDTH = CANT_TELL_WIDTH / 2
#: A flip is named if its threshold is at most this share of the loss away: "if the gain of 87% were gone"
#: tells nobody anything.
FARTHEST_FLIP = 0.25
#: Support of claims measured on a sub sample is multiplied by this, by rows of the source over rows of
#: the sample (up to the first number): a small sample flatters regularization. A pilot with networks saw
#: harm in 33% of choices made on 1,500 of 2,900 to 6,000 rows, against 6% on all rows.
SUB_SAMPLE_DISCOUNT: tuple[tuple[float, float], ...] = ((1.0, 1.0), (8.0, 0.9), (float("inf"), 0.8))

# ------------------------------------------------------------------------------------------------- the search

#: The search looks at strengths up to this factor beyond those tried: one decade, more than the width in
#: which strengths tie. Of dropout, up to this much beyond.
SEARCH_STEP = 10.0
SEARCH_STEP_DROPOUT = 0.25
#: Kinds whose best loss is within this share of the lowest are searched on after the portfolio: twice the
#: region in which kinds are the same.
SEARCHED_WITHIN = 2 * SAME_REGION
#: … as long as the next candidate is expected to lower the loss by this share: a fifth of that region.
SETTLED_GAIN = SAME_REGION / 5
#: Of linear models only those are stopped whose loss is higher than the best one's by this share of it, four
#: times what ties, and so many standard errors on top.
LOST_BY = 4 * SAME_REGION
LOST_SE = 3.0

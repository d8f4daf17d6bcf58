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

#: ``budget="auto"``: up to so many rows as much as the evidence needs …
AUTO_SMALL_ROWS = 6_000
#: … but at most two minutes, and at most a minute beyond; or one full run, if that takes longer and no more
#: than ten minutes.
AUTO_MOST_S, AUTO_MOST_S_OF_MANY, AUTO_LONGEST_S = 120.0, 60.0, 600.0
#: Beyond the small rows, full runs ∝ 1 / rows: ten at 5,000 rows, one at 50,000. A dense cross-validation
#: costs about 100 of them.
AUTO_FULL_RUNS, AUTO_FULL_RUNS_ROWS = 10.0, 5_000
#: A search may take this much longer than projected, and is never cut earlier than so many seconds.
AUTO_BUDGET_MARGIN = 1.5
AUTO_LEAST_DEADLINE_S = 5.0
#: From so many rows on, advice costs less than one full run; it aims at this share of it.
AUTO_CHEAP_ROWS, AUTO_CHEAP_SHARE = 50_000, 0.8
#: Rows that networks learn from at least on more than the small rows: their best regularizer changes fast
#: below (``sampling/blocks.py``), and from 500 to 1,000 rows the steps grow by the root of two only.
AUTO_LEAST_ROWS = 1_500
#: Seconds that networks, and that linear models, get whatever their full run takes.
AUTO_LEAST_S = 4.0
AUTO_LEAST_LINEAR_S = 2.0
#: Fewer rows than this cannot be split into folds whose losses mean anything.
FEWEST_ROWS_TO_VALIDATE = 20
#: If one group has this share of the weight, folds by group test on it what was learned from next to nothing.
LARGEST_GROUP_SHARE = 0.9
#: The largest value of a column, sign aside, lies between these or is 0: sums of squares of squares of
#: anything larger or smaller are no numbers (``data/numbers.py``).
SMALLEST_VALUE, LARGEST_VALUE = 1e-100, 1e100
#: The same of sparse columns (scikit-learn squares them in their own dtype, and takes less than 2e-15 for 0)
#: and of what networks square in float32.
SMALLEST_SPARSE, LARGEST_SINGLE = 1e-14, 1e15

# ---------------------------------------------------------------------------- Q4 to Q9: the comparisons

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
#: Probabilities are clipped here before the log, so one sure mistake costs at most 16 nats.
PROBABILITY_FLOOR = 1e-7
#: No support or confidence is ever stated above this.
HIGHEST_SUPPORT = 0.99

# -------------------------------------------------------------- comparisons: losses, overfit, zeroed features

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
#: Steps of a run of a Keras model of which nobody says how long it is trained, and the bounds of its epochs:
#: enough for Adam at its usual rate to fit a small table, and some seconds a fit.
KERAS_STEPS, KERAS_EPOCHS = 400, (5, 30)
#: A network still learns if training and held-out loss fell by this share over the second half of its epochs.
#: It was said of 23 of 121 trainings of a caller's module, cut short or not. Twice as many epochs lowered the
#: test loss of 21 of them, of 20 by 5% or more (at 0.1: 25 of 30).
STILL_FALLING = 0.2
#: A run exploded if its held-out loss is above this multiple of the constant's: no sensible model is three
#: times worse than knowing nothing but the mean. A baseline's lost losses count as just this.
EXPLODED = 3.0
#: A feature is listed as zeroed if its weights were all zero in at least this share of the folds (as in
#: stability selection, Meinshausen and Bühlmann 2010, whose cut-offs lie between 0.6 and 0.9, a feature
#: kept in most folds is not called zeroed).
ZEROED_SHARE = 0.6

# --------------------------------------------------------------------- Q3a and Q3b: the prior knowledge

#: A column or level with fewer rows than this off its most frequent value says nothing about association
#: (Cochran 1954: expected counts of at least 5): two rare words may share all their three rows by chance.
FEWEST_ROWS_OFF_MODE = 5
#: Fewer rows than this are not measured: a correlation of 0.6 is within chance (95%) among ten.
FEWEST_ROWS_TO_MEASURE = 10
#: Share of the variance that common factors explain; for equicorrelated columns it is their correlation.
#: Cohen (1988) calls a correlation of 0.3 medium and 0.1 small; halfway between lies the lower one.
EXPLAINED_YES = 0.3
EXPLAINED_NO = 0.2
#: Variance inflation: 10 is the usual sign of serious collinearity, 5 the stricter one (O'Brien 2007,
#: Quality & Quantity 41:673; he warns against reading more into them than that).
VIF_YES = 10.0
VIF_NO = 5.0
#: A column that is mostly one value needs so many other rows for each unit of inflation (rule of three: see
#: ``evidence.correlation.variance_inflation``), 30 of them for an inflation of 10.
ROWS_PER_INFLATION = 3.0
#: An inflation counts if this share of the columns reach it (for 20 columns or fewer: one of them).
COLLINEAR_SHARE = 0.05
#: Two features are named as close from this correlation on (Cohen 1988 calls 0.5 large; half of the variance
#: in common is 0.71).
CLOSE_FEATURES = 0.7
#: Share of the features that carry signal, counted once where they repeat one another: normally
#: distributed effects of independent features give 1/3, and estimates of it scatter by about a quarter.
#: One feature in seven or fewer is what is called sparse.
DENSITY_YES = 0.25
DENSITY_NO = 0.15
#: Below this many columns a share of them is too coarse to be judged.
FEWEST_COLUMNS_FOR_DENSITY = 30
#: Total signal below this many standard deviations of that of permuted targets is too faint to locate.
FAINT_SIGNAL_Z = 3.0
#: Median of the neighbours' correlations, as a share of the way from shuffled columns to 1. Shuffled columns
#: give about 0.
NEIGHBOURS_YES = 0.2
NEIGHBOURS_NO = 0.1
#: Share of three columns in a row of which the outer two are the least alike. Groups of related columns give
#: a third to a half, a smooth series 1; halfway between lies "yes". With few columns the share of groups
#: scatters up to 0.6.
ORDER_YES = 0.75
ORDER_NO = 0.6
#: The smallest layout is a grid of 4 by 4; fewer neighbours have no median to speak of.
FEWEST_COLUMNS_FOR_LAYOUT = 16

# ------------------------------------------------------------------------------------- Q10: the full size

#: Beyond this many times the rows of the sample a gain is not extrapolated to more than "unsure".
FARTHEST_EXTRAPOLATION = 8.0
#: Smaller samples are trained if all rows are more than this many times those of the sample; below, the prior
#: alone says what becomes of a gain and a strength.
MEASURED_FROM_RATIO = 2.0

# ------------------------------------------------------------- features of a caller's module (``transform``)

#: Features are on a common scale if each lies within these bounds of 0 (pixels divided by 255, indicators) …
COMMON_BOUND = 1.0
#: … or has at most this mean (as a distance from 0) and a standard deviation near 1. A factor of 3: columns
#: that were standardised on other rows, or have a few outliers, stay well within it.
COMMON_MEAN = 1.0
COMMON_SD = (1 / 3, 3.0)
#: Bounded columns count as small if their values span less than this, and …
COMMON_RANGE = 1 / 3
#: … this share of the columns must not be small. Pixels at the border of images hardly vary: 90% of the
#: columns of 8 by 8 digits are not small, 97% of those of MNIST.
COMMON_SHARE = 0.8

# ------------------------------------------------------------------------------------- the decision

#: "Can't tell" if no comparison on the path was decided and the interval of the outcome against none
#: allows a gain and a harm of this share of the loss: ten times the region in which kinds are the same.
CANT_TELL_WIDTH = 10 * SAME_REGION
#: The words for how sure a claim is, by the least share of resamplings. The scale is coarse: how often each
#: word was right on test rows is in ``benchmarks/RESULTS.md``.
LIKELY = ((0.95, "very likely"), (0.8, "likely"), (0.6, "more likely than not"), (0.4, "a toss-up"))
#: Support below which a claim is not called shown.
TOSS_UP = 0.6
#: Strengths are told with three digits if those that do as well differ by less than the first factor, with
#: one if they differ by the second: a step of the last digit is then far inside the range.
NARROW_RANGE, WIDE_RANGE = 1.5, 30.0
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

# ------------------------------------------------------------------------------------- the linear family

#: No penalty is trained as ``LogisticRegression(C=1e6)``: where a best fit exists it is the same to 4 digits,
#: where none exists (separable classes, p > n) it stands for the limit.
VANISHING_C = 1e6
#: A best fit without penalty does not exist if a linear predictor still grows by more than this when the
#: penalty falls tenfold; separable rows grow by about log(10) = 2.3, the others by less than 0.01.
LIMIT_GROWTH = 1.0
#: A caller's own steps are tried on so many rows before any fit.
ROWS_LOOKED_AT = 2_000
#: Features are unequal if the largest (root of its mean square) is so many times the median one. On 14 public
#: sets SAGA settled within 1,500 passes, but for two, on columns of up to 5 times, and never on the raw ones
#: of four sets: 108 to 400,000 times.
UNEQUAL_FEATURES = 30.0
#: Noise sd in the default L1 strength ``sd · sqrt(2·log(p)/n)`` (universal threshold: Donoho and Johnstone
#: 1994; Bickel, Ritov and Tsybakov 2009): the largest sd of a class indicator, and that of a standardised
#: target of which features explain three quarters.
DEFAULT_NOISE_SD = 0.5

# --------------------------------------------------------------------------- the data and their encoding

#: More classes are refused: five rows of each are a sample that nothing is trained on in reasonable time.
MOST_CLASSES = 2_000
#: ``task="auto"``: whole numbers with at most so many distinct values are classes …
GUESS_MOST_CLASSES = 20
#: … if there are at least so many rows per value, on average.
GUESS_ROWS_PER_CLASS = 2
#: … and if they are no scale. From so many values on, numbers that are consecutive and get rarer from one
#: peak on are counts or ratings and taken as numbers: classes are hardly in such an order by chance. (Codes
#: given by frequency are, so fewer values are left classes; from the lower number on, with a warning.)
FEWEST_SCALE_VALUES, FEWEST_ORDERED_VALUES = 8, 5
#: More values are classes if they count up from 0 or 1, are met that often, and about equally often: data
#: with 40 faces or 100 objects have as many pictures of each. Where they are not, there is a doubt.
GUESS_MOST_BALANCED, BALANCED_ROWS_PER_CLASS, BALANCED = 200, 10, 1.1
#: Consecutive: this many whole numbers in the range for each one that is met; counts have gaps in the tail.
SCALE_GAPS = 1.5
#: Far apart: so many whole numbers in the range for each one that is met. Codes of land cover have 6.
CODE_GAPS = 10
#: Rarer: rows that would have to change for one peak (Poisson counts of 200 rows: 3 to 7%), and how frequent
#: the rarest value is at most, as a share of the most frequent one. Digits have the same frequency.
SCALE_AGAINST, SCALE_RAREST = 0.1, 0.2
#: A text target with more classes than `GUESS_MOST_CLASSES` and fewer rows per class than this is no class.
FEWEST_ROWS_PER_CLASS = 2
#: With fewer rows outside the largest class, nothing is learned about them.
FEWEST_OUTSIDE_LARGEST = 10
#: Weights are uneven where they leave this share of the rows a say (Kish's effective rows).
UNEVEN_WEIGHTS = 0.2
#: A target of texts that are whole numbers without a unit are classes if there are so many rows of each.
TEXT_ROWS_PER_CLASS = 10
#: A column of text holds dates if this share of its different values are read as dates: a few typing errors
#: are missing values, more of them mean that it is something else.
DATE_SHARE = 0.95
#: Text columns with more distinct values than this share of their rows look like an identifier.
ID_LEVEL_SHARE = 0.9
#: … if there are more of them than this: with few rows, every name is met once.
FEWEST_LEVELS_OF_ID = 50
#: In such a column, levels met less often than this share one: what is met once teaches nothing.
RAREST_IDENTIFIER_ROWS = 2
#: … and are sentences, not names or codes, if half of them have so many words: a judgement.
FEWEST_WORDS_OF_PROSE = 4
#: Different texts from which on digits with the same letters behind them are numbers with a unit ("72 kg"),
#: not codes ("2WD", "4WD"): a judgement.
FEWEST_WITH_UNIT = 10
#: A column of text is almost one of numbers if at least this share of its rows holds one, in so many
#: different ones, and the rest is few texts, or in few rows: typing errors, "<5", "free". Grades, and codes
#: some of which are numbers, have fewer numbers or more texts.
ALMOST_NUMBERS, ALMOST_DIFFERENT, ALMOST_MOST_TEXTS, ALMOST_MOST_ROWS = 0.5, 10, 5, 0.05
#: One-hot columns of a network at most, all categorical columns together: each costs time in every step. Of
#: 800 levels in 2,000 rows, keeping the 200 most frequent left a loss 40% higher (``benchmarks/RESULTS.md``).
MOST_NETWORK_LEVELS = 1_000
#: Smooth clip of robustly scaled features, x / sqrt(1 + (x / limit)²) (RealMLP, Holzmüller et al. 2024, B.2).
SMOOTH_CLIP_LIMIT = 3.0

# -------------------------------------------------------------------------------------------- the search

#: The search looks at strengths up to this factor beyond those tried: one decade, more than the width in
#: which strengths tie. Of dropout, up to this much beyond.
SEARCH_STEP = 10.0
SEARCH_STEP_DROPOUT = 0.25
#: Kinds whose best loss is within this share of the lowest are searched on after the portfolio: twice the
#: region in which kinds are the same.
SEARCHED_WITHIN = 2 * SAME_REGION
#: … as long as the next candidate is expected to lower the loss by this share: a fifth of that region.
SETTLED_GAIN = SAME_REGION / 5

# ---------------------------------------------------------------- networks: how long to train, how strong

#: Steps of a run of unknown length, per √rows: about 400 steps at 800 rows and 1,000 at 4,500, the ~1,200 of
#: the pilot at its 1,500 to 6,000 rows.
STEPS_PER_ROOT_ROW = 15.0
#: Small data sets are not passed over more often than this.
MOST_EPOCHS = 100
#: Runs of unknown length last twice as long for as long as that lowers a pilot's held-out loss by this share,
#: and up to so many times the planned length. Of six tables, it paid for three (bike_hour: 0.25, 0.18, 0.16
#: of the variance; concrete: 0.078, 0.064, 0.058; spambase); eight times gained 7 to 16% more on two, at
#: twice the cost of everything.
LONGER_PAYS = 0.03
LONGEST_RUNS = 4
#: … and by this share of the constant's loss: near a perfect fit a large relative gain is worth little.
LONGER_OF_CONSTANT = 0.005
#: Share of the automatic budget, or of one given, that trying longer runs may take.
LONGER_SHARE = 0.1
#: From a sample to all rows, strength × Σ lr of a decoupled penalty falls with the rows to a power within
#: this range (``full_size.laws.STRENGTH_LAWS``).
EXPONENT_RANGE = (0.0, 1.0)
#: No further than to this many times the rows of the sample, the most that was measured.
FARTHEST_RATIO = 64.0
#: A sample is trained for at most this many times what it would be trained for on its own. The geometric mean
#: of equal epochs and equal steps was seen to predict well up to 12 times the sample's rows, where it is 1.3
#: times as long; at 500 times it would be 7 times as long, and fit every row by heart.
LONGEST_OF_PLANNED = 1.5
#: The fewest epochs whose held-out loss is within this share of the best are enough.
EPOCH_TOLERANCE = 0.005

# ------------------------------------------------------------------- Q1: differences, drift and matching

#: Share of random draws that may stray beyond the limits of their means and variances, all columns together
#: (Bonferroni's bound; the usual 5%).
DRAW_LEVEL = 0.05
#: A drift in time is material from this standardised difference on (Stuart 2010, Stat. Sci. 25:1, calls
#: groups comparable for regression up to 0.25).
DRIFT_SMD = 0.25
#: False discovery rate of drift tests over columns; they are few and every alarm changes the validation.
DRIFT_FDR = 0.01
#: The same material difference as a correlation with the row order: thirds of a line are 2.31 standard
#: deviations of the position apart, 0.25 / 2.31.
ORDER_CORRELATION = 0.108
#: False discovery rate of the hint from the row order.
ORDER_FDR = 0.01
#: Rows of the source whose weights stand for matched data must be worth at least so many equal rows.
MATCH_FEWEST_ROWS = 50
#: Share of the new rows' distribution that the source may fail to supply.
MATCH_SHORTFALL = 0.05
#: With more repeated rows than this share, equal rows are coarse values and not copies of one case.
COPIES_SHARE = 0.5
#: Defaults without validation: l2·Σlr and l1·Σlr of the middle of what real sets ask for, and the rate
#: between the two that Srivastava et al. 2014 tried most.
DEFAULT_L2_SUM = 2.0
DEFAULT_L1_SUM = 0.06
DEFAULT_DROPOUT = 0.25

# ------------------------------------------------------------------------------- Q4s: is there a signal

#: "Does any candidate beat the constant?" is no while the mass of "better" is below this. On shuffled
#: targets the mass exceeds 0.67 in 5% of the draws at 60 to 200 rows and in fewer at more rows
#: (``tests/test_advise.py`` repeats it on the diabetes data).
SIGNAL_MASS = 0.7

# ------------------------------------------------------------ networks: defaults with the penalty in the loss

#: Defaults without validation: l2·n and l1·√n. At 1,000 rows they are the first points of the portfolios
#: (``families/neural/strengths.py``).
DEFAULT_L2_IN_LOSS = 3.0
DEFAULT_L1_IN_LOSS = 0.01

# ------------------------------------------------------------------------------ networks: squashed outputs

#: Weights drawn before a caller's module counts as squashing its outputs. A third of the draws leave the sign
#: of an output to its bias: both signs show up with a probability of 1 - 2^-19.
SQUASHED_DRAWS = 60
#: Widest range that squashed outputs have (tanh; sigmoid and softmax: 1). Half of it is far from 0.
SQUASHED_SPAN = 2.0
#: Share of one-sided outputs at their end from which on something cuts them off: a softplus or ReLU has half
#: of them there, distances have next to none.
SQUASHED_SHARE = 0.2

# -------------------------------------------------------------------------------- losses of the caller's own

#: A loss that changes by less than this share when outputs and target move alike is one of differences
#: (float32 sums leave 1e-6).
SAME_LOSS = 1e-3
# ----------------------------------------------------------------- traps: what is odd about the data

#: Rows that the checks of the data look at: enough to see what holds in nearly every row.
TRAP_ROWS = 2_000
#: A column determines the target if a shuffled target would look the same with less than this chance, over
#: all columns: no honest table in a lifetime of tables.
LEAK_CHANCE = 1e-6
#: A column with fewer values than this share of the rows is not judged.
LEAK_PRESENT = 0.5
#: What a sum, a product or a curve leaves of the target, in standard deviations: R² of 0.999999, which is
#: what rounding to three digits leaves. No measurement is that exact.
LEAK_RESIDUAL = 1e-3
#: … and where a target is written in steps of more, half a step, up to this many standard deviations.
LEAK_ROUNDED = 0.05
#: Fewer rows do not show a curve: with steps of a hundredth of the range a line errs by 1e-4 of it.
LEAK_CURVE_ROWS = 100
#: Rows beyond the columns of an exact sum: each has to be met by luck.
LEAK_SPARE_ROWS = 20
#: Sums are looked for in the rows without missing numbers, if these are so many of them.
LEAK_COMPLETE = 0.2
#: Rows per column for a sum of all columns.
LEAK_ROWS_PER_COLUMN = 2
#: A threshold that separates the classes is a leak if the other columns leave more than this share of the
#: variance of the classes; else the classes are far apart, as those of Fisher's irises are.
LEAK_OTHERS_LEAVE = 0.5
#: A column is nearly a leak if it predicts this share of the target's variance (of classes: of one against
#: the rest) alone, and the other columns leave that much of it (of classes: `LEAK_OTHERS_LEAVE`).
NEAR_LEAK, NEAR_LEAK_CLASSES, NEAR_LEAK_OTHERS_LEAVE = 0.98, 0.9, 0.3
#: A measurement has to predict more: an instrument that is read in two ways, or a simulated line, is no leak.
NEAR_LEAK_MEASURED = 0.995
#: What levels say is judged by rows that share theirs, which are at least this share.
NEAR_LEAK_REPEATED = 0.8
#: Whole numbers are codes if their values, with so many rows each on average, predict this much more of the
#: target's variance one by one than along the number, and by so many standard errors.
CODED_GAIN, CODED_Z, CODED_ROWS_PER_LEVEL = 0.15, 4.0, 5
#: Rows share a source if so many of them are nearer to one of their own level than to any other. (On 57 real
#: sets, categories reach 0.75, the make of a car.)
SHARED_ALIKE = 0.8
#: … or, if a level has so few rows on average, this share: it would be none in a hundred by luck. Two eyes or
#: two visits are alike, not equal.
SHARED_SMALL, SHARED_ALIKE_SMALL = 4.0, 0.3
#: Two columns hold so many different pairs of values at most, as a share of those that luck would make.
SHARED_PAIRS = 0.5
#: Without its own source, a row keeps this share of the variance; what such columns say anyhow is no trap.
SHARED_PAIR_LEAVES = 0.5
#: With few levels they have to be nearer by this factor: species, too, are unlike one another.
SHARED_NEARER, SHARED_MANY_LEVELS = 0.7, 20
#: Columns do not count that differ within levels more than at large by this factor: left and right, visits.
SHARED_APART = 1.05
#: So many rows share their level with another row.
SHARED_REPEATED = 0.5
SHARED_FEWEST_LEVELS, SHARED_FEWEST_ROWS = 8, 40
#: The largest level of a column that names sources has at most this share of the rows.
SHARED_LARGEST = 0.25
#: A number that only names sources cannot be told from the other columns: they leave this share of it.
SHARED_QUANTITY = 0.7
#: A jump in the distances of neighbours: exponential where rows are drawn one by one, so one of 30
#: neighbours exceeds this with a chance of 1e-5.
SHARED_JUMP = 15.0
#: Of so many rows near copies are seen.
SHARED_NEAR_COPIES = 0.7
#: Near copies are looked for by columns with many values, which have to be this share of the columns, …
SHARED_MEASURED = 0.5
#: … and a class has to be made of so many sources, or they are the classes.
SHARED_PER_CLASS = 3
#: It matters if the error grows by this share of the target's variance, and random folds show no more than
#: this share of it.
SHARED_HARM, SHARED_FLATTERED = 0.1, 0.7
#: A model that leaves less than this share of a constant's loss is too good to be true: of 94 public sets the
#: least is 0.0009 (genes of seven tissues), the next 0.005.
TOO_GOOD = 1e-4
#: A column counts rows up if whole numbers that measure something would share so few values with less than
#: this chance.
IDENTIFIER_CHANCE = 1e-5
IDENTIFIER_FEWEST_ROWS = 20
#: Numbers that count rows up within this range are years: a judgement.
YEARS = (1500, 2200)
#: A number such as 9999 stands for a missing value if so many rows have it, or this share of them, and it is
#: so many times as far from the others as these are from one another.
FOR_MISSING_ROWS, FOR_MISSING_SHARE, FOR_MISSING_GAP = 3, 0.005, 2.0
#: The last row holds sums if it is off by no more than this share, which is rounding. Fewer rows are too few.
TOTALS_OFF, TOTALS_FEWEST_ROWS = 1e-4, 6
#: Few values (three, or as many as are far away, up to this share of the rows) …
EXTREME_MOST = 0.05
#: … rule a column if they hold this share of its squares around the median. Of 30 normal values
#: the farthest three hold about 40%, of 100 about 20%; …
EXTREME_SHARE = 0.5
#: … and if the farthest is so many standard deviations (of the middle half) away: log-normal values of a
#: spread of 1, which a linear model still lives with, reach 17 among 400.
EXTREME_DISTANCE = 20.0
EXTREME_FEWEST_VALUES = 20
#: Extreme values of features are told if clipping them lowers the error of a quick model by this share …
EXTREME_HARM = 0.1
#: … or if they are so far away that they look like errors of the data.
EXTREME_ABSURD = 1_000.0
#: A positive target is skewed from here on; the exponential distribution has 2, incomes 3 and more.
SKEWED = 2.5
#: Rows pile up at an end of a target if it is met by this share of them, so many times as often as any other
#: value but one, and there are so many values: 5% of California's districts have the largest price.
PILED_SHARE, PILED_TIMES, PILED_FEWEST_VALUES = 0.03, 5, 50
#: Whole numbers from 0 on are counts if few are large; Poisson counts of mean 4 have a skewness of 0.5.
COUNTS_MEDIAN, COUNTS_SKEWED = 10, 0.5
#: Classes are called separable with so many rows per column, intercept included; up to 2, any classes are.
SEPARABLE_ROWS_PER_COLUMN = 3
SEPARABLE_FEWEST_ROWS = 10
#: All rows of a value are of one class by luck with no more than this chance.
ONE_CLASS_CHANCE = 1e-6
#: Least squares errs in no more than this share of the rows (classes counting the same) where a plane tells
#: the classes apart.
SEPARABLE_HARD_ROWS = 0.15
#: Ranks show a hidden signal if held-out predictions correlate with the target by so many standard errors …
HIDDEN_Z = 4.0
#: … and take away this share of its variance.
HIDDEN_GAIN = 0.05
#: Where the values themselves predict this share of what their ranks do, they hide nothing.
HIDDEN_OF_RANKS = 0.5

# ------------------------------------------------------------------------------------ plans: which fits

#: The share of the training rows on which the pick is tried again, and the factors on its strengths.
SMALLER_SHARE = 0.25
SMALLER_FACTORS = (0.25, 1.0, 4.0)
#: The factors for models trained on all rows.
FULL_SIZE_FACTORS = (0.5, 1.0, 2.0)
#: Rows from which on one fold tells losers from winners.
ONE_FOLD_ROWS = 500
#: Combinations that lose this share of the loss when they are rescaled to all rows get one candidate.
ONE_CANDIDATE_FROM = 0.05
#: Linear models start from fewer strengths on so many rows: with 5 or 6 of a kind instead of 8 or 12, regret
#: was 0.5 points lower [-1.2, 0.1] on 15 sets of 1,000 rows and more, 2.2 higher [-2.6, 8.1] on 33 smaller.
SMOOTH_FROM_ROWS = 1_000
#: One candidate in so many goes on to the remaining folds.
STAGE_REDUCTION = 3
#: Of linear models only those are stopped whose loss is higher than the best one's by this share of it, four
#: times what ties, and so many standard errors on top.
LOST_BY = 4 * SAME_REGION
LOST_SE = 3.0
#: Rescaled strengths lose at most this share of what the kind is ahead of the constant.
RESCALING_MOST_LOST = 0.5
#: The log of a best strength is never taken for better known than this: a third of the grid's step.
STRENGTH_LEAST_SE = 0.35
#: The smallest walk is tried if it is projected to take no more than so many times the budget: a pilot on a
#: busy machine errs, and what is cut costs no more than the budget.
SMALLEST_WALK_WITHIN = 2.0
#: Share of a budget in seconds that reading may take: what else looks at all rows takes five to ten times as
#: long (1 million × 20 and 200 × 100,000 numbers, ``benchmarks/RESULTS.md``).
READ_SHARE = 0.05
#: At least so many rows are read, and of every class.
FEWEST_ROWS_READ, FEWEST_ROWS_READ_OF_CLASS = 200, 10

# ------------------------------------------------------------------------------------------ samples and folds

#: Share of the rows that are only trained on. What a fold learns from the first sixth (six equal blocks) asks
#: for stronger penalties than all rows do. Without that fold a dense cross-validation left 1.1% less of the
#: test loss with networks and 3.6% less with linear models: means of five time-ordered sets, mostly of one.
FIRST_WINDOW = 1 / 3
#: Blocks per test fold within which losses may depend on each other.
FORWARD_CLUSTERS = 10
#: Where the same groups occur at all times, each fold tests one of so many sets of groups.
FORWARD_GROUP_SETS = 3
#: Quantile bins of a regression target; with 10, stratification removes nearly all between-bin noise.
TARGET_BINS = 10
#: Whole groups are drawn only if this many per fold come in; else rows within groups are drawn too.
GROUPS_PER_FOLD = 4
#: Rows to test on, per row to train on: as many (a single block: twice), at least half, else none is made.
BLOCK_MOST_TESTED = 1.0
BLOCK_MOST_TESTED_BY_ONE = 2.0
BLOCK_FEWEST_TESTED = 0.5
#: Share of the rows, the last in time, that a block is tested on.
LATE_SHARE = 1 / 3
#: Whole groups never add up exactly; a size below this share of the wanted one is worth a note.
CLEARLY_FEWER_ROWS = 0.9
#: A larger source is judged by so many of its rows, or this many times the sample's if that is more: means
#: are then known to 0.0045 standard deviations, a twentieth of the difference that matters.
STAND_IN_ROWS = 50_000
STAND_IN_RATIO = 4
#: Groups of a large source that are looked at, if it has so many; beyond, as many as have so many rows.
STAND_IN_GROUPS = 100
#: Of a larger sample a random part is judged: its means are known to 0.0063 standard deviations.
JUDGED_ROWS = 25_000
#: Bins of the score, of equally many new rows: few enough that each ratio is known to about 10%.
MATCH_BINS = 20
MATCH_ROWS_PER_BIN = 20
#: Fewer new rows than this say nothing about their distribution.
MATCH_FEWEST_NEW = 2 * MATCH_ROWS_PER_BIN
#: Blocks in time (a multiple of 3), by the fewest rows that fill them.
DRIFT_BLOCKS = ((240, 24), (60, 12))
#: Target bins within which features are compared, each with its own slope.
DRIFT_BINS = 10
DRIFT_ROWS_PER_BIN = 30
#: If less than this of the position varies within class or target, the rows are sorted by the target.
DRIFT_FREE_POSITION = 1e-3
#: A variance ratio beyond e^3 is not told apart from any larger one (a rare value was not drawn at all).
LARGEST_LOG_RATIO = 3.0
#: Folds with fewer training rows than this are not made.
FEWEST_TRAINED = 40

# ----------------------------------------------------------------------------------------------------- claims

#: Probability inside the interval of a comparison.
INTERVAL = 0.95
#: Rows needed are not projected beyond this many times the rows at hand.
FARTHEST_PROJECTION = 50

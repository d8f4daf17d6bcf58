"""Q1: is the sample like the whole, which folds, drift and matching."""

# ------------------------------------------------------------------------------------------------- the sample

#: Standardised mean difference below which two samples count as balanced (Austin 2009, Stat. Med. 28:3083).
EQUIVALENT_SMD = 0.1
#: Variance ratio within 4/5 … 5/4 (Rubin 2001 uses 1/2 … 2 for observational studies; a random
#: sub sample of a known population has to do better).
EQUIVALENT_VARIANCE_RATIO = 1.25
#: A complement smaller than this share of the rows is too small to be compared with.
SMALLEST_COMPLEMENT = 0.2
#: False discovery rate of the shift tests (Benjamini and Hochberg 1995).
SHIFT_FDR = 0.05
#: Fewer expected rows of a value spoil the approximation of its share (Cochran 1954).
FEWEST_EXPECTED = 5

# ------------------------------------------------------------------------------------------ designs and folds

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

# ---------------------------------------------------------------------------- differences, drift and matching

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

# ----------------------------------------------------------------------------------- what can be validated on

#: Fewer rows than this cannot be split into folds whose losses mean anything.
FEWEST_ROWS_TO_VALIDATE = 20
#: If one group has this share of the weight, folds by group test on it what was learned from next to nothing.
LARGEST_GROUP_SHARE = 0.9

"""The families: how long networks train, default strengths, what is looked for in models of the caller's."""

# ---------------------------------------------------------------------------------------------- linear models

#: No penalty is trained as ``LogisticRegression(C=1e6)``: where a best fit exists it is the same to 4 digits,
#: where none exists (separable classes, p > n) it stands for the limit.
VANISHING_C = 1e6
#: A best fit without penalty does not exist if a row's class still gets further ahead by more than this when
#: the penalty falls tenfold; separable rows grow by about log(10) = 2.3, the others by less than 0.01.
LIMIT_GROWTH = 1.0
#: And if no class falls back by more than this share of it: by 0.0001 on classes of which one can be told
#: apart, by 0.09 and more where collinear features grew, or iterations ended.
LIMIT_LOST = 0.01
#: A caller's own steps are tried on so many rows before any fit.
ROWS_LOOKED_AT = 2_000
#: Features are unequal if the largest (root of its mean square) is so many times the median one. On 14 public
#: sets those that were scaled were of up to 5 times, and the raw ones of four sets of 108 to 400,000 times.
UNEQUAL_FEATURES = 30.0
#: Noise sd in the default L1 strength ``sd · sqrt(2·log(p)/n)`` (universal threshold: Donoho and Johnstone
#: 1994; Bickel, Ritov and Tsybakov 2009): the largest sd of a class indicator, and that of a standardised
#: target of which features explain three quarters.
DEFAULT_NOISE_SD = 0.5

# -------------------------------------------------------------------------------------- encoding for networks

#: One-hot columns of a network at most, all categorical columns together: each costs time in every step. Of
#: 800 levels in 2,000 rows, keeping the 200 most frequent left a loss 40% higher (``benchmarks/RESULTS.md``).
MOST_NETWORK_LEVELS = 1_000
#: Smooth clip of robustly scaled features, x / sqrt(1 + (x / limit)²) (RealMLP, Holzmüller et al. 2024, B.2).
SMOOTH_CLIP_LIMIT = 3.0

# -------------------------------------------------------------------------------- networks: how long to train

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
#: A sample is trained for at most this many times what it would be trained for on its own. The geometric mean
#: of equal epochs and equal steps was seen to predict well up to 12 times the sample's rows, where it is 1.3
#: times as long; at 500 times it would be 7 times as long, and fit every row by heart.
LONGEST_OF_PLANNED = 1.5
#: The fewest epochs whose held-out loss is within this share of the best are enough.
EPOCH_TOLERANCE = 0.005
#: Steps of a run of a Keras model of which nobody says how long it is trained, and the bounds of its epochs:
#: enough for Adam at its usual rate to fit a small table, and some seconds a fit.
KERAS_STEPS, KERAS_EPOCHS = 400, (5, 30)
#: A network still learns if training and held-out loss fell by this share over the second half of its epochs.
#: It was said of 23 of 121 trainings of a caller's module, cut short or not. Twice as many epochs lowered the
#: test loss of 21 of them, of 20 by 5% or more (at 0.1: 25 of 30).
STILL_FALLING = 0.2

# -------------------------------------------------------------------------------- networks: default strengths

#: Defaults without validation: l2·Σlr and l1·Σlr of the middle of what real sets ask for, and the rate
#: between the two that Srivastava et al. 2014 tried most.
DEFAULT_L2_SUM = 2.0
DEFAULT_L1_SUM = 0.06
DEFAULT_DROPOUT = 0.25
#: Defaults without validation: l2·n and l1·√n. At 1,000 rows they are the first points of the portfolios
#: (``families/neural/strengths.py``).
DEFAULT_L2_IN_LOSS = 3.0
DEFAULT_L1_IN_LOSS = 0.01

# -------------------------------------------------------------- features of a caller's module (``transform``)

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

# ---------------------------------------------------------------------- squashed outputs of a caller's module

#: Weights drawn before a caller's module counts as squashing its outputs. A third of the draws leave the sign
#: of an output to its bias: both signs show up with a probability of 1 - 2^-19.
SQUASHED_DRAWS = 60
#: Widest range that squashed outputs have (tanh; sigmoid and softmax: 1). Half of it is far from 0.
SQUASHED_SPAN = 2.0
#: Share of one-sided outputs at their end from which on something cuts them off: a softplus or ReLU has half
#: of them there, distances have next to none.
SQUASHED_SHARE = 0.2

# --------------------------------------------------------------------------------- losses of the caller's own

#: A loss that changes by less than this share when outputs and target move alike is one of differences
#: (float32 sums leave 1e-6).
SAME_LOSS = 1e-3

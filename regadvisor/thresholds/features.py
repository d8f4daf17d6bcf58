"""Q3a and Q3b: are features correlated, and is the whole picture needed."""

#: A column or level with fewer rows than this off its most frequent value says nothing about association
#: (Cochran 1954: expected counts of at least 5): two rare words may share all their three rows by chance.
FEWEST_ROWS_OFF_MODE = 5
#: Rows that are looked at, drawn at random: correlations are then known to 0.02; and columns (Q3a).
MEASURED_ROWS = 2_000
MEASURED_COLUMNS = 600
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
#: The order is looked at over 1, 2, 4, … steps, while the whole way is at least this many times as long.
ORDER_SPANS = 16
#: Fewer rows of three columns say nothing about their order; a grid of 4 by 4 has eight in each direction.
FEWEST_TRIPLES = 8
#: The smallest layout is a grid of 4 by 4; fewer neighbours have no median to speak of.
FEWEST_COLUMNS_FOR_LAYOUT = 16

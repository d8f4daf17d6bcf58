"""What is odd about the data."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Rows that the checks of the data look at: enough to see what holds in nearly every row.
TRAP_ROWS = 2_000
#: A column determines the target if a shuffled target would look the same with less than this chance, over
#: all columns: no honest table in a lifetime of tables.
LEAK_CHANCE = 1e-6
#: A column with fewer values than this share of the rows is not judged.
LEAK_PRESENT = 0.5
#: Fewer different values than this share of the rows make a numeric column one of levels.
LEAK_LEVELS = 0.5
#: What a sum, a product or a curve leaves of the target, in standard deviations: R² of 0.999999, which is
#: what rounding to three digits leaves. No measurement is that exact.
LEAK_RESIDUAL = 1e-3
#: … and where a target is written in steps of more, half a step, up to this many standard deviations.
LEAK_ROUNDED = 0.05
#: … in this share of the rows: in others something went wrong.
LEAK_ROUNDED_ROWS = 0.99
#: A sum may err in some rows (a fee was waived) if it leaves at most this share of a standard deviation, is
#: exact in this share of rows, the target varies so much in these, others are so many times as far off, and
#: there are so many rows for each column.
LEAK_SUM_LEAVES, LEAK_SUM_ROWS, LEAK_SUM_VARIES, LEAK_SUM_FAR, LEAK_SUM_EACH = 0.5, 0.85, 0.5, 5.0, 8
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
NEAR_LEAK, NEAR_LEAK_CLASSES, NEAR_LEAK_OTHERS_LEAVE = 0.98, 0.85, 0.3
#: A measurement has to predict more: an instrument that is read in two ways, or a simulated line, is no leak.
NEAR_LEAK_MEASURED = 0.995
#: What levels say is judged by rows that share theirs, which are at least this share.
NEAR_LEAK_REPEATED = 0.8
#: A column of means of the target has so many values that several rows share, and no more than this share of
#: its rows has a value of its own; in the rows looked at the target rises with it one by one, as far as so
#: many standard errors tell.
MEANS_FEWEST_LEVELS, MEANS_REPEATED, MEANS_Z = 8, 0.75, 4.0
#: A column is the target of another row if it is in this share of the rows, where two rows have the same
#: target by luck in no more than that.
SERIES_SAME, SERIES_LUCK = 0.9, 0.2
#: Whole numbers are codes if their values, with so many rows each on average, predict this much more of the
#: target's variance one by one than along the number, and by so many standard errors.
CODED_GAIN, CODED_Z, CODED_ROWS_PER_LEVEL = 0.15, 4.0, 5
#: … and as a number they say at most this share of what they say one by one.
CODED_NUMBER = 0.5
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
#: Two columns are those of a panel if this share of the rows has a pair of their values to itself, and this
#: share of all pairs is met: firms come and go, and a pair drawn at random is met twice long before.
PANEL_ONCE, PANEL_MET = 0.99, 0.5
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
#: Two rows are of one source if they are near each other, and this share of the rows near either is near
#: both.
SHARED_SAME_NEIGHBOURS = 0.5
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
#: … and at most this share of its rows repeat one.
IDENTIFIER_REPEATED = 0.02
#: … or if the name says so: parts of names, and names that are nothing but one of the others.
IDENTIFIER_PARTS = _words("id ids uid guid uuid pid idnr")
IDENTIFIER_NAMES = _words("no nr obs case index idx row rownames record serial")
#: Numbers that count rows up within this range are years: a judgement.
YEARS = (1500, 2200)
#: A number such as 9999 stands for a missing value if so many rows have it, or this share of them, and it is
#: so many times as far from the others as these are from one another.
FOR_MISSING_ROWS, FOR_MISSING_SHARE, FOR_MISSING_GAP = 3, 0.005, 2.0
#: … of a known date such as 1900-01-01: this share of that.
FOR_MISSING_DATE_GAP = 0.5
#: … or it is the only number below 0 of so many different ones, and met so many times as often as these are.
FOR_MISSING_LEVELS, FOR_MISSING_TIMES = 20, 3.0
#: A 0 is so many standard deviations (of the middle half) below the median of the others, and the least of
#: these is this share of it: of skewed prices or amounts of rain, it is not. Of more than this share of the
#: rows it is rather an answer, as the years of school of those who were not asked yet.
FOR_MISSING_ZERO_DISTANCE, FOR_MISSING_ZERO_NEXT, FOR_MISSING_ZERO_MOST = 4.0, 0.2, 0.15
#: A 9 is so far behind answers that count from 0 or 1 up.
FOR_MISSING_ANSWERS_GAP = 3
#: Rows were made of others if this share of a class lies between two others of it, as far as rounding to six
#: digits shows: directions to these two with this cosine. By luck none do in so many columns, each with so
#: many different values as a share of the rows, in steps of no more than this share of a standard deviation,
#: and with a variance of this share of the largest in so many directions.
MADE_SHARE, MADE_COSINE, MADE_FEWEST_COLUMNS = 0.05, -1.0 + 1e-9, 3
MADE_FINE, MADE_STEP, MADE_DEPTH = 0.35, 1e-4, 0.01
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
#: … and a logarithm leaves at most this share of it.
SKEWED_LEFT = 0.5
#: Whole numbers with a larger median are prices and the like rather than counts.
SKEWED_COUNTS_MEDIAN = 1_000
#: Rows pile up at an end of a target if it is met by this share of them, so many times as often as any other
#: value but one, and there are so many values: 5% of California's districts have the largest price.
PILED_SHARE, PILED_TIMES, PILED_FEWEST_VALUES = 0.03, 5, 50
#: Where so many rows are 0, a logarithm makes no one peak of a skewed target.
PILED_AT_ZERO = 0.2
#: Whole numbers from 0 on are counts if few are large; Poisson counts of mean 4 have a skewness of 0.5.
COUNTS_MEDIAN, COUNTS_SKEWED = 10, 0.5
#: Classes are called separable with so many rows per column, intercept included; up to 2, any classes are.
SEPARABLE_ROWS_PER_COLUMN = 3
SEPARABLE_FEWEST_ROWS = 10
#: Least squares errs in no more than this share of the rows (classes counting the same) where a plane tells
#: the classes apart.
SEPARABLE_HARD_ROWS = 0.15
#: Ranks show a hidden signal if held-out predictions correlate with the target by so many standard errors …
HIDDEN_Z = 4.0
#: … and take away this share of its variance.
HIDDEN_GAIN = 0.05
#: Where the values themselves predict this share of what their ranks do, they hide nothing; where ranks
#: predict it of what their squares and products do, the signal is not curved.
HIDDEN_OF_RANKS = 0.5
#: Parts of the names of durations, in small letters.
DURATION_PARTS = _words("time futime duration survival spell followup days weeks months years")
#: Parts of names: of ranks (no identifiers), of quantities (no codes), and of shares, in which 0 is a value.
RANK_PARTS = _words("rank ranking rankings place")
QUANTITY_PARTS = _words("age ages price cost costs income salary amount revenue weight height length width")
SHARE_PARTS = _words("pct perc percent percentage rate ratio share avg")
#: Parts of the names of other times: of a day, or of visits that were counted.
TIME_PARTS = _words("year yr quarter month week day doy date hour hr season age period visit wave occasion")
TIME_PARTS |= _words("interval intervals ano anno año annee année jahr mes mese mois monat semana woche")
#: Parts of the names of units of time, largest first, that together date a row.
UNITS_OF_TIME = (
    _words("year yr ano anno año annee année jahr"),
    _words("quarter qtr"),
    _words("month mo mes mese mois monat"),
    _words("week semana woche"),
    _words("day dy doy jour tag dia día"),
    _words("hour hr heure stunde hora"),
    _words("minute min"),
)

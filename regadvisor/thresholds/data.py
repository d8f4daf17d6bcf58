"""What the data are read as, which are refused, and how many rows are read."""

# -------------------------------------------------------------------------------------------------- magnitude

#: The largest value of a column, sign aside, lies between these or is 0: sums of squares of squares of
#: anything larger or smaller are no numbers (``data/numbers.py``).
SMALLEST_VALUE, LARGEST_VALUE = 1e-100, 1e100
#: The same of sparse columns (scikit-learn squares them in their own dtype, and takes less than 2e-15 for 0)
#: and of what networks square in float32.
SMALLEST_SPARSE, LARGEST_SINGLE = 1e-14, 1e15

# ---------------------------------------------------------------------------------------- targets and columns

#: Most rows of question texts or units below the names of a file.
MOST_MORE_NAMES = 3
#: More classes are refused: five rows of each are a sample that nothing is trained on in reasonable time.
MOST_CLASSES = 2_000
#: Of several columns of classes: a column of 0 and 1 is held for every class of each.
MOST_CLASSES_OF_COLUMNS = 200
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
#: … of all but this share of the rows at either end.
SCALE_ENDS = 0.02
#: Far apart: so many whole numbers in the range for each that is met (codes of land cover: 6), or multiples.
CODE_GAPS, CODE_STEP = 10, 5
#: Begin high: consecutive codes count from 0, 1 or a few more; ages, years and scores from more. Rare: a
#: class met in fewer rows than there are folds is not tested in all of them.
HIGHEST_FIRST_CODE, FEWEST_ROWS_OF_CODE = 10, 5
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

# -------------------------------------------------------------------------------------------- reading in part

#: Share of a budget in seconds that reading may take: what else looks at all rows takes five to ten times as
#: long (1 million × 20 and 200 × 100,000 numbers, ``benchmarks/RESULTS.md``).
READ_SHARE = 0.05
#: Reading may take so many seconds longer than the budget before it is refused.
READ_SLACK_S = 2.0
#: At least so many rows are read, and of every class.
FEWEST_ROWS_READ, FEWEST_ROWS_READ_OF_CLASS = 200, 10

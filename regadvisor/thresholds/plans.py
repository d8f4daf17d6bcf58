"""Q2: budgets and efforts, and which fits are made."""

# ------------------------------------------------------------------------------------------------- the budget

#: ``budget="auto"``: up to so many rows as much as the evidence needs …
AUTO_SMALL_ROWS = 6_000
#: … but at most two minutes, and at most a minute beyond; or one full run, if that takes longer and no more
#: than ten minutes.
AUTO_MOST_S, AUTO_MOST_S_OF_MANY, AUTO_LONGEST_S = 120.0, 60.0, 600.0
#: Beyond the small rows, full runs ∝ 1 / rows: ten at 5,000 rows, one at 50,000. A dense cross-validation
#: costs about 100 of them.
AUTO_FULL_RUNS, AUTO_FULL_RUNS_ROWS = 10.0, 5_000
#: A search may take this much longer than projected, and is never cut earlier than so many seconds. Linear
#: models took 0.28 to 1.43 times as long as projected on 45 sets.
AUTO_BUDGET_MARGIN = 2.0
AUTO_LEAST_DEADLINE_S = 5.0
#: From so many rows on, advice costs less than one full run; it aims at this share of it.
AUTO_CHEAP_ROWS, AUTO_CHEAP_SHARE = 50_000, 0.8
#: Rows that networks learn from at least on more than the small rows: their best regularizer changes fast
#: below (``sampling/blocks.py``), and from 500 to 1,000 rows the steps grow by the root of two only.
AUTO_LEAST_ROWS = 1_500
#: Seconds that networks, and that linear models, get whatever their full run takes.
AUTO_LEAST_S = 4.0
AUTO_LEAST_LINEAR_S = 3.0
#: Preparing rows for training takes so many times as long as reading them, at least (wide tables of numbers).
PREPARING = 3.0
#: Share of a given budget that the pilot may take, and its seconds where the budget is automatic.
PILOT_SHARE, PILOT_S = 1 / 3, 10.0
#: Share of a budget that is kept for the comparisons and the decision, and its least seconds.
RESERVE = (0.1, 0.4)

# ------------------------------------------------------------------------------------------------- which fits

#: Linear models on `SMOOTH_FROM_ROWS` and more begin with so many folds. Another one is trained on only while
#: another kind, or another strength of the leading one, may be better.
BEGUN_FOLDS = 2
#: Rows from which on one fold tells losers from winners.
ONE_FOLD_ROWS = 500
#: Combinations that lose this share of the loss when they are rescaled to all rows get one candidate.
ONE_CANDIDATE_FROM = 0.05
#: Linear models start from fewer strengths on so many rows: with 5 or 6 of a kind instead of 8 or 12, regret
#: was 0.5 points lower [-1.2, 0.1] on 15 sets of 1,000 rows and more, 2.2 higher [-2.6, 8.1] on 33 smaller.
SMOOTH_FROM_ROWS = 1_000
#: One candidate in so many goes on to the remaining folds.
STAGE_REDUCTION = 3
#: The smallest walk is tried if it is projected to take no more than so many times the budget: a pilot on a
#: busy machine errs, and what is cut costs no more than the budget.
SMALLEST_WALK_WITHIN = 2.0

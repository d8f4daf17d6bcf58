"""All checks, in the order in which their warnings are shown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from regadvisor import thresholds
from regadvisor.data.table import Table
from regadvisor.records import Note
from regadvisor.traps.alone import coded, near_leaks
from regadvisor.traps.censored import censored
from regadvisor.traps.extremes import extreme_features, odd_target
from regadvisor.traps.leaks import leaks
from regadvisor.traps.no_values import for_missing, totals_row
from regadvisor.traps.shared_rows import shared_rows
from regadvisor.traps.view import View, is_by_target, is_sorted, named
from regadvisor.words import shown


def find_traps(
    table: Table, *, seed: int, is_linear: bool = True, is_squared: bool = True
) -> tuple[Note, ...]:
    """Return warnings about the data, the worst first.

    `table`: all rows. `seed`: draws the rows that are looked at where there are too many. `is_linear`:
    whether a linear model is asked about. A network's training ends before weights grow for ever, so nothing
    is said of separable classes. `is_squared`: whether it has a squared loss (of numbers).
    """
    view = View.of(table, seed=seed)
    numbered = identifiers(view)
    leaked = leaks(view, seed=seed, numbered=numbered)
    shared, source = shared_rows(view, seed=seed)
    if not leaked:
        leaked = near_leaks(view, seed=seed, told=(*source, *numbered))
    no_values, stand_ins = for_missing(view)
    totals = totals_row(table)
    extremes: tuple[Note, ...] = ()
    if not totals:
        extremes = extreme_features(view, seed=seed, without=stand_ins)
        extremes += odd_target(view, is_squared=is_squared)
    return (
        *leaked,
        *censored(view),
        *totals,
        *shared,
        *notes_on_identifiers(view, numbered),
        *coded(view, told=source),
        *no_values,
        *extremes,
        *(separable(view, seed=seed) if is_linear else ()),
    )


#: Rows of a column that are read.
_MOST_ROWS = 100_000


def identifiers(view: View) -> dict[int, NDArray[np.float64]]:
    """Return the columns of numbers or dates that count the rows up: all their values, by position.

    A rank counts rows up as well, but goes with the target where the row order does not.
    """
    if view.table.facts.n_features == 1:
        return {}
    is_whole, repeated = view.is_whole & ~view.is_category, thresholds.IDENTIFIER_REPEATED
    numbers = [j for j in view.varying if is_whole[j] and view.n_levels[j] >= (1 - repeated) * len(view.rows)]
    wholes = {int(j): view.whole(int(j))[:_MOST_ROWS] for j in numbers}
    wholes = {j: own[~np.isnan(own)] for j, own in wholes.items()}
    return {j: own for j, own in wholes.items() if numbers_rows(own) and not _is_rank(view, j, own)}


def _is_rank(view: View, j: int, column: NDArray[np.float64]) -> bool:
    """Whether a column that is in no order of the rows goes with the target."""
    if is_sorted(column) or view.is_date[j]:
        return False
    is_there = np.isfinite(view.values[:, j])
    values, targets = view.values[is_there, j], view.targets[is_there]
    if view.table.is_classification:
        classes = [values[targets[:, 0] == code] for code in np.unique(targets[:, 0])]
        chances = [stats.kruskal(*classes).pvalue] if len(classes) > 1 else []
    else:
        chances = [stats.spearmanr(values, y).pvalue for y in targets.T]
    return any(chance < thresholds.IDENTIFIER_CHANCE for chance in chances)


def notes_on_identifiers(view: View, numbered: Mapping[int, NDArray[np.float64]]) -> tuple[Note, ...]:
    """Return warnings about columns that count the rows up: numbers name them, dates put them in order.

    Text that is different in almost every row is noted where columns are read (``"looks-like-id"``).
    """
    times = [j for j, own in numbered.items() if view.is_date[j] or _is_years(own)]
    others = [j for j in numbered if j not in times]
    has_time = view.table.facts.has_time
    in_order = all(is_sorted(numbered[j]) for j in others)
    notes = []
    if times and not has_time:
        notes.append(_dates_note(view.name(times[0]), "date" if view.is_date[times[0]] else "year"))
    return (*notes, *([_note(view, others, is_sorted=in_order)] if others else []))


def _is_years(column: NDArray[np.float64]) -> bool:
    first, last = thresholds.YEARS
    return bool(first <= column.min() and column.max() <= last)


def numbers_rows(column: NDArray[np.float64]) -> bool:
    """Whether a column counts rows up, in any order and with gaps.

    Whole numbers that measure something fall on the same value now and then: n of them, spread over m values,
    share about n²/2m, and more if they are not spread evenly. Numbers that share none, or next to none,
    where many are due, were given out one by one.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> numbers_rows(100.0 + 5 * rng.permutation(60)), numbers_rows(rng.integers(0, 10**6, size=60))
    (True, False)
    """
    values = np.sort(column)
    gaps = np.diff(values)
    n_shared = int((gaps == 0).sum())
    if len(values) < thresholds.IDENTIFIER_FEWEST_ROWS or n_shared > thresholds.IDENTIFIER_REPEATED * len(
        values
    ):
        return False
    step = float(np.gcd.reduce(gaps[gaps > 0].astype(np.int64))) if gaps.max() < 2.0**62 else 1.0
    due = len(values) ** 2 / 2 / ((values[-1] - values[0]) / step + 1)
    return bool(stats.poisson.cdf(n_shared, due) <= thresholds.IDENTIFIER_CHANCE)


def _dates_note(name: str | int, what: str) -> Note:
    how = f"time={shown(name)}" if isinstance(name, str) else "it as time="
    text = (
        f"Each row has its own {what} in {named([name])}. If later rows are to be predicted from earlier "
        f"ones, pass {how}."
    )
    return Note(code="dates-rows", text=text, is_warning=True)


def _note(view: View, found: list[int], *, is_sorted: bool) -> Note:
    names = view.names(found)
    count, them, are, it = ("numbers", "it", "it is", "it tells")
    if len(found) > 1:
        count, them, are, it = ("number", "them", "they are", "they tell")
    order = " in their order" if is_sorted else ""
    is_free = is_sorted and not view.table.facts.has_time
    time = f", or pass time= if {are} the order of time" if is_free else ""
    what = "an identifier teaches a model nothing about new rows"
    if is_sorted and is_by_target(view):
        what = f"as the rows are sorted by the target, {it} the target here, and nothing about new rows"
    return Note(
        code="numbers-rows",
        text=f"{names} {count} the rows{order}: {what}. Leave {them} out{time}.",
        is_warning=True,
    )


#: Encoded columns, rows of one linear programme, and classes asked one by one.
_MOST_COLUMNS, _MOST_IN_PROGRAMME, _MOST_CLASSES = 64, 400, 5
#: Rows by which a rule is checked.
_MOST_CHECKED = 20_000
#: Rows of the programme that are added where its rule errs, and how often.
_ROUNDS = 4
_SHUFFLES = 3
#: Values of one class on some rows that are looked up in all rows.
_MOST_HOPEFUL = 10


def separable(view: View, *, seed: int) -> tuple[Note, ...]:
    """Return a warning if a linear rule tells a class from the rest without error, in more rows than luck.

    With twice as many rows as columns or fewer, any classes can be told apart (Cover 1965, IEEE Trans.
    Electron. Comput. EC-14:326), and with few rows of a class many can, so the rule has to fail on shuffled
    classes.

    `seed`: shuffles.
    """
    features, origin = view.encoded
    n_rows, n_columns = features.shape
    is_small = n_rows < thresholds.SEPARABLE_ROWS_PER_COLUMN * (n_columns + 1)
    if not view.table.is_classification or is_small or not 0 < n_columns <= _MOST_COLUMNS:
        return ()
    rng = np.random.default_rng(seed)
    codes, counts = np.unique(view.targets[:, 0], return_counts=True)
    full = counts >= thresholds.SEPARABLE_FEWEST_ROWS
    if len(codes) < 2 or (len(codes) == 2 and not full.all()):
        return ()
    for code in codes[full][: _MOST_CLASSES if view.table.n_classes > 2 else 1]:
        side = np.where(view.targets[:, 0] == code, 1.0, -1.0)
        if _is_separable(features, side) and not any(
            _is_separable(features, rng.permutation(side)) for _ in range(_SHUFFLES)
        ):
            more, n_all = view, view.table.n_rows
            if len(view.rows) < n_all:
                more = view.with_rows(np.sort(rng.permutation(n_all)[:_MOST_CHECKED]).astype(np.intp))
            features, origin = more.encoded
            side = np.where(more.targets[:, 0] == code, 1.0, -1.0)
            if more is view or _is_separable(features, side):
                return (_separable_note(view, code, _alone(features, origin, side)),)
    return _of_one_class(view)


def _of_one_class(view: View) -> tuple[Note, ...]:
    """Return a note if all rows of one value of a column are of one class, and that is no luck.

    Only 0 or 1 and categories are asked, of which a penalty alone keeps the weight finite.
    """
    y = view.targets[:, 0]
    codes, counts = np.unique(y, return_counts=True)
    share = dict(zip(codes.tolist(), (counts / len(y)).tolist(), strict=True))
    hopeful = []
    for j in view.varying[(view.n_levels[view.varying] == 2) | view.is_category[view.varying]].tolist():
        for level in np.unique(view.values[:, j]).tolist():
            at = np.flatnonzero(view.values[:, j] == level)
            own = y[at]
            chance = share[own[0]] ** len(own) if len(own) and (own == own[0]).all() else 1.0
            if len(own) >= thresholds.SEPARABLE_FEWEST_ROWS and chance <= thresholds.ONE_CLASS_CHANCE:
                hopeful.append((len(own), j, int(view.rows[at[0]])))
    found = (
        (n, j, row)
        for _, j, row in sorted(hopeful, reverse=True)[:_MOST_HOPEFUL]
        if (n := _rows_like(view, j, row))
    )
    n, j, row = next(found, (0, 0, 0))
    if not n:
        return ()
    code, classes = view.table.targets[row, 0], view.table.facts.classes or ()
    text = (
        f"all {n:,} rows with one of the values of {view.names([j])} are of class {shown(classes[int(code)])}"
        ": without a penalty the weight of this value has no finite best value."
    )
    return (Note(code="one-class-value", text=text),)


def _rows_like(view: View, j: int, row: int) -> int:
    """Return how many rows of the table have a row's value of a column; 0 if not all are of its class."""
    whole, y = view.whole(j), view.table.targets[:, 0]
    alike = whole == whole[row]
    return int(alike.sum()) if bool((y[alike] == y[row]).all()) else 0


def _is_separable(features: NDArray[np.float64], side: NDArray[np.float64]) -> bool:
    """Whether a plane has all rows of side 1 on one side and all of side -1 on the other.

    A linear programme over some rows; rows on which its rule errs are added until there are none, or until
    the rows that there are cannot be told apart.
    """
    from scipy.optimize import linprog

    signed = side[:, None] * np.column_stack([features, np.ones(len(features))])
    # Least squares, both classes with equal weight, finds the hardest rows; or that too many are hard.
    weight = np.sqrt(np.where(side > 0, 1.0 / (side > 0).sum(), 1.0 / (side < 0).sum()))
    weights, *_ = np.linalg.lstsq(weight[:, None] * signed, weight, rcond=None)
    margins = signed @ weights
    if np.average(margins < 0, weights=weight**2) > thresholds.SEPARABLE_HARD_ROWS:
        return False
    rows = np.argsort(margins, kind="stable")[:_MOST_IN_PROGRAMME]
    for _ in range(_ROUNDS):
        if (margins > 0).all():
            return True
        found = linprog(
            np.zeros(signed.shape[1]),
            A_ub=-signed[rows],
            b_ub=-np.ones(len(rows)),
            bounds=(None, None),
            method="highs",
        )
        if found.status != 0 or found.x is None:
            return False
        margins = signed @ found.x
        rows = np.union1d(rows, np.argsort(margins, kind="stable")[:_MOST_IN_PROGRAMME])
    return bool((margins > 0).all())


def _alone(features: NDArray[np.float64], origin: NDArray[np.intp], side: NDArray[np.float64]) -> int | None:
    """Return the column of which a threshold tells the classes apart, if there is one."""
    here, there = features[side > 0], features[side < 0]
    above, below = here.min(axis=0) > there.max(axis=0), here.max(axis=0) < there.min(axis=0)
    found = np.flatnonzero(above | below)
    return int(origin[found[0]]) if len(found) else None


def _separable_note(view: View, code: float, alone: int | None) -> Note:
    classes = view.table.facts.classes or ()
    which = "the classes" if len(classes) == 2 else f"class {shown(classes[int(code)])} and the rest"
    rule = "a linear rule" if alone is None else f"a threshold on {view.names([alone])}"
    text = (
        f"{rule} tells {which} apart without error. Without a penalty the weights have no finite best value: "
        "they grow for as long as training goes on, and a mild penalty ends that."
    )
    return Note(code="separable-classes", text=text, is_warning=True)

"""Some rows of a table as plain numbers, which every check reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from sklearn.neighbors import NearestNeighbors

from regadvisor.data.levels import text_levels
from regadvisor.data.numbers import some_numbers
from regadvisor.data.table import Table
from regadvisor.records import Note
from regadvisor.thresholds import COPIES_SHARE, SHARED_FEWEST_LEVELS, SHARED_LARGEST, TRAP_ROWS
from regadvisor.words import agreed, listed, shown

#: Cells looked at together (8 MB of float64).
_MOST_CELLS = 1_000_000
#: A category becomes so many columns of 0 and 1 at most.
_MOST_LEVELS = 30
#: Rows by which the columns of a very wide table are ranked.
_PROBE_ROWS = 300


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """What the checks look at: at most ``TRAP_ROWS`` rows, drawn once, and as many columns as is cheap."""

    table: Table
    #: (n_looked,): rows of the table that are looked at, in order.
    rows: NDArray[np.intp]
    #: (n_columns,): columns that are looked at: all, or of a very wide table those that go with the target
    #: most.
    at: NDArray[np.intp]
    #: (n_looked, n_columns): numbers; codes of categories (-1: missing); dates in microseconds. NaN is
    #: missing.
    values: NDArray[np.float64]

    @classmethod
    def of(cls, table: Table, *, seed: int) -> View:
        """Draw the rows and read them."""
        rng = np.random.default_rng(seed)
        rows = np.arange(table.n_rows, dtype=np.intp)
        if table.n_rows > TRAP_ROWS:
            rows = np.sort(rng.choice(table.n_rows, size=TRAP_ROWS, replace=False)).astype(np.intp)
        at = _columns(table, rows, rng)
        return cls(table=table, rows=rows, at=at, values=read(table, rows, at))

    def with_rows(self, rows: NDArray[np.intp]) -> View:
        """Return a view of other rows."""
        return replace(self, rows=rows, values=read(self.table, rows, self.at))

    def name(self, j: int | np.intp) -> str | int:
        """Return the name of the column that stands at `j` here."""
        return self.table.facts.columns[int(self.at[j])].name

    def names(self, chosen: Sequence[int]) -> str:
        """Return the names of columns that stand here, as people write them."""
        return named([self.name(j) for j in chosen])

    def passed(self, j: int | np.intp, argument: str) -> str:
        """Return how to pass a column as an argument; by its name it is no feature any more."""
        name = self.name(j)
        if isinstance(name, str):
            return f"pass {argument}={shown(name)}"
        return f"pass column {name} as {argument}={' and leave it out of X' * (argument == 'groups')}"

    def whole(self, j: int) -> NDArray[np.float64]:
        """Return all rows of the column that stands at `j` here."""
        return read(self.table, None, self.at[[j]])[:, 0]

    @property
    def targets(self) -> NDArray[np.float64]:
        """The target on these rows, shape (n_looked, n_targets)."""
        return np.asarray(self.table.targets[self.rows], dtype=np.float64)

    @cached_property
    def is_category(self) -> NDArray[np.bool_]:
        """Whether each column holds categories, shape (n_columns,)."""
        return _are(self.table, self.at, "categorical")

    @cached_property
    def is_date(self) -> NDArray[np.bool_]:
        """Whether each column holds dates, shape (n_columns,)."""
        return _are(self.table, self.at, "date")

    @cached_property
    def is_whole(self) -> NDArray[np.bool_]:
        """Whether each column holds whole numbers only, shape (n_columns,); missing ones do not count."""
        with np.errstate(invalid="ignore"):
            return np.asarray(((self.values == np.round(self.values)) | np.isnan(self.values)).all(axis=0))

    @cached_property
    def ordered(self) -> NDArray[np.float64]:
        """The values of each column in ascending order, shape (n_columns, n_looked); missing ones last."""
        return np.sort(self.values.T, axis=1)

    @cached_property
    def n_levels(self) -> NDArray[np.intp]:
        """How many different values each column has, shape (n_columns,); missing is one of them."""
        n_missing = np.isnan(self.ordered).sum(axis=1)
        steps = (self.ordered[:, 1:] != self.ordered[:, :-1]).sum(axis=1)
        return np.asarray(1 + steps - np.maximum(n_missing - 1, 0), dtype=np.intp)

    @cached_property
    def is_spread(self) -> NDArray[np.bool_]:
        """Whether each column has many values, none of which many rows have, shape (n_columns,)."""
        most = int(SHARED_LARGEST * len(self.rows))
        is_even = ~(self.ordered[:, most:] == self.ordered[:, : len(self.rows) - most]).any(axis=1)
        is_there = np.isnan(self.ordered).sum(axis=1) <= most
        return np.asarray(is_even & is_there & (self.n_levels >= SHARED_FEWEST_LEVELS))

    @cached_property
    def varying(self) -> NDArray[np.intp]:
        """Columns that hold at least two different values on these rows."""
        with np.errstate(invalid="ignore"):
            low, high = np.fmin.reduce(self.values, axis=0), np.fmax.reduce(self.values, axis=0)
        return np.flatnonzero(low < high).astype(np.intp)

    @cached_property
    def encoded(self) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Standardised columns of numbers, (n_looked, n_encoded), and the column each comes from.

        Missing numbers become the mean. A category becomes columns of 0 and 1, unless it has too many levels.
        """
        parts, origin = [], []
        for j in self.varying:
            column = self.values[:, j]
            if not self.is_category[j]:
                is_full = not np.isnan(self.ordered[j, -1])
                parts.append(column if is_full else np.where(np.isnan(column), np.nanmean(column), column))
                origin.append(j)
                continue
            levels = np.unique(column)
            if len(levels) <= _MOST_LEVELS:
                parts += [(column == level).astype(np.float64) for level in levels]
                origin += [j] * len(levels)
        return standardised(np.column_stack(parts) if parts else np.empty((len(self.rows), 0))), np.array(
            origin, dtype=np.intp
        )

    def ranked(self, chosen: NDArray[Any]) -> NDArray[np.float64]:
        """Return columns of :attr:`encoded` with normal scores of the ranks in place of the values."""
        return standardised(normal_scores(self.encoded[0][:, chosen]))


def without_copies(view: View) -> View:
    """Return a view of different rows; where most rows repeat others, they are coarse values, no copies."""
    both = np.column_stack([view.values, view.targets])
    first = np.unique(both, axis=0, return_index=True)[1]
    if not (1.0 - COPIES_SHARE) * len(both) <= len(first) < len(both):
        return view
    return view.with_rows(view.rows[np.sort(first)])


def named(names: Sequence[str | int]) -> str:
    """Return names of columns as people write them.

    >>> named(["age"]), named([3]), named([0, 2])
    ("'age'", 'column 3', 'columns 0 and 2')
    """
    numbers = "" if isinstance(names[0], str) else "column " if len(names) == 1 else "columns "
    return numbers + listed(names)


def original_rows(table: Table, rows: NDArray[Any]) -> list[int]:
    """Return the numbers that rows of the table have in what the caller passed, counted from 0."""
    kept = rows if table.kept is None else np.flatnonzero(table.kept)[rows]
    return [int(row) for row in kept]


def _are(table: Table, at: NDArray[np.intp], kind: str) -> NDArray[np.bool_]:
    """Return which columns are of a kind."""
    return np.array([table.facts.columns[j].kind == kind for j in at], dtype=np.bool_)


def as_written(table: Table, y: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return a target as the numbers that the caller wrote; None if its classes are none."""
    if not table.is_classification:
        return y
    labels = table.facts.classes or ()
    if not all(isinstance(label, int | float) for label in labels):
        return None
    return np.array(labels, dtype=np.float64)[y.astype(np.intp)]


def standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return columns with mean 0 and standard deviation 1; constant ones become 0."""
    largest = np.abs(values).max(axis=0, initial=0.0)
    scaled = values / np.where(largest > 0, largest, 1.0)  # squares of large values stay finite
    centred = scaled - scaled.mean(axis=0)
    sd = centred.std(axis=0)
    return np.asarray(centred / np.where(sd > 1e-12, sd, np.inf))


def normal_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each column's ranks as quantiles of the normal distribution: no value is extreme any more.

    >>> normal_scores(np.array([[1.0], [2.0], [1e9]])).round(2).ravel().tolist()
    [-0.67, 0.0, 0.67]
    """
    if not values.size:
        return values
    ranks = stats.rankdata(values, axis=0)
    return np.asarray(special.ndtri(ranks / (len(values) + 1)))


def read(table: Table, rows: NDArray[np.intp] | None, at: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return columns of a table as numbers, shape (n_rows, n_at); see :class:`View`."""
    X: Any = table.X
    is_text = _are(table, at, "categorical")
    if not is_text.any():
        return some_numbers(X, rows, at)
    values = np.empty((len(X) if rows is None else len(rows), len(at)))
    values[:, ~is_text] = some_numbers(X, rows, at[~is_text])
    for i in np.flatnonzero(is_text):
        column = X.iloc[:, at[i]]
        values[:, i] = text_levels(column if rows is None else column.iloc[rows]).codes
    return values


def whole_columns(table: Table, at: Sequence[int]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield columns of a table one by one, with all their rows: where they stand, the numbers."""
    X: Any = table.X
    some = X[:, list(at)].tocsc() if hasattr(X, "tocsc") else None
    for i, j in enumerate(at):
        if some is None:
            yield j, read(table, None, np.array([j], dtype=np.intp))[:, 0]
            continue
        column = np.zeros(table.n_rows)
        own = slice(some.indptr[i], some.indptr[i + 1])
        column[some.indices[own]] = some.data[own]
        yield j, column


def _columns(table: Table, rows: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the columns that are looked at; of too many those with the largest correlations."""
    n_columns = table.facts.n_features
    most = max(50, _MOST_CELLS // len(rows))
    every = np.arange(n_columns, dtype=np.intp)
    if n_columns <= most:
        return every
    probe = rng.choice(rows, size=min(len(rows), _PROBE_ROWS), replace=False)
    y = standardised(np.asarray(table.targets[probe], dtype=np.float64))
    strength = np.empty(n_columns)
    for part in np.array_split(every, -(-n_columns // most)):
        found = np.nan_to_num(standardised(np.nan_to_num(read(table, probe, part))).T @ y)
        strength[part] = np.abs(found).max(axis=1)
    return np.sort(np.argsort(-strength, kind="stable")[:most]).astype(np.intp)


#: Ridge penalties tried, in units of the rows; the best is taken, as a search would.
_PENALTIES = 10.0 ** np.arange(-4, 2.0)
#: Neighbours that vote.
_NEIGHBOURS = (1, 3)
N_FOLDS = 4


def random_folds(n_rows: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the fold of each row, balanced."""
    return rng.permutation(np.arange(n_rows) % N_FOLDS).astype(np.intp)


def group_folds(groups: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the fold of each row; rows of a group share one, and folds are about equally large."""
    counts = np.bincount(groups)
    fold, filled = np.zeros(len(counts), dtype=np.intp), np.zeros(N_FOLDS)
    order = rng.permutation(len(counts))
    for group in order[np.argsort(-counts[order], kind="stable")]:
        fold[group] = np.argmin(filled)
        filled[fold[group]] += counts[group]
    return fold[groups]


def ridge(
    features: NDArray[np.float64], y: NDArray[np.float64], folds: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return held-out predictions of the best ridge regression.

    `features` (n_rows, n_features). `y` (n_rows, n_targets). `folds` (n_rows,).
    """
    held_out = np.zeros((len(_PENALTIES), *y.shape))
    for fold in np.unique(folds):
        test = folds == fold
        own, target = features[~test], y[~test]
        centre, mean = own.mean(axis=0), target.mean(axis=0)
        own, new = own - centre, features[test] - centre
        is_wide = own.shape[1] > len(own)
        gram = own @ own.T if is_wide else own.T @ own
        values, vectors = np.linalg.eigh(gram)
        right = vectors.T @ (target - mean if is_wide else own.T @ (target - mean))
        left = (new @ own.T if is_wide else new) @ vectors
        for i, penalty in enumerate(_PENALTIES * len(own)):
            held_out[i, test] = mean + (left / (np.maximum(values, 0.0) + penalty)) @ right
    errors = np.square(held_out - y).mean(axis=(1, 2))
    return np.asarray(held_out[np.argmin(errors)])


def neighbours(
    features: NDArray[np.float64], y: NDArray[np.float64], folds: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return held-out predictions by the nearest row or the mean of three; see :func:`ridge`."""
    held_out = np.zeros((len(_NEIGHBOURS), *y.shape))
    for fold in np.unique(folds):
        test = folds == fold
        nearest = nearest_rows(features[test], features[~test], max(_NEIGHBOURS))[1]
        for i, few in enumerate(_NEIGHBOURS):
            held_out[i, test] = y[~test][nearest[:, :few]].mean(axis=1)
    errors = np.square(held_out - y).mean(axis=(1, 2))
    return np.asarray(held_out[np.argmin(errors)])


def nearest_rows(
    asked: NDArray[np.float64], among: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return how far the nearest rows are and where they stand, nearest first; (n_asked, count) each."""
    search = NearestNeighbors(n_neighbors=count, algorithm="brute", n_jobs=1).fit(among)
    apart, at = search.kneighbors(asked)
    return apart, at


def distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squared distances between rows, shape (n_a, n_b)."""
    squared = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * (a @ b.T)
    return np.asarray(np.maximum(squared, 0.0))


def error(predicted: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the squared error as a share of the variance (1: no better than the mean), over all targets."""
    spread = np.square(y - y.mean(axis=0)).mean(axis=0)
    return float(np.mean(np.square(predicted - y).mean(axis=0) / np.where(spread > 0, spread, np.inf)))


def as_columns(y: NDArray[np.float64], *, is_classification: bool) -> NDArray[np.float64]:
    """Return a target (n_rows, n_targets) as columns to regress on: 0 and 1 for every class.

    >>> as_columns(np.array([[0.0], [1.0], [2.0]]), is_classification=True).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if not is_classification:
        return y
    return np.asarray((y == np.unique(y)).astype(np.float64))


def told_once(notes: Sequence[tuple[str | int, Note]], *, otherwise: str | None = None) -> tuple[Note, ...]:
    """Return notes about targets, by name; what several share is said of the first, and the others named.

    `otherwise`: how those are named of which another text says something else than of the first; None: that
    is the same.

    >>> notes = [(name, Note(code="odd", text=f"the target {name} is odd.")) for name in ("a", "b", "c")]
    >>> told_once(notes)[0].text
    "the target a is odd. So it is with the targets 'b' and 'c'."
    """
    by_code: dict[str, list[tuple[str | int, Note]]] = {}
    for name, note in notes:
        by_code.setdefault(note.code, []).append((name, note))
    told = []
    for (first_name, first), *others in by_code.values():
        alike = [
            name
            for name, note in others
            if otherwise is None
            or note.text.replace(f"target {shown(name)}", f"target {shown(first_name)}") == first.text
        ]
        unlike = [name for name, _ in others if name not in alike]
        more = "".join(
            f" {how} the {agreed(len(names), 'target', 'targets')} {listed(names)}."
            for how, names in (("So it is with", alike), (otherwise, unlike))
            if names
        )
        told.append(replace(first, text=first.text + more))
    return tuple(told)


def is_sorted(values: NDArray[Any]) -> bool:
    """Whether values rise or fall throughout; equal ones may follow each other."""
    steps = np.diff(values)
    return bool((steps >= 0).all() or (steps <= 0).all())


def is_by_target(view: View) -> bool:
    """Whether the rows are sorted by the target, each class in one run."""
    y = view.targets[:, 0]
    if view.table.is_classification:
        return int((np.diff(y) != 0).sum()) + 1 == len(np.unique(y))
    return is_sorted(y)

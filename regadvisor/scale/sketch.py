"""What one pass over the rows keeps: exact counts and moments, and a sample, in memory that does not grow.

A sketch of some rows and a sketch of others merge into the sketch of both. So parts are read in any order, by
any number of workers, and the result is the same.

Which rows are drawn follows from their keys alone. A row's id is the number of its file and its place there;
its key is a bijective hash of the id (SplitMix64 with a seed), so no two rows share one. The sample holds the
k smallest keys of every class. How many rows k is only known at the end, so a row is kept as long as its key,
as a share of the largest, is below ::

    n / N + 8 √(n / (N N_c)) + 32 / N_c

where n rows are wanted, N were seen, and N_c of the row's class. This never grows as more rows are seen, so
what is thrown away once is never wanted later; and it leaves the k rows with 8 standard deviations to spare.

Moments are merged by Chan, Golub and LeVeque (1979), in double precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regadvisor.data.hashing import GOLDEN, mix
from regadvisor.errors import DataError, ParameterError
from regadvisor.scale.arrow import (
    Counts,
    Label,
    counted,
    has_targets,
    label_codes,
    numbers_of,
    taken,
    value_counts,
)
from regadvisor.words import shown

#: What is measured of a column: the mean and variance of numbers, how often each text occurs, or nothing.
Kind = Literal["number", "text", "other"]
Keys: TypeAlias = NDArray[np.uint64]

#: Distinct values of a target that are counted, and of a text column; more of them are not counted at all.
MOST_CLASSES = 1_000
MOST_LEVELS = 1_000
#: Rows of a class that are drawn whatever its share. The keep-rate below leaves room for them.
LEAST_OF_CLASS = 10
#: Of the keep-rate: standard deviations to spare, and rows.
_SPARE_SD, _SPARE_ROWS = 8.0, 32.0
#: A pool is pruned when it has grown by this factor and number of rows.
_GROWTH, _GROWTH_ROWS = 1.25, 20_000

#: Of an id: the place in the file, and the number of the file.
ROW_BITS, _FILE_BITS = 40, 24
_ALL = np.uint64(2**64 - 1)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What is to be drawn and measured: the same for every part of a source.

    `kinds`: every column that is read. `n_rows`: rows of the sample. `is_stratified`: whether the sample
    is drawn by class; not where the target is a number, or there are several. `kept`: columns of the rows
    that are drawn, besides the targets; empty: all. `decimal`: the decimal point of numbers in text.
    """

    targets: tuple[str, ...]
    kinds: Mapping[str, Kind]
    seed: int = 0
    n_rows: int = 100_000
    is_stratified: bool = True
    kept: tuple[str, ...] = ()
    decimal: str = "."

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Columns whose moments are measured."""
        return tuple(name for name, kind in self.kinds.items() if kind == "number")

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Columns whose values are counted, the target apart."""
        return tuple(name for name, kind in self.kinds.items() if kind == "text" and name not in self.targets)

    @cached_property
    def salt(self) -> np.uint64:
        """A random number that follows from the seed."""
        return np.uint64(np.random.SeedSequence([self.seed, 0x5CA1E]).generate_state(1, dtype=np.uint64)[0])


def row_ids(file: int, first: int, n_rows: int) -> Keys:
    """Return the ids of rows that stand one after the other in a file.

    Raises ParameterError if there are more files or rows than ids.

    >>> ids = row_ids(3, 10, 2)
    >>> (ids >> np.uint64(40)).tolist(), (ids & np.uint64(2**40 - 1)).tolist()
    ([3, 3], [10, 11])
    """
    if file >= 1 << _FILE_BITS or first + n_rows > 1 << ROW_BITS:
        raise ParameterError(
            f"X must have fewer than {1 << _FILE_BITS:,} files of fewer than 10^12 rows, got file {file:,}; "
            "merge small files"
        )
    return np.arange(first, first + n_rows, dtype=np.uint64) + np.uint64(file << ROW_BITS)


def row_keys(ids: Keys, spec: Spec) -> Keys:
    """Return the keys of rows: a bijection of the ids."""
    return mix(ids * GOLDEN ^ spec.salt)


def keep_rate(n: int, n_seen: int, n_class: NDArray[Any] | int) -> NDArray[np.float64]:
    """Return the share of keys below which rows of a class are kept; it falls in both counts.

    >>> keep_rate(100, 10**6, np.array([10**6, 1_000])).round(5).tolist()
    [0.00021, 0.03463]
    """
    share, of_class = n / max(n_seen, 1), np.maximum(np.asarray(n_class, dtype=np.float64), 1.0)
    return share + _SPARE_SD * np.sqrt(share / of_class) + _SPARE_ROWS / of_class


def _limit(rate: NDArray[np.float64]) -> Keys:
    """Return the largest key that is kept at each rate."""
    whole = rate >= 1.0
    limits: Keys = np.full(rate.shape, _ALL, dtype=np.uint64)
    limits[~whole] = (rate[~whole] * 2.0**64).astype(np.uint64)
    return limits


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Count, mean and sum of squared deviations of columns, shape (n_columns,)."""

    n: NDArray[np.float64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def nothing(cls, n_columns: int) -> Moments:
        """Return the moments of no row."""
        return cls(n=np.zeros(n_columns), mean=np.zeros(n_columns), squares=np.zeros(n_columns))

    @classmethod
    def of(cls, columns: Iterable[NDArray[Any]], names: Sequence[str]) -> Moments:
        """Return the moments of columns of numbers; NaN is missing.

        Raises DataError if a value is infinite.
        """
        found, scratch = cls.nothing(len(names)), np.empty(0)
        for j, values in enumerate(columns):
            if len(scratch) < len(values):  # one for all columns: fresh memory costs more than the sums
                scratch = np.empty(len(values))
            x = scratch[: len(values)]
            np.copyto(x, values)
            with np.errstate(over="ignore", invalid="ignore"):  # beyond 1e154 no variance is known
                found.n[j], found.mean[j], found.squares[j] = _moments(x, names[j])
        return found

    def merged(self, other: Moments) -> Moments:
        """Return the moments of both."""
        n = self.n + other.n
        share = other.n / np.maximum(n, 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            step = other.mean - self.mean
            mean = self.mean + step * share
            squares = self.squares + other.squares + np.square(step) * self.n * share
        return Moments(n=n, mean=mean, squares=squares)

    @property
    def sd(self) -> NDArray[np.float64]:
        """Standard deviations."""
        return np.sqrt(self.squares / np.maximum(self.n, 1.0))


def _moments(x: NDArray[np.float64], name: str) -> tuple[int, float, float]:
    """Return count, mean and squared deviations of a column, which is written over."""
    total = x.sum()
    if not np.isfinite(total):
        x = x[~np.isnan(x)]
        if np.isinf(x).any():
            raise DataError(
                f"column {shown(name)} must be finite, got infinity (inf); drop or correct these rows"
            )
        total = x.sum()
    if not len(x):
        return 0, 0.0, 0.0
    mean = total / len(x)
    x -= mean
    np.square(x, out=x)  # not x @ x: BLAS starts threads for it, which spin and take a second core
    return len(x), float(mean), float(x.sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """Rows that may be drawn: `rows` is an Arrow table, with an id and a key for each row."""

    ids: Keys
    keys: Keys
    rows: Any

    @classmethod
    def of(cls, parts: list[Pool]) -> Pool:
        """Return the rows of several pools."""
        import pyarrow as pa

        return cls(
            ids=np.concatenate([part.ids for part in parts]),
            keys=np.concatenate([part.keys for part in parts]),
            rows=pa.concat_tables([part.rows for part in parts], promote_options="permissive"),
        )

    def take(self, rows: NDArray[Any]) -> Pool:
        """Return some of the rows: by place, or by a mask."""
        taken = self.rows.filter(rows) if rows.dtype == np.bool_ else self.rows.take(rows)
        return Pool(ids=self.ids[rows], keys=self.keys[rows], rows=taken.combine_chunks())


def _added(counts: Counts | None, more: Counts | None, most: int) -> Counts | None:
    """Return the sums; None if there are too many labels to count."""
    if counts is None or more is None:
        return None
    total = dict(counts)
    for label, count in more.items():
        total[label] = total.get(label, 0) + count
    return total if len(total) <= most else None


@dataclass(kw_only=True, eq=False)
class Sketch:
    """What is known of the rows seen so far. See the top of this file.

    `n_rows`: rows that have a target; only these are measured and drawn. `n_without`: rows without a
    target. `counts`: rows by class; None if the target is a number or has too many different values.
    `levels`: by text column how often each value occurs; None if there are too many. `n_unread`: values
    of columns of numbers that are no numbers.
    """

    spec: Spec
    n_rows: int = 0
    n_without: int = 0
    counts: Counts | None = None
    moments: Moments = field(default_factory=lambda: Moments.nothing(0))
    n_unread: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    levels: dict[str, Counts | None] = field(default_factory=dict)
    sample: Pool | None = None
    #: Of parts that were read before: what they rule out needs not be kept.
    before: Sketch | None = None
    _n_pruned: int = 0

    @classmethod
    def of_nothing(cls, spec: Spec, *, before: Sketch | None = None) -> Sketch:
        """Return the sketch of no row."""
        return cls(
            spec=spec,
            before=before,
            counts={} if spec.is_stratified else None,
            moments=Moments.nothing(len(spec.numbers)),
            n_unread=np.zeros(len(spec.numbers), dtype=np.int64),
            levels={name: {} for name in spec.texts},
        )

    def add(self, rows: Any, ids: Keys) -> None:
        """Take in the rows of an Arrow table; `ids` (n_rows,) are theirs."""
        has_target = has_targets(rows, self.spec.targets)
        if has_target is not None:
            self.n_without += int(len(ids) - has_target.sum())
            rows, ids = rows.filter(has_target), ids[has_target]
        self.n_rows += len(ids)
        self._measure(rows)
        keys = row_keys(ids, self.spec)
        codes, labels = self._count(rows)
        kept = np.flatnonzero(keys <= self._limits(codes, labels))
        if self.spec.kept:
            rows = rows.select([*self.spec.targets, *self.spec.kept])
        if len(kept) or self.sample is None:
            self._draw_from(Pool(ids=ids[kept], keys=keys[kept], rows=taken(rows, kept)))
        self.prune()

    def merge(self, other: Sketch) -> None:
        """Take in the rows of another sketch."""
        self.n_rows += other.n_rows
        self.n_without += other.n_without
        self.counts = _added(self.counts, other.counts, MOST_CLASSES)
        self.moments = self.moments.merged(other.moments)
        self.n_unread = self.n_unread + other.n_unread
        self.levels = {
            name: _added(own, other.levels[name], MOST_LEVELS) for name, own in self.levels.items()
        }
        if other.sample is not None:
            self._draw_from(other.sample)
        self.prune()

    def prune(self, *, always: bool = False) -> None:
        """Throw away rows that cannot be drawn any more, if there may be many of them."""
        most = _GROWTH * self._n_pruned + _GROWTH_ROWS
        if self.sample is not None and (always or len(self.sample.ids) > most):
            codes, labels = self.codes(self.sample.rows)
            self.sample = self.sample.take(self.sample.keys <= self._limits(codes, labels))
            self._n_pruned = len(self.sample.ids)

    def _draw_from(self, more: Pool) -> None:
        self.sample = more if self.sample is None else Pool.of([self.sample, more])

    def _limits(self, codes: NDArray[np.intp], labels: list[Label]) -> Keys | np.uint64:
        """Return the largest key that is kept, by row where there are classes."""
        known = [self] if self.before is None else [self, self.before]
        n_seen = sum(each.n_rows for each in known)
        if self.counts is None:
            return np.uint64(_limit(keep_rate(self.spec.n_rows, n_seen, n_seen))[()])
        counts = [each.counts or {} for each in known]
        sizes = np.array([sum(of.get(label, 0) for of in counts) for label in labels])
        return _limit(keep_rate(self.spec.n_rows, n_seen, sizes))[codes]

    def _count(self, rows: Any) -> tuple[NDArray[np.intp], list[Label]]:
        """Count the classes of new rows, and return theirs."""
        codes, labels = self.codes(rows)
        if self.counts is not None:
            self.counts = _added(self.counts, counted(codes, labels), MOST_CLASSES)
        return codes, labels

    def codes(self, rows: Any) -> tuple[NDArray[np.intp], list[Label]]:
        """Return the class of each row, and the labels; nothing where classes are not counted."""
        if self.counts is None:
            return np.zeros(0, dtype=np.intp), []
        return label_codes(rows[self.spec.targets[0]])

    def _measure(self, rows: Any) -> None:
        self.moments = self.moments.merged(Moments.of(self._numbers(rows), self.spec.numbers))
        for name, counts in self.levels.items():
            if counts is not None:
                self.levels[name] = _added(counts, value_counts(rows[name]), MOST_LEVELS)

    def _numbers(self, rows: Any) -> Iterator[NDArray[Any]]:
        for j, name in enumerate(self.spec.numbers):
            values, n_unread = numbers_of(rows[name], self.spec.decimal)
            self.n_unread[j] += n_unread
            yield values

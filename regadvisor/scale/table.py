"""From a sketch to the table that questions are asked about: drawn rows, and what is known of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.data.files import FileData, split_columns
from regadvisor.data.source import make_table
from regadvisor.data.table import MOST_CELLS, Table, Whole
from regadvisor.data.target import finite_numbers, holds_labels, is_coded
from regadvisor.data.thinning import shares_made_up_for
from regadvisor.data.written_target import column_with_numbers
from regadvisor.errors import DataError
from regadvisor.progress import Progress
from regadvisor.records import Column, DataFacts, Note
from regadvisor.sampling.strata import allocate
from regadvisor.scale.parts import Source
from regadvisor.scale.sketch import LEAST_OF_CLASS, MOST_CLASSES, Pool, Sketch, Spec
from regadvisor.scale.workers import WorkerError, workers
from regadvisor.thresholds import FEWEST_ROWS_TO_VALIDATE, ID_LEVEL_SHARE
from regadvisor.words import counted

#: Rows of the sample; wide tables get fewer.
SAMPLE_ROWS = 100_000


def scan(source: Source, spec: Spec, *, executor: Any = None, progress: Progress | None = None) -> Sketch:
    """Read every row of a source once, and return the sketch of them all.

    The parts are merged in their order, whoever has read them, so the result is the same to the last bit for
    any executor.

    `executor`: engines that read with threads of their own, DuckDB and polars, are read in this process.
    `progress`: called with "scan" and the share of the parts that are read.

    Raises DataError if a part cannot be read; WorkerError if a part ends every worker.
    """
    total = Sketch.of_nothing(spec)
    with workers(None if source.is_local else executor) as here:
        for share, sketch in source.sketches(spec, here, total):
            if progress is not None:
                progress("scan", share)
            if isinstance(sketch, WorkerError):
                raise sketch
            total.merge(sketch)
    total.prune(always=True)
    return total


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Names of columns by what they are for."""

    targets: tuple[str, ...]
    groups: str | None = None
    time: str | None = None


class Scanned:
    """A source, and what one pass over it found; it is read when a table is asked for.

    `seed`: decides which rows are drawn. `executor`, `progress`: as for :func:`scan`.
    """

    def __init__(
        self, source: Source, *, seed: int = 0, executor: Any = None, progress: Progress | None = None
    ) -> None:
        self._source, self._seed = source, seed
        self._executor, self._progress = executor, progress
        self._found: Sketch | None = None

    def table(self, roles: Roles, task: str = "auto") -> tuple[Table, Any]:
        """Return a table of rows drawn from the source, and their features as they were read.

        The facts of the table are those of all rows: their number, the rows of every class, the mean and
        standard deviation of the target. A source of no more rows than are drawn gives the same table as in
        memory.

        Raises DataError if the source cannot be read, or its target has more classes than are counted.
        """
        spec = _spec(self._source, roles, task=task, seed=self._seed)
        if self._found is None or self._found.spec.is_stratified != spec.is_stratified:
            self._found = scan(self._source, spec, executor=self._executor, progress=self._progress)
        sketch = self._found
        if sketch.sample is None or sketch.n_rows < 2:
            raise DataError(
                f"y must have a value in at least 2 rows, got {sketch.n_rows:,} of "
                f"{sketch.n_rows + sketch.n_without:,}; there is nothing to learn from rows without a target"
            )
        if sketch.n_rows > spec.n_rows:
            return _drawn(self._source, sketch, roles, task)
        rows = sketch.sample.take(np.argsort(sketch.sample.ids))
        table, given = _read(self._source.read(rows.rows), roles, task)
        return replace(table, notes=(*table.notes, *_without(sketch))), given


def _spec(source: Source, roles: Roles, *, task: str, seed: int) -> Spec:
    columns = pd.DataFrame(columns=list(source.kinds))
    split_columns(columns, target=roles.targets, groups=roles.groups, time=roles.time)
    n_rows = min(SAMPLE_ROWS, max(MOST_CELLS // len(source.kinds), FEWEST_ROWS_TO_VALIDATE))
    unmeasured = (roles.groups, roles.time)
    return Spec(
        targets=roles.targets,
        kinds={name: "other" if name in unmeasured else kind for name, kind in source.kinds.items()},
        seed=seed,
        n_rows=n_rows,
        is_stratified=len(roles.targets) == 1 and task != "regression",
        kept=tuple(name for name in source.kept if name not in roles.targets),
        decimal="," if source.has_decimal_comma else ".",
    )


def _read(data: FileData, roles: Roles, task: str) -> tuple[Table, Any]:
    is_single = len(roles.targets) == 1
    split = split_columns(data.frame, target=roles.targets, groups=roles.groups, time=roles.time)
    table = make_table(
        split.X,
        split.y,
        target_name=roles.targets[0] if is_single else None,
        task=task,
        groups=split.groups,
        time=split.time,
    )
    if table.facts.class_columns:
        raise DataError(
            f"y must be one column of classes, or of numbers, where data are read in parts, got "
            f"{len(roles.targets)} columns of classes; call advise() once for each, or read the table into "
            "memory"
        )
    return replace(table, notes=(*data.notes, *table.notes)), split.X


def _drawn(source: Source, sketch: Sketch, roles: Roles, task: str) -> tuple[Table, Any]:
    """Return the table of the sample, with what is known of all rows."""
    by_class = _is_by_class(source, sketch, roles, task)
    sample, weight = _sample(sketch, by_class=by_class)
    data = source.read(sample.rows)
    table, given = _read(data, roles, task)
    if table.is_classification != by_class and task == "auto":
        table, given = _read(data, roles, "classification" if by_class else "regression")
    if table.kept is not None:  # a target that only the whole reader takes for missing
        sample, given = sample.take(table.kept), given[table.kept]
        weight = None if weight is None else weight[table.kept]
    facts = _facts(table, sketch, sample)
    notes = (
        *table.notes,
        *_without(sketch),
        _note(sketch, table.n_rows, has_groups=roles.groups is not None),
    )
    whole = Whole(means=_means(sketch), shares=_shares(sketch))
    return replace(table, facts=facts, weight=weight, kept=None, whole=whole, notes=notes), given


def _is_by_class(source: Source, sketch: Sketch, roles: Roles, task: str) -> bool:
    """Whether the target is a class: as said, or by its different values and the rows of each."""
    if len(roles.targets) > 1 or task == "regression":
        return False
    pool = sketch.sample
    assert pool is not None  # there are rows
    codes, labels = sketch.codes(pool.rows)
    met, first = (
        np.unique(codes, return_index=True) if labels else (codes, np.arange(min(len(pool.ids), 1_000)))
    )
    values = source.read(pool.take(first).rows).frame[roles.targets[0]]
    is_there = values.notna().to_numpy(dtype=np.bool_)
    values = values[is_there]
    repeated = values
    if sketch.counts is not None:
        counts = np.array([sketch.counts[labels[code]] for code in met[is_there]])
        in_proportion = np.ceil(counts * min(1.0, SAMPLE_ROWS / sketch.n_rows)).astype(np.intp)
        repeated = values.repeat(in_proportion.tolist())
    read, _ = column_with_numbers(repeated, task=task)
    is_class = task != "auto" or holds_labels(read)
    if sketch.counts is None and is_class:
        raise DataError(
            f"y must have at most {MOST_CLASSES:,} classes where data are read in parts, got more; merge "
            "rare classes, or pass task='regression' if it is a number"
        )
    if sketch.counts is None or is_class:
        return is_class
    return is_coded(finite_numbers(read.dropna()))


def _sample(sketch: Sketch, *, by_class: bool) -> tuple[Pool, NDArray[np.float64] | None]:
    """Return the sample in the order of its ids; and weights, where a class was drawn beyond its share."""
    pool, n = sketch.sample, sketch.spec.n_rows
    assert pool is not None  # there are rows
    if not by_class or sketch.counts is None:
        chosen = np.argsort(pool.keys)[:n]
        return pool.take(chosen[np.argsort(pool.ids[chosen])]), None
    codes, labels = sketch.codes(pool.rows)
    sizes = np.array([sketch.counts[label] for label in labels], dtype=np.intp)
    # Largest first, then by label: which class gets a left over row does not depend on the order of the rows.
    order = np.array(sorted(range(len(labels)), key=lambda c: (-sizes[c], str(labels[c]))), dtype=np.intp)
    take = np.empty_like(sizes)
    take[order] = allocate(sizes[order], n, least=LEAST_OF_CLASS)
    # Once in some hundred thousand passes a row or two of a rare class are not among those that were kept.
    take = np.minimum(take, np.bincount(codes, minlength=len(labels)))
    by_key = np.lexsort((pool.keys, codes))
    starts = np.searchsorted(codes[by_key], np.arange(len(labels)))
    rank = np.arange(len(codes)) - starts[codes[by_key]]
    chosen = by_key[rank < take[codes[by_key]]]
    chosen = chosen[np.argsort(pool.ids[chosen])]
    return pool.take(chosen), shares_made_up_for(codes[chosen], sizes, n_wanted=n)


def _facts(table: Table, sketch: Sketch, sample: Pool) -> DataFacts:
    """Return the facts of all rows; `sample` are those of the table."""
    facts, n_rows = table.facts, sketch.n_rows
    known: dict[str, Any] = {}
    if table.is_classification:
        codes, labels = sketch.codes(sample.rows)
        counts = np.zeros(table.n_classes, dtype=np.intp)
        code_of = np.full(len(labels), -1, dtype=np.intp)
        code_of[codes] = (
            table.y
        )  # labels may be written in several ways; how a row's was read says which it is
        for label, code in zip(labels, code_of.tolist(), strict=True):
            if code >= 0 and sketch.counts is not None:
                counts[code] += sketch.counts[label]
        known["class_counts"] = tuple(int(count) for count in counts)
        n_rows = int(counts.sum())
    elif not facts.targets:
        mean, sd = _means(sketch).get(sketch.spec.targets[0], (None, None))
        known |= {} if mean is None else {"target_mean": mean, "target_sd": sd}
    seen = f"{facts.fingerprint} {n_rows} {sketch.counts} {sketch.spec.seed}"
    return replace(
        facts,
        n_rows=n_rows,
        columns=tuple(_at_full_size(column, table.n_rows, n_rows) for column in facts.columns),
        fingerprint=blake2b(seen.encode(), digest_size=16).hexdigest(),
        **known,
    )


def _at_full_size(column: Column, n_seen: int, n_rows: int) -> Column:
    """Return a column that names rows with as many names as there are rows: it is told by that."""
    if column.n_levels is None or column.n_levels <= ID_LEVEL_SHARE * n_seen:
        return column
    return replace(column, n_levels=round(column.n_levels / n_seen * n_rows))


def _means(sketch: Sketch) -> Mapping[str, tuple[float, float]]:
    """Return mean and standard deviation of the columns that hold nothing but numbers."""
    moments = sketch.moments
    return {
        name: (float(moments.mean[j]), float(moments.sd[j]))
        for j, name in enumerate(sketch.spec.numbers)
        if not sketch.n_unread[j] and moments.n[j] > 0 and np.isfinite(moments.sd[j])
    }


def _shares(sketch: Sketch) -> Mapping[str, Mapping[str, float]]:
    """Return by text column the share of each value among those that are there."""
    shares = {}
    for name, counts in sketch.levels.items():
        if counts:
            total = sum(counts.values())
            of_name: dict[str, float] = {}
            for label, count in counts.items():
                text = str(label).strip()
                of_name[text] = of_name.get(text, 0.0) + count / total
            shares[name] = of_name
    return shares


def _without(sketch: Sketch) -> Sequence[Note]:
    if not sketch.n_without:
        return ()
    text = f"{counted(sketch.n_without, 'row')} without a target were left out."
    return (Note(code="missing-target", text=text),)


def _note(sketch: Sketch, n_drawn: int, *, has_groups: bool) -> Note:
    text = (
        f"All {counted(sketch.n_rows, 'row')} were read once; {n_drawn:,} of them are used here. Class "
        "counts, means and variances come from all rows."
    )
    if has_groups:
        text += " Rows were drawn, not whole groups, so groups are smaller here than in the data."
    return Note(code="read-in-parts", text=text)

"""Question Q1 from end to end: draw the sample, judge it, ask about the real risks, make the folds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.table import Table
from regadvisor.families.base import Fold
from regadvisor.records import Note, SampleEvidence, ShiftTest
from regadvisor.sampling.drift import order_hint, time_drift
from regadvisor.sampling.folds import make_folds
from regadvisor.sampling.judge import Judgement, identical, judge_match, judge_sample
from regadvisor.sampling.keys import canonical_order, row_keys
from regadvisor.sampling.match import Matching, check_new, match_rows
from regadvisor.sampling.request import SampleArgument, SampleRequest, read_request
from regadvisor.sampling.strata import are_whole_groups, make_design
from regadvisor.words import agreed, capital, number


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """The sample, its folds and what Q1 may know about it."""

    #: (n_sample,): row numbers into the source, in an order that does not depend on the source's: what is
    #: drawn by position from now on, batches for example, is the same in whatever order the rows arrived.
    rows: NDArray[np.intp]
    #: The sample; with weights (mean 1) where the caller has some or a class was drawn beyond its share.
    table: Table
    #: Row numbers into the sample.
    folds: tuple[Fold, ...]
    #: (n_sample,): rows that are not independent share a number: groups, blocks in time, or copies.
    cluster_of_row: NDArray[np.intp] | None
    evidence: SampleEvidence
    notes: tuple[Note, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Selection:
    """Chosen rows with inverse-probability weights."""

    rows: NDArray[np.intp]
    weight: NDArray[np.float64] | None = None
    is_given: bool = False
    by_group: bool = False
    matching: Matching | None = None


def draw_sample(
    table: Table,
    *,
    n_rows: int,
    sample: SampleArgument = "auto",
    match: Table | None = None,
    folds: int = 5,
    seed: int = 0,
    size_reason: str | None = None,
) -> Drawn:
    """Draw a sample that has the distribution of the whole, show that it has, and split it into folds.

    The draw is proportional by class or target bin, with at least `folds` rows of every class that has them
    (weighted back to their share); whole groups where there are groups, rows spread over time where there is
    a time. The result does not depend on the order of the rows.

    `table`: the source. `n_rows`: rows for ``sample="auto"``; everything is used if the source has no more.
    `match`: rows the model will be used on (features only); the sample is drawn to match them. `folds`: folds
    wanted, at least 2. `size_reason`: why `n_rows`, as one sentence; it is put before the measured reason.

    Raises ParameterError if `sample`, `match`, `n_rows` or `folds` is out of its rule; DataError if groups,
    time or classes leave nothing to validate on; see :func:`make_folds`.
    """
    request = read_request(sample, n_rows=n_rows, n_source=table.facts.n_rows, kept=table.kept)
    if not request.is_allowed:
        return _nothing(table)
    if match is not None:
        check_new(table, match)
    keys = row_keys(table)
    selection = _select(table, request, match, folds=folds, seed=seed, keys=keys)
    judgement = _judge(table, selection, match, seed=seed, keys=keys)
    drawn = _taken(table, selection)
    folding = make_folds(drawn, folds=folds, seed=seed, keys=keys[selection.rows])
    has_drift, is_hint, risks = _risks(table, keys, seed=seed)
    evidence = replace(
        _nothing(table).evidence,
        is_allowed=True,
        verdict=judgement.verdict,
        size_reason=_size(table, drawn, request, is_matched=match is not None, reason=size_reason),
        worst_shift=judgement.tests[0].effect,
        worst_column=judgement.tests[0].column,
        worst_log_variance_ratio=judgement.worst_log_variance_ratio,
        shifts=judgement.shifts,
        has_drift=has_drift,
        is_drift_hint=is_hint,
        tests=(*judgement.tests, *risks),
        n_rows=drawn.n_rows,
        is_everything=drawn.n_rows == table.facts.n_rows,
        validation=folding.scheme,
        n_duplicate_rows=folding.n_duplicates,
        rare_classes=_rare_classes(drawn, folds),
    )
    notes = _notes(evidence, is_weighted=selection.weight is not None, n_asked=request.n_asked)
    if any(note.code == "coarse-rows" for note in folding.notes):  # which says what the copies were taken for
        notes = tuple(note for note in notes if note.code != "duplicate-rows")
    return Drawn(
        rows=selection.rows,
        table=drawn,
        folds=folding.folds,
        cluster_of_row=folding.cluster_of_row,
        evidence=evidence,
        notes=(*notes, *folding.notes),
    )


def _select(
    table: Table,
    request: SampleRequest,
    match: Table | None,
    *,
    folds: int,
    seed: int,
    keys: NDArray[np.uint64],
) -> _Selection:
    """Return the chosen rows, smallest key first."""
    rng = np.random.default_rng([seed, 1])
    if request.rows is not None:
        by_group = are_whole_groups(table, request.rows)
        chosen = _Selection(rows=request.rows, is_given=True, by_group=by_group)
    elif match is not None:
        order = canonical_order(table, keys)
        matching = match_rows(table, match, n_rows=request.n_rows, order=order, seed=seed)
        chosen = _Selection(rows=matching.design.draw(rng), matching=matching)
    elif request.n_rows >= table.n_rows:
        chosen = _Selection(rows=np.arange(table.n_rows, dtype=np.intp))
    else:
        design = make_design(table, request.n_rows, folds=folds, keys=keys)
        rows = design.draw(rng)
        chosen = _Selection(rows=rows, weight=design.weights(rows), by_group=_has_groups(table))
    order = np.argsort(keys[chosen.rows], kind="stable")
    weight = None if chosen.weight is None else chosen.weight[order]
    return replace(chosen, rows=chosen.rows[order], weight=weight)


def _has_groups(table: Table) -> bool:
    """Whether some rows share a group."""
    return table.groups is not None and len(np.unique(table.groups)) < table.n_rows


def _judge(
    table: Table, selection: _Selection, match: Table | None, *, seed: int, keys: NDArray[np.uint64]
) -> Judgement:
    if match is not None:
        return judge_match(table, selection.rows, match, selection.matching, seed=seed)
    if len(selection.rows) == table.facts.n_rows:
        return identical(table.n_rows)
    return judge_sample(
        table,
        selection.rows,
        selection.weight,
        is_given=selection.is_given,
        by_group=selection.by_group,
        seed=seed,
        keys=keys,
    )


def _taken(table: Table, selection: _Selection) -> Table:
    """Return the sample; the caller's weights times the inverse-probability ones, scaled to a mean of 1."""
    weight = selection.weight
    if table.weight is not None:
        own = table.weight[selection.rows]
        weight = own if weight is None else own * weight
    if weight is not None:
        weight = weight / weight.mean()
    return table.take(selection.rows, weight=weight)


def _risks(table: Table, keys: NDArray[np.uint64], *, seed: int) -> tuple[bool, bool, tuple[ShiftTest, ...]]:
    """Return whether there is drift, whether the row order hints at some, and the tests."""
    if table.time is not None:
        has_drift, tests = time_drift(table, keys, seed=seed)
        return has_drift, False, tests
    if table.groups is not None:
        return False, False, ()  # rows stand by group as a rule, which says nothing about time
    is_hint, test = order_hint(table, keys, seed=seed)
    return False, is_hint, (test,)


def _nothing(table: Table) -> Drawn:
    """Return the empty sample of ``sample=False``."""
    nothing = np.zeros(0, dtype=np.intp)
    has_groups = _has_groups(table)
    evidence = SampleEvidence(
        n_rows=0,
        n_source=table.facts.n_rows,
        is_everything=False,
        verdict="inconclusive",
        size_reason="no sub sample can be taken, as the caller said",
        validation="time" if table.time is not None else "group" if has_groups else "random",
        is_allowed=False,
        has_groups=has_groups,
    )
    return Drawn(
        rows=nothing, table=table.take(nothing), folds=(), cluster_of_row=None, evidence=evidence, notes=()
    )


def _size(
    source: Table, sample: Table, request: SampleRequest, *, is_matched: bool, reason: str | None
) -> str:
    """Return why the sample has its size, without the last full stop.

    The standard error of a standardised mean difference of n independent rows against the whole is 1/√n.
    """
    n, n_source = sample.n_rows, source.facts.n_rows
    if n == n_source:
        enough = request.rows is None and request.n_asked >= n_source
        why = f"(the limit is {request.n_asked:,})" if enough else "as asked"
        text = f"uses all {n_source:,} rows {why}"
    else:
        parts = [f"enough to know a mean to about {number(float(1 / np.sqrt(n)), 1)} standard deviations"]
        if sample.is_classification:
            counts = np.bincount(sample.y, minlength=sample.n_classes)
            there = counts[np.bincount(source.y, minlength=len(counts)) > 0]
            parts.append(f"every class has at least {int(there.min()):,} rows")
        if source.groups is not None and sample.groups is not None:
            n_groups = len(np.unique(source.groups))
            parts.append(f"from {len(np.unique(sample.groups)):,} of {n_groups:,} groups")
        asked = ", as asked" if request.is_asked else ""
        like = " like the new ones" if is_matched else ""
        text = f"{n:,} of {n_source:,} rows{like}{asked}: {'; '.join(parts)}"
    # Why a size was planned says nothing of one that was asked for, of everything, or of what match= cut.
    is_planned = not request.is_asked and n < n_source and (not is_matched or n >= request.n_asked)
    return f"{text}. {capital(reason.rstrip('.'))}" if reason and is_planned else text


def _notes(evidence: SampleEvidence, *, is_weighted: bool, n_asked: int) -> tuple[Note, ...]:
    """Return notes on weights, the size, rare classes, copies and the row order."""
    notes = []
    if is_weighted:
        text = "Rare classes are drawn beyond their share; weights give every class its share back."
        notes.append(Note(code="weighted-sample", text=text))
    if not evidence.is_everything and evidence.n_rows < thresholds.CLEARLY_FEWER_ROWS * n_asked:
        text = f"The sample has {evidence.n_rows:,} rows instead of {n_asked:,}: no more were fitting."
        notes.append(Note(code="smaller-sample", text=text))
    if evidence.rare_classes:
        names = ", ".join(f"{label} ({count})" for label, count in evidence.rare_classes[:5])
        more = f" and {len(evidence.rare_classes) - 5} more" if len(evidence.rare_classes) > 5 else ""
        text = f"Classes with fewer rows than folds: {names}{more}; not every fold tests them."
        notes.append(Note(code="rare-classes", text=text))
    if evidence.n_duplicate_rows:
        is_apart = evidence.validation in ("random", "stratified")
        how = "; copies are on the same side of every fold" * is_apart
        repeat = agreed(evidence.n_duplicate_rows, "repeats", "repeat")
        text = (
            f"{evidence.n_duplicate_rows:,} of {evidence.n_rows:,} rows {repeat} another row, target included"
        )
        text += f"{how}."
        notes.append(Note(code="duplicate-rows", text=text))
    if evidence.is_drift_hint:
        column = next((test.column for test in evidence.tests if test.what.startswith("row order")), None)
        mostly = f" (mostly {column!r})" if column else ""
        text = (
            f"The first rows look different from the last ones{mostly}. If the rows are in time order, pass "
            "time=."
        )
        notes.append(Note(code="row-order", text=text))
    return tuple(notes)


def _rare_classes(sample: Table, folds: int) -> tuple[tuple[str, int], ...]:
    """Return label and rows of each class with fewer rows than folds, rarest first."""
    if not sample.is_classification:
        return ()
    counts = np.bincount(sample.y, minlength=sample.n_classes)
    labels = sample.facts.classes or tuple(range(len(counts)))
    rare = [(str(labels[c]), int(counts[c])) for c in range(len(counts)) if counts[c] < folds]
    return tuple(sorted(rare, key=lambda pair: pair[1]))

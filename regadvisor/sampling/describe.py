"""Sentences about a sample: why it has its size, and what the reader should know."""

from __future__ import annotations

import numpy as np

from regadvisor import thresholds
from regadvisor.data.table import Table
from regadvisor.records import Note, SampleEvidence
from regadvisor.sampling.request import SampleRequest
from regadvisor.words import number


def describe_size(
    source: Table, sample: Table, request: SampleRequest, *, is_matched: bool, reason: str | None
) -> str:
    """Return why the sample has its size, as one sentence (without a full stop).

    The standard error of a standardised mean difference of n independent rows against the whole is 1/√n.
    """
    n, n_source = sample.n_rows, source.facts.n_rows
    if n == n_source:
        enough = request.rows is None and request.n_asked >= n_source
        why = f"(the limit is {request.n_asked:,})" if enough else "as asked"
        text = f"uses all {n_source:,} rows {why}"
    else:
        parts = [f"their means are off by about {number(float(1 / np.sqrt(n)), 2)} standard deviations"]
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
    return f"{reason.rstrip('.')}; {text}" if reason and is_planned else text


def describe_notes(evidence: SampleEvidence, *, is_weighted: bool, n_asked: int) -> tuple[Note, ...]:
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
        text = (
            f"{evidence.n_duplicate_rows:,} of {evidence.n_rows:,} rows repeat another row, target included."
        )
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


def rare_classes(sample: Table, folds: int) -> tuple[tuple[str, int], ...]:
    """Return label and rows of each class with fewer rows than folds, rarest first."""
    if not sample.is_classification:
        return ()
    counts = np.bincount(sample.y, minlength=sample.n_classes)
    labels = sample.facts.classes or tuple(range(len(counts)))
    rare = [(str(labels[c]), int(counts[c])) for c in range(len(counts)) if counts[c] < folds]
    return tuple(sorted(rare, key=lambda pair: pair[1]))

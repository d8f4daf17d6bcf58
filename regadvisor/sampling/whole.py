"""A sample against a source read in parts: against a reference sample, and against all rows exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.table import Table, Whole
from regadvisor.records import ShiftTest
from regadvisor.sampling.encode import encode_target, fit_encode
from regadvisor.sampling.equivalence import Equivalence, Seen, bernstein, judge_moments

if TYPE_CHECKING:
    from regadvisor.data.table import Features

#: A share is compared if the sample is expected to have so many rows of the value.
_FEWEST_OF_VALUE = 5.0
#: What the evidence calls the comparison with all rows.
EXACT = "sample against the exact means of all rows"


def judge_reference(
    table: Table, rows: NDArray[np.intp], weight: NDArray[np.float64] | None, whole: Whole, *, seed: int
) -> Equivalence:
    """Compare a sample with rows of the source that were drawn apart from it.

    Parameters
    ----------
    table : Table
        The rows that the sample was drawn from.
    rows : ndarray of intp, shape (n_sample,)
    weight : ndarray of float64, shape (n_sample,), or None
        What is to be made up for by how the sample was drawn.
    whole : Whole
    """
    others = np.flatnonzero(~np.isin(whole.row_of, rows)).astype(np.intp)
    sample, reference = table.take(rows), whole.reference.take(others)
    both = replace(
        sample,
        X=_stacked(sample.X, reference.X),
        y=np.concatenate([sample.y, reference.y]),
        groups=None,
        time=None,
        weight=None,
        given=None,
        summary=None,
    )
    _, features = fit_encode(both.X, table.facts.columns, seed=seed)
    by_row = np.zeros(both.n_rows)
    by_row[: len(rows)] = combined(table, rows, weight)
    n_source = table.facts.n_rows
    seen = Seen(
        encoded=features.joined(encode_target(both)),
        weight=by_row,
        n_units=n_source,
        share=len(rows) / n_source,
    )
    found = judge_moments(seen, what="sample against the whole")
    text = f"{found.test.text}; the whole is estimated from {len(others):,} rows drawn apart"
    return replace(found, test=replace(found.test, text=text))


def judge_exactly(
    table: Table, rows: NDArray[np.intp], weight: NDArray[np.float64] | None, whole: Whole
) -> ShiftTest | None:
    """Compare means and shares of a sample with those of every row; None if none is known.

    A mean may be off by luck as far as :func:`regadvisor.sampling.equivalence.bernstein` says.
    """
    by_row = combined(table, rows, weight)
    names, shifts, limits = [], [], []
    n_tests = len(whole.means) + sum(len(shares) for shares in whole.shares.values())
    for name, u in _standardised(table, rows, whole):
        there = ~np.isnan(u)
        if there.any():
            own = by_row[there] / by_row[there].sum()
            names.append(name)
            shifts.append(abs(float(own @ u[there])))
            largest = float(np.abs(u[there]).max() * own.max())
            limits.append(bernstein(np.array([own @ own]), np.array([largest]), n_tests=n_tests)[0])
    if not names:
        return None
    shift, limit = np.array(shifts), np.array(limits)
    is_off = (shift > thresholds.EQUIVALENT_SMD) & (shift > limit)
    worst = int(np.argmax(np.where(is_off, shift, 0.0)) if is_off.any() else np.argmax(shift))
    text = f"of {len(names)} means and shares the largest difference is {shift[worst]:.3f} ({names[worst]})"
    if is_off.any():
        text += f": more than a random draw may have in {int(is_off.sum())} of them"
    return ShiftTest(
        what=EXACT,
        verdict="inconclusive" if is_off.any() else "equivalent",
        column=names[worst],
        effect=float(shift[worst]),
        unit="standard deviations",
        text=text,
    )


def combined(table: Table, rows: NDArray[np.intp], weight: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return what each row of the sample counts: for how it came into the table, and into the sample."""
    own = np.ones(len(rows)) if table.weight is None else table.weight[rows]
    return own if weight is None else own * weight


def _standardised(table: Table, rows: NDArray[np.intp], whole: Whole) -> Any:
    """Yield name and values of each column that is known exactly: mean 0 and deviation 1 over all rows."""
    X: Any = table.X
    for j, column in enumerate(table.facts.columns):
        name = str(column.name)
        values = X.iloc[rows, j] if hasattr(X, "iloc") else X[rows, j]
        if column.kind == "numeric" and name in whole.means:
            mean, sd = whole.means[name]
            if sd > 0:
                yield name, (np.asarray(values, dtype=np.float64) - mean) / sd
        elif column.kind == "categorical" and name in whole.shares:
            series = pd.Series(values)
            texts = series.astype(str).str.strip().to_numpy()
            missing = series.isna().to_numpy()
            for label, share in whole.shares[name].items():
                if share * len(rows) >= _FEWEST_OF_VALUE and share < 1.0:
                    u = ((texts == label) - share) / np.sqrt(share * (1.0 - share))
                    yield f"{name} = {label}", np.where(missing, np.nan, u)


def _stacked(a: Features, b: Features) -> Features:
    if isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame):
        return pd.concat([a, b], ignore_index=True)
    return np.concatenate([np.asarray(a), np.asarray(b)])

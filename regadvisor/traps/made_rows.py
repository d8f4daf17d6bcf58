"""Rows that were made of others, as SMOTE does for a rare class: each lies exactly between two rows.

Random folds put such a row beside those that it was made of. Measurements do not lie on a line by luck.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.records import Note
from regadvisor.traps.leaks import written_step
from regadvisor.traps.view import View, distances, read, standardised
from regadvisor.words import shown

#: Rows that are asked about in a class, at first and if one of these is made of others; classes; and rows and
#: columns among which these are looked for.
_FIRST_ASKED, _MOST_ASKED, _MOST_CLASSES, _MOST_ROWS, _MOST_COLUMNS = 16, 100, 3, 8_000, 20
#: Of more rows of a class too few are looked at to hold both that a row was made of.
_TOO_MANY = 20_000
#: Rows between which a row may lie: the nearest of its class.
_NEAREST = 60


def made_rows(view: View, *, seed: int) -> tuple[Note, ...]:
    """Return a warning if many rows of a class lie exactly between two others of it; `seed` draws rows."""
    table, rng = view.table, np.random.default_rng(seed)
    is_fine = ~view.is_category & ~view.is_date & ~np.isnan(view.ordered[:, -1])
    is_fine &= view.n_levels >= thresholds.MADE_FINE * len(view.rows)
    columns = [j for j in rng.permutation(np.flatnonzero(is_fine)) if _is_fine(view.values[:, j])]
    columns = columns[:_MOST_COLUMNS]
    depth = np.linalg.svd(standardised(view.values[:, columns]), compute_uv=False)
    fewest = thresholds.MADE_FEWEST_COLUMNS
    if len(depth) < fewest or depth[fewest - 1] < thresholds.MADE_DEPTH * depth[0] or table.n_targets > 1:
        return ()
    y = np.asarray(table.targets[:, 0])
    share, of_class = 0.0, ""
    classes = rng.permutation(np.unique(view.targets[:, 0]))[:_MOST_CLASSES].tolist()
    for code in classes if table.is_classification else [None]:
        rows = np.arange(len(y)) if code is None else np.flatnonzero(y == code)
        if thresholds.LEAK_CURVE_ROWS <= len(rows) <= _TOO_MANY:
            rows = rng.permutation(rows)[:_MOST_ROWS].astype(np.intp)
            values = standardised(read(table, rows, view.at[columns]))
            asked = np.arange(len(rows))[:_MOST_ASKED]
            own = _share_between(values, asked) if _share_between(values, asked[:_FIRST_ASKED]) else 0.0
            if own > share:
                share = own
                of_class = (
                    "" if code is None else f" of class {shown((table.facts.classes or ())[int(code)])}"
                )
    if share < thresholds.MADE_SHARE:
        return ()
    text = (
        f"{share:.0%} of the rows{of_class} lie exactly between two others, as those made by SMOTE or by "
        "interpolation do: random folds put them beside the rows they were made of, and losses come out too "
        "low. Ask about the original rows only"
        + ("; class_weight='balanced' makes a rare class count as well." if of_class else ".")
    )
    return (Note(code="made-rows", text=text, is_warning=True),)


def _is_fine(column: NDArray[np.float64]) -> bool:
    return written_step(column) <= thresholds.MADE_STEP * float(column.std())


def _share_between(values: NDArray[np.float64], asked: NDArray[np.intp]) -> float:
    """Return the share of rows that lie on a line between two others.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows, share = rng.normal(size=(60, 4)), rng.random((60, 1))
    >>> made = share * rows + (1 - share) * rows[rng.permutation(60)]
    >>> both = np.vstack([rows, made])
    >>> _share_between(both, np.arange(60)), _share_between(both, np.arange(60, 120))
    (0.0, 0.6)
    """
    apart = distances(values[asked], values)
    n_near = min(_NEAREST, len(values) - 1)
    is_between = np.zeros(len(asked), dtype=np.bool_)
    for i, row in enumerate(asked):
        steps = values[np.argpartition(apart[i], n_near)[: n_near + 1]] - values[row]
        # Rows that differ in one column or two lie on lines, too.
        steps = steps[(np.abs(steps) > 1e-9).sum(axis=1) >= thresholds.MADE_FEWEST_COLUMNS]
        steps /= np.sqrt(np.square(steps).sum(axis=1, keepdims=True))
        is_between[i] = (steps @ steps.T).min(initial=0.0) <= thresholds.MADE_COSINE
    return float(is_between.mean())

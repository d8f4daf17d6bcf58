"""Rows that were made of others, as SMOTE does for a rare class: each lies exactly between two rows.

Random folds put such a row beside those that it was made of. Measurements do not lie on a line by luck.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.records import Note
from regadvisor.traps.leaks import written_step
from regadvisor.traps.view import View, distances, read, standardised

#: Rows that are asked about, rows and columns among which others are looked for, and the nearest of these.
_MOST_ASKED, _MOST_ROWS, _MOST_COLUMNS, _NEAREST = 100, 20_000, 20, 60
#: Of more rows too few are looked at to hold both that a row was made of.
_TOO_MANY = 40_000


def made_rows(view: View, *, seed: int) -> tuple[Note, ...]:
    """Return a warning if many rows lie exactly between two others of their class; `seed` draws rows."""
    table, rng = view.table, np.random.default_rng(seed)
    is_fine = ~view.is_category & ~view.is_date & ~np.isnan(view.ordered[:, -1])
    is_fine &= view.n_levels >= thresholds.MADE_FINE * len(view.rows)
    fine = (j for j in rng.permutation(np.flatnonzero(is_fine)) if _is_fine(view.values[:, j]))
    at = [*islice(fine, _MOST_COLUMNS)]
    fewest = thresholds.MADE_FEWEST_COLUMNS
    if len(at) < fewest or not thresholds.LEAK_CURVE_ROWS <= table.n_rows <= _TOO_MANY:
        return ()
    rows = rng.permutation(table.n_rows)[:_MOST_ROWS].astype(np.intp)
    values = read(table, rows, view.at[at])
    is_there = ~np.isnan(values).any(axis=1)  # some may be missing in rows that the view does not hold
    rows, values = rows[is_there], standardised(values[is_there])
    depth = np.linalg.eigvalsh(values.T @ values)[::-1]
    share = _share_between(values, table.target_view[rows] if table.is_classification else None)
    if depth[fewest - 1] < thresholds.MADE_DEPTH * depth[0] or share < thresholds.MADE_SHARE:
        return ()
    text = (
        f"{share:.0%} of the rows lie exactly between two others, as those made by SMOTE or by interpolation "
        "do: random folds put them beside the rows they were made of, and losses come out too low. Ask about "
        "the original rows only"
        + ("; class_weight='balanced' makes a rare class count as well." if table.is_classification else ".")
    )
    return (Note(code="made-rows", text=text, is_warning=True),)


def _is_fine(column: NDArray[np.float64]) -> bool:
    return written_step(column) <= thresholds.MADE_STEP * float(column.std())


def _share_between(values: NDArray[np.float64], classes: NDArray[np.intp] | None) -> float:
    """Return the share of the first rows that lie on a line between two others of their class.

    >>> rng = np.random.default_rng(0)
    >>> rows, share = rng.normal(size=(60, 4)), rng.random((60, 1))
    >>> made = share * rows + (1 - share) * rows[rng.permutation(60)]
    >>> _share_between(np.vstack([made, rows]), None), _share_between(rows, None)
    (0.36, 0.0)
    """
    asked = np.arange(min(_MOST_ASKED, len(values)))
    apart = distances(values[asked], values)
    if classes is not None:
        apart[classes[asked, None] != classes] = np.inf
    lines = set()  # rows on one and the same line are no made ones: incomes that stay as they are
    for row, nearest in enumerate(np.argpartition(apart, min(_NEAREST, len(values) - 1), axis=1)):
        steps = values[nearest[:_NEAREST]] - values[row]
        # Rows that differ in one column or two lie on lines, too.
        steps = steps[(np.abs(steps) > 1e-9).sum(axis=1) >= thresholds.MADE_FEWEST_COLUMNS]
        steps /= np.sqrt(np.square(steps).sum(axis=1, keepdims=True))
        cosines = steps @ steps.T
        if cosines.min(initial=0.0) <= thresholds.MADE_COSINE:
            line = steps[int(np.argmin(cosines)) // len(steps)]
            lines.add(np.abs(line).round(4).tobytes())
    return len(lines) / len(asked)

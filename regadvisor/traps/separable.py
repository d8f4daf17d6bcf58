"""Classes that a linear rule tells apart without error: without a penalty no weights are best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.records import Note
from regadvisor.traps.view import View
from regadvisor.words import shown

#: Encoded columns, rows of one linear programme, and classes asked one by one.
_MOST_COLUMNS, _MOST_IN_PROGRAMME, _MOST_CLASSES = 64, 400, 5
#: Rows by which a rule is checked.
_MOST_CHECKED = 20_000
#: Rows of the programme that are added where its rule errs, and how often.
_ROUNDS = 4
_SHUFFLES = 3


def separable(view: View, *, seed: int) -> tuple[Note, ...]:
    """Return a warning if a linear rule tells a class from the rest without error, in more rows than luck.

    With twice as many rows as columns or fewer, any classes can be told apart (Cover 1965, IEEE Trans.
    Electron. Comput. EC-14:326), and with few rows of a class many can, so the rule has to fail on shuffled
    classes.

    `seed`: shuffles.
    """
    features, _ = view.encoded
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
            checked, origin = more.encoded
            side = np.where(more.targets[:, 0] == code, 1.0, -1.0)
            if more is view or _is_separable(checked, side):
                return (_separable_note(view, code, _alone(checked, origin, side)),)
    return ()


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
        f"{rule} separates {which} without error. Without a penalty the weights have no finite best value: "
        "they grow without limit. A mild penalty keeps them finite, whether or not it lowers the held-out "
        "loss."
    )
    return Note(code="separable-classes", text=text, is_warning=True)

"""Rows that are alternatives of one choice, or a case and its matched controls: one row of each group is it.

Random folds do not flatter a model there, as rows of a group are not alike. But a model of single rows cannot
know that exactly one of them is of the class; conditional logit does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.records import Note
from regadvisor.traps.shared_rows import candidates
from regadvisor.traps.view import View
from regadvisor.words import shown


def choices(view: View) -> tuple[Note, ...]:
    """Return a warning if every group of rows that a column names has exactly one row of a class."""
    table = view.table
    if table.n_classes != 2 or table.groups is not None or table.n_targets > 1:
        return ()
    y = np.asarray(table.targets[:, 0], dtype=np.float64)
    classes = table.facts.classes or ()
    for j, groups in candidates(view):
        for code in (1, 0):
            if _is_one_of_each(groups, y == code, len(view.at)):
                name = view.names([j])
                text = (
                    f"in every group of rows with the same {name} exactly one is of class "
                    f"{shown(classes[code])}, as in choices, matched cases and balanced designs. Better "
                    f"use a conditional logit; if not, {view.passed(j, 'groups')}."
                )
                return (Note(code="one-of-each-group", text=text, is_warning=True),)
    return ()


def _is_one_of_each(groups: NDArray[np.float64], is_it: NDArray[np.bool_], n_columns: int) -> bool:
    """Whether one row of each group is of the class, and this is no luck among so many columns.

    Examples
    --------
    >>> groups = np.repeat(np.arange(40.0), 3)
    >>> first = np.arange(120) % 3 == 0
    >>> _is_one_of_each(groups, first, 5), _is_one_of_each(groups, np.roll(first, 1), 5)
    (True, True)
    >>> _is_one_of_each(groups, np.random.default_rng(0).random(120) < 1 / 3, 5)
    False
    """
    _, at, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if sizes.min() < 2 or not (np.bincount(at, weights=is_it) == 1).all():
        return False
    share = float(is_it.mean())
    chances = np.log(sizes * share) + (sizes - 1) * np.log1p(-share)
    return bool(chances.sum() <= np.log(thresholds.LEAK_CHANCE) - np.log(n_columns))

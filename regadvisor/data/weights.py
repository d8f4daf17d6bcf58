"""What weights and groups leave of the data: who has no say, and whether anyone else has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.data.table import effective_rows, largest_group_share
from regadvisor.data.target import Target, read_target
from regadvisor.errors import DataError
from regadvisor.records import Note
from regadvisor.thresholds import FEWEST_ROWS_TO_VALIDATE, LARGEST_GROUP_SHARE
from regadvisor.words import agreed, counted, listed, number

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]


def lost_classes(values: AnySeries, weight: NDArray[np.float64] | None, *, task: str) -> list[Any]:
    """Return the classes whose rows all weigh 0.

    Parameters
    ----------
    values : Series
        The target of all rows; missing where there is none.
    weight : ndarray, shape (n_rows,), or None
    task : str
        As for :func:`regadvisor.data.target.read_target`.

    Raises
    ------
    DataError
        If fewer than two classes are left.

    Examples
    --------
    >>> lost_classes(pd.Series(["a", "b", "c"]), np.array([1.0, 2.0, 0.0]), task="auto")
    ['c']
    """
    if weight is None or (weight > 0).all():
        return []
    is_there = values.notna().to_numpy(dtype=np.bool_)
    target = read_target(values[is_there], task=task)
    if target.classes is None:
        return []
    total = np.bincount(target.y, weights=weight[is_there], minlength=len(target.classes))
    lost = [label for label, sum_of in zip(target.classes, total, strict=True) if sum_of == 0]
    if lost and len(target.classes) - len(lost) < 2:
        raise DataError(
            f"sample_weight must be above 0 in some rows of at least 2 classes, got 0 in all rows of "
            f"{listed(lost)}; give these rows a weight, or leave sample_weight out"
        )
    return lost


def notes_on_weights(
    target: Target,
    weight: NDArray[np.float64] | None,
    groups: NDArray[np.intp] | None,
    lost: list[Any],
) -> tuple[Note, ...]:
    """Return warnings about rows, classes and groups that have hardly any say, or all of it.

    Parameters
    ----------
    target : Target
    weight : ndarray, shape (n_rows,), with a mean of 1, or None
    groups : ndarray of group codes, shape (n_rows,), or None
    lost : list of labels
        Classes whose rows all weigh 0.
    """
    notes = []
    if lost:
        text = (
            f"all rows of {agreed(len(lost), 'class', 'classes')} {listed(lost)} weigh 0: the advice is "
            "about the other classes only."
        )
        notes.append(Note(code="zero-weight-class", text=text, is_warning=True))
    if weight is not None and target.classes is not None:
        total = np.bincount(target.y, weights=weight, minlength=len(target.classes))
        faint = [label for label, sum_of in zip(target.classes, total, strict=True) if sum_of < 1]
        if faint:
            text = (
                f"the weights leave {agreed(len(faint), 'class', 'classes')} {listed(faint)} less of a say "
                "than a single row has: the advice hardly depends on it."
            )
            notes.append(Note(code="faint-class", text=text, is_warning=True))
    return (*notes, *_few_rows(len(target.y), weight), *_one_group(groups, weight))


def _few_rows(n_rows: int, weight: NDArray[np.float64] | None) -> tuple[Note, ...]:
    n_effective = effective_rows(n_rows, weight)
    if n_effective >= FEWEST_ROWS_TO_VALIDATE:
        return ()
    text = f"only {counted(n_rows, 'row')}: too few to validate anything with confidence."
    if n_rows >= FEWEST_ROWS_TO_VALIDATE:
        text = (
            f"the weights leave the say to about {counted(max(1, round(n_effective)), 'row')} of {n_rows:,}: "
            "too few to validate anything with confidence."
        )
    return (Note(code="few-rows", text=text, is_warning=True),)


def _one_group(groups: NDArray[np.intp] | None, weight: NDArray[np.float64] | None) -> tuple[Note, ...]:
    share = largest_group_share(groups, weight)
    if share < LARGEST_GROUP_SHARE:
        return ()
    text = (
        f"one group has {number(100 * share)}% of the {'rows' if weight is None else 'weight'}: what holds "
        "for other groups cannot be told from it."
    )
    return (Note(code="one-group", text=text, is_warning=True),)

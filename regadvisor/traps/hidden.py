"""A second look where nothing seemed to predict: extreme values may hide a signal from the squared loss."""

from __future__ import annotations

import numpy as np

from regadvisor import thresholds
from regadvisor.data.table import Table
from regadvisor.records import HIDDEN_SIGNAL, Note
from regadvisor.traps.quick import as_columns, group_folds, random_folds, ridge
from regadvisor.traps.view import View, normal_scores, standardised

#: Encoded columns that are looked at.
_MOST_COLUMNS = 300


def hidden_signal(table: Table, *, seed: int) -> tuple[Note, ...]:
    """Return a warning if ranks of the columns predict the target (of numbers: its ranks).

    Ranks have no extreme values. Held-out predictions of a ridge regression have to go with the target by
    more than chance allows; on shuffled targets they do in one of 30,000.

    Examples
    --------
    >>> from regadvisor.data.source import make_table
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> y = X[:, 0] + 0.1 * rng.normal(size=200)
    >>> y[7] = 1e9
    >>> hidden_signal(make_table(X, y), seed=0)[0].code
    'hidden-signal'
    >>> hidden_signal(make_table(X, rng.permutation(y)), seed=0)
    ()
    """
    view = View.of(table, seed=seed)
    n_encoded = len(view.encoded[1])
    if not n_encoded:
        return ()
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(n_encoded)[:_MOST_COLUMNS])
    y = as_columns(view.targets, is_classification=table.is_classification)
    y = standardised(y if table.is_classification else normal_scores(y))
    groups = None if table.groups is None else table.groups[view.rows]
    folds = random_folds(len(y), rng) if groups is None else group_folds(groups, rng)
    predicted = ridge(view.ranked(chosen), y, folds)
    gain = 1 - np.square(predicted - y).mean(axis=0)
    together = (standardised(predicted) * y).mean(axis=0) * np.sqrt(len(y))
    best = int(np.argmax(together))
    if together[best] < thresholds.HIDDEN_Z or gain[best] < thresholds.HIDDEN_GAIN:
        return ()
    text = (
        f"with ranks in place of the values, a quick linear model predicts {gain[best]:.0%} of the target's "
        "variance. Extreme values hide that: take logarithms, clip them or use ranks, and ask again."
    )
    return (Note(code=HIDDEN_SIGNAL, text=text, is_warning=True),)

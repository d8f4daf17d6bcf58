"""A second look where nothing seemed to predict: is there a signal that the model did not find?

Extreme values hide one from the squared loss: ranks, which have none, show it then, and the values do not. A
model that is trained too briefly, or with the wrong learning rate, finds none where ridge regression does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.table import Table
from regadvisor.family_spec import spec_of
from regadvisor.records import (
    CURVED_SIGNAL,
    EXPLODED,
    HIDDEN_SIGNAL,
    OTHER_ORDER,
    UNLEARNED_SIGNAL,
    Note,
    ScoreEvidence,
)
from regadvisor.traps.view import (
    View,
    as_columns,
    group_folds,
    normal_scores,
    random_folds,
    ridge,
    standardised,
    without_copies,
)

#: Encoded columns that are looked at.
_MOST_COLUMNS = 300
#: Of so many columns all products are looked at, of more the squares.
_MOST_MULTIPLIED = 20
_TRAIN_LONGER = "It may need more epochs, another learning rate or scaled features: see that it learns first."


def hidden_signal(
    table: Table,
    *,
    seed: int,
    is_linear: bool = False,
    is_solved: bool = False,
    has_intercept: bool = True,
    loss: str | None = None,
) -> tuple[Note, ...]:
    """Return a warning if ridge regression on ranks predicts the target (of numbers: its ranks), and why.

    Its held-out predictions have to go with the target by more than chance allows; on shuffled targets they
    do in one of 30,000. If ranks alone do not, their squares and products are asked as well. Where the
    caller's own steps make the features, they may be what loses the signal. If ridge regression predicts
    about as well from the values themselves, they hide nothing: the model that was asked about learned too
    little. One with an intercept and log loss or squared error that a solver fits may need more rows.
    Rows in time are not looked at, for random folds know their future, nor are rows that count differently.
    Of copies one is looked at.

    `is_linear`, `is_solved`, `has_intercept`: whether the model is linear, is fitted by a solver, and has an
    intercept. `loss`: its own, if that is neither log loss nor squared error.

    >>> from regadvisor.data.source import make_table
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> y = X[:, 0] + 0.1 * rng.normal(size=200)
    >>> hidden_signal(make_table(X, y), seed=0)[0].code
    'unlearned-signal'
    >>> y[7] = 1e9
    >>> hidden_signal(make_table(X, y), seed=0)[0].code
    'hidden-signal'
    >>> hidden_signal(make_table(X, rng.permutation(y)), seed=0)
    ()
    """
    view = without_copies(View.of(table, seed=seed))
    n_encoded = len(view.encoded[1])
    if not n_encoded or table.time is not None or table.weight is not None:
        return ()
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(n_encoded)[:_MOST_COLUMNS])
    y = as_columns(view.targets, is_classification=table.is_classification)
    groups = None if table.groups is None else table.groups[view.rows]
    folds = random_folds(len(y), rng) if groups is None else group_folds(groups, rng)
    ranks = y if table.is_classification else normal_scores(y)
    gain = _gain(view.ranked(chosen), standardised(ranks), folds)
    if table.by_label is not None and (other := _in_other_order(view, chosen, folds, gain)):
        return other
    if gain < thresholds.HIDDEN_GAIN:
        return _curved(view, chosen, standardised(ranks), folds, is_linear=is_linear)
    plain = _gain(view.encoded[0][:, chosen], standardised(y), folds)
    if table.steps is not None:
        do = "See which columns they leave out, use logarithms or ranks of extreme values, and ask again."
        return _unlearned(
            f"from ranks of all columns, a quick linear model predicts {gain:.0%}",
            "none from the features that your steps make",
            do if is_solved else f"It may need more epochs or another learning rate. {do}",
        )
    found = f"a quick linear model predicts {plain:.0%}"
    is_missed = plain >= thresholds.HIDDEN_OF_RANKS * gain
    if is_missed and not has_intercept:
        do = (
            "It has no intercept: pass fit_intercept=True, or subtract the mean of the target, and ask again."
        )
        return _unlearned(found, "none", do)
    if is_missed and not is_solved:
        return _unlearned(found, "none", _TRAIN_LONGER)
    if is_missed:
        do = "a loss that suits the target better" if loss else "more time"
        by = f" by its own loss, {loss}" if loss else ""
        return _unlearned(found, f"none{by}", f"It may need more rows, or {do}.")
    text = (
        f"with ranks in place of the values, a quick linear model predicts {gain:.0%} of the target's "
        "variance. Extreme values hide that: take logarithms, clip them or use ranks, and ask again."
    )
    return (Note(code=HIDDEN_SIGNAL, text=text, is_warning=True),)


def exploded(scores: ScoreEvidence | None) -> tuple[Note, ...]:
    """Return a warning if most training runs ended in a loss far above that of guessing, or in none.

    Those without a penalty among them: a strong one may hold weights at 0.
    """
    each = () if scores is None else scores.scores
    n_exploded = sum(score.exploded for score in each)
    if 2 * n_exploded <= len(each) or not all(score.exploded for score in each if score.kind == "none"):
        return ()
    text = (
        f"training explodes: {n_exploded:,} of {len(each):,} runs ended far above the loss of guessing, or "
        "in no number at all. Lower the learning rate or scale the features, or train longer if the model "
        "has to learn a target far from 0, and ask again."
    )
    return (Note(code=EXPLODED, text=text, is_warning=True),)


def hidden_from(family: Any, table: Table, *, seed: int) -> tuple[Note, ...]:
    """Return :func:`hidden_signal` for what a family trains."""
    learner = getattr(family, "learner", None)
    return hidden_signal(
        table,
        seed=seed,
        is_linear=spec_of(family.name).laws == "linear",
        # By a solver, with no epochs that could be too few: of a caller's function it is not known.
        is_solved=family.name == "linear" and not hasattr(learner, "function"),
        has_intercept=getattr(learner or family, "has_intercept", True),
        loss=getattr(family, "loss_name", None),
    )


def _in_other_order(
    view: View, chosen: NDArray[Any], folds: NDArray[np.intp], gain: float
) -> tuple[Note, ...]:
    """Return a warning if far more is predicted of rows that are matched by their index, not by their place.

    `gain`: what is predicted where they are matched by place.
    """
    table = view.table
    by_label = np.asarray(table.targets[table.by_label][view.rows], dtype=np.float64)
    y = as_columns(by_label, is_classification=table.is_classification)
    share = _gain(view.encoded[0][:, chosen], standardised(y), folds)
    if share < thresholds.HIDDEN_GAIN or gain > thresholds.HIDDEN_OF_RANKS * share:
        return ()
    text = (
        "X and y have the same index in different orders, and their rows are matched by place. Matched by "
        f"index, a quick linear model predicts {share:.0%} of the target's variance: pass y.loc[X.index]."
    )
    return (Note(code=OTHER_ORDER, text=text, is_warning=True),)


def _curved(
    view: View, chosen: NDArray[Any], y: NDArray[np.float64], folds: NDArray[np.intp], *, is_linear: bool
) -> tuple[Note, ...]:
    """Return a warning if squares and products of ranks predict a target whose ranks say little of it."""
    if view.table.steps is not None:
        return ()
    ranked = view.ranked(chosen)
    at = np.arange(ranked.shape[1])
    left, right = np.triu_indices(len(at)) if len(at) <= _MOST_MULTIPLIED else (at, at)
    products = standardised(ranked[:, left] * ranked[:, right])
    gain = _gain(np.hstack([ranked, products]), y, folds)
    if gain < thresholds.HIDDEN_GAIN:
        return ()
    if _gain(ranked, y, folds, least_z=-np.inf) > thresholds.HIDDEN_OF_RANKS * gain:
        return ()  # straight ranks predict most of it: the signal is not curved
    found = f"with squares and products of the columns, a quick model predicts {gain:.0%}"
    if not is_linear:
        return _unlearned(found, "none", _TRAIN_LONGER)
    text = (
        f"{found} of the target's variance: the signal is curved, and a linear model cannot see it. Add such "
        "features, as PolynomialFeatures() does, or ask about model='mlp'."
    )
    return (Note(code=CURVED_SIGNAL, text=text, is_warning=True),)


def _unlearned(found: str, learned: str, do: str) -> tuple[Note, ...]:
    text = f"{found} of the target's variance, the model asked about {learned}. {do}"
    return (Note(code=UNLEARNED_SIGNAL, text=text, is_warning=True),)


def _gain(
    features: NDArray[np.float64],
    y: NDArray[np.float64],
    folds: NDArray[np.intp],
    *,
    least_z: float = thresholds.HIDDEN_Z,
) -> float:
    """Return the share of the variance that ridge regression predicts, 0 where chance may be the reason."""
    predicted = ridge(features, y, folds)
    together = (standardised(predicted) * y).mean(axis=0) * np.sqrt(len(y))
    best = int(np.argmax(together))
    share = float(1 - np.square(predicted[:, best] - y[:, best]).mean())
    return share if together[best] >= least_z else 0.0

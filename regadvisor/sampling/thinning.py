"""The folds of a sample with fewer training rows: which strengths would a smaller sample have asked for?

That tells how strengths move with the rows. The tested rows stay, so every size is scored on the same rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.families.base import Fold
from regadvisor.sampling.draw import Drawn
from regadvisor.sampling.strata import strata_codes


def thinned(drawn: Drawn, share: float, *, seed: int) -> tuple[Fold, ...] | None:
    """Return the folds of a sample with a share of each fold's training rows.

    Every class or bin of the target keeps its share; groups stay whole. Samples of two folds are disjoint
    where the folds have training rows of their own, and nested in each other for two shares and one seed.

    Parameters
    ----------
    drawn : Drawn
    share : float
        In (0, 1).
    seed : int

    Returns
    -------
    tuple of Fold, or None
        None if there would be fewer than `thresholds.FEWEST_TRAINED` training rows, or a class without any.
    """
    strata = strata_codes(drawn.table)
    folds = []
    for number, fold in enumerate(drawn.folds):
        n_wanted = round(share * len(fold.train))
        if n_wanted < thresholds.FEWEST_TRAINED:
            return None
        rng = np.random.default_rng([seed, number])
        order = _shuffled(drawn, fold.train, strata, rng)
        train = np.sort(order[:n_wanted])
        if drawn.table.is_classification and _lacks_class(drawn, fold.train, train):
            return None
        folds.append(Fold(train=train, test=fold.test, is_block=fold.is_block))
    return tuple(folds)


def _shuffled(
    drawn: Drawn, rows: NDArray[np.intp], strata: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return rows in an order whose every beginning has the strata in proportion, or whole groups."""
    groups = drawn.table.groups
    if groups is not None:
        names, group = np.unique(np.asarray(groups)[rows], return_inverse=True)
        place = rng.permutation(len(names))[group]
        return rows[np.argsort(place, kind="stable")]
    shuffled = rng.permutation(rows)
    ordered = shuffled[np.argsort(strata[shuffled], kind="stable")]
    sizes = np.unique(strata[ordered], return_counts=True)[1]
    # Row k of a stratum of m rows comes at (k + a random start) / m of the way.
    within = np.concatenate([(np.arange(size) + rng.uniform()) / size for size in sizes])
    return ordered[np.argsort(within, kind="stable")]


def _lacks_class(drawn: Drawn, before: NDArray[np.intp], after: NDArray[np.intp]) -> bool:
    """Whether a class of a fold's training rows is missing from some of them."""
    y = drawn.table.y
    return len(np.unique(y[after])) < len(np.unique(y[before]))

"""Which folds all candidates are trained on, and which only the survivors see (see ``search/halving.py``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from regadvisor import thresholds


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The folds all candidates are trained on, and those that only the survivors see."""

    first: tuple[int, ...]
    rest: tuple[int, ...]

    @classmethod
    def of(cls, folds: Sequence[int], n_first: int) -> Stages | None:
        """Return the two stages; None where splitting the folds would save nothing.

        Parameters
        ----------
        folds : sequence of int
            Numbers of the folds, in the order in which they are trained.
        n_first : int
            Folds of the first stage; 0: there are no stages.

        Examples
        --------
        >>> Stages.of(range(5), 2)
        Stages(first=(0, 1), rest=(2, 3, 4))
        >>> Stages.of(range(3), 2) is None
        True
        """
        if n_first < 1 or len(folds) < n_first + 2:
            return None
        return cls(first=tuple(folds[:n_first]), rest=tuple(folds[n_first:]))


def share_of_fits(n_candidates: int, *, n_folds: int, n_first: int) -> float:
    """Return the fold fits of halving over those of training every candidate on every fold.

    Examples
    --------
    >>> share_of_fits(6, n_folds=5, n_first=2)
    0.6
    """
    stages = Stages.of(range(n_folds), n_first)
    if stages is None or not n_candidates:
        return 1.0
    kept = n_kept(n_candidates)
    return (n_candidates * n_first + kept * len(stages.rest)) / (n_candidates * n_folds)


def n_kept(n_candidates: int) -> int:
    """Return how many of the candidates go on, at least one.

    Examples
    --------
    >>> [n_kept(n) for n in (1, 3, 4, 12)]
    [1, 1, 2, 4]
    """
    return math.ceil(n_candidates / thresholds.STAGE_REDUCTION)

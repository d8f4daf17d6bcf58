"""Draw rows of the source that are distributed like the rows the model will be used on.

The ratio of the two densities is estimated by a classifier that tells source from new rows (Bickel, Brückner
and Scheffer 2009, JMLR 10:2137; the use of such a ratio for validation under covariate shift is due
to Sugiyama, Krauledat and Müller 2007, JMLR 8:985). Instead of weighting, rows are taken or left
(rejection sampling, Zadrozny, Langford and Abe 2003), so that every later stage sees an ordinary sample.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.table import Table
from regadvisor.errors import ParameterError
from regadvisor.sampling.difference import fit_classifier, interleaved_parts
from regadvisor.sampling.encode import Encoded, fit_encode
from regadvisor.sampling.strata import RowDesign, allocate

#: Rows of each side that the classifier is trained on.
_MOST_ROWS = 5_000
_PARTS = 5
_CLIP = 5.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Matching:
    """How well rows of the source can stand for new rows."""

    #: Draws rows in the new rows' proportions.
    design: RowDesign
    #: Kish's effective number of source rows under the estimated ratio, (Σw)² / Σw².
    effective_rows: float
    #: Share of the drawn sample that the source could not supply where it was wanted.
    shortfall: float

    @property
    def has_overlap(self) -> bool:
        """Whether the source has enough rows where the new ones are."""
        return (
            self.effective_rows >= thresholds.MATCH_FEWEST_ROWS
            and self.shortfall <= thresholds.MATCH_SHORTFALL
        )


def check_new(source: Table, new: Table) -> None:
    """Raise if new rows cannot be matched.

    Raises ParameterError if the new rows have other columns or are too few to say how they are distributed.
    """
    width, new_width = int(np.prod(source.X.shape[1:])), int(np.prod(new.X.shape[1:]))
    if width != new_width:
        raise ParameterError(
            f"match must have the {width:,} feature columns of X, got {new_width:,}; pass the same columns"
        )
    if new.X.shape[0] < thresholds.MATCH_FEWEST_NEW:
        raise ParameterError(
            f"match must have at least {thresholds.MATCH_FEWEST_NEW} rows, got {new.X.shape[0]}; "
            "without match= rows are drawn at random"
        )


def match_rows(source: Table, new: Table, *, n_rows: int, order: NDArray[np.intp], seed: int) -> Matching:
    """Return the design that draws up to `n_rows` rows of the source distributed like the new rows.

    The score (cross-fitted: no row is scored by a model that was trained on it) is cut into bins of equally
    many new rows; within a bin all source rows have the same chance. Where the source lacks rows, the sample
    is made smaller until at most 5% of it is missing.

    `source`, `new`: only their features are read. `order` (n_source,): canonical order of the source.
    """
    encode, encoded = fit_encode(source.X, source.facts.columns, seed=seed)
    rng = np.random.default_rng([seed, 4])
    source_score, new_score = _scores(encoded, encode(new.X), order, rng)
    n_bins = int(np.clip(len(new_score) // thresholds.MATCH_ROWS_PER_BIN, 2, thresholds.MATCH_BINS))
    edges = np.unique(np.quantile(new_score, np.linspace(0, 1, n_bins + 1)[1:-1]))
    source_bin, new_bin = np.searchsorted(edges, source_score), np.searchsorted(edges, new_score)
    available = np.bincount(source_bin, minlength=len(edges) + 1)
    wanted = np.bincount(new_bin, minlength=len(edges) + 1) / len(new_score)
    # The share that cannot be supplied rises with the size; the largest size with an allowed one, or all.
    sizes, most = range(1, min(n_rows, len(source_score)) + 1), thresholds.MATCH_SHORTFALL
    size = bisect_right(sizes, most, key=lambda n: _shortfall(wanted, available, n)) or len(sizes)
    take = np.minimum(allocate(np.round(wanted * 1e9).astype(np.intp), size), available)
    members = tuple(order[source_bin[order] == b] for b in range(len(edges) + 1))
    # Kish's number with the weights wanted / available; half a row where there is none, so that what the
    # source lacks counts against it.
    effective = 1.0 / np.sum(np.square(wanted) / (available + 0.5))
    return Matching(
        design=RowDesign(members=members, take=take),
        effective_rows=float(effective),
        shortfall=_shortfall(wanted, available, size),
    )


def _scores(
    source: Encoded, new: Encoded, order: NDArray[np.intp], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the classifier's log odds of being new for all rows of both sides, out of fold.

    Rows that no model was trained on get the mean of all models.
    """
    n_source = len(source.values)
    some_source = order[rng.permutation(n_source)[:_MOST_ROWS]]
    some_new = rng.permutation(len(new.values))[:_MOST_ROWS]
    trained = np.vstack([source.values[some_source], new.values[some_new]])
    trained = np.clip(trained, -_CLIP, _CLIP)
    labels = np.repeat(np.array([False, True]), [len(some_source), len(some_new)])
    parts = interleaved_parts(labels, min(_PARTS, len(some_source), len(some_new)), rng)
    own = np.zeros(len(labels))
    every = [np.zeros(n_source), np.zeros(len(new.values))]
    numbers = np.unique(parts)
    for part in numbers:
        inside = parts == part
        model = fit_classifier(trained[~inside], labels[~inside])
        own[inside] = model.decision_function(trained[inside])
        for scores, side in zip(every, (source, new), strict=True):
            scores += model.decision_function(np.clip(side.values, -_CLIP, _CLIP)) / len(numbers)
    every[0][some_source] = own[~labels]
    every[1][some_new] = own[labels]
    return every[0], every[1]


def _shortfall(wanted: NDArray[np.float64], available: NDArray[np.intp], size: int) -> float:
    """Return the share of a sample of `size` rows that bins cannot supply."""
    return max(0.0, 1.0 - float(np.minimum(wanted * size, available).sum()) / size)

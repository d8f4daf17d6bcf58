"""Q3b: is the "entire picture" needed?

Do the features describe separate variables, or is the signal spread over all of them, as over pixels,
spectra and time series? Two things speak for the whole picture, either is enough:

- *format*: the rows are image arrays, or neighbouring columns (along the columns, or along the rows and
  columns of a grid) are alike, and less so the further apart they are
  (:mod:`regadvisor.evidence.layout`).
- *density*: the share of the features that carry signal, each counted once however often others repeat it.
  It ignores the order of the columns, so it stays the same when they are shuffled.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.data.table import Table
from regadvisor.evidence.associations import Blocks, categorical_basis, draw_rows, encode, standardised_ranks
from regadvisor.evidence.layout import Layout, find_layout
from regadvisor.records import WholePictureEvidence
from regadvisor.thresholds import (
    DENSITY_NO,
    DENSITY_YES,
    FAINT_SIGNAL_Z,
    FEWEST_COLUMNS_FOR_DENSITY,
    FEWEST_ROWS_TO_MEASURE,
    MEASURED_ROWS,
)

#: Sizes that only cost time.
_DENSITY_COLUMNS = 2000
_PERMUTATIONS = 20

_DENSITY_UNIT = "the share of the features that carry signal"


def measure_whole_picture(table: Table, *, seed: int) -> WholePictureEvidence:
    """Measure whether the signal in `table` is spread over all features.

    "yes" for image arrays, for a layout whose neighbours are close (at least ``NEIGHBOURS_YES``) and in order
    (at least ``ORDER_YES``), or for a density of at least ``DENSITY_YES``. "no" if the density and one of the
    two parts of the layout are below their lower thresholds. Below
    ``FEWEST_COLUMNS_FOR_DENSITY`` columns without a layout the answer is "no": that few columns are a table
    of separate variables unless the caller says otherwise. With more columns and a signal too faint
    to see where it is, or too few rows, the answer is "unsure".

    `table`: never modified. Row weights, groups and time are not used. `seed`: for the rows, columns and
    pairs drawn where there are more than are looked at, and for the permutations.

    With `given` None. `layout` is None unless the format says yes. `margin` is the distance of the deciding
    statistic to its "yes" threshold (named by `margin_unit`), at least 0 exactly if the reply is "yes"; None
    for image arrays, where nothing measured decides.
    """
    rng = np.random.default_rng(seed)
    sample = table.take(draw_rows(table.n_rows, MEASURED_ROWS, rng))
    has_rows = sample.n_rows >= FEWEST_ROWS_TO_MEASURE
    layout = find_layout(sample, rng) if has_rows else None
    density, n_columns = _density(sample, rng) if has_rows else (None, table.facts.n_features)
    is_image = table.facts.image_shape is not None
    # Of what was measured: share of the "yes" threshold, distance to it, name.
    statistics = [] if layout is None else [layout.statistic]
    if density is not None:
        statistics.append((density / DENSITY_YES, density - DENSITY_YES, _DENSITY_UNIT))
    decides = None if is_image or not statistics else max(statistics)
    reply: Literal["yes", "no", "unsure"] = "unsure"
    if is_image or (decides is not None and decides[0] >= 1):
        reply = "yes"
    elif has_rows and _is_no(layout, density, n_columns):
        reply = "no"
    return WholePictureEvidence(
        measured=reply,
        density=density,
        neighbour_excess=None if layout is None else layout.excess,
        layout="image array" if is_image else layout.label if layout and layout.is_seen else None,
        n_columns=n_columns,
        margin=None if decides is None else decides[1],
        margin_unit=None if decides is None else decides[2],
    )


def _is_no(layout: Layout | None, density: float | None, n_columns: int) -> bool:
    if layout is not None and not layout.is_absent:
        return False
    if density is None:
        return n_columns < FEWEST_COLUMNS_FOR_DENSITY
    return density < DENSITY_NO


def _density(sample: Table, rng: np.random.Generator) -> tuple[float | None, int]:
    """Return the density, or None if it is not judged, and how many columns were looked at."""
    blocks = encode(sample, rng=rng, max_rows=sample.n_rows, max_columns=_DENSITY_COLUMNS)
    if blocks.n_variables < FEWEST_COLUMNS_FOR_DENSITY:
        return None, blocks.n_variables
    target = _encode_target(sample)
    if target.shape[1] == 0:
        return None, blocks.n_variables
    return signal_density(blocks, target, rng), blocks.n_variables


def _encode_target(sample: Table) -> NDArray[np.float64]:
    if sample.is_classification:
        return categorical_basis(pd.Series(sample.y))
    ranks, varies = standardised_ranks(np.asarray(sample.target_view, dtype=np.float64)[:, None])
    return ranks[:, varies]


def signal_density(blocks: Blocks, target: NDArray[np.float64], rng: np.random.Generator) -> float | None:
    """Return the share of the features that carry signal, in [0, 1], or None if the signal is too faint.

    The participation ratio ``(Σ s)² / (p Σ s²)`` of the features' squared correlations s with the target is
    1 if all carry equal signal, 1/3 for normally distributed effects, and k/p if k of p do. Two corrections
    make it fit for finite and correlated data:

    - *noise*: ``n s`` is about χ² with ν degrees of freedom and non-centrality λ, so ``n s − ν`` and
      ``(n s − ν)² − 4 n s + 2 ν`` estimate λ and λ² without bias; both sums are also centred on permuted
      targets. If the sum of λ is within ``FAINT_SIGNAL_Z`` standard deviations of that of permuted
      targets, there is too little signal to say where it is. The sum of λ² is taken to be at least two
      such standard deviations: then the density is a lower bound, which can say "yes" but not "no".
    - *repetition*: of features that repeat one another, all correlate with the target though one would do.
      The vector r of correlations from one half of the rows is held against the correlation matrix R of
      the other half: ``r'Rr / r'r`` is 1 for independent columns, and m if each signal occurs m times. The
      ratio is divided by it.

    `target` (n_rows, n_target): uncorrelated columns with mean 0 and mean square 1. `rng`: for the
    permutations and the halves.
    """
    n_rows, n_target = target.shape
    starts = np.concatenate([[0], np.cumsum(blocks.sizes)[:-1]])
    free = (blocks.sizes * n_target).astype(np.float64)[:, None]
    shuffled = [target[rng.permutation(n_rows)] for _ in range(_PERMUTATIONS)]
    products = blocks.values.T @ np.hstack([target, *shuffled])
    chi = np.add.reduceat(products**2, starts, axis=0) * ((n_rows - 1) / n_rows**2)
    chi = chi.reshape(len(starts), 1 + _PERMUTATIONS, n_target).sum(axis=2)
    first = (chi - free).sum(axis=0)
    second = ((chi - free) ** 2 - 4 * chi + 2 * free).sum(axis=0)
    signal = first[0] - first[1:].mean()
    if signal < FAINT_SIGNAL_Z * first[1:].std(ddof=1):
        return None
    squared, least = second[0] - second[1:].mean(), 2 * second[1:].std(ddof=1)
    ratio = signal**2 / (len(starts) * max(squared, least))
    density = float(min(1.0, ratio / max(1.0, _repetition(blocks, target, rng))))
    return None if squared < least and density < DENSITY_YES else density


def _repetition(blocks: Blocks, target: NDArray[np.float64], rng: np.random.Generator) -> float:
    order = rng.permutation(len(target))
    halves = np.array_split(order, 2)
    above = below = 0.0
    for seen, held_out in (halves, halves[::-1]):
        r = blocks.values[seen].T @ target[seen] / len(seen)
        projected = blocks.values[held_out] @ r
        above += float((projected**2).sum()) / len(held_out)
        below += float((r**2).sum())
    return above / below if below > 0 else 1.0

"""What a search gave: every candidate fit in a fixed order, as a table of scores and as arrays of losses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from regadvisor.compare.summary import exploded_from
from regadvisor.families.base import Fit, Prepared, fold_of_row, folds_in_order
from regadvisor.records import CandidateScore
from regadvisor.regularizer import Kind

Losses = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """All candidate fits of a search: by kind in the order of ``regularizer.KINDS``, then as asked for."""

    #: The folds and the constant's losses, which all fits share.
    prepared: Prepared
    #: Every finished fit, those that did not converge among them.
    fits: tuple[Fit, ...] = ()
    #: (n_rows,): row weights of the means.
    weight: Losses | None = None
    #: The folds that are compared, where a deadline came before some kind was trained on all; None: all.
    folds: tuple[int, ...] | None = None
    #: What a deadline, Ctrl-C or an error cut, as a clause, or None.
    cut: str | None = None

    @property
    def n_folds(self) -> int:
        """Folds that are compared."""
        return len(self.prepared.folds) if self.folds is None else len(self.folds)

    @cached_property
    def fold_labels(self) -> NDArray[np.intp]:
        """The fold of each row that is compared, -1 for the others; at least two folds, shape (n_rows,).

        A single fold is cut in two: how much training rows matter is then not seen, but the inflation of
        the variance for two folds, a factor of 3, is the largest there is.
        """
        every = self.prepared.folds
        compared = every if self.folds is None else [every[number] for number in self.folds]
        labels = fold_of_row(compared, self.prepared.n_rows)
        if len(compared) == 1:
            rows = np.flatnonzero(labels >= 0)
            labels[rows] = np.arange(len(rows)) % 2
        return labels

    @property
    def is_tested(self) -> NDArray[np.bool_]:
        """Which rows are in a test fold that is compared, shape (n_rows,)."""
        return np.asarray(self.fold_labels >= 0)

    @property
    def on_common_folds(self) -> Results:
        """The same fits compared on the folds that every kind has a candidate on.

        A deadline may leave some kinds on fewer folds than others. Every kind that was trained at all is
        compared, on the folds that the best covered candidate of each has.
        """
        widest: dict[Kind, frozenset[int]] = {}
        for fit in self.fits:
            if fit.job.kind == "none" or self.is_usable(fit):
                found = frozenset(self._folds_of(fit))
                widest[fit.job.kind] = max(widest.get(fit.job.kind, frozenset()), found, key=len)
        common = frozenset(self._folds_of(None)).intersection(*widest.values())
        if len(common) == len(self.prepared.folds):
            return self
        return replace(self, folds=tuple(fold for fold in self.order if fold in common))

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The folds in the order in which they are trained."""
        return folds_in_order([len(fold.train) for fold in self.prepared.folds])

    def _folds_of(self, fit: Fit | None) -> tuple[int, ...]:
        """Return the folds that a fit was trained on; of no fit, all folds."""
        every = tuple(range(len(self.prepared.folds)))
        return every if fit is None or fit.folds is None else fit.folds

    @cached_property
    def constant_loss(self) -> float:
        """Mean held-out loss of the constant."""
        return self.mean_loss(self.prepared.constant_losses)

    @cached_property
    def by_kind(self) -> dict[Kind, tuple[Fit, ...]]:
        """The fits on all folds that count, by kind: the baseline's, and those of the others that converged.

        A kind without any is left out.
        """
        grouped: dict[Kind, list[Fit]] = {}
        for fit in self.fits:
            if fit.covers(self.folds) and (fit.job.kind == "none" or self.is_usable(fit)):
                grouped.setdefault(fit.job.kind, []).append(fit)
        return {kind: tuple(fits) for kind, fits in grouped.items()}

    @property
    def n_excluded(self) -> dict[str, int]:
        """How many fits were excluded because they did not converge, by kind (kinds with none left out)."""
        counts: dict[str, int] = {}
        for fit in self.fits:
            if fit.job.kind != "none" and not self.is_usable(fit):
                counts[fit.job.kind] = counts.get(fit.job.kind, 0) + 1
        return counts

    def is_usable(self, fit: Fit) -> bool:
        """Whether a fit converged and its loss is finite on every row that it is judged by."""
        return fit.converged and bool(np.isfinite(fit.losses[self.tested_by(fit)]).all())

    def tested_by(self, fit: Fit) -> NDArray[np.intp]:
        """Return the rows that a fit is judged by, ascending: those compared, or of the folds it has."""
        if fit.covers(self.folds):
            return np.flatnonzero(self.is_tested)
        return np.sort(np.concatenate([self.prepared.folds[fold].test for fold in self._folds_of(fit)]))

    def fit_loss(self, fit: Fit) -> float:
        """Return the mean held-out loss of a fit over the rows that it is judged by."""
        return self.mean_loss(fit.losses, self.tested_by(fit))

    def mean_loss(self, losses: Losses, rows: NDArray[np.intp] | None = None) -> float:
        """Return the weighted mean over the tested rows, or over the given rows.

        It is infinite or NaN where a loss is.
        """
        chosen = np.flatnonzero(self.is_tested) if rows is None else rows
        weight = None if self.weight is None else self.weight[chosen]
        if not len(chosen) or (weight is not None and weight.sum() <= 0):
            return float("nan")
        return float(np.average(losses[chosen], weights=weight))

    def finite_losses(self, fit: Fit) -> Losses:
        """Return a fit's row losses with every lost one (a run that diverged) set far above the constant's.

        A baseline that diverges counts as worse than anything that did not, and is never dropped; the value,
        ``thresholds.EXPLODED`` times the constant's mean loss (``exploded_from``), is the bar it has passed.
        """
        is_lost = self.is_tested & ~np.isfinite(fit.losses)
        if not is_lost.any():
            return fit.losses
        return np.where(is_lost, exploded_from(self.constant_loss), fit.losses)


def to_scores(results: Results) -> tuple[CandidateScore, ...]:
    """Return one row of the score table per finished fit, those that did not converge among them."""
    return tuple(_score(results, fit) for fit in results.fits)


def _score(results: Results, fit: Fit) -> CandidateScore:
    """Return the row of one fit; numbers that are lost (a run that diverged) are replaced or None."""
    rows = results.tested_by(fit)
    loss = results.mean_loss(results.finite_losses(fit), rows)
    folds = (results.mean_loss(fit.losses, fold.test) for fold in results.prepared.folds)
    is_finite = bool(np.isfinite(fit.losses[rows]).all())
    trained = slice(None) if fit.folds is None else list(fit.folds)
    train_loss = fit.train_loss if len(fit.train_losses) else loss
    bar = exploded_from(results.constant_loss)
    return CandidateScore(
        regularizer=fit.job.regularizer,
        loss=loss,
        fold_losses=tuple(value if np.isfinite(value) else None for value in folds),
        train_loss=train_loss if np.isfinite(train_loss) else bar,
        n_rows=results.prepared.n_rows,
        seed=fit.job.seed,
        converged=fit.converged,
        is_limit=fit.is_limit,
        exploded=not is_finite or loss > bar,
        is_stopped=not fit.covers(results.folds),
        epochs=None if fit.epochs is None else float(np.mean(fit.epochs[trained])),
        sum_lr=fit.sum_lr,
        share_zeroed=float(np.mean(fit.zeroed)) if len(fit.zeroed) else 0.0,
        fit_s=fit.fit_s,
    )


def panel_arrays(results: Results) -> dict[str, Losses]:
    """Return the held-out row losses that the comparisons work on, by kind.

    The seeds of the baseline become one configuration, the mean of their row losses: choosing among
    seeds would flatter it, and the mean has no more noise than a kind's chosen strength.

    Each array is (n_configs, n_rows), in the order of ``results.by_kind``; NaN for rows that are in no test
    fold. A kind of which no fit converged is left out.
    """
    panel: dict[str, Losses] = {}
    for kind, fits in results.by_kind.items():
        losses = np.stack([results.finite_losses(fit) for fit in fits])
        panel[kind] = losses.mean(axis=0, keepdims=True) if kind == "none" else losses
    return panel

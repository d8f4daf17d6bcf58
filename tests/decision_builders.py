"""Small hand-made searches for tests of the decision: row losses by kind, from which everything follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from regadvisor.compare.honest import honest_losses
from regadvisor.compare.paired import compare_all
from regadvisor.compare.panel import Panel
from regadvisor.decision.decide import Decider
from regadvisor.evidence.scores import Trained
from regadvisor.families.base import Fit, Fold, Job, Prepared
from regadvisor.families.linear.family import LinearFamily
from regadvisor.flowchart.chart import EXTENDED, Chart, without
from regadvisor.flowchart.walk import walk
from regadvisor.full_size import Rescaling
from regadvisor.records import (
    CorrelationEvidence,
    Evidence,
    GrowthEvidence,
    PriorEvidence,
    ResourceEvidence,
    SampleEvidence,
    ScoreEvidence,
    Training,
    WholePictureEvidence,
)
from regadvisor.regularizer import Regularizer
from regadvisor.search.results import Results, panel_arrays

LINEAR = without(EXTENDED, "Q8", "Q9")
N, N_FOLDS, N_DRAWS = 200, 5, 40
SEEDS = {"decide": 3, "model": 11}
FOLD = np.arange(N) % N_FOLDS
Losses = Mapping[str, Sequence[tuple[dict[str, float], np.ndarray]]]


def rows(seed: int = 0) -> np.ndarray:
    """Losses of rows around 1."""
    return np.random.default_rng(seed).uniform(0.5, 1.5, N)


def shifts(noise: float, seed: int) -> np.ndarray:
    """What a candidate's losses differ by from row to row; 0 on average within every fold."""
    values = np.random.default_rng(seed).normal(0.0, noise, N)
    for fold in range(N_FOLDS):
        values[fold == FOLD] -= values[fold == FOLD].mean()
    return values


class RecordingFamily(LinearFamily):
    """A linear family that keeps how it was asked to carry strengths and to train."""

    def __init__(self, name: str = "linear") -> None:
        self.name = name
        self.rescalings: list[Rescaling] = []
        self.trainings: list[tuple[Fit | None, int, int, int]] = []

    def at_full_size(self, picked: Fit, by: Rescaling) -> tuple[Regularizer, str | None]:
        self.rescalings.append(by)
        return super().at_full_size(picked, by)

    def training(self, picked: Fit | None, *, n_sample: int, n_rows: int, seed: int) -> Training:
        self.trainings.append((picked, n_sample, n_rows, seed))
        return super().training(picked, n_sample=n_sample, n_rows=n_rows, seed=seed)


def trained(losses: Losses, *, constant: np.ndarray | None = None, n_features: int = 4) -> Trained:
    """Return what a search that gave these row losses hands to the decision."""
    everyone = np.arange(N)
    folds = tuple(Fold(train=everyone[k != FOLD], test=everyone[k == FOLD]) for k in range(N_FOLDS))
    prepared = Prepared(
        folds=folds,
        n_rows=N,
        n_features=n_features,
        feature_names=tuple(f"x{i}" for i in range(n_features)),
        constant_losses=2.0 * rows() if constant is None else constant,
    )
    fits = []
    for kind, candidates in losses.items():
        for strengths, values in candidates:
            fit = Fit(
                job=Job(regularizer=Regularizer(**strengths)),
                losses=values,
                train_losses=np.full(N_FOLDS, 0.25 * values.mean()),
                zeroed=np.linspace(0.0, 1.0, n_features) if kind == "l1" else np.zeros(n_features),
                converged=True,
            )
            fits.append(fit)
    results = Results(prepared=prepared, fits=tuple(fits))
    panel = Panel(
        losses={**panel_arrays(results)},
        constant=prepared.constant_losses,
        fold=results.fold_labels,
        n_folds=N_FOLDS,
    )
    return Trained(
        prepared=prepared, results=results, panel=panel, honest=honest_losses(panel, seed=0, n_boot=50)
    )


def scores_of(found: Trained, **changes: Any) -> ScoreEvidence:
    """Return the score evidence of a search, as the gatherer makes it."""
    kinds = tuple(found.results.by_kind)
    honest = {kind: found.honest.loss(kind) for kind in kinds}
    plain = ScoreEvidence(
        loss_name="log loss",
        constant_loss=found.honest.loss("constant"),
        scores=(),
        honest_losses={**honest},
        best_kind=min(kinds, key=lambda kind: honest[kind]),
        comparisons=compare_all(found.honest),
        lowest_losses={kind: float(found.panel.mean_losses(kind).min()) for kind in kinds},
        n_folds=N_FOLDS,
    )
    return replace(plain, **changes)


def evidence_of(scores: ScoreEvidence | None, **changes: Any) -> Evidence:
    """Return complete evidence around the scores of a search on all rows."""
    sample = SampleEvidence(
        n_rows=N,
        n_source=N,
        is_everything=True,
        verdict="equivalent",
        size_reason="",
        validation="stratified",
    )
    plain = Evidence(
        sample=sample,
        resources=ResourceEvidence(budget_s=None, budget_source="effort", effort="quick"),
        prior=PriorEvidence(),
        correlation=CorrelationEvidence(measured="no"),
        whole_picture=WholePictureEvidence(measured="no"),
        scores=scores,
    )
    return replace(plain, **changes)


def growth_of(kind: str = "l2", **changes: Any) -> GrowthEvidence:
    """Return evidence of a gain that survives at the full size."""
    plain = GrowthEvidence(
        kind=kind,  # type: ignore[arg-type]
        n_sample=N,
        n_rows=4 * N,
        source="prior",
        sizes=(),
        gain=0.1,
        low=0.05,
        high=0.15,
        p_better=0.99,
        p_same=0.01,
        p_worse=0.0,
    )
    return replace(plain, **changes)


def decider(
    found: Trained | None, evidence: Evidence, *, chart: Chart = LINEAR, n_rows: int = N, **changes: Any
) -> Decider:
    """Return the decider of a walk over this evidence."""
    way, known = walk(chart, evidence)
    plain = Decider(
        chart=chart,
        walk=way,
        evidence=known,
        gather=lambda current, needs, pick: current,
        family=RecordingFamily(),
        n_rows=n_rows,
        n_features=4,
        seeds=SEEDS,
        n_draws=N_DRAWS,
        trained=found,
    )
    return replace(plain, **changes)

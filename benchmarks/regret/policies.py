"""Every way to choose a point of the reference's grid, by name, and what it gives on the test rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from regadvisor.compare.honest import Honest, honest_losses
from regadvisor.compare.paired import compare_all
from regadvisor.compare.panel import Panel
from regadvisor.flowchart.chart import CLASSIC, EXTENDED, NO_SIGNAL, resolve, without
from regadvisor.flowchart.walk import walk
from regadvisor.records import (
    CorrelationEvidence,
    Evidence,
    SampleEvidence,
    ScoreEvidence,
    Walk,
    WholePictureEvidence,
)
from regadvisor.thresholds import EXPLODED
from regret.references import SMALL_SAMPLE, Reference

Losses = NDArray[np.float64]

#: The dense cross-validation on all rows, best of everything: the practical ceiling.
CEILING = "dense CV"
NONE = "none"
TUNED = {
    "l2": "L2, tuned",
    "l1": "L1, tuned",
    "elasticnet": "L1+L2, tuned",
    "dropout": "dropout, tuned",
    "dropout_l2": "dropout+L2, tuned",
    "dropout_l1": "dropout+L1, tuned",
}
#: The chart that the library walks, and the same without the lowest loss of all overruling the comparisons.
CHART, WITHOUT_LOWEST = "extended chart", "extended chart without Q9b"
CHARTS = {"classic chart": CLASSIC, CHART: EXTENDED, WITHOUT_LOWEST: without(EXTENDED, "Q9b")}
N_BOOT = 500


def full_means(reference: Reference) -> NDArray[np.float64]:
    """Return the loss of every point per test row, mean over seeds, shape (n_configs, n_test).

    A run that diverged counts as ``EXPLODED`` times the constant's mean loss in the rows that it lost.
    """
    means: Losses = finite(reference.test_losses, reference.test_constant).mean(axis=1)
    return means


def finite(losses: NDArray[np.floating], constant: NDArray[np.float64]) -> Losses:
    """Return losses as float64 with lost ones replaced; see :func:`full_means`."""
    wide = losses.astype(np.float64)
    return np.where(np.isfinite(wide), wide, EXPLODED * float(constant.mean()))


def cv_means(reference: Reference) -> NDArray[np.float64]:
    """Return the mean cross-validated loss of every point, shape (n_configs,); infinite where one is lost."""
    means = reference.cv_losses[:, reference.fold >= 0].astype(np.float64).mean(axis=1)
    return np.where(np.isfinite(means), means, np.inf)


def tuned_configs(reference: Reference) -> dict[str, int]:
    """Return the best point of every kind by the dense cross-validation, ties to the first."""
    means = cv_means(reference)
    best: dict[str, int] = {}
    for number, config in enumerate(reference.configs):
        if config.kind not in best or means[number] < means[best[config.kind]]:
            best[config.kind] = number
    return best


def chosen_configs(reference: Reference, honest: Honest | None = None) -> dict[str, int]:
    """Return the point of the grid that every policy chooses, by policy; `honest` saves its computing."""
    tuned = tuned_configs(reference)
    chosen = {NONE: tuned["none"]}
    chosen |= {label: tuned[kind] for kind, label in TUNED.items() if kind in tuned}
    chosen |= {each.fixed: number for number, each in enumerate(reference.configs) if each.fixed}
    chosen[CEILING] = int(np.argmin(cv_means(reference)))
    if reference.small_cv is None:
        if len(reference.fold) <= SMALL_SAMPLE:  # the sample is everything
            chosen["CV on 1,500 rows"] = chosen[CEILING]
    else:
        small = np.where(np.isfinite(reference.small_cv), reference.small_cv, np.inf)
        chosen["CV on 1,500 rows"] = int(np.argmin(small))
    return chosen | _by_chart(reference, honest or honest_of(reference))


def policy_losses(reference: Reference) -> dict[str, Losses]:
    """Return the test losses per row of every policy, by name, each (n_test,)."""
    means = full_means(reference)
    losses = {name: means[number] for name, number in chosen_configs(reference).items()}
    return losses | {name: finite(each, reference.test_constant) for name, each in reference.sklearn.items()}


# ------------------------------------------------------------------------------------------ the charts


def chart_walks(reference: Reference, honest: Honest) -> dict[str, Walk]:
    """Return the walk of every chart, by policy, with the evidence of the dense cross-validation.

    Walks begin at the first comparison: there is a sample (everything) and there are resources.
    """
    evidence = _evidence(reference, honest)
    has_dropout = any(config.kind == "dropout" for config in reference.configs)
    walks = {}
    for label, each in CHARTS.items():
        chart = resolve(each, has_dropout=has_dropout)
        start = "Q4s" if "Q4s" in chart.questions else "Q4"
        walks[label], _ = walk(replace(chart, start=start), evidence)
    return walks


def _by_chart(reference: Reference, honest: Honest) -> dict[str, int]:
    """Return the point of the grid that every chart ends at.

    Where there is no signal it is the penalised point with the lowest loss, as the library does.
    """
    tuned, means = tuned_configs(reference), cv_means(reference)
    penalised = [number for kind, number in tuned.items() if kind != NONE]
    nearest = min(penalised, key=lambda number: means[number])
    walks = chart_walks(reference, honest)
    return {
        label: nearest if way.outcome == NO_SIGNAL else tuned[way.outcome] for label, way in walks.items()
    }


def honest_of(reference: Reference) -> Honest:
    """Return the honest losses of the dense cross-validation."""
    losses: dict[str, list[NDArray[np.float64]]] = {}
    for config, rows in zip(reference.configs, reference.cv_losses, strict=True):
        losses.setdefault(config.kind, []).append(rows.astype(np.float64))
    panel = Panel(
        losses={kind: np.stack(rows) for kind, rows in losses.items()},
        constant=reference.constant,
        fold=reference.fold,
        cluster=reference.cluster,
        n_folds=int(reference.fold.max()) + 1,
    )
    return honest_losses(panel, seed=0, n_boot=N_BOOT)


def _evidence(reference: Reference, honest: Honest) -> Evidence:
    """Return what the charts read, as the library gathers it, from the dense cross-validation."""
    n_rows = int(reference.meta["n_train"])
    return Evidence(
        sample=SampleEvidence(
            n_rows=n_rows,
            n_source=n_rows,
            is_everything=True,
            verdict="equivalent",
            size_reason="All rows.",
            validation="random",
        ),
        correlation=CorrelationEvidence(**reference.meta["correlation"]),
        whole_picture=WholePictureEvidence(**reference.meta["whole_picture"]),
        scores=ScoreEvidence(
            loss_name="loss",
            constant_loss=honest.loss("constant"),
            scores=(),
            honest_losses={kind: honest.loss(kind) for kind in honest.panel.kinds},
            best_kind=honest.best_kind,  # type: ignore[arg-type]
            comparisons=compare_all(honest),
            lowest_losses={kind: float(honest.panel.mean_losses(kind).min()) for kind in honest.panel.kinds},
        ),
    )

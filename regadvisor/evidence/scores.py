"""Q4s to Q9b: the candidates trained on the sample, and every comparison that the charts can ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from regadvisor.arguments import Options
from regadvisor.compare.claims import is_decided
from regadvisor.compare.honest import Honest, honest_losses
from regadvisor.compare.paired import compare_all
from regadvisor.compare.panel import Panel
from regadvisor.compare.resampled import strength_is_open
from regadvisor.data.table import Table
from regadvisor.deadline import Deadline, finished
from regadvisor.families.base import Family, Prepared
from regadvisor.plan.plan import Plan
from regadvisor.records import ScoreEvidence
from regadvisor.sampling.draw import Drawn
from regadvisor.search.results import Results, panel_arrays, to_scores
from regadvisor.search.tune import tune


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What training gave, for the decision: kept out of the evidence because it is large."""

    prepared: Prepared
    results: Results
    panel: Panel
    honest: Honest


def measure_scores(
    table: Table,
    drawn: Drawn,
    family: Family,
    plan: Plan,
    request: Options,
    *,
    deadline: Deadline,
    say: Callable[[str, float], None],
) -> tuple[ScoreEvidence, Trained | None]:
    """Train the candidates that are planned, and compare their kinds; nothing is trained without the time."""
    seeds = request.seeds
    prepared = family.prepare(drawn.table, drawn.folds, seed=seeds["folds"])

    @cache
    def compared(results: Results) -> Honest:
        return _honest(results, drawn, plan, seed=seeds["compare"])

    results = tune(
        family,
        prepared,
        plan,
        seed=seeds["search"],
        deadline=deadline,
        storage=request.storage,
        fingerprint=" ".join(map(str, (table.facts.fingerprint, *table.facts.unpenalised))),
        weight=drawn.table.weight,
        progress=request.progress,
        is_enough=lambda results: _is_enough(compared(results)),
    )
    say("compare", 0.0)
    name = loss_name(family, table)
    found = ScoreEvidence(
        loss_name=name,
        loss_scale=_loss_scale(name, table),
        constant_loss=results.constant_loss,
        scores=(),
        honest_losses={},
        best_kind="none",
        comparisons=(),
        n_folds=len(drawn.folds),
        cut=results.cut,
    )
    if not results.by_kind:  # the deadline ended the search before its first fit
        return found, None

    def compare() -> tuple[ScoreEvidence, Trained]:
        honest = compared(results)
        trained = Trained(prepared=prepared, results=results, panel=honest.panel, honest=honest)
        return _with_scores(found, trained, plan), trained

    return finished(compare, deadline)


def _with_scores(found: ScoreEvidence, trained: Trained, plan: Plan) -> ScoreEvidence:
    results, honest = trained.results, trained.honest
    kinds, n_parts = tuple(results.by_kind), len(trained.prepared.folds)
    is_enough = plan.n_begun and results.n_folds < n_parts and found.cut is None
    return replace(
        found,
        constant_loss=honest.loss("constant"),
        scores=to_scores(results),
        honest_losses={kind: honest.loss(kind) for kind in kinds},
        best_kind=honest.best_kind,  # type: ignore[arg-type]
        lowest_losses={kind: float(trained.panel.mean_losses(kind).min()) for kind in kinds},
        carry_costs={kind: cost for kind, cost in plan.rescaling_costs.items() if kind in kinds},
        comparisons=compare_all(honest),
        n_excluded={**results.n_excluded},
        n_folds=results.n_folds,
        n_parts=n_parts if is_enough else None,
        n_encoded_features=len(trained.prepared.feature_names),
    )


def _honest(results: Results, drawn: Drawn, plan: Plan, *, seed: int) -> Honest:
    """Return the losses that are compared."""
    is_some = results.n_folds > 1 and not plan.in_blocks and drawn.evidence.validation != "time"
    panel = Panel(
        losses={**panel_arrays(results)},
        constant=results.prepared.constant_losses,
        fold=results.fold_labels,
        weight=drawn.table.weight,
        cluster=drawn.cluster_of_row,
        n_folds=max(2, results.n_folds),
        n_parts=len(drawn.folds) if is_some else None,
    )
    return honest_losses(panel, seed=seed, n_boot=plan.effort.n_boot)


def _is_enough(honest: Honest) -> bool:
    """Whether the folds that were trained on decide which kind it is, and how strong."""
    kind = honest.best_kind
    return is_decided(compare_all(honest), kind) and not strength_is_open(honest.panel, kind)


def loss_name(family: Family, table: Table) -> str:
    """Return what the loss of a family on these data is called."""
    own: str | None = getattr(family, "loss_name", None)
    return own or ("log loss" if table.is_classification else "squared error")


def _loss_scale(name: str, table: Table) -> str:
    """Return what the loss is relative to."""
    if name != "squared error":
        return ""
    several = f", mean of {table.n_targets} targets" if table.n_targets > 1 else ""
    return f"the variance of the target{several}"

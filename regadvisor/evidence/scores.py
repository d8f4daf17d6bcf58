"""Q4s to Q9b: the candidates trained on the sample, and every comparison that the charts can ask for.

And the caller's own score (``scoring=``) of none and of the pick: reported, never deciding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.model_selection import cross_val_score

from regadvisor.arguments import Options
from regadvisor.compare.claims import is_decided
from regadvisor.compare.honest import Honest, honest_losses
from regadvisor.compare.paired import compare_all
from regadvisor.compare.panel import Panel
from regadvisor.compare.resampled import strength_is_open
from regadvisor.data.table import Table
from regadvisor.data.targets import labels_in, labels_or_numbers
from regadvisor.deadline import Deadline, finished
from regadvisor.families.base import Family, Fold, Prepared
from regadvisor.families.neural.recipe import Recipe
from regadvisor.plan.plan import Plan
from regadvisor.quiet import ignoring
from regadvisor.records import Note, ScoreEvidence, Training
from regadvisor.regularizer import Kind, Regularizer
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


#: A name that scikit-learn knows, or a scorer.
Scoring = str | Callable[..., Any]


def reported_scores(
    sample: Table,
    folds: Sequence[Fold],
    models: dict[Kind, tuple[Regularizer, Training]],
    scoring: Scoring,
    *,
    module: Any = None,
    recipe: Recipe | None = None,
) -> tuple[dict[str, float], tuple[Note, ...]]:
    """Return the mean score over the folds of each kind, by scikit-learn's ``cross_val_score``.

    A score that raises, or is no number, costs nobody the advice: then there are no scores, and a warning.

    `folds`: the folds that the comparisons were made on. `models`: strengths as picked on the sample, and how
    to train. `module`, `recipe`: the caller's own factory or module, and the recipe with the caller's own
    functions, where the models need them. Nothing is reported of models that cannot be built without.
    """
    from regadvisor.export.build import build_model, function_names, own_functions

    functions = own_functions(recipe)
    for _, training in models.values():
        has_all = set(function_names(training)) <= set(functions)
        if (training.is_own and module is None and training.module != "cnn") or not has_all:
            return {}, ()
    y = labels_or_numbers(sample)
    if sample.facts.class_columns:
        y = labels_in(y, [own.classes for own in sample.facts.class_columns])
    n_train = round(float(np.mean([len(fold.train) for fold in folds])))
    facts = replace(sample.facts, n_rows=n_train)
    splits = [(fold.train, fold.test) for fold in folds]
    X = sample.X if sample.given is None else sample.given
    found = {}
    for kind, (regularizer, training) in models.items():
        model = build_model(facts, regularizer, training, module=module, functions=functions)
        try:
            with ignoring(UndefinedMetricWarning), ignoring(ConvergenceWarning):
                scores = cross_val_score(model, X, y, cv=splits, scoring=scoring, error_score="raise")
        except Exception as error:
            return {}, (_failed(scoring, f"raised {type(error).__name__}: {error}"),)
        if not np.isfinite(scores).all():
            n_lost = int((~np.isfinite(scores)).sum())
            return {}, (_failed(scoring, f"is not a finite number on {n_lost} of {len(scores)} folds"),)
        found[str(kind)] = float(np.mean(scores))
    return found, ()


def name_of(scoring: Scoring) -> str:
    """Return what the caller calls the score."""
    return getattr(scoring, "__name__", None) or str(scoring)


def _failed(scoring: Scoring, what: str) -> Note:
    said = " ".join(what.split()).rstrip(".")
    text = f"Your {name_of(scoring)} {said}. No score is reported; the advice does not need it."
    return Note(code="scoring-failed", text=text, is_warning=True)

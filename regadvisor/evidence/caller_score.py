"""The caller's own score (``scoring=``) of none and of the pick: reported, never deciding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.model_selection import cross_val_score

from regadvisor.data.table import Table
from regadvisor.families.base import Fold
from regadvisor.quiet import ignoring
from regadvisor.records import Note, Training
from regadvisor.regularizer import Kind, Regularizer

if TYPE_CHECKING:
    from regadvisor.families.neural.recipe import Recipe

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
    y = np.asarray(sample.facts.classes)[sample.y] if sample.is_classification else sample.y
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

"""The advised linear model, unfitted, with its preprocessing."""

from __future__ import annotations

from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression

from regadvisor.families.estimator import rules
from regadvisor.families.linear.least_squares import SparseElasticNet, SparseLasso
from regadvisor.families.pipeline import AdvisedPipeline
from regadvisor.families.preprocess import make_preprocessor
from regadvisor.records import DataFacts
from regadvisor.regularizer import Regularizer


def build_linear(facts: DataFacts, regularizer: Regularizer, *, seed: int) -> AdvisedPipeline:
    """Return the unfitted pipeline to be trained on all ``facts.n_rows`` rows.

    Steps ``preprocess`` and ``model``. Sample weights go in as ``fit(X, y, model__sample_weight=w)``. The
    target of an L1 or elastic-net regression is standardised inside the model (the other strengths do not
    depend on its unit).

    Raises StrengthError if the strengths are unknown, because the advice was given without data.
    """
    strengths = regularizer.strengths()
    l1, l2 = strengths.get("l1", 0.0), strengths.get("l2", 0.0)
    unequal = bool(facts.unpenalised)
    model = linear_model(task=facts.task, l1=l1, l2=l2, n_rows=facts.n_rows, seed=seed, is_unequal=unequal)
    if facts.task == "regression" and l1 > 0:
        model = rules.on_standardised_target(model)
    return AdvisedPipeline([("preprocess", make_preprocessor(facts, for_network=False)), ("model", model)])


def linear_model(
    *, task: str, l1: float, l2: float, n_rows: float, seed: int | None = None, is_unequal: bool = False
) -> BaseEstimator:
    """Return the unfitted scikit-learn model with these strengths.

    `l1`, `l2`: for standardised features and a standardised target; see
    :func:`~regadvisor.families.estimator.rules.on_standardised_target`. `n_rows`: rows (or sum of the
    weights) it will be trained on. `seed`: of solvers that visit rows or columns at random. `is_unequal`:
    features differ in size.

    >>> linear_model(task="regression", l1=0.0, l2=0.1, n_rows=50)
    Ridge(alpha=5.0)
    >>> linear_model(task="binary", l1=0.0, l2=0.0, n_rows=50).C
    inf
    """
    n_classes = 2 if task == "binary" else 0
    own = rules.Strengths(l1=l1, l2=l2, n_rows=n_rows, n_classes=n_classes, is_unequal=is_unequal and l1 > 0)
    seed = seed if l1 else None
    if task != "regression":
        return rules.logistic(
            LogisticRegression(tol=rules.LBFGS_TOL, max_iter=rules.MAX_ITER, random_state=seed), own
        )
    if not l1:
        return rules.plain(LinearRegression(), own)
    if not l2:
        return rules.lasso(SparseLasso(random_state=seed), own)
    return rules.elasticnet(SparseElasticNet(random_state=seed), own)

"""The advised linear model, unfitted, with its preprocessing."""

from __future__ import annotations

from regadvisor.families.linear.estimators import linear_model, on_standardised_target
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
        model = on_standardised_target(model)
    return AdvisedPipeline([("preprocess", make_preprocessor(facts, for_network=False)), ("model", model)])

"""The advised model, unfitted, whatever its family."""

from __future__ import annotations

from sklearn.pipeline import Pipeline

from regadvisor.families.linear_build import build_linear
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer


def build_model(facts: DataFacts, regularizer: Regularizer, training: Training) -> Pipeline:
    """Return ``Pipeline([("preprocess", …), ("model", …)])`` for training on ``facts.n_rows`` rows.

    Raises
    ------
    StrengthError
        If a strength is unknown.
    """
    if training.family == "linear":
        return build_linear(facts, regularizer, seed=training.seed)
    from regadvisor.families.neural.build import build_mlp

    return build_mlp(facts, regularizer, training)

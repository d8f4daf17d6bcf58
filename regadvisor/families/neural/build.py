"""The advised network for full training: an unfitted pipeline."""

from __future__ import annotations

from sklearn.pipeline import Pipeline

from regadvisor.errors import ParameterError
from regadvisor.families.neural.estimator import NetworkClassifier, NetworkRegressor
from regadvisor.families.preprocess import make_preprocessor
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer


def build_mlp(facts: DataFacts, regularizer: Regularizer, training: Training) -> Pipeline:
    """Return ``Pipeline([("preprocess", …), ("model", …)])`` to be trained on everything.

    Parameters
    ----------
    facts : DataFacts
        What the data are.
    regularizer : Regularizer
        Strengths for the full data, coupling "decoupled".
    training : Training
        How to train; see ``MLPFamily.training``.

    Raises
    ------
    StrengthError
        If a strength is unknown.
    ParameterError
        If the coupling is "loss": the two are never converted into each other.
    """
    strengths = regularizer.strengths()
    if strengths and set(strengths) != {"dropout"} and regularizer.coupling != "decoupled":
        raise ParameterError(
            f"regularizer.coupling must be 'decoupled' for a network trained by AdamW, got "
            f"{regularizer.coupling!r}; give the strengths as Regularizer(..., coupling='decoupled')"
        )
    model = NetworkRegressor() if facts.task == "regression" else NetworkClassifier()
    model.set_params(
        hidden=training.hidden,
        **strengths,
        lr=training.lr,
        batch_size=training.batch_size,
        epochs=training.epochs,
        schedule=training.schedule,
        random_state=training.seed,
    )
    return Pipeline([("preprocess", make_preprocessor(facts, for_network=True)), ("model", model)])

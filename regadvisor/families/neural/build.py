"""The advised network for full training: an unfitted pipeline."""

from __future__ import annotations

from regadvisor.errors import ParameterError
from regadvisor.families.neural.encoded import network_preprocessor
from regadvisor.families.neural.estimator import NetworkClassifier, NetworkRegressor
from regadvisor.families.neural.losses import LossFunction
from regadvisor.families.pipeline import AdvisedPipeline
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer


def build_mlp(
    facts: DataFacts, regularizer: Regularizer, training: Training, loss: LossFunction | None = None
) -> AdvisedPipeline:
    """Return ``Pipeline([("preprocess", …), ("model", …)])`` to be trained on everything.

    Parameters
    ----------
    facts : DataFacts
        What the data are.
    regularizer : Regularizer
        Strengths for the full data, in the coupling of `training`.
    training : Training
        How to train; see ``MLPFamily.training``.
    loss : callable, optional
        The caller's own loss, if the recipe had one: a record cannot hold it.

    Raises
    ------
    StrengthError
        If a strength is unknown.
    ParameterError
        If the couplings differ (the two are never converted into each other), or the caller's own loss is
        missing.
    """
    strengths = regularizer.strengths()
    if strengths and set(strengths) != {"dropout"} and regularizer.coupling != training.coupling:
        raise ParameterError(
            f"regularizer.coupling must be {training.coupling!r} for a network trained so, got "
            f"{regularizer.coupling!r}; give the strengths as "
            f"Regularizer(..., coupling={training.coupling!r})"
        )
    if training.has_own_loss and loss is None:
        raise ParameterError(
            "loss must be the function that the recipe was given, got None: a record cannot hold it"
        )
    model = NetworkRegressor() if facts.task == "regression" else NetworkClassifier()
    model.set_params(
        hidden=training.hidden,
        **strengths,
        lr=training.lr,
        batch_size=training.batch_size,
        epochs=training.epochs,
        schedule=training.schedule,
        optimizer=training.optimizer or "adamw",
        momentum=0.9 if training.momentum is None else training.momentum,
        clip_norm=training.clip_norm,
        coupling=training.coupling,
        exempt=training.exempt,
        penalised=training.penalised,
        loss=loss,
        random_state=training.seed,
    )
    return AdvisedPipeline(
        [("preprocess", network_preprocessor(facts, training.transform)), ("model", model)]
    )

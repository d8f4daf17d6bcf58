"""The advised model, unfitted, whatever its family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regadvisor.errors import ParameterError
from regadvisor.families.applied import built
from regadvisor.families.linear_build import build_linear
from regadvisor.families.pipeline import AdvisedPipeline
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer

if TYPE_CHECKING:
    from regadvisor.families.neural.losses import LossFunction
    from regadvisor.families.neural.recipe import Recipe


def build_model(
    facts: DataFacts,
    regularizer: Regularizer,
    training: Training,
    *,
    module: Any = None,
    loss: LossFunction | None = None,
) -> AdvisedPipeline:
    """Return ``Pipeline([("preprocess", …), ("model", …)])`` for training on ``facts.n_rows`` rows.

    Parameters
    ----------
    facts : DataFacts
    regularizer : Regularizer
    training : Training
    module : callable, torch.nn.Module or scikit-learn estimator, optional
        What the advice is about, where it is the caller's own.
    loss : callable, optional
        The caller's own loss, where the recipe had one: neither is part of a record.

    Raises
    ------
    StrengthError
        If a strength is unknown.
    ParameterError
        If the module or the loss is missing.
    """
    if training.estimator is not None:
        if module is None:
            raise ParameterError(
                f"module must be the estimator that this advice is about ({training.estimator}), got None: "
                "an advice file does not hold it; call advice.build(module=...), or advice.apply(...)"
            )
        return built(module, facts, regularizer, training)
    if training.family == "linear":
        return build_linear(facts, regularizer, seed=training.seed)
    if training.family == "mlp":
        from regadvisor.families.neural.build import build_mlp

        return build_mlp(facts, regularizer, training, loss)
    return _build_module(facts, regularizer, training, module=module, loss=loss)


def _build_module(
    facts: DataFacts,
    regularizer: Regularizer,
    training: Training,
    *,
    module: Any,
    loss: LossFunction | None,
) -> AdvisedPipeline:
    """Return the pipeline with the caller's own module."""
    from regadvisor.families.neural.image_encoding import channels_first, module_preprocessor
    from regadvisor.families.neural.module_estimator import ModuleClassifier, ModuleRegressor
    from regadvisor.families.neural.module_family import checked_model

    if module is None and training.module != "cnn":
        raise ParameterError(
            f"module must be the factory or module that this advice is about ({training.module}), got None: "
            "an advice file does not hold it; call advice.build(module=...)"
        )
    if training.has_own_loss and loss is None:
        raise ParameterError(
            "loss must be the function that the recipe was given, got None: an advice file does not hold it; "
            "call advice.build(module=..., loss=...)"
        )
    strengths = {"l1": 0.0, "l2": 0.0, "dropout": 0.0, **regularizer.strengths()}
    estimator = ModuleRegressor if facts.task == "regression" else ModuleClassifier
    model = estimator(
        checked_model("cnn" if module is None else module, facts),
        l1=strengths["l1"],
        l2=strengths["l2"],
        dropout=strengths["dropout"],
        recipe=recipe_of(training, loss=loss),
        image_shape=channels_first(facts),
        random_state=training.seed,
    )
    return AdvisedPipeline([("preprocess", module_preprocessor(facts, training.transform)), ("model", model)])


def recipe_of(training: Training, *, loss: LossFunction | None = None) -> Recipe:
    """Return the recipe that a record's training stands for, with the caller's own loss.

    Examples
    --------
    >>> recipe_of(Training(family="mlp", seed=0, optimizer="sgd", lr=0.1, batch_size=8, epochs=2)).lr
    0.1
    """
    from regadvisor.families.neural.recipe import Recipe

    given = {
        name: getattr(training, name)
        for name in ("optimizer", "lr", "batch_size", "schedule", "momentum")
        if getattr(training, name) is not None
    }
    return Recipe(
        **given,
        epochs=training.epochs,
        clip_norm=training.clip_norm,
        coupling=training.coupling,
        exempt=training.exempt,
        penalised=training.penalised,
        transform=training.transform,
        loss=loss,
        hidden=training.hidden,
    )

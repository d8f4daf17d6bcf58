"""The advised model as a torch script: one template for the linear model, our network and your module."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from regadvisor.errors import ParameterError
from regadvisor.export.code import comment, estimator_code
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer

_TEMPLATE = files("regadvisor.export") / "templates" / "torch.py.jinja"
_MEANING = {
    "decoupled": {
        "l1": "decoupled: w ← soft(w, lr·l1) in every step",
        "l2": "decoupled: w ← (1 − lr·l2)·w in every step",
    },
    "loss": {"l1": "in the loss: l1·Σ|w|", "l2": "in the loss: (l2/2)·Σw²"},
}


def torch_snippet(
    preprocessor: Any,
    facts: DataFacts,
    *,
    training: Training,
    regularizer: Regularizer,
    verdict_comment: str = "",
) -> str:
    """Return a script that trains the advised model in torch on `X` and `y`, which have to exist.

    It leaves ``predict(X)`` and, for classes, ``predict_proba(X)``. A linear model is fitted in float64 to
    convergence, by L-BFGS without L1 and by accelerated proximal gradient with it. Our network draws the same
    numbers from the same generators as the estimator of ``build()``, so it is the same model up to rounding.
    For a module of your own, the script is a loop around it.

    Parameters
    ----------
    preprocessor : transformer
        Unfitted; written as scikit-learn code.
    facts : DataFacts
        What the data are; the script counts the classes in its own `y`.
    training : Training
        How to train.
    regularizer : Regularizer
        Strengths for the full data, in the coupling of `training`.
    verdict_comment : str, optional
        Put on top as a comment.

    Raises
    ------
    StrengthError
        If a strength is unknown.
    ParameterError
        If the preprocessor holds something that has no code, or the recipe had a loss of its own.
    """
    from jinja2 import Environment, StrictUndefined

    if training.has_own_loss:
        raise ParameterError(
            "snippet('torch') must be asked of advice with a built-in loss, got your own loss function, "
            "whose code is not known; use advice.optimizer(module, lr=..., steps=...) in your own loop"
        )
    code = estimator_code(preprocessor)
    is_linear = training.family == "linear"
    n_classes = len(facts.classes or ())
    values: dict[str, Any] = {
        "head": "\n".join([*comment(verdict_comment), *_imports(facts, training, code.imports)]),
        "preprocess": code.expression,
        "facts": facts,
        "training": training,
        "is_regression": facts.task == "regression",
        "has_one_logit": is_linear and n_classes == 2,
        "dtype": "float64" if is_linear else "float32",
        "n_outputs": n_classes or facts.n_targets,
        "is_decoupled": training.coupling == "decoupled",
        "meaning": _MEANING[training.coupling],
        "momentum": 0.9 if training.momentum is None else training.momentum,
        "image": None,
        "l1": 0.0,
        "l2": 0.0,
        "dropout": 0.0,
        **regularizer.strengths(),
    }
    if training.family == "mlp":
        values |= _network(training)
    if training.family == "module":
        from regadvisor.families.neural.image_encoding import channels_first

        values["image"] = channels_first(facts)
    # Python, not HTML: nothing to escape, and values of the data come in as literals only.
    environment = Environment(trim_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined)
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(values)


def _imports(facts: DataFacts, training: Training, needed: tuple[str, ...]) -> list[str]:
    """Return the import lines: whole modules first, then names."""
    lines = {*needed, "import numpy as np", "import torch"}
    if training.family != "linear":
        lines.add("import math")
    if training.family == "module":
        lines |= {
            "from regadvisor.families.neural.dropout import set_dropout",
            "from regadvisor.families.neural.proximal import make_optimizer",
            "from regadvisor.families.neural.schedule import learning_rates",
        }
    if not facts.is_plain_y:
        lines.add("from regadvisor.data.training import training_rows")
    return sorted(lines, key=lambda line: (line[0] == "f", line))


def _network(training: Training) -> dict[str, Any]:
    """Return what only the script of our own network holds."""
    from regadvisor.families.neural.parameters import penalised_names
    from regadvisor.families.neural.trainer import DROPOUT_SEED_OFFSET

    by_default = {
        f"{2 * k}.{what}": what == "weight"
        for k in range(len(training.hidden) + 1)
        for what in ("weight", "bias")
    }
    names = penalised_names(by_default, exempt=training.exempt, penalised=training.penalised)
    return {"penalised": names, "dropout_seed_offset": DROPOUT_SEED_OFFSET}

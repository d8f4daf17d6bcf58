"""What strengths are called elsewhere: the parameters of other libraries for the same penalty.

Plain arithmetic, so a saved record can say them without any of these libraries. Strengths mean, with
``coupling="loss"``: mean loss + ``l1·Σ|w| + (l2/2)·Σw²`` on standardised features and (regression) a
standardised target, with half the squared error. With ``coupling="decoupled"`` they mean, per step,
``w ← soft((1 − lr·l2)·w, lr·l1)``.

:func:`converted` reads the table :data:`RULES`: which call says these strengths, by which formula. The page
docs/conversions.md is written from it, and tests hold every formula against the library itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from regadvisor.errors import ParameterError


def elasticnet_params(l1: float, l2: float) -> dict[str, float]:
    """Return `alpha` and `l1_ratio` of ``ElasticNet`` on a standardised target.

    The objective is ``‖y − Xw‖²/(2n) + alpha·l1_ratio·Σ|w| + alpha·(1 − l1_ratio)/2·Σw²``; sample weights are
    scaled to a mean of 1 by scikit-learn, so their sum does not matter here.

    >>> elasticnet_params(0.25, 0.75)
    {'alpha': 1.0, 'l1_ratio': 0.25}
    """
    alpha = l1 + l2
    return {"alpha": alpha, "l1_ratio": l1 / alpha if alpha else 0.0}


def ridge_alpha(l2: float, n_rows: float) -> float:
    """Return `alpha` of ``Ridge``, whose objective is ``‖y − Xw‖² + alpha·Σw²`` (a sum over rows).

    And of ``MLPClassifier`` and ``MLPRegressor``, whose penalty ``alpha/2·Σw²`` is divided by the rows of the
    batch: `n_rows` are those then, for ``solver="lbfgs"`` all. They have no L1.

    >>> ridge_alpha(0.5, 200)
    100.0
    """
    return n_rows * l2


def logistic_params(l1: float, l2: float, n_rows: float) -> dict[str, float]:
    """Return `C` and `l1_ratio` of ``LogisticRegression``.

    The objective is ``C·Σ loss + l1_ratio·Σ|w| + (1 − l1_ratio)/2·Σw²``. With ``solver="liblinear"``, which
    penalises the intercept, only beside a large `intercept_scaling`.

    >>> logistic_params(0.0, 0.01, 1000)
    {'C': 0.1, 'l1_ratio': 0.0}
    >>> logistic_params(0.0, 0.0, 1000)
    {'C': inf, 'l1_ratio': 0.0}
    """
    total = l1 + l2
    if total == 0.0:
        return {"C": math.inf, "l1_ratio": 0.0}
    return {"C": 1.0 / (n_rows * total), "l1_ratio": l1 / total}


def raw_target(l1: float, l2: float, sd_y: float) -> tuple[float, float]:
    """Return the strengths for a target in its own unit, whose standard deviation is `sd_y`.

    Weights and gradients both grow with the target's unit: an L1 penalty has to follow, L2 does not.

    >>> raw_target(0.1, 0.3, 20.0)
    (2.0, 0.3)
    """
    return l1 * sd_y, l2


#: Libraries by all the names that people have for them.
_SAME = (
    ("torch", "pytorch"),
    ("jax", "optax", "jax/optax"),
    ("sklearn", "scikit-learn"),
    ("tensorflow", "tf", "tf.keras"),
)


def known_as(library: object, names: Iterable[str]) -> str:
    """Return a library's name among `names`, whichever of its names it was asked for by.

    >>> known_as("PyTorch", ["sklearn", "torch"]), known_as("torch", ["pytorch"]), known_as("R", ["torch"])
    ('torch', 'pytorch', 'R')
    """
    text = str(library).lower()
    same = next((group for group in _SAME if text in group), (text,))
    return next((name for name in names if name in same), str(library))


@dataclass(frozen=True, kw_only=True)
class Given:
    """The numbers that formulas read."""

    l1: float
    l2: float
    dropout: float
    #: Training rows.
    n: float
    #: Rows of one step.
    batch: float
    #: Standard deviation of the target in its unit; 1 for classes or a standardised target.
    sd: float


@dataclass(frozen=True)
class Rule:
    """One row of the table: how one call of a library says these strengths."""

    #: The library, as :meth:`regadvisor.Regularizer.to` is asked for it.
    target: str
    #: What takes the parameters.
    call: str
    #: The strengths that it can say, such as ``"l1 l2"``.
    says: str
    #: Each parameter as an expression of the names of :class:`Given`. Tests hold `params` against it.
    formula: dict[str, str]
    #: Where the library says what its parameters mean.
    source: str
    #: The parameters as numbers.
    params: Callable[[Given], dict[str, float]]
    #: What the strengths have to mean; None: either.
    coupling: Literal["loss", "decoupled"] | None = "loss"
    #: Whether it says its strengths beside other calls of the library (networks). Else it is a model of its
    #: own, and has to say all of them.
    is_part: bool = False


def _elastic(target: str, call: str, alpha: str, share: str, source: str) -> Rule:
    """Return the row of a model with the objective of ElasticNet, by the names of its parameters."""
    total = "sd*l1 + l2"
    return Rule(
        target,
        call,
        "l1 l2",
        {alpha: total, share: f"sd*l1 / ({total})"},
        source,
        lambda own: dict(
            zip((alpha, share), elasticnet_params(*raw_target(own.l1, own.l2, own.sd)).values(), strict=True)
        ),
    )


def _part(
    target: str, call: str, source: str, coupling: Literal["loss", "decoupled"] | None, **names: str
) -> Rule:
    """Return the row of a part of a network that takes strengths as they are: ``parameter="strength"``."""

    def params(own: Given) -> dict[str, float]:
        return {name: float(getattr(own, strength)) for name, strength in names.items()}

    return Rule(target, call, " ".join(names.values()), names, source, params, coupling, is_part=True)


_SHARE = "l1 / (l1 + l2)"
_SKLEARN = "https://scikit-learn.org/stable/modules"
_STATSMODELS = "https://www.statsmodels.org/stable/generated/statsmodels"
_KERAS = "https://keras.io/api"
_TF = "https://www.tensorflow.org/api_docs/python/tf"
_TORCH = "https://pytorch.org/docs/stable/generated"
_OPTAX = "https://optax.readthedocs.io/en/latest/api"
#: What no library has as a parameter, and a line of code says: see the snippets.
_IN_LOSS, _AFTER_STEP = "loss + l1*sum(abs(w))", "w = soft(w, lr*l1) after each step"
_PROXIMAL = "https://doi.org/10.1561/2400000003"
_LASSO = "https://doi.org/10.1111/j.2517-6161.1996.tb02080.x"

#: Every target, one row for each call.
RULES: tuple[Rule, ...] = (
    Rule(
        "sklearn",
        "LogisticRegression",
        "l1 l2",
        {"C": "1 / (n*(l1 + l2))", "l1_ratio": _SHARE},
        f"{_SKLEARN}/linear_model.html#logistic-regression",
        lambda own: logistic_params(own.l1, own.l2, own.n),
    ),
    Rule(
        "sklearn",
        "Ridge",
        "l2",
        {"alpha": "n*l2"},
        f"{_SKLEARN}/linear_model.html#ridge-regression-and-classification",
        lambda own: {"alpha": ridge_alpha(own.l2, own.n)},
    ),
    Rule(
        "sklearn",
        "Lasso",
        "l1",
        {"alpha": "sd*l1"},
        f"{_SKLEARN}/linear_model.html#lasso",
        lambda own: {"alpha": raw_target(own.l1, 0.0, own.sd)[0]},
    ),
    _elastic("sklearn", "ElasticNet", "alpha", "l1_ratio", f"{_SKLEARN}/linear_model.html#elastic-net"),
    _elastic(
        "sklearn", "SGDClassifier", "alpha", "l1_ratio", f"{_SKLEARN}/sgd.html#mathematical-formulation"
    ),
    _elastic("sklearn", "SGDRegressor", "alpha", "l1_ratio", f"{_SKLEARN}/sgd.html#mathematical-formulation"),
    Rule(
        "sklearn",
        "MLPClassifier",
        "l2",
        {"alpha": "batch*l2"},
        f"{_SKLEARN}/neural_networks_supervised.html#mathematical-formulation",
        lambda own: {"alpha": ridge_alpha(own.l2, own.batch)},
    ),
    _elastic(
        "statsmodels",
        "OLS.fit_regularized",
        "alpha",
        "L1_wt",
        f"{_STATSMODELS}.regression.linear_model.OLS.fit_regularized.html",
    ),
    _elastic(
        "statsmodels",
        "GLM.fit_regularized",
        "alpha",
        "L1_wt",
        f"{_STATSMODELS}.genmod.generalized_linear_model.GLM.fit_regularized.html",
    ),
    Rule(
        "statsmodels",
        "Logit.fit_regularized",
        "l1",
        {"alpha": "n*l1"},
        f"{_STATSMODELS}.discrete.discrete_model.Logit.fit_regularized.html",
        lambda own: {"alpha": own.n * own.l1},
    ),
    Rule(
        "glmnet",
        "glmnet",
        "l1 l2",
        {"lambda": "sd*(l1 + l2)", "alpha": _SHARE},
        "https://glmnet.stanford.edu/articles/glmnet.html",
        # It solves for y/sd and takes lambda in the unit of y, so both penalties follow that unit.
        lambda own: {
            "lambda": own.sd * (own.l1 + own.l2),
            "alpha": elasticnet_params(own.l1, own.l2)["l1_ratio"],
        },
    ),
    _elastic(
        "h2o",
        "H2OGeneralizedLinearEstimator",
        "lambda_",
        "alpha",
        "https://docs.h2o.ai/h2o/latest-stable/h2o-docs/data-science/glm.html",
    ),
    Rule(
        "lightgbm",
        "LGBMModel",
        "l1 l2",
        {"lambda_l1": "n*sd*l1", "lambda_l2": "n*l2"},
        "https://lightgbm.readthedocs.io/en/latest/Parameters.html",
        lambda own: {"lambda_l1": own.n * own.sd * own.l1, "lambda_l2": own.n * own.l2},
    ),
    *(
        rule
        for target, keras, source in (("keras", "", _KERAS), ("tensorflow", "tf.keras.", f"{_TF}/keras"))
        for rule in (
            Rule(
                target,
                f"{keras}regularizers.L1L2",
                "l1 l2",
                {"l1": "l1", "l2": "l2 / 2"},
                f"{source}/{'regularizers/L1L2' if keras else 'layers/regularizers/'}",
                lambda own: {"l1": own.l1, "l2": own.l2 / 2},
                is_part=True,
            ),
            _part(
                target,
                f"{keras}optimizers.AdamW",
                f"{source}/optimizers/{'AdamW' if keras else 'adamw/'}",
                "decoupled",
                weight_decay="l2",
            ),
            _part(target, _AFTER_STEP, _PROXIMAL, "decoupled", l1="l1"),
            _part(
                target,
                f"{keras}layers.Dropout",
                f"{source}/layers/{'Dropout' if keras else 'regularization_layers/dropout/'}",
                None,
                rate="dropout",
            ),
        )
    ),
    _part(
        "jax/optax",
        "optax.add_decayed_weights",
        f"{_OPTAX}/transformations.html#optax.add_decayed_weights",
        "loss",
        weight_decay="l2",
    ),
    _part("jax/optax", _IN_LOSS, _LASSO, "loss", l1="l1"),
    _part(
        "jax/optax", "optax.adamw", f"{_OPTAX}/optimizers.html#optax.adamw", "decoupled", weight_decay="l2"
    ),
    _part("jax/optax", _AFTER_STEP, _PROXIMAL, "decoupled", l1="l1"),
    _part(
        "jax/optax",
        "flax.nnx.Dropout",
        "https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/stochastic.html",
        None,
        rate="dropout",
    ),
    _part("pytorch", "torch.optim.Adam", f"{_TORCH}/torch.optim.Adam.html", "loss", weight_decay="l2"),
    _part("pytorch", _IN_LOSS, _LASSO, "loss", l1="l1"),
    _part("pytorch", "torch.optim.AdamW", f"{_TORCH}/torch.optim.AdamW.html", "decoupled", weight_decay="l2"),
    _part("pytorch", _AFTER_STEP, _PROXIMAL, "decoupled", l1="l1"),
    _part("pytorch", "torch.nn.Dropout", f"{_TORCH}/torch.nn.Dropout.html", None, p="dropout"),
)
TARGETS = tuple(dict.fromkeys(rule.target for rule in RULES))


def converted(
    target: str, given: Given, coupling: Literal["loss", "decoupled"], *, is_mse: bool = False
) -> dict[str, dict[str, float]]:
    """Return the parameters of one library by the call that takes them; see :meth:`Regularizer.to`.

    Raises ParameterError if the library is unknown, cannot say these strengths, or a number is missing (NaN).
    """
    target = known_as(target, TARGETS)
    rules = [rule for rule in RULES if rule.target == target]
    if not rules:
        raise ParameterError(f"target must be one of {', '.join(map(repr, TARGETS))}, got {target!r}")
    is_network = rules[-1].is_part
    if is_mse and not is_network:
        raise ParameterError(f"loss must be None for {target!r}, whose models have their loss, got 'mse'")
    present = {name for name in ("l1", "l2", "dropout") if getattr(given, name) > 0}
    if is_mse and coupling == "loss":
        given = replace(given, l1=2 * given.l1, l2=2 * given.l2)  # it is without the ½
    if not is_network and "dropout" in present:
        raise ParameterError(f"target must be a library of networks for dropout, got {target!r}")
    if not is_network and present and coupling == "decoupled":
        raise ParameterError(
            f"coupling must be 'loss' for {target!r}, got 'decoupled': strengths of a network's optimizer "
            "are no penalty of a linear model, and are never converted into one"
        )
    coupling = coupling if is_network else "loss"  # no penalty at all is the same in both
    found = {}
    for rule in rules:
        says = set(rule.says.split())
        if rule.coupling in (None, coupling) and (says & present if rule.is_part else present <= says):
            found[rule.call] = rule.params(given)
    if any(math.isnan(value) for params in found.values() for value in params.values()):
        raise ParameterError(
            f"n_rows must be the number of training rows for {target!r}, whose losses are sums over rows, "
            "got None"
        )
    return found

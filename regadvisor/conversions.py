"""What strengths are called elsewhere: the parameters of other libraries for the same penalty.

Plain arithmetic, so a saved record can say them without any of these libraries. Strengths mean, with
``coupling="loss"``: mean loss + ``l1·Σ|w| + (l2/2)·Σw²`` on standardised features and (regression) a
standardised target, with half the squared error. With ``coupling="decoupled"`` they mean, per step,
``w ← soft((1 − lr·l2)·w, lr·l1)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


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

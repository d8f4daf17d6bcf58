"""How near scikit-learn's solvers have to come to the minimum, and what they need for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import StandardScaler

#: L-BFGS stops at a gradient of the mean loss below this; scikit-learn's 1e-4 is visible in weak penalties.
#: With the weakest even this is: a gradient g leaves at most g²/(2·l2) above the lowest objective (strong
#: convexity; Nocedal and Wright 2006, section 2.1), and this much is let pass. On 11 separable classes with
#: C=1000 the test loss was 0.036 at 1e-5 and 0.021 at 8e-7.
LBFGS_TOL, LBFGS_GAP = 1e-5, 1e-6
#: SAGA stops when no weight moves by more than this share of the largest in a pass over the rows. At its
#: usual 1e-4, probabilities of collinear features were off by up to 0.007, and the log loss of sparse rows,
#: whose intercept it moves a hundred times more slowly, by 3 to 7% (now by 0.4 to 1.9%).
SAGA_TOL = 1e-5
#: Asked for where features differ in size, as columns without a penalty do: SAGA does not get near that.
UNEQUAL_TOL = 1e-6
#: liblinear, the solver of L1 for two classes, penalises the intercept by 1/scaling as much as a weight; its
#: tolerance of 1e-4 is visible in weak penalties. With these two, probabilities were within 0.001 of the
#: minimum's (five problems, four strengths, twelve seeds) after 0.2 s at most, where SAGA takes 13 s for the
#: 30 collinear columns of breast cancer and is 0.014 off. At 1,000 and 1e-8 some seeds do not end in 10,000
#: passes.
INTERCEPT_SCALING, LIBLINEAR_TOL = 300.0, 1e-7
#: Generous: a model that stops early is another model than the one that was validated.
MAX_ITER = 10_000


def weights_up_to_one(class_weight: Mapping[Any, float]) -> tuple[dict[Any, float], float]:
    """Return class weights divided by the largest, and the largest, by which `C` is to be multiplied.

    The objective stays the same, and SAG and SAGA need it: their steps are as long as rows of weight 1 allow,
    and with larger weights they never settle.

    Examples
    --------
    >>> weights_up_to_one({"no": 0.5, "yes": 5.0})
    ({'no': 0.1, 'yes': 1.0}, 5.0)
    """
    largest = max(class_weight.values())
    return {label: weight / largest for label, weight in class_weight.items()}, largest


def lbfgs_tol(l2: float) -> float:
    """Return the gradient of the mean loss at which L-BFGS is near enough to the minimum with this much L2.

    Examples
    --------
    >>> lbfgs_tol(0.1), lbfgs_tol(3e-7)
    (1e-05, 8e-07)
    """
    exact = math.sqrt(2.0 * l2 * LBFGS_GAP) if l2 else LBFGS_TOL
    return min(LBFGS_TOL, float(f"{exact:.0e}"))


def on_standardised_target(model: BaseEstimator) -> TransformedTargetRegressor:
    """Return `model` trained on the standardised target and predicting in the target's own unit.

    Several targets are standardised one by one.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> on_standardised_target(Ridge(alpha=0.1)).regressor
    Ridge(alpha=0.1)
    """
    # Of long-tailed targets the round trip of the smallest values rounds, of which it would warn.
    return TransformedTargetRegressor(regressor=model, transformer=StandardScaler(), check_inverse=False)

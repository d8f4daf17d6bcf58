"""Models of other libraries: why they are not taken, and what to do instead."""

from __future__ import annotations

from typing import Any

from regadvisor.errors import ParameterError

TREES = "its trees have no weights that L1 or L2 could shrink: nothing here applies to it"
_LAYERS = "pass a model of Keras 3, or a function that makes one, as model= or to advice.apply(model)"
_FIT = "pass what advice.regularizer.to('statsmodels', n_rows=len(X)) gives to its fit_regularized"
#: By package: why its models are not taken, and what to do.
_FOREIGN = {
    "keras": _LAYERS,
    "tensorflow": _LAYERS,
    "statsmodels": f"ask with model='linear' and {_FIT}",
    "skorch": "pass the net itself, an object, alone or at the end of a Pipeline, as model= or to "
    "advice.apply(net), which sets its optimizer",
    "torch.jit": "a compiled module cannot be copied and changed; pass the module that it was compiled from",
    "xgboost": TREES,
    "lightgbm": TREES,
    "catboost": TREES,
}

_VECTORS = "its penalty acts on kernels of rows, not on weights of features: nothing here applies to it"
_TASKS = ("Classifier", "Regressor")
_NO_WEIGHTS = "it has no weights that a penalty could shrink: nothing here applies to it"
_MEMBERS = "ask for each of its members, and put those that advice.build() returns into it"
_ROBUST = "it has no penalty of weights; the nearest is HuberRegressor"
_STEPS = "its C is the length of a step, no penalty; the nearest is SGD{task} with its loss"
_NO_TARGET = "it has no target to predict"
_COMPONENTS = "its strength is a number of components; the nearest is Ridge"
_INSIDE = "pass the estimator inside it: {inner}"
_BOOSTED = f"its members get rows of other weights: {_INSIDE}, and put advice.build()[-1] into it"
#: The same for scikit-learn, by module, or by the name of a class, which counts more. ``{inner}``: what is
#: inside the estimator.
_NOT_WEIGHTS = {
    "sklearn.cluster": _NO_TARGET,
    "sklearn.covariance": _NO_TARGET,
    "sklearn.tree": TREES,
    "sklearn.ensemble": TREES,
    "sklearn.neighbors": _NO_WEIGHTS,
    "sklearn.naive_bayes": _NO_WEIGHTS,
    "sklearn.gaussian_process": _VECTORS,
    "sklearn.kernel_ridge": _VECTORS,
    "sklearn.svm": _VECTORS,
    "sklearn.dummy": "it learns nothing from the features",
    "sklearn.multiclass": "linear models take any number of classes by themselves: " + _INSIDE,
    "sklearn.semi_supervised": "ask about the rows that have a label: " + _INSIDE,
    "sklearn.frozen": "it is trained already and stays as it is: " + _INSIDE,
    "sklearn.multioutput": "several targets are taken at once: " + _INSIDE,
    "sklearn.feature_selection": "selectors go into a pipeline before the model; " + _INSIDE,
}
_NAMED = {
    **dict.fromkeys(
        (
            *("LinearSVC", "LinearSVR", "OneVsRestClassifier", "MultiOutputRegressor", "RegressorChain"),
            *("MultiOutputClassifier", "ClassifierChain", "BaggingClassifier", "BaggingRegressor"),
        ),
        None,
    ),
    **{f"{kind}{task}": _MEMBERS for kind in ("Voting", "Stacking") for task in _TASKS},
    **{f"AdaBoost{task}": _BOOSTED for task in _TASKS},
    "Lars": "its strength is a number of features; the nearest is Lasso",
    "OrthogonalMatchingPursuit": "its strength is a number of features; the nearest is Lasso",
    "BayesianRidge": "it finds its strength by itself; the nearest is Ridge",
    "ARDRegression": "it finds its strengths by itself; the nearest is Ridge",
    "PassiveAggressiveClassifier": _STEPS.format(task="Classifier"),
    "PassiveAggressiveRegressor": _STEPS.format(task="Regressor"),
    "TheilSenRegressor": _ROBUST,
    "RANSACRegressor": _ROBUST,
    "LinearDiscriminantAnalysis": "it shrinks a covariance; the nearest is LogisticRegression",
    "QuadraticDiscriminantAnalysis": "it has no weights of features; the nearest is LogisticRegression",
    "SGDOneClassSVM": _NO_TARGET,
    **dict.fromkeys(("PLSRegression", "PLSCanonical", "CCA"), _COMPONENTS),
    **dict.fromkeys(("EllipticEnvelope", "GaussianMixture", "BayesianGaussianMixture"), _NO_TARGET),
}
#: Kernel machines that are linear models with kernel="linear".
_LINEAR_KERNEL = {
    "SVC": "with kernel='linear' pass the linear model of the same loss: model=LinearSVC(loss='hinge')",
    "NuSVC": "with kernel='linear' pass the linear model of that loss: model=LinearSVC(loss='hinge')",
    "SVR": "with kernel='linear' pass the linear model of the same loss: model=LinearSVR(epsilon={epsilon})",
    "NuSVR": "with kernel='linear' pass the linear model of that loss: model=LinearSVR()",
}


def is_of(target: Any, package: str) -> bool:
    """Return whether an object is of a class of a package, without importing that.

    >>> is_of(ParameterError("no"), "regadvisor"), is_of(1, "keras")
    (True, False)
    """
    return any(f"{base.__module__}.".startswith(f"{package}.") for base in type(target).__mro__)


def check_ours(model: Any) -> None:
    """Raise ParameterError for a model of a library that cannot be asked about, or an estimator's class.

    >>> from sklearn.linear_model import Ridge
    >>> check_ours(Ridge)
    Traceback (most recent call last):
    ...
    regadvisor.errors.ParameterError: model must be an estimator, got the class Ridge; make one: model=Ridge()
    """
    own = model if isinstance(model, type) else type(model)
    for base in own.__mro__:
        for package, do in _FOREIGN.items():
            if f"{base.__module__}.".startswith(f"{package}."):
                raise ParameterError(f"model must be one of torch or scikit-learn, got {own.__name__}; {do}")
    theirs = next((each for each in own.__mro__ if each.__module__.startswith("sklearn.")), None)
    why = None
    if theirs is not None:
        package, name = ".".join(theirs.__module__.split(".")[:2]), theirs.__name__.removesuffix("CV")
        why = _NAMED[name] if name in _NAMED else _NOT_WEIGHTS.get(package)
    if theirs is not None and getattr(model, "kernel", None) == "linear":
        why = _LINEAR_KERNEL.get(theirs.__name__, why)
    inside = (getattr(model, name, None) for name in ("estimator", "regressor", "classifier"))
    inner = next((each for each in inside if hasattr(each, "get_params")), None)
    if theirs is not None and theirs.__name__.startswith(("AdaBoost", "Bagging")):
        why = TREES if inner is None or is_of(inner, "sklearn.tree") else why
    if why is not None:
        text = "model=LogisticRegression() or model=Ridge()" if inner is None else f"model={inner!r}"
        why = why.format(inner=text, epsilon=getattr(model, "epsilon", None))
        raise ParameterError(f"model must be a linear model or a network, got {own.__name__}; {why}")
    if isinstance(model, type) and hasattr(model, "get_params"):
        name = model.__name__
        raise ParameterError(f"model must be an estimator, got the class {name}; make one: model={name}()")

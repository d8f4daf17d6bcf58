"""An estimator in parts: the steps of a pipeline and its last one, what that minimises, and its solver."""

from __future__ import annotations

from sklearn.base import BaseEstimator, clone
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from regadvisor.errors import ParameterError
from regadvisor.families.estimator.names import is_there, text_of, theirs, usual
from regadvisor.families.estimator.table import STRENGTH_PARAMS, innermost, wrapper_of

#: Arguments that change what is minimised.
_OBJECTIVE = (
    "class_weight",
    "fit_intercept",
    "positive",
    "loss",
    "epsilon",
    "power",
    "link",
    "quantile",
    "hidden_layer_sizes",
    "activation",
)


def cut(estimator: BaseEstimator) -> tuple[Pipeline | None, BaseEstimator]:
    """Return the steps before the last one of a pipeline, nested ones too, and the last one.

    Raises ParameterError if a step cannot transform.

    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.preprocessing import StandardScaler
    >>> steps, last = cut(make_pipeline(StandardScaler(), make_pipeline("passthrough", Ridge())))
    >>> [step for _, step in steps.steps], last
    ([StandardScaler()], Ridge())
    """
    before: list[Pipeline] = []
    while isinstance(estimator, Pipeline):
        last = estimator.steps[-1][1] if estimator.steps else None
        if not is_there(last):
            raise ParameterError(
                f"model must be a pipeline that ends in an estimator, got {last!r} as its last step; put the "
                "model there"
            )
        for name, step in estimator.steps[:-1]:
            if isinstance(step, type):
                raise ParameterError(
                    f"model must be a pipeline of objects, got the class {step.__name__} as step {name!r}; "
                    f"make one: {step.__name__}()"
                )
            if is_there(step) and not hasattr(step, "transform"):
                raise ParameterError(
                    f"model must be a pipeline of steps that transform, got {type(step).__name__} as step "
                    f"{name!r}; leave it out: class_weight='balanced' of the model weighs classes alike"
                )
        if any(is_there(step) for _, step in estimator.steps[:-1]):
            before.append(estimator[:-1])
        estimator = estimator.steps[-1][1]
    return one_after_the_other(before), estimator


def one_after_the_other(steps: list[Pipeline]) -> Pipeline | None:
    """Return steps as one pipeline; None if there are none."""
    return None if not steps else steps[0] if len(steps) == 1 else make_pipeline(*steps)


def steps_inside(last: BaseEstimator) -> Pipeline | None:
    """Return the steps of pipelines inside of wrappers, one after the other.

    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.preprocessing import StandardScaler
    >>> steps_inside(TransformedTargetRegressor(make_pipeline(StandardScaler(), Ridge()))).steps
    [('standardscaler', StandardScaler())]
    """
    found: list[Pipeline] = []
    while (wrapper := wrapper_of(last)) is not None:
        steps, last = cut(getattr(last, wrapper.inner))
        found += [] if steps is None else [steps]
    return one_after_the_other(found)


def with_last(estimator: BaseEstimator, last: BaseEstimator) -> BaseEstimator:
    """Return a copy of an estimator or pipeline with another last step."""
    if not isinstance(estimator, Pipeline):
        return last
    copy = clone(estimator)
    inner = copy
    while isinstance(inner.steps[-1][1], Pipeline):
        inner = inner.steps[-1][1]
    inner.steps[-1] = (inner.steps[-1][0], last)
    return copy


def for_columns(estimator: BaseEstimator) -> BaseEstimator:
    """Return an estimator or pipeline for several columns of classes: one last step for each.

    Raises ParameterError for a chain, which takes columns of 0 and 1 alone.
    """
    _, last = cut(estimator)
    if theirs(last) == "ClassifierChain":
        raise ParameterError(
            "model must be a MultiOutputClassifier for several columns of classes, got ClassifierChain, "
            "which takes columns of 0 and 1 alone; pass the classifier inside it"
        )
    own = last if theirs(last) == "MultiOutputClassifier" else MultiOutputClassifier(last)
    return with_last(estimator, own)


def objective_of(last: BaseEstimator) -> tuple[str, ...]:
    """Return the arguments that change what is minimised, where they are not the usual ones.

    >>> from sklearn.linear_model import LogisticRegression
    >>> objective_of(LogisticRegression(class_weight="balanced", tol=0.1))
    ("class_weight='balanced'",)
    """
    if wrapper_of(last) is not None:
        return (text_of(without_strengths(last)),)
    params, common = last.get_params(), usual(last)
    return tuple(
        f"{name}={params[name]!r}"
        for name in _OBJECTIVE
        # What compares and prints as a value.
        if not hasattr(params.get(name), "shape")
        and not callable(params.get(name))
        and params.get(name) != common.get(name)
    )


def without_strengths(wrapper: BaseEstimator) -> BaseEstimator:
    """Return a wrapper with the usual strengths inside."""
    own = clone(wrapper)
    inner = innermost(own)
    known = inner.get_params()
    plain = usual(inner)
    inner.set_params(**{name: plain[name] for name in STRENGTH_PARAMS if name in known})
    return own

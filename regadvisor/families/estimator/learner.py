"""The caller's scikit-learn estimator: fitted by our solvers as one of ours, or trained as itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgWarning
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from regadvisor.candidates import Candidate
from regadvisor.data.table import Table
from regadvisor.errors import DataError, ParameterError
from regadvisor.families.base import Fit
from regadvisor.families.estimator.caller import Caller, asked_about
from regadvisor.families.estimator.encoder import AsGiven, Encoder, make_encoder, seeded
from regadvisor.families.estimator.measures import Scale
from regadvisor.families.estimator.names import step_texts, theirs, usual
from regadvisor.families.estimator.parts import objective_of, with_last
from regadvisor.families.estimator.rules import Strengths
from regadvisor.families.estimator.table import configured, innermost, without_search, wrapper_of
from regadvisor.families.fitted.learner import Call, Laws, Learner, Trained, weights_of
from regadvisor.families.fitted.losses import Floats, LogLoss, OfColumns, RowLoss, of_labels
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.preprocess import make_preprocessor
from regadvisor.quiet import ignoring
from regadvisor.records import DataFacts, Note, Training
from regadvisor.regularizer import Kind, Regularizer
from regadvisor.words import number

#: Targets so many times as large as 1, or as small, are slow to learn for a network.
LARGE_TARGET = 10.0


class EstimatorFamily(LinearFamily):
    """Our linear models, less the kinds that the caller's estimator cannot express."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(tuple(kind for kind in LinearFamily.kinds if kind in caller.kinds))
        self.caller = caller
        self.has_intercept = caller.has_intercept

    @property
    def model(self) -> BaseEstimator:
        """The caller's estimator, unfitted; what ``build()`` configures."""
        return self.caller.estimator

    def parameters(self, regularizer: Regularizer, facts: DataFacts) -> dict[str, dict[str, float | str]]:
        """Return the parameters of the caller's estimator; none for L1 of several targets."""
        if facts.targets and regularizer.l1:
            return {}
        strengths = Strengths(
            l1=regularizer.l1 or 0.0,
            l2=regularizer.l2 or 0.0,
            n_rows=facts.n_rows,
            n_classes=len(facts.classes or ()),
            sd_y=facts.target_sd or 1.0,
        )
        return told_parameters(self.caller, strengths, facts)

    def on(self, table: Table, X: Any) -> tuple[EstimatorFamily, Table]:
        """Return family and table as the estimator sees them; `X`: the rows as the caller passed them."""
        table, caller = asked_about(table, self.caller, X)
        return EstimatorFamily(caller), replace(table, notes=(*table.notes, *caller.notes))

    def training(self, picked: Fit | None, *, n_sample: int, n_rows: int, seed: int) -> Training:
        """Return how the advised model is to be trained on everything, and what it was asked for."""
        return replace(about(self.caller), seed=seed)


class EstimatorLearner(Learner):
    """Trains the caller's own estimator."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.laws: Laws = caller.row.laws
        self.has_intercept = caller.has_intercept
        self._classes: NDArray[Any] = np.empty(0)
        self._target: NDArray[Any] | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that the estimator can express."""
        return self.caller.kinds

    def on(self, table: Table, X: Any) -> Table:
        """Return the table as the estimator sees it."""
        table, self.caller = asked_about(table, self.caller, X)
        inner = innermost(self.caller.last)
        if self.caller.n_labels and not np.isin(table.targets, (0.0, 1.0)).all():
            raise DataError(
                f"y must have columns of 0 and 1 for {type(self.caller.last).__name__}, got other values; "
                "make a column of each class (pandas.get_dummies), or ask about one column at a time"
            )
        lowest = self.caller.row.lowest(inner)
        if lowest is not None:
            least, (limit, is_open) = float(table.targets.min()), lowest
            if least < limit or (is_open and least == limit):
                rule = f"above {limit:g}" if is_open else f"at least {limit:g}"
                raise DataError(f"y must be {rule} for {type(inner).__name__}, got {least:g}")
        if table.weight is not None:
            _check_weighted(self.caller)
        self._target = table.y if table.is_classification else table.targets
        return replace(
            table, notes=(*table.notes, *self.caller.notes, *_about_target(inner, self._inner_target))
        )

    @property
    def _inner_target(self) -> Any:
        """The target of all rows as the innermost estimator gets it."""
        last = self.caller.last
        if theirs(last) != "TransformedTargetRegressor" or self._target is None:
            return self._target
        if last.func is not None:
            return np.asarray(last.func(self._target), dtype=np.float64)
        if last.transformer is None:
            return self._target
        return clone(last.transformer).fit_transform(self._target)

    def loss(self, sample: Table) -> RowLoss:
        """Return the loss that the estimator minimises, or log loss where it calibrates probabilities."""
        self._classes = np.asarray(sample.facts.classes or ())
        target = sample.targets if self._target is None else self._target
        return self._loss(target)

    def _loss(self, target: NDArray[Any]) -> RowLoss:
        own = self.caller.row.loss(innermost(self.caller.last), target)
        last = self.caller.last.estimator if self.caller.sizes else self.caller.last
        own = LogLoss() if theirs(last) == "CalibratedClassifierCV" else own
        if self.caller.sizes:
            return OfColumns(own, self.caller.sizes)
        return of_labels(own, self.caller.n_labels) if self.caller.n_labels else own

    def encoder(self, sample: Table) -> Encoder:
        """Return the caller's own steps, or our preprocessing; steps inside of a wrapper stay there."""
        if self.caller.inside is not None:
            return AsGiven(sample)
        is_network = self.laws == "network"
        return make_encoder(sample, lambda: make_preprocessor(sample.facts, for_network=is_network))

    def fit(self, call: Call) -> Trained:
        """Train the estimator with these strengths.

        Raises ParameterError if it cannot be fitted.
        """
        last, X, y = self._trained, call.X, call.y
        if self.caller.class_weight is not None:  # the weights of the rows have them
            last = clone(last).set_params(class_weight=None)
        if self.caller.n_labels:
            y = y.astype(np.intp)
        spread = 1.0 if len(self._classes) or self.caller.n_labels else float(np.std(y, axis=0).mean()) or 1.0
        model = seeded(configured(last, self._strengths(call.regularizer, len(y), spread)), call.seed)
        weights = {} if call.weight is None else {"sample_weight": call.weight}
        with ExitStack() as quiet:
            for warning in (ConvergenceWarning, LinAlgWarning, RuntimeWarning):
                quiet.enter_context(ignoring(warning))
            quiet.enter_context(np.errstate(all="ignore"))
            # With routing, wrappers would ask the estimator inside whether it wants the weights.
            # The arguments were checked before, once for all fits.
            quiet.enter_context(config_context(enable_metadata_routing=False, skip_parameter_validation=True))
            try:
                model.fit(X, y, **weights)
            except Exception as error:  # whatever an estimator may raise
                alone = np.flatnonzero((y == y[0]).all(axis=0)).tolist() if self.caller.n_labels else []
                do = "see that model.fit(X, y) works"
                if alone:
                    do = (
                        f"column {alone[0]} of y, counted from 0, has one class there: ask about it by itself"
                    )
                raise ParameterError(
                    f"model must fit the rows of every fold, got {type(error).__name__} from "
                    f"{type(last).__name__}: {error}; {do}"
                ) from error
        return Trained(
            outputs=lambda rows: self._outputs(model, rows),
            weights=None if wrapper_of(model) is not None else weights_of(model),
            converged=_has_converged(model),
            is_limit=call.regularizer.kind == "none" and _tells_apart(model, X, y),
        )

    @property
    def _trained(self) -> BaseEstimator:
        """What is trained in a fold: no threshold is tuned, for no loss depends on it."""
        last = self.caller.last
        while theirs(last) in ("TunedThresholdClassifierCV", "FixedThresholdClassifier"):
            last = last.estimator
        return last if self.caller.inside is None else with_last(self.caller.estimator, last)

    def _strengths(self, regularizer: Regularizer, n_rows: int, spread: float = 1.0) -> Strengths:
        strengths = regularizer.strengths()
        return Strengths(
            l1=strengths.get("l1", 0.0),
            l2=strengths.get("l2", 0.0),
            n_rows=n_rows,
            n_classes=max(self.caller.sizes, default=2) if self.caller.n_labels else len(self._classes),
            is_unequal=self.caller.is_unequal,
            spread=spread,
        )

    def parameters(self, regularizer: Regularizer, facts: DataFacts) -> dict[str, dict[str, float | str]]:
        """Return the parameters of the estimator, inside of wrappers."""
        return told_parameters(self.caller, self._strengths(regularizer, facts.n_rows), facts)

    def _outputs(self, model: Any, rows: Any) -> Floats:
        """Return what the loss reads, a column for each output."""
        if isinstance(model, Pipeline):
            rows, model = model[:-1].transform(rows), model[-1]
        loss = self._loss(np.zeros((1, 1)))
        if isinstance(loss, OfColumns):
            columns = zip(model.estimators_, loss.sizes, loss.widths, strict=True)
            return np.hstack(
                [_class_outputs(own, loss.response, rows, np.arange(size), n) for own, size, n in columns]
            )
        if self.caller.n_labels:
            return _label_outputs(model, loss.response, rows)
        return _class_outputs(model, loss.response, rows, self._classes)

    def in_own_unit(self, regularizer: Regularizer) -> Regularizer:
        """Return strengths for a target of variance 1 as those of the estimator's objective."""
        l1, l2 = self._scale
        return replace(regularizer, l1=(regularizer.l1 or 0.0) * l1, l2=(regularizer.l2 or 0.0) * l2)

    @property
    def _scale(self) -> Scale:
        if self._target is None or self.caller.row.is_classifier:
            return 1.0, 1.0
        return self.caller.row.scale(innermost(self.caller.last), self._inner_target)

    def candidates(self, found: Mapping[Kind, Candidate], sample: Table) -> Mapping[Kind, Candidate]:
        """Return candidates in the unit of the estimator's objective."""
        l1, l2 = self._scale
        return {kind: own.times({"l1": l1, "l2": l2}) for kind, own in found.items()}

    def training(self, seed: int) -> Training:
        """Return what the record keeps of the estimator."""
        return replace(about(self.caller), family="fitted", seed=seed, coupling="loss")


def about(caller: Caller) -> Training:
    """Return what a record keeps of the caller's estimator."""
    return Training(
        family="linear",
        seed=0,
        estimator=type(caller.last).__name__,
        steps=() if caller.steps is None else step_texts(caller.steps),
        objective=objective_of(caller.last),
        is_unequal=caller.is_unequal,
    )


def told_parameters(
    caller: Caller, strengths: Strengths, facts: DataFacts
) -> dict[str, dict[str, float | str]]:
    """Return the parameters of an estimator, inside of wrappers, for weights of rows as they were given.

    What makes it this kind is among them where it is not the default: ``penalty="l1"``, ``l1_ratio=1``. Empty
    without a penalty, and where weights were given but not kept.
    """
    if not (strengths.l1 or strengths.l2) or facts.mean_weight is None:
        return {}
    strengths = replace(strengths, mean_weight=caller.mean_weight * facts.mean_weight)
    inner = innermost(without_search(configured(caller.last, strengths)))  # the class that has them
    known, common = inner.get_params(), usual(inner)
    told: dict[str, float | str] = {name: float(known[name]) for name in ("alpha", "C") if name in known}
    if known.get("penalty") != common.get("penalty"):
        told["penalty"] = str(known["penalty"])
    has_mix = known.get("penalty", "elasticnet") in ("elasticnet", LogisticRegression().penalty)
    if has_mix and known.get("l1_ratio") != common.get("l1_ratio"):
        told["l1_ratio"] = float(known["l1_ratio"])
    return {type(inner).__name__: dict(sorted(told.items()))}


def _check_weighted(caller: Caller) -> None:
    """Raise ParameterError if weights of rows do not reach the estimator."""
    last = caller.last
    name = type(last).__name__
    if caller.inside is not None:
        raise ParameterError(
            f"sample_weight must be None for {name} around a pipeline, which passes no weights on; put the "
            f"steps in front of it: make_pipeline(..., {name}({type(innermost(last)).__name__}()))"
        )
    passes_on = theirs(last) == "TransformedTargetRegressor"
    if not has_fit_parameter(last.regressor if passes_on else last, "sample_weight"):
        raise ParameterError(
            f"sample_weight must be None for {name}, whose fit takes no weights; leave it out"
        )


def _class_outputs(
    model: Any, response: str, rows: Any, classes: NDArray[Any], width: int | None = None
) -> Floats:
    """Return what a loss reads, a column for each output; `width`: how many there are to be."""
    with np.errstate(all="ignore"), ignoring(RuntimeWarning):
        found = np.asarray(getattr(model, response)(rows), dtype=np.float64)
    found = found.reshape(len(found), -1)
    if response == "predict" or (len(model.classes_) == len(classes) and width in (None, found.shape[1])):
        return found
    # Rows of some class are not among those that it was fitted to.
    if len(model.classes_) == 2 and found.shape[1] == 1:
        found = np.hstack([-found, found])
    whole = np.full((len(found), len(classes)), 0.0 if response == "predict_proba" else -1.0)
    whole[:, np.searchsorted(classes, model.classes_)] = found
    return whole


def _label_outputs(model: Any, response: str, rows: Any) -> Floats:
    """Return the probability of 1, or the margin, of each label, shape (n_rows, n_labels)."""
    if response != "predict" and not hasattr(model, response):  # MultiOutputClassifier of margins
        return np.column_stack([getattr(each, response)(rows) for each in model.estimators_])
    found = getattr(model, response)(rows)
    if not isinstance(found, list):
        return np.asarray(found, dtype=np.float64)
    # Of each label the probabilities of its classes; a fold may have met one of them alone.
    columns = [
        shares @ np.asarray(classes, dtype=np.float64)
        for shares, classes in zip(found, model.classes_, strict=True)
    ]
    return np.column_stack(columns)


def _about_target(inner: Any, target: NDArray[Any]) -> tuple[Note, ...]:
    """Return a warning where a network gets numbers that it takes long to learn."""
    if theirs(inner) != "MLPRegressor" or inner.loss != "squared_error":
        return ()
    size = float(np.sqrt(np.mean(np.square(target))))
    if 1 / LARGE_TARGET < size < LARGE_TARGET:
        return ()
    text = (
        f"The target is about {number(size)} in size, and MLPRegressor learns slowly from such numbers. Put "
        "it into TransformedTargetRegressor(MLPRegressor(), transformer=StandardScaler())."
    )
    return (Note(code="target-size", text=text, is_warning=True),)


def _tells_apart(model: Any, X: Any, y: Any) -> bool:
    """Whether a log loss has no lowest value without a penalty: of a label, no row is on the wrong side."""
    if theirs(innermost(model)) != "LogisticRegression":
        return False
    if theirs(model) == "CalibratedClassifierCV":  # each of those inside was fitted to some of the rows
        model = clone(model.estimator).fit(X, y)
    is_right = np.asarray(model.predict(X) == y)
    if theirs(model) == "OneVsRestClassifier" and is_right.ndim == 1 and len(model.estimators_) > 1:
        is_right = (model.decision_function(X) > 0) == (np.asarray(y)[:, None] == model.classes_)
    return bool(is_right.all(axis=0).any())


def _has_converged(model: Any) -> bool:
    """Whether an estimator did not use up its iterations; networks train as long as they are told to."""
    most, made = getattr(model, "max_iter", None), getattr(model, "n_iter_", None)
    if most is None or made is None or theirs(model).startswith("MLP"):
        return True
    return bool(np.max(made) < most)

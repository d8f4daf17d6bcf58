"""The caller's own scikit-learn estimator as ``model=``: what of it is used, and what is refused.

A pipeline is cut in two. Its steps before the last one are fitted inside every fold, on what the caller
passed as X; the last step is what is asked about. Of its arguments,

- those that say how strong the penalty is (``C``, ``alpha``, ``l1_ratio``, ``penalty``) are the answer;
- those that change the objective (``loss``, ``class_weight``, ``positive``, …) are used when candidates are
  trained and compared;
- all others (``tol``, ``max_iter``, ``n_jobs``, ``random_state``, …) say how the minimum is found, and are
  changed only where the estimator could not find the minimum with them (``table.py``).

Linear models with log loss or squared error are fitted by our solvers; all others as themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metadata_routing import get_routing_for_object

from regadvisor.data.table import Table
from regadvisor.errors import ParameterError
from regadvisor.families.estimator.encoder import OfFirstTarget, make_encoder
from regadvisor.families.estimator.names import is_own_class, step_texts, theirs, usual
from regadvisor.families.estimator.parts import cut, for_columns, one_after_the_other, steps_inside
from regadvisor.families.estimator.rules import alpha_is_l2, huber_regressor, network, sgd, svm
from regadvisor.families.estimator.table import (
    ESTIMATORS,
    STRENGTH_PARAMS,
    WRAPPERS,
    Row,
    innermost,
    row_of,
    without_search,
    wrapper_of,
)
from regadvisor.families.unpenalised import Unpenalised
from regadvisor.foreign import check_ours
from regadvisor.records import FREE_TEXT, DataFacts, Note
from regadvisor.regularizer import LABELS, Kind
from regadvisor.thresholds import ROWS_LOOKED_AT, UNEQUAL_FEATURES
from regadvisor.words import agreed, joined, number

_ANY = (
    "'auto', 'linear', 'mlp', 'cnn', a torch.nn.Module or a factory of one, or an estimator of scikit-learn"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Caller:
    """The caller's own estimator, read."""

    #: A copy, unfitted.
    estimator: BaseEstimator
    #: What stands before the last step; None: nothing, so our preprocessing does.
    steps: Pipeline | None
    last: BaseEstimator
    #: The kinds to ask about.
    kinds: tuple[Kind, ...]
    #: Steps of a pipeline inside of `last`, a wrapper, which is then fitted to the rows as they are passed.
    inside: Pipeline | None = None
    #: Classes of each of several columns of classes.
    sizes: tuple[int, ...] = ()
    #: Columns of 0 and 1 that it predicts, one for every class of these; 0: it is asked about classes in one
    #: column, or numbers.
    n_labels: int = 0
    #: What ``class_weight`` gives a row in the mean.
    mean_weight: float = 1.0
    #: Whether some features that the last step gets are far larger than the others.
    is_unequal: bool = False
    notes: tuple[Note, ...] = ()

    @property
    def row(self) -> Row:
        """What is known of the estimator, inside of wrappers."""
        row = row_of(innermost(self.last))
        assert row is not None
        return row

    @property
    def is_exact(self) -> bool:
        """Whether our own solvers find the minimum of its objective."""
        is_usual = self.n_labels == 0 and not self.last.get_params().get("positive", False)
        return is_own_class(self.last) and self.row.is_exact and is_usual and wrapper_of(self.last) is None

    @property
    def has_intercept(self) -> bool:
        """Whether the innermost estimator has a free intercept."""
        return bool(innermost(self.last).get_params().get("fit_intercept", True))

    @property
    def all_steps(self) -> Pipeline | None:
        """What makes the features of the innermost estimator from the rows, if there is anything."""
        return one_after_the_other([steps for steps in (self.steps, self.inside) if steps is not None])

    @property
    def class_weight(self) -> Any:
        """The argument ``class_weight``, or None."""
        return self.last.get_params().get("class_weight")


def read_estimator(model: Any, facts: DataFacts) -> Caller:
    """Return what of the caller's estimator is used.

    Raises ParameterError if the estimator is for the other task, has no row in the table, or one of its steps
    or arguments cannot be used.

    >>> from sklearn.linear_model import Ridge
    >>> from regadvisor.data.source import make_table
    >>> facts = make_table(np.eye(30), np.arange(30) / 2).facts
    >>> read_estimator(Ridge(), facts).kinds
    ('none', 'l2')
    """
    if not hasattr(model, "get_params"):
        got = repr(model) if isinstance(model, str | int | float | list | tuple) else type(model).__name__
        raise ParameterError(
            f"model must be {_ANY}, got {got}; of any other model pass the function that trains it: "
            "model=regadvisor.fit_function(fit)"
        )
    estimator = without_search(model)
    estimator = for_columns(estimator) if facts.class_columns else estimator
    steps, last = cut(estimator)
    inside = steps_inside(last)
    inner = innermost(last)
    row = _row(inner, facts)
    _check_arguments(last, inner)
    _check_targets(last, facts)
    if facts.unpenalised:
        _check_unpenalised(last, row, has_inside=inside is not None)
    caller = Caller(
        estimator=estimator,
        steps=steps,
        last=last,
        inside=inside,
        kinds=row.kinds(inner),
        is_unequal=bool(facts.unpenalised),
        n_labels=len(facts.targets) if row.is_classifier else 0,
        sizes=facts.block_sizes,
    )
    if caller.class_weight is not None:
        class_weights(caller.class_weight, facts)
    return replace(caller, notes=_notes(caller, model))


def _row(inner: Any, facts: DataFacts) -> Row:
    """Return what is known of an estimator; a ParameterError if nothing, or if it is for the other task."""
    check_ours(inner)
    name, row = type(inner).__name__, row_of(inner)
    are_classes = facts.task != "regression" or bool(facts.class_columns)
    nearest = "LogisticRegression()" if are_classes else "Ridge()"
    if row is None and hasattr(inner, "transform") and not hasattr(inner, "predict"):
        raise ParameterError(
            f"model must be an estimator that predicts, or a pipeline that ends in one, got {name}; put one "
            f"behind it, such as {nearest}"
        )
    if row is None:
        raise ParameterError(
            f"model must be {_ANY} ({', '.join(ESTIMATORS)}, alone or last in a pipeline), got {name}; pass "
            f"the nearest of these, such as model={nearest}, or a function that trains yours: "
            "model=regadvisor.fit_function(fit)"
        )
    missing = sorted(set(usual(inner)) - set(inner.get_params()))
    if missing:
        raise ParameterError(
            f"model must take the arguments of {theirs(inner)}, got {name} without {joined(missing)}; add "
            "them, or pass a function that trains it: model=regadvisor.fit_function(fit)"
        )
    if row.is_classifier != are_classes and not (row.is_classifier and facts.targets):
        wanted = "a classifier" if are_classes else "a regressor"
        what = "columns of classes" if facts.class_columns else f"task={facts.task!r}"
        raise ParameterError(
            f"model must be {wanted} for {what}, got {name}; pass model={nearest}, for instance"
        )
    if getattr(inner, "multi_class", "ovr") == "crammer_singer":
        raise ParameterError(
            f"model must have multi_class='ovr', got {name}(multi_class='crammer_singer'), whose loss is not "
            "measured here"
        )
    return row


def _check_arguments(*estimators: BaseEstimator) -> None:
    """Raise ParameterError for arguments that scikit-learn refuses when it fits."""
    for estimator in estimators:
        try:
            estimator._validate_params()
        except ValueError as error:
            raise ParameterError(f"model must have arguments that it takes, got an error: {error}") from error


def _check_unpenalised(last: BaseEstimator, row: Row, *, has_inside: bool) -> None:
    """Raise ParameterError if columns cannot be left without a penalty."""
    name = type(innermost(last)).__name__
    if row.rule in (sgd, svm, network, huber_regressor, alpha_is_l2):
        raise ParameterError(
            f"unpenalised must be None for {name}: these columns are made far larger than the others, "
            "and its solver does not find the minimum then; pass LogisticRegression() or a model of "
            "least squares"
        )
    if has_inside:
        raise ParameterError(
            f"unpenalised must be None for {type(last).__name__} around a pipeline; put the steps in front "
            f"of it: make_pipeline(..., {type(last).__name__}({name}()))"
        )


def _check_targets(last: BaseEstimator, facts: DataFacts) -> None:
    """Raise ParameterError for one target where several are needed, or the other way round."""
    tags, name = get_tags(last).target_tags, type(last).__name__
    own = get_tags(last).classifier_tags
    if facts.targets and own is not None:
        if not (tags.multi_output or own.multi_label):
            raise ParameterError(
                f"model must take several columns of classes, got {name}; pass "
                f"model=MultiOutputClassifier({name}())"
            )
        if innermost(last).get_params().get("class_weight") is not None:
            raise ParameterError(
                "class_weight must be None for several columns of classes; call advise() once for each"
            )
        return
    if facts.targets and not (tags.multi_output or theirs(last) == "MLPRegressor"):
        raise ParameterError(
            f"model must take several targets, got {name} for {facts.n_targets} of them; pass "
            f"model=MultiOutputRegressor({name}())"
        )
    if not facts.targets and not tags.single_output:
        inside = type(innermost(last)).__name__.removeprefix("MultiTask")
        raise ParameterError(f"model must take one target, got {name}; pass model={inside}()")


def class_weights(class_weight: Any, facts: DataFacts, totals: Any = None) -> dict[Any, float]:
    """Return the weight of every class, by label, as scikit-learn computes it from all rows.

    `totals` (n_classes,): weights of the rows of each class, if rows have weights.

    Raises ParameterError if scikit-learn does not take it.
    """
    classes = np.asarray(facts.classes)
    counts = np.asarray(facts.class_counts, dtype=np.float64) if totals is None else totals
    try:
        weights = compute_class_weight(class_weight, classes=classes, y=classes, sample_weight=counts)
    except (ValueError, TypeError) as error:
        raise ParameterError(
            f"model must have a class_weight that fits the classes of y, got {class_weight!r}: {error}"
        ) from error
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise ParameterError(f"class_weight must give every class a weight above 0, got {class_weight!r}")
    return dict(zip(classes.tolist(), weights.tolist(), strict=True))


def asked_about(table: Table, caller: Caller, X: Any) -> tuple[Table, Caller]:
    """Return the table as the caller's estimator sees it, and the estimator with what its features are like.

    The rows of a class weigh what ``class_weight`` says, in fits and in comparisons. `X`: all rows as passed.
    """
    inner = innermost(caller.last)
    if table.weight is not None and get_routing_for_object(inner).fit.requests.get("sample_weight") is False:
        name = type(inner).__name__
        raise ParameterError(
            f"sample_weight must be None for {name} with set_fit_request(sample_weight=False), which takes "
            "no weights; set it to True, or leave the weights out"
        )
    if caller.class_weight is not None:
        rows = np.ones(table.n_rows) if table.weight is None else table.weight
        totals = np.bincount(table.y, weights=rows, minlength=table.n_classes)
        by_class = np.array(list(class_weights(caller.class_weight, table.facts, totals).values()))
        weight = by_class[table.y] * rows
        caller = replace(caller, mean_weight=float(weight.mean()))
        table = replace(table, weight=weight / weight.mean())
    steps = caller.all_steps
    if steps is None:
        return table, caller
    if caller.inside is not None and table.facts.targets:
        steps = OfFirstTarget(steps)
    steps = Unpenalised.of(steps, table.facts) if table.facts.unpenalised else steps
    read = tuple(note for note in table.notes if note.code != FREE_TEXT)  # by these steps, that is
    table = replace(table, given=X, steps=steps, notes=read)
    return table, _looked_at(table, caller)


def _looked_at(table: Table, caller: Caller) -> Caller:
    """Return the estimator with a note if its features are unequal."""
    rows = np.linspace(0, table.n_rows - 1, min(table.n_rows, ROWS_LOOKED_AT)).astype(np.intp)
    some = table.take(rows)
    encoder = make_encoder(some, lambda: None)
    features = encoder.fit_transform(some)
    if hasattr(features, "tocsr"):
        return caller
    squares = np.mean(np.square(features if encoder.free is None else features[:, ~encoder.free]), axis=0)
    sizes = np.sqrt(squares[squares > 0])
    ratio = float(sizes.max() / np.median(sizes)) if len(sizes) else 1.0
    if ratio < UNEQUAL_FEATURES:
        return caller
    name = type(innermost(caller.last)).__name__
    text = (
        f"The features that {name} gets differ in size: the largest is {number(ratio)} times the usual one. "
        "A penalty then acts on the small ones only. Put StandardScaler() right before it."
    )
    note = Note(code="unequal-features", text=text, is_warning=True)
    return replace(caller, is_unequal=True, notes=(*caller.notes, note))


def _notes(caller: Caller, model: Any) -> tuple[Note, ...]:
    """Return what the reader has to know about the model that was asked about."""
    notes: list[Note] = []
    inner = innermost(caller.last)
    name, given = type(inner).__name__, type(model).__name__
    if given.endswith(("SearchCV", "CV", "IC")) and given not in WRAPPERS:
        notes += about_search(model, name)
    if caller.all_steps is not None:
        steps = ", ".join(step_texts(caller.all_steps))
        text = (
            f"Your own steps were fitted inside every fold: {steps}. The strengths are for the features that "
            f"come out of them; nothing else scales these."
        )
        notes.append(Note(code="own-steps", text=text))
    if caller.class_weight is not None:
        text = (
            f"Rows weigh what class_weight={caller.class_weight!r} says, in all fits and all held-out losses."
        )
        notes.append(Note(code="class-weight", text=text))
    if not caller.is_exact:
        text = f"{name} was trained by its own fit, so strengths are in the unit of its own objective."
        notes.append(Note(code="own-objective", text=text))
    has = caller.row.kinds(inner)
    if not {"l1", "l2", "elasticnet"} <= set(has):
        own = [LABELS[kind] for kind in has if kind != "none"]
        other = ""
        if caller.row.is_linear or caller.row.laws == "network":
            model = "mlp" if caller.row.laws == "network" else "linear"
            other = f" model={model!r} compares all."
        tried = f"{' and '.join(own)} {agreed(len(own), 'was', 'were')} tried"
        text = f"Only {tried}: {name} has no other penalty.{other}"
        notes.append(Note(code="kinds-of-model", text=text))
    return tuple(notes)


def about_search(search: Any, name: str) -> tuple[Note, ...]:
    """Return a note on a search around `name`, and a warning if it is over more than strengths."""
    text = f"regadvisor does the search of {type(search).__name__} itself: the advice is for {name}."
    own = Note(code="own-search", text=text)
    grid = getattr(search, "param_grid", getattr(search, "param_distributions", ()))
    names = {name for each in ([grid] if hasattr(grid, "keys") else grid) for name in each}
    known = {*STRENGTH_PARAMS, "weight_decay", "dropout"}
    rest = sorted(name for name in names if name.rpartition("__")[2] not in known)
    if not rest:
        return (own,)
    text = (
        f"Of {type(search).__name__} only the strengths are searched. {joined(rest)} "
        f"{agreed(len(rest), 'stays', 'stay')} as the estimator has {agreed(len(rest), 'it', 'them')}: "
        "ask again with other values."
    )
    return (own, Note(code="not-searched", text=text, is_warning=True))

"""Any model at all: a function of the caller's trains it, regadvisor chooses the regularizer."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from regadvisor.candidates import Candidate, Range
from regadvisor.data.table import Table
from regadvisor.errors import ParameterError, RegadvisorError, reason_of
from regadvisor.families.estimator.encoder import AsGiven, Encoder, make_encoder
from regadvisor.families.estimator.names import step_texts
from regadvisor.families.fitted.learner import Call, Laws, Learner, Trained, weights_of
from regadvisor.families.fitted.library import Fitted
from regadvisor.families.fitted.losses import NAMED, ColumnLoss, Floats, RowLoss, usual_loss
from regadvisor.families.fitted.predicted import ABOUT, class_probabilities, predictions
from regadvisor.families.preprocess import make_preprocessor
from regadvisor.records import DataFacts, Note, Training
from regadvisor.regularizer import DROPOUT_KINDS, KINDS, STRENGTHS, Coupling, Kind, Regularizer

if TYPE_CHECKING:
    from regadvisor.families.fitted.keras_fit import KerasFit
    from regadvisor.families.fitted.skorch_fit import SkorchFit
    from regadvisor.families.neural.recipe import Recipe

_LINEAR: tuple[Kind, ...] = ("none", "l2", "l1", "elasticnet")


@dataclass(frozen=True, kw_only=True)
class FitFunction:
    """A function that trains; made by :func:`fit_function`, which says what the fields mean."""

    fit: Callable[..., Any]
    kinds: tuple[Kind, ...] = _LINEAR
    laws: Laws = "linear"
    encode: bool = False
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    loss: str | Callable[..., Any] | RowLoss | None = None
    name: str = "fit"
    #: Steps of the caller's that rows go through first.
    steps: Any = None
    #: Whether it sees a numeric target standardised.
    scales_target: bool = False
    #: Whether its outputs stand for shares from 0 to 1 of each column, labels among them.
    takes_shares: bool = False
    #: What trains it, how long and on which features, where that is known: part of the record.
    library: Literal["keras", "skorch"] | None = None
    recipe: Recipe | None = None
    #: The class of the optimizer, likewise.
    optimizer: str | None = None
    #: Rows → Σ lr of a run, where its optimizer decouples weight decay: strengths are decoupled then.
    sum_lr: Callable[[int], float] | None = None
    #: How many of its networks are trained at once, if that is known.
    stacks: KerasFit | SkorchFit | None = None
    #: What a reader should know of it.
    notes: tuple[Note, ...] = ()

    def preprocessor(self, facts: DataFacts) -> Any:
        """Return unfitted steps of ours; None: rows go in as they were passed."""
        if facts.inputs:
            from regadvisor.families.neural.image_encoding import module_preprocessor

            return module_preprocessor(facts, "standard" if self.encode else "none", None)
        return make_preprocessor(facts, for_network=False) if self.encode else None

    @property
    def coupling(self) -> Coupling:
        """What strengths mean to it."""
        return "loss" if self.sum_lr is None else "decoupled"

    @property
    def takes_weight(self) -> bool:
        """Whether the function has a parameter `sample_weight`."""
        try:
            parameters = inspect.signature(self.fit).parameters.values()
        except (TypeError, ValueError):  # some callables of C have no signature
            return False
        return any(each.name == "sample_weight" or each.kind is each.VAR_KEYWORD for each in parameters)

    def call(
        self, regularizer: Regularizer, X: Any, y: NDArray[Any], *, seed: int, weight: Floats | None
    ) -> Any:
        """Return what the function trains.

        Raises
        ------
        ParameterError
            If it fails, or takes no weights where rows have some.
        """
        more: dict[str, Any] = {}
        if self.library is None:  # code that is not known may change its rows, which other fits get, too
            X, y = (each.copy() if hasattr(each, "copy") else each for each in (X, y))
        if weight is not None:
            if not self.takes_weight:
                raise ParameterError(
                    f"fit must have a parameter sample_weight where rows have weights, got {self.name} "
                    "without one; add it, or leave sample_weight= out"
                )
            more = {"sample_weight": weight}
        try:
            return self.fit(regularizer, X, y, seed, **more)
        except RegadvisorError:
            raise
        except Exception as error:  # whatever the caller's own code may raise
            about = ABOUT if self.library is None else "model must be one that its own fit trains"
            raise ParameterError(
                f"{about}, got {type(error).__name__} from {self.name}: {reason_of(error)}"
            ) from error


def fit_function(
    fit: Callable[..., Any],
    *,
    kinds: Sequence[Kind] = _LINEAR,
    laws: Laws | None = None,
    encode: bool = False,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    loss: str | Callable[..., Any] | None = None,
    name: str | None = None,
) -> FitFunction:
    """Return a function that trains as something to pass as ``advise(X, y, model=...)``.

    For models of JAX, statsmodels, a Trainer of Hugging Face, R: whatever Python can call. It is called once
    for each candidate and fold, one call after the other.

    Parameters
    ----------
    fit : callable
        ``fit(regularizer, X, y, seed)``, or with a fifth parameter `sample_weight`. `regularizer` has the
        numbers ``l1``, ``l2`` and ``dropout``; X holds rows of what was passed to ``advise``, as a frame or
        an array; y holds numbers or labels. It returns an object with ``predict(X)``, or for classes with
        ``predict_proba(X)``: a column for each class in sorted order, or in that of its ``classes_``. For
        two classes ``predict`` may return the probability of the second one, as statsmodels does.
    kinds : sequence of kind, default ("none", "l2", "l1", "elasticnet")
        What it can do: "l2", "l1" or both, "elasticnet" if both at once; a network also "dropout" and
        then "dropout_l2", "dropout_l1" with the penalties that it has. "none" always belongs to it.
    laws : {"linear", "network"}, optional
        Where strengths are searched, and how they change with the rows. "linear": as for a linear model,
        ``mean loss + l1·Σ|w| + (l2/2)·Σw²`` on standardised features and target. "network": as for a
        penalty in a network's loss. None: "network" if `kinds` has dropout, else "linear".
    encode : bool, default False
        Whether X is to be encoded before: numbers standardised, categories one-hot, missing values filled.
    ranges : mapping of {"l1", "l2", "dropout"} to (low, high), optional
        Strengths to search, where those of `laws` do not fit: no strength lies outside.
    loss : {"log loss", "squared error", "absolute error", "Poisson deviance", "gamma deviance"} or callable
        What models are compared by. A callable takes the targets and the predictions of many rows and
        returns one loss for each. None: log loss for classes, squared error for numbers.
    name : str, optional
        What reports call the model; by default the name of the function.

    Raises
    ------
    ParameterError
        If an argument is out of its rule.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> import regadvisor
    >>> def fit(regularizer, X, y, seed):
    ...     return Ridge(alpha=len(X) * regularizer.l2).fit(X, y)
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = regadvisor.fit_function(fit, kinds=("none", "l2"), encode=True)
    >>> regadvisor.advise(X, y, model=model, effort="quick").regularizer.kind
    'l2'
    """
    if not callable(fit) or isinstance(fit, type):
        raise ParameterError(f"fit must be a function fit(regularizer, X, y, seed), got {fit!r}")
    chosen = _checked_kinds(kinds)
    if laws is None:
        laws = "network" if "dropout" in chosen else "linear"
    if laws not in get_args(Laws) or (laws == "linear" and "dropout" in chosen):
        rule = "'network' for kinds with dropout" if laws == "linear" else "'linear', 'network' or None"
        raise ParameterError(f"laws must be {rule}, got {laws!r}")
    if loss is not None and not callable(loss) and loss not in NAMED:
        raise ParameterError(f"loss must be a callable, None or one of {', '.join(NAMED)}, got {loss!r}")
    own = getattr(fit, "__name__", type(fit).__name__)
    return FitFunction(
        fit=fit,
        kinds=chosen,
        laws=laws,
        encode=encode,
        ranges=_checked_ranges(ranges or {}, chosen),
        loss=loss,
        name=name or ("your function" if own == "<lambda>" else own),
    )


def _checked_kinds(kinds: Sequence[Kind]) -> tuple[Kind, ...]:
    """Return the kinds in order; the charts compare what these allow."""
    given = {kinds} if isinstance(kinds, str) else set(kinds)
    unknown = given - set(KINDS)
    penalties = given & {"l1", "l2"}
    both = {"l1", "l2"} <= penalties
    wanted: set[str] = {"none", *penalties, *({"elasticnet"} if both else ())}
    if given & set(DROPOUT_KINDS):
        wanted |= {"dropout", *(f"dropout_{name}" for name in penalties)}
    rest = wanted - given - {"none"} - ({"elasticnet"} if not given & set(DROPOUT_KINDS) else set())
    if unknown or not penalties or given - wanted or rest:
        raise ParameterError(
            "kinds must have 'l2', 'l1' or both; 'elasticnet' only beside both; and dropout with every "
            f"penalty, such as ('none', 'l2', 'dropout', 'dropout_l2'), got {tuple(kinds)!r}"
        )
    return tuple(kind for kind in KINDS if kind in given | {"none"})


def _checked_ranges(
    ranges: Mapping[str, tuple[float, float]], kinds: Sequence[Kind]
) -> dict[str, tuple[float, float]]:
    names = {name for kind in kinds for name in STRENGTHS[kind]}
    for name, pair in ranges.items():
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        are_numbers = is_pair and all(isinstance(each, numbers.Real) for each in pair)
        if name not in names or not are_numbers or not 0 < pair[0] < pair[1] < np.inf:
            raise ParameterError(
                f"ranges must map {', '.join(sorted(names))} to (low, high) with 0 < low < high, got "
                f"{name!r}: {pair!r}"
            )
        if name == "dropout" and pair[1] >= 1:
            raise ParameterError(f"ranges must keep dropout below 1, got {pair!r}")
    return {name: (float(low), float(high)) for name, (low, high) in ranges.items()}


class FunctionLearner(Learner):
    """Calls the caller's function."""

    def __init__(self, function: FitFunction) -> None:
        self.function = function
        self.laws: Laws = function.laws
        self.coupling: Coupling = function.coupling
        self._classes: tuple[Any, ...] = ()
        self._n_targets: int | None = None
        self._has_labels = self._reads_outputs = False
        if function.stacks is not None:
            from regadvisor.families.fitted.together import Together

            self.together = Together(function.stacks, self._trained)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that the caller named."""
        return self.function.kinds

    def on(self, table: Table, X: Any) -> Table:
        """Return the table with X, and what a reader should know of the function."""
        notes = (*table.notes, *self.function.notes)
        given = None if table.facts.inputs else X  # several arrays stand side by side in the table
        return replace(table, given=given, steps=self.function.steps, notes=notes)

    def loss(self, sample: Table) -> RowLoss:
        """Return the loss that the caller named, or the usual one of the task."""
        self._classes, self._n_targets = sample.facts.classes or (), sample.n_targets
        are_shares = self.function.takes_shares and sample.n_targets > 1
        self._has_labels = are_shares and bool(np.isin(sample.targets, (0.0, 1.0)).all())
        given = self.function.loss
        if isinstance(given, str):
            loss = NAMED[given]()
        elif isinstance(given, RowLoss):
            loss = given
        elif given is not None:
            loss = _own_loss(given)
        else:
            loss = usual_loss(sample)
        self._reads_outputs = loss.reads_outputs
        if (loss.response == "predict_proba") != sample.is_classification:
            wanted = "log loss" if sample.is_classification else "a loss of numbers"
            raise ParameterError(
                f"loss must be {wanted} for task={sample.facts.task!r}, got {given!r}; "
                "task='classification' or 'regression' says what y is"
            )
        return loss

    def encoder(self, sample: Table) -> Encoder:
        """Return our preprocessing if it is asked for; else rows as they are."""
        ours = self.function.preprocessor(sample.facts)
        return AsGiven(sample) if ours is sample.steps is None else make_encoder(sample, lambda: ours)

    def check(self, X: Any) -> None:
        """Look at a Keras model or a net with a few encoded rows."""
        if self.function.stacks is not None:
            self.function.stacks.check(X)

    def fit(self, call: Call) -> Trained:
        """Train one model."""
        own = call.regularizer, call.X, call.y
        return self._trained(self.function.call(*own, seed=call.seed, weight=call.weight))

    def _trained(self, model: Any) -> Trained:
        """Return what the function returned, as the family reads it."""
        classes, reads_outputs = self._classes, self._reads_outputs
        n_targets = None if classes else self._n_targets
        method = "judged" if isinstance(model, Fitted) else "predict"

        def outputs(rows: Any) -> Floats:
            if classes and not reads_outputs:
                return class_probabilities(model, rows, classes)
            return predictions(model, rows, n_targets, method=method)

        return Trained(outputs=outputs, weights=weights_of(model))

    def sum_lr(self, n_rows: int) -> float | None:
        """Return Σ lr of a run on so many rows; None: strengths are in the loss."""
        return None if self.function.sum_lr is None else self.function.sum_lr(n_rows)

    def candidates(self, found: Mapping[Kind, Candidate], sample: Table) -> Mapping[Kind, Candidate]:
        """Return candidates in the caller's own ranges."""
        given = {
            name: Range(low=low, high=high, is_log=name != "dropout", hard_low=low, hard_high=high)
            for name, (low, high) in self.function.ranges.items()
        }
        return {kind: own.within(given) for kind, own in found.items()}

    def training(self, seed: int) -> Training:
        """Return what the record keeps."""
        function, recipe, together = self.function, self.function.recipe, self.together
        training = Training(family="fitted", module=function.name, seed=seed, coupling=self.coupling)
        if recipe is None:
            return training
        if together is not None and together.is_tried:
            stacked, reason = together.why_not is None, together.why_not
            training = replace(training, is_stacked=stacked, engine_reason=reason)
        return replace(
            training,
            engine=function.library,
            own_optimizer=function.optimizer,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size if recipe.epochs else None,
            has_scaled_target=function.scales_target,
            has_label_loss=self._has_labels,
            transform=recipe.transform or "standard",
            steps=() if function.steps is None else step_texts(function.steps),
        )


def _own_loss(loss: Callable[..., Any]) -> ColumnLoss:
    """Return a loss of the caller's; of one column it gets targets and predictions of shape (n_rows,)."""
    name = getattr(loss, "__name__", type(loss).__name__)

    def element(target: Floats, outputs: Floats) -> Floats:
        is_one = target.ndim == 2 and target.shape[1] == 1
        found = np.asarray(
            loss(target[:, 0], outputs[:, 0]) if is_one else loss(target, outputs), dtype=float
        )
        if found.shape[:1] != target.shape[:1]:
            raise ParameterError(
                f"loss must return one loss for each of {len(target)} rows, got shape {found.shape}"
            )
        return found.reshape(len(target), -1) if target.ndim == 2 else found

    return ColumnLoss(name="own loss" if name == "<lambda>" else name, response="predict", element=element)

"""The network of the mlp family as scikit-learn estimators: what ``build()`` hands to the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from regadvisor.errors import ParameterError
from regadvisor.families.neural.encoded import dense, weighted_moments
from regadvisor.families.neural.losses import LossFunction
from regadvisor.families.neural.nets import NetArchitecture
from regadvisor.families.neural.own_loss import sees_raw
from regadvisor.families.neural.penalties import StackStrengths
from regadvisor.families.neural.recipe import RECIPE_NAMES, Recipe, Schedule
from regadvisor.families.neural.schedule import RunPlan, planned_epochs
from regadvisor.families.neural.threads import one_thread
from regadvisor.families.neural.trainer import Member, StackTrainer, TrainingRows
from regadvisor.regularizer import Coupling, Regularizer


@dataclass(kw_only=True, eq=False, repr=False)
class _Network(BaseEstimator):
    """What both estimators share: parameters, one training run, the forward pass."""

    hidden: tuple[int, ...] = (128, 64)
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    lr: float = 2e-3
    batch_size: int = 128
    epochs: int | None = None
    schedule: Schedule = "flat-cosine"
    optimizer: str = "adamw"
    momentum: float = 0.9
    nesterov: bool = False
    betas: tuple[float, float] | None = None
    accumulate: int = 1
    warmup: float = 0.0
    clip_norm: float | None = None
    coupling: Coupling = "decoupled"
    exempt: tuple[str, ...] = ()
    penalised: tuple[str, ...] | None = None
    lr_scale: Any = ()
    towards_start: bool | tuple[str, ...] = False
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None
    loss: LossFunction | None = None
    random_state: int | np.random.RandomState | None = None
    device: str = "cpu"

    def _train(self, X: Any, target: NDArray[Any], weight: NDArray[Any], *, is_classification: bool) -> None:
        """Train one network on all rows and keep it.

        Shapes: `X` (n_rows, n_features), array or sparse; `target` (n_rows, n_outputs); `weight` (n_rows,).
        """
        recipe, n_rows = self._recipe(), X.shape[0]
        device = torch.device(self.device)
        is_even = bool((weight == 1.0).all())  # products with 1 change no bit, and cost time
        rows = TrainingRows(
            x=torch.from_numpy(dense(X)).to(device),
            target=torch.as_tensor(target, dtype=torch.float32).to(device),
            weight=None if is_even else torch.as_tensor(weight, dtype=torch.float32).to(device),
            parts=(torch.arange(n_rows),),
            is_classification=is_classification,
        )
        architecture, recipe = self._architecture(rows, recipe, target)
        regularizer = Regularizer(l1=self.l1, l2=self.l2, dropout=self.dropout, coupling=recipe.coupling)
        self.n_epochs_ = recipe.epochs or planned_epochs(n_rows, recipe.rows_per_step)
        trainer = StackTrainer(
            rows,
            [Member(seed=self._seed())],
            StackStrengths.of([regularizer]),
            plan=RunPlan.of(recipe, n_rows=n_rows, epochs=self.n_epochs_),
            architecture=architecture,
            recipe=recipe,
        )
        with one_thread():
            trainer.run()
        weights = self._keep(architecture, trainer.stack.flat[:1].cpu())
        if not all(bool(torch.isfinite(own).all()) for own in weights):
            raise ParameterError(
                f"lr must be low enough for training to stay finite, got {recipe.lr!r}; lower it"
            )

    def _architecture(self, rows: TrainingRows, recipe: Recipe, target: NDArray[Any]) -> tuple[Any, Recipe]:
        """Return the untrained network for these rows, and the recipe as it has to be for it."""
        return NetArchitecture.of(recipe, rows.x.shape[1], target.shape[1]), recipe

    def _keep(self, architecture: Any, trained: torch.Tensor) -> Iterable[torch.Tensor]:
        """Keep the trained parameters, shape (1, n_parameters), as NumPy arrays; return the weights."""
        coefs, intercepts = architecture.views(trained)
        self.coefs_ = [coef[0].numpy().copy() for coef in coefs]
        self.intercepts_ = [intercept[0].numpy().copy() for intercept in intercepts]
        return tuple(coefs)

    def _recipe(self) -> Recipe:
        own = {name: value for name, value in self.get_params().items() if name in RECIPE_NAMES}
        return Recipe(**own | {"hidden": tuple(self.hidden)})

    def _seed(self) -> int:
        """Return the seed: an int as it is, so that a plain torch script can repeat the run."""
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))

    def _weight(self, sample_weight: ArrayLike | None, X: Any) -> NDArray[np.float64]:
        """Return the row weights with a mean of 1, shape (n_rows,)."""
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if weight.sum() <= 0:
            raise ParameterError("sample_weight must hold a positive number, got only zeros")
        scaled: NDArray[np.float64] = weight / weight.mean()
        return scaled

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        """Return the outputs of the last layer, shape (n_rows, n_outputs)."""
        check_is_fitted(self)
        hidden = validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=False)
        last = len(self.coefs_) - 1
        for layer, (coef, intercept) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
            hidden = hidden @ coef + intercept
            if layer < last:
                np.maximum(hidden, 0.0, out=hidden)
        outputs: NDArray[np.float64] = hidden.astype(np.float64)
        return outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class NetworkClassifier(ClassifierMixin, _Network):
    """A multilayer perceptron classifier with L1, L2 and dropout, trained by AdamW or SGD.

    Decoupled (the default), per step ``w ← soft((1 − lr·l2)·w, lr·l1)`` around the optimizer's own step; with
    ``coupling="loss"``, ``l1·Σ|w| + (l2/2)·Σw²`` is added to the loss. Biases are exempt. The loss is the log
    loss of a softmax over the classes. Features are taken as they are: standardise them first.

    Parameters
    ----------
    hidden, lr, batch_size, epochs, schedule, optimizer, momentum, nesterov, betas, accumulate
        As in :class:`~regadvisor.Recipe`, and so are the next ones.
    warmup, clip_norm, coupling, exempt, penalised, lr_scale, towards_start, augment, loss
        Patterns are of the names ``"0.weight"``, ``"0.bias"``, ``"2.weight"``, …
    l1, l2 : float, default 0
        Strengths in the sense of `coupling`; see :class:`~regadvisor.regularizer.Regularizer`.
    dropout : float, default 0
        Share of hidden units dropped.
    random_state : int, RandomState or None
        Starting values, order of the rows and dropped units.
    device : str, default "cpu"

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    coefs_ : list of ndarray of float32, shape (n_in, n_out)
        Weights of every layer.
    intercepts_ : list of ndarray of float32, shape (n_out,)
    n_epochs_ : int
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = NetworkClassifier(epochs=20, l2=0.1, random_state=0).fit((X - X.mean(0)) / X.std(0), y)
    >>> model.predict_proba((X[:2] - X.mean(0)) / X.std(0)).shape
    (2, 3)
    """

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> NetworkClassifier:
        """Train on all rows: `X` (n_rows, n_features), dense or sparse, and labels `y` (n_rows,).

        `sample_weight` (n_rows,) is scaled to a mean of 1.
        """
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float32)
        check_classification_targets(y)
        weight = self._weight(sample_weight, X)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._train(X, np.eye(len(self.classes_))[codes], weight, is_classification=True)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return class probabilities, shape (n_rows, n_classes), in the order of ``classes_``."""
        probabilities: NDArray[np.float64] = softmax(self._outputs(X), axis=1)
        return probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row, shape (n_rows,)."""
        probabilities = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels


class NetworkRegressor(RegressorMixin, _Network):
    """A multilayer perceptron regressor with L1, L2 and dropout, trained by AdamW or SGD.

    The loss is half the squared error on the target standardised inside, mean over the targets if there are
    several. Parameters as in :class:`NetworkClassifier`. A loss of your own may see the target as it is (see
    :class:`~regadvisor.Recipe`); predictions are the outputs that it takes then, such as logarithms of rates.

    Attributes
    ----------
    coefs_, intercepts_, n_epochs_, n_features_in_
        As in :class:`NetworkClassifier`.
    y_mean_, y_scale_ : float, or ndarray of shape (n_targets,)
        Mean and standard deviation of the training target; arrays for a target with two axes. 0 and 1 where
        the target is taken as it is.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=200, n_features=5, random_state=0)
    >>> NetworkRegressor(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> NetworkRegressor:
        """Train on all rows: `X` (n_rows, n_features), dense or sparse, and numbers `y` in their own unit.

        `y` (n_rows,) or (n_rows, n_targets). `sample_weight` (n_rows,) is scaled to a mean of 1.
        """
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=np.float32, y_numeric=True, multi_output=True
        )
        weight = self._weight(sample_weight, X)
        target = np.asarray(y, dtype=np.float64)
        loss = self._recipe().loss
        is_raw = loss is not None and sees_raw(loss, target)
        columns = target.reshape(len(target), -1).T
        moments = [(0.0, 1.0) if is_raw else weighted_moments(column, weight) for column in columns]
        found: tuple[Any, Any] = moments[0] if target.ndim == 1 else tuple(np.transpose(moments))
        self.y_mean_, self.y_scale_ = found
        standardised = ((target - self.y_mean_) / self.y_scale_).reshape(len(target), -1)
        self._train(X, standardised, weight, is_classification=False)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the predicted target, shape (n_rows,) or (n_rows, n_targets) as in `fit`."""
        outputs = self._outputs(X)
        if np.ndim(self.y_mean_) == 0:
            outputs = outputs[:, 0]
        predicted: NDArray[np.float64] = outputs * self.y_scale_ + self.y_mean_
        return predicted

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

"""The caller's own torch module as scikit-learn estimators: what ``build()`` hands to the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from regadvisor.adapters.torch_dropout import set_dropout
from regadvisor.adapters.torch_module import copied
from regadvisor.errors import ParameterError
from regadvisor.families.neural.caller import callers_code
from regadvisor.families.neural.encoded import dense
from regadvisor.families.neural.estimator import NetworkClassifier, NetworkRegressor
from regadvisor.families.neural.losses import LossFunction
from regadvisor.families.neural.module_source import ModuleSource
from regadvisor.families.neural.module_trial import examine
from regadvisor.families.neural.own_loss import sees_raw, with_one_logit
from regadvisor.families.neural.penalties import Strengths
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import Plan, planned_epochs
from regadvisor.families.neural.threads import one_thread
from regadvisor.families.neural.trainer import Member, StackTrainer, TrainingRows
from regadvisor.regularizer import Regularizer

#: Rows of one forward pass of a prediction.
_PREDICTED_AT_ONCE = 4096


class _ModuleNetwork:
    """What both estimators share: parameters, one training run, the forward pass."""

    def __init__(
        self,
        module: Callable[..., Any] | nn.Module | None = None,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        dropout: float = 0.0,
        recipe: Recipe | None = None,
        image_shape: tuple[int, ...] | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
    ) -> None:
        self.module = module
        self.l1 = l1
        self.l2 = l2
        self.dropout = dropout
        self.recipe = recipe
        self.image_shape = image_shape
        self.random_state = random_state
        self.device = device

    def _train(self, X: Any, target: NDArray[Any], weight: NDArray[Any], *, is_classification: bool) -> None:
        """Train one network on all rows; see ``NetworkClassifier``."""
        if self.module is None:
            raise ParameterError("module must be a factory or a torch.nn.Module, got None")
        recipe, n_rows = self.recipe or Recipe(), X.shape[0]
        device = torch.device(self.device)
        rows = TrainingRows(
            x=torch.from_numpy(dense(X)).to(device),
            target=torch.as_tensor(target, dtype=torch.float32).to(device),
            weight=None
            if bool((weight == 1).all())
            else torch.as_tensor(weight, dtype=torch.float32).to(device),
            parts=(torch.arange(n_rows),),
            is_classification=is_classification,
        )
        source = ModuleSource(
            model=self.module,
            input_shape=self.image_shape or (X.shape[1],),
            n_outputs=target.shape[1],
        )
        architecture = examine(
            source,
            rows.x,
            recipe=recipe,
            is_classification=is_classification,
            is_raw=recipe.loss is not None and not is_classification and sees_raw(recipe.loss, target),
            engine="loop",
        )
        recipe = with_one_logit(recipe, architecture.has_one_logit)
        strengths = Regularizer(l1=self.l1, l2=self.l2, dropout=self.dropout, coupling=recipe.coupling)
        self.n_epochs_ = recipe.epochs or planned_epochs(n_rows, recipe.batch_size)
        trainer = StackTrainer(
            rows,
            [Member(seed=self._seed())],  # type: ignore[attr-defined]
            Strengths.of([strengths]),
            plan=Plan.of(recipe, n_rows=n_rows, epochs=self.n_epochs_),
            architecture=architecture,
            recipe=recipe,
        )
        with one_thread():
            trainer.run()
        trained = source.draw(0)
        architecture.layout.unpack(trainer.stack.flat[0].cpu(), trained)
        if not all(bool(torch.isfinite(own).all()) for own in trained.parameters()):
            raise ParameterError(
                f"lr must be low enough for training to stay finite, got {recipe.lr!r}; lower it"
            )
        self.module_ = copied(trained).eval()
        set_dropout(self.module_, self.dropout)
        self._input_shape, self._has_one_logit = source.input_shape, architecture.has_one_logit

    @property
    def _own_loss(self) -> LossFunction | None:
        return None if self.recipe is None else self.recipe.loss

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        """Return the outputs of the module, shape (n_rows, n_outputs)."""
        check_is_fitted(self, "module_")
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=False)
        found = []
        with torch.no_grad():
            for begin in range(0, X.shape[0], _PREDICTED_AT_ONCE):
                rows = torch.from_numpy(dense(X[begin : begin + _PREDICTED_AT_ONCE]))
                with callers_code(
                    "module must run on every batch of rows", "run it on these rows to find the cause"
                ):
                    outputs_here = self.module_(rows.view(len(rows), *self._input_shape))
                found.append(outputs_here.reshape(len(rows), -1))
        outputs: NDArray[np.float64] = torch.cat(found).double().numpy()
        return np.hstack([np.zeros_like(outputs), outputs]) if self._has_one_logit else outputs


class ModuleClassifier(_ModuleNetwork, NetworkClassifier):
    """A caller's own torch module as a classifier, trained with a penalty and dropout.

    Trained as :class:`~regadvisor.families.neural.estimator.NetworkClassifier` is. Features are taken as they
    are: standardise them first.

    Parameters
    ----------
    module : callable or torch.nn.Module
        A factory, called with those of `n_features`, `n_outputs` and `input_shape` that its signature names;
        or a module, of which a copy is trained on.
    l1, l2 : float, default 0
        Strengths, with the coupling of `recipe`; see :class:`~regadvisor.regularizer.Regularizer`.
    dropout : float, default 0
        Rate of every dropout layer.
    recipe : Recipe, optional
    image_shape : tuple of int, optional
        ``(channels, height, width)`` of the flattened images that the rows are.
    random_state : int, RandomState or None
        Starting values, order of the rows and dropped units.
    device : str, default "cpu"

    Attributes
    ----------
    module_ : torch.nn.Module
        The trained module on the CPU, in evaluation mode, its dropout layers at rate `dropout`.
    classes_, n_epochs_, n_features_in_
        As in ``NetworkClassifier``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> factory = lambda n_features, n_outputs: nn.Linear(n_features, n_outputs)
    >>> model = ModuleClassifier(factory, recipe=Recipe(epochs=5), random_state=0).fit(X, y)
    >>> model.predict_proba(X[:2]).shape
    (2, 3)
    """


class ModuleRegressor(_ModuleNetwork, NetworkRegressor):
    """A caller's own torch module as a regressor; parameters as in :class:`ModuleClassifier`.

    The module sees the standardised target; predictions are in the target's own unit.

    Attributes
    ----------
    module_ : torch.nn.Module
    y_mean_, y_scale_, n_epochs_, n_features_in_
        As in :class:`~regadvisor.families.neural.estimator.NetworkRegressor`.
    """

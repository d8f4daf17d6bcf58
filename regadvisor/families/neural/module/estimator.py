"""The caller's own torch module as scikit-learn estimators: what ``build()`` hands to the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from regadvisor.errors import ParameterError, callers_code
from regadvisor.families.neural.dropout import set_dropout
from regadvisor.families.neural.encoded import dense
from regadvisor.families.neural.estimator import NetworkClassifier, NetworkRegressor
from regadvisor.families.neural.module.inputs import Inputs
from regadvisor.families.neural.module.outputs import merged
from regadvisor.families.neural.module.source import ModuleSource
from regadvisor.families.neural.module.stack import ModuleArchitecture
from regadvisor.families.neural.module.trial import examine
from regadvisor.families.neural.own_loss import sees_raw, with_one_logit
from regadvisor.families.neural.parameters import copied
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.trainer import TrainingRows

#: Rows of one forward pass of a prediction.
_PREDICTED_AT_ONCE = 4096


@dataclass(eq=False, repr=False)
class _ModuleNetwork:
    """What both estimators share: parameters, one training run, the forward pass."""

    module: Callable[..., Any] | nn.Module | None = None
    _: KW_ONLY
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    recipe: Recipe | None = None
    inputs: Inputs | None = None
    random_state: int | np.random.RandomState | None = None
    device: str = "cpu"

    def _recipe(self) -> Recipe:
        if self.module is None:
            raise ParameterError("module must be a factory or a torch.nn.Module, got None")
        return self.recipe or Recipe()

    def _architecture(
        self, rows: TrainingRows, recipe: Recipe, target: NDArray[Any]
    ) -> tuple[ModuleArchitecture, Recipe]:
        """Return the caller's module after a look at it, and the recipe as it has to be for it."""
        source = ModuleSource(
            model=self.module,  # type: ignore[arg-type]  # checked by _recipe
            inputs=(self.inputs or Inputs()).on(rows.x),
            n_outputs=target.shape[1],
            output=recipe.output,
        )
        is_own = recipe.loss is not None and not rows.is_classification
        architecture = examine(
            source,
            rows.x,
            recipe=recipe,
            is_classification=rows.is_classification,
            is_raw=is_own and sees_raw(recipe.loss, target),  # type: ignore[arg-type]
            engine="loop",
        )
        # Not the whole architecture: a fitted model is pickled without a second copy of the module.
        self._source = replace(architecture.source, model=torch.nn.Identity(), first_rows=None)
        self._n_heads, self._has_one_logit = architecture.n_heads, architecture.has_one_logit
        return architecture, with_one_logit(recipe, architecture.has_one_logit)

    def _keep(self, architecture: ModuleArchitecture, trained: torch.Tensor) -> Iterable[torch.Tensor]:
        """Keep the trained module, in evaluation mode; return its parameters."""
        module = architecture.source.draw(0)
        architecture.layout.unpack(trained[0], module)
        self.module_ = copied(module).eval()
        set_dropout(self.module_, self.dropout)
        return module.parameters()

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        """Return the outputs of the module, shape (n_rows, n_outputs)."""
        check_is_fitted(self, "module_")
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=False)
        found = []
        for begin in range(0, X.shape[0], _PREDICTED_AT_ONCE):
            rows = torch.from_numpy(dense(X[begin : begin + _PREDICTED_AT_ONCE]))
            do = "run it on these rows to find the cause"
            with torch.no_grad(), callers_code("module must run on every batch of rows", do):
                outputs = self._source.call(self.module_, rows)
            if self._has_one_logit:
                outputs = torch.cat([torch.zeros_like(outputs), outputs], dim=1)
            found.append(merged(outputs, self._n_heads, is_classification=is_classifier(self)))
        return np.asarray(torch.cat(found).double())


class ModuleClassifier(_ModuleNetwork, NetworkClassifier):
    """A caller's own torch module as a classifier, trained with a penalty and dropout.

    Trained as :class:`~regadvisor.families.neural.estimator.NetworkClassifier` is. Features are taken as they
    are: standardise them first.

    Parameters
    ----------
    module : callable or torch.nn.Module
        A factory, called with those of `n_features`, `n_outputs`, `input_shape`, `cardinalities` and
        `n_tokens` that its signature names;
        or a module, of which a copy is trained on.
    l1, l2, dropout, random_state, device
        As in ``NetworkClassifier``; the coupling is that of `recipe`, and every dropout layer has the rate.
    recipe : Recipe, optional
    inputs : Inputs, optional
        How rows enter the module; by default as a table.

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
    """

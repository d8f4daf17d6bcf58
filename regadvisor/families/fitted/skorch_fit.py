"""A skorch net that its own ``fit`` trains, and how many of them are trained together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import clone

from regadvisor.data.table import take_rows
from regadvisor.errors import ParameterError, callers_code
from regadvisor.families.fitted.library import FIRST_ROWS, Fitted, Library
from regadvisor.families.fitted.skorch_net import (
    has_no_half,
    is_binary,
    rows_taken,
    share_trained,
    with_regularizer,
)
from regadvisor.families.fitted.trained_loss import ClassLoss, TrainedLoss
from regadvisor.families.neural.module.checks import failing_layer, squashed
from regadvisor.families.neural.own_loss import name_of_loss, sees_raw
from regadvisor.global_state import own_randomness
from regadvisor.regularizer import Regularizer

if TYPE_CHECKING:
    from regadvisor.families.fitted.learner import Call
    from regadvisor.families.fitted.skorch_network import SkorchNetwork

#: Criteria that take logits; others of classes take probabilities.
_OF_LOGITS = (torch.nn.CrossEntropyLoss, torch.nn.BCEWithLogitsLoss)
#: Criteria of columns of shares.
_OF_SHARES = (torch.nn.BCEWithLogitsLoss, torch.nn.BCELoss)


@dataclass(frozen=True, eq=False)
class SkorchFitted(Fitted):
    """A trained net; of numbers it is judged by what its criterion takes: logits for several labels."""

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return what the net predicts: numbers, shares, or what a function of the caller's makes of them."""
        if self.classes_ or not callable(self.model.predict_nonlinearity):
            is_logit = isinstance(self.model.criterion_, torch.nn.BCEWithLogitsLoss)
            return np.asarray(expit(self.judged(X)) if is_logit else self.judged(X))
        found = np.asarray(self.model.predict(rows_taken(self.model.module_, X)), dtype=np.float64)
        return np.asarray(found.reshape(len(found), -1) * self.scale + self.center)

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        found = _first(self.model.forward(rows_taken(self.model.module_, X))).cpu().double().numpy()
        return found.reshape(len(found), -1)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return what the net's own method gives."""
        found = np.asarray(self.model.predict_proba(rows_taken(self.model.module_, X)), dtype=np.float64)
        return found.reshape(len(found), -1)


@dataclass(frozen=True, eq=False)
class SkorchFit(Library):
    """Trains a skorch net with a regularizer, for :class:`~.function.FitFunction`."""

    fitted = SkorchFitted

    def __call__(self, regularizer: Regularizer, X: Any, y: NDArray[Any], seed: int) -> SkorchFitted:
        """Return what the net's own fit trains."""
        with own_randomness(seed):
            own = with_regularizer(self.model, regularizer).set_params(verbose=0)
            with own_randomness(seed):  # looked at beforehand, and trained from the same numbers
                probe = clone(own).initialize()
                rows = rows_taken(probe.module_, X)
                n_axes = 2 if self.n_classes else _first(probe.forward(rows[:2])).ndim
            target, center, scale = self.target(y, n_axes)
            is_double = rows.dtype == np.float64 and target.dtype == np.float32
            own.fit(rows, target.astype(np.float64) if is_double else target)
        return SkorchFitted(own, self.facts.classes, center, scale)

    def target(self, y: NDArray[Any], n_axes: int = 2) -> tuple[NDArray[Any], Any, Any]:
        """Return the target as the net's loss takes it, and what turns outputs into its unit.

        `n_axes`: of the module's outputs. The squared error of a column and a row is that of all pairs.
        """
        if self.n_classes:
            # Binary cross-entropy takes floats, cross-entropy whole numbers.
            return self._codes(y).astype(np.float32 if is_binary(self.model) else np.int64), None, None
        is_scaled = not self.is_raw
        target, center, scale = self._standardised(y, is_centred=is_scaled, is_scaled=is_scaled)
        return target[:, 0] if n_axes == 1 and target.shape[1] == 1 else target, center, scale

    def check(self, X: Any) -> None:
        """Raise ParameterError unless the module takes such rows, and returns what the criterion takes."""
        with own_randomness(0):
            net = self._initialized()
            rows = rows_taken(net.module_, take_rows(X, np.arange(min(FIRST_ROWS, X.shape[0]))))
            few = torch.as_tensor(rows).to(net.device)

            def run(module: torch.nn.Module) -> torch.Tensor:
                return _first(module(few)).reshape(len(few), -1)

            try:
                with torch.no_grad():
                    outputs = run(net.module_.eval())
            except Exception as error:  # whatever the caller's module raises
                where, _ = failing_layer(net.module_, ((few,), {}))
                raise self._not_taken(rows, error, where) from error
            self._check_net(net, outputs, run)

    def _check_net(
        self, net: Any, outputs: torch.Tensor, run: Callable[[torch.nn.Module], torch.Tensor]
    ) -> None:
        """Raise ParameterError unless these outputs are what the net's criterion takes."""
        n_classes, criterion = self.n_classes, net.criterion_
        if is_binary(net) and n_classes != 2:
            raise ParameterError(
                f"model must be a NeuralNetClassifier for {n_classes} classes, got one for two of them"
            )
        do = f", or use NeuralNet{'' if is_binary(net) else 'Binary'}Classifier" if n_classes == 2 else ""
        width = 1 if is_binary(net) else n_classes or self.facts.n_targets
        self._check_outputs(outputs.cpu().numpy(), {width}, do)
        name, is_logits = type(criterion).__name__, isinstance(criterion, _OF_LOGITS)
        if n_classes and not is_logits:
            do = "end it in a softmax, pass criterion=torch.nn.CrossEntropyLoss, or say what makes them"
            with callers_code("predict_nonlinearity must turn outputs into probabilities", "look at it"):
                shares = net._get_predict_nonlinearity()(outputs)
            self._check_shares(shares.cpu().numpy(), name, f"{do}: predict_nonlinearity=...")
        elif n_classes or not self.is_raw:
            got = squashed(net.module_, run, is_classification=n_classes > 0)
            what = "numbers of any size and sign, as the target is standardised"
            if got is not None:
                raise ParameterError(
                    f"model must return {f'logits for {name}' if n_classes else what}, got {got}; leave out "
                    "the last sigmoid, softmax, tanh, softplus or ReLU"
                )

    def _initialized(self) -> Any:
        return clone(self.model).set_params(verbose=0).initialize()

    @cached_property
    def is_raw(self) -> bool:
        """Whether the criterion has to see a numeric target as it is, such as counts."""
        return sees_raw(self._criterion, np.zeros((1, self.facts.n_targets)) + 0.5)

    @cached_property
    def _criterion(self) -> Any:
        with own_randomness(0):
            return self._initialized().criterion_

    @property
    def row_loss(self) -> TrainedLoss | None:
        """What rows are judged by; None: log loss, or squared errors."""
        if self.n_classes or has_no_half(self.model):
            return self._class_loss() if self.n_classes else None
        name, own = name_of_loss(self._criterion), self._criterion
        return TrainedLoss(name=name, criterion=own, is_scaled=not self.is_raw)

    def _class_loss(self) -> ClassLoss | None:
        with own_randomness(0):
            net = self._initialized()
        own, is_one = net.criterion_, is_binary(net)
        some = torch.randn(8, self.n_classes, generator=torch.Generator().manual_seed(0))
        is_of_shares = isinstance(own, torch.nn.BCELoss) or net._get_predict_nonlinearity()(some) is some
        # What skorch makes of outputs and codes; a method of the caller's may add penalties.
        kind: Any = next(each for each in type(net).mro() if each.__module__.startswith("skorch."))
        if isinstance(own, torch.nn.modules.loss._Loss):
            own.reduction = "none"

        def criterion(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            pair = (outputs[:, 0], target[:, 0].float()) if is_one else (outputs, target.argmax(1))
            found: torch.Tensor = kind.get_loss(net, pair[0].float(), pair[1])
            return found

        n_outputs = 1 if is_one else self.n_classes
        known: dict[str, Any] = {"n_outputs": n_outputs, "is_of_shares": is_of_shares}
        return ClassLoss(name=name_of_loss(own), criterion=criterion, **known).unless_log_loss()

    @cached_property
    def takes_shares(self) -> bool:
        """Whether outputs stand for shares from 0 to 1 of each column, labels among them."""
        return not self.n_classes and isinstance(self._criterion, _OF_SHARES)

    @property
    def share(self) -> float:  # type: ignore[override]
        """Share of the rows that the net does not hold out."""
        return share_trained(self.model)

    @property
    def batch(self) -> int:
        """Most rows of a step; of nets that take all rows at once, those of the data."""
        size: int = self.model.batch_size
        return self.facts.n_rows if size == -1 else size

    @property
    def epochs(self) -> int:
        """Epochs of one run, unless callbacks stop it."""
        epochs: int = self.model.max_epochs
        return epochs

    def why_not(self, X: Any) -> str | None:
        """Return why networks cannot be stacked, as far as it is known without trying."""
        from regadvisor.families.fitted.skorch_network import why_not

        return why_not(self.model)

    def network(self, call: Call, *, steps: int | None = None) -> SkorchNetwork:
        """Return the net as a function of its numbers; with `steps`, so many steps of all rows."""
        from regadvisor.families.fitted.skorch_network import SkorchNetwork

        return SkorchNetwork(self, call, steps=steps)

    def alone(self, call: Call, *, steps: int) -> SkorchFitted:
        """Return what the net's own fit trains, in so many steps of all rows, from the same numbers."""
        network = self.network(call, steps=steps)
        target, center, scale = self.target(call.y, network.n_axes)
        with own_randomness(call.seed):
            own = with_regularizer(self.model, call.regularizer)
            own.set_params(verbose=0, max_epochs=steps, batch_size=-1, train_split=None).initialize()
            own.module_.load_state_dict(network.state(call.seed))
            own.partial_fit(rows_taken(own.module_, call.X), target)
        return SkorchFitted(own, self.facts.classes, center, scale)


def _first(returned: Any) -> torch.Tensor:
    """Return the prediction among what a module returns."""
    found: torch.Tensor = returned[0] if isinstance(returned, tuple) else returned
    return found

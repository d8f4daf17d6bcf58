"""A skorch net that its own ``fit`` trains, and how many of them are trained together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from regadvisor.families.fitted.keras_fit import numbers_of
from regadvisor.families.fitted.keras_model import LOCK, own_randomness
from regadvisor.families.fitted.skorch_net import is_binary, share_trained, with_regularizer
from regadvisor.records import DataFacts
from regadvisor.regularizer import Coupling, Regularizer

if TYPE_CHECKING:
    from regadvisor.families.fitted.learner import Call
    from regadvisor.families.fitted.skorch_network import SkorchNetwork
    from regadvisor.families.fitted.stacked import Numbers, Run


@dataclass(frozen=True, eq=False)
class SkorchFit:
    """Trains a skorch net with a regularizer, for :class:`~.function.FitFunction`."""

    net: Any
    facts: DataFacts
    coupling: Coupling = "loss"

    def __call__(self, regularizer: Regularizer, X: Any, y: NDArray[Any], seed: int) -> SkorchFitted:
        """Return what the net's own fit trains."""
        rows = numbers_of(X)
        with LOCK, own_randomness(seed):
            own = with_regularizer(self.net, regularizer).set_params(verbose=0)
            target, center, scale = self.target(y)
            return SkorchFitted(own.fit(rows, target), self.facts.classes, center, scale)

    def target(self, y: NDArray[Any]) -> tuple[NDArray[Any], Any, Any]:
        """Return the target as the net's loss takes it, and what turns outputs into its unit."""
        if self.facts.classes:
            classes = list(self.facts.classes)
            codes = np.array([classes.index(label) for label in np.asarray(y).tolist()])
            # Binary cross-entropy takes floats, cross-entropy whole numbers.
            return codes.astype(np.float32 if is_binary(self.net) else np.int64), None, None
        values = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        center, scale = values.mean(axis=0), np.where(values.std(axis=0) > 0, values.std(axis=0), 1.0)
        return ((values - center) / scale).astype(np.float32), center, scale

    # ------------------------------------------------------------------------ many at once (together.py)

    @property
    def share(self) -> float:
        """Share of the rows that the net does not hold out."""
        return share_trained(self.net)

    def why_not(self, X: Any) -> str | None:
        """Return why networks cannot be stacked, as far as it is known without trying."""
        from regadvisor.families.fitted.skorch_network import why_not

        return why_not(self.net)

    def network(self, call: Call, *, steps: int | None = None) -> SkorchNetwork:
        """Return the net as a function of its numbers; with `steps`, so many steps of all rows."""
        from regadvisor.families.fitted.skorch_network import SkorchNetwork

        n_rows = len(call.y)
        batch = n_rows if steps or self.net.batch_size == -1 else self.net.batch_size
        return SkorchNetwork(
            self.net if steps is None else clone(self.net).set_params(train_split=None),
            coupling=self.coupling,
            batch=batch,
            epochs=steps or self.net.max_epochs,
            rows=numbers_of(call.X),
        )

    def run(
        self, network: SkorchNetwork, call: Call
    ) -> tuple[Run, Callable[[Numbers, Numbers], SkorchFitted]]:
        """Return what a network is trained on, and what makes a model that predicts of its numbers."""
        from regadvisor.families.fitted.skorch_network import trained_rows
        from regadvisor.families.fitted.stacked import Run

        target, center, scale = self.target(call.y)
        rows = numbers_of(call.X)
        chosen = trained_rows(network.net, rows, target)
        run = Run(
            regularizer=call.regularizer,
            x=torch.as_tensor(rows[chosen]),
            y=torch.as_tensor(target[chosen]),
            weight=None,
            seed=call.seed,
        )

        def fitted(trained: Numbers, kept: Numbers) -> SkorchFitted:
            return SkorchFitted(network.model_of(trained, kept), self.facts.classes, center, scale)

        return run, fitted

    def alone(self, call: Call, *, steps: int) -> SkorchFitted:
        """Return what the net's own fit trains, in so many steps of all rows, from the same numbers."""
        target, center, scale = self.target(call.y)
        with LOCK, own_randomness(call.seed):
            own = with_regularizer(self.net, call.regularizer)
            own.set_params(verbose=0, max_epochs=steps, batch_size=-1, train_split=None).initialize()
            own.module_.load_state_dict(self.network(call, steps=steps).state(call.seed))
            own.partial_fit(numbers_of(call.X), target)
        return SkorchFitted(own, self.facts.classes, center, scale)


@dataclass(frozen=True, eq=False)
class SkorchFitted:
    """A trained net that predicts probabilities, or numbers in the unit of the target."""

    net: Any
    classes_: tuple[Any, ...] | None
    center: Any = None
    scale: Any = None

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the outputs in the unit of the target."""
        found = np.asarray(self.net.predict(numbers_of(X)), dtype=np.float64)
        return np.asarray(found.reshape(len(found), -1) * self.scale + self.center)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities of the classes."""
        return np.asarray(self.net.predict_proba(numbers_of(X)), dtype=np.float64)

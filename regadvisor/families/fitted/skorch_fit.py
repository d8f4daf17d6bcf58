"""A skorch net that its own ``fit`` trains, and how many of them are trained together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from regadvisor.errors import ParameterError
from regadvisor.families.fitted.keras_model import LOCK, own_randomness
from regadvisor.families.fitted.skorch_net import is_binary, rows_taken, share_trained, with_regularizer
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
        with LOCK, own_randomness(seed):
            own = with_regularizer(self.net, regularizer).set_params(verbose=0)
            with own_randomness(seed):  # looked at beforehand, and trained from the same numbers
                probe = clone(own).initialize()
                rows = rows_taken(probe.module_, X)
                n_axes = 2 if self.facts.classes else probe.forward(rows[:2]).ndim
            target, center, scale = self.target(y, n_axes)
            is_double = rows.dtype == np.float64 and target.dtype == np.float32
            own.fit(rows, target.astype(np.float64) if is_double else target)
        return SkorchFitted(own, self.facts.classes, center, scale)

    def target(self, y: NDArray[Any], n_axes: int = 2) -> tuple[NDArray[Any], Any, Any]:
        """Return the target as the net's loss takes it, and what turns outputs into its unit.

        `n_axes`: of the module's outputs. The squared error of a column and a row is that of all pairs.
        """
        if self.facts.classes:
            classes = list(self.facts.classes)
            codes = np.array([classes.index(label) for label in np.asarray(y).tolist()])
            # Binary cross-entropy takes floats, cross-entropy whole numbers.
            return codes.astype(np.float32 if is_binary(self.net) else np.int64), None, None
        values = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        center, scale = values.mean(axis=0), np.where(values.std(axis=0) > 0, values.std(axis=0), 1.0)
        target = ((values - center) / scale).astype(np.float32)
        return target[:, 0] if n_axes == 1 and target.shape[1] == 1 else target, center, scale

    # ------------------------------------------------------------------------ many at once (together.py)

    @property
    def share(self) -> float:
        """Share of the rows that the net does not hold out."""
        return share_trained(self.net)

    @property
    def batch(self) -> int:
        """Most rows of a step; of nets that take all rows at once, those of the data."""
        size: int = self.net.batch_size
        return self.facts.n_rows if size == -1 else size

    @property
    def epochs(self) -> int:
        """Epochs of one run, unless callbacks stop it."""
        epochs: int = self.net.max_epochs
        return epochs

    def why_not(self, X: Any) -> str | None:
        """Return why networks cannot be stacked, as far as it is known without trying."""
        from regadvisor.families.fitted.skorch_network import why_not

        return why_not(self.net)

    def network(self, call: Call, *, steps: int | None = None) -> SkorchNetwork:
        """Return the net as a function of its numbers; with `steps`, so many steps of all rows."""
        from regadvisor.families.fitted.skorch_network import SkorchNetwork

        return SkorchNetwork(
            self.net if steps is None else clone(self.net).set_params(train_split=None),
            coupling=self.coupling,
            batch=len(call.y) if steps else self.batch,
            epochs=steps or self.epochs,
            X=call.X,
        )

    def run(
        self, network: SkorchNetwork, call: Call
    ) -> tuple[Run, Callable[[Numbers, Numbers], SkorchFitted]]:
        """Return what a network is trained on, and what makes a model that predicts of its numbers."""
        from regadvisor.families.fitted.skorch_network import trained_rows
        from regadvisor.families.fitted.stacked import Run

        if call.weight is not None:
            raise ParameterError("weights must be None for a skorch net, whose loss takes none, got some")
        target, center, scale = self.target(call.y, network.n_axes)
        rows = rows_taken(network.made.module_, call.X)
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
        network = self.network(call, steps=steps)
        target, center, scale = self.target(call.y, network.n_axes)
        with LOCK, own_randomness(call.seed):
            own = with_regularizer(self.net, call.regularizer)
            own.set_params(verbose=0, max_epochs=steps, batch_size=-1, train_split=None).initialize()
            own.module_.load_state_dict(network.state(call.seed))
            own.partial_fit(rows_taken(own.module_, call.X), target)
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
        found = np.asarray(self.net.predict(rows_taken(self.net.module_, X)), dtype=np.float64)
        return np.asarray(found.reshape(len(found), -1) * self.scale + self.center)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities of the classes."""
        return np.asarray(self.net.predict_proba(rows_taken(self.net.module_, X)), dtype=np.float64)

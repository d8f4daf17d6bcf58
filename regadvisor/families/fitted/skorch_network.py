"""A skorch net as a function of its numbers, for :mod:`~regadvisor.families.fitted.stacked`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy
from torch.utils.data import DataLoader, Subset

from regadvisor.data.table import take_rows
from regadvisor.errors import ParameterError
from regadvisor.families.fitted.keras_model import own_randomness
from regadvisor.families.fitted.skorch_net import OURS, has_no_half, is_binary, rows_taken
from regadvisor.families.fitted.stacked import Mover, Numbers
from regadvisor.families.neural.dropout import with_rates_inside
from regadvisor.families.neural.module.dropout import places_of, with_fed_dropout
from regadvisor.families.neural.parameters import penalised_parameters
from regadvisor.regularizer import Coupling

#: Rows of the dry passes: two sizes tell which axes hold the rows.
_FEW, _MANY = 5, 7
#: Rows of one pass when it predicts.
_ROWS_AT_ONCE = 4096


class SkorchNetwork:
    """The module, criterion and optimizer of a net as a :class:`~.stacked.Network`.

    `X`: some rows.
    """

    def __init__(self, net: Any, *, coupling: Coupling, batch: int, epochs: int, X: Any) -> None:
        self.batch, self.epochs, self.coupling = batch, epochs, coupling
        self.shuffles = bool(net.get_params().get("iterator_train__shuffle", False))
        self.factor = 2.0 if has_no_half(net) else 1.0
        self.net, self._few = net, take_rows(X, np.arange(_MANY) % X.shape[0])
        self._starts: dict[int, tuple[Numbers, Numbers]] = {}
        #: An initialized net, for its loss and for what it makes of outputs.
        self.made = self._made(0)
        module = self.made.module_
        rows = torch.as_tensor(rows_taken(module, self._few))
        if any(True for _ in with_rates_inside(module)):
            raise ParameterError(
                "units are dropped inside of layers, where networks cannot have rates of their own"
            )
        self.is_convolutional = any(isinstance(part, nn.modules.conv._ConvNd) for part in module.modules())
        names = {name for name, _ in penalised_parameters(module)}
        self._module, self._feed = with_fed_dropout(module)
        trained = [name for name, value in self._module.named_parameters() if value.requires_grad]
        self._trained_names, self.penalised = trained, [name in names for name in trained]
        self._kept_names = [name for name in _state(self._module) if name not in trained]
        seen = []
        for n in (_FEW, _MANY):
            self._feed.start(None)
            outputs, _ = self._called(*self._numbers(self._module), rows[:n], is_training=True)
            seen.append(self._feed.seen)
        self.places = tuple(places_of(seen[0], seen[1], (_FEW, _MANY)))
        self._feed.places = self.places
        #: Axes of what the module returns.
        self.n_axes = outputs.ndim

    def _made(self, seed: int) -> Any:
        """Return a net initialized from a seed, with lazy parameters drawn."""
        with own_randomness(seed):
            made = clone(self.net).set_params(verbose=0).initialize()
            if any(is_lazy(value) for value in made.module_.parameters()):
                with torch.no_grad():
                    made.module_.eval()(torch.as_tensor(rows_taken(made.module_, self._few))[:2])
        return made

    def _numbers(self, module: nn.Module) -> tuple[Numbers, Numbers]:
        state = _state(module)
        trained, kept = (
            [state[name].detach().clone() for name in names]
            for names in (self._trained_names, self._kept_names)
        )
        return trained, kept

    def start(self, seed: int) -> tuple[Numbers, Numbers]:
        """Return the numbers of a net initialized from this seed."""
        if seed not in self._starts:
            self._starts[seed] = self._numbers(self._made(seed).module_)
        return self._starts[seed]

    def state(self, seed: int) -> dict[str, Tensor]:
        """Return the same by name."""
        trained, kept = self.start(seed)
        return dict(zip([*self._trained_names, *self._kept_names], [*trained, *kept], strict=True))

    def _called(
        self, trained: Numbers, kept: Numbers, x: Tensor, *, is_training: bool
    ) -> tuple[Tensor, Numbers]:
        state = dict(zip(self._trained_names, trained, strict=True))
        own = dict(zip(self._kept_names, kept, strict=True))
        outputs: Tensor = functional_call(self._module.train(is_training), state | own, (x,))
        return outputs.reshape(-1) if is_binary(self.net) else outputs, list(own.values())

    def loss(
        self, trained: Numbers, kept: Numbers, x: Tensor, y: Tensor, weight: Tensor | None, masks: Numbers
    ) -> tuple[Tensor, Numbers]:
        """Return the net's loss of a batch."""
        self._feed.start(masks or None)
        outputs, after = self._called(trained, kept, x, is_training=True)
        return self.made.get_loss(outputs, y, X=x, training=True), after

    def outputs(self, trained: Numbers, kept: Numbers, x: Tensor) -> Tensor:
        """Return what the module returns."""
        self._feed.start(None)
        with torch.no_grad():
            return self._called(trained, kept, x, is_training=False)[0]

    def mover(self, flat: Tensor) -> tuple[Tensor, Mover]:
        """Return a tensor of these values, and the optimizer that the net would make for it."""
        parameter = nn.Parameter(flat)
        options = self.made.get_params_for_optimizer("optimizer", [("weight", parameter)])[1]
        options = {**options, "weight_decay": 0.0}
        return parameter.detach(), _TorchMover(self.net.optimizer([parameter], **options), parameter)

    def model_of(self, trained: Numbers, kept: Numbers) -> SkorchModel:
        """Return a model with these numbers."""
        return SkorchModel(self, trained, kept)


class SkorchModel:
    """A trained network, with the part of a net that is asked of it."""

    def __init__(self, network: SkorchNetwork, trained: Numbers, kept: Numbers) -> None:
        self.network, self._trained, self._kept = network, trained, kept
        self.module_ = network.made.module_

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the net makes of the module's outputs."""
        found = [
            self.network.outputs(self._trained, self._kept, part)
            for part in torch.split(torch.as_tensor(X), _ROWS_AT_ONCE)
        ]
        shares: NDArray[np.float32] = self.network.made._get_predict_nonlinearity()(torch.cat(found)).numpy()
        return shares

    predict = predict_proba  # of a regressor, whose outputs these are


class _TorchMover:
    """An optimizer of torch with one parameter."""

    def __init__(self, optimizer: Any, parameter: nn.Parameter) -> None:
        self._optimizer, self._parameter = optimizer, parameter

    def rate(self) -> float:
        """Return the learning rate."""
        return float(self._optimizer.param_groups[0]["lr"])

    def step(self, gradient: Tensor) -> None:
        """Make one step."""
        self._parameter.grad = gradient
        self._optimizer.step()


def why_not(net: Any) -> str | None:
    """Return why a net has to be trained by its own ``fit``; None if nothing is known."""
    import skorch

    plain = (skorch.NeuralNetClassifier, skorch.NeuralNetBinaryClassifier, skorch.NeuralNetRegressor)
    if type(net) not in plain:
        return f"{type(net).__name__} may train in a way of its own"
    if net.optimizer not in OURS:
        return f"{getattr(net.optimizer, '__name__', net.optimizer)} may not move each weight by itself"
    given = net.get_params(deep=False)
    own = [
        name for name in ("callbacks", "compile", "warm_start") if given[name] and given[name] != "disable"
    ]
    known = ("iterator_train__shuffle", "iterator_train__num_workers", "iterator_train__pin_memory")
    own += [
        name
        for name in given
        if name.startswith(("iterator_train__", "optimizer__param_groups", "dataset__", "callbacks__"))
        and name not in known
        and not (name.startswith("callbacks__") and given[name] is None)
    ]
    if own:
        return f"the net has {own[0]}"
    if str(given["device"]) != "cpu" or given["iterator_train"] is not DataLoader:
        return "the net has a device or an iterator of its own"
    return None


def trained_rows(net: Any, X: NDArray[Any], y: NDArray[Any]) -> NDArray[np.intp]:
    """Return the rows that a net does not hold out."""
    train, _ = clone(net).set_params(verbose=0).initialize().get_split_datasets(X, y)
    indices = train.indices if isinstance(train, Subset) else np.arange(len(y))
    return np.asarray(indices, dtype=np.intp)


def _state(module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}

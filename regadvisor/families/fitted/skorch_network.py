"""A skorch net as a function of its numbers, for :mod:`~regadvisor.families.fitted.stacked`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy
from torch.utils.data import DataLoader, Subset

from regadvisor.data.table import take_rows
from regadvisor.errors import ParameterError
from regadvisor.families.fitted.skorch_net import OURS, has_no_half, is_binary, rows_taken
from regadvisor.families.fitted.stacked import Mover, Network, Numbers
from regadvisor.families.neural.dropout import with_rates_inside
from regadvisor.families.neural.module.dropout import DRY_ROWS, with_fed_dropout
from regadvisor.families.neural.parameters import penalised_parameters
from regadvisor.global_state import own_randomness

if TYPE_CHECKING:
    from regadvisor.families.fitted.learner import Call
    from regadvisor.families.fitted.skorch_fit import SkorchFit


class SkorchNetwork(Network):
    """The module, criterion and optimizer of a net as a :class:`~.stacked.Network`.

    `model`: an initialized net, for its loss and for what it makes of outputs.
    """

    _library: SkorchFit

    def __init__(self, library: SkorchFit, call: Call, *, steps: int | None) -> None:
        super().__init__(library, call, steps=steps)
        net, X = library.model, call.X
        if steps is not None:
            net = clone(net).set_params(train_split=None)
        self.shuffles = bool(net.get_params().get("iterator_train__shuffle", False))
        self.factor = 2.0 if has_no_half(net) else 1.0
        self.net, self._few = net, take_rows(X, np.arange(DRY_ROWS[1]) % X.shape[0])
        self.model = self._made(0)
        module = self.model.module_
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
        start = self._numbers(self._module)
        #: Axes of what the module returns.
        self.n_axes = self._fed(
            self._feed, lambda n: self._called(*start, rows[:n], is_training=True)[0]
        ).ndim

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

    def _tensors(self, call: Call) -> tuple[Any, ...]:
        if call.weight is not None:
            raise ParameterError("weights must be None for a skorch net, whose loss takes none, got some")
        target, *unit = self._library.target(call.y, self.n_axes)
        rows = rows_taken(self.model.module_, call.X)
        # Those that the net does not hold out.
        train, _ = clone(self.net).set_params(verbose=0).initialize().get_split_datasets(rows, target)
        chosen = np.asarray(train.indices) if isinstance(train, Subset) else slice(None)
        return torch.as_tensor(rows[chosen]), torch.as_tensor(target[chosen]), *unit

    def _drawn(self, seed: int) -> tuple[Numbers, Numbers]:
        return self._numbers(self._made(seed).module_)

    def state(self, seed: int) -> dict[str, Tensor]:
        """Return the numbers of a net initialized from this seed, by name."""
        trained, kept = self.start(seed)
        return dict(zip([*self._trained_names, *self._kept_names], [*trained, *kept], strict=True))

    def _called(
        self, trained: Numbers, kept: Numbers, x: Tensor, *, is_training: bool
    ) -> tuple[Tensor, Numbers]:
        state = dict(zip([*self._trained_names, *self._kept_names], [*trained, *kept], strict=True))
        outputs: Tensor = functional_call(self._module.train(is_training), state, (x,))
        after = [state[name].detach() for name in self._kept_names]  # a buffer may be another tensor now
        return outputs.reshape(-1) if is_binary(self.net) else outputs, after

    def loss(
        self, trained: Numbers, kept: Numbers, x: Tensor, y: Tensor, weight: Tensor | None, masks: Numbers
    ) -> tuple[Tensor, Numbers]:
        """Return the net's loss of a batch."""
        self._feed.start(masks or None)
        outputs, after = self._called(trained, kept, x, is_training=True)
        return self.model.get_loss(outputs, y, X=x, training=True), after

    def outputs(self, trained: Numbers, kept: Numbers, x: Tensor) -> Tensor:
        """Return what the module returns."""
        self._feed.start(None)
        with torch.no_grad():
            return self._called(trained, kept, x, is_training=False)[0]

    def predicted(self, outputs: Tensor) -> Tensor:
        """Return what the net makes of the module's outputs; of a regressor these are the predictions."""
        found: Tensor = self.model._get_predict_nonlinearity()(outputs)
        return found

    def mover(self, flat: Tensor) -> Mover:
        """Return a parameter of these values, and the optimizer that the net would make for it."""
        parameter = nn.Parameter(flat)
        options = self.model.get_params_for_optimizer("optimizer", [("weight", parameter)])[1]
        own = self.net.optimizer([parameter], **{**options, "weight_decay": 0.0})

        def step(gradient: Tensor) -> None:
            parameter.grad = gradient
            own.step()

        return Mover(parameter.detach(), rate=lambda: float(own.param_groups[0]["lr"]), step=step)


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


def _state(module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}

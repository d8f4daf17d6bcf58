"""Our networks: the multilayer perceptron, a chain that ``chain.py`` trains, and a small one for images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor, nn

from regadvisor.families.neural.architecture import Architecture
from regadvisor.families.neural.chain import Activation, ChainStack, Drop, Linear, Link
from regadvisor.families.neural.losses import Loss
from regadvisor.families.neural.module.layout import ModuleLayout
from regadvisor.families.neural.parameters import penalised_names
from regadvisor.families.neural.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class NetArchitecture(Architecture):
    """Multilayer perceptrons of one shape, and which of their parameters are penalised.

    Parameters have the names of an ``nn.Sequential`` of alternating linear and rectified layers:
    ``"0.weight"``, ``"0.bias"``, ``"2.weight"``, …

    Raises ParameterError if a pattern fits no parameter (from `layout`).

    >>> net = NetArchitecture(widths=(3, 4, 2))
    >>> net.layout.n_penalised, net.n_parameters
    (20, 26)
    """

    #: ``(n_features, *hidden, n_outputs)``.
    widths: tuple[int, ...]
    exempt: tuple[str, ...] = ()
    #: Patterns of parameter names; see :class:`~regadvisor.families.neural.recipe.Recipe`.
    penalised: tuple[str, ...] | None = None

    @classmethod
    def of(cls, recipe: Recipe, n_features: int, n_outputs: int) -> NetArchitecture:
        """Return the perceptron of a recipe for data of these sizes."""
        widths = (n_features, *recipe.hidden, n_outputs)
        return cls(widths=widths, exempt=recipe.exempt, penalised=recipe.penalised)

    @cached_property
    def layout(self) -> ModuleLayout:  # type: ignore[override]
        """Where each parameter lies in a network's row; weights are (n_in, n_out) each."""
        sizes = list(zip(self._names, pairwise(self.widths), strict=True))
        shapes: dict[str, tuple[int, ...]] = {weight: shape for (weight, _), shape in sizes}
        shapes |= {bias: (n_out,) for (_, bias), (_, n_out) in sizes}
        by_default = {name: name.endswith("weight") for name in shapes}
        names = penalised_names(by_default, exempt=self.exempt, penalised=self.penalised)
        return ModuleLayout.of(shapes, penalised=names)

    @property
    def _names(self) -> list[tuple[str, str]]:
        """The names of weight and bias of every layer."""
        return [(f"{2 * k}.weight", f"{2 * k}.bias") for k in range(len(self.widths) - 1)]

    def views(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return weights (n_models, n_in, n_out) and biases (n_models, n_out) of every layer as views."""
        found = {entry.name: entry.view(flat) for entry in self.layout.entries}
        weights, biases = ([found[name] for name in own] for own in zip(*self._names, strict=True))
        return weights, biases

    def initial(self, generator: torch.Generator) -> Tensor:
        """Return an untrained network's row, shape (1, n_parameters), drawn as ``torch.nn.Linear`` does.

        Weights and biases are uniform within ±1/√n_in (He et al. 2015 with a = √5), layer by layer, the
        weights first.
        """
        flat = torch.zeros(1, self.n_parameters, dtype=torch.float32)
        for layer in zip(*self.views(flat), strict=True):
            bound = layer[0].shape[1] ** -0.5
            for own in layer:
                drawn = torch.rand(own.shape[1:], generator=generator, dtype=torch.float32)
                own[0] = (2.0 * drawn - 1.0) * bound
        return flat

    def stack(self, parameters: Tensor, *, batch: int, loss: Loss) -> ChainStack:
        """Return networks with these starting values, which the stack owns and changes."""
        links: list[Link] = []
        for names in self._names:
            links += [Linear(*names, is_turned=True), Activation("relu"), Drop()]
        n_features = self.widths[0]
        return ChainStack(
            links[:-2], parameters, batch=batch, loss=loss, layout=self.layout, n_features=n_features
        )

    def floats_per_network(self, batch: int) -> int:
        """Return parameters, gradient and two moments; inputs; outputs, slopes, dropout by layer."""
        return 5 * self.n_parameters + batch * (self.widths[0] + 5 * sum(self.widths[1:]))

    def operations_per_row(self) -> float:
        """Return the operations of training on one row."""
        return 6.0 * (self.n_parameters - sum(self.widths[1:]))


#: Channels of the convolutions; further ones have as many as the last.
CHANNELS = (16, 32, 64)
#: Units of the hidden layer.
HIDDEN = 128
#: Convolutions halve an image until it is no longer than this.
LAST_SIZE = 8


def cnn(n_outputs: int, input_shape: tuple[int, ...]) -> nn.Sequential:
    """Return an untrained convolutional network.

    Convolutions with batch norm and rectifier, then a hidden layer of 128 units. Images longer than 8 pixels
    are halved by strides until they are not; the first convolution is 5×5 there, others are 3×3. Dropout, in
    front of both linear layers, is 0 until a candidate sets it. Strides instead of pooling make a step nearly
    twice as fast on a CPU, and the network no worse.

    `input_shape`: ``(channels, height, width)``.

    >>> import torch
    >>> cnn(10, (1, 28, 28))(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    n_in, height, width = input_shape
    layers: list[nn.Module] = []
    for number, stride in enumerate(_strides(max(height, width))):
        n_out = CHANNELS[min(number, len(CHANNELS) - 1)]
        size = 5 if number == 0 and stride > 1 else 3
        layers += [
            nn.Conv2d(n_in, n_out, size, stride=stride, padding=size // 2, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
        ]
        n_in, height, width = n_out, -(-height // stride), -(-width // stride)
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Dropout(0.0),
        nn.Linear(n_in * height * width, HIDDEN),
        nn.ReLU(),
        nn.Dropout(0.0),
        nn.Linear(HIDDEN, n_outputs),
    ).float()  # whatever torch makes by default


def _strides(size: int) -> list[int]:
    """Return the strides of the convolutions, two at least, the last of them above 1.

    >>> _strides(8), _strides(16), _strides(28), _strides(64)
    ([1, 2], [1, 2], [2, 2], [2, 2, 2])
    """
    n_halved = 0
    while size > LAST_SIZE:
        size, n_halved = -(-size // 2), n_halved + 1
    return [1] * (2 - max(1, n_halved)) + [2] * max(1, n_halved)

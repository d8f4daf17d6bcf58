"""Outputs that are squashed already are noticed before training; those that may go anywhere are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from regadvisor import ParameterError, Recipe
from regadvisor.families.neural.module.inputs import Inputs
from regadvisor.families.neural.module.source import ModuleSource
from regadvisor.families.neural.module.trial import examine

ROWS = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))


def look_at(
    model: nn.Module, n_outputs: int, *, task: str = "classes", loss: Any = None, is_raw: bool = False
) -> None:
    # One logit stands for two classes.
    n = 2 if task == "classes" and n_outputs == 1 else n_outputs
    source = ModuleSource(model=model, inputs=Inputs(n_flat=8), n_outputs=n)
    examine(source, ROWS, recipe=Recipe(loss=loss), is_classification=task == "classes", is_raw=is_raw)


class Ending(nn.Module):
    """A network that ends in a function, which no list of layers shows."""

    def __init__(self, end: Callable[[Tensor], Tensor], n_outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, n_outputs))
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.body(x))


SQUASHING: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "sigmoid layer": nn.Sigmoid(),
    "hard sigmoid": functional.hardsigmoid,
    "tanh": torch.tanh,
    "tanh to (0, 1)": lambda z: (torch.tanh(z) + 1) / 2,
    "softsign": functional.softsign,
    "softplus": functional.softplus,
    "relu": functional.relu,
    "log sigmoid": functional.logsigmoid,
    "clamped": lambda z: z.clamp(0, 1),
    "sine": torch.sin,
}
SHARES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda z: z.softmax(1),
    "shares": lambda z: z.exp().clamp(1e-9, 1e9) / z.exp().clamp(1e-9, 1e9).sum(1, keepdim=True),
}


@pytest.mark.parametrize(
    ("name", "n_outputs"),
    [*((name, n) for name in SQUASHING for n in (1, 2, 3)), *((name, n) for name in SHARES for n in (2, 3))],
)
def test_squashed_outputs_are_no_logits(name: str, n_outputs: int) -> None:
    with pytest.raises(ParameterError, match=r"must return logits, got .*; leave out the last sigmoid"):
        look_at(Ending((SQUASHING | SHARES)[name], n_outputs), n_outputs)


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("name", SQUASHING)
def test_squashed_outputs_cannot_be_a_standardised_target(name: str, n_outputs: int) -> None:
    with pytest.raises(ParameterError, match=r"any size and sign.*Recipe\(loss="):
        look_at(Ending(SQUASHING[name], n_outputs), n_outputs, task="numbers")
    look_at(Ending(SQUASHING[name], n_outputs), n_outputs, task="numbers", is_raw=True)


class Distances(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(3, 8))

    def forward(self, x: Tensor) -> Tensor:
        return -(x[:, None] - self.centres).square().sum(2)


class Cosines(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(3, 8))

    def forward(self, x: Tensor) -> Tensor:
        return 16.0 * functional.normalize(x) @ functional.normalize(self.centres).T


def starting_at_zero(n_outputs: int, bias: float) -> nn.Module:
    net = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, n_outputs))
    nn.init.zeros_(net[2].weight)
    nn.init.constant_(net[2].bias, bias)
    return net


class Scaled(nn.Module):
    """A learned temperature: a parameter without any axis; and one without any number."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.layer, self.temperature = nn.Linear(8, n_outputs), nn.Parameter(torch.zeros(()))
        self.nothing = nn.Parameter(torch.zeros(0, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.temperature.exp()


class Monotone(nn.Module):
    """Positive weights on positive units: only the bias takes outputs below 0."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(self.first(x).sigmoid(), self.last.weight.abs(), self.last.bias)


class Codes(nn.Module):
    """Takes whole numbers only, so rows must not be changed to try it."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.codes = nn.Embedding(10, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.codes(x.abs().long()).sum(1)


def deep(n_outputs: int) -> nn.Module:
    layers = [part for _ in range(30) for part in (nn.Linear(8, 8), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(8, n_outputs))


@pytest.mark.parametrize("task", ["classes", "numbers"])
@pytest.mark.parametrize("n_outputs", [1, 2, 3])
@pytest.mark.parametrize(
    "make",
    [
        lambda n: Ending(lambda z: z, n),
        lambda n: nn.Linear(8, n),
        lambda n: starting_at_zero(n, 0.5),
        lambda n: nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 4), nn.Sigmoid(), nn.Linear(4, n)),
        lambda n: nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, n, bias=False)),
        deep,
        Scaled,
        Codes,
        Monotone,
        lambda n: Ending(lambda z: 10.0 * torch.tanh(z / 10.0), n),
        lambda n: Ending(functional.leaky_relu, n),
        lambda n: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, n))),
    ],
    ids=[
        "plain",
        "linear",
        "zeros",
        "sigmoid inside",
        "batch norm",
        "deep",
        "scaled",
        "codes",
        "monotone",
        "capped",
        "leaky",
        "weight norm",
    ],
)
def test_plain_outputs_are_not_suspected(make: Callable[[int], nn.Module], n_outputs: int, task: str) -> None:
    look_at(make(n_outputs), n_outputs, task=task)


@pytest.mark.parametrize("model", [Distances(), Cosines()])
def test_logits_of_one_sign_or_a_wide_range_are_logits(model: nn.Module) -> None:
    look_at(model, 3)


def test_a_loss_of_one_s_own_needs_logits_as_well() -> None:
    with pytest.raises(ParameterError, match=r"BCEWithLogitsLoss for nn\.BCELoss"):
        look_at(Ending(torch.sigmoid, 1), 1, loss=nn.BCELoss())


@pytest.mark.parametrize("loss", [None, nn.NLLLoss(), lambda z, t: -(z * t).sum(1)])
def test_logarithms_of_probabilities_are_logits(loss: Any) -> None:
    look_at(Ending(lambda z: z.log_softmax(1), 3), 3, loss=loss)


def test_looking_changes_neither_the_module_nor_the_caller_s_luck() -> None:
    model = Ending(lambda z: z, 1)
    before = [value.detach().clone() for value in model.parameters()]
    state = torch.random.get_rng_state()
    look_at(model, 1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))

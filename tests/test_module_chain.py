"""Callers' modules that are plain chains of layers: recognised, and trained as torch trains them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from test_module_stack import (
    N_CLASSES,
    STRENGTHS,
    Masked,
    architecture_of,
    perceptron,
    plainly_trained,
    rows_of,
    trained,
)
from torch import Tensor, nn
from torch.nn import functional

from regadvisor.errors import ParameterError
from regadvisor.families.neural.chain import RULES
from regadvisor.families.neural.losses import Loss
from regadvisor.families.neural.module.dropout import with_fed_dropout
from regadvisor.families.neural.module.inputs import Inputs
from regadvisor.families.neural.module.source import ModuleSource
from regadvisor.families.neural.module.stack import Engine
from regadvisor.families.neural.module.trial import examine
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.trainer import Member

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "elu": lambda: nn.ELU(0.7),
    "gelu": nn.GELU,
    "gelu by tanh": lambda: nn.GELU(approximate="tanh"),
    "silu": nn.SiLU,
    "softplus": lambda: nn.Softplus(beta=2.0),
    "hardtanh": lambda: nn.Hardtanh(-0.5, 0.8),
}


class Written(nn.Module):
    """A chain in code: other shapes of rows, functions, methods, one dropout layer in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(8, 10), nn.LayerNorm(10)
        self.drop, self.middle = nn.Dropout(0.3), nn.Linear(10, 10, bias=False)
        self.last = nn.Linear(10, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.gelu(self.norm(self.first(x.view(len(x), -1))), approximate="tanh")
        hidden = torch.tanh(self.middle(self.drop(hidden)))
        return self.last(self.drop(hidden).relu()).reshape(x.shape[0], N_CLASSES)


def deep(activation: Callable[[], nn.Module]) -> nn.Sequential:
    """Every order of activation, norm and dropout that asks for a buffer of its own."""
    return nn.Sequential(
        nn.Dropout(),
        nn.Sequential(nn.Linear(8, 12), activation(), nn.Dropout(), nn.LayerNorm(12), activation()),
        nn.Linear(12, 12, bias=False),
        nn.LayerNorm(12, elementwise_affine=False),
        activation(),
        activation(),
        nn.Identity(),
        nn.Linear(12, 9),
        nn.Dropout(),
        nn.LayerNorm(9, bias=False),
        nn.Tanh(),
        nn.Dropout(),
        nn.Linear(9, N_CLASSES),
    )


CHAINS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    **{name: (lambda own=own: deep(own), (8,)) for name, own in ACTIVATIONS.items()},
    "written": (Written, (8,)),
    "norm first": (
        lambda: nn.Sequential(
            nn.LayerNorm(8), nn.Dropout(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, N_CLASSES)
        ),
        (8,),
    ),
    "activation first": (lambda: nn.Sequential(nn.Tanh(), nn.Linear(8, N_CLASSES)), (8,)),
    "images": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3)), (1, 4, 4)),
    "in place": (
        lambda: nn.Sequential(nn.Linear(8, 6), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(6, N_CLASSES)),
        (8,),
    ),
    "bare": (lambda: nn.Linear(8, N_CLASSES), (8,)),
}


@pytest.mark.parametrize("engine", ["vmap", "loop"])
@pytest.mark.parametrize("chain", CHAINS)
def test_a_step_of_a_chain_is_that_of_the_other_engines(chain: str, engine: Engine) -> None:
    make, shape = CHAINS[chain]
    fused = architecture_of(make, shape)
    assert (fused.engine, fused.engine_reason) == ("fused", "the module is a plain chain of layers")
    other = architecture_of(make, shape, engine)
    generator = torch.Generator().manual_seed(0)
    initial = torch.cat([fused.initial(generator) for _ in range(4)])
    x, target = torch.randn(4, 20, int(np.prod(shape)), generator=generator), torch.rand(4, 20, N_CLASSES)
    keep = [2.0 * (torch.rand(2, 20, *place.shape) < 0.5).float() for place in other.places]
    found, given = [], x.clone()
    for architecture in (fused, other):
        stack = architecture.stack(initial.clone(), batch=20, loss="log")
        assert stack.dropout_shapes == tuple(place.shape for place in other.places)
        for masks in (None, (slice(1, 3), keep)):  # the second step reuses the buffers
            stack.compute_gradient(x, target, weight=torch.ones(4, 20), masks=masks)
        outputs = stack.outputs(torch.tensor([2, 0]), x[0])
        assert stack.n_penalised == architecture.layout.n_penalised
        found.append((stack.gradient, stack.flat, outputs, stack.zeroed()))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert torch.equal(x, given)


def test_every_activation_is_tried() -> None:
    tried = {
        link.name
        for make in ACTIVATIONS.values()
        for link in architecture_of(lambda make=make: deep(make)).chain
        if hasattr(link, "name")
    }
    assert tried == set(RULES)


@pytest.mark.parametrize("how", STRENGTHS)
def test_a_chain_is_trained_as_a_plain_torch_loop_does(how: str) -> None:
    def make(drop: Callable[[], nn.Module] = nn.Dropout) -> nn.Module:
        head = nn.Linear(12, N_CLASSES, bias=False)
        return nn.Sequential(nn.Linear(8, 12), nn.LayerNorm(12), nn.SiLU(), drop(), head)

    architecture = architecture_of(make)
    hows = [STRENGTHS["none"], STRENGTHS[how], STRENGTHS["dropout"]]
    stack = trained(architecture, (8,), hows).stack
    plain = plainly_trained(architecture, make, (8,), STRENGTHS[how])
    expected = architecture.layout.pack(plain)[0]
    torch.testing.assert_close(stack.flat[1], expected, rtol=2e-3, atol=2e-5)
    x = rows_of((8,), seed=1).x
    with torch.no_grad():
        torch.testing.assert_close(stack.outputs(slice(1, 2), x)[0], plain(x), rtol=2e-3, atol=2e-4)


def test_rates_differ_by_network_and_masks_are_those_of_the_other_engines() -> None:
    hows = [STRENGTHS[name] for name in ("none", "dropout", "dropout_l2", "l1")]
    members = [Member(seed=k % 2, part=k % 2) for k in range(4)]
    flats = [
        trained(architecture_of(lambda: deep(nn.ReLU), (8,), engine), (8,), hows, members).stack.flat
        for engine in (None, "vmap")
    ]
    torch.testing.assert_close(*flats, rtol=5e-3, atol=2e-4)


@pytest.mark.parametrize("loss", ["log", lambda out, target: (out - target).abs().sum(-1)])
def test_a_single_logit_stands_for_two_classes(loss: Loss) -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0))

    source = ModuleSource(model=make, inputs=Inputs(n_flat=8), n_outputs=2)
    rows, found = rows_of((8,)), []
    for engine in (None, "loop"):
        architecture = examine(source, rows.x, recipe=Recipe(), is_classification=True, engine=engine)  # type: ignore[arg-type]
        assert architecture.engine == (engine or "fused")
        initial = architecture.initial(torch.Generator().manual_seed(0))
        stack = architecture.stack(initial, batch=20, loss=loss)
        stack.compute_gradient(rows.x[None, :20], rows.target[None, :20, :2])
        found.append((stack.gradient, stack.outputs(slice(0, 1), rows.x)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


# --------------------------------------------------------------------------------- what is no plain chain


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.Linear(8, 8), nn.Linear(8, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.inner(self.inner(x).relu()).relu())


class Tied(Shared):
    def __init__(self) -> None:
        super().__init__()
        self.again = nn.Linear(8, 8)
        self.again.weight = self.inner.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.again(self.inner(x)))


class Unused(Shared):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(x)


class Skipping(Shared):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + self.inner(x))


class Aside(Shared):
    """The chain does not lead to the outputs."""

    def forward(self, x: Tensor) -> Tensor:
        self.inner(x)
        return self.last(x)


class Scaled(Shared):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.inner(x) * 0.5)


class OtherInTraining(Shared):
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.inner(x)
        return self.last(hidden.relu() if self.training else hidden)


class OtherByRows(Shared):
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.inner(x)
        return self.last(hidden.relu() if len(x) > 5 else hidden)


class Detached(Shared):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.inner(x).detach())


class WithoutGradient(Shared):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            hidden = self.inner(x)
        return self.last(hidden)


class ByTokens(Shared):
    """Rows are cut into tokens, which a linear layer takes one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.inner(x.view(-1, 2, 4)).flatten(1))


def hooked() -> nn.Module:
    module = perceptron()
    module[1].register_forward_hook(lambda part, inputs, outputs: outputs + 1.0)  # type: ignore[index]
    return module


def buffered() -> nn.Module:
    module = perceptron()
    module.register_buffer("offset", torch.zeros(1))
    return module


def chain_with(layer: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(8, 8), layer(), nn.Linear(8, N_CLASSES))


@pytest.mark.parametrize(
    "make",
    [
        Shared,
        Tied,
        Unused,
        Skipping,
        Aside,
        Scaled,
        OtherInTraining,
        OtherByRows,
        Detached,
        WithoutGradient,
        ByTokens,
        hooked,
        buffered,
        chain_with(lambda: nn.BatchNorm1d(8)),
        chain_with(nn.AlphaDropout),
        chain_with(lambda: nn.PReLU()),
        chain_with(lambda: nn.Softmax(-1)),
        chain_with(lambda: nn.LeakyReLU(-0.5)),
        chain_with(lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8))),
        chain_with(lambda: nn.Linear(8, 8).requires_grad_(False)),
    ],
)
def test_what_is_more_than_a_chain_is_left_to_the_other_engines(make: Callable[[], nn.Module]) -> None:
    assert architecture_of(make).engine in ("vmap", "loop")


def test_looking_at_a_module_disturbs_no_network_in_another_thread() -> None:
    module, errors, stop = perceptron(), [], threading.Event()
    x = torch.randn(4, 8)
    expected = module.eval()(x)

    def keep_running() -> None:
        while not stop.is_set():
            if not torch.equal(module(x), expected):
                errors.append("other outputs")

    thread = threading.Thread(target=keep_running)
    thread.start()
    for _ in range(5):
        architecture_of(Written)
    stop.set()
    thread.join()
    assert not errors


def test_a_dropout_layer_in_two_places_is_fed_in_both() -> None:
    drop = nn.Dropout()
    module, feed = with_fed_dropout(nn.Sequential(nn.Linear(8, 8), drop, nn.Linear(8, 8), drop))
    feed.start(None)
    module.train()(torch.ones(2, 8))
    assert feed.seen == [(2, 8), (2, 8)]
    assert not any(isinstance(part, nn.Dropout) for part in module)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"model must be a torch\.nn\.Module in Python, got TorchScript"):
        architecture_of(lambda: torch.jit.script(perceptron(Masked)))

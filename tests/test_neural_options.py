"""Every option of a recipe, trained in a stack, equals a plain torch loop that does the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from rounding import assert_same
from torch import Tensor, nn

from regadvisor.errors import ParameterError
from regadvisor.families.neural.architecture import Stack
from regadvisor.families.neural.losses import Loss, fill_slope, mean_loss, row_losses
from regadvisor.families.neural.nets import NetArchitecture
from regadvisor.families.neural.own_loss import constant_outputs
from regadvisor.families.neural.penalties import StackStrengths
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import RunPlan
from regadvisor.families.neural.trainer import Member, StackTrainer, Stream, TrainingRows, clip
from regadvisor.regularizer import Regularizer

N_ROWS, N_FEATURES = 80, 5
BASE = Recipe(hidden=(12, 7), lr=5e-3, batch_size=32, epochs=8)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny products on several threads of a shared machine mostly wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def make_rows(*, n_classes: int = 3, weighted: bool = False, n_targets: int = 1) -> TrainingRows:
    """`n_classes` 0 is a regression on `n_targets` targets."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(N_ROWS, N_FEATURES, generator=generator)
    noise = 0.5 * torch.randn(N_ROWS, n_targets, generator=generator)
    signal = x[:, :1] + noise
    if n_classes:
        codes = torch.bucketize(signal[:, 0], torch.linspace(-1, 1, n_classes - 1))
        target = nn.functional.one_hot(codes, n_classes).float()
    else:
        target = signal
    weight = torch.rand(N_ROWS, generator=generator) + 0.5 if weighted else None
    parts = (torch.arange(N_ROWS),)
    return TrainingRows(x=x, target=target, weight=weight, parts=parts, is_classification=n_classes > 0)


class Trained(NamedTuple):
    stack: Stack
    weights: list[Tensor]
    biases: list[Tensor]

    @property
    def flat(self) -> Tensor:
        return self.stack.flat


def train(rows: TrainingRows, regularizers: list[Regularizer], recipe: Recipe, seed: int = 3) -> Trained:
    architecture = NetArchitecture.of(recipe, N_FEATURES, rows.target.shape[1])
    trainer = StackTrainer(
        rows,
        [Member(seed=seed)] * len(regularizers),
        StackStrengths.of(regularizers),
        plan=RunPlan.of(recipe, n_rows=N_ROWS, epochs=recipe.epochs or 1),
        architecture=architecture,
        recipe=recipe,
    )
    assert trainer.run()
    return Trained(trainer.stack, *architecture.views(trainer.stack.flat))


class Plain:
    """The same network as ``nn.Sequential`` of linear and rectified layers, trained by torch alone."""

    def __init__(self, rows: TrainingRows, recipe: Recipe, seed: int = 3) -> None:
        self.rows, self.recipe = rows, recipe
        self.plan = RunPlan.of(recipe, n_rows=N_ROWS, epochs=recipe.epochs or 1)
        architecture = NetArchitecture.of(recipe, N_FEATURES, rows.target.shape[1])
        self.stream = Stream(Member(seed=seed), architecture, rows.parts[0])
        parts: list[nn.Module] = []
        for weight, bias in zip(*architecture.views(self.stream.initial), strict=True):
            layer = nn.Linear(*weight.shape[1:])
            layer.weight.data, layer.bias.data = weight[0].T.clone(), bias[0].clone()
            parts += [layer, nn.ReLU()]
        self.net = nn.Sequential(*parts[:-1])

    def forward(self, x: Tensor, dropout: float) -> Tensor:
        for part in self.net:
            x = part(x)
            if dropout and isinstance(part, nn.ReLU):
                x = x * (self.stream.noise(*x.shape) >= dropout) / (1 - dropout)
        return x

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        if self.rows.is_classification:
            losses = nn.functional.cross_entropy(outputs, target.argmax(1), reduction="none")
        else:
            losses = 0.5 * (outputs - target).square().mean(1)
        return (losses if weight is None else losses * weight).mean()

    def train(self, regularizer: Regularizer, penalised: list[str] | None = None) -> nn.Sequential:
        recipe, own = self.recipe, dict(self.net.named_parameters())
        names = [name for name in own if name.endswith("weight")] if penalised is None else penalised
        weights = [own[name] for name in names]
        l1, l2, dropout = (regularizer.strengths().get(name, 0.0) for name in ("l1", "l2", "dropout"))
        optimizer: torch.optim.Optimizer
        if recipe.optimizer == "sgd":
            optimizer = torch.optim.SGD(own.values(), lr=1.0, momentum=recipe.momentum)
        else:
            optimizer = torch.optim.Adam(own.values(), lr=1.0)
        rates = iter(self.plan.rates)
        for _ in range(self.plan.epochs):
            for batch in self.stream.epoch(self.plan.n_steps, self.plan.batch):
                lr = optimizer.param_groups[0]["lr"] = float(next(rates))
                optimizer.zero_grad()
                outputs = self.forward(self.rows.x[batch], dropout)
                weight = None if self.rows.weight is None else self.rows.weight[batch]
                loss = self.loss(outputs, self.rows.target[batch], weight)
                if recipe.coupling == "loss":
                    loss = loss + sum(l1 * w.abs().sum() + l2 / 2 * w.square().sum() for w in weights)
                loss.backward()
                if recipe.clip_norm is not None:
                    nn.utils.clip_grad_norm_(own.values(), recipe.clip_norm)
                with torch.no_grad():
                    for w in weights if recipe.coupling == "decoupled" else []:
                        w.mul_(1 - lr * l2)
                    optimizer.step()
                    for w in weights if recipe.coupling == "decoupled" else []:
                        w.copy_(w.sign() * (w.abs() - lr * l1).clamp_min(0.0))
        return self.net


def assert_equal(stack: Trained, number: int, net: nn.Sequential) -> None:
    layers = [part for part in net if isinstance(part, nn.Linear)]
    for layer, weight, bias in zip(layers, stack.weights, stack.biases, strict=True):
        torch.testing.assert_close(weight[number], layer.weight.T, atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(bias[number], layer.bias, atol=2e-5, rtol=1e-4)


STRENGTHS: dict[str, dict[str, float]] = {
    "none": {},
    "l1": {"l1": 0.02},
    "l2": {"l2": 0.3},
    "elasticnet": {"l1": 0.01, "l2": 0.1},
    "dropout": {"dropout": 0.3},
    "dropout_l2": {"dropout": 0.5, "l2": 0.2},
    "dropout_l1": {"dropout": 0.2, "l1": 0.01},
}


@pytest.mark.parametrize("coupling", ["decoupled", "loss"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_optimizer_coupling_and_clipping(optimizer: str, coupling: str, clip_norm: float | None) -> None:
    recipe = replace(BASE, optimizer=optimizer, coupling=coupling, clip_norm=clip_norm)
    recipe = replace(recipe, lr=0.05, schedule="cosine") if optimizer == "sgd" else recipe
    rows = make_rows(weighted=True)
    regularizers = [Regularizer(**s, coupling=recipe.coupling) for s in STRENGTHS.values()]
    stack = train(rows, regularizers, recipe)
    for number, regularizer in enumerate(regularizers):
        assert_equal(stack, number, Plain(rows, recipe).train(regularizer))


@pytest.mark.parametrize("schedule", ["flat-cosine", "cosine", "constant"])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_schedules_and_several_targets(schedule: str, n_targets: int) -> None:
    recipe = replace(BASE, schedule=schedule)
    rows = make_rows(n_classes=0, n_targets=n_targets)
    regularizer = Regularizer(l2=0.5, coupling="decoupled")
    assert_equal(train(rows, [regularizer], recipe), 0, Plain(rows, recipe).train(regularizer))


@pytest.mark.parametrize("coupling", ["decoupled", "loss"])
@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ({"exempt": ("0.*",)}, ["2.weight", "4.weight"]),
        ({"exempt": ("2.weight",)}, ["0.weight", "4.weight"]),
        ({"penalised": ("4.*",)}, ["4.weight", "4.bias"]),
        ({"penalised": ("*",), "exempt": ("*.bias",)}, ["0.weight", "2.weight", "4.weight"]),
    ],
)
def test_patterns_say_what_is_penalised(
    patterns: dict[str, tuple[str, ...]], expected: list[str], coupling: str
) -> None:
    recipe = replace(BASE, coupling=coupling, **patterns)
    regularizer = Regularizer(l1=0.05, l2=0.5, coupling=recipe.coupling)
    rows = make_rows()
    assert_equal(train(rows, [regularizer], recipe), 0, Plain(rows, recipe).train(regularizer, expected))


def test_a_pattern_that_fits_no_parameter_is_named() -> None:
    with pytest.raises(ParameterError, match=r"exempt must hold .* got 'head\.\*'.*0\.weight"):
        train(make_rows(), [Regularizer()], replace(BASE, exempt=("head.*",)))


def test_penalised_columns_come_first() -> None:
    layout = NetArchitecture.of(BASE, N_FEATURES, 3).layout
    assert list(layout.columns) == ["0.weight", "2.weight", "4.weight", "0.bias", "2.bias", "4.bias"]
    assert layout.columns["0.bias"].start == layout.n_penalised
    some = NetArchitecture.of(replace(BASE, penalised=("2.*", "4.bias")), N_FEATURES, 3).layout
    assert set(some.penalised_names) == {"2.weight", "2.bias", "4.bias"}
    assert max(some.columns[name].stop for name in some.penalised_names) == some.n_penalised


def test_only_the_decoupled_penalty_gives_exact_zeros() -> None:
    recipe = replace(BASE, epochs=40)
    decoupled = train(make_rows(), [Regularizer(l1=1.5, coupling="decoupled")], recipe)
    in_loss = train(make_rows(), [Regularizer(l1=0.05)], replace(recipe, coupling="loss"))
    assert float((decoupled.weights[0] == 0).float().mean()) > 0.3
    assert bool(decoupled.stack.zeroed().any())
    assert not bool((in_loss.weights[0] == 0).any())
    assert float(in_loss.weights[0].abs().median()) < 0.01


@pytest.mark.parametrize(
    "options",
    [
        {"coupling": "loss"},
        {"optimizer": "sgd", "lr": 0.05},
        {"clip_norm": 0.3},
        {"coupling": "loss", "exempt": ("2.weight",), "optimizer": "sgd", "clip_norm": 1.0},
        {"loss": lambda outputs, target: -(outputs.log_softmax(-1) * target).sum(-1)},
    ],
)
def test_what_a_network_becomes_does_not_depend_on_its_company(options: dict[str, object]) -> None:
    rows, recipe = make_rows(), replace(BASE, **options)  # type: ignore[arg-type]
    regularizers = [Regularizer(**s, coupling=recipe.coupling) for s in STRENGTHS.values()]
    together = train(rows, regularizers, recipe)
    n_steps = len(RunPlan.of(recipe, n_rows=N_ROWS, epochs=BASE.epochs or 1).rates)
    for chosen in ([1], [5, 2, 4], [6, 3, 1, 0]):
        few = train(rows, [regularizers[i] for i in chosen], recipe)
        assert_same(few.flat, together.flat[chosen], n_steps=n_steps)


def test_clipping_is_that_of_torch() -> None:
    gradient = torch.randn(4, 50, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [[0.01], [0.1], [1.0], [10.0]]
    )
    expected = []
    for row in gradient:
        parameter = nn.Parameter(torch.zeros(50))
        parameter.grad = row.clone()
        nn.utils.clip_grad_norm_([parameter], 0.7)
        expected.append(parameter.grad)
    clipped = gradient.clone()
    clip(clipped, 0.7)
    torch.testing.assert_close(clipped, torch.stack(expected))
    assert torch.equal(clipped[0], gradient[0])


# --------------------------------------------------------------------------------------------- losses


def cross_entropy_of_rows(outputs: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs, target, reduction="none")


def half_squares(outputs: Tensor, target: Tensor) -> Tensor:
    return 0.5 * (outputs - target).square()  # (batch, 1): one number per row all the same


@pytest.mark.parametrize(
    ("own", "n_classes", "weighted"),
    [
        (cross_entropy_of_rows, 3, True),
        (nn.functional.cross_entropy, 3, False),
        (half_squares, 0, True),
        (lambda outputs, target: 0.5 * nn.functional.mse_loss(outputs, target), 0, False),
    ],
)
def test_an_own_loss_with_the_built_in_formula_gives_the_built_in_network(
    own: Loss, n_classes: int, weighted: bool
) -> None:
    rows = make_rows(n_classes=n_classes, weighted=weighted)
    regularizers = [Regularizer(coupling="decoupled"), Regularizer(l2=0.5, coupling="decoupled")]
    built_in = train(rows, regularizers, BASE)
    theirs = train(rows, regularizers, replace(BASE, loss=own))  # type: ignore[arg-type]
    torch.testing.assert_close(theirs.flat, built_in.flat, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("loss", ["log", "squared", cross_entropy_of_rows])
@pytest.mark.parametrize("weighted", [False, True])
def test_slopes_are_those_of_the_mean_loss(loss: Loss, weighted: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, 9, 3, generator=generator)
    codes = torch.randint(0, 3, (2, 9), generator=generator)
    target = nn.functional.one_hot(codes, 3).float()
    weight = torch.rand(2, 9, generator=generator) if weighted else None
    slope = torch.empty_like(outputs)
    fill_slope(loss, outputs, target, weight, slope)
    for number in range(2):
        leaf = outputs[number].clone().requires_grad_()
        mean = mean_loss(loss, leaf, target[number], None if weight is None else weight[number])
        mean.backward()
        torch.testing.assert_close(slope[number], leaf.grad)


def test_held_out_losses_of_an_own_mean_are_those_of_its_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs, target = torch.randn(2, 5, 1, generator=generator), torch.randn(5, 1, generator=generator)
    found = row_losses(outputs, target, is_classification=False, own=nn.functional.l1_loss)
    np.testing.assert_allclose(found, (outputs - target).abs().squeeze(-1).numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "weighted", "message"),
    [
        (lambda outputs, target: outputs - target, False, r"shape \(\d+,\), one number per row"),
        (lambda outputs, target: 1.0, False, r"got float"),
        (nn.functional.cross_entropy, True, r"one number per row where rows have weights"),
    ],
)
def test_a_loss_of_the_wrong_shape_is_named(wrong: Loss, weighted: bool, message: str) -> None:
    with pytest.raises(ParameterError, match=f"^loss must return .*{message}"):
        train(make_rows(weighted=weighted), [Regularizer()], replace(BASE, loss=wrong))  # type: ignore[arg-type]


def test_the_constant_of_absolute_errors_is_the_median_and_of_squares_the_mean() -> None:
    target = torch.tensor([[0.0], [1.0], [2.0], [3.0], [20.0]])
    start = torch.zeros(1)
    median = constant_outputs(nn.functional.l1_loss, target, start)
    mean = constant_outputs(nn.functional.mse_loss, target, start)
    assert float((median - target).abs().mean()) == pytest.approx(4.4, rel=0.05)
    assert float(mean) == pytest.approx(5.2, rel=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("coupling", ["decoupled", "loss"])
def test_a_gpu_gives_the_networks_of_the_cpu(coupling: str) -> None:
    recipe = replace(BASE, coupling=coupling, clip_norm=1.0)
    rows = make_rows(weighted=True)
    regularizers = [Regularizer(**s, coupling=recipe.coupling) for s in STRENGTHS.values()]
    there = replace(
        rows,
        x=rows.x.cuda(),
        target=rows.target.cuda(),
        weight=None if rows.weight is None else rows.weight.cuda(),
    )
    on_cpu, on_gpu = train(rows, regularizers, recipe), train(there, regularizers, recipe)
    torch.testing.assert_close(on_gpu.flat.cpu(), on_cpu.flat, atol=1e-3, rtol=1e-3)

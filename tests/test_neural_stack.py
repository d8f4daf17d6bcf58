"""Networks trained together equal networks trained one by one in plain torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
import torch
from rounding import GROWTH, assert_same, off_by
from torch import nn

from regadvisor.families.neural.architecture import Stack
from regadvisor.families.neural.nets import NetArchitecture
from regadvisor.families.neural.penalties import StackStrengths, span
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import RunPlan
from regadvisor.families.neural.trainer import Member, StackTrainer, Stream, TrainingRows
from regadvisor.regularizer import Regularizer

HIDDEN = (12, 7)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny products on several threads of a shared machine mostly wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def make_rows(
    *, n_parts: int = 2, n: int = 90, p: int = 6, n_classes: int = 3, weighted: bool = False
) -> TrainingRows:
    """Rows of two folds; `n_classes` 0 is a regression."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n_parts * n, p, generator=generator)
    signal = x[:, 0] + 0.5 * torch.randn(len(x), generator=generator)
    if n_classes:
        codes = torch.bucketize(signal, torch.linspace(-1, 1, n_classes - 1))
        target = torch.nn.functional.one_hot(codes, n_classes).float()
    else:
        target = signal[:, None]
    weight = torch.rand(len(x), generator=generator) + 0.5 if weighted else None
    parts = tuple(torch.arange(k * n, k * n + 70 + 5 * k) for k in range(n_parts))
    return TrainingRows(x=x, target=target, weight=weight, parts=parts, is_classification=n_classes > 0)


def decoupled(**strengths: float) -> Regularizer:
    return Regularizer(**strengths, coupling="decoupled")


def make_plan(*, epochs: int = 12, batch_size: int = 32) -> RunPlan:
    return RunPlan.of(Recipe(lr=5e-3, batch_size=batch_size), n_rows=70, epochs=epochs)


def make_trainer(
    rows: TrainingRows, members: list[Member], regularizers: list[Regularizer], plan: RunPlan
) -> StackTrainer:
    return StackTrainer(
        rows,
        members,
        StackStrengths.of(regularizers),
        plan=plan,
        architecture=perceptron(rows),
        recipe=Recipe(hidden=HIDDEN),
    )


def perceptron(rows: TrainingRows) -> NetArchitecture:
    return NetArchitecture(widths=(rows.x.shape[1], *HIDDEN, rows.target.shape[1]))


class Trained(NamedTuple):
    flat: torch.Tensor
    weights: list[torch.Tensor]
    biases: list[torch.Tensor]


def train(
    rows: TrainingRows, members: list[Member], regularizers: list[Regularizer], plan: RunPlan
) -> Trained:
    trainer = make_trainer(rows, members, regularizers, plan)
    assert trainer.run()
    return Trained(trainer.stack.flat, *perceptron(rows).views(trainer.stack.flat))


def as_module(net: NetArchitecture, flat: torch.Tensor) -> nn.ModuleList:
    """One network's row as torch.nn.Linear layers."""
    layers = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(net.widths))
    for layer, weight, bias in zip(layers, *net.views(flat), strict=True):
        layer.weight.data, layer.bias.data = weight[0].T.clone(), bias[0].clone()
    return layers


def forward(layers: nn.ModuleList, x: torch.Tensor, dropout: float = 0.0, stream: Stream | None = None):
    for layer in layers[:-1]:
        x = torch.relu(layer(x))
        if dropout and stream is not None:
            x = x * (stream.noise(*x.shape) >= dropout) / (1 - dropout)
    return layers[-1](x)


def loss_of(rows: TrainingRows, outputs: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    target = rows.target[batch]
    if rows.is_classification:
        losses = nn.functional.cross_entropy(outputs, target.argmax(1), reduction="none")
    else:
        losses = 0.5 * (outputs - target).square().mean(1)
    return (losses if rows.weight is None else losses * rows.weight[batch]).mean()


def train_alone(rows: TrainingRows, member: Member, regularizer: Regularizer, plan: RunPlan) -> nn.ModuleList:
    """The plain loop: nn.Linear layers, autograd, torch's AdamW, soft thresholds."""
    stream = Stream(member, perceptron(rows), rows.parts[member.part])
    layers = as_module(perceptron(rows), stream.initial)
    l1, l2, dropout = regularizer.l1 or 0.0, regularizer.l2 or 0.0, regularizer.dropout or 0.0
    groups = [
        {"params": [layer.weight for layer in layers], "weight_decay": l2},
        {"params": [layer.bias for layer in layers], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1.0)
    steps = iter(plan.rates)
    for _ in range(plan.epochs):
        for batch in stream.epoch(plan.n_steps, plan.batch):
            lr = float(next(steps))
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.zero_grad()
            loss_of(rows, forward(layers, rows.x[batch], dropout, stream), batch).backward()
            optimizer.step()
            for layer in layers:
                weight = layer.weight.data
                layer.weight.data = weight.sign() * (weight.abs() - lr * l1).clamp_min(0.0)
    return layers


REGULARIZERS = {
    "none": decoupled(),
    "l1": decoupled(l1=0.2),
    "l2": decoupled(l2=3.0),
    "elasticnet": decoupled(l1=0.1, l2=1.0),
    "dropout": decoupled(dropout=0.3),
    "dropout_l2": decoupled(dropout=0.5, l2=2.0),
    "dropout_l1": decoupled(dropout=0.2, l1=0.1),
}


@pytest.mark.parametrize("n_classes", [2, 3, 0])
@pytest.mark.parametrize("weighted", [False, True])
def test_trained_together_equals_trained_alone(n_classes: int, weighted: bool) -> None:
    rows, plan = make_rows(n_classes=n_classes, weighted=weighted), make_plan()
    members = [Member(seed=50 + part, part=part) for _ in REGULARIZERS for part in range(2)]
    regularizers = [regularizer for regularizer in REGULARIZERS.values() for _ in range(2)]
    stack = train(rows, members, regularizers, plan)
    for number, (member, regularizer) in enumerate(zip(members, regularizers, strict=True)):
        layers = train_alone(rows, member, regularizer, plan)
        for layer, weight, bias in zip(layers, stack.weights, stack.biases, strict=True):
            torch.testing.assert_close(weight[number], layer.weight.T, atol=2e-5, rtol=1e-4)
            torch.testing.assert_close(bias[number], layer.bias, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("n_classes", [4, 0])
def test_gradient_is_that_of_autograd(n_classes: int) -> None:
    rows = make_rows(n_parts=1, n_classes=n_classes, weighted=True)
    net = perceptron(rows)
    initial = net.initial(torch.Generator().manual_seed(3))
    batch = torch.arange(20)
    stack = net.stack(initial.clone(), loss="log" if n_classes else "squared", batch=20)
    assert rows.weight is not None
    stack.compute_gradient(rows.x[batch][None], rows.target[batch][None], weight=rows.weight[batch][None])
    layers = as_module(net, initial)
    loss_of(rows, forward(layers, rows.x[batch]), batch).backward()
    for layer, weight, bias in zip(layers, *net.views(stack.gradient), strict=True):
        torch.testing.assert_close(weight[0].T, layer.weight.grad, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(bias[0], layer.bias.grad, atol=1e-6, rtol=1e-5)


def test_prediction_is_that_of_the_module() -> None:
    net = NetArchitecture(widths=(6, *HIDDEN, 3))
    flat = torch.cat([net.initial(torch.Generator().manual_seed(s)) for s in range(3)])
    x = torch.randn(11, 6, generator=torch.Generator().manual_seed(9))
    outputs = net.stack(flat, batch=1, loss="log").outputs(slice(None), x)
    for number in range(3):
        torch.testing.assert_close(outputs[number], forward(as_module(net, flat[number : number + 1]), x))


def test_starting_values_have_the_bounds_and_spread_of_torch_linear() -> None:
    net = NetArchitecture(widths=(50, 40, 2))
    weights, biases = net.views(net.initial(torch.Generator().manual_seed(0)))
    for drawn, n_in in zip([*weights, *biases], [50, 40, 50, 40], strict=True):
        bound = n_in**-0.5
        assert float(drawn.abs().max()) <= bound
    theirs = nn.Linear(50, 40).weight.detach()
    assert float(weights[0].std()) == pytest.approx(float(theirs.std()), rel=0.05)


def test_candidates_of_one_fold_start_equal_and_see_the_same_rows() -> None:
    rows = make_rows()
    members = [Member(seed=5, part=0), Member(seed=6, part=1), Member(seed=5, part=0)]
    regularizers = [decoupled(), decoupled(), decoupled(l2=1.0)]
    trainer = make_trainer(rows, members, regularizers, make_plan())
    assert torch.equal(trainer.stack.flat[0], trainer.stack.flat[2])
    assert not torch.equal(trainer.stack.flat[0], trainer.stack.flat[1])
    batches = trainer.draw_epoch()
    assert torch.equal(batches[0], batches[2])
    assert not torch.equal(batches[0], batches[1] - 90)


def test_what_a_network_becomes_does_not_depend_on_its_company() -> None:
    rows, plan = make_rows(n_classes=3), make_plan()
    regularizers = list(REGULARIZERS.values())
    members = [Member(seed=4, part=0)] * len(regularizers)
    together = train(rows, members, regularizers, plan)
    for chosen in ([0], [0, 1], [5, 2, 4], [6, 3, 1, 0]):
        few = train(rows, [members[i] for i in chosen], [regularizers[i] for i in chosen], plan)
        assert_same(few.flat, together.flat[chosen], n_steps=len(plan.rates))


@pytest.mark.parametrize("n_classes", [3, 0])
def test_what_counts_as_rounding_is_less_than_any_fault(n_classes: int) -> None:
    rows, plan = make_rows(n_classes=n_classes), make_plan()
    n_steps = len(plan.rates)
    for regularizer in REGULARIZERS.values():
        (right,) = train(rows, [Member(seed=4)], [regularizer], plan).flat
        faults = {
            "another seed": train(rows, [Member(seed=5)], [regularizer], plan),
            "lr": train(rows, [Member(seed=4)], [regularizer], replace(plan, rates=1.001 * plan.rates)),
        }
        if regularizer.l1 or regularizer.l2:
            faults["penalty"] = train(rows, [Member(seed=4)], [regularizer.times(1.01)], plan)
        for name, wrong in faults.items():
            assert off_by(wrong.flat[0], right, n_steps=n_steps) > 5 * GROWTH, name


def test_l1_gives_exact_zeros_and_nothing_else_does() -> None:
    rows, plan = make_rows(), make_plan(epochs=40)
    members = [Member(seed=4)] * 3
    stack = train(rows, members, [decoupled(), decoupled(l2=5.0), decoupled(l1=1.5)], plan)
    zeros = [(weights == 0).float().mean((1, 2)) for weights in stack.weights]
    assert all(float(share[0]) == 0 and float(share[1]) == 0 for share in zeros)
    assert float(zeros[0][2]) > 0.3


def test_biases_are_never_shrunk() -> None:
    # Without features the weights of the first layer get no gradient and only the penalties act.
    rows = make_rows(n_parts=1, n_classes=0)
    empty = TrainingRows(
        x=torch.zeros_like(rows.x),
        target=torch.zeros_like(rows.target),
        weight=torch.zeros(len(rows.x)),
        parts=rows.parts,
        is_classification=False,
    )
    plan = make_plan(epochs=5)
    penalised = train(empty, [Member(seed=1)], [decoupled(l1=0.5, l2=5.0)], plan)
    free = train(empty, [Member(seed=1)], [decoupled()], plan)
    for ours, theirs in zip(penalised.biases, free.biases, strict=True):
        assert torch.equal(ours, theirs)
    expected = free.weights[0].clone()
    for lr in plan.rates:
        expected = expected * (1 - lr * 5.0)
        expected = expected.sign() * (expected.abs() - lr * 0.5).clamp_min(0)
    torch.testing.assert_close(penalised.weights[0], expected, atol=1e-6, rtol=1e-5)


def test_a_part_smaller_than_an_epoch_is_shuffled_again() -> None:
    stream = Stream(Member(seed=0), NetArchitecture(widths=(1, 1)), torch.arange(100, 110))
    batches = stream.epoch(3, 8)
    counts = np.bincount(batches.flatten().numpy() - 100, minlength=10)
    assert batches.shape == (3, 8)
    assert set(counts.tolist()) <= {2, 3}


def test_stopping_ends_before_the_next_epoch() -> None:
    trainer = make_trainer(make_rows(), [Member(seed=0)], [decoupled()], make_plan())
    answers = iter([False, False, True])
    seen: list[Stack] = []
    assert not trainer.run(at_checkpoint=seen.append, should_stop=lambda: next(answers))
    assert seen == []


def test_moments_without_gradient_become_zero_not_subnormal() -> None:
    rows = make_rows(n_classes=3)
    plan = make_plan(epochs=450)
    trainer = make_trainer(rows, [Member(seed=4)], [decoupled(l1=3.0)], plan)
    assert trainer.run()
    moment = trainer._optimizer.moment
    subnormal = (moment != 0) & (moment.abs() < torch.finfo(torch.float32).tiny)
    assert bool((trainer.stack.flat == 0).any())
    assert not bool(subnormal.any())


def test_span_covers_every_strength() -> None:
    assert span(np.zeros(4)) is None
    assert span(np.array([0.0, 2.0, 0.0, 1.0, 0.0])) == slice(1, 4)

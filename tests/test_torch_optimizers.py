"""The optimizers in loops that are not ours: frozen weights, checkpoints, schedulers, parameter groups."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from regadvisor.errors import ParameterError
from regadvisor.families.neural.proximal import ProximalAdamW, ProximalSGD, make_optimizer
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import learning_rates

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
EVERY = [(name, coupling) for name in ("adamw", "sgd") for coupling in ("decoupled", "loss")]


def make_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 1))


def make(
    net: nn.Module, name: str = "sgd", coupling: str = "decoupled", momentum: float = 0.9, **options: Any
) -> Any:
    recipe = Recipe(optimizer=name, coupling=coupling, momentum=momentum)  # type: ignore[arg-type]
    return make_optimizer(net, recipe, **{"l1": 0.3, "l2": 0.5, "rates": [0.05] * 10, **options})


def train(net: nn.Module, optimizer: Any, n_steps: int, *, set_to_none: bool = True) -> None:
    for _ in range(n_steps):
        optimizer.zero_grad(set_to_none=set_to_none)
        net(X).square().mean().backward()
        optimizer.step()


# ------------------------------------------------------------------------------------- frozen weights


@pytest.mark.parametrize("is_early", [True, False], ids=["frozen before", "frozen later"])
@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize(("name", "coupling"), EVERY)
def test_frozen_weights_stay_bit_for_bit(name: str, coupling: str, is_early: bool, set_to_none: bool) -> None:
    net = make_net()
    if is_early:
        net[0].requires_grad_(False)
    optimizer = make(net, name, coupling)
    if not is_early:
        train(net, optimizer, 3)
        net[0].requires_grad_(False)
    before, others = copy.deepcopy(net[0].state_dict()), net[2].weight.detach().clone()
    kept = net[0].weight.grad
    train(net, optimizer, 5, set_to_none=set_to_none)
    assert all(torch.equal(value, before[key]) for key, value in net[0].state_dict().items())
    assert not torch.equal(net[2].weight, others)
    assert set_to_none or net[0].weight.grad is kept


@pytest.mark.parametrize(("name", "coupling"), EVERY)
def test_weights_without_a_gradient_stay_and_do_not_count_for_clipping(name: str, coupling: str) -> None:
    net = nn.ModuleDict({"used": nn.Linear(4, 1), "idle": nn.Linear(4, 1)})
    before = net["idle"].weight.detach().clone()
    optimizer = make(net, name, coupling, clip_norm=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net["used"](X).square().mean().backward()
        optimizer.step()
    assert torch.equal(net["idle"].weight, before)
    assert not torch.equal(net["used"].weight, before)


def test_unfrozen_weights_are_trained_again() -> None:
    net = make_net()
    net[0].requires_grad_(False)
    optimizer = make(net)
    train(net, optimizer, 2)
    net[0].requires_grad_(True)
    before = net[0].weight.detach().clone()
    train(net, optimizer, 1)
    assert not torch.equal(net[0].weight, before)


# ---------------------------------------------------------------------------------------- checkpoints


def through_a_file(state: dict[str, Any]) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("way", ["state", "file", "deepcopy"])
@pytest.mark.parametrize(("name", "coupling"), EVERY)
def test_a_loaded_run_goes_on_as_if_never_interrupted(name: str, coupling: str, way: str) -> None:
    options = {"rates": learning_rates(10, lr=0.05, schedule="cosine").tolist(), "l1": 0.01, "clip_norm": 1.0}
    whole, part = make_net(), make_net()
    train(whole, make(whole, name, coupling, **options), 10)
    optimizer = make(part, name, coupling, **options)
    train(part, optimizer, 6)
    if way == "deepcopy":
        net, resumed = copy.deepcopy((part, optimizer))
    else:
        state = {"net": part.state_dict(), "optimizer": optimizer.state_dict()}
        state = through_a_file(state) if way == "file" else copy.deepcopy(state)
        net = make_net()
        resumed = make(net, name, coupling, **options)
        net.load_state_dict(state["net"])
        resumed.load_state_dict(state["optimizer"])
    train(net, resumed, 4)
    for a, b in zip(whole.parameters(), net.parameters(), strict=True):
        assert torch.equal(a, b)


# --------------------------------------------------------------------------------- schedulers, groups


def used_rates(optimizer: Any, net: nn.Module, n_steps: int, after: Any = None) -> list[float]:
    """The learning rate of each step, seen by what a gradient of 1 moves (plain SGD)."""
    found = []
    for _ in range(n_steps):
        before = net.weight.detach().clone()
        net.weight.grad = torch.ones_like(net.weight)
        optimizer.step()
        found.append(float((before - net.weight.detach()).mean()))
        if after is not None:
            after()
    return found


def plain(rates: list[float], **options: Any) -> tuple[nn.Module, Any]:
    net = nn.Linear(1, 1, bias=False)
    return net, ProximalSGD(net, l1=0.0, l2=0.0, rates=rates, momentum=0.0, **options)


SCHEDULERS = {
    "step": lambda optimizer: lr_scheduler.StepLR(optimizer, 1, gamma=0.1),
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 4),
    "lambda": lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step)),
    "one cycle": lambda optimizer: lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=6, cycle_momentum=False
    ),
    "sequence": lambda optimizer: lr_scheduler.SequentialLR(
        optimizer,
        [lr_scheduler.LinearLR(optimizer, 0.1, total_iters=2), lr_scheduler.ExponentialLR(optimizer, 0.5)],
        milestones=[2],
    ),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_acts_as_on_an_optimizer_of_torch(name: str) -> None:
    net, ours = plain([1.0] * 4)
    other = nn.Linear(1, 1, bias=False)
    theirs = torch.optim.SGD(other.parameters(), lr=1.0)
    found = [
        used_rates(optimizer, own, 4, SCHEDULERS[name](optimizer).step)
        for own, optimizer in ((net, ours), (other, theirs))
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-6)


def test_a_scheduler_multiplies_a_schedule_that_was_asked_for_and_replaces_a_default() -> None:
    rates = [1.0, 1.0, 0.5, 0.25]
    for is_default, expected in ((False, [1.0, 0.1, 0.005, 0.00025]), (True, [1.0, 0.1, 0.01, 0.001])):
        net, optimizer = plain(rates, has_default_schedule=is_default)
        scheduler = lr_scheduler.StepLR(optimizer, 1, gamma=0.1)
        np.testing.assert_allclose(used_rates(optimizer, net, 4, scheduler.step), expected, rtol=1e-3)
    net, optimizer = plain(rates, has_default_schedule=True)
    np.testing.assert_allclose(used_rates(optimizer, net, 5), [*rates, 0.25], rtol=1e-4)


def test_a_plateau_lowers_the_rate() -> None:
    net, optimizer = plain([1.0] * 4)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    assert used_rates(optimizer, net, 3, lambda: scheduler.step(1.0)) == pytest.approx([1.0, 1.0, 0.5])


def test_groups_have_learning_rates_of_their_own() -> None:
    net = make_net()
    optimizer = make(net, l1=0.0, l2=0.1, momentum=0.0, rates=[0.1, 0.05])
    optimizer.param_groups[1]["lr"] = 0.0
    extra = nn.Parameter(torch.ones(2, 2))
    optimizer.add_param_group({"params": [extra], "lr": 1.0})
    before, biases = net[0].weight.detach().clone(), net[0].bias.detach().clone()
    for own in net.parameters():
        own.grad = torch.zeros_like(own)
    for _ in range(2):
        extra.grad = torch.ones(2, 2)
        optimizer.step()
    torch.testing.assert_close(net[0].weight, before * (1 - 0.1 * 0.1) * (1 - 0.05 * 0.1))
    assert torch.equal(net[0].bias, biases)
    torch.testing.assert_close(extra, torch.full((2, 2), 1.0 - 1.0 - 0.5))
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.0, 1.0]


def test_an_added_group_is_not_decayed_unless_it_says_so() -> None:
    optimizer = ProximalAdamW(make_net(), l1=0.0, l2=0.4, rates=[0.1])
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2, 2))]})
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.4, 0.0, 0.0]


def test_scaled_gradients_of_mixed_precision_are_unscaled_before_the_step() -> None:
    nets = [make_net(), make_net()]
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    for net, is_scaled in zip(nets, (True, False), strict=True):
        optimizer = make(net, "adamw", clip_norm=0.5)
        loss: Tensor = net(X).square().mean()
        (scaler.scale(loss) if is_scaled else loss).backward()
        scaler.step(optimizer) if is_scaled else optimizer.step()
    for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_hooks_of_a_step_run_once(name: str) -> None:
    net, calls = make_net(), []
    torch.optim.AdamW(net.parameters())
    torch.optim.SGD(net.parameters(), lr=0.1)
    optimizer = make(net, name)
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    train(net, optimizer, 2)
    assert calls == ["after", "after"]


@pytest.mark.parametrize("rates", [[], [0.0]])
def test_a_run_needs_steps(rates: list[float]) -> None:
    with pytest.raises(ParameterError, match="rates must hold a learning rate above 0"):
        make(make_net(), rates=rates)

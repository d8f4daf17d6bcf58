"""The caller's own torch module: the optimizer against a plain loop, dropout on a copy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from regadvisor.errors import ParameterError
from regadvisor.families.neural.dropout import with_dropout
from regadvisor.families.neural.parameters import penalised_parameters
from regadvisor.families.neural.proximal import ProximalAdamW, ProximalSGD, make_optimizer
from regadvisor.families.neural.recipe import Recipe


def make_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.ReLU(), nn.Dropout(0.1), nn.Linear(6, 1))


def test_steps_equal_adamw_and_a_soft_threshold() -> None:
    rates = [0.01, 0.01, 0.005, 0.001]
    l1, l2 = 0.5, 0.3
    ours, theirs = make_net().eval(), make_net().eval()
    optimizer = ProximalAdamW(ours, l1=l1, l2=l2, rates=rates)
    weights = [theirs[0].weight, theirs[4].weight]
    others = [p for p in theirs.parameters() if p.ndim < 2]
    reference = torch.optim.AdamW(
        [{"params": weights, "weight_decay": l2}, {"params": others, "weight_decay": 0.0}], lr=1.0
    )
    x = torch.randn(16, 4)
    for rate in rates:
        for group in reference.param_groups:
            group["lr"] = rate
        for net, opt in ((ours, optimizer), (theirs, reference)):
            opt.zero_grad()
            net(x).square().mean().backward()
            opt.step()
        with torch.no_grad():
            for w in weights:
                w.copy_(torch.sign(w) * torch.clamp(w.abs() - rate * l1, min=0))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("coupling", ["decoupled", "loss"])
@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_every_option_equals_a_loop_with_the_penalty_written_out(
    optimizer: str, coupling: str, clip_norm: float | None
) -> None:
    rates, l1, l2 = [0.02, 0.02, 0.01, 0.005], 0.05, 0.3
    ours, theirs = make_net().eval(), make_net().eval()
    recipe = Recipe(
        optimizer=optimizer,
        momentum=0.8,
        coupling=coupling,  # type: ignore[arg-type]
        clip_norm=clip_norm,
        exempt=("4.*",),
    )
    mine = make_optimizer(ours, recipe, l1=l1, l2=l2, rates=rates)
    weight, everything = theirs[0].weight, list(theirs.parameters())
    plain = torch.optim.SGD(everything, lr=1.0, momentum=0.8)
    reference = plain if optimizer == "sgd" else torch.optim.Adam(everything, lr=1.0)
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(2))
    for rate in rates:
        mine.zero_grad()
        ours(x).square().mean().backward()
        mine.step()
        reference.zero_grad()
        penalty = l1 * weight.abs().sum() + l2 / 2 * weight.square().sum()
        (theirs(x).square().mean() + (penalty if coupling == "loss" else 0.0)).backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(everything, clip_norm)
        reference.param_groups[0]["lr"] = rate
        with torch.no_grad():
            if coupling == "decoupled":
                weight.mul_(1 - rate * l2)
            reference.step()
            if coupling == "decoupled":
                weight.copy_(weight.sign() * (weight.abs() - rate * l1).clamp_min(0))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-7)


def test_l2_in_the_loss_of_sgd_is_torchs_own_weight_decay() -> None:
    ours, theirs = nn.Linear(3, 1, bias=False), nn.Linear(3, 1, bias=False)
    theirs.load_state_dict(ours.state_dict())
    mine = ProximalSGD(ours, l1=0.0, l2=0.2, rates=[0.1], coupling="loss")
    reference = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=0.2)
    x = torch.ones(2, 3)
    for _ in range(5):
        for net, optimizer in ((ours, mine), (theirs, reference)):
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_a_closure_is_called_once_and_its_loss_comes_back() -> None:
    net, calls = nn.Linear(2, 1), []
    optimizer = ProximalAdamW(net, l1=0.1, l2=0.1, rates=[0.1], coupling="loss")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = net(torch.ones(4, 2)).square().mean()
        loss.backward()
        calls.append(loss)
        return loss

    assert optimizer.step(closure) is calls[0]
    assert len(calls) == 1


def test_patterns_choose_what_is_penalised() -> None:
    def names(**patterns: list[str]) -> list[str]:
        return [name for name, _ in penalised_parameters(make_net(), **patterns)]

    assert names(exempt=["0.*"]) == ["4.weight"]
    assert names(penalised=["1.*", "4.bias"]) == ["1.weight", "1.bias", "4.bias"]
    assert names(penalised=["*.weight"], exempt=["1.*"]) == ["0.weight", "4.weight"]
    with pytest.raises(ParameterError, match=r"penalised must hold .* got 'head'"):
        names(penalised=["head"])


def test_a_weight_that_is_also_an_embedding_is_exempt() -> None:
    net = nn.ModuleDict({"out": nn.Linear(3, 5, bias=False), "words": nn.Embedding(5, 3)})
    net["out"].weight = net["words"].weight
    assert list(penalised_parameters(net)) == []


def test_norms_biases_and_embeddings_are_exempt() -> None:
    net = nn.ModuleDict({"words": nn.Embedding(5, 3), "net": make_net()})
    assert [name for name, _ in penalised_parameters(net)] == ["net.0.weight", "net.4.weight"]


def test_dropout_is_set_on_a_copy() -> None:
    net = make_net()
    assert with_dropout(net, 0.4)[3].p == 0.4  # type: ignore[index]
    assert net[3].p == 0.1  # type: ignore[index]


def test_dropout_without_a_layer_for_it_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"torch\.nn\.Dropout"):
        with_dropout(nn.Linear(2, 1), 0.2)

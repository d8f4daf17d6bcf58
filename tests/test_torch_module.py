"""The caller's own torch module: the optimizer against a plain loop, dropout on a copy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from regadvisor.adapters.torch_module import ProximalAdamW, penalised_parameters, with_dropout
from regadvisor.errors import ParameterError


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
        for net, opt in ((ours, optimizer), (theirs, reference)):
            opt.zero_grad()
            net(x).square().mean().backward()
            for group in opt.param_groups:
                group["lr"] = rate
            opt.step()
        with torch.no_grad():
            for w in weights:
                w.copy_(torch.sign(w) * torch.clamp(w.abs() - rate * l1, min=0))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6, atol=1e-8)


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

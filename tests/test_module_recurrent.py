"""GRU and RNN layers: trained together they become what torch's own layers become one by one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from rounding import assert_same
from test_module_stack import N_CLASSES, STRENGTHS, architecture_of, trained
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from regadvisor.families.neural.module.dropout import Feed
from regadvisor.families.neural.module.recurrent import with_fed_recurrence

N_STEPS = 18
#: Rows of 8 numbers are 4 steps of 2.
LAYERS: dict[str, Any] = {
    "gru": lambda: nn.GRU(2, 5, batch_first=True),
    "gru, steps first": lambda: nn.GRU(2, 5),
    "gru, both ways, two layers": lambda: nn.GRU(2, 5, 2, batch_first=True, bidirectional=True),
    "gru without bias": lambda: nn.GRU(2, 5, bias=False, batch_first=True),
    "rnn": lambda: nn.RNN(2, 5, batch_first=True),
    "relu rnn, both ways": lambda: nn.RNN(2, 5, nonlinearity="relu", batch_first=True, bidirectional=True),
}


class Over(nn.Module):
    """A recurrent layer over 4 steps, then dropout and a linear layer of all states, or of the last."""

    def __init__(self, cell: nn.RNNBase, *, begin: bool = False, last: bool = False) -> None:
        super().__init__()
        self.cell, self.drop, self.begin, self.last = cell, nn.Dropout(), begin, last
        n_ways = 2 if cell.bidirectional else 1
        self.head = nn.Linear(cell.hidden_size * n_ways, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(len(x), 4, 2)
        start = None
        if self.begin:
            n_layers = self.cell.num_layers * (2 if self.cell.bidirectional else 1)
            start = x.mean() * torch.ones(n_layers, len(x), self.cell.hidden_size)
        states, ends = self.cell(x if self.cell.batch_first else x.transpose(0, 1), start)
        if self.last:
            return self.head(self.drop(ends[-1]))
        return self.head(self.drop(states.mean(1 if self.cell.batch_first else 0)))


@pytest.mark.parametrize("name", LAYERS)
def test_together_is_one_by_one(name: str) -> None:
    def make() -> nn.Module:
        return Over(LAYERS[name](), begin="both" in name, last="both" not in name)

    architecture = architecture_of(make)
    assert architecture.engine == "vmap"
    hows = [STRENGTHS[kind] for kind in ("none", "l1", "dropout_l2")]
    together = trained(architecture, (8,), hows).stack
    alone = trained(architecture_of(make, engine="loop"), (8,), hows).stack
    assert_same(together.flat, alone.flat, n_steps=N_STEPS)
    few = torch.randn(30, 8)  # more rows than a batch: in evaluation, no gates are kept
    assert_same(together.outputs(slice(0, 3), few), alone.outputs(slice(0, 3), few), n_steps=N_STEPS)


def test_gradients_are_torchs_own() -> None:
    layer = nn.GRU(3, 4, 2, bidirectional=True)
    fed = with_fed_recurrence(nn.ModuleList([copy.deepcopy(layer)]), Feed())[0]
    fed.is_together = True
    x, start = torch.randn(6, 5, 3), torch.randn(4, 5, 4)
    names, values = zip(*layer.named_parameters(), strict=True)

    def outputs(*given: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = torch.func.functional_call(
            fed, dict(zip(names, given[2:], strict=True)), given[:2]
        )
        return found

    given = [each.detach().clone().requires_grad_() for each in (x, start, *values)]
    found = torch.func.vmap(outputs)(*(each[None] for each in given))
    expected = layer(given[0], given[1])
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours[0].detach(), theirs.detach(), n_steps=1)
    weights = [torch.randn(each.shape) for each in expected]
    own, theirs = (
        torch.autograd.grad(
            sum((each * w).sum() for each, w in zip(both, weights, strict=True)), [*given[:2], *reference]
        )
        for both, reference in (((found[0][0], found[1][0]), given[2:]), (expected, values))
    )
    for ours, reference in zip(own, theirs, strict=True):
        assert_same(ours, reference, n_steps=1)


def test_dropout_between_layers_has_each_networks_rate() -> None:
    def make() -> nn.Module:
        return Over(nn.GRU(2, 5, 3, batch_first=True, dropout=0.3))

    architecture = architecture_of(make)
    assert architecture.engine == "vmap"
    # Between three layers twice, then the dropout layer.
    assert [place.shape for place in architecture.places] == [(4, 5), (4, 5), (5,)]
    hows = [STRENGTHS[kind] for kind in ("none", "dropout", "dropout_l2")]
    together = trained(architecture, (8,), hows).stack.flat
    alone = trained(architecture_of(make, engine="loop"), (8,), hows).stack.flat
    assert_same(together, alone, n_steps=N_STEPS)
    assert not torch.equal(together[1], together[0])


class Packed(nn.Module):
    """Sequences of different lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRU(2, 5, 2, batch_first=True, dropout=0.3), nn.Linear(5, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        lengths = 2 + 2 * (x[:, 0] > 0).long()
        packed = pack_padded_sequence(x.view(len(x), 4, 2), lengths, batch_first=True, enforce_sorted=False)
        return self.head(
            pad_packed_sequence(self.cell(packed)[0], batch_first=True, total_length=4)[0].sum(1)
        )


def test_packed_sequences_run_one_by_one_with_the_rate_inside() -> None:
    architecture = architecture_of(Packed)
    assert architecture.engine == "loop"
    assert not architecture.places
    flat = trained(architecture, (8,), [STRENGTHS["none"], STRENGTHS["dropout"]]).stack.flat
    assert not torch.equal(flat[0], flat[1])
    module = Packed().train()
    module.cell.dropout = 0.0
    x = torch.randn(4, 8)
    assert torch.equal(module(x), module(x))

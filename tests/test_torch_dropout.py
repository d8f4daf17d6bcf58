"""One rate for everything that drops units, and a warning that names what cannot be set."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from regadvisor import ParameterError, Recipe, audit
from regadvisor.data.source import make_table
from regadvisor.families.neural.dropout import with_dropout
from regadvisor.families.neural.module.family import ModuleFamily
from regadvisor.families.neural.module.inputs import Inputs
from regadvisor.families.neural.module.source import ModuleSource
from regadvisor.families.neural.module.trial import examine
from regadvisor.families.neural.penalties import StackStrengths
from regadvisor.families.neural.schedule import RunPlan
from regadvisor.families.neural.trainer import Member, StackTrainer, TrainingRows
from regadvisor.regularizer import Regularizer


@pytest.mark.parametrize("rate", [0.0, 0.4])
@pytest.mark.parametrize(
    "module",
    [
        nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, dropout=0.1), 2, enable_nested_tensor=False),
        nn.Transformer(4, 2, 1, 1, 8, dropout=0.1, batch_first=True),
        nn.LSTM(4, 4, num_layers=2, dropout=0.1),
        nn.GRU(4, 4, num_layers=2, dropout=0.1),
        nn.MultiheadAttention(4, 2, dropout=0.1),
        nn.Sequential(nn.Linear(4, 4), nn.Dropout1d(0.1), nn.AlphaDropout(0.1)),
    ],
)
def test_every_rate_of_torch_s_layers_is_set_on_a_copy(module: nn.Module, rate: float) -> None:
    def rates(own: nn.Module) -> set[float]:
        parts = [part for part in own.modules() if hasattr(part, "p") or hasattr(part, "dropout")]
        found = {getattr(part, "p", getattr(part, "dropout", 0.0)) for part in parts}
        return {value for value in found if isinstance(value, float)}

    assert rates(with_dropout(module, rate)) == {rate}
    assert rates(module) == {0.1}


def test_what_was_off_stays_off() -> None:
    net = nn.ModuleDict({"a": nn.MultiheadAttention(4, 2), "b": nn.LSTM(4, 4), "c": nn.Dropout()})
    applied: Any = with_dropout(net, 0.3)
    assert (applied["a"].dropout, applied["b"].dropout, applied["c"].p) == (0.0, 0.0, 0.3)


class Float(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop_path = nn.Linear(2, 2), 0.2

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(self.layer(x), self.drop_path, self.training)


class Function(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.helped(x)

    def helped(self, x: Tensor) -> Tensor:
        return functional.dropout(self.layer(x), 0.3, self.training)


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x, dropout_p=0.1)


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dropout, self.dropout_in, self.dropout_rate = nn.Dropout(), nn.Dropout(), 0.0

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.dropout_in(x))


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Float(), r"1 \(Float\)\.drop_path = 0\.2"),
        (Function(), r"1 \(Function\), written as a function"),
        (Attention(), r"1 \(Attention\), written as a function"),
    ],
)
def test_what_cannot_be_set_is_named(part: nn.Module, words: str) -> None:
    with pytest.warns(UserWarning, match=f"cannot set the dropout in {words}: it stays as it is"):
        with_dropout(nn.Sequential(nn.Dropout(), part), 0.0)
    with pytest.raises(
        ParameterError, match=f"must have a torch.nn.Dropout layer.*{words.replace('1 ', '0 ')}"
    ):
        with_dropout(nn.Sequential(part), 0.5)


class Delegating(nn.Sequential):
    def __init__(self, other: Any = None) -> None:
        super().__init__(nn.Dropout() if other is None else other.conv_dropout())

    made_by = __init__  # as decorators keep the one that they replace


@pytest.mark.parametrize("part", [Layers, Delegating])
def test_nothing_is_said_of_layers_whatever_they_are_called(part: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert {layer.p for layer in with_dropout(part(), 0.3).children()} == {0.3}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_parts_of_other_libraries_are_refused() -> None:
    compiled = torch.jit.script(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)))
    for module in (compiled, nn.Sequential(compiled)):
        with pytest.raises(ParameterError, match="pass the module that it was compiled from"):
            with_dropout(module, 0.0)
    keras = type("Dense", (nn.Module,), {"__module__": "keras.src.layers.core.dense"})
    with pytest.raises(ParameterError, match=r"got Dense; pass a model of Keras 3"):
        with_dropout(nn.Sequential(keras()), 0.0)


# ----------------------------------------------------------------------------------- while it is trained


class Recurrent(nn.Module):
    """No dropout layer: its one rate is inside the recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.last = nn.GRU(1, 6, 2, batch_first=True, dropout=0.9), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.cell(x.unsqueeze(2))[0][:, -1])


X = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))


def trained(*rates: float, factory: Any = Recurrent) -> Tensor:
    """Return the weights of networks trained side by side, of one seed."""
    source = ModuleSource(model=factory, inputs=Inputs(n_flat=5), n_outputs=1)
    recipe = Recipe(epochs=2, batch_size=20, lr=0.01)
    rows = TrainingRows(x=X, target=X[:, :1], weight=None, parts=(torch.arange(40),), is_classification=False)
    trainer = StackTrainer(
        rows,
        [Member(seed=0)] * len(rates),
        StackStrengths.of([Regularizer(dropout=rate, coupling="decoupled") for rate in rates]),
        plan=RunPlan.of(recipe, n_rows=40, epochs=2),
        architecture=examine(source, X, recipe=recipe, is_classification=False),
        recipe=recipe,
    )
    trainer.run()
    return trainer.stack.flat


def test_networks_have_their_own_rate_inside_recurrent_layers() -> None:
    weights = trained(0.0, 0.5, 0.9)
    assert not torch.allclose(weights[0], weights[1])
    assert not torch.allclose(weights[1], weights[2])
    for number, rate in enumerate((0.0, 0.5, 0.9)):
        torch.testing.assert_close(trained(rate)[0], weights[number], atol=1e-5, rtol=1e-4)

    def without() -> nn.Module:
        net = Recurrent()
        net.cell.dropout = 0.0
        return net

    used = trained(0.0, factory=without)[0]
    torch.testing.assert_close(weights[0][: len(used)], used, atol=1e-5, rtol=1e-4)


def test_a_rate_inside_a_recurrent_layer_is_a_kind_to_try() -> None:
    facts = make_table(X.numpy(), np.arange(40) / 2).facts
    assert "dropout" in ModuleFamily(Recurrent, facts).kinds


# ------------------------------------------------------------------------------ dropout layers of the caller


class Plain(nn.Dropout):
    """Torch's layer by another name."""


class Locked(nn.Dropout):
    """Drops the same units in all rows."""

    def forward(self, x: Tensor) -> Tensor:
        return x * functional.dropout(torch.ones_like(x[:1]), self.p, self.training)


class Functional(nn.Module):
    """As much public code has it: the rate is a number that forward() hands to the function."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 6), nn.Linear(6, 1)
        self.dropout, self.kept_dropout = rate, 0.7  # nothing reads the second one

    def forward(self, x: Tensor) -> Tensor:
        return self.last(functional.dropout(self.first(x), p=self.dropout, training=self.training))


def test_a_rate_that_the_caller_s_code_reads_is_trained_and_set() -> None:
    found = audit(nn.Sequential(Functional(0.9))).dropout
    assert [(each.name, each.rate, each.is_set) for each in found] == [("0.dropout", 0.9, True)]
    applied: Any = with_dropout(Functional(0.9), 0.3)
    assert (applied.dropout, applied.kept_dropout) == (0.3, 0.7)
    facts = make_table(X.numpy(), np.arange(40) / 2).facts
    kinds = [ModuleFamily(lambda own=rate: Functional(own), facts).kinds for rate in (0.9, 0.0)]
    assert ["dropout" in each for each in kinds] == [True, False]
    weights = trained(0.0, 0.5, factory=lambda: Functional(0.9))
    used = trained(0.0, factory=lambda: Functional(0.0))[0]
    torch.testing.assert_close(weights[0][: len(used)], used, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(weights[0], weights[1])


@pytest.mark.parametrize("rate", [0.0, 0.9])
@pytest.mark.parametrize(("layer", "engine"), [(Plain, "fused"), (Locked, "loop")])
def test_a_subclass_of_dropout_is_trained_with_the_rate_that_apply_sets(
    layer: Any, engine: str, rate: float
) -> None:
    def factory() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 6), layer(rate), nn.Linear(6, 1))

    source = ModuleSource(model=factory, inputs=Inputs(n_flat=5), n_outputs=1)
    looked_at = examine(source, X, recipe=Recipe(epochs=2), is_classification=False)
    assert looked_at.engine == engine
    assert looked_at.audit is not None
    assert [(each.name, each.rate, each.is_set) for each in looked_at.audit.dropout] == [("1", rate, True)]
    assert with_dropout(factory(), 0.3)[1].p == 0.3
    assert "dropout" in ModuleFamily(factory, make_table(X.numpy(), np.arange(40) / 2).facts).kinds

    def without() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 6), nn.Identity(), nn.Linear(6, 1))

    weights, used = trained(0.0, 0.5, factory=factory), trained(0.0, factory=without)[0]
    torch.testing.assert_close(weights[0][: len(used)], used, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(weights[0], weights[1])

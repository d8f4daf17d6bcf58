"""What penalties and dropout act on in modules of other people, and why not on the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from regadvisor import ParameterError, Recipe, advise, audit
from regadvisor.families.neural.module import trial
from regadvisor.report.serial import from_json, to_json

ROWS = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))


class DropPath(nn.Module):
    """Stochastic depth as libraries of image models write it."""

    def __init__(self) -> None:
        super().__init__()
        self.drop_prob = 0.1

    def forward(self, x: Tensor) -> Tensor:
        return x


class Mixed(nn.Module):
    """Everything that is treated in a way of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(6, 8), nn.BatchNorm1d(8)
        self.codes = nn.Embedding(3, 8, max_norm=1.0)
        self.same = nn.Linear(8, 8, bias=False)
        self.again = nn.Linear(8, 8, bias=False)
        self.again.weight = self.same.weight
        self.still = nn.Linear(8, 8)
        self.still.requires_grad_(False)
        self.spectral = parametrizations.spectral_norm(nn.Linear(8, 8))
        self.old = torch.nn.utils.weight_norm(nn.Linear(8, 8))
        self.drop, self.path = nn.Dropout(0.4), DropPath()
        self.scale = nn.Parameter(torch.ones(8))
        self.last = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.norm(self.first(x))) + self.codes(torch.zeros(len(x), dtype=torch.long))
        hidden = self.path(self.drop(self.again(self.same(hidden)))) * self.scale
        return self.last(self.old(self.spectral(self.still(hidden))))


@pytest.fixture
def module() -> nn.Module:
    torch.manual_seed(0)
    with pytest.warns(FutureWarning, match="weight_norm"):
        return Mixed()


def test_every_parameter_has_a_reason(module: nn.Module) -> None:
    found = audit(module, ROWS)
    why = {each.name: each.why for each in found.parameters}
    assert found.penalised == ("first.weight", "same.weight", "last.weight")
    assert found.scale_invariant == ("first.weight",)
    assert why["norm.weight"] == "norm layer"
    assert why["codes.weight"] == "embedding"
    assert why["same.weight"] == "tied with again.weight"
    assert why["still.weight"] == "frozen"
    assert why["old.weight_v"] == why["spectral.parametrizations.weight.original"]
    assert "weight_norm" in why["old.weight_v"]
    assert (why["last.bias"], why["scale"]) == ("bias", "fewer than two dimensions")
    assert [name for name, _ in module.named_parameters()] == list(why)


def test_biases_are_exempt_whatever_their_shape() -> None:
    net = nn.Linear(2, 3)
    net.bias = nn.Parameter(
        torch.zeros(4, 3)
    )  # of several networks side by side, or of embeddings of numbers
    assert audit(net).penalised == ("weight",)


def test_dropout_that_is_set_and_that_stays_and_what_regularizes_already(module: nn.Module) -> None:
    found = audit(module)
    places = {each.name: (each.rate, each.is_set) for each in found.dropout}
    assert places == {"drop": (0.4, True), "path (DropPath).drop_prob": (0.1, False)}
    assert set(found.kept) == {"spectral_norm of spectral", "weight_norm of old", "max_norm=1 of codes"}
    text = str(found)
    assert "first.weight" in text
    assert "weight_norm of old" in text


def test_only_weights_that_a_norm_follows_in_the_pass_are_scale_invariant() -> None:
    class Elsewhere(nn.Module):
        """Registered in another order than run: only the pass tells."""

        def __init__(self) -> None:
            super().__init__()
            self.one, self.norm, self.two, self.head = (
                nn.Linear(6, 6),
                nn.LayerNorm(6),
                nn.Linear(6, 6),
                nn.Linear(6, 1),
            )

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.norm(self.two(torch.tanh(self.one(x)))))

    torch.manual_seed(0)
    assert audit(Elsewhere(), ROWS).scale_invariant == ("two.weight",)
    guessed = {each.name: each.why for each in audit(Elsewhere()).parameters}
    assert guessed["one.weight"].startswith("likely")


def test_a_network_that_begins_at_zero_is_not_called_scale_invariant() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1))
    nn.init.zeros_(net[2].weight)
    assert audit(net, ROWS).scale_invariant == ()


def test_patterns_count_and_nothing_is_changed(module: nn.Module) -> None:
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = audit(module, exempt=("last.*",), penalised=("l*", "codes.weight"))
    why = {each.name: (each.is_penalised, each.why) for each in found.parameters}
    assert why["codes.weight"] == (True, "embedding, but named in the recipe")
    assert why["last.weight"] == (False, "exempt in the recipe")
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    with pytest.raises(ParameterError, match="got 'lost'"):
        audit(module, exempt=("lost",))


def test_a_class_and_what_is_no_module_are_refused() -> None:
    with pytest.raises(ParameterError, match="got the class Mixed; pass the one that is trained"):
        audit(Mixed)
    with pytest.raises(ParameterError, match="got dict"):
        audit({})


def test_the_record_and_the_report_hold_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SLOW_S", 60.0)  # of a module that is slow the audit guesses

    def net(n_features: int, n_outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Linear(n_features, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, n_outputs)
        )

    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(0)) / X.std(0)
    advice = advise(X[:120], y[:120], model=net, recipe=Recipe(epochs=2), effort="quick", folds=2)
    training: Any = advice.record.training
    assert training.audit.penalised == training.penalised_names == ("0.weight", "4.weight")
    assert training.audit.scale_invariant == ("0.weight",)
    text = " ".join(advice.to_text().split())
    assert "Not penalised: bias (2), norm layer (2)." in text
    assert "A norm layer follows 0.weight, so the size of these weights changes no output" in text
    assert "The advice sets the rate of these dropout layers (yours in brackets): 3 (0.3)." in text
    assert from_json(to_json(advice.record)).training == training
    assert np.isfinite(advice.build().fit(X, y).score(X, y))


def test_rows_that_a_module_does_not_take_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"inputs must be rows .* got RuntimeError .* \(16, 6\)"):
        audit(nn.Linear(5, 1), ROWS)

"""What is said of the caller's module: its columns, what penalties act on, what stays in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from regadvisor import Recipe, advise
from regadvisor.data.source import make_table
from regadvisor.families.neural.module.family import ModuleFamily
from regadvisor.families.neural.parameters import penalised_parameters
from regadvisor.records import Note
from regadvisor.sampling.folds import make_folds

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "age": RNG.normal(size=60),
        "city": RNG.choice(["a", "b", "c"], 60),
        "when": pd.date_range("2020-01-01", periods=60),
        "gaps": np.where(RNG.random(60) < 0.2, np.nan, 1.0),
        "size": RNG.normal(size=60),
    }
)
Y = RNG.normal(size=60)


def linear(n_features: int) -> nn.Module:
    return nn.Linear(n_features, 1)


class Embedding(nn.Module):
    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.codes, self.last = nn.Embedding(3, 2), nn.Linear(n_features + 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat([x[:, :1], x[:, 2:], self.codes(x[:, 1].long().clamp(0, 2))], 1))


def notes(model: Any, X: Any = FRAME, recipe: Recipe | None = None) -> dict[str, Note]:
    table = make_table(X, Y)
    family = ModuleFamily(model, table.facts, recipe=recipe or Recipe(epochs=1))
    assert family.notes == ()
    family.prepare(table, make_folds(table, folds=2).folds, seed=0)
    return {note.code: note for note in family.notes}


def test_columns_that_became_others_are_listed_in_their_order() -> None:
    note = notes(linear)["module-columns"]
    assert note.text == (
        "linear gets 12 numbers per row, made of 5 columns: 0 age, 1 gaps, 2 size, 3 gaps missing, "
        "4-6 city (one-hot), 7-11 when (parts of the date) (counted from 0)."
    )
    assert not note.is_warning


def test_an_embedding_that_gets_no_codes_is_a_warning() -> None:
    note = notes(Embedding)["module-columns"]
    assert note.is_warning
    assert "finds no codes there" in note.text


def test_nothing_is_said_of_numbers() -> None:
    assert notes(linear, FRAME[["age", "size"]]) == {}


def test_notes_reach_the_report_with_the_names_of_penalised_weights() -> None:
    recipe = Recipe(epochs=1, batch_size=32, exempt=("2.*",))

    def net(n_features: int) -> nn.Module:
        return nn.Sequential(nn.Linear(n_features, 3), nn.ReLU(), nn.Linear(3, 1))

    advice = advise(FRAME, Y, model=net, recipe=recipe, effort="quick", folds=2)
    assert "module-columns" in {note.code for note in advice.record.notes}
    assert advice.record.training.penalised_names == ("0.weight",)  # type: ignore[union-attr]
    assert "Penalties act on 0.weight." in advice.to_text()


# ----------------------------------------------------------------------------- weights scaled by themselves


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    "norm",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.parametrizations.orthogonal,
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
    ],
)
def test_lengths_and_directions_are_no_weights(norm: Callable[[nn.Module], nn.Module]) -> None:
    net = nn.Sequential(norm(nn.Linear(2, 3)), nn.ReLU(), nn.Linear(3, 1))
    assert [name for name, _ in penalised_parameters(net)] == ["2.weight"]
    everything = [name for name, _ in penalised_parameters(net, penalised=["0.*"])]
    assert len(everything) >= 2  # by name they are penalised all the same
    assert notes(net, FRAME[["age", "size"]]) == {}


def test_other_parametrizations_are_penalised() -> None:
    class Positive(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.exp()

    net = nn.Linear(2, 1)
    nn.utils.parametrize.register_parametrization(net, "weight", Positive())
    assert [name for name, _ in penalised_parameters(net)] == ["parametrizations.weight.original"]


def test_a_module_without_any_weight_to_penalise_is_a_warning() -> None:
    net = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))
    note = notes(net, FRAME[["age", "size"]])["nothing-penalised"]
    assert note.is_warning
    assert "act on no parameter of ParametrizedLinear" in note.text


def test_parts_in_evaluation_mode_are_named() -> None:
    body = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout())
    net = nn.ModuleDict({"body": body, "head": nn.Linear(3, 1)})
    module = nn.Sequential(body, nn.Linear(3, 1))
    body.eval()
    text = notes(module, FRAME[["age", "size"]])["module-eval"].text
    assert text.startswith("Parts of Sequential stay in evaluation mode, as you left them (0):")
    assert net.training


def test_a_training_that_ends_too_early_is_said_and_one_that_does_not_is_not() -> None:
    def net(n_features: int) -> nn.Module:
        return nn.Sequential(nn.Linear(n_features, 16), nn.ReLU(), nn.Linear(16, 1))

    X = RNG.normal(size=(400, 4))
    y = X @ [1.0, 2.0, 0.0, 0.0] + 0.1 * RNG.normal(size=400)
    noise = RNG.normal(size=400)
    for target, epochs, is_said in ((y, 6, True), (noise, 6, False), (noise, 60, False)):
        recipe = Recipe(lr=0.01, epochs=epochs, batch_size=64)
        found = advise(X, target, model=net, recipe=recipe, effort="quick").record.notes
        text = "".join(note.text for note in found if note.code == "still-learning")
        assert bool(text) == is_said
        assert not text or f"half of its {epochs} epochs" in text


@pytest.mark.parametrize(
    ("y", "loss", "is_said"),
    [
        (FRAME["age"] * 2.0, None, True),
        (FRAME["age"] * 2.0, nn.HuberLoss(), True),
        (np.arange(len(FRAME)) % 7.0, nn.PoissonNLLLoss(), False),
        (np.arange(len(FRAME)) % 2, None, False),
    ],
)
def test_a_target_that_is_standardised_is_told(y: Any, loss: Any, is_said: bool) -> None:
    task = "classification" if len(np.unique(y)) == 2 else "regression"
    n_outputs = 2 if task == "classification" else 1
    advice = advise(
        FRAME[["age", "size"]],
        np.asarray(y),
        model=lambda n_features: nn.Linear(n_features, n_outputs),
        recipe=Recipe(epochs=2, loss=loss),
        effort="quick",
        task=task,
    )
    text = " ".join(advice.to_text().split())
    assert ("sees the target standardised; in your own loop, do the same" in text) == is_said

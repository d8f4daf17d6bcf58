"""Modules that set parameters in a pass, draw random numbers of their own, or take rows for channels."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regadvisor import Recipe, advise
from regadvisor.families.neural.module.dropout import with_fed_dropout
from regadvisor.families.neural.module.estimator import ModuleClassifier

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 6)).astype(np.float32)
Y = np.digitize(X[:, 0] + X[:, 1], [-0.7, 0.7])
RECIPE = Recipe(epochs=5, batch_size=90, optimizer="sgd", lr=0.3, momentum=0.0, schedule="constant")


class FromFirstRows(nn.Module):
    """Scales by what it has seen first, and remembers that in one of three ways."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.shift, self.scale = nn.Parameter(torch.zeros(8)), nn.Parameter(torch.ones(8))
        self.is_set: Any = False
        if kind == "buffer":
            del self.is_set
            self.register_buffer("is_set", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        if not self.is_set:
            with torch.no_grad():
                self.shift.copy_(x.mean(0))
                if self.kind == "data":
                    self.scale.data = x.std(0) + 0.1
                else:
                    self.scale.copy_(x.std(0) + 0.1)
            self.is_set = torch.tensor(True) if self.kind == "buffer" else True
        return (x - self.shift) / self.scale


class WithMaxNorm(nn.Linear):
    """As in EEGNet."""

    def forward(self, input: Tensor) -> Tensor:
        self.weight.data = torch.renorm(self.weight.data, p=2, dim=0, maxnorm=0.4)
        return super().forward(input)


@pytest.mark.parametrize(
    "layers",
    [
        lambda: (FromFirstRows("buffer"), nn.Linear(8, 3)),
        lambda: (FromFirstRows("flag"), nn.Linear(8, 3)),
        lambda: (FromFirstRows("data"), nn.Linear(8, 3)),
        lambda: (nn.Identity(), WithMaxNorm(8, 3)),
        lambda: (FromFirstRows("flag"), nn.BatchNorm1d(8), nn.Linear(8, 3)),
    ],
    ids=["buffer", "flag", "data", "max norm", "batch norm"],
)
def test_parameters_that_a_pass_sets_are_trained_as_in_a_loop(layers: Any) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), *layers())
    before = copy.deepcopy(net.state_dict())
    mine = ModuleClassifier(net, recipe=RECIPE, random_state=0).fit(X, Y).predict_proba(X)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    rows, codes = torch.as_tensor(X), torch.as_tensor(Y)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.3)
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(rows), codes).backward()
        optimizer.step()
    np.testing.assert_allclose(mine, net.eval()(rows).softmax(1).detach(), atol=1e-5)


class MakesItsLast(nn.Module):
    """Makes a layer when it sees rows, as tutorials do that do not know a shape."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), None

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).tanh()
        if self.last is None:
            self.last = nn.Linear(hidden.shape[1], 3)
        outputs: Tensor = self.last(hidden)
        return outputs


def test_a_layer_that_the_first_pass_makes_is_trained() -> None:
    recipes = (Recipe(epochs=n, batch_size=90, transform="none") for n in (1, 9))
    models = (ModuleClassifier(MakesItsLast, recipe=each, random_state=0) for each in recipes)
    before, after = (model.fit(X, Y).module_.last for model in models)
    assert not torch.allclose(before.weight, after.weight)


class Jitters(nn.Module):
    """Draws from Python and NumPy, and passes a layer by."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x + float(np.random.normal(scale=0.1))  # noqa: NPY002
            x = x if random.random() < 0.05 else self.first(x)
        outputs: Tensor = self.last(x)
        return outputs


def test_random_numbers_of_python_and_numpy_stay_where_they_are_and_repeat() -> None:
    numpy: Any = np.random
    before = random.getstate(), numpy.get_state()[1].tolist(), numpy.get_state()[2:]
    recipe = Recipe(epochs=2, batch_size=30, transform="none")
    first, again = (advise(X, Y, model=Jitters, recipe=recipe, effort="quick") for _ in range(2))
    assert (random.getstate(), numpy.get_state()[1].tolist(), numpy.get_state()[2:]) == before
    assert first.scores.drop(columns="fit_s").equals(again.scores.drop(columns="fit_s"))
    assert first.record.training.engine == "loop"


@pytest.mark.parametrize(("layer", "shape"), [(nn.Dropout1d, (50, 4)), (nn.Dropout3d, (50, 2, 3, 4))])
def test_an_input_without_an_axis_of_channels_loses_whole_rows(layer: Any, shape: Any) -> None:
    """As torch takes it: the first axis for the channels of one row."""
    inputs = torch.ones(shape)
    theirs = layer(0.5)(inputs)
    assert {row.unique().numel() for row in theirs} == {1}
    module, feed = with_fed_dropout(nn.Sequential(layer(0.5), nn.Linear(4, 1)))
    feed.start(None)
    module[0](inputs)
    assert feed.seen == [(50, *[1] * (len(shape) - 1))]

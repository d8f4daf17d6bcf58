"""Small Keras models and skorch nets, and training many of them at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from regadvisor import Recipe, Regularizer
from regadvisor.data.source import make_table
from regadvisor.families.fitted.keras_fit import KerasFit
from regadvisor.families.fitted.learner import Call
from regadvisor.families.fitted.stacked import train
from regadvisor.global_state import own_randomness

keras = pytest.importorskip("keras", reason="Keras is not installed")
skorch = pytest.importorskip("skorch", reason="skorch is not installed")
layers, optimizers = keras.layers, keras.optimizers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 6)).astype(np.float32)
CODES = (X[:, 0] + 0.5 * RNG.normal(size=90) > 0).astype(int)
NUMBERS = X[:, 0] + 0.5 * RNG.normal(size=90)
STEPS = 6
#: Of a stack: none, both penalties, and one.
STRENGTHS = ({}, {"l1": 0.02, "l2": 0.3}, {"l2": 0.1})


def never() -> bool:
    return False


def keras_model(
    optimizer: Any = "adam", loss: Any = "binary_crossentropy", *more: Any, last: str | None = "sigmoid"
) -> Any:
    with own_randomness(0):
        model = keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(
                    5, "tanh", bias_regularizer=keras.regularizers.L2(0.1), activity_regularizer="l1"
                ),
                *more,
                layers.Dense(1, last),
            ]
        )
    model.compile(optimizer, loss)
    return model


def keras_fit(model: Any, y: Any = CODES, coupling: Any = "loss", batch: int = 90) -> KerasFit:
    recipe = Recipe(epochs=STEPS, batch_size=batch, transform="none")
    return KerasFit(model, make_table(X, y).facts, coupling, recipe=recipe)


def call_of(regularizer: Regularizer, y: Any = CODES, weight: Any = None, seed: int = 0) -> Call:
    return Call(regularizer=regularizer, X=X, y=y, weight=weight, seed=seed)


def stacked(fit: Any, calls: list[Call], *, records: bool = False) -> Any:
    """Return the network, and the numbers of each call's after training."""
    network = fit.network(calls[0])
    runs = [network.run(call)[0] for call in calls]
    return network, train(network, runs, should_stop=never, records=records)


class Net(nn.Module):
    def __init__(self, n_out: int = 2, rate: float = 0.5) -> None:
        super().__init__()
        self.first, self.norm = nn.LazyLinear(8, bias=False), nn.BatchNorm1d(8)
        self.dropout, self.last = nn.Dropout(rate), nn.Linear(8, n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.last(self.dropout(torch.relu(self.norm(self.first(x)))))
        return outputs


def net(kind: Any = skorch.NeuralNetClassifier, **options: Any) -> Any:
    known = {"module": Net, "optimizer": torch.optim.Adam, "lr": 0.02, "max_epochs": STEPS, "verbose": 0}
    if kind is skorch.NeuralNetClassifier:
        known["criterion"] = nn.CrossEntropyLoss
    return kind(**(known | {"batch_size": -1} | options))

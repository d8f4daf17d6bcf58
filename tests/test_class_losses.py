"""Weighted, smoothed and focal losses of classes: candidates are compared by what trains the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from library_networks import X, keras, layers, net, skorch
from torch import nn
from torch.nn import functional

from regadvisor import ParameterError, Recipe, advise
from regadvisor.data.source import make_table
from regadvisor.families.fitted.keras_model import with_regularizer
from regadvisor.families.fitted.own_library import own_function
from regadvisor.families.fitted.trained_loss import ClassLoss
from regadvisor.regularizer import Regularizer

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
CLASSES = np.digitize(X[:, 0], [0.3, 1.0])
TABLE, CODES = make_table(X, CLASSES), torch.as_tensor(CLASSES)
WEIGHTS = torch.tensor([0.2, 1.0, 3.0])
LOGITS = np.random.default_rng(1).normal(size=(90, 3))


class Focal(nn.Module):
    def forward(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        logs = logits.log_softmax(1).gather(1, codes[:, None])[:, 0]
        return (-((1 - logs.exp()) ** 2) * logs).mean()


def with_softmax(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.softmax(1)


def keras_of(loss: Any, n_outputs: int = 3, last: str | None = "softmax") -> Any:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(n_outputs, last)])
    model.compile("adam", loss)
    return model


def loss_of(model: Any, table: Any = TABLE) -> Any:
    recipe = None if isinstance(model, skorch.NeuralNet) else Recipe(epochs=2, transform="none")
    function = own_function(model, table.facts, X, recipe)
    assert function is not None
    return function.loss


def check_constant(loss: ClassLoss, target: Any) -> None:
    """Check that no constant nearby is better."""
    best = loss.constant(target, np.ones(90), 3)
    for way in np.eye(len(best))[:2] * 0.02:
        moved = best + way
        moved = moved / moved.sum() if loss.is_of_shares else moved
        worse = loss.per_row(target, np.tile(moved, (90, 1)), np.ones(3)).mean()
        assert worse > loss.per_row(target, np.tile(best, (90, 1)), np.ones(3)).mean()


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        (
            {"criterion__weight": WEIGHTS},
            "CrossEntropyLoss",
            lambda z, y: functional.cross_entropy(z, y, weight=WEIGHTS, reduction="none"),
        ),
        (
            {"criterion__label_smoothing": 0.1},
            "CrossEntropyLoss",
            lambda z, y: functional.cross_entropy(z, y, label_smoothing=0.1, reduction="none"),
        ),
        (
            {"criterion": Focal, "predict_nonlinearity": with_softmax},
            "Focal",
            lambda z, y: torch.stack([Focal()(z[i : i + 1], y[i : i + 1]) for i in range(90)]),
        ),
    ],
)
def test_a_net_is_judged_by_its_criterion(options: Any, name: str, expected: Any) -> None:
    loss = loss_of(net(module__n_out=3, **options))
    assert isinstance(loss, ClassLoss)
    assert loss.name == name
    target = loss.target(TABLE)
    theirs = expected(torch.as_tensor(LOGITS, dtype=torch.float32), CODES)
    np.testing.assert_allclose(loss.per_row(target, LOGITS, np.ones(3)), theirs, rtol=1e-4)
    check_constant(loss, target)


def test_a_net_of_one_output_and_one_of_probabilities_are_judged_by_their_weights() -> None:
    table = make_table(X, CLASSES > 0)
    weight = torch.tensor(3.0)
    loss = loss_of(
        net(skorch.NeuralNetBinaryClassifier, module__n_out=1, criterion__pos_weight=weight), table
    )
    z, y = torch.as_tensor(LOGITS[:, :1]), torch.as_tensor(table.y, dtype=torch.float64)
    theirs = functional.binary_cross_entropy_with_logits(z[:, 0], y, pos_weight=weight, reduction="none")
    np.testing.assert_allclose(loss.per_row(loss.target(table), z.numpy(), np.ones(1)), theirs, rtol=1e-4)
    best = float((3 * y.sum() / (1 - y).sum()).log())
    assert loss.constant(loss.target(table), np.ones(90), 2) == pytest.approx([best], abs=1e-3)
    loss = loss_of(
        net(module=lambda: nn.Sequential(nn.Linear(6, 3), nn.Softmax(1)), criterion=nn.NLLLoss(WEIGHTS))
    )
    assert loss.is_of_shares
    shares = np.bincount(CLASSES) * WEIGHTS.numpy()
    assert loss.constant(loss.target(TABLE), np.ones(90), 3) == pytest.approx(shares / shares.sum(), abs=2e-3)


@pytest.mark.parametrize("is_torch", [True, False])
@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.CategoricalFocalCrossentropy(),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        "binary_crossentropy",
    ],
)
def test_a_keras_model_is_judged_by_its_loss(
    loss: Any, is_torch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the slopes of torch as well, as on JAX and TensorFlow."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch" if is_torch else "jax")
    own = loss_of(keras_of(loss))
    assert isinstance(own, ClassLoss)
    target, outputs = own.target(TABLE), torch.as_tensor(LOGITS).softmax(1)
    function = keras.losses.get(loss)
    theirs = getattr(function, "call", function)(torch.as_tensor(target), outputs)
    np.testing.assert_allclose(own.per_row(target, outputs.numpy(), np.ones(3)), theirs, rtol=1e-4)
    check_constant(own, target)


@pytest.mark.parametrize(
    "model",
    [
        net(module__n_out=3),
        net(module=lambda: nn.Sequential(nn.Linear(6, 3), nn.Softmax(1)), criterion=nn.NLLLoss),
        keras_of("sparse_categorical_crossentropy"),
        keras_of(keras.losses.CategoricalCrossentropy(from_logits=True), last=None),
    ],
)
def test_what_says_the_same_as_the_log_loss_is_called_so(model: Any) -> None:
    assert loss_of(model) is None


def test_a_model_that_does_not_take_the_rows_is_told_before_its_loss_is_looked_at() -> None:
    model = keras.Sequential([layers.Conv1D(4, 3), layers.Flatten(), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ParameterError, match=r"model must take rows of shape \(6,\).*got ValueError"):
        advise(X, CLASSES, model=model, effort="quick")


def test_advice_names_the_loss_and_what_is_built_predicts_classes() -> None:
    given = net(module__n_out=3, criterion__weight=WEIGHTS, train_split=None)
    advice = advise(X, CLASSES, model=given, effort="quick")
    assert "CrossEntropyLoss" in str(advice)
    built = advice.build().fit(X, CLASSES)
    assert set(built.predict(X)) <= {0, 1, 2}
    np.testing.assert_allclose(built.predict_proba(X).sum(axis=1), 1.0, atol=1e-5)


def test_weights_of_a_copy_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """JAX frees the arrays that it has trained on, whoever else holds them."""
    model, given = keras_of("mse"), list[int]()
    assign = keras.Variable.assign

    def seen(variable: Any, value: Any) -> Any:
        given.append(id(getattr(value, "value", value)))
        return assign(variable, value)

    monkeypatch.setattr(keras.Variable, "assign", seen)
    with_regularizer(model, Regularizer(l2=0.1))
    assert len(given) >= 2
    assert not {id(weight.value) for weight in model.weights} & set(given)

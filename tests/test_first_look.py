"""What is wrong with a Keras model or a skorch net is said before anything is trained, in their own terms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regadvisor import ParameterError, Recipe, Regularizer, advise
from regadvisor.data.source import make_table
from regadvisor.families.fitted.own_library import own_function, own_sum_lr

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore:You are using a softmax:UserWarning"
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 6)).astype(np.float32)
CLASSES, NUMBERS = (X[:, 0] > 0).astype(int), X[:, 0] + 3.0
THREE = np.arange(60) % 3


# ----------------------------------------------------------------------------------------------- Keras


def keras_model(last: Any, loss: Any, *, n_in: int = 6) -> Any:
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    units, activation = last
    layers = [keras.layers.Dense(4, "relu"), keras.layers.Dense(units, activation)]
    model = keras.Sequential([keras.Input((n_in,)), *layers])
    model.compile("adam", loss)
    return model


def of_logits(name: str) -> Any:
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    return getattr(keras.losses, name)(from_logits=True)


@pytest.mark.parametrize(
    ("make", "y", "words"),
    [
        (
            lambda: keras_model((2, "softmax"), "sparse_categorical_crossentropy", n_in=7),
            CLASSES,
            r"take rows of shape \(6,\).*to have value 7.*build its first layer for them",
        ),
        (
            lambda: keras_model((5, "softmax"), "sparse_categorical_crossentropy"),
            CLASSES,
            r"return 2 numbers for each row, for 2 classes, got outputs of shape \(5,\)",
        ),
        (
            lambda: keras_model((1, "softmax"), "binary_crossentropy"),
            CLASSES,
            "return 2 numbers.*one output needs a sigmoid",
        ),
        (
            lambda: keras_model((2, None), "mse"),
            NUMBERS,
            r"return one number for each row, for 1 numeric target, got outputs of shape \(2,\)",
        ),
        (
            lambda: keras_model((1, None), "binary_crossentropy"),
            CLASSES,
            "probabilities for its loss binary_crossentropy, got numbers from.*end it in a sigmoid",
        ),
        (
            lambda: keras_model((3, "softmax"), of_logits("SparseCategoricalCrossentropy")),
            THREE,
            "return logits for its loss.*got the probabilities of a softmax",
        ),
        (lambda: keras_model((1, None), None), NUMBERS, "must be compiled with a loss, got none"),
    ],
)
def test_a_keras_model_that_does_not_fit(make: Any, y: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words.replace(" ", r"\s")):
        advise(X, y, model=make(), recipe=Recipe(epochs=2))


@pytest.mark.parametrize(
    ("activation", "center", "scale"),
    [(None, NUMBERS.mean(), NUMBERS.std()), ("relu", 0.0, NUMBERS.std()), ("sigmoid", 0.0, 1.0)],
)
def test_a_target_stays_where_the_last_activation_can_reach_it(
    activation: str | None, center: float, scale: float
) -> None:
    model = keras_model((1, activation), "mse")
    function = own_function(model, make_table(X, NUMBERS).facts, X, Recipe(epochs=1))
    assert function is not None
    assert function.scales_target == (activation is None)
    target, *units = function.fit.target(model, NUMBERS)  # type: ignore[attr-defined]
    np.testing.assert_allclose(np.ravel(units), [center, scale])
    np.testing.assert_allclose(target[:, 0], (NUMBERS - center) / scale, atol=1e-6)


def test_logits_of_shares_are_predicted_as_shares() -> None:
    shares = 1.0 / (1.0 + np.exp(-X[:, 0].astype(np.float64)))
    model = keras_model((1, None), of_logits("BinaryCrossentropy"))
    function = own_function(model, make_table(X, shares).facts, X, Recipe(epochs=1))
    assert function is not None
    trained = function.fit(Regularizer(), X, shares, seed=0)
    logits = trained.model.predict(X, verbose=0)
    np.testing.assert_allclose(trained.predict(X), 1.0 / (1.0 + np.exp(-logits)), rtol=1e-5)


def test_layers_inside_layers_of_the_callers_own_are_regularized() -> None:
    keras = pytest.importorskip("keras", reason="Keras is not installed")

    class Block(keras.layers.Layer):  # type: ignore[name-defined, misc]
        def __init__(self, rate: float = 0.3, **more: Any) -> None:
            super().__init__(**more)
            self.dense, self.drop = keras.layers.Dense(4, "relu"), keras.layers.Dropout(rate)

        def build(self, shape: Any) -> None:
            self.dense.build(shape)

        def call(self, x: Any, training: Any = None) -> Any:
            return self.drop(self.dense(x), training=training)

    class Whole(keras.Model):  # type: ignore[name-defined, misc]
        def __init__(self, **more: Any) -> None:
            super().__init__(**more)
            self.block, self.last = Block(), keras.layers.Dense(2, "softmax")

        def call(self, x: Any, training: Any = None) -> Any:
            return self.last(self.block(x, training=training))

        def get_config(self) -> dict[str, Any]:
            return {}

    whole, layered = Whole(), keras.Sequential([keras.Input((6,)), Block(), keras.layers.Dense(2, "softmax")])
    whole(X[:2])
    for model in (whole, layered):
        model.compile("adam", "sparse_categorical_crossentropy")
        new = Regularizer(l2=0.4, dropout=0.1).apply(model)
        kernels = [np.asarray(weight) for weight in new.get_weights() if weight.ndim == 2]
        wanted = 0.2 * sum(float(np.square(kernel).sum()) for kernel in kernels)
        assert len(kernels) == 2
        assert float(sum(loss.detach() for loss in new.losses)) == pytest.approx(wanted, rel=1e-5)
        assert [layer.rate for layer in new._flatten_layers() if hasattr(layer, "rate")] == [0.1]
        function = own_function(model, make_table(X, CLASSES).facts, X, Recipe(epochs=1))
        assert function is not None
        assert "dropout" in function.kinds
        function.stacks.check(X)  # type: ignore[union-attr]


# ---------------------------------------------------------------------------------------------- skorch


class Net(nn.Module):
    def __init__(self, n_in: int = 6, n_out: int = 2, last: nn.Module | None = None) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, 4), nn.ReLU(), nn.Linear(4, n_out), last or nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def net_of(kind: str, **options: Any) -> Any:
    skorch = pytest.importorskip("skorch", reason="skorch is not installed")
    usual = {"max_epochs": 2, "verbose": 0, "optimizer": torch.optim.Adam}
    return getattr(skorch, f"NeuralNet{kind}")(Net, **{**usual, **options})


CROSS = {"criterion": nn.CrossEntropyLoss}


@pytest.mark.parametrize(
    ("kind", "options", "y", "words"),
    [
        ("Classifier", {**CROSS, "module__n_in": 7}, CLASSES, "body.0, Linear, takes 7 features"),
        ("Classifier", {**CROSS, "module__n_out": 5}, CLASSES, "return 2 numbers for each row, for 2"),
        ("Classifier", {**CROSS, "module__n_out": 1}, CLASSES, "or use NeuralNetBinaryClassifier"),
        ("BinaryClassifier", {}, CLASSES, "return one number .*or use NeuralNetClassifier"),
        ("BinaryClassifier", {"module__n_out": 1}, THREE, "NeuralNetClassifier for 3 classes"),
        ("Classifier", {}, CLASSES, "probabilities for its loss NLLLoss.*criterion=torch.nn.Cross"),
        ("Classifier", {**CROSS, "module__last": nn.Softmax(1)}, CLASSES, "logits for CrossEntropyLoss"),
        ("Regressor", {"module__n_out": 1, "module__last": nn.ReLU()}, NUMBERS, "any size and sign"),
    ],
)
def test_a_net_that_does_not_fit(kind: str, options: dict[str, Any], y: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        advise(X, y, model=net_of(kind, **options))


class Focal(nn.Module):
    """A loss of logits that skorch does not know."""

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        loss = nn.functional.cross_entropy(outputs, target, reduction="none")
        return ((1.0 - torch.exp(-loss)) ** 2 * loss).mean()


def test_logits_are_taken_where_the_net_says_what_makes_probabilities_of_them() -> None:
    net = net_of("Classifier", criterion=Focal)
    with pytest.raises(ParameterError, match="or say what makes them: predict_nonlinearity"):
        advise(X, CLASSES, model=net)
    net.set_params(predict_nonlinearity=lambda outputs: outputs.softmax(1))
    function = own_function(net, make_table(X, CLASSES).facts, X, None)
    assert function is not None
    trained = function.fit(Regularizer(), X, CLASSES, seed=0)
    function.stacks.check(X)  # type: ignore[union-attr]
    np.testing.assert_allclose(trained.predict_proba(X).sum(axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize(("criterion", "is_raw"), [(nn.MSELoss, False), (nn.PoissonNLLLoss, True)])
def test_counts_reach_a_criterion_that_means_them(criterion: Any, is_raw: bool) -> None:
    counts = RNG.poisson(2.0, size=60).astype(float)
    net = net_of("Regressor", module__n_out=1, criterion=criterion)
    function = own_function(net, make_table(X, counts, task="regression").facts, X, None)
    assert function is not None
    assert function.scales_target != is_raw
    target, _, _ = function.fit.target(counts)  # type: ignore[attr-defined]
    wanted = counts if is_raw else (counts - counts.mean()) / counts.std()
    np.testing.assert_allclose(target[:, 0], wanted, rtol=1e-5)


def test_logarithms_of_rates_are_judged_by_the_criterion_that_takes_them() -> None:
    counts = RNG.poisson(np.exp(X[:, 0] + 1.0)).astype(float)
    net = net_of("Regressor", module__n_out=1, criterion=nn.PoissonNLLLoss)
    function = own_function(net, make_table(X, counts, task="regression").facts, X, None)
    assert function is not None
    loss: Any = function.loss
    assert loss.name == "PoissonNLLLoss"
    outputs = np.linspace(-1.0, 2.0, 60)[:, None]
    wanted = np.exp(outputs[:, 0]) - counts * outputs[:, 0]
    found = loss.per_row(counts[:, None], outputs, loss.unit(counts[:, None]))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    best = loss.constant(counts[:, None] + 100.0, np.ones(60), 0)
    np.testing.assert_allclose(best, np.log(counts.mean() + 100.0), rtol=1e-4)


def test_an_optimizer_without_a_step_of_ours_has_l2() -> None:
    net = net_of("Classifier", **CROSS, optimizer=torch.optim.RMSprop)
    function = own_function(net, make_table(X, CLASSES).facts, X, None)
    assert function is not None
    assert function.kinds == ("none", "l2")
    applied = Regularizer(l2=0.1).apply(net).initialize()
    assert [group["weight_decay"] for group in applied.optimizer_.param_groups] == [0.1, 0.1, 0.0]


@pytest.mark.parametrize("every", ["epoch", "batch"])
def test_rates_of_a_scheduler_are_counted(every: str) -> None:
    callbacks = pytest.importorskip("skorch.callbacks", reason="skorch is not installed")
    steps = callbacks.LRScheduler("StepLR", step_size=2, gamma=0.1, step_every=every)
    net = net_of(
        "Classifier",
        **CROSS,
        lr=0.5,
        optimizer=torch.optim.AdamW,
        max_epochs=4,
        batch_size=20,
        train_split=None,
        callbacks=[steps],
    )
    rates = [0.5, 0.5, 0.05, 0.05]
    wanted = 3 * sum(rates) if every == "epoch" else 2 * sum(0.5 * 0.1**k for k in range(6))
    assert own_sum_lr(net, 60) == pytest.approx(wanted)

"""Keras models: rebuilt with the regularizer, asked about, and as a script; against torch and by hand."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.pipeline import Pipeline
from test_neural_snippet import LOSS_REGULARIZERS, TRAINING

from regadvisor import Advice, ParameterError, Recipe, Regularizer, advise
from regadvisor.data.source import make_table
from regadvisor.export.alone import rescaled_to
from regadvisor.export.build import build_network
from regadvisor.export.torch_snippet import torch_snippet
from regadvisor.families.fitted import keras_fit, own_library
from regadvisor.families.fitted.keras_model import with_regularizer
from regadvisor.families.fitted.own_library import assumed_epochs
from regadvisor.families.neural.schedule import full_run_rates, learning_rates
from regadvisor.families.neural.strengths import candidate
from regadvisor.global_state import own_randomness
from regadvisor.records import Training
from regadvisor.report.units import range_in_own_unit

keras = pytest.importorskip("keras", reason="Keras is not installed")
layers = keras.layers
# Of Keras itself, wherever it turns a variable into an array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 6)).astype(np.float32)
CODES = (X[:, 0] + 0.3 * RNG.normal(size=120) > 0).astype(int)
DECOUPLED = Regularizer(l1=2.0, l2=2.0, coupling="decoupled")
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def sequential(
    *, rate: float | None = 0.5, optimizer: Any = "adam", loss: Any = LOGITS, has_norm: bool = True
) -> Any:
    more = [layers.BatchNormalization()] if has_norm else []
    more += [] if rate is None else [layers.Dropout(rate)]
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu"), *more, layers.Dense(2)])
    if loss is not None:
        model.compile(optimizer, loss, metrics=["accuracy", keras.metrics.SparseCategoricalAccuracy()])
    return model


def functional() -> Any:
    inputs = keras.Input((6,))
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4, "relu"), layers.Dropout(0.3)], name="inner")
    shared = layers.Dense(4, "relu", name="shared")
    merged = layers.Concatenate()([inner(inputs), shared(inputs), shared(-inputs)])
    series = layers.Bidirectional(layers.LSTM(3, dropout=0.2))(layers.Reshape((3, 2))(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([merged, series])))


def kernels(model: Any) -> list[np.ndarray]:
    return [np.asarray(w) for w in model.trainable_weights if "kernel" in w.name]


def total(losses: Any) -> float:
    return float(sum(loss.detach() for loss in losses))


@pytest.mark.parametrize("make", [sequential, functional], ids=["sequential", "functional"])
def test_the_penalty_and_the_rates_are_the_advised_ones(make: Any) -> None:
    model = make()
    before, weights = model.get_config(), model.get_weights()
    new = with_regularizer(model, Regularizer(l1=0.01, l2=0.3))
    wanted = sum(0.01 * np.abs(w).sum() + 0.15 * np.square(w).sum() for w in kernels(model))
    assert total(new.losses) == pytest.approx(float(wanted), rel=1e-5)
    for mine, theirs in zip(new.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_allclose(new.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)
    dropped = with_regularizer(model, Regularizer(l2=0.3, dropout=0.25))
    rates = [layer.rate for layer in dropped._flatten_layers() if isinstance(layer, layers.Dropout)]
    rates += [layer.dropout for layer in dropped._flatten_layers() if isinstance(layer, layers.LSTM)]
    assert rates
    assert set(rates) == {0.25}
    assert model.get_config() == before
    assert not model.losses


def test_the_squared_error_has_no_half() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    model.compile("adam", "mean_squared_error")
    new = with_regularizer(model, Regularizer(l2=0.3))
    assert total(new.losses) == pytest.approx(0.3 * float(np.square(kernels(model)[0]).sum()), rel=1e-5)


@pytest.mark.parametrize("optimizer", [keras.optimizers.Adam, keras.optimizers.AdamW], ids=["adam", "adamw"])
def test_decoupled_steps_are_those_of_torch(optimizer: Any) -> None:
    with own_randomness(0):
        model = sequential(rate=None, optimizer=optimizer(0.01, epsilon=1e-12), has_norm=False)
    ours = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    with torch.no_grad():
        for layer, own in ((ours[0], model.layers[0]), (ours[2], model.layers[-1])):
            layer.weight.copy_(own.kernel.value.T)
            layer.bias.copy_(own.bias.value)
    new = with_regularizer(model, DECOUPLED)
    new.fit(X, CODES, batch_size=len(X), epochs=8, verbose=0)
    step = DECOUPLED.optimizer(ours, lr=0.01)
    for group in step.param_groups:
        group["eps"] = 1e-12  # Keras adds it elsewhere, which a nearly dead unit shows
    for _ in range(8):
        step.zero_grad()
        torch.nn.functional.cross_entropy(ours(torch.as_tensor(X)), torch.as_tensor(CODES)).backward()
        step.step()
    found = new.layers[0].kernel.value.detach().numpy().T
    np.testing.assert_allclose(found, ours[0].weight.detach().numpy(), atol=2e-4)
    assert (found == 0).any()
    np.testing.assert_allclose(new.layers[0].bias.value.detach(), ours[0].bias.detach(), atol=2e-4)
    assert not hasattr(model.optimizer, "_exclude_from_weight_decay_pattern")
    new = with_regularizer(sequential(optimizer=optimizer()), DECOUPLED)
    decayed = {w.name for w in new.trainable_variables if new.optimizer._use_weight_decay(w)}
    assert decayed == {"kernel"}


def test_none_takes_off_the_penalties_of_the_model() -> None:
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(3, kernel_regularizer="l2", bias_regularizer="l1"), layers.Dense(2)]
    )
    model.compile(keras.optimizers.AdamW(weight_decay=0.1), LOGITS)
    new = with_regularizer(model, Regularizer())
    assert new.layers[0].kernel_regularizer is None
    assert new.layers[0].bias_regularizer is not None
    assert not new.optimizer.weight_decay
    assert model.optimizer.weight_decay == 0.1


def test_it_is_saved_and_loaded_without_regadvisor(tmp_path: Any) -> None:
    new = with_regularizer(sequential(), DECOUPLED)
    new.fit(X, CODES, epochs=2, verbose=0)
    new.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), new.predict(X, verbose=0), atol=1e-6)


class Plain(keras.Model):
    def __init__(self, units: int = 2) -> None:
        super().__init__()
        self.layer = layers.Dense(units)

    def call(self, x: Any) -> Any:
        return self.layer(x)


class Own(layers.Layer):
    def build(self, shape: Any) -> None:
        self.table = self.add_weight(shape=(shape[-1], 3), name="table")

    def call(self, x: Any) -> Any:
        return x @ self.table


@pytest.mark.parametrize(
    ("make", "regularizer", "words"),
    [
        (Plain, Regularizer(l2=0.1), r"model must have get_config\(\), got Plain; a subclass"),
        (lambda: sequential(rate=None), Regularizer(dropout=0.2), "must have a keras.layers.Dropout"),
        (lambda: sequential(loss=None), DECOUPLED, "model must be compiled for decoupled strengths"),
    ],
    ids=["subclass", "no dropout", "not compiled"],
)
def test_what_cannot_be_rebuilt(make: Any, regularizer: Regularizer, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        regularizer.apply(make())


class Block(layers.Layer):
    """As tutorials write layers: no ``**kwargs``, no ``get_config``."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.inside, self.dropout = layers.Dense(units, "relu"), layers.Dropout(0.1)

    def call(self, x: Any) -> Any:
        return self.dropout(self.inside(x))


class Bare(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = Block(4), layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.last(self.first(x))


def test_classes_as_tutorials_write_them_are_made_again() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    block = Block(4)
    block.trainable = False
    models = [Bare(), keras.Sequential([keras.Input((6,)), block, layers.Dense(1)])]
    for model in models:
        model.compile("adam", "mse")
        own = model.predict(rows, verbose=0)
        new = Regularizer(l2=0.2, dropout=0.3).apply(model)
        np.testing.assert_allclose(new.predict(rows, verbose=0), own, rtol=1e-5)
        (inside,) = (layer for layer in new._flatten_layers() if isinstance(layer, Block))
        assert inside.dropout.rate == 0.3
        assert float(inside.inside.kernel_regularizer.l2) == pytest.approx(0.2)
        assert len(new.trainable_variables) == len(model.trainable_variables)


def test_functions_of_the_caller_are_kept() -> None:
    """Keras refuses to make lambdas and functions again that are not registered."""
    factor = 3.0

    def tripled(x: Any) -> Any:
        return factor * x

    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Lambda(lambda x: keras.ops.square(x) + factor),
            layers.Lambda(tripled),
            layers.Dense(4, tripled),
            layers.Activation(lambda x: keras.ops.tanh(x)),
            layers.Dense(1),
        ]
    )
    new = Regularizer(l2=0.2).apply(model)
    rows = np.random.default_rng(0).normal(size=(5, 6))
    np.testing.assert_allclose(new.predict(rows, verbose=0), model.predict(rows, verbose=0), rtol=1e-5)
    assert new.layers[2].kernel_regularizer is not None


def test_weights_without_an_argument_are_named() -> None:
    model = keras.Sequential([keras.Input((6,)), Own(name="mine"), layers.Dense(2)])
    with pytest.warns(UserWarning, match=r"cannot set a penalty on the weights of mine \(Own\)"):
        new = Regularizer(l2=0.2).apply(model)
    assert total(new.losses) == pytest.approx(0.1 * float(np.square(kernels(model)[0]).sum()), rel=1e-5)


# ------------------------------------------------------------------------------------------------ model=


def classifier(n_features: int = 30, n_outputs: int = 2) -> Any:
    model = keras.Sequential(
        [
            keras.Input((n_features,)),
            layers.Dense(8, "relu"),
            layers.Dropout(0.5),
            layers.Dense(n_outputs, "softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def cancer() -> Any:
    rows, labels = load_breast_cancer(return_X_y=True)
    return rows[:150], np.array(["benign", "malign"])[labels[:150]]


@pytest.fixture(scope="module")
def advised(cancer: Any) -> tuple[Advice, Any]:
    model = classifier()
    return advise(*cancer, model=model, recipe=Recipe(epochs=2), effort="quick", folds=2, budget=None), model


def test_advice_about_a_model_is_built_and_applied(cancer: Any, advised: Any) -> None:
    advice, model = advised
    assert {"none", "l2"} <= set(advice.scores["kind"])
    assert np.isfinite(advice.scores["loss"]).all()
    assert "Sequential gets scaled features" in " ".join(advice.to_text().split())
    assert "advice.apply(model)" in " ".join(advice.to_text().split())
    built = advice.build().fit(*cancer)
    # The same by hand: the applied model, trained on the same features from the same seed.
    features = np.asarray(built[:-1].transform(cancer[0]), dtype=np.float32)
    with own_randomness(advice.record.training.seed):
        mine = with_regularizer(model, advice.regularizer, seed=advice.record.training.seed)
        mine.fit(features, (cancer[1] == "malign").astype(int), batch_size=128, epochs=2, verbose=0)
    np.testing.assert_allclose(built.predict_proba(cancer[0]), mine.predict(features, verbose=0), atol=1e-5)
    assert set(built.predict(cancer[0])) <= {"benign", "malign"}
    assert "import keras" in advice.snippet("keras")
    assert advice.summary["parameters"] == advice.regularizer.to("keras")


def test_a_saved_advice_builds_with_the_model(cancer: Any, advised: Any, tmp_path: Any) -> None:
    advice, model = advised
    advice.to_json(tmp_path / "advice.json")
    loaded = Advice.load(tmp_path / "advice.json")
    with pytest.raises(ParameterError, match="module must be"):
        loaded.build()
    found = loaded.build(module=model).fit(*cancer).predict_proba(cancer[0])
    np.testing.assert_allclose(found, advice.build().fit(*cancer).predict_proba(cancer[0]), atol=1e-5)


def test_random_states_stay_and_runs_repeat(cancer: Any) -> None:
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002

    def linear(n_features: int, n_outputs: int) -> Any:
        return keras.Sequential([keras.Input((n_features,)), layers.Dense(n_outputs)])

    scores = [
        advise(*cancer, model=linear, recipe=Recipe(epochs=1), effort="quick", folds=2, budget=None)
        .scores.groupby("kind")["loss"].min()
        for _ in range(2)
    ]  # fmt: skip
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6)
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[2])


def test_epochs_come_from_the_last_fit_or_the_recipe_or_are_assumed(cancer: Any) -> None:
    assumed = advise(*cancer, model=classifier(), budget=0).record
    expected = assumed_epochs(len(cancer[1]), 32)
    assert (assumed.training.epochs, assumed.training.batch_size) == (expected, 32)
    assert [note.text for note in assumed.notes if note.code == "assumed-epochs"] == [
        f"Nothing says how long the Keras model is trained: {expected} epochs of 32 rows a batch were taken. "
        "Pass yours: recipe=Recipe(epochs=..., batch_size=...)."
    ]
    model = classifier()
    model.fit(np.asarray(cancer[0], np.float32), (cancer[1] == "malign").astype(int), epochs=3, verbose=0)
    advice = advise(*cancer, model=model, budget=0)
    assert advice.record.training.epochs == 3


@pytest.mark.parametrize(
    ("units", "last", "loss"),
    [(1, "sigmoid", "binary_crossentropy"), (2, "softmax", "categorical_crossentropy"), (2, None, None)],
)
def test_targets_are_what_the_loss_takes(cancer: Any, units: int, last: Any, loss: Any) -> None:
    model = keras.Sequential([keras.Input((30,)), layers.Dense(units, last)])
    if loss is not None:
        model.compile(keras.optimizers.Adam(0.02), loss)
    recipe = Recipe(epochs=20, batch_size=32) if loss else Recipe(epochs=20, lr=0.02, batch_size=32)
    advice = advise(*cancer, model=model, recipe=recipe, budget=0)
    built = advice.build().fit(*cancer)
    shares = built.predict_proba(cancer[0])
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-5)
    assert built.score(*cancer) > 0.9


def test_a_model_without_an_input_is_built_for_the_features(cancer: Any) -> None:
    model = keras.Sequential([layers.Dense(4, "relu"), layers.Dense(1, "sigmoid")])
    advice = advise(*cancer, model=model, recipe=Recipe(epochs=10, lr=0.02, batch_size=32), budget=0)
    assert advice.build().fit(*cancer).score(*cancer) > 0.9
    assert not model.built


def test_several_inputs_go_into_a_fit_function(cancer: Any) -> None:
    ends = [keras.Input((15,)), keras.Input((15,))]
    model = keras.Model(ends, layers.Dense(2)(layers.Concatenate()(ends)))
    with pytest.raises(ParameterError, match=r"got 2 inputs; pass X as a tuple of arrays.*fit_function"):
        advise(*cancer, model=model, recipe=Recipe(epochs=1))
    both = keras.Model(ends[0], [layers.Dense(1)(ends[0])] * 2)
    with pytest.raises(ParameterError, match=r"got 2 outputs; ask about one of them: keras.Model\("):
        advise(cancer[0][:, :15], cancer[1], model=both, recipe=Recipe(epochs=1))
    whole = keras.Input((30,))
    split = keras.Model(whole, model([whole[:, :15], whole[:, 15:]]))
    advice = advise(*cancer, model=split, recipe=Recipe(epochs=1), budget=0, whole_picture=True)
    (inside,) = (layer for layer in advice.apply(split).layers if hasattr(layer, "layers"))
    assert float(inside.layers[-1].kernel_regularizer.l2) == pytest.approx(advice.regularizer.l2 / 2)


def test_several_arrays_go_into_the_inputs_of_a_model(cancer: Any, tmp_path: Any) -> None:
    rows, y = cancer
    codes = (rows[:, :3] > rows[:, :3].mean(axis=0)).astype(int)
    X = {"codes": codes, "steps": rows[:, 10:].reshape(-1, 10, 2), "numbers": 100 * rows[:, :10]}

    def make() -> Any:
        ends = [keras.Input((10,), name="numbers"), keras.Input((3,), name="codes")]
        ends.append(keras.Input((10, 2), name="steps"))
        with own_randomness(0):
            parts = [ends[0], layers.Flatten()(layers.Embedding(2, 2)(ends[1])), layers.Flatten()(ends[2])]
            hidden = layers.Dropout(0.2)(layers.Dense(8, "relu")(layers.Concatenate()(parts)))
            model = keras.Model(ends, layers.Dense(1, "sigmoid")(hidden))
        model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
        return model

    model, recipe = make(), Recipe(epochs=8, batch_size=32)
    advice = advise(X, y, model=model, recipe=recipe, effort="quick", folds=2)
    assert advice.record.training.is_stacked
    built = advice.build().fit(X, y)
    shares = built.predict_proba(X)
    assert built.score(X, y) > 0.8
    kernels = [layer for layer in advice.apply(model).layers if hasattr(layer, "kernel_regularizer")]
    assert len(kernels) == 2
    in_order = (X["numbers"], X["codes"], X["steps"])
    ordered = advise(in_order, y, model=make, recipe=recipe, budget=0).build().fit(in_order, y)
    assert ordered.score(in_order, y) > 0.8
    advice.to_json(tmp_path / "advice.json")
    again = Advice.load(tmp_path / "advice.json").build(module=model).fit(X, y)
    np.testing.assert_allclose(again.predict_proba(X), shares, rtol=1e-5)
    for other in (X | {"more": codes}, {"codes": codes, "steps": X["steps"], "other": rows}, in_order[:2]):
        with pytest.raises(ParameterError, match=r"an input for each array of X \((codes|2 arrays)"):
            advise(other, y, model=model, recipe=recipe)


def test_a_range_is_told_of_the_strength_that_is_not_0(advised: Any) -> None:
    """``L1L2`` takes both."""
    record = advised[0].record
    only_l2 = Regularizer(l2=0.01)
    strength = replace(record.strength, regularizer=only_l2, on_sample=only_l2, ties={"l2": (0.005, 0.02)})
    told = range_in_own_unit(replace(record, strength=strength))
    assert told == ["For regularizers.L1L2 that is l2 from 0.0025 to 0.01."]


def test_numbers_are_predicted_in_their_own_unit() -> None:
    rows, y = load_diabetes(return_X_y=True)
    model = keras.Sequential([keras.Input((10,)), layers.Dense(8, "relu"), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.02), "mse")
    advice = advise(rows, 1000 * y, model=model, recipe=Recipe(epochs=20, batch_size=32), budget=0)
    assert advice.build().fit(rows, 1000 * y).score(rows, 1000 * y) > 0.3


# ---------------------------------------------------------------------------------------------- scripts


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("coupling", ["decoupled", "loss"])
@pytest.mark.parametrize("kind", ["none", "l2", "elasticnet"])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_script_trains_what_a_loop_of_torch_trains(
    optimizer: str, coupling: Any, kind: str, is_weighted: bool
) -> None:
    training = replace(
        TRAINING, optimizer=optimizer, momentum=0.8 if optimizer == "sgd" else None, coupling=coupling,
        epochs=8, batch_size=150, schedule="constant" if optimizer == "sgd" else "flat-cosine", hidden=(12,),
    )  # fmt: skip
    regularizer = replace(LOSS_REGULARIZERS[kind].times(5.0), coupling=coupling)
    rows, y = load_iris(return_X_y=True)
    weight = np.random.default_rng(0).gamma(1.0, size=150) if is_weighted else None
    facts = make_table(rows, y, sample_weight=weight).facts
    steps = Pipeline(build_network(facts, regularizer, training).steps[:-1])
    script = torch_snippet(steps, facts, training=training, regularizer=regularizer, library="keras")
    assert "regadvisor" not in script
    made, trained = script.split("model.fit(")
    names: dict[str, Any] = {"X": rows, "y": y, "sample_weight": weight}
    exec(compile(made, "script", "exec"), names)
    module = torch.nn.Sequential(torch.nn.Linear(4, 12), torch.nn.ReLU(), torch.nn.Linear(12, 3))
    with torch.no_grad():
        for layer, own in zip((module[0], module[2]), names["model"].layers, strict=True):
            layer.weight.copy_(own.kernel.value.T)
            layer.bias.copy_(own.bias.value)
    exec(
        compile("model.fit(" + trained.replace("target, ", "target, shuffle=False, ", 1), "script", "exec"),
        names,
    )
    rates = learning_rates(8, lr=training.lr, schedule=training.schedule)
    step = regularizer.optimizer(module, lr=1.0, optimizer=optimizer, momentum=0.8)  # type: ignore[arg-type]
    features = torch.as_tensor(names["features"])
    for rate in rates:
        for group in step.param_groups:
            group["lr"] = float(rate)
        step.zero_grad()
        losses = torch.nn.functional.cross_entropy(module(features), torch.as_tensor(y), reduction="none")
        (losses if weight is None else losses * torch.as_tensor(weight / weight.mean())).mean().backward()
        step.step()
    shares = torch.softmax(module(features), dim=1).detach().numpy()
    np.testing.assert_allclose(names["predict_proba"](rows), shares, atol=1e-4)
    assert names["predict"](rows).shape == (150,)


def test_advice_on_our_network_is_applied_at_equal_strength_times_rates(cancer: Any) -> None:
    advice = advise(*cancer, model="mlp", recipe=Recipe(epochs=4, lr=2e-3, schedule="constant"), budget=0)
    assert advice.regularizer.l2 or advice.regularizer.l1
    applied = advice.apply(classifier())  # its learning rate is five times as high
    if advice.regularizer.l2:
        assert float(applied.optimizer.weight_decay) == pytest.approx(advice.regularizer.l2 / 5, rel=1e-4)
    with pytest.raises(ParameterError, match="must be one of torch or scikit-learn, got Sequential"):
        advise(*cancer, model="linear", budget=0).apply(classifier())


def test_every_dropout_of_noise_gets_the_advised_rate() -> None:
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(4),
            layers.GaussianDropout(0.5),
            layers.AlphaDropout(0.4),
            layers.Dense(2),
        ]
    )
    assert [each.rate for each in Regularizer().apply(model).layers[1:3]] == [0.0, 0.0]
    assert [each.rate for each in Regularizer(dropout=0.2).apply(model).layers[1:3]] == [0.2, 0.2]


def test_a_schedule_counts_with_the_rate_of_every_step() -> None:
    facts = make_table(X, CODES).facts
    training = Training(family="mlp", seed=0, coupling="decoupled", lr=0.01, batch_size=32, epochs=5)
    rates = keras.optimizers.schedules.CosineDecay(0.0, 20, warmup_target=0.01, warmup_steps=5)
    model = sequential(optimizer=keras.optimizers.Adam(rates))
    found = rescaled_to(model, Regularizer(l2=1.0, coupling="decoupled"), facts, training)
    advised = full_run_rates(Recipe(lr=0.01, batch_size=32, schedule="constant"), n_rows=len(X), epochs=5)
    n_steps = len(advised)
    assert found.l2 == pytest.approx(advised.sum() / sum(float(rates(k)) for k in range(n_steps)))
    with pytest.raises(ParameterError, match="learning rate above 0"):
        rescaled_to(sequential(optimizer=keras.optimizers.SGD(0.0)), found, facts, training)


def test_weight_decay_of_the_optimizer_is_advised_as_such(cancer: Any, tmp_path: Any) -> None:
    model = classifier()
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.3), "sparse_categorical_crossentropy")
    recipe = Recipe(epochs=2, batch_size=32)
    advice = advise(*cancer, model=model, recipe=recipe, effort="quick", folds=2, budget=None)
    tried = [score for score in advice.record.evidence.scores.scores if score.kind == "l2"]
    assert {score.regularizer.coupling for score in tried} == {"decoupled"}
    # Half of the rows in each fold: two epochs of three steps.
    portfolio = candidate("l2", 0.01 * 6).portfolio
    assert tried[0].regularizer.l2 == pytest.approx(portfolio[0]["l2"])
    assert tried[0].sum_lr == pytest.approx(0.06)
    record = replace(
        advice.record,
        strength=replace(
            advice.record.strength, regularizer=Regularizer(l1=0.3, l2=2.0, coupling="decoupled")
        ),
    )
    own = Advice(record, module=advice._module)
    assert "(l1=0.3" not in own.verdict  # no call of Keras has it
    applied = own.apply(model)
    assert float(applied.optimizer.weight_decay) == pytest.approx(2.0)
    assert "weight_decay=2.0" in own.snippet("keras")
    own.to_json(tmp_path / "advice.json")
    built = Advice.load(tmp_path / "advice.json").build(module=model).fit(*cancer)
    features = np.asarray(built[:-1].transform(cancer[0]), dtype=np.float32)
    with own_randomness(record.training.seed):
        mine = with_regularizer(model, own.regularizer, seed=record.training.seed)
        mine.fit(features, (cancer[1] == "malign").astype(int), batch_size=32, epochs=2, verbose=0)
    np.testing.assert_allclose(built.predict_proba(cancer[0]), mine.predict(features, verbose=0), atol=1e-5)


def test_a_recipe_says_only_what_counts(cancer: Any) -> None:
    with pytest.raises(
        ParameterError, match=r"only say epochs, batch_size, transform for a compiled .*got lr"
    ):
        advise(*cancer, model=classifier(), recipe=Recipe(epochs=2, lr=0.1))
    bare = keras.Sequential([keras.Input((30,)), layers.Dense(2)])
    with pytest.raises(ParameterError, match="momentum, lr for a Keras model, got warmup and clip_norm;"):
        advise(*cancer, model=bare, recipe=Recipe(epochs=2, lr=0.1, warmup=0.1, clip_norm=1.0))


def test_a_factory_may_import_keras_itself(cancer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def functional(n_features: int) -> Any:
        import keras as own

        rows = own.Input((n_features,))
        return own.Model(rows, own.layers.Dense(2)(rows))

    facts = make_table(*cancer).facts
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setattr(keras_fit, "made_by", lambda *given: functional.__code__)
    asked = []
    monkeypatch.setattr(own_library, "is_of", lambda model, library: asked.append(model) or False)
    assert own_library._drawn_keras(functional, facts) is None
    assert functional.__code__ in asked  # it was called, though nothing had imported Keras

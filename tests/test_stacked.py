"""Keras models and skorch nets trained together: against their own ``fit``, one network at a time."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from library_networks import (
    CODES,
    NUMBERS,
    RNG,
    STEPS,
    STRENGTHS,
    X,
    call_of,
    keras,
    keras_fit,
    keras_model,
    layers,
    net,
    never,
    optimizers,
    skorch,
    stacked,
)
from torch import nn

from regadvisor import Recipe, Regularizer, advise
from regadvisor.data.source import make_table
from regadvisor.families.fitted.keras_fit import KerasFit
from regadvisor.families.fitted.keras_model import with_regularizer
from regadvisor.families.fitted.learner import Call
from regadvisor.families.fitted.skorch_fit import SkorchFit
from regadvisor.families.fitted.skorch_net import with_regularizer as net_with_regularizer
from regadvisor.families.fitted.stacked import Mover, Run, train
from regadvisor.families.fitted.together import Together
from regadvisor.global_state import own_randomness

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


KERAS = {
    "Adam": lambda: optimizers.Adam(0.02, beta_1=0.8, amsgrad=True),
    "SGD": lambda: optimizers.SGD(0.1),
    "Nesterov": lambda: optimizers.SGD(0.05, momentum=0.8, nesterov=True),
    "RMSprop": lambda: optimizers.RMSprop(0.01, centered=True),
    "Nadam": lambda: optimizers.Nadam(0.02),
    "Adagrad": lambda: optimizers.Adagrad(0.05),
    "falling": lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)),
    "clipvalue": lambda: optimizers.SGD(0.1, clipvalue=0.05),
}


@pytest.mark.parametrize("records", [False, True], ids=["", "recorded"])
@pytest.mark.parametrize("name", KERAS)
def test_the_weights_are_those_of_keras(name: str, records: bool) -> None:
    model = keras_model(KERAS[name]())
    kinds = [Regularizer(**strengths) for strengths in STRENGTHS]
    weight = RNG.uniform(0.5, 1.5, size=90)
    calls = [call_of(kind, weight=weight / weight.mean()) for kind in kinds]
    _, found = stacked(keras_fit(model), calls, records=records)
    for call, (trained, _) in zip(calls, found, strict=True):
        own = with_regularizer(model, call.regularizer)
        own.fit(X, CODES, batch_size=90, epochs=STEPS, sample_weight=call.weight, verbose=0)
        for mine, theirs in zip(trained, own.trainable_variables, strict=True):
            np.testing.assert_allclose(mine, theirs.value.detach(), atol=2e-5)


@pytest.mark.parametrize("make", [optimizers.AdamW, optimizers.SGD], ids=["AdamW", "SGD"])
def test_decoupled_strengths_act_as_in_keras(make: Callable[..., Any]) -> None:
    model = keras_model(make(0.05, weight_decay=0.01))
    kinds = [Regularizer(coupling="decoupled", **{k: 10 * v for k, v in own.items()}) for own in STRENGTHS]
    calls = [call_of(kind) for kind in kinds]
    _, found = stacked(keras_fit(model, coupling="decoupled"), calls)
    for call, (trained, _) in zip(calls, found, strict=True):
        own = with_regularizer(model, call.regularizer)
        own.fit(X, CODES, batch_size=90, epochs=STEPS, verbose=0)
        for mine, theirs in zip(trained, own.trainable_variables, strict=True):
            np.testing.assert_allclose(mine, theirs.value.detach(), atol=2e-5)
    assert (found[1][0][0] == 0).any()


def test_norms_recurrent_layers_and_embeddings_are_those_of_keras() -> None:
    """Running means go on, and embeddings, norms and biases have no penalty."""
    with own_randomness(0):
        model = keras.Sequential(
            [
                keras.Input((6,)),
                layers.Embedding(4, 3),
                layers.LSTM(4),
                layers.BatchNormalization(momentum=0.5),
                layers.Dense(2),
            ]
        )
    model.compile(optimizers.SGD(0.2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    codes = (np.abs(X) * 1.5 % 4).astype(np.float32)
    call = Call(regularizer=Regularizer(l1=0.02, l2=0.3), X=codes, y=CODES, weight=None, seed=0)
    network, found = stacked(keras_fit(model), [call, call])
    own = with_regularizer(model, call.regularizer)
    own.fit(codes, CODES, batch_size=90, epochs=STEPS, verbose=0)
    values = network.outputs(*found[1], torch.as_tensor(codes))
    np.testing.assert_allclose(values, own.predict(codes, verbose=0), atol=2e-5)
    assert network.penalised == ["kernel" in each.name for each in own.trainable_variables]


def test_convolutions_are_those_of_keras() -> None:
    """And what Keras does with the order of pixels in memory is what it did before."""
    from keras.src.backend.torch import nn as inner

    with own_randomness(0):
        model = keras.Sequential(
            [
                keras.Input((6,)),
                layers.Reshape((2, 3, 1)),
                layers.Conv2D(4, 2, padding="same", activation="relu"),
                layers.MaxPooling2D(2, padding="same"),
                layers.SeparableConv2D(3, 1),
                layers.Conv2DTranspose(2, 2, strides=2),
                layers.Flatten(),
                layers.Dense(2),
            ]
        )
    model.compile(optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    call, before = call_of(Regularizer(l1=0.01, l2=0.1)), dict(vars(inner))
    network, found = stacked(keras_fit(model), [call, call])
    own = with_regularizer(model, call.regularizer)
    own.fit(X, CODES, batch_size=90, epochs=STEPS, verbose=0)
    values = network.outputs(*found[1], torch.as_tensor(X))
    np.testing.assert_allclose(values, own.predict(X, verbose=0), atol=2e-5)
    assert dict(vars(inner)) == before
    together = Together(keras_fit(model), lambda trained: trained)  # type: ignore[arg-type, return-value]
    assert together.try_with(call)


def test_the_squared_error_is_doubled_as_in_apply() -> None:
    model = keras_model(optimizers.SGD(0.1), "mse", last=None)
    call = call_of(Regularizer(l2=0.3), NUMBERS)
    fit = keras_fit(model, NUMBERS)
    together = Together(fit, lambda trained: trained)  # type: ignore[arg-type, return-value]
    assert together.try_with(call)
    (found,) = together.fit([call], should_stop=never)  # type: ignore[misc]
    own = fit(call.regularizer, X, NUMBERS, 0)
    np.testing.assert_allclose(found.predict(X), own.predict(X), atol=2e-5)  # type: ignore[attr-defined]


def test_networks_have_masks_with_rates_of_their_own() -> None:
    """One step of two networks is that of a model whose dropout is multiplied by hand."""
    rate = 0.4
    fit = keras_fit(keras_model(optimizers.SGD(1.0), "binary_crossentropy", layers.Dropout(0.5)))
    fit = KerasFit(fit.model, fit.facts, recipe=Recipe(epochs=1, batch_size=90, transform="none"))
    calls = [call_of(Regularizer(dropout=rate)), call_of(Regularizer())]
    network, found = stacked(fit, calls)
    start, kept = network.start(0)
    uniform = torch.rand(90, 5, generator=torch.Generator().manual_seed(2**32))
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    for (trained, _), own in zip(found, (rate, 0.0), strict=True):
        leaves = [value.clone().requires_grad_() for value in start]
        first, bias, second, last = leaves
        states = torch.tanh(torch.as_tensor(X)[order] @ first + bias)
        hidden = states * (uniform >= own) / (1 - own)
        loss = nn.functional.binary_cross_entropy_with_logits(
            (hidden @ second + last)[:, 0], torch.as_tensor(CODES)[order].float()
        )
        loss = loss + 0.1 * bias.square().sum() + 0.01 * states.abs().sum() / 90
        slopes = torch.autograd.grad(loss, leaves)
        for value, slope, mine in zip(start, slopes, trained, strict=True):
            np.testing.assert_allclose(mine, value - slope, atol=2e-6)
    assert len(network.places) == 1
    assert not kept or kept[0].dtype != torch.float32


def test_a_network_is_the_same_whatever_it_is_trained_beside() -> None:
    fit = keras_fit(keras_model("adam", "binary_crossentropy", layers.Dropout(0.5)), batch=20)
    calls = [call_of(Regularizer(l2=0.1 * k, dropout=0.1 * k), seed=k % 2) for k in range(5)]
    _, together = stacked(fit, calls)
    for call, (trained, _) in zip(calls, together, strict=True):
        _, ((alone, _),) = stacked(fit, [call])
        for mine, theirs in zip(trained, alone, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("shuffles", [True, False])
def test_each_epoch_has_every_row_once_but_for_those_that_fill_no_batch(shuffles: bool) -> None:
    seen: list[Any] = []

    class Seen:
        batch, epochs, coupling, factor = 20, 2, "loss", 1.0
        penalised, places = (True,), ()

        def __init__(self) -> None:
            self.shuffles = shuffles

        def start(self, seed: int) -> Any:
            return [torch.zeros(1)], []

        def loss(self, trained: Any, kept: Any, x: Any, y: Any, weight: Any, masks: Any) -> Any:
            return (trained[0] * x[:, 0].mean()).sum(), []

        def mover(self, flat: Any) -> Any:
            return Mover(flat, rate=lambda: 0.0, step=lambda gradient: seen.append(gradient.clone()))

    runs = [
        Run(
            regularizer=Regularizer(),
            x=torch.arange(n)[:, None].float(),
            y=torch.zeros(n, 1),
            weight=None,
            seed=0,
        )
        for n in (90, 41)
    ]
    assert train(Seen(), runs, should_stop=never, records=False)  # type: ignore[arg-type]
    steps = np.array([float(each) for each in seen])
    # 90 rows make 5 batches of 18, 41 rows 3 of 13: the sum over an epoch's batches is that of its rows.
    np.testing.assert_allclose(18 * steps[:10].reshape(2, 5).sum(axis=1), 90 * 89 / 2)
    left_out = 41 * 40 / 2 - 13 * steps[10:].reshape(2, 3).sum(axis=1)
    assert ((left_out > 0) & (left_out < 40 + 39)).all()
    assert left_out[0] != left_out[1]
    in_order = bool((np.diff(steps[10:13]) > 0).all())
    assert in_order is not shuffles


class OwnStep(keras.Model):
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


def own_step(optimizer: Any) -> Any:
    rows = keras.Input((6,))
    model = OwnStep(rows, layers.Dense(1, "sigmoid")(rows))
    model.compile(optimizer, "binary_crossentropy")
    return model


ALONE = {
    "train_step": (lambda: own_step("adam"), "OwnStep has a train_step of its own"),
    "clipnorm": (lambda: keras_model(optimizers.Adam(clipnorm=1.0)), "the optimizer has clipnorm"),
    "Lamb": (lambda: keras_model(optimizers.Lamb()), "Lamb does not move each weight by itself"),
    "constraint": (
        lambda: keras_model("adam", "binary_crossentropy", layers.Dense(3, kernel_constraint="max_norm")),
        "some weights have a constraint",
    ),
    "rates inside": (
        lambda: keras_model(
            "adam", "binary_crossentropy", layers.Reshape((5, 1)), layers.LSTM(3, recurrent_dropout=0.2)
        ),
        "units are dropped inside of layers",
    ),
    "noise": (
        lambda: keras_model("adam", "binary_crossentropy", layers.GaussianNoise(0.1)),
        "they cannot be stacked (vmap: ",
    ),
}


@pytest.mark.parametrize("name", ALONE)
def test_what_its_own_fit_has_to_train(name: str) -> None:
    make, reason = ALONE[name]
    together = Together(keras_fit(make()), lambda model: model)
    assert not together.try_with(call_of(Regularizer()))
    assert together.why_not is not None
    assert reason in together.why_not


def test_what_differs_from_its_own_fit_is_not_stacked(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = keras_fit(keras_model("sgd"))
    monkeypatch.setattr("regadvisor.families.fitted.keras_network.is_squared", lambda model: True)
    together = Together(fit, lambda model: model)
    assert not together.try_with(call_of(Regularizer()))
    assert together.why_not == "stacked, they differ from what its own fit trains"


# ------------------------------------------------------------------------------------------------ skorch


NETS = {
    "Adam": lambda: net(optimizer__betas=(0.8, 0.99)),
    "SGD": lambda: net(optimizer=torch.optim.SGD, optimizer__momentum=0.8, optimizer__nesterov=True, lr=0.1),
    "AdamW": lambda: net(optimizer=torch.optim.AdamW, optimizer__weight_decay=0.3),
    "binary": lambda: net(skorch.NeuralNetBinaryClassifier, module__n_out=1),
    "regressor": lambda: net(skorch.NeuralNetRegressor, module__n_out=1),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("held_out", [None, skorch.dataset.ValidSplit(3)], ids=["all rows", "two thirds"])
def test_the_outputs_are_those_of_skorch(name: str, held_out: Any) -> None:
    given = NETS[name]().set_params(train_split=held_out)
    y = NUMBERS if name == "regressor" else CODES
    coupling = "decoupled" if name == "AdamW" else "loss"
    strengths = [{key: (10 if name == "AdamW" else 1) * v for key, v in own.items()} for own in STRENGTHS]
    fit = SkorchFit(given, make_table(X, y).facts, coupling)  # type: ignore[arg-type]
    calls = [call_of(Regularizer(coupling=coupling, **own), y) for own in strengths]  # type: ignore[arg-type]
    network, found = stacked(fit, calls)
    target, center, scale = fit.target(y)
    for call, (trained, kept) in zip(calls, found, strict=True):
        own = net_with_regularizer(given, call.regularizer).initialize()
        own.module_.load_state_dict(network.state(0))
        own.partial_fit(X, target)
        mine = network.outputs(trained, kept, torch.as_tensor(X))
        theirs = own.forward(X, training=False)
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), atol=5e-5)
    assert center is None or scale.shape == (1,)


def test_a_net_that_shuffles_nothing_has_its_rows_in_order() -> None:
    """Batches of equal sizes that fill an epoch are those of skorch, step by step."""
    given = net(batch_size=30, train_split=None)
    fit = SkorchFit(given, make_table(X, CODES).facts)
    network, ((trained, kept),) = stacked(fit, [call_of(Regularizer(l2=0.1))])
    own = net_with_regularizer(given, Regularizer(l2=0.1)).initialize()
    own.module_.load_state_dict(network.state(0))
    own.partial_fit(X, CODES)
    mine = network.outputs(trained, kept, torch.as_tensor(X))
    np.testing.assert_allclose(mine.numpy(), own.forward(X, training=False).numpy(), atol=5e-5)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"callbacks": [skorch.callbacks.GradientNormClipping(1.0)]}, "the net has callbacks"),
        ({"optimizer": torch.optim.RMSprop}, "RMSprop may not move each weight by itself"),
        ({"iterator_train__drop_last": True}, "the net has iterator_train__drop_last"),
        ({"module": nn.LSTM, "module__input_size": 6, "module__hidden_size": 2}, "they cannot be stacked"),
    ],
)
def test_which_nets_their_own_fit_has_to_train(options: dict[str, Any], reason: str) -> None:
    given = net(**options)
    together = Together(SkorchFit(given, make_table(X, CODES).facts), lambda model: model)
    assert not together.try_with(call_of(Regularizer()))
    assert reason in (together.why_not or "")


def test_weights_that_are_lazy_are_penalised() -> None:
    groups = dict(Regularizer(l2=0.3).apply(net()).get_params()["optimizer__param_groups"])
    assert {name: group["weight_decay"] for name, group in groups.items()} == {
        "first.weight": 0.3, "last.weight": 0.3,
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- advice


@pytest.mark.parametrize("library", ["keras", "skorch"])
def test_the_report_says_how_networks_were_trained(library: str) -> None:
    model = keras_model(optimizers.Adam(0.02)) if library == "keras" else net()
    recipe = Recipe(epochs=4, transform="none") if library == "keras" else None
    advice = advise(X, CODES, model=model, recipe=recipe, effort="quick", folds=2, budget=None)
    assert advice.record.training.is_stacked
    assert np.isfinite(advice.scores["loss"]).all()
    text = " ".join(advice.to_text().split())
    assert f"all at once by torch.func.vmap, with the layers, loss and optimizer of {library}." in text


def test_a_reason_is_given_for_one_after_the_other() -> None:
    model = keras_model(optimizers.Adam(0.02, clipnorm=1.0))
    advice = advise(
        X, CODES, model=model, recipe=Recipe(epochs=1, transform="none"), effort="quick", folds=2, budget=None
    )
    assert not advice.record.training.is_stacked
    assert advice.record.training.engine_reason == "the optimizer has clipnorm"


def test_a_stack_that_is_stopped_leaves_those_before() -> None:
    together = Together(keras_fit(keras_model()), lambda model: model)
    call = call_of(Regularizer())
    assert together.try_with(call)
    assert together.fit([call], should_stop=lambda: True) is None


def test_another_process_tries_for_itself() -> None:
    together = Together(keras_fit(keras_model), len)  # type: ignore[arg-type]
    assert together.try_with(call_of(Regularizer()))
    again = pickle.loads(pickle.dumps(together))
    assert not again.is_tried
    assert again.try_with(call_of(Regularizer()))


def test_decoupled_strengths_are_carried_to_other_learning_rates() -> None:
    recipe = Recipe(epochs=2, batch_size=30, transform="none")
    advice = advise(
        X, CODES, model=keras_model(optimizers.AdamW(0.02)), recipe=recipe, budget=0, whole_picture=True
    )
    assert advice.regularizer.l2
    same, faster = (advice.apply(keras_model(optimizers.AdamW(rate))) for rate in (0.02, 0.1))
    assert same.optimizer.weight_decay == pytest.approx(advice.regularizer.l2)
    assert faster.optimizer.weight_decay == pytest.approx(advice.regularizer.l2 / 5)


def test_the_parameter_is_that_of_the_own_optimizer() -> None:
    model = keras_model(optimizers.Adam(0.02, weight_decay=0.1))
    recipe = Recipe(epochs=2, batch_size=30, transform="none")
    advice = advise(X, CODES, model=model, recipe=recipe, budget=0, whole_picture=True)
    assert advice.regularizer.kind == "l2"
    assert advice.summary["parameters"] == {"optimizers.Adam": {"weight_decay": advice.regularizer.l2}}

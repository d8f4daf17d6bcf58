"""Keras models and skorch nets as people write them: losses, schedules, shapes, and little time."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from library_networks import (
    CODES,
    NUMBERS,
    STEPS,
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
from scipy.special import expit
from sklearn.base import is_classifier
from torch import nn

from regadvisor import Recipe, Regularizer, advise
from regadvisor.data.source import make_table
from regadvisor.deadline import Deadline
from regadvisor.errors import ParameterError
from regadvisor.families.fitted import stacked as stacked_module
from regadvisor.families.fitted import together as together_module
from regadvisor.families.fitted.keras_model import loss_name, reads_logits, with_regularizer
from regadvisor.families.fitted.learner import Call
from regadvisor.families.fitted.own_library import decays, own_function, own_sum_lr
from regadvisor.families.fitted.skorch_fit import SkorchFit
from regadvisor.families.fitted.skorch_net import has_no_half
from regadvisor.families.fitted.skorch_net import with_regularizer as net_with_regularizer
from regadvisor.families.fitted.together import Together
from regadvisor.families.fitted.trained_loss import TrainedLoss
from regadvisor.global_state import own_randomness
from regadvisor.models import for_classes
from regadvisor.scale.sending import packed, unpacked

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize(
    ("loss", "name", "is_of_logits"),
    [
        (["mse"], "mse", False),
        ({"only": keras.losses.Huber()}, "huber_loss", False),
        (partial(keras.losses.binary_crossentropy, from_logits=True), "binary_crossentropy", True),
        ([keras.losses.BinaryCrossentropy(from_logits=True)], "binary_crossentropy", True),
    ],
    ids=["list", "dictionary", "partial", "list of an object"],
)
def test_the_loss_is_known_however_it_is_given(loss: Any, name: str, is_of_logits: bool) -> None:
    assert loss_name(keras_model("sgd", loss)) == name
    assert reads_logits(loss) is is_of_logits


@pytest.mark.parametrize(
    ("loss", "name"), [("mae", "absolute error"), (keras.losses.Poisson(), "Poisson deviance"), ("mse", None)]
)
def test_candidates_of_a_keras_model_are_compared_by_its_own_loss(loss: Any, name: str | None) -> None:
    found = own_function(keras_model("adam", loss, last=None), make_table(X, NUMBERS).facts, X, None)
    assert found is not None
    assert found.loss == name


class Cubed(keras.losses.Loss):  # type: ignore[misc]
    """A loss of a user's."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** 3, axis=-1)


def of_logarithms(y_true: Any, y_pred: Any) -> Any:
    """One number for a whole batch, as tutorials write it."""
    errors = keras.ops.log1p(keras.ops.relu(y_true)) - keras.ops.log1p(keras.ops.relu(y_pred))
    return keras.ops.mean(keras.ops.square(errors))


@pytest.mark.parametrize(
    ("loss", "name", "sees"),
    [
        (keras.losses.Huber(delta=0.5), "Huber", lambda d, y, z: np.where(d < 0.5, d**2, d - 0.25) / 2),
        ("log_cosh", "log_cosh", lambda d, y, z: np.log(np.cosh(d))),
        (Cubed(), "Cubed", lambda d, y, z: d**3),
        ("msle", "mean_squared_logarithmic_error", None),
        (of_logarithms, "of_logarithms", None),
    ],
)
def test_any_other_loss_of_keras_is_what_rows_are_judged_by(loss: Any, name: str, sees: Any) -> None:
    """Of differences as the model sees them, standardised; of other numbers as they are."""
    y = (NUMBERS - NUMBERS.min()) * 7
    table = make_table(X, y)
    found = own_function(keras_model("adam", loss, last=None), table.facts, X, None)
    assert found is not None
    assert isinstance(found.loss, TrainedLoss)
    assert (found.loss.name, found.scales_target) == (name, sees is not None)
    target, outputs = found.loss.target(table), np.abs(y[::-1, None])
    mine = found.loss.per_row(target, outputs, found.loss.unit(target))
    theirs = np.square(np.log1p(y) - np.log1p(outputs[:, 0]))
    if sees is not None:
        theirs = sees(np.abs(y - outputs[:, 0]) / y.std(), y, outputs)
    np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)
    best = found.loss.constant(target, np.ones(len(y)), 0)
    near = [
        found.loss.per_row(target, np.full((90, 1), best + move), found.loss.unit(target)).mean()
        for move in (-0.5, 0.0, 0.5)
    ]
    assert near[1] == min(near)


def test_an_object_is_the_loss_that_its_name_is() -> None:
    for given in ("huber", keras.losses.Huber(), [keras.losses.Huber()]):
        fit = keras_fit(keras_model("sgd", given, last=None), NUMBERS)
        target, center, scale = fit.target(fit.model, NUMBERS)
        np.testing.assert_allclose([target.mean(), target.std()], [0, 1], atol=1e-6)
        np.testing.assert_allclose(target[:, 0] * scale + center, NUMBERS, rtol=1e-5, atol=1e-6)


class Unknown(optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A schedule that Keras cannot make again."""

    def __call__(self, step: Any) -> Any:
        return 0.1 / (1 + step)

    def get_config(self) -> dict[str, Any]:
        return {"unknown": 1}


def test_a_schedule_of_the_callers_own_goes_along() -> None:
    model = keras_model(optimizers.AdamW(Unknown()))
    new = with_regularizer(model, Regularizer(l2=0.1, coupling="decoupled"))
    assert new.optimizer._learning_rate is model.optimizer._learning_rate
    rates = 0.1 / np.arange(1, 3 * 5 + 1)
    assert own_sum_lr(model, 90, batch=30, epochs=5) == pytest.approx(rates.sum())
    called = keras_model(optimizers.AdamW(warm))
    assert own_sum_lr(called, 90, batch=30, epochs=5) == pytest.approx(3.0)


def warm() -> float:
    return 0.2


def test_of_many_steps_some_stand_for_the_rest() -> None:
    schedule = optimizers.schedules.CosineDecay(0.1, 6_000)
    found = own_sum_lr(keras_model(optimizers.AdamW(schedule)), 90_000, batch=30, epochs=2)
    assert found == pytest.approx(sum(float(schedule(k)) for k in range(6_000)), rel=1e-4)


class Flat(nn.Module):
    """Outputs without an axis for the one target."""

    def __init__(self, is_flat: bool = True) -> None:
        super().__init__()
        self.is_flat, self.layer = is_flat, nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[:, 0] if self.is_flat else self.layer(x)


def test_a_regressor_may_return_one_number_a_row() -> None:
    """Of a column and a row, the squared error would be that of all pairs."""
    call, found = call_of(Regularizer(l2=0.1), NUMBERS), []
    for is_flat in (True, False):
        given = net(skorch.NeuralNetRegressor, module=Flat, module__is_flat=is_flat, train_split=None)
        fit = SkorchFit(given, make_table(X, NUMBERS).facts)
        own = fit(call.regularizer, X, NUMBERS, 0).predict(X)
        network, ((trained, kept),) = stacked(fit, [call])
        found.append((own, network.outputs(trained, kept, torch.as_tensor(X)).reshape(-1)))
    np.testing.assert_allclose(*[own for own, _ in found], rtol=1e-5)
    np.testing.assert_allclose(*[mine for _, mine in found], rtol=1e-5)
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)


class Two(Flat):
    """The outputs, and what they are made of."""

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x), x


class OfFirst(skorch.NeuralNetRegressor):  # type: ignore[misc]
    """As the autoencoder of skorch's notebooks."""

    def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> Any:
        return super().get_loss(y_pred[0], y_true, *args, **kwargs)


def test_a_regressor_may_return_several_things() -> None:
    found = []
    for kind, module in ((OfFirst, Two), (skorch.NeuralNetRegressor, Flat)):
        given = net(kind, module=module, train_split=None)
        fit = SkorchFit(given, make_table(X, NUMBERS).facts)
        fit.check(X)
        found.append(fit(Regularizer(l2=0.1), X, NUMBERS, 0).predict(X))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_a_module_in_double_precision_gets_such_rows() -> None:
    given = net(skorch.NeuralNetRegressor, module=lambda: nn.Linear(6, 1).double(), train_split=None)
    fit = SkorchFit(given, make_table(X, NUMBERS).facts)
    mine = fit(Regularizer(), X, NUMBERS, 0).predict(X)
    target, center, scale = fit.target(NUMBERS)
    with own_randomness(0):
        given.fit(X.astype(float), target.astype(float))
    np.testing.assert_allclose(mine, given.predict(X.astype(float)) * scale + center, rtol=1e-6)


def test_folds_of_different_sizes_take_all_their_rows_at_once() -> None:
    given = net(train_split=None)
    fit = SkorchFit(given, make_table(X, CODES).facts)
    few = Call(regularizer=Regularizer(), X=X[:60], y=CODES[:60], weight=None, seed=0)
    network, ((trained, kept), _) = stacked(fit, [few, few])
    _, (_, (more, rest)) = stacked(fit, [few, call_of(Regularizer())])
    own = net_with_regularizer(given, Regularizer()).initialize()
    own.module_.load_state_dict(network.state(0))
    own.partial_fit(X, CODES)
    mine = network.outputs(more, rest, torch.as_tensor(X))
    np.testing.assert_allclose(mine.numpy(), own.forward(X, training=False).numpy(), atol=5e-5)
    assert not np.allclose(mine, network.outputs(trained, kept, torch.as_tensor(X)))


def test_what_a_net_calls_its_learning_rate_and_its_loss() -> None:
    given = net(optimizer=torch.optim.AdamW, optimizer__lr=0.5, batch_size=30, train_split=None)
    assert own_sum_lr(given, 90) == pytest.approx(0.5 * 3 * STEPS)
    assert has_no_half(net(skorch.NeuralNetRegressor, criterion=nn.MSELoss()))
    assert not has_no_half(net(skorch.NeuralNetRegressor, criterion=nn.L1Loss))


def test_optimizers_without_weight_decay_are_refused_and_nothing_is_compiled() -> None:
    facts = make_table(X, CODES).facts
    with pytest.raises(ParameterError, match="optimizer must have weight_decay, got LBFGS"):
        own_function(net(optimizer=torch.optim.LBFGS), facts, X, None)
    given = net(compile=True)
    function = own_function(given, facts, X, None)
    assert function is not None
    assert function.fit.model.compile is False  # type: ignore[attr-defined]
    assert given.compile is True


def test_a_trial_that_a_deadline_cuts_is_made_again() -> None:
    together = Together(keras_fit(keras_model()), lambda model: model)
    call = call_of(Regularizer())
    assert not together.try_with(call, Deadline.after(0.0))
    costs = together.costs(lambda job: call, n_folds=2, share=1.0, deadline=Deadline.after(0.0))
    assert costs is not None
    assert 0 < costs.full_run_s(90) == costs.job_s(90) / 2
    assert not together.is_tried
    assert together.try_with(call)


def test_a_step_is_recorded_only_if_that_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    together = Together(keras_fit(keras_model()), lambda model: model)
    call = call_of(Regularizer())
    recorded: list[Any] = []
    own = stacked_module._recorded
    monkeypatch.setattr(stacked_module, "_recorded", lambda *given: recorded.append(1) or own(*given))
    monkeypatch.setattr(stacked_module, "RECORDED_STEPS", 1)
    assert together.try_with(call)
    assert together.fit([call], should_stop=never, left_s=100.0)
    assert len(recorded) == 2
    together._recording_s = 60.0
    assert together.fit([call], should_stop=never, left_s=100.0)
    assert len(recorded) == 2


def test_one_step_that_was_timed_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 5.1])
    monkeypatch.setattr(together_module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(
        Together, "fit", lambda self, calls, should_stop, left_s: [should_stop() for _ in "12"]
    )
    together = Together(keras_fit(keras_model()), lambda model: model)
    assert together._timed_step([], Deadline.after(0.0)) == 5.0


def test_nothing_is_said_of_networks_that_nobody_has_seen_trained() -> None:
    advice = advise(X, CODES, model=keras_model(), budget=0, whole_picture=True)
    assert "networks of Sequential were trained" not in " ".join(advice.to_text().split()).lower()


class Looked(nn.Module):
    """Codes are looked up, and their vectors averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors, self.last = nn.Embedding(500, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.vectors(x).mean(dim=1))


def test_codes_go_into_an_embedding_as_they_are() -> None:
    ids = np.random.default_rng(1).integers(0, 500, size=(90, 6))
    facts = make_table(ids, CODES).facts
    given = net(module=Looked, train_split=None)
    looked = keras_model("adam", "binary_crossentropy")
    with own_randomness(0):
        embedded = keras.Sequential(
            [keras.Input((6,)), layers.Embedding(500, 2), layers.Flatten(), layers.Dense(1)]
        )
    embedded.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    found = [own_function(model, facts, ids, None) for model in (given, embedded, looked)]
    assert [each.encode for each in found if each is not None] == [False, False, True]

    fit, call = SkorchFit(given, facts), Call(regularizer=Regularizer(), X=ids, y=CODES, weight=None, seed=0)
    mine = fit(call.regularizer, ids, CODES, 0).predict_proba(ids)
    with own_randomness(0):
        given.fit(ids, CODES)
    np.testing.assert_allclose(mine, given.predict_proba(ids), rtol=1e-6)
    assert Together(fit, lambda model: model).try_with(call)  # type: ignore[arg-type, return-value]


def test_several_labels_are_judged_by_the_loss_that_is_trained() -> None:
    labels = np.column_stack([CODES, X[:, 1] > 0]).astype(int)
    facts = make_table(X, labels, task="regression").facts
    given = net(criterion=nn.BCEWithLogitsLoss, train_split=None)
    fit, call = SkorchFit(given, facts), Call(regularizer=Regularizer(), X=X, y=labels, weight=None, seed=0)
    trained = fit(call.regularizer, X, labels.astype(np.float32), 0)
    mine = trained.judged(X)
    np.testing.assert_allclose(trained.predict(X), expit(mine))
    own = net_with_regularizer(given, Regularizer())
    with own_randomness(0):
        own.fit(X, labels.astype(np.float32))
    np.testing.assert_allclose(mine, own.forward(X).numpy(), rtol=1e-5, atol=1e-6)  # logits
    assert Together(fit, lambda model: model).try_with(call)  # type: ignore[arg-type, return-value]
    _check_labels(given, labels)

    def made() -> Any:
        model = keras.Sequential([keras.Input((6,)), layers.Dense(2, "sigmoid")])
        model.compile("adam", "binary_crossentropy")
        return model

    _check_labels(made(), labels)
    for model in (made(), made):
        _, recipe, task = for_classes(model, None)
        function = own_function(model, facts, X, recipe)
        assert task == "regression"
        assert function is not None
        assert isinstance(function.loss, TrainedLoss)
        assert (function.loss.name, function.recipe.batch_size) == ("binary_crossentropy", 32)  # type: ignore[union-attr]
        shares = made().predict(X, verbose=0).astype(np.float64)
        expected = keras.ops.convert_to_numpy(
            keras.losses.binary_crossentropy(labels.astype("float32"), shares)
        )
        np.testing.assert_allclose(function.loss.per_row(labels, shares, np.ones(2)), expected, rtol=1e-4)


def _check_labels(model: Any, labels: Any) -> None:
    """Check that what is built predicts labels, and says how probable they are."""
    recipe = None if model.__class__.__module__.startswith("skorch") else Recipe(epochs=3, transform="none")
    built = advise(X, labels, model=model, recipe=recipe, budget=0).build().fit(X, labels)
    shares = built.predict_proba(X)
    assert is_classifier(built)
    assert built[-1].classes_.tolist() == [0, 1]
    assert 0 <= shares.min() <= shares.max() <= 1
    np.testing.assert_array_equal(built.predict(X), shares > 0.5)


def test_a_model_that_scales_its_columns_gets_them_as_they_are_and_own_penalties_are_told() -> None:
    rows = 1e3 * X + 5e3
    scaling = layers.Normalization()
    scaling.adapt(rows)
    models = [keras_model("adam", "mse", last=None) for _ in range(2)]
    models[1] = keras.Sequential(
        [keras.Input((6,)), scaling, layers.Dense(1, kernel_regularizer="l2", name="it")]
    )
    models[1].compile("adam", "mse")
    facts = make_table(rows, NUMBERS).facts
    plain, own = (own_function(model, facts, rows, Recipe(epochs=1)) for model in models)
    assert plain is not None
    assert own is not None
    assert (plain.encode, own.encode) == (True, False)
    assert [note.text for note in plain.notes] == []
    assert "penalties of weights already (it)" in own.notes[0].text


class Written(keras.Model):  # type: ignore[misc]
    """A class without a build() of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.first, self.last = layers.Dense(5, "tanh"), layers.Dense(1, "sigmoid")

    def call(self, inputs: Any) -> Any:
        return self.last(self.first(inputs))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": "float32"}


def test_a_class_that_was_never_called_is_trained_together() -> None:
    model = Written()
    model.compile("adam", "binary_crossentropy")
    together = Together(keras_fit(model), lambda trained: trained)  # type: ignore[arg-type, return-value]
    assert together.try_with(call_of(Regularizer())), together.why_not
    assert not model.built


def test_an_optimizer_that_scales_the_loss_has_the_penalty_inside() -> None:
    inner = optimizers.AdamW(0.02, weight_decay=0.1)
    model = keras_model(optimizers.LossScaleOptimizer(inner))
    assert decays(model)
    assert own_sum_lr(model, 90, batch=45, epochs=3) == pytest.approx(6 * 0.02)
    new = with_regularizer(model, Regularizer(l2=0.3, coupling="decoupled"))
    assert new.optimizer.weight_decay == pytest.approx(0.3)
    assert inner.weight_decay == 0.1


def test_a_layer_is_no_model() -> None:
    with pytest.raises(ParameterError, match=r"got the layer Dense; put it into one: keras.Sequential"):
        advise(X, CODES, model=layers.Dense(1), effort="quick", folds=2)
    with pytest.raises(ParameterError, match=r"for 9 classes, got outputs .*pass task='regression' if the"):
        advise(X, np.arange(90) % 9, model=keras_model("adam", "poisson"), effort="quick", folds=2)


def test_a_model_on_its_way_to_a_worker_warns_of_nothing() -> None:
    """Keras cannot load the state of an optimizer that has made no step; nobody needs it."""
    model = keras_model()
    again = unpacked(packed(model, argument="executor must be None"))
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-6)


def test_weights_of_rows_are_not_left_out_in_silence() -> None:
    weight = np.linspace(0.5, 1.5, 90)
    for budget in (None, 5):
        with pytest.raises(ParameterError, match="fit must have a parameter sample_weight"):
            advise(X, CODES, model=net(), sample_weight=weight, effort="quick", folds=2, budget=budget)


def test_an_error_of_keras_is_told_without_its_colours() -> None:
    with pytest.raises(ParameterError, match="expected axis -1 of input shape") as caught:
        advise(X[:, :5], CODES, model=keras_model(), effort="quick", folds=2)
    assert "\x1b" not in str(caught.value)

"""advise() on the caller's own torch modules, from data to a trained network."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from torch import nn
from torch.nn import functional

from regadvisor import Advice, ParameterError, Recipe, Regularizer, advise
from regadvisor.data.source import make_table
from regadvisor.deadline import Deadline, OutOfTimeError
from regadvisor.evidence import resources
from regadvisor.evidence.pilot import Pilot
from regadvisor.evidence.resources import Ladder, situation_of
from regadvisor.families.neural.dropout import set_dropout
from regadvisor.families.neural.image_encoding import ChannelScaler, module_preprocessor
from regadvisor.families.neural.module.estimator import ModuleClassifier, ModuleRegressor
from regadvisor.families.neural.module.family import ModuleFamily
from regadvisor.sampling.folds import make_folds

TINY = Recipe(epochs=4, batch_size=64, lr=5e-3)


def network(n_features: int, n_outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_features, 12), nn.ReLU(), nn.Dropout(0.9), nn.Linear(12, n_outputs))


def cancer(n_rows: int = 240) -> tuple[Any, Any]:
    X, y = load_breast_cancer(return_X_y=True)
    return X[:n_rows], y[:n_rows]


@pytest.fixture(scope="module")
def advised() -> Advice:
    return advise(*cancer(), model=network, recipe=TINY, effort="quick", folds=3)


def test_the_walk_asks_about_dropout_and_the_record_says_what_trained(advised: Advice) -> None:
    training = advised.record.training
    assert training is not None
    assert (training.family, training.module, training.engine) == ("module", "network", "fused")
    assert set(advised.scores["kind"]) >= {"none", "l2", "l1", "dropout"}
    assert "Networks of network were trained all at once" in " ".join(advised.to_text().split())
    # The module's own rate of 0.9 is not what "none" is trained with: that would learn nothing in 4 epochs.
    constant = advised.record.evidence.scores.constant_loss  # type: ignore[union-attr]
    assert advised.scores.query("kind == 'none'")["loss"].min() < 0.8 * constant


def test_equal_calls_return_equal_advice(advised: Advice) -> None:
    again = advise(*cancer(), model=network, recipe=TINY, effort="quick", folds=3)
    columns = ["kind", "l1", "l2", "dropout", "loss", "train_loss"]
    np.testing.assert_array_equal(advised.scores[columns].to_numpy(), again.scores[columns].to_numpy())


def test_build_trains_the_module_in_a_pipeline(advised: Advice) -> None:
    X, y = cancer()
    model = clone(advised.build()).fit(X, y)
    assert model.score(X, y) > 0.85
    np.testing.assert_array_equal(model.predict(X), clone(advised.build()).fit(X, y).predict(X))
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1.0)


def test_a_loaded_advice_needs_the_module_again(advised: Advice, tmp_path: Path) -> None:
    advised.to_json(tmp_path / "advice.json")
    loaded = Advice.load(tmp_path / "advice.json")
    assert loaded.record == advised.record
    with pytest.raises(ParameterError, match=r"advice.build\(module=...\)"):
        loaded.build()
    X, y = cancer()
    ours, theirs = advised.build().fit(X, y), loaded.build(module=network).fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


def test_apply_and_optimizer_serve_a_loop_of_one_s_own(advised: Advice) -> None:
    X, y = cancer()
    mine = network(30, 2)
    before = copy.deepcopy(mine.state_dict())
    applied = advised.apply(mine)
    rate = advised.regularizer.strengths().get("dropout", 0.0)
    assert [part.p for part in applied.modules() if isinstance(part, nn.Dropout)] == [rate]
    optimizer = advised.optimizer(applied, lr=5e-3, steps=40)
    features = torch.as_tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)
    target = torch.as_tensor(y)
    start = functional.cross_entropy(applied.eval()(features), target).item()
    for _ in range(40):
        optimizer.zero_grad()
        functional.cross_entropy(applied.train()(features), target).backward()
        optimizer.step()
    assert functional.cross_entropy(applied.eval()(features), target).item() < 0.7 * start
    assert all(torch.equal(value, before[name]) for name, value in mine.state_dict().items())
    with pytest.raises(ParameterError, match=r"target must be .*torch.nn.Module"):
        advised.apply(object())


def test_the_snippet_is_a_loop_that_runs(advised: Advice) -> None:
    X, y = cancer()
    code = advised.snippet("torch").replace("module = ...", "module = network(30, 2)")
    space: dict[str, Any] = {"X": X, "y": y, "network": network}
    exec(compile(code, "snippet", "exec"), space)
    right = space["module"](space["features"]).argmax(1) == space["target"]
    assert float(right.float().mean()) > 0.8
    assert (space["predict"](X) == y).mean() == pytest.approx(float(right.float().mean()))
    with pytest.raises(ParameterError, match="target must be 'torch'"):
        advised.snippet("sklearn")


@pytest.mark.parametrize("kind", ["l2", "elasticnet"])
@pytest.mark.parametrize("coupling", ["decoupled", "loss"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_script_trains_what_our_optimizer_trains(kind: Any, coupling: Any, optimizer: str) -> None:
    X, y = cancer()
    recipe = Recipe(epochs=4, batch_size=64, coupling=coupling, optimizer=optimizer, lr=0.01, clip_norm=1.0)
    asked = advise(X, y, model=network, recipe=recipe, budget=0).record
    assert asked.training is not None
    strengths = {"l2": {"l2": 0.2}, "elasticnet": {"l1": 0.02, "l2": 0.2}}[kind]
    regularizer = Regularizer(**strengths, coupling=coupling)
    advice = Advice(replace(asked, strength=replace(asked.strength, regularizer=regularizer)))
    torch.manual_seed(0)
    mine, ours = network(30, 2), network(30, 2)
    ours.load_state_dict(mine.state_dict())
    code = advice.snippet("torch").replace("module = ...", "module = given")
    assert "regadvisor" not in code
    space: dict[str, Any] = {"X": X, "y": y, "given": mine}
    exec(compile(code, "snippet", "exec"), space)
    set_dropout(ours, 0.0)
    step = advice.optimizer(ours, lr=0.01, steps=space["n_steps"])
    torch.manual_seed(space["seed"])
    for _ in range(4):
        order = torch.randperm(len(X))[: space["steps_per_epoch"] * space["batch"]]
        for rows in order.view(space["steps_per_epoch"], space["batch"]):
            step.zero_grad()
            functional.cross_entropy(ours.train()(space["features"][rows]), space["target"][rows]).backward()
            step.step()
    for one, other in zip(mine.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_numbers_a_module_of_one_s_own_loss_and_no_dropout() -> None:
    X, y = load_diabetes(return_X_y=True)
    module = nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 1))
    before = copy.deepcopy(module.state_dict())

    def huber(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return functional.huber_loss(outputs, target, reduction="none").sum(1)

    recipe = Recipe(epochs=3, batch_size=64, optimizer="sgd", lr=0.05, coupling="loss", loss=huber)
    advice = advise(X[:200], y[:200], model=module, recipe=recipe, effort="quick", folds=3)
    assert not {"dropout", "dropout_l2"} & set(advice.scores["kind"])
    assert not {"Q8", "Q9"} & {step.question for step in advice.path}
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    model = advice.build().fit(X[:200], y[:200])
    assert isinstance(model[-1], ModuleRegressor)
    assert model[-1].recipe.loss is huber
    assert model.predict(X).shape == (442,)
    with pytest.raises(ParameterError, match="loss must be the function"):
        Advice(advice.record).build(module=module)


def test_images_reach_a_convolution_scaled_by_channel() -> None:
    X, y = load_digits(return_X_y=True)
    images = X.reshape(-1, 8, 8)[:300]
    advice = advise(images, y[:300], model="cnn", recipe=TINY, effort="quick", folds=2, sample=200)
    assert advice.record.training is not None
    assert (advice.record.training.module, advice.record.training.engine) == ("cnn", "loop")
    assert "dropout" in set(advice.scores["kind"])
    model = Advice(advice.record).build().fit(images, y[:300])
    assert model.score(images, y[:300]) > 0.5
    assert isinstance(model[-1], ModuleClassifier)
    assert (model[-1].inputs.layout, model[-1].inputs.shape) == ("image", (8, 8))


def test_channels_are_scaled_inside_folds_as_in_the_pipeline() -> None:
    generator = np.random.default_rng(0)
    images = generator.normal([0.0, 5.0, -3.0], [1.0, 9.0, 2.0], size=(40, 6, 5, 3))
    table = make_table(images, np.arange(40) % 2)
    folds = make_folds(table, folds=4, seed=0).folds
    prepared = ModuleFamily("cnn", table.facts).prepare(table, folds, seed=0)
    encoded = prepared.rows.x.numpy().reshape(4, 40, 90)
    for fold, rows in zip(folds, encoded, strict=True):
        by_channel = rows[fold.train].reshape(-1, 3, 30)
        np.testing.assert_allclose(by_channel.mean((0, 2)), 0.0, atol=1e-5)
        np.testing.assert_allclose(by_channel.std((0, 2)), 1.0, atol=1e-5)
        own = module_preprocessor(table.facts, "standard", None).fit(images[fold.train]).transform(images)
        np.testing.assert_allclose(rows, own, rtol=1e-5, atol=1e-5)
    assert prepared.n_features == len(prepared.feature_names) == 90
    assert ChannelScaler(3).fit(encoded[0]).get_feature_names_out().shape == (90,)


def test_features_are_taken_as_they_are_if_asked() -> None:
    seen: list[float] = []

    class Embedding(nn.Module):
        def __init__(self, n_outputs: int) -> None:
            super().__init__()
            self.table, self.last = nn.Embedding(5, 4), nn.Linear(12, n_outputs)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(float(x.max()))
            return self.last(self.table(x.long()).flatten(1))

    X = np.random.default_rng(0).integers(0, 5, (120, 3)).astype(float)
    advice = advise(
        X,
        (X[:, 0] > 2).astype(int),
        model=Embedding,
        recipe=Recipe(epochs=2, transform="none"),
        effort="quick",
        folds=2,
    )
    assert max(seen[:5]) == 4.0
    assert advice.build().fit(X, X[:, 0] > 2).predict(X).shape == (120,)


class Counting(nn.Linear):
    """Counts its passes."""

    n_passes = 0

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__(n_features, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Counting.n_passes += 1
        return super().forward(x)


def test_the_first_look_at_a_module_ends_with_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pass that is under way is finished; then nothing is trained."""
    rng = np.random.default_rng(0)
    table = make_table(rng.normal(size=(60, 3)), rng.normal(size=60))
    family = ModuleFamily(Counting, table.facts)
    Counting.n_passes = 0
    with pytest.raises(OutOfTimeError):
        Pilot(table, family, n_rows=60, folds=3, seed=0, end=Deadline.after(0.0))
    assert Counting.n_passes == 1
    situation = situation_of(table, family, folds=3, may_choose=True)
    asked: dict[str, Any] = {"seed": 0, "budget": 1e9, "effort": None, "started_s": 0.0}
    monkeypatch.setattr(resources, "Pilot", Mock(side_effect=OutOfTimeError))
    rung = Ladder(table=table, family=family, situation=situation, **asked).choose()
    assert "sending a few rows through your model took" in (rung.obstacle or "")
    # Without an end the look is a whole one.
    Pilot(table, family, n_rows=60, folds=3, seed=0)
    assert family.prepare(table, make_folds(table, folds=3, seed=0).folds, seed=0).architecture is not None

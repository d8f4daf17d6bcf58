"""Skorch nets: configured, asked about, and as a script; against our optimizers and loops of torch."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from test_neural_snippet import LOSS_REGULARIZERS, TRAINING
from torch import nn

from regadvisor import Advice, AdvisedClassifier, ParameterError, Recipe, Regularizer, advise
from regadvisor.data.source import make_table
from regadvisor.errors import StrengthError
from regadvisor.export.alone import rescaled_to
from regadvisor.export.build import build_network
from regadvisor.export.torch_snippet import torch_snippet
from regadvisor.families.fitted.own_library import own_sum_lr
from regadvisor.families.fitted.skorch_fit import SkorchFit
from regadvisor.families.neural.schedule import learning_rates, steps_per_epoch
from regadvisor.records import Training

skorch = pytest.importorskip("skorch", reason="skorch is not installed")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 6)).astype(np.float32)
CODES = (X[:, 0] + 0.3 * RNG.normal(size=96) > 0).astype(np.int64)


def halved(rows: Any) -> Any:
    return np.asarray(rows, dtype=np.float32) / 2


class Net(nn.Module):
    def __init__(self, n_in: int = 6, n_out: int = 2, rate: float = 0.5) -> None:
        super().__init__()
        self.table = nn.Embedding(2, 3)
        self.net = nn.Sequential(
            nn.Linear(n_in, 8), nn.LayerNorm(8), nn.ReLU(), nn.Dropout(rate), nn.Linear(8, n_out)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def classifier(**options: Any) -> Any:
    known = {"optimizer": torch.optim.Adam, "lr": 0.01, "max_epochs": 6, "batch_size": -1, "verbose": 0}
    known |= {"criterion": nn.CrossEntropyLoss, "train_split": None, "module": Net}
    return skorch.NeuralNetClassifier(**(known | options))


def trained(net: Any) -> nn.Module:
    torch.manual_seed(0)
    module: nn.Module = net.fit(X, CODES).module_
    return module


@pytest.mark.parametrize(
    ("optimizer", "regularizer"),
    [
        (torch.optim.Adam, Regularizer(l1=0.01, l2=0.2)),
        (torch.optim.Adam, Regularizer(l2=0.2)),
        (torch.optim.AdamW, Regularizer(l2=0.2)),
        (torch.optim.SGD, Regularizer(l1=0.01)),
        (torch.optim.AdamW, Regularizer(l1=0.5, l2=2.0, coupling="decoupled")),
        (torch.optim.Adam, Regularizer(l2=2.0, coupling="decoupled")),
        (torch.optim.SGD, Regularizer(l2=2.0, coupling="decoupled")),
    ],
)
def test_a_net_trains_as_a_loop_with_our_optimizer(optimizer: Any, regularizer: Regularizer) -> None:
    net = classifier(optimizer=optimizer)
    configured = pickle.loads(pickle.dumps(clone(regularizer.apply(net))))
    found = trained(configured)
    torch.manual_seed(0)
    module = Net(rate=0.0).train()
    name: Any = "sgd" if optimizer is torch.optim.SGD else "adamw"
    step = regularizer.optimizer(module, lr=0.01, optimizer=name, momentum=0.0)
    for _ in range(6):
        step.zero_grad()
        nn.functional.cross_entropy(module(torch.as_tensor(X)), torch.as_tensor(CODES)).backward()
        step.step()
    # Skorch shuffles nothing here: one batch holds all rows.
    for key, own in module.state_dict().items():
        np.testing.assert_allclose(found.state_dict()[key], own, atol=1e-5, err_msg=key)
    assert net.get_params()["optimizer"] is optimizer
    assert "optimizer__param_groups" not in net.get_params()


def test_rates_of_dropout_and_groups_of_the_caller() -> None:
    groups = [("net.0.*", {"lr": 0.5})]
    net = classifier(optimizer__param_groups=groups, module__rate=0.4)
    configured = Regularizer(l2=0.3, dropout=0.2).apply(net).initialize()
    assert configured.module_.net[3].p == 0.2
    found = {id(own): group for group in configured.optimizer_.param_groups for own in group["params"]}
    named = dict(configured.module_.named_parameters())
    assert [(found[id(named[name])]["lr"], found[id(named[name])]["weight_decay"]) for name in
            ("net.0.weight", "net.0.bias", "net.4.weight", "table.weight")] == [
        (0.5, 0.3), (0.5, 0.0), (0.01, 0.3), (0.01, 0.0)]  # fmt: skip
    instance = classifier(module=Net(rate=0.4))
    assert Regularizer(dropout=0.1).apply(instance).initialize().module_.net[3].p == 0.1
    assert instance.module.net[3].p == 0.4


def test_the_squared_error_has_no_half() -> None:
    net = skorch.NeuralNetRegressor(Net, module__n_out=1, optimizer=torch.optim.Adam)
    groups = dict(Regularizer(l2=0.3).apply(net).get_params()["optimizer__param_groups"])
    assert groups["net.0.weight"] == {"weight_decay": 0.6}


def test_what_a_net_cannot_have() -> None:
    with pytest.raises(ParameterError, match=r"optimizer must be Adam, AdamW, SGD for L1.*got RMSprop"):
        Regularizer(l1=0.1).apply(classifier(optimizer=torch.optim.RMSprop))
    assert Regularizer(l2=0.1).apply(classifier(optimizer=torch.optim.RMSprop)).fit(X, CODES)
    with pytest.raises(ParameterError, match="net must be one whose module can be made"):
        Regularizer(l2=0.1).apply(classifier(module=nn.Linear))
    plain = classifier(module=nn.Linear, module__in_features=6, module__out_features=2)
    with pytest.raises(ParameterError, match="Dropout layer"):
        Regularizer(dropout=0.1).apply(plain)


# ------------------------------------------------------------------------------------------------ model=


def test_advice_about_a_net_is_built_applied_saved_and_repeated(tmp_path: Any) -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    rows, labels = rows[:150, :6], np.array(["benign", "malign"])[labels[:150]]
    net = classifier(max_epochs=5, batch_size=64)
    advice, again = (advise(rows, labels, model=net, effort="quick", folds=2, budget=None) for _ in range(2))
    assert "dropout" in set(advice.scores["kind"])
    np.testing.assert_allclose(advice.scores["loss"], again.scores["loss"], rtol=1e-5)
    assert "advice.apply(model)" in " ".join(advice.to_text().split())
    built = advice.build().fit(rows, labels)
    assert built.score(rows, labels) > 0.8
    advice.to_json(tmp_path / "advice.json")
    loaded = Advice.load(tmp_path / "advice.json").build(module=net).fit(rows, labels)
    np.testing.assert_allclose(loaded.predict_proba(rows), built.predict_proba(rows), atol=1e-5)
    assert advice.apply(net).fit(
        built[:-1].transform(rows).astype(np.float32), (labels == "malign").astype(int)
    )
    assert "import skorch" in advice.snippet("skorch")
    fitted = AdvisedClassifier(model=net, effort="quick", folds=2, budget=None).fit(rows, labels)
    assert fitted.advice_.regularizer == advice.regularizer
    with pytest.raises(ParameterError, match="recipe must be None for a skorch net"):
        advise(rows, labels, model=net, recipe=Recipe(epochs=3))


def test_a_pipeline_keeps_its_steps_in_front_of_a_net(tmp_path: Any) -> None:
    """The same fits as those of the net alone, given what the step makes of the rows."""
    net, taken = classifier(max_epochs=2), {"effort": "quick", "folds": 2, "budget": None}
    pipeline = make_pipeline(FunctionTransformer(halved), net)
    grid = {"neuralnetclassifier__lr": [0.1, 0.01], "neuralnetclassifier__optimizer__weight_decay": [0, 1]}
    search = GridSearchCV(pipeline, grid)
    advice = advise(2.0 * X, CODES, model=search, **taken)
    (warning,) = (note.text for note in advice.record.notes if note.code == "not-searched")
    assert "neuralnetclassifier__lr stays as the estimator has it" in warning
    alone = advise(X, CODES, model=net, recipe=Recipe(transform="none"), **taken)
    assert advice.regularizer == alone.regularizer
    np.testing.assert_allclose(advice.scores["loss"], alone.scores["loss"], rtol=1e-5)
    found = advice.build().fit(2.0 * X, CODES).predict_proba(2.0 * X)
    np.testing.assert_allclose(found, alone.build().fit(X, CODES).predict_proba(X), atol=1e-5)
    advice.to_json(tmp_path / "advice.json")
    loaded = Advice.load(tmp_path / "advice.json").build(module=pipeline).fit(2.0 * X, CODES)
    np.testing.assert_allclose(loaded.predict_proba(2.0 * X), found, atol=1e-5)
    applied = advice.apply(search)
    assert applied[0].func is halved
    groups = Regularizer(l2=0.1).apply(pipeline)[-1].get_params()["optimizer__param_groups"]
    assert [own["weight_decay"] for _, own in groups] == [0.1, 0.1]
    assert applied.fit(2.0 * X, CODES).predict(2.0 * X).shape == (96,)
    with pytest.raises(ParameterError, match="alone or at the end of a Pipeline"):
        advise(X, CODES, model=type(net))


def test_rows_of_a_frame_go_in_without_a_warning_of_torch() -> None:
    """pandas hands out arrays that are not to be written to; torch warns once, or always."""
    frame = pd.DataFrame(X, columns=list("abcdef"))
    torch.set_warn_always(True)
    try:
        built = advise(frame, CODES, model=classifier(max_epochs=1), budget=0).build()
        assert built.fit(frame, CODES).predict(frame).shape == (96,)
    finally:
        torch.set_warn_always(False)


def test_numbers_are_predicted_in_their_own_unit() -> None:
    rows, y = load_diabetes(return_X_y=True)
    net = skorch.NeuralNetRegressor(
        Net, module__n_in=10, module__n_out=1, optimizer=torch.optim.Adam, lr=0.01, max_epochs=15, verbose=0
    )
    assert advise(rows, 1000 * y, model=net, budget=0).build().fit(rows, 1000 * y).score(rows, 1000 * y) > 0.3


def test_what_a_net_makes_of_outputs_is_predicted_but_not_judged() -> None:
    counts = RNG.poisson(np.exp(X[:, :1] + 1.0)).astype(np.float32)
    net = skorch.NeuralNetRegressor(
        nn.Linear(6, 1),
        criterion=nn.PoissonNLLLoss,
        max_epochs=5,
        verbose=0,
        train_split=None,
        predict_nonlinearity=torch.exp,
    )
    advice = advise(X, counts, model=net, effort="quick", folds=2)
    assert advice.scores["loss"].max() < 2.0  # of the outputs: of their exponentials it explodes
    own = advice.apply(net).fit(X, counts)
    built = advice.build().fit(X, counts)
    np.testing.assert_allclose(built.predict(X), own.predict(X)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(built.predict(X), np.exp(own.forward(X).numpy()[:, 0]), rtol=1e-5)


def test_advice_on_our_network_is_applied_at_equal_strength_times_rates() -> None:
    recipe = Recipe(epochs=4, batch_size=24, lr=0.02, schedule="constant")  # 16 steps
    advice = advise(X, CODES, model="mlp", recipe=recipe, budget=0)
    configured = advice.apply(classifier(max_epochs=8, batch_size=96))  # 8 steps of half the rate
    groups = dict(configured.get_params()["optimizer__param_groups"])
    strengths = advice.regularizer.strengths()
    wanted = {name: 4 * strengths[name] for name in ("l1", "l2") if name in strengths}
    assert wanted
    assert {name: groups["net.0.weight"][name] for name in wanted} == pytest.approx(wanted)


# ---------------------------------------------------------------------------------------------- scripts


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("coupling", ["decoupled", "loss"])
@pytest.mark.parametrize("kind", ["none", "l2", "elasticnet"])
@pytest.mark.parametrize("is_regression", [False, True])
def test_the_script_trains_what_a_loop_of_torch_trains(
    optimizer: Any, coupling: Any, kind: str, is_regression: bool
) -> None:
    training = replace(
        TRAINING, optimizer=optimizer, momentum=0.8 if optimizer == "sgd" else None, coupling=coupling,
        epochs=8, batch_size=1000, schedule="cosine", hidden=(12,), clip_norm=0.5,
    )  # fmt: skip
    regularizer = replace(LOSS_REGULARIZERS[kind].times(5.0), coupling=coupling)
    rows, y = load_diabetes(return_X_y=True) if is_regression else load_iris(return_X_y=True)
    facts = make_table(rows, y).facts
    steps = Pipeline(build_network(facts, regularizer, training).steps[:-1])
    script = torch_snippet(steps, facts, training=training, regularizer=regularizer, library="skorch")
    assert "regadvisor" not in script
    names: dict[str, Any] = {"X": rows, "y": y}
    exec(compile(script, "script", "exec"), names)
    torch.manual_seed(training.seed)
    n_in, n_out = rows.shape[1], 1 if is_regression else 3
    module = nn.Sequential(nn.Linear(n_in, 12), nn.ReLU(), nn.Linear(12, n_out))
    step = regularizer.optimizer(module, lr=1.0, optimizer=optimizer, momentum=0.8)
    features, target = torch.as_tensor(names["features"]), torch.as_tensor(names["target"])
    for rate in learning_rates(8, lr=training.lr, schedule="cosine"):
        for group in step.param_groups:
            group["lr"] = float(rate)
        step._clip_norm = 0.5
        step.zero_grad()
        outputs = module(features)
        half = 0.5 * nn.functional.mse_loss(outputs, target) if is_regression else None
        loss = nn.functional.cross_entropy(outputs, target) if half is None else half
        loss.backward()
        step.step()
    outputs = module(features).detach()
    if is_regression:
        found = (names["predict"](rows) - y.mean()) / y.std()
        np.testing.assert_allclose(found, outputs[:, 0], atol=1e-4)
    else:
        np.testing.assert_allclose(names["predict_proba"](rows), torch.softmax(outputs, 1), atol=1e-4)


def test_the_rows_that_a_net_holds_out_are_no_steps() -> None:
    """skorch's default tests on a fifth of the rows: the history has a batch for each step that is left."""
    facts = make_table(np.tile(X, (3, 1)), np.tile(CODES, 3)).facts
    training = Training(family="mlp", seed=0, coupling="decoupled", lr=0.01, batch_size=32, epochs=5)
    strong = Regularizer(l2=1.0, coupling="decoupled")
    whole, held = (
        rescaled_to(classifier(batch_size=32, train_split=split), strong, facts, training).l2
        for split in (None, skorch.dataset.ValidSplit(5))
    )
    net = classifier(batch_size=32, train_split=skorch.dataset.ValidSplit(5), max_epochs=1)
    net.fit(np.tile(X, (3, 1)), np.tile(CODES, 3))
    n_steps = len([batch for batch in net.history[0]["batches"] if "train_loss" in batch])
    assert whole is not None
    assert held == pytest.approx(whole * steps_per_epoch(facts.n_rows, 32) / n_steps)


def test_a_binary_net_gets_the_floats_that_its_loss_takes() -> None:
    net = skorch.NeuralNetBinaryClassifier(
        Net, module__n_out=1, max_epochs=1, train_split=None, verbose=0, lr=0.01
    )
    facts = make_table(X, CODES).facts
    model = SkorchFit(net, facts)(Regularizer(), X, CODES, 0)
    assert model.predict_proba(X).shape == (len(X), 2)


def test_a_module_without_dropout_is_said_as_such() -> None:
    net = classifier(module=nn.Linear, module__in_features=6, module__out_features=2)
    with pytest.raises(ParameterError, match=r"module must have a torch.nn.Dropout layer"):
        Regularizer(dropout=0.3).apply(net)


def test_unknown_strengths_stay_unknown() -> None:
    with pytest.raises(StrengthError):
        Regularizer.unknown("l2").apply(classifier())
    assert Regularizer.unknown("l2").times(2.0).l2 is None


def test_adamw_is_advised_as_decoupled_decay() -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    rows, labels = rows[:150, :6], labels[:150]
    net = classifier(max_epochs=4, batch_size=32, optimizer=torch.optim.AdamW, lr=0.02)
    advice = advise(rows, labels, model=net, effort="quick", folds=2, budget=None)
    tried = [score for score in advice.record.evidence.scores.scores if score.kind == "l2"]
    assert {score.regularizer.coupling for score in tried} == {"decoupled"}
    assert tried[0].sum_lr == pytest.approx(own_sum_lr(net, 75))
    assert tried[0].regularizer.l2 * tried[0].sum_lr == pytest.approx(4.0)  # the first of the portfolio
    applied = advice.apply(net)
    decays = [options.get("l2") for _, options in applied.optimizer__param_groups]
    if advice.regularizer.l2:
        assert decays == pytest.approx([advice.regularizer.l2] * len(decays))


def test_a_script_for_advice_with_weights_is_refused() -> None:
    rows, y = load_iris(return_X_y=True)
    facts = make_table(rows, y, sample_weight=1.0 + y).facts
    steps = Pipeline(build_network(facts, Regularizer(), TRAINING).steps[:-1])
    with pytest.raises(ParameterError, match="without sample_weight"):
        torch_snippet(steps, facts, training=TRAINING, regularizer=Regularizer(), library="skorch")

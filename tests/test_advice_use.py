"""What can be done with advice: the caller's own estimator, module and training loop, and printed code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC
from torch import nn

from regadvisor import Advice, ParameterError, Regularizer, advise
from regadvisor.families.estimator.rules import Strengths
from regadvisor.families.estimator.table import configured


def noisy_cancer() -> tuple[np.ndarray, np.ndarray]:
    """Five features and 30 columns of noise: an L1 strong enough for SAGA to converge."""
    X, y = load_breast_cancer(return_X_y=True)
    noise = np.random.default_rng(0).normal(size=(len(X), 30))
    return np.hstack([X[:, :10:2], noise]), y


@pytest.fixture(scope="module")
def cancer() -> Advice:
    """An advice of L1 so strong that SAGA finds the minimum."""
    record = advise(*load_breast_cancer(return_X_y=True), effort="quick", folds=2).record
    return Advice(replace(record, strength=replace(record.strength, regularizer=Regularizer(l1=0.01))))


@pytest.fixture(scope="module")
def network() -> Advice:
    return advise(*load_wine(return_X_y=True), model="mlp", effort="quick", folds=2)


def test_apply_gives_the_caller_s_estimator_the_model_of_build(cancer: Advice) -> None:
    X, y = noisy_cancer()
    mine = LogisticRegression(tol=1e-6, max_iter=20_000)
    applied = cancer.apply(mine).fit(X, y)
    np.testing.assert_allclose(applied.predict_proba(X), cancer.build().fit(X, y).predict_proba(X), atol=2e-3)
    assert mine.get_params() == LogisticRegression(tol=1e-6, max_iter=20_000).get_params()


def test_apply_raises_the_iterations_of_a_slow_solver_and_never_lowers_them(cancer: Advice) -> None:
    assert cancer.regularizer.l1 > 0
    models = [cancer.apply(LogisticRegression(max_iter=n)).steps[-1][1] for n in (100, 20_000)]
    assert [model.max_iter for model in models] == [10_000, 20_000]


# A tight tolerance: what is left of the difference is the strengths.
@pytest.mark.parametrize("prefer", [None, "sparse"])
def test_apply_puts_regression_strengths_in_the_unit_of_the_target(prefer) -> None:  # type: ignore[no-untyped-def]
    X, y = load_diabetes(return_X_y=True)
    advice = advise(X, y, effort="quick", folds=2, prefer=prefer)
    applied = advice.apply(ElasticNet(tol=1e-8, max_iter=100_000)).fit(X, y)
    built = advice.build().fit(X, y)
    np.testing.assert_allclose(applied.predict(X), built.predict(X), rtol=1e-3)


def test_a_pipeline_keeps_its_steps_and_must_scale(cancer: Advice) -> None:
    applied = cancer.apply(make_pipeline(StandardScaler(), LogisticRegression()))
    assert [name for name, _ in applied.steps] == ["standardscaler", "logisticregression"]
    with pytest.raises(ParameterError, match=r"StandardScaler\(\) over all columns.*model=pipeline"):
        cancer.apply(make_pipeline(PolynomialFeatures(), LogisticRegression()))


@pytest.mark.parametrize("target", [SVC(), Ridge(alpha=1.0).fit, nn.Linear(30, 2), Ridge()])
def test_what_cannot_express_the_regularizer_is_refused(cancer: Advice, target: object) -> None:
    with pytest.raises((ParameterError, TypeError)):
        cancer.apply(target)


@pytest.mark.parametrize(
    ("estimator", "l1", "l2"), [(Ridge(), 0.1, 0.0), (Lasso(), 0.0, 0.1), (MLPClassifier(), 0.1, 0.0)]
)
def test_each_estimator_refuses_the_kind_it_lacks(estimator: BaseEstimator, l1: float, l2: float) -> None:
    with pytest.raises(ParameterError, match=r"target must be .*advise\(X, y, model="):
        configured(estimator, Strengths(l1=l1, l2=l2, n_rows=100))


@pytest.mark.parametrize(
    ("estimator", "l1", "l2", "kind"),
    [
        (LinearRegression(fit_intercept=False), 0.0, 0.1, Ridge),
        (LinearRegression(fit_intercept=False), 0.1, 0.0, Lasso),
        (LinearRegression(fit_intercept=False), 0.1, 0.1, ElasticNet),
        (Ridge(fit_intercept=False), 0.0, 0.0, LinearRegression),
        (Lasso(fit_intercept=False), 0.0, 0.0, LinearRegression),
        (ElasticNet(fit_intercept=False), 0.0, 0.0, LinearRegression),
    ],
)
def test_least_squares_is_written_as_the_estimator_that_has_the_penalty(
    estimator: BaseEstimator, l1: float, l2: float, kind: type
) -> None:
    model = configured(estimator, Strengths(l1=l1, l2=l2, n_rows=100))
    assert type(model) is kind
    assert model.fit_intercept is False


def test_the_optimizer_trains_the_caller_s_module_with_the_advised_decay(network: Advice) -> None:
    X, y = load_wine(return_X_y=True)
    inputs = torch.tensor(StandardScaler().fit_transform(X), dtype=torch.float32)
    targets = torch.tensor(y)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3))
    mine = network.apply(net)
    assert mine is not net
    assert mine[2].p == network.regularizer.dropout
    optimizer = network.optimizer(mine, lr=5e-3, steps=200)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(mine(inputs), targets).backward()
        optimizer.step()
    assert (mine.eval()(inputs).argmax(1) == targets).float().mean() > 0.95
    decays = {group["weight_decay"] for group in optimizer.param_groups}
    assert 0.0 in decays


def test_strength_times_sum_lr_is_what_the_optimizer_keeps(network: Advice) -> None:
    net = nn.Linear(13, 3)

    def totals(steps: int, lr: float) -> tuple[float, float]:
        optimizer = network.optimizer(net, lr=lr, steps=steps, schedule="constant")
        group = optimizer.param_groups[0]
        return group["weight_decay"] * steps * lr, group["l1"] * steps * lr

    np.testing.assert_allclose(totals(100, 1e-3), totals(5_000, 3e-4), rtol=1e-9)


def test_a_scheduler_replaces_the_recipe_s_schedule_and_a_checkpoint_resumes_it(network: Advice) -> None:
    def moved(optimizer: torch.optim.Optimizer, net: nn.Module) -> float:
        before = net.bias.detach().clone()
        net.weight.grad, net.bias.grad = torch.zeros_like(net.weight), torch.ones_like(net.bias)
        optimizer.step()
        return float((before - net.bias.detach()).mean())  # Adam moves by the learning rate at first

    assert network.record.training.schedule == "flat-cosine"
    net = nn.Linear(13, 3)
    optimizer = network.optimizer(net, lr=1.0, steps=4)
    found = [moved(optimizer, net) for _ in range(3)]
    state = optimizer.state_dict()
    optimizer = network.optimizer(net, lr=1.0, steps=4)
    optimizer.load_state_dict(state)
    assert [*found, moved(optimizer, net)] == pytest.approx([1.0, 1.0, 1.0, 0.5], rel=1e-3)
    for schedule, last in ((None, 0.001), ("flat-cosine", 0.0005)):
        optimizer = network.optimizer(net, lr=1.0, steps=4, schedule=schedule)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.1)
        for _ in range(3):
            moved(optimizer, net)
            scheduler.step()
        assert moved(optimizer, net) == pytest.approx(last, rel=0.01)


def test_linear_advice_has_no_optimizer(cancer: Advice) -> None:
    with pytest.raises(ParameterError, match="mlp"):
        cancer.optimizer(nn.Linear(2, 2), lr=1e-3, steps=10)


@pytest.mark.parametrize("target", ["sklearn", "torch"])
@pytest.mark.parametrize("model", ["cancer", "network"])
def test_snippets_run_as_printed_and_give_the_same_model(
    target: str, model: str, request: pytest.FixtureRequest
) -> None:
    advice: Advice = request.getfixturevalue(model)
    X, y = noisy_cancer() if model == "cancer" else load_wine(return_X_y=True)
    space = {"X": X, "y": y}
    exec(advice.snippet(target), space)  # type: ignore[arg-type]
    predict = space.get("predict_proba") or space["model"].predict_proba
    expected = advice.build().fit(X, y).predict_proba(X)
    np.testing.assert_allclose(np.asarray(predict(X)), expected, atol=2e-3)


def test_an_unknown_snippet_is_named(cancer: Advice) -> None:
    with pytest.raises(ParameterError, match="one of 'sklearn', 'torch', 'keras', 'skorch'"):
        cancer.snippet("mxnet")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="'sklearn' or 'torch' for a linear model, got 'keras'"):
        cancer.snippet("keras")

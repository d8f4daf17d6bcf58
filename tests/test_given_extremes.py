"""Extreme values and skewed targets: named, and never "no signal" because of them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.neural_network import MLPClassifier

from regadvisor import Recipe, advise, fit_function
from regadvisor.data.source import make_table
from regadvisor.records import CURVED_SIGNAL, HIDDEN_SIGNAL, UNLEARNED_SIGNAL
from regadvisor.traps.extremes import spread
from regadvisor.traps.find import find_traps
from regadvisor.traps.hidden import hidden_signal

R = np.random.default_rng(0)
X = R.normal(size=(300, 5))
Y = X[:, 0] - X[:, 1] + 0.3 * R.normal(size=300)


def codes(X, y, **how):
    return {note.code: note.text for note in find_traps(make_table(X, y, **how), seed=0)}


def hidden(X, y, *, seed, is_linear=False, is_solved=False, **how):
    found = hidden_signal(make_table(X, y, **how), seed=seed, is_linear=is_linear, is_solved=is_solved)
    return [note.code for note in found]


def with_value(values, where, value):
    changed = values.copy()
    changed[where] = value
    return changed


def lognormal(seed, n=400):
    r = np.random.default_rng(seed)
    features = np.exp(1.5 * r.normal(size=(n, 6)))
    return features, np.log(features[:, 0] * features[:, 1]) + r.normal(size=n)


def test_extreme_features_as_given_are_not_called_no_signal():
    advice = advise(*lognormal(13), effort="quick")
    assert advice.record.status == "cant_tell"
    assert "extreme values rule the loss" in advice.verdict
    said = {note.code: note.text for note in advice.record.notes}
    assert "take logarithms" in said["extreme-features"]
    assert "of the target's variance" in said["hidden-signal"]
    assert "Nothing beats" not in advice.to_text()


ODD = {
    "target": (X, with_value(Y, 17, 1e9)),
    "feature": (with_value(X, (17, 0), 1e9), Y),
    "frame": (pd.DataFrame(with_value(X, (17, 0), -1e9)).add_prefix("x"), Y),
    "useless feature": (with_value(X, (17, 4), 1e9), Y),
    "classes": (with_value(X, (17, 0), 1e9), np.where(Y > 0, "a", "b")),
    "sparse": (sparse.csr_array(with_value(np.round(np.abs(X)), (17, 0), 1e9)), Y),
    "two targets": (X, np.column_stack([Y, with_value(X[:, 3] + Y, 17, 1e9)])),
}


@pytest.mark.parametrize("how", ODD)
def test_one_value_of_a_billion_is_named_with_its_row(how):
    said = codes(*ODD[how])
    (code,) = {"extreme-features", "extreme-target"} & set(said)
    assert "1e9 in row 17" in said[code]
    assert "Check them" in said[code]


@pytest.mark.parametrize("value", [1e4, -987_654.0])
def test_a_dozen_far_values_are_extreme_as_well(value):
    features = with_value(X, (np.arange(0, 300, 25), 0), value)
    assert "of column 0 rule the fit" in codes(features, Y)["extreme-features"]
    assert "12 rows hold 99%" in codes(X, with_value(Y, np.arange(0, 300, 25), value))["extreme-target"]


def test_far_values_among_many_rows_are_found_be_they_one_or_many():
    r = np.random.default_rng(0)
    features = r.normal(size=(20_000, 3))
    y = features[:, 0] + 0.1 * r.normal(size=20_000)
    assert not codes(features, y)
    for where in ([777], np.arange(0, 20_000, 300), np.arange(0, 20_000, 25)):
        assert (
            "of column 0 rule the fit" in codes(with_value(features, (where, 0), 1e5), y)["extreme-features"]
        )


def test_rows_are_counted_as_the_caller_counts_them():
    y = with_value(Y, [2, 3], np.nan)
    assert "in row 17" in codes(with_value(X, (17, 0), 1e9), y)["extreme-features"]


@pytest.mark.parametrize("where", ["target", "feature"])
def test_one_value_of_a_billion_does_not_hide_the_signal(where):
    advice = advise(*ODD[where], effort="quick")
    assert advice.record.status == "cant_tell"
    assert "Nothing beats" not in advice.to_text()


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_targets_hide_no_signal(seed):
    r = np.random.default_rng(seed)
    assert not hidden_signal(make_table(X, r.permutation(Y)), seed=seed)
    assert not hidden_signal(make_table(lognormal(seed)[0], r.integers(0, 2, size=400)), seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_a_hidden_signal_is_found_in_other_draws(seed):
    features, y = lognormal(seed)
    for target in (y, y > np.median(y)):
        assert hidden(features, target, seed=seed) == [HIDDEN_SIGNAL]


@pytest.mark.parametrize("seed", range(5))
def test_what_a_plain_linear_model_finds_is_not_hidden_but_missed(seed):
    r = np.random.default_rng(seed)
    features = r.normal(size=(400, 6))
    y = features[:, 0] - 0.5 * features[:, 1] + r.normal(size=400)
    for target in (y, y > 0):
        assert hidden(features, target, seed=seed) == [UNLEARNED_SIGNAL]
    assert not hidden(features, y, seed=seed, time=np.arange(400))


@pytest.mark.parametrize(
    "curve",
    [
        lambda X, noise: X[:, 0] ** 2 + noise,
        lambda X, noise: np.cos(X[:, 1] * 2) + noise,
        lambda X, noise: X[:, 0] * X[:, 2] + noise > 0,
        lambda X, noise: X[:, 0] ** 2 + X[:, 1] ** 2 + noise > 1.4,
    ],
    ids=["square", "cosine", "product", "circle"],
)
def test_a_curved_signal_is_not_called_none(curve):
    r = np.random.default_rng(0)
    features = r.normal(size=(400, 6))
    y = curve(features, 0.5 * r.normal(size=400))
    assert hidden(features, y, seed=0, is_linear=True) == [CURVED_SIGNAL]
    assert hidden(features, y, seed=0) == [UNLEARNED_SIGNAL]
    verdict = advise(features, y, effort="quick").verdict
    assert "Can't tell yet: a linear model cannot see the signal, which is curved" in verdict


@pytest.mark.parametrize("seed", [12, 29, 45])
def test_a_signal_that_is_mostly_straight_is_not_said_to_be_curved(seed):
    r = np.random.default_rng(seed)  # draws with a signal whose straight part alone is not told from luck
    features = r.normal(size=(60, 3))
    y = features[:, 0] + 0.5 * features[:, 0] ** 2 + 1.6 * r.normal(size=60)
    assert not hidden(features, y, seed=0, is_linear=True)


def test_no_signal_is_seen_in_copies_of_rows_or_in_rows_that_hardly_count():
    r = np.random.default_rng(0)
    features, y = r.normal(size=(120, 100)), r.normal(size=120)
    assert not hidden(np.vstack([features, features]), np.append(y, y), seed=0)
    features, y = r.normal(size=(400, 5)), r.normal(size=400)
    y[:200] = features[:200, 0]
    assert hidden(features, y, seed=0)
    assert not hidden(features, y, seed=0, sample_weight=np.repeat([1e-9, 1.0], 200))


def test_a_model_that_a_solver_fits_is_not_told_to_train_longer():
    r = np.random.default_rng(0)
    features = r.normal(size=(400, 6))
    y = features[:, 0] + r.normal(size=400)
    kinds = pd.DataFrame(features > 0).astype(str)  # no value is extreme
    for X in (features, kinds):
        note = hidden_signal(make_table(X, y), seed=0, is_solved=True)[0]
        assert note.code == UNLEARNED_SIGNAL
        assert note.text.endswith("none. It may need more rows, or more time.")


def test_a_network_that_was_trained_too_briefly_is_told_so():
    r = np.random.default_rng(0)
    features = r.normal(size=(400, 6))
    y = features[:, 0] - 0.5 * features[:, 1] + r.normal(size=400) > 0
    model = MLPClassifier((16,), max_iter=1, learning_rate_init=1e-6, random_state=0)
    record = advise(features, y, model=model, effort="quick").record
    assert record.status == "cant_tell"
    assert UNLEARNED_SIGNAL in [note.code for note in record.notes]


def test_heavy_tails_that_cost_nothing_are_not_told():
    r = np.random.default_rng(0)
    assert not codes(np.exp(r.normal(size=(400, 6))), r.normal(size=400))
    rare = np.zeros((400, 3))
    rare[:3, 0] = 1.0  # three rows of an indicator
    rare[:, 1:] = r.normal(size=(400, 2))
    assert not codes(rare, r.normal(size=400))
    assert not codes(r.poisson(0.1, size=(400, 5)).astype(float), r.normal(size=400))


def test_the_spread_is_that_of_a_plain_computation():
    values = R.normal(size=50)
    values[[4, 9]] = 30.0, -50.0
    found = spread(values)
    off = np.abs(values - np.median(values))
    assert found.rows[:2].tolist() == [9, 4]
    assert found.share == pytest.approx(np.sort(off**2)[-3:].sum() / (off**2).sum())
    quartiles = np.quantile(values, [0.25, 0.75])
    assert found.distance == pytest.approx(off.max() / (np.ptp(quartiles) / 1.349))


# -------------------------------------------------------------------------------------- skewed targets


def skewed(seed, n=300, scale=2.0):
    r = np.random.default_rng(seed)
    features = r.normal(size=(n, 5))
    return features, np.exp(scale * features[:, 0] + features[:, 1] + 0.3 * r.normal(size=n))


def test_a_skewed_target_as_given():
    advice = advise(*skewed(0), effort="quick")
    said = {note.code: note.text for note in advice.record.notes}["skewed-target"]
    assert said == (
        "the target is skewed: 3 rows of 300 hold 92% of its variance and rule the squared loss. Better "
        "predict its logarithm."
    )
    assert "more rows would decide" not in advice.to_text()


@pytest.mark.parametrize("seed", range(1, 4))
def test_other_skewed_targets_are_told_to_take_logarithms(seed):
    features, y = skewed(seed, n=200 + 200 * seed, scale=1.5)
    assert "Better predict its logarithm." in codes(features, y)["skewed-target"]
    assert "logarithm (log1p)" in codes(features, np.where(y < np.quantile(y, 0.1), 0.0, y))["skewed-target"]
    assert "two models" in codes(features, np.where(y < np.median(y), 0.0, y))["piled-target"]
    frame = pd.DataFrame({"amount": y, "plain": features[:, 0] + 0.1 * features[:, 2]})
    assert "the target 'amount' is skewed" in codes(features, frame)["skewed-target"]


def test_skewed_counts_are_told_of_poisson():
    features, mean = skewed(5, n=500, scale=1.5)
    counts = np.random.default_rng(0).poisson(mean).astype(float)
    assert "use a Poisson model or predict its logarithm" in codes(features, counts)["skewed-target"]


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_what_is_not_skewed_is_not_told_so(shift):
    r = np.random.default_rng(0)
    assert not codes(X, Y + shift)
    assert not codes(X, r.exponential(size=300) + shift)
    assert not codes(X, r.poisson(30, size=300).astype(float), task="regression")


def test_training_that_explodes_is_not_called_too_short():
    recipe = Recipe(epochs=3, lr=1e6, optimizer="sgd")
    advice = advise(X, Y, model=lambda: torch.nn.Linear(5, 1), recipe=recipe, effort="quick")
    assert advice.record.status == "cant_tell"
    assert "training explodes" in advice.verdict
    assert [note.code for note in advice.record.notes] == ["training-explodes"]
    assert "Lower the learning rate" in advice.to_text()


def test_a_function_that_learns_nothing_is_not_said_to_meet_extreme_values() -> None:
    X = np.random.default_rng(0).normal(size=(120, 3))
    guess = SimpleNamespace(predict=lambda rows: np.zeros(len(rows)))
    model = fit_function(lambda regularizer, X, y, seed: guess)
    found = [note.code for note in advise(X, X[:, 0], model=model, effort="quick", folds=2).record.notes]
    assert UNLEARNED_SIGNAL in found
    assert HIDDEN_SIGNAL not in found


def test_rows_in_another_order_than_those_of_the_target_are_told():
    r = np.random.default_rng(3)
    frame = pd.DataFrame(r.normal(size=(200, 3)), columns=["a", "b", "c"])
    y = frame["a"] + 0.5 * pd.Series(r.normal(size=200))
    moved = frame.sample(frac=1, random_state=0)
    for features, target in ((moved, y), (frame, y.sample(frac=1, random_state=0)), (moved, y > 0)):
        (note,) = hidden_signal(make_table(features, target), seed=0)
        assert note.code == "rows-in-other-order"
        assert note.text.endswith("of the target's variance: pass y.loc[X.index].")
    advice = advise(moved, y, effort="quick")
    assert advice.record.status == "cant_tell"
    assert "the rows of X and y seem to be in different orders" in advice.to_text()
    by_place = y.loc[moved.index].reset_index(drop=True)
    assert "different orders" not in advise(moved, by_place, effort="quick").to_text()
    assert not hidden_signal(make_table(moved, pd.Series(r.normal(size=200))), seed=0)

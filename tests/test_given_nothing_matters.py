"""Least squares is right: none, L2, L1 and L1+L2 tie, and nothing says "regularize"."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from regadvisor import advise


def plain(seed, n=400, p=8, noise=10.0, classes=False):
    r = np.random.default_rng(seed)
    X = r.normal(size=(n, p))
    y = X @ np.arange(1, p + 1) + noise * r.normal(size=n)
    return X, (y > 0).astype(int) if classes else y


def test_all_kinds_tie_as_given():
    advice = advise(*plain(0), effort="quick")
    record = advice.record
    assert record.status == "tie"
    assert {*record.ties, record.strength.regularizer.kind} == {"none", "l1", "l2", "elasticnet"}
    assert "regularizing makes no measurable difference" in advice.verdict
    assert "No regularizer, L1 and L1+L2 do as well." in advice.verdict
    assert "lowers the loss by" not in advice.to_text()


@pytest.mark.parametrize(
    "how",
    [{"seed": 1}, {"seed": 2, "n": 800}, {"seed": 3, "noise": 3.0}, {"seed": 10}, {"seed": 5, "p": 4}],
    ids=str,
)
def test_none_ties_in_other_draws(how):
    record = advise(*plain(**how), effort="quick").record
    assert "none" in (*record.ties, record.strength.regularizer.kind)
    claim = record.claims[0]
    assert claim.statement != "Regularize." or claim.support < 0.5


def test_where_regularizing_helps_it_is_said():
    r = np.random.default_rng(0)
    X = r.normal(size=(80, 60))
    record = advise(X, X[:, 0] + r.normal(size=80), effort="quick").record
    assert "none" not in record.ties
    assert record.claims[0].statement == "Regularize."
    assert record.claims[0].support > 0.9


def test_what_is_not_shown_to_help_is_not_called_a_reason_to_regularize():
    advice = advise(*load_diabetes(return_X_y=True), effort="quick")
    regularize = advice.record.claims[0]
    found = advice.record.evidence.scores.comparison(advice.record.walk.outcome, "none")
    assert regularize.support in (pytest.approx(found.p_better), pytest.approx(found.p_same))

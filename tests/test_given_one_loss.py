"""Every number called "loss" in one report is one quantity: the loss of ``advice.scores``.

0.1.0 named two kinds with "the lowest loss" in one report: one by the plain losses, one by corrected ones.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

import regadvisor
from regadvisor.report.view import view
from regadvisor.words import number


def noisy(seed: int, *, n: int, p: int, classes: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    y = X[:, 0] - 0.5 * X[:, 1] + 2 * rng.normal(size=n)
    return X, (y > 0).astype(int) if classes else y


CASES = {
    "diabetes": load_diabetes(return_X_y=True),
    "wine": load_wine(return_X_y=True),
    "breast cancer": load_breast_cancer(return_X_y=True),
    "numbers": noisy(0, n=150, p=30),
    "classes": noisy(1, n=200, p=20, classes=True),
    "no signal": (noisy(2, n=120, p=10)[0], noisy(3, n=120, p=10)[1]),
}


@pytest.mark.parametrize("name", CASES)
def test_every_loss_of_a_report_is_that_of_the_scores(name: str) -> None:
    advice = regadvisor.advise(*CASES[name], effort="quick")
    shown = view(advice.record)
    scores = advice.scores[advice.scores.converged]
    by_kind = scores.groupby("kind").loss.min()
    rows = [row for row in shown.candidates if row.kind != "always guess"]
    labels = {"l1": "L1", "l2": "L2", "elasticnet": "L1+L2", "none": "none"}
    assert {row.kind: row.loss for row in rows} == {
        labels[kind]: number(loss) for kind, loss in by_kind.items()
    }
    assert rows[0].kind == labels[by_kind.idxmin()]
    named = [row.because for row in shown.path if row.because.startswith("The loss is lowest ")]
    for because in named:
        leader = "without a regularizer" if by_kind.idxmin() == "none" else f"with {labels[by_kind.idxmin()]}"
        assert because.startswith(f"The loss is lowest {leader}")
        assert f"({number(by_kind.min())})" in because
    if shown.disagreement is not None:
        assert f"The lowest loss is that of {rows[0].kind} ({rows[0].loss}" in shown.disagreement

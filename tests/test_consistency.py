"""No report contradicts itself, and the check would see it if one did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from consistency import contradictions
from record_builders import RECORDS, advice, cant_tell, exchanged, tie
from sklearn.datasets import load_diabetes

import regadvisor
from regadvisor.records import Flip, Note, Record
from regadvisor.regularizer import Regularizer


@pytest.mark.parametrize("name", RECORDS)
def test_no_golden_report_contradicts_itself(name: str) -> None:
    assert contradictions(RECORDS[name]()) == []


@pytest.mark.parametrize("chart", ["classic", "extended"])
def test_no_real_report_contradicts_itself(chart: str) -> None:
    X, y = load_diabetes(return_X_y=True)
    for rows in (442, 60):
        found = regadvisor.advise(X[:rows], y[:rows], model="linear", effort="quick", folds=2, chart=chart)
        assert contradictions(found.record) == []


def _scores(record: Record, **changes: object) -> Record:
    assert record.evidence.scores is not None
    scores = replace(record.evidence.scores, **changes)  # type: ignore[arg-type]
    return replace(record, evidence=replace(record.evidence, scores=scores))


def _crossing() -> Record:
    scores = advice().evidence.scores
    assert scores is not None
    found = scores.comparison("l2", "none")
    assert found is not None
    changed = exchanged(scores, replace(found, most=0.01))
    return _scores(advice(), comparisons=changed.comparisons)


def _told(because: str) -> Record:
    walk = advice().walk
    last = replace(walk.steps[-1], answer=replace(walk.steps[-1].answer, because=because))
    return replace(advice(), walk=replace(walk, steps=(*walk.steps[:-1], last)))


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        (lambda: replace(advice(), walk=replace(advice().walk, outcome="l1")), "the path ends"),
        (lambda: replace(advice(), flips=(Flip(outcome="l2", condition="x"),)), "the outcome itself"),
        (
            lambda: replace(
                advice(), flips=(Flip(outcome="l1", condition="L2 were at least 0.5% worse (now 0.5%)"),)
            ),
            "the number that is there",
        ),
        (
            lambda: replace(
                advice(), flips=(Flip(outcome="l1", condition="L2 were at least 0.5% better (now 4.2%)"),)
            ),
            "less than there is",
        ),
        (_crossing, "l2 is better than none in"),
        (lambda: replace(tie(), ties=()), "a tie with nothing"),
        (lambda: replace(tie(), ties=("none",)), "none ties, and is worse"),
        (lambda: replace(cant_tell(), status="advice"), "Regularizing"),
        (lambda: _scores(advice(), lowest_losses={"l2": 0.05, "none": 0.1253}), "the table says"),
        (lambda: replace(advice(), notes=(Note(code="x", text="pass time='day'"),)), "is no column"),
        (lambda: _told("With L2 the loss is 109% lower."), "more than all"),
        (lambda: _told("L2 gains -0.0%."), "an odd number"),
        (
            lambda: replace(advice(), strength=replace(advice().strength, on_sample=Regularizer(l2=1.0))),
            "was picked",
        ),
    ],
)
def test_the_check_sees_a_contradiction(spoiled: Callable[[], Record], said: str) -> None:
    found = contradictions(spoiled())
    if said == "Regularizing":  # what can't be told, told as an advice: its interval is called no gain
        assert found == []
    else:
        assert any(said in line for line in found), found

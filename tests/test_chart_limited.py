"""Charts for models that lack a penalty."""

from __future__ import annotations

from dataclasses import replace

import pytest

from regadvisor.errors import ParameterError
from regadvisor.flowchart.chart import (
    CLASSIC,
    EXTENDED,
    LOWEST,
    NO_SIGNAL,
    PICK,
    Chart,
    check,
    limited,
    resolve,
    sparse_first,
)
from regadvisor.regularizer import KINDS, Kind


@pytest.mark.parametrize("chart", [CLASSIC, EXTENDED], ids=["classic", "extended"])
@pytest.mark.parametrize("kinds", [("none", "l2"), ("none", "l1"), ("none", "l2", "l1")])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_limited_chart_leads_to_kinds_that_the_model_has(
    chart: Chart, kinds: tuple[Kind, ...], is_sparse: bool
) -> None:
    short = limited(resolve(chart, has_dropout=False), kinds)
    short = sparse_first(short) if is_sparse else short
    check(short)
    known = {*kinds, PICK, NO_SIGNAL, *short.questions}
    for question in short.questions.values():
        assert {edge.to for edge in question.edges.values()} <= known
        picks = {edge.pick for edge in question.edges.values()}
        assert picks <= {*kinds, None, LOWEST}
        assert not set(question.compares or ()) & ({"l1", "l2", "elasticnet"} - set(kinds))
    compared = {side for q in short.questions.values() for side in q.compares or ()}
    assert set(kinds) - {"none"} <= compared


def test_a_chart_that_lacks_nothing_stays_and_an_own_one_is_refused() -> None:
    assert limited(EXTENDED, KINDS) is EXTENDED
    assert limited(EXTENDED, ("none", "l1", "l2", "elasticnet")) is EXTENDED
    with pytest.raises(ParameterError, match="for a model that has no regularizer, L2 alone, got 'mine'"):
        limited(replace(EXTENDED, name="mine"), ("none", "l2"))


def asked(kinds: tuple[Kind, ...], chart: Chart) -> dict[str, tuple[object, ...]]:
    """Return Q5 and Q6 of the chart for a model with these kinds: the sides, and where replies lead."""
    questions = limited(resolve(chart, has_dropout=False), kinds).questions
    return {
        name: (
            questions[name].compares,
            {reply: (e.to, e.pick) for reply, e in questions[name].edges.items()},
        )
        for name in ("Q5", "Q6")
        if name in questions
    }


def test_what_stands_in_for_the_comparisons_of_penalties_is_this_table() -> None:
    for kinds in (("none", "l2"), ("none", "l2", "elasticnet"), ("none", "l1")):
        kind = kinds[1]
        assert asked(kinds, CLASSIC) == {
            "Q6": ((kind, "none"), {"better": (kind, kind), "worse": ("none", "none")})
        }
        replies = {"better": kind, "same": "none", "worse": "none", "unsure": kind}
        assert asked(kinds, EXTENDED) == {
            "Q6": ((kind, "none"), {reply: ("Q9b", pick) for reply, pick in replies.items()})
        }
    assert asked(("none", "l2", "l1"), CLASSIC) == {
        "Q6": (("l2", "none"), {"better": ("Q5", "l2"), "worse": ("Q5", "none")}),
        "Q5": (("l1", PICK), {"better": (PICK, "l1"), "worse": (PICK, None)}),
    }
    second = {"better": "l1", "same": None, "worse": None, "unsure": None}
    assert asked(("none", "l2", "l1"), EXTENDED) == {
        "Q6": (
            ("l2", "none"),
            {"better": ("Q5", "l2"), "same": ("Q5", "none"), "worse": ("Q5", "none"), "unsure": ("Q5", "l2")},
        ),
        "Q5": (("l1", PICK), {reply: ("Q9b", pick) for reply, pick in second.items()}),
    }


def test_what_stands_in_says_what_it_compares() -> None:
    questions = limited(CLASSIC, ("none", "l2", "l1")).questions
    assert questions["Q6"].text == "How well does L2 perform compared to no regularization?"
    assert questions["Q5"].text == "How well does L1 perform compared to the best so far?"
    assert questions["Q5"].judge == questions["Q6"].judge == "comparison"

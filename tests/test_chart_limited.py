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
    resolve,
    sparse_first,
)
from regadvisor.flowchart.limited import limited
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
    with pytest.raises(ParameterError, match="chart must be 'classic' or 'extended'"):
        limited(replace(EXTENDED, name="mine"), ("none", "l2"))

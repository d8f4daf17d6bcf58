"""The HTML page of a record with all pictures that it has the numbers for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import product

from regadvisor.errors import ParameterError
from regadvisor.flowchart import draw
from regadvisor.flowchart.chart import Chart, limited, resolve, sparse_first
from regadvisor.pictures.draw import to_svg
from regadvisor.records import Record, Step
from regadvisor.regularizer import DROPOUT_KINDS, KINDS, Kind
from regadvisor.report.html import to_page
from regadvisor.report.phrases import clean
from regadvisor.report.view import mapped, view


def page(record: Record, *, snippets: Mapping[str, str] | None = None) -> str:
    """Return the whole report as one HTML page; `snippets` is code that uses the advice, by library."""
    return to_page(view(record), record, pictures=dict(_pictures(record)), snippets=snippets)


class Svg(str):
    """SVG text, which a notebook shows as a picture."""

    def _repr_svg_(self) -> str:
        return str(self)


def chart_svg(record: Record) -> Svg:
    """Return the chart that was walked as SVG, the path thick; it has to be one of ours."""
    return Svg(draw.to_svg(_chart(record), mapped(record.walk, clean)))


def _pictures(record: Record) -> Iterator[tuple[str, str]]:
    with suppress(ParameterError):  # a chart of the caller's own
        yield "chart", chart_svg(record)
    for kind in ("kinds", "strength", "growth", "features", "sample"):
        with suppress(ParameterError):  # nothing of the kind was measured
            yield kind, to_svg(record, kind)


#: Which penalties a model may lack; the chart is then another one.
_EXPRESSED: tuple[tuple[Kind, ...], ...] = (KINDS, ("none", "l2"), ("none", "l1"), ("none", "l2", "l1"))


def _chart(record: Record) -> Chart:
    """Return the chart by the name that the record has, for penalties with which it has the path."""
    scores = record.evidence.scores
    has_dropout = record.settings.model == "mlp" or (
        scores is not None and any(score.kind in DROPOUT_KINDS for score in scores.scores)
    )
    tried = () if scores is None else tuple(dict.fromkeys(score.kind for score in scores.scores))
    training = record.training
    is_callers = training is not None and (training.estimator or training.family == "fitted")
    known = (tried,) if tried and is_callers else ()
    # A model that lacks a penalty is said to; its path may be one of the whole chart, too.
    lacks = any(note.code == "kinds-of-model" for note in record.notes)
    expressed = known + (_EXPRESSED[1:] if lacks else ()) + _EXPRESSED
    # A deadline may have left out every fit with dropout.
    for with_dropout, kinds in product((has_dropout, not has_dropout), expressed):
        chart = limited(resolve(record.settings.chart, has_dropout=with_dropout), kinds)
        chart = sparse_first(chart) if record.settings.prefer == "sparse" else chart
        if all(_is_on(step, chart) for step in record.walk.steps):
            return chart
    raise ParameterError(
        "kind must not be 'chart' where another chart was walked, got one that is not in the record; draw it "
        "with regadvisor.flowchart.draw.to_svg(chart, walk)"
    )


def _is_on(step: Step, chart: Chart) -> bool:
    """Return whether a step is one of the chart."""
    question = chart.questions.get(step.question)
    return question is not None and step.reply in question.edges and question.edges[step.reply].to == step.to

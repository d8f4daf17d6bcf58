"""The HTML page of a record with all pictures that it has the numbers for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from regadvisor.errors import ParameterError
from regadvisor.flowchart import draw
from regadvisor.flowchart.chart import Chart, resolve, sparse_first
from regadvisor.flowchart.limited import limited
from regadvisor.pictures.draw import to_svg
from regadvisor.records import Record
from regadvisor.regularizer import DROPOUT_KINDS, KINDS
from regadvisor.report.html import Picture, to_page
from regadvisor.report.picture_data import caption, strength_picture
from regadvisor.report.view import view


def page(record: Record, *, snippets: Mapping[str, str] | None = None) -> str:
    """Return the whole report as one HTML page.

    Parameters
    ----------
    record : Record
    snippets : mapping of str to str, optional
        Code that uses the advice, by library.
    """
    return to_page(view(record), record, pictures=dict(_pictures(record)), snippets=snippets)


def chart_svg(record: Record) -> str:
    """Return the chart that was walked as SVG, the path thick.

    Raises
    ------
    ParameterError
        If it was a chart of the caller's own, which is not in the record.
    """
    return draw.to_svg(_chart(record), record.walk)


def _pictures(record: Record) -> Iterator[tuple[str, Picture]]:
    with suppress(ParameterError):  # a chart of the caller's own
        yield "chart", Picture(svg=chart_svg(record))
    for kind in ("kinds", "strength", "growth", "features", "sample"):
        with suppress(ParameterError):  # nothing of the kind was measured
            said = caption(strength_picture(record)) if kind == "strength" else ""
            yield kind, Picture(svg=to_svg(record, kind), caption=said)


def _chart(record: Record) -> Chart:
    """Return the chart by the name that the record has, as it was for these kinds of candidates."""
    scores = record.evidence.scores
    has_dropout = record.settings.model == "mlp" or (
        scores is not None and any(score.kind in DROPOUT_KINDS for score in scores.scores)
    )
    chart = resolve(record.settings.chart, has_dropout=has_dropout)
    training = record.training
    if scores is not None and training is not None and (training.estimator or training.family == "fitted"):
        tried = {score.kind for score in scores.scores}
        chart = limited(chart, tuple(kind for kind in KINDS if kind in tried))
    chart = sparse_first(chart) if record.settings.prefer == "sparse" else chart
    for step in record.walk.steps:
        question = chart.questions.get(step.question)
        if question is None or step.reply not in question.edges or question.edges[step.reply].to != step.to:
            raise ParameterError(
                f"kind must not be 'chart' where another chart was walked, got one with {step.question!r}: "
                "it is not in the record; draw it with regadvisor.flowchart.draw.to_svg(chart, walk)"
            )
    return chart

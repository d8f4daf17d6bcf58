"""Advice without data: from what the caller knows of the features alone. It loads nothing heavy."""

from __future__ import annotations

from dataclasses import replace

from regadvisor import __version__
from regadvisor.advice import Advice
from regadvisor.arguments import check
from regadvisor.errors import ParameterError
from regadvisor.flowchart.chart import Chart, resolve
from regadvisor.flowchart.walk import walk
from regadvisor.records import (
    FORMAT,
    Claim,
    CorrelationEvidence,
    Evidence,
    Note,
    PriorEvidence,
    Record,
    Settings,
    Strength,
    WholePictureEvidence,
)
from regadvisor.regularizer import LABELS, Regularizer


def advise_without_data(
    *,
    chart: str | Chart = "extended",
    correlated: bool | None = None,
    whole_picture: bool | None = None,
    prior_knowledge: bool | None = None,
) -> Advice:
    """Advise by prior knowledge alone: walk Q3, Q3a and Q3b without any data.

    Parameters
    ----------
    chart : {"extended", "classic"} or Chart
    correlated, whole_picture : bool, optional
        Replies to Q3a and Q3b; None: don't know.
    prior_knowledge : bool, optional
        Reply to Q3; None: yes if one of the two is given.

    Strengths are unknown without data, so ``build()`` and ``apply()`` of the result raise StrengthError.

    Examples
    --------
    >>> advise_without_data(correlated=True).regularizer.kind
    'l2'
    """
    check("correlated", correlated)
    check("whole_picture", whole_picture)
    check("prior_knowledge", prior_knowledge)
    way_chart = resolve(chart, has_dropout=False)
    if "Q3" not in way_chart.questions:
        raise ParameterError(
            "chart must have a question Q3 to be walked without data; pass 'classic' or 'extended'"
        )
    is_given = correlated is not None or whole_picture is not None
    known = is_given if prior_knowledge is None else prior_knowledge
    evidence = Evidence(
        prior=PriorEvidence(
            correlated=correlated, whole_picture=whole_picture, can_measure=False, is_known=prior_knowledge
        ),
        correlation=CorrelationEvidence(given=correlated),
        whole_picture=WholePictureEvidence(given=whole_picture),
    )
    way, evidence = walk(replace(way_chart, start="Q3"), evidence)
    return Advice(
        Record(
            format=FORMAT,
            status="advice",
            data=None,
            settings=Settings(
                model="none",
                task="none",
                chart=way_chart.name,
                effort="none",
                effort_source="given",
                budget_s=0.0,
                folds=0,
                random_state=0,
                correlated=correlated,
                whole_picture=whole_picture,
                version=__version__,
            ),
            evidence=evidence,
            walk=way,
            strength=Strength(regularizer=Regularizer.unknown(way.kind), source="none"),
            training=None,
            claims=(Claim(name="kind", statement=f"Start with {LABELS[way.kind]}.", support=None),),
            notes=() if known else (Note(code="nothing-known", text="Nothing was said about the features."),),
        )
    )

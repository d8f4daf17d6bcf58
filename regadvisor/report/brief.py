"""The advice in a dozen fields: what a program, or a person with ``jq``, wants of a record."""

from __future__ import annotations

from typing import Any

from regadvisor.records import Record
from regadvisor.report.sections import warnings
from regadvisor.report.units import parameters
from regadvisor.report.verdict import headline, main_claim


def brief(record: Record) -> dict[str, Any]:
    """Return the summary of a record as plain data.

    Returns
    -------
    dict
        verdict : str
            The sentences a person reads first.
        status : str
            "advice", "tie", "no_signal" or "cant_tell".
        kind, l1, l2, dropout, coupling
            The regularizer for the full data; strengths are None where they are unknown.
        parameters : dict
            By the name of what takes them, such as ``{"Ridge": {"alpha": 13.5}}``.
        gain, gain_low, gain_high : float or None
            Share of the loss without a regularizer that it takes off, and the ends of its interval, each 80%
            sure.
        support : float or None
            Of the claim that the verdict rests on; see ``advice.confidence``.
        ties : list of str
        most_lost : float or None
            What another kind saves at most in 90% of the resamplings, as a share of the loss.
        took_s : float
        n_rows, n_sample : int or None
        warnings : list of str
            What is odd about the data.

    Examples
    --------
    >>> from regadvisor import advise_without_data
    >>> brief(advise_without_data(correlated=True).record)["kind"]
    'l2'
    """
    regularizer, claim = record.strength.regularizer, main_claim(record)
    sample = record.evidence.sample
    return {
        "verdict": " ".join(headline(record)),
        "status": record.status,
        "kind": regularizer.kind,
        "l1": regularizer.l1,
        "l2": regularizer.l2,
        "dropout": regularizer.dropout,
        "coupling": regularizer.coupling,
        "parameters": parameters(record),
        **dict(zip(("gain", "gain_low", "gain_high"), gains(record), strict=True)),
        "support": None if claim is None else claim.support,
        "ties": list(record.ties),
        "most_lost": record.most_lost,
        "took_s": record.timings.total_s,
        "n_rows": None if record.data is None else record.data.n_rows,
        "n_sample": None if sample is None else sample.n_rows,
        "warnings": list(warnings(record)),
    }


def gains(record: Record) -> tuple[float, float, float] | tuple[None, None, None]:
    """Return the gain over no regularizer with its ends, as shares of the loss; None where there are none."""
    scores = record.evidence.scores
    found = None if scores is None else scores.comparison(record.strength.regularizer.kind, "none")
    if found is None or found.loss_b <= 0:
        return (None, None, None)
    return (-found.difference / found.loss_b, -found.most / found.loss_b, -found.least / found.loss_b)

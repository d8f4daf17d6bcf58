"""Small phrases that every sentence of a report is made of."""

from __future__ import annotations

from dataclasses import replace

from regadvisor.records import Claim, Comparison, ScoreEvidence
from regadvisor.regularizer import Regularizer, plain_label
from regadvisor.thresholds import LIKELY
from regadvisor.words import capital, joined, number, percent

#: Characters of a feature's name.
_LONGEST_NAME = 26
STRENGTH_NAMES = {"l1": "L1 strength", "l2": "L2 strength", "dropout": "dropout rate"}
_SHORT = {"l1": "L1", "l2": "L2", "dropout": "rate"}


def short_label(side: str) -> str:
    """Return a kind, or another side of a comparison, for tables.

    >>> short_label("elasticnet"), short_label("none")
    ('L1+L2', 'none')
    """
    return "none" if side == "none" else plain_label(side)


def sentence(text: str) -> str:
    """Return `text` as one sentence: capital first, a full stop last.

    >>> sentence("rows drift in time")
    'Rows drift in time.'
    """
    text = capital(text.strip())
    return text if not text or text.endswith((".", "!", "?", ".)", ":")) else f"{text}."


def strengths(regularizer: Regularizer, digits: int = 3) -> str:
    """Return the strengths as part of a sentence, empty for no regularizer.

    >>> strengths(Regularizer(l2=3.1e-4)), strengths(Regularizer(l2=1e-3, dropout=0.2))
    ('strength 0.00031', 'L2 strength 0.001 and dropout rate 0.2')
    """
    values = regularizer.strengths()
    if len(values) == 1:
        ((name, value),) = values.items()
        return f"{'rate' if name == 'dropout' else 'strength'} {number(value, digits)}"
    return joined(f"{STRENGTH_NAMES[name]} {number(value, digits)}" for name, value in values.items())


def short_strengths(regularizer: Regularizer) -> str:
    """Return the strengths as a cell of a table.

    >>> short_strengths(Regularizer(l1=1e-3, l2=3e-4)), short_strengths(Regularizer(l2=0.5))
    ('L1 0.001, L2 0.0003', '0.5')
    """
    values = regularizer.strengths()
    if len(values) == 1:
        return number(next(iter(values.values())))
    return ", ".join(f"{_SHORT[name]} {number(value)}" for name, value in values.items())


def likely(probability: float) -> str:
    """Return a probability as a word. The scale is coarse: these shares are not calibrated.

    >>> [likely(p) for p in (0.97, 0.8 - 1e-12, 0.7, 0.5, 0.2)]  # the second is told as 0.80
    ['very likely', 'likely', 'more likely than not', 'a toss-up', 'unlikely']
    """
    return next((word for least, word in LIKELY if probability + 1e-9 >= least), "unlikely")


def support(claim: Claim | None) -> str:
    """Return how sure a claim is, as a word.

    >>> support(Claim(name="kind", statement="L2", support=0.861))
    'likely'
    """
    if claim is None or claim.support is None:
        return "not measured"
    return likely(claim.support)


def of_loss(claim: Claim, scores: ScoreEvidence, found: Comparison) -> Claim:
    """Return the claim "regularize" as one about the loss, from the comparison of the pick with none.

    Where there is no best fit without a penalty, the claim is sure whatever the loss.
    """
    if scores.none_exists or claim.support is None or found.p_better >= claim.support:
        return claim
    return replace(claim, support=found.p_better)


def signed_percent(share: float) -> str:
    """Return a share as a percentage with its sign.

    >>> signed_percent(0.2416), signed_percent(-0.006), signed_percent(0.0)
    ('+24%', '-0.6%', '0%')
    """
    shown = percent(share)
    return shown if shown == "0%" else f"{'+' if share > 0 else '-'}{shown}"


def short_name(name: str) -> str:
    """Return the name of a column as it may stand in a sentence or beside a picture.

    >>> short_name("mean radius"), short_name("x" * 30)
    ('mean radius', 'xxxxxxxxxxxxxxxxxxxxxxxxx…')
    """
    shown = clean(name)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 1]}…"


def clean(text: str) -> str:
    """Return `text` on one line and without control characters, which names of columns may hold.

    >>> clean("a" + chr(10) + "b" + chr(27) + "[31m")
    'a b�[31m'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "�" for c in text)

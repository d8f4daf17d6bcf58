"""From paired losses to probabilities, and to the three claims: the only file that does this.

1. *Does regularizing help?* The probability that the advised kind gains more than a tie over no regularizer:
   the mass of a Student t around the paired difference, so ending at "L2 when in doubt" is no evidence. Where
   no regularizer ties, the claim is that there is no measurable difference.
2. *Does it matter which?* The share of resampled rows on which the advised kind is no worse than the best
   other one; every kind that ties, none included; and the most that another kind would save.
3. *How strong?* The share of resampled rows on which the advised strength is no worse than any other.

For the bound in 2, strengths are not chosen again on resampled rows: whoever trains the model gets those that
were chosen. Choosing anew in every draw lets each kind follow the luck of the rows, which hides what they
differ by (``benchmarks/first_screen.py``).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import special

from regadvisor import thresholds
from regadvisor.compare.panel import ANY, CONSTANT
from regadvisor.records import Claim, Comparison, ScoreEvidence
from regadvisor.regularizer import KINDS, LABELS, Kind

if TYPE_CHECKING:
    from regadvisor.compare.resampled import Resampled


def judged(
    a: str,
    b: str,
    difference: float,
    *,
    scale: float,
    df: float,
    region: float,
    losses: tuple[float, float],
    n_rows: int,
) -> Comparison:
    """Return the comparison whose posterior is a Student t at `difference` with `scale` and `df`."""
    p_better, p_same, p_worse = masses(difference, scale=scale, df=df, region=region)
    half, inner = (
        float(special.stdtrit(df, p)) * scale for p in (0.5 + thresholds.INTERVAL / 2, thresholds.REPLY_MASS)
    )
    return Comparison(
        a=a,
        b=b,
        reply=_reply(p_better, p_same, p_worse),
        difference=difference,
        low=difference - half,
        high=difference + half,
        least=difference - inner,
        most=difference + inner,
        region=region,
        p_better=p_better,
        p_same=p_same,
        p_worse=p_worse,
        loss_a=losses[0],
        loss_b=losses[1],
        n_rows=n_rows,
    )


def _reply(p_better: float, p_same: float, p_worse: float) -> Literal["better", "same", "worse", "unsure"]:
    """Return the class with enough mass; at most one can have it."""
    if p_better >= thresholds.REPLY_MASS:
        return "better"
    if p_worse >= thresholds.REPLY_MASS:
        return "worse"
    return "same" if p_same >= thresholds.REPLY_MASS else "unsure"


def masses(difference: float, *, scale: float, df: float, region: float) -> tuple[float, float, float]:
    """Return the posterior mass below, inside and above ±`region`.

    Without any spread (`scale` 0) the difference is known and one mass is 1.

    >>> masses(0.0, scale=0.0, df=5.0, region=0.0)
    (0.0, 1.0, 0.0)
    """
    if scale == 0:
        below, above = float(difference < -region), float(difference > region)
    else:
        below = float(special.stdtr(df, (-region - difference) / scale))
        above = float(special.stdtr(df, (difference - region) / scale))
    return below, max(0.0, 1.0 - (below + above)), above


def is_decided(comparisons: Collection[Comparison], best: str) -> bool:
    """Whether more of the same rows are hardly expected to name another kind than `best`.

    No other kind is better by more than a tie with a mass that the opposite reply needs, what is gained over
    no regularization is not left open, and there is a signal.
    """
    has_signal = any(each.a == ANY and each.reply == "better" for each in comparisons)
    pairs = [each for each in comparisons if {each.a, each.b}.isdisjoint((ANY, CONSTANT))]
    own = [each if each.a == best else each.turned for each in pairs if best in (each.a, each.b)]
    against_none = next((each for each in own if each.b == "none"), None)
    is_ahead = all(each.p_worse <= 1.0 - thresholds.REPLY_MASS for each in own)
    return has_signal and is_ahead and not is_wide(against_none)


def rows_needed(comparison: Comparison, n_rows: int) -> int | None:
    """Return about how many rows would decide a comparison, or None if more than 50 times as many.

    The mean is taken as it stands and its variance as falling like 1/n: the answer is the fewest rows for
    which the class that the mean points to reaches ``thresholds.REPLY_MASS``.

    `n_rows`: rows behind the comparison.

    `n_rows` if it is decided already.
    """
    if comparison.reply != "unsure":
        return n_rows
    # With few degrees of freedom the interval overstates the normal scale a little: on the safe side.
    scale = (comparison.high - comparison.low) / 2 / float(special.ndtri(0.5 + thresholds.INTERVAL / 2))
    far, region = abs(comparison.difference), comparison.region

    def is_decided(n: int) -> bool:
        at_n = scale * math.sqrt(n_rows / n)
        _, inside, above = masses(far, scale=at_n, df=math.inf, region=region)
        return (inside if far <= region else above) >= thresholds.REPLY_MASS

    few, many = n_rows, n_rows * thresholds.FARTHEST_PROJECTION
    if not is_decided(many):
        return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if is_decided(middle) else (middle, many)
    return many


def claims(
    kind: Kind, draws: Resampled, scores: ScoreEvidence, *, signal: float = 1.0, discount: float = 1.0
) -> tuple[Claim, ...]:
    """Return whether to regularize, which kind, and how strong, each with how sure it is.

    `kind`: what is advised. `scores`: its comparisons are read. `signal`: probability that anything beats the
    constant: it bounds the first two claims. `discount`: factor on all of them, for what a sub sample does
    not show.
    """
    region = f"{thresholds.SAME_REGION:.1%}"
    against_none, statement = scores.comparison(kind, "none"), regularize(kind)
    helps = no_worse(draws, ["none"]) if kind == "none" or against_none is not None else None  # not measured
    if kind != "none" and not scores.none_exists:
        helps = 1.0  # without a penalty there is no best fit
    elif against_none is not None:  # a penalty helps if it gains more than a tie
        helps = against_none.p_better
        if "none" in ties(kind, scores):  # no penalty is known to help, and none to harm
            statement = f"Regularizing or not changes the loss by less than {region}."
            helps = against_none.p_same
    strength = None if kind == "none" else strength_holds(draws, kind)
    found: dict[Literal["regularize", "kind", "strength"], tuple[str, float | None]] = {
        "regularize": (statement, None if helps is None else helps * signal),
        "kind": (f"Start with {LABELS[kind]}.", no_worse(draws, [kind]) * signal),
        "strength": (f"Its strength is within {region} of the best tried.", strength),
    }
    return tuple(
        Claim(name=name, statement=said, support=None if share is None else capped(share * discount))
        for name, (said, share) in found.items()
    )


def regularize(outcome: str) -> str:
    """Return what an outcome says about regularizing."""
    return "No regularizer is needed." if outcome in ("none", "no signal") else "Regularize."


def capped(share: float) -> float:
    """Return a share that claims no more than anything can claim."""
    return min(share, thresholds.HIGHEST_SUPPORT)


def ties(kind: str, scores: ScoreEvidence) -> tuple[Kind, ...]:
    """Return the kinds that are the same as `kind`, or differ too little; none is one only if it exists."""
    others = [other for other in KINDS if other != kind and (other != "none" or scores.none_exists)]
    found = ((other, scores.comparison(other, kind)) for other in others)
    return tuple(other for other, comparison in found if comparison and comparison.is_tie)


def is_wide(against_none: Comparison | None) -> bool:
    """Whether the rows allow both a gain and a harm that matter."""
    if against_none is None:
        return False
    limit = thresholds.CANT_TELL_WIDTH * against_none.loss_b
    return against_none.low < -limit and against_none.high > limit


def no_worse(draws: Resampled, kinds: Collection[str]) -> float:
    """Return the share of draws in which the best of `kinds` is no worse than the best of the others.

    Losses are those expected of all rows. "No worse" allows ``thresholds.SAME_REGION``: two that tie are both
    right. It is 1 without others.
    """
    is_named = np.array([kind in kinds for kind in draws.honest.panel.kinds])
    if is_named.all():
        return 1.0
    if not is_named.any():
        return 0.0
    losses = draws.at_full_size(draws.lowest)
    named, others = losses[:, is_named].min(axis=1), losses[:, ~is_named].min(axis=1)
    return float(np.mean(named <= others + thresholds.SAME_REGION * np.abs(others)))


def most_lost(draws: Resampled, kind: str) -> float:
    """Return what `kind` costs if another is the best: at most this share of the loss in 90% of draws.

    Losses are those of one model a kind, with the strength that is best on all rows, trained on all rows; the
    best kind is found anew in every draw.
    """
    losses = draws.at_full_size(draws.trained)
    lowest = losses.min(axis=1)
    own = losses[:, draws.honest.panel.kinds.index(kind)]
    lost = (own - lowest) / np.maximum(np.abs(lowest), np.finfo(np.float64).tiny)
    return float(np.quantile(lost, thresholds.LOST_MASS))


def strength_holds(draws: Resampled, kind: str) -> float:
    """Return the share of draws in which the strengths best on all rows are no worse than any of `kind`.

    "No worse" allows ``thresholds.SAME_REGION``. It is 1 for a kind with a single candidate.
    """
    at = draws.honest.panel.kinds.index(kind)
    lowest, best = draws.lowest[:, at], draws.best[:, at]
    return float(np.mean(best <= lowest + thresholds.SAME_REGION * np.abs(lowest)))

"""The judges of Q4s to Q9b: how one kind compares with another, and whether the lowest loss overrules that.

They are listed in ``questions.py``.
"""

from __future__ import annotations

import math
from typing import Literal

from regadvisor import thresholds
from regadvisor.flowchart.chart import BOTH, PICK, Question
from regadvisor.full_size import rescaled_loss
from regadvisor.records import Answer, Comparison, Evidence, Number, Reply, ScoreEvidence
from regadvisor.regularizer import KINDS, Kind, plain_label
from regadvisor.words import between, capital, number, part_of, spread

Mode = Literal["sign", "interval"]
MASSES = ("p_better", "p_same", "p_worse")


def numbers_of(evidence: object, *names: str) -> dict[str, Number]:
    """Return the named numbers of a piece of evidence."""
    return {name: getattr(evidence, name) for name in names}


def best_with_dropout(evidence: Evidence) -> Kind:
    """Return dropout+L1 if it has the lower honest loss, else dropout+L2."""
    scores = evidence.scores
    losses = {} if scores is None else scores.honest_losses
    l1, l2 = (losses.get(kind, math.inf) for kind in ("dropout_l1", "dropout_l2"))
    return "dropout_l1" if l1 < l2 else "dropout_l2"


def kind_of_lowest(evidence: Evidence) -> Kind:
    """Return the kind of the candidate with the lowest loss expected of all rows; nothing known: none."""
    scores = evidence.scores
    losses = {} if scores is None else _losses_at_full_size(scores)
    real = [kind for kind in KINDS if kind in losses and (kind != "none" or (scores and scores.none_exists))]
    return min(real, key=losses.__getitem__, default="none")


def _losses_at_full_size(scores: ScoreEvidence) -> dict[str, float]:
    """Return the lowest loss by kind, with what rescaling its strengths to all rows is expected to cost."""
    return {
        kind: rescaled_loss(loss, scores.carry_costs.get(kind, 0.0), constant=scores.constant_loss)
        for kind, loss in scores.lowest_losses.items()
    }


def lowest_loss(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    """Answer whether the best candidate of another kind undercuts that of the pick."""
    scores = evidence.scores
    assert scores is not None
    best, own = kind_of_lowest(evidence), pick or "none"
    if own not in scores.lowest_losses:
        reply: Reply = "yes" if scores.lowest_losses else "no"
        return Answer(reply=reply, because=f"No fit of {plain_label(own)} finished.")
    expected = _losses_at_full_size(scores)
    lowest, loss = expected[best], expected[own]
    paid = _rescaled_text(scores, expected, best, own)
    is_tie = not paid and _is_simpler_tie(scores, best, own)  # the comparison knows no cost of rescaling
    edge = (thresholds.TIE_WIDTH if is_tie else thresholds.OVERRULED_FROM) * loss
    numbers: dict[str, Number] = {"lowest_kind": best, "lowest_loss": lowest, "pick_loss": loss}
    distance = abs(loss - lowest - edge) / max(loss, 1e-12)
    less = part_of(loss - lowest, loss)
    if loss - lowest > edge:
        needed = part_of(loss - lowest - edge, loss)
        return Answer(
            reply="yes",
            because=f"{capital(_with(best))} the loss is {less} lower than {_with(own)}{paid}.",
            numbers=numbers,
            flips_to="no",
            flips_if=None if needed == "0%" else f"the best loss of {plain_label(own)} were {needed} lower",
            distance=distance,
        )
    if best == own:
        because = f"The loss is lowest {_with(best)} ({number(loss)}){paid}."
    else:
        less = "less than 0.1%" if less == "0%" else less
        why = (
            f"but the two tie, and {plain_label(own)} is simpler" if is_tie else f"too little to count{paid}"
        )
        because = f"{capital(_with(best))} it is {less} lower, {why}."
    return Answer(reply="no", because=because, numbers=numbers)


def _is_simpler_tie(scores: ScoreEvidence, best: Kind, own: Kind) -> bool:
    """Whether the pick is the simpler of two penalties that tie, and rather are the same than differ.

    Not for no regularizer: a mild penalty that does as well is less of a risk than none at all.
    """
    found = scores.comparison(best, own)
    rather_same = found is not None and found.is_tie and found.p_same >= found.p_better
    return rather_same and own != "none" and KINDS.index(own) < KINDS.index(best)


def _with(kind: Kind) -> str:
    return "without a regularizer" if kind == "none" else f"with {plain_label(kind)}"


def _rescaled_text(scores: ScoreEvidence, expected: dict[str, float], *kinds: Kind) -> str:
    """Return a clause on what is expected to be lost on the way to all rows, if anything is."""
    lost = {kind: expected[kind] - scores.lowest_losses[kind] for kind in dict.fromkeys(kinds)}
    shares = {kind: part_of(rise, expected[kind]) for kind, rise in lost.items() if rise > 0}
    said = [f"{share} of {plain_label(kind)}" for kind, share in shares.items()]
    return f", after what rescaling to all rows may cost ({' and '.join(said)})" if said else ""


def comparison(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    """Answer how well one side performs compared to another."""
    scores = evidence.scores
    assert scores is not None
    assert question.compares is not None
    named = {PICK: pick or "none", BOTH: best_with_dropout(evidence)}
    a, b = (named.get(side, side) for side in question.compares)
    if a == b:
        because = f"{plain_label(a)} is the best so far itself."
        return question.settled(Answer(reply="same", because=because), lean="worse")
    found = scores.comparison(a, b)
    if found is None:
        known = {*scores.honest_losses, "constant"}
        missing = " or ".join(plain_label(side) for side in (a, b) if side not in known)
        because = f"No fit of {missing} finished, so there is nothing to compare."
        return question.settled(Answer(reply="unsure", because=because), lean="worse")
    reply = _reply(question, found, mode)
    because = comparison_text(found, reply)
    if reply != found.reply and found.difference < 0 and mode == "interval":
        because = f"{because[:-1]}; that may be luck."
    if (a, b) == ("l2", "none") and not scores.none_exists and reply != "better" and mode == "interval":
        # Ever weaker L2 comes as near to it as one likes, so neither a tie nor a lower loss speaks for it.
        return Answer(
            reply="unsure",
            because=f"{because} But without a penalty some weights grow without limit.",
            numbers=numbers_of(found, "difference", "low", "high", "region", *MASSES),
        )
    edge = 0.0 if mode == "sign" else found.region
    in_doubt = " In doubt a mild L2 is the safer choice." if (a, b, reply) == ("l2", "none", "unsure") else ""
    return Answer(
        reply=reply,
        because=f"{because}{in_doubt}",
        numbers=numbers_of(found, "difference", "low", "high", "region", *MASSES),
        flips_to=_across(found, reply, mode),
        flips_if=_comparison_flip(found, reply, mode),
        distance=abs(abs(found.difference) - edge) / max(found.loss_b, 1e-12),  # as a share of the loss
    )


def _reply(question: Question, found: Comparison, mode: Mode) -> Reply:
    """Return the reply of a comparison: by sign, or by mass; a signal has to be shown, not doubted."""
    if mode == "sign":
        return "better" if found.difference < 0 else "worse"
    if question.compares == ("any", "constant") and found.p_better < thresholds.SIGNAL_MASS:
        return "worse" if found.reply == "worse" else "same"
    return found.reply


def comparison_text(found: Comparison, reply: Reply) -> str:
    """Return the difference as a share of the loss, with the bound, or both, that made the reply."""
    a, b = capital(plain_label(found.a)), plain_label(found.b)
    share = part_of(found.difference, found.loss_b)
    how_much = f"{share} {'lower' if found.difference < 0 else 'higher'}"
    if reply == found.reply == "same":
        apart = "the losses are equal" if share in ("0", "0%") else f"its loss is {how_much}"
        return f"{a} ties with {b}: {apart}."
    bound = spread(found.difference, found.least, found.most, found.loss_b, mass=thresholds.REPLY_MASS)
    if share in ("0", "0%"):
        return f"{a} has about the same loss as {b} ({bound})."
    return f"{a} has a loss {how_much} than {b} ({bound})."


def _across(found: Comparison, reply: Reply, mode: Mode) -> Reply:
    """Return the reply on the other side of the nearest threshold."""
    if mode == "sign":
        return "worse" if reply == "better" else "better"
    if reply in ("better", "worse"):
        return "same"
    return "better" if found.difference < 0 else "worse"


def _comparison_flip(found: Comparison, reply: Reply, mode: Mode) -> str | None:
    """Return what would lead to the reply of :func:`_across`; None where rounding hides the step."""
    a, b = plain_label(found.a), plain_label(found.b)
    how = "better" if found.difference < 0 else "worse"
    now, edge = part_of(found.difference, found.loss_b), part_of(found.region, found.loss_b)
    if mode == "interval" and found.reply == "unsure":
        so_far = between(found.least, found.most, found.loss_b, words=("better", "worse"))
        return f"more rows showed that {a} is {how} than {b} (so far it is {so_far})"
    if mode == "sign":
        return None if now == "0%" else f"{a} were not {how} than {b} (now {now} {how})"
    if now == edge:
        return None
    least = "at least" if reply == "same" else "less than"
    return f"{a} were {least} {edge} {how} than {b} (now {now})"

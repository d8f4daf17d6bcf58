"""The sentences a person reads first: what to start with, how sure, what it cost, what would flip it."""

from __future__ import annotations

from regadvisor.records import FEW_RULE, HIDDEN_SIGNAL, Claim, Comparison, Record, ScoreEvidence, Step
from regadvisor.regularizer import KINDS, LABELS, Kind
from regadvisor.report.phrases import interval, label, seconds, sentence, strengths, support, unit
from regadvisor.wording import capital, counted, joined, number


def headline(record: Record) -> tuple[str, ...]:
    """Return the verdict of `record`, one sentence per item, the most important first."""
    if record.status == "cant_tell":
        return (*_cant_tell(record), *_cost(record))
    if record.status == "no_signal":
        first = _no_signal(record)
    elif record.strength.source == "default" or record.evidence.scores is None:
        first = _untrained(record)
    elif record.status == "tie":
        first = _tie(record, record.evidence.scores)
    elif record.walk.outcome == "none":
        first = _none(record, record.evidence.scores)
    else:
        first = (f"Start with {start(record)}.", _sure(record), *_overruled(record))
    return (*first, *_cost(record), *_flip(record))


def start(record: Record) -> str:
    """Return what to start with, as in ``"L2, strength 0.00031"``."""
    regularizer = record.strength.regularizer
    if regularizer.kind == "none":
        return LABELS["none"]
    how = strengths(regularizer)
    source = "default " if record.strength.source == "default" else ""
    return f"{regularizer.label}, {source}{how}"


def main_claim(record: Record) -> Claim | None:
    """Return the claim the verdict rests on: whether to regularize (ties, none), else which kind."""
    by_name: dict[str, Claim] = {claim.name: claim for claim in record.claims}
    is_about_whether = record.status == "tie" or record.walk.outcome == "none"
    first, second = ("regularize", "kind") if is_about_whether else ("kind", "regularize")
    return by_name.get(first) or by_name.get(second)


def losses(scores: ScoreEvidence) -> dict[str, float]:
    """Return the loss of every kind that a report names: the mean held-out loss of its best candidate.

    It is the loss of ``advice.scores`` and of Q9b. Gains are another quantity: they are corrected for the
    luck of having picked the best of several strengths.
    """
    return scores.lowest_losses or scores.honest_losses


def best_regularizer(scores: ScoreEvidence) -> Kind | None:
    """Return the kind with the lowest loss, no regularizer left out."""
    found = losses(scores)
    kinds = [kind for kind in KINDS if kind != "none" and kind in found]
    return min(kinds, key=lambda kind: found[kind], default=None)


def _sure(record: Record) -> str:
    return sentence(support(main_claim(record)))


def _overruled(record: Record) -> tuple[str, ...]:
    """Return where the comparisons of kinds alone would have ended, if the lowest loss overruled them."""
    for step in record.walk.steps:
        kind = record.strength.regularizer.kind
        if step.question == "Q9b" and step.reply == "yes" and step.pick_after == kind:
            return (
                f"The comparisons alone end at {label(step.pick_before or 'none')}; {label(kind)} has the "
                "lowest loss of all candidates.",
            )
    return ()


def _none(record: Record, scores: ScoreEvidence) -> tuple[str, ...]:
    first = f"No regularizer needed: {support(main_claim(record))}."
    best = best_regularizer(scores)
    found = None if best is None else scores.comparisons.get(f"{best}:none")
    return (first,) if found is None else (first, _gain(record, scores, found))


def _gain(record: Record, scores: ScoreEvidence, found: Comparison) -> str:
    """Return how much the best regularizer gains over none, and why that is not enough."""
    gain, low, high = -found.difference, -found.high, -found.low
    if gain < -found.region:
        cost = f"{number(-gain)} {interval(-high, -low)}"
        return f"Even the best one ({label(found.a)}) costs {cost} {unit(scores.loss_name)}."
    text = (
        f"The best one ({label(found.a)}) gains {number(gain)} {interval(low, high)} {unit(scores.loss_name)}"
    )
    last = record.walk.steps[-1] if record.walk.steps else None
    if last is not None and last.question == "Q10" and last.reply in ("no", "same"):
        return f"{text} on the sample; at the full size the gain does not survive."
    return f"{text}, less than a tie." if gain <= found.region else f"{text}."


def _tie(record: Record, scores: ScoreEvidence) -> tuple[str, ...]:
    pick = record.strength.regularizer.kind
    tied: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind == pick or kind in record.ties)
    own = [loss for kind, loss in losses(scores).items() if kind in tied]
    within = f" (within {number(max(own) - min(own))} {unit(scores.loss_name)})" if len(own) > 1 else ""
    tie = f"{capital(joined(label(kind) for kind in tied))} tie{within}."
    if "none" not in tied:
        claim = main_claim(record)
        is_likely = claim is None or claim.support is None or claim.support >= 0.5
        return (
            f"{'Regularize' if is_likely else 'Regularizing is not shown to help'}: {support(claim)}.",
            tie,
            f"Start with {start(record)}{_why(record)}.",
        )
    return (tie, f"Start with {start(record)}{_why(record)}.")


def _why(record: Record) -> str:
    """Return why one of several tied kinds is the start, if that can be said in a word."""
    pick = record.strength.regularizer.kind
    if record.settings.prefer == "sparse" and pick == "l1":
        return ", the sparsest"
    if all(KINDS.index(pick) < KINDS.index(kind) for kind in record.ties):
        return ", the simplest"
    return ": in doubt a mild penalty is safer than none" if pick == "l2" and "none" in record.ties else ""


def _no_signal(record: Record) -> tuple[str, ...]:
    is_regression = record.settings.task == "regression" or (
        record.data is not None and record.data.task == "regression"
    )
    is_several = record.data is not None and record.data.n_targets > 1
    what = ("means" if is_several else "mean") if is_regression else "class shares"
    if record.training is not None and record.training.has_own_loss:
        what = "best constant"
    sentences = [f"Nothing beats predicting the {what}: {support(main_claim(record))}."]
    scores = record.evidence.scores
    own = {} if scores is None else losses(scores)
    if scores is not None and own:
        lowest = min(own, key=own.__getitem__)
        best, constant = number(own[lowest]), number(scores.constant_loss)
        also = "as does the constant" if best == constant else f"the constant {constant}"
        is_lower = own[lowest] < scores.constant_loss and best != constant
        luck = ", no more below than luck explains" if is_lower else ""
        sentences.append(
            f"The best candidate ({label(lowest)}) reaches {best} {unit(scores.loss_name)}, {also}{luck}."
        )
    sentences.append(f"If you train anyway, start with {start(record)}.")
    return tuple(sentences)


def _untrained(record: Record) -> tuple[str, ...]:
    """Return the verdict of the prior branch: nothing was trained, so there is no confidence."""
    if record.strength.source == "none" and record.strength.regularizer.kind != "none":
        return (f"Start with {record.strength.regularizer.label}.", "Its strength is unknown without data.")
    why = _gave_up(record)
    reason = () if why is None else (sentence(why.answer.because),)
    return (f"Start with {start(record)}.", "No confidence: no candidate was trained.", *reason)


def _gave_up(record: Record) -> Step | None:
    """Return the step that sent the walk past training."""
    return next((step for step in record.walk.steps if step.to == "Q3"), None)


def _cant_tell(record: Record) -> tuple[str, ...]:
    until = f"Until then start with {start(record)}."
    scores, sample = record.evidence.scores, record.evidence.sample
    if any(note.code == HIDDEN_SIGNAL for note in record.notes):
        return ("Can't tell yet: extreme values rule the loss, and nothing beats a constant guess.", until)
    if scores is None or sample is None:
        why = _gave_up(record)
        reason = "the data are too few" if why is None else why.answer.because.rstrip(".")
        return (f"Can't tell yet: {reason[:1].lower()}{reason[1:]}{_needed(record)}.", until)
    if record.walk.outcome == "no signal":
        return ("Can't tell yet: there was time for one fold, in which nothing beat a constant guess.", until)
    widest = _open_comparison(record, scores)
    leaves = (
        "leave no comparison that counts"
        if widest is None
        else f"leave an interval of {number(widest.high - widest.low)} {unit(scores.loss_name)}"
    )
    return (f"Can't tell yet: {counted(sample.n_rows, 'row')} {leaves}{_needed(record)}.", until)


def _needed(record: Record) -> str:
    """Return how many rows would decide it, as a clause."""
    if any(note.code in FEW_RULE for note in record.notes):
        return ", as a few rows rule the loss"
    if record.data is None or record.evidence.scores is None:
        return ""
    if record.rows_needed is None:
        is_open = _open_comparison(record, record.evidence.scores) is not None
        return "; it would take many more rows to decide it" if is_open else ""
    if record.rows_needed <= record.data.n_rows:
        return f"; a sample of about {record.rows_needed:,} rows would decide it"
    return f"; about {record.rows_needed - record.data.n_rows:,} more rows would decide it"


def _open_comparison(record: Record, scores: ScoreEvidence) -> Comparison | None:
    """Return the comparison with no regularizer that is left open."""
    pick = record.strength.regularizer.kind
    side = best_regularizer(scores) if pick == "none" else pick
    return scores.comparisons.get(f"{side}:none")


def _cost(record: Record) -> tuple[str, ...]:
    timings = record.timings
    if not timings.total_s:
        return ()
    full = "" if timings.full_run_s is None else f" (one full run: {seconds(timings.full_run_s)})"
    return (f"It cost {seconds(timings.total_s)}{full}.",)


def flips_left(record: Record) -> tuple[str, ...]:
    """Return the flips that :func:`headline` does not say."""
    left = record.flips if record.status == "cant_tell" else record.flips[1:]
    return tuple(sentence(_flip_clause(clause)) for clause in left)


def _flip(record: Record) -> tuple[str, ...]:
    return (f"It would flip {_flip_clause(record.flips[0])}.",) if record.flips else ()


def _flip_clause(clause: str) -> str:
    """Return a flip after the word "flip": a clause that names another outcome first gets a "to".

    Examples
    --------
    >>> _flip_clause("L2 if the gain fell"), _flip_clause("the gain fell")
    ('to L2 if the gain fell', 'if the gain fell')
    """
    clause = clause.rstrip(".")
    if clause.startswith(("to ", "if ")):
        return clause
    names_outcome = any(clause.startswith(f"{name} if ") for name in (*LABELS.values(), "no signal"))
    return f"{'to' if names_outcome else 'if'} {clause}"

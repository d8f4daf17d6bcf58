"""The sentences a person reads first: what to start with, how sure, what it cost, what would flip it."""

from __future__ import annotations

import math
import re

from regadvisor.records import (
    CURVED_SIGNAL,
    EXPLODED,
    FEW_RULE,
    HIDDEN_SIGNAL,
    ONE_CLUSTER,
    OTHER_ORDER,
    UNLEARNED_SIGNAL,
    Claim,
    Comparison,
    Record,
    ScoreEvidence,
    Step,
)
from regadvisor.regularizer import KINDS, LABELS, Kind
from regadvisor.report.phrases import likely, of_loss, sentence, short_label, strengths, support
from regadvisor.report.units import in_code, where
from regadvisor.thresholds import INTERVAL, LOST_MASS, REPLY_MASS, TOSS_UP
from regadvisor.words import (
    about,
    agreed,
    between,
    capital,
    counted,
    interval,
    joined,
    number,
    part_of,
    percent,
    seconds,
    spread,
)

#: Losses that no constant makes smaller than the mean, or the shares of the classes.
_IS_OF_MEANS = re.compile(r"(log loss|squared error|share of wrong)(,|$| classes| labels)|.*deviance")
#: Why nothing beats a constant guess although there is a signal.
_UNSEEN = {
    HIDDEN_SIGNAL: "extreme values rule the loss",
    UNLEARNED_SIGNAL: "the model learns less than a quick linear one",
    CURVED_SIGNAL: "a linear model cannot see the signal, which is curved",
    OTHER_ORDER: "the rows of X and y seem to be in different orders",
    EXPLODED: "training explodes",
}


def headline(record: Record) -> tuple[str, ...]:
    """Return the verdict of `record`, one sentence per item, the most important first."""
    if record.status == "cant_tell":
        said = _cant_tell(record)
    elif record.status == "no_signal":
        said = _no_signal(record)
    elif record.strength.source == "default" or record.evidence.scores is None:
        said = _untrained(record)
    elif "none" in record.ties or (
        record.walk.outcome == "none" and best_regularizer(record.evidence.scores) in record.ties
    ):
        said = _toss_up(record, record.evidence.scores)
    elif record.walk.outcome == "none":
        said = _none(record, record.evidence.scores)
    else:
        said = (f"Use {use(record)}.", *_helps(record, record.evidence.scores), *_others(record))
    return (*said, *_cost(record))


def use(record: Record) -> str:
    """Return what to use in the user's own unit: ``"L2: Ridge(alpha=13.5) on standardised features"``."""
    regularizer = record.strength.regularizer
    if regularizer.kind == "none":
        return LABELS["none"]
    if not regularizer.has_strengths:
        return regularizer.label
    code, default = in_code(record), record.strength.source == "default"
    if not code:
        return f"{regularizer.label}, {'default ' if default else ''}{strengths(regularizer, 2)}"
    return f"{regularizer.label}: {code}{where(record)}{', a default strength' if default else ''}"


def in_comment(record: Record) -> str:
    """Return what to use, and the strength that code beside it may name instead."""
    is_told = record.strength.source == "default" or not in_code(record)
    return f"Use {use(record)}{'' if is_told else f' ({strengths(record.strength.regularizer)})'}."


def main_claim(record: Record) -> Claim | None:
    """Return the claim the verdict rests on: whether to regularize (ties, none), else which kind."""
    by_name: dict[str, Claim] = {claim.name: claim for claim in record.claims}
    is_about_whether = record.status == "tie" or record.walk.outcome == "none"
    first, second = ("regularize", "kind") if is_about_whether else ("kind", "regularize")
    return by_name.get(first) or by_name.get(second)


def weakest_claim(record: Record) -> Claim | None:
    """Return the claim that a gate should test: of a tie the one with the least support."""
    if record.status != "tie":
        return main_claim(record)
    measured = [claim for claim in record.claims if claim.name != "strength" and claim.support is not None]
    return min(measured, key=lambda claim: claim.support or 0.0, default=main_claim(record))


def losses(scores: ScoreEvidence) -> dict[str, float]:
    """Return the loss of every kind that a report names: the mean held-out loss of its best candidate.

    It is the loss of ``advice.scores`` and of Q9b. Gains are another quantity: they are corrected for the
    luck of having picked the best of several strengths. Of equal losses the simplest kind's comes first, in a
    loaded record, too.
    """
    found = scores.lowest_losses or scores.honest_losses
    return {kind: found[kind] for kind in KINDS if kind in found}


def named_loss(scores: ScoreEvidence) -> str:
    """Return the name of the loss and what it is divided by."""
    return f"{scores.loss_name} divided by {scores.loss_scale}" if scores.loss_scale else scores.loss_name


def best_regularizer(scores: ScoreEvidence) -> Kind | None:
    """Return the kind that does best against no regularizer, by the differences that decide."""
    pairs = ((kind, scores.comparison(kind, "none")) for kind in KINDS if kind != "none")
    differences = {kind: found.difference for kind, found in pairs if found is not None}
    return min(differences, key=differences.__getitem__, default=None)


def _at_best(kind: Kind, scores: ScoreEvidence) -> tuple[str, ...]:
    """Return why a kind is advised that is not shown to help: at some strength its loss was below none's."""
    lowest, none = (scores.lowest_losses.get(each, math.inf) for each in (kind, "none"))
    if not lowest < none < math.inf or (less := part_of(none - lowest, none)) == "0%":
        return ()
    return (f"At the best strength tried it was {less} lower, which may be luck.",)


def _helps(record: Record, scores: ScoreEvidence) -> tuple[str, ...]:
    """Return whether regularizing helps, how likely that is, and by how much."""
    found = scores.comparison(record.strength.regularizer.kind, "none")
    claim = next((claim for claim in record.claims if claim.name == "regularize"), None)
    if found is None or claim is None or claim.support is None:
        is_left = "none" not in losses(scores)
        return ("What it gains was not measured: without a penalty no fit finished.",) * is_left
    bound = spread(found.difference, found.least, found.most, found.loss_b, mass=REPLY_MASS)
    less = f"Held-out {scores.loss_name} {part_of(found.difference, found.loss_b)} lower than without"
    sample, data = record.evidence.sample, record.data
    is_part = sample is not None and data is not None and sample.n_rows < data.n_rows
    where = " on the sample" if is_part else ""
    if not scores.none_exists and found.reply != "better":
        return (f"Regularizing is needed{where}: without a penalty some weights grow without limit.",)
    if claim.support < TOSS_UP:
        if found.reply == "better":  # then a signal is what is not shown
            return (f"{less} ({bound}), but the model is not shown to do better than always guessing.",)
        how = f"the loss is {_between(found)}; in doubt a penalty is safer"
        return (
            f"Regularizing is not shown to help: {how}.",
            *_at_best(record.strength.regularizer.kind, scores),
        )
    claim = of_loss(claim, scores, found)
    helps, own, constant = f"Regularizing helps: {support(claim)}.", losses(scores), scores.constant_loss
    if is_part and (claim.support or 0.0) < REPLY_MASS and found.reply == "better":
        assert data is not None
        helps = f"Regularizing helps on the sample and, {support(claim)}, on all {data.n_rows:,} rows."
    elif (claim.support or 0.0) + 1e-9 < REPLY_MASS:  # which "likely" would contradict
        bound = interval(found.least, found.most, found.loss_b, mass=REPLY_MASS)
    without, with_it = own.get("none", 0.0), own.get(record.strength.regularizer.kind, math.inf)
    # A share of a loss that exploded says nothing.
    if with_it < constant < without and len({number(each) for each in (with_it, constant, without)}) == 3:
        loss = f"{named_loss(scores)}{':' if scores.loss_scale else ''}"
        return (
            f"{helps} Without a penalty the model does worse{where} than always guessing (held-out "
            f"{loss} {number(without)} against {number(constant)}).",
        )
    return (f"{helps} {less} ({bound}).",)


def _others(record: Record) -> tuple[str, ...]:
    """Return which kinds are as good, and what is lost at most if another one is the best."""
    pick = record.strength.regularizer.kind
    sentences = []
    if record.ties:
        sentences.append(f"{_as_well([short_label(kind) for kind in record.ties])}{_why(record)}.")
    scores = record.evidence.scores
    compared = set() if scores is None else set(scores.honest_losses) - {pick, *record.ties}
    compared -= set() if scores is None or scores.none_exists else {"none"}
    if record.most_lost is not None and compared:
        lost, sure = max(record.most_lost, 0.001), f"{LOST_MASS:.0%} sure"
        most = f"{percent(lost)} more" if lost < 1 else f"{number(1 + lost, 2)} times as much"
        sentences.append(f"If another kind is the best, {short_label(pick)} costs at most {most} ({sure}).")
    return tuple(sentences)


def _why(record: Record) -> str:
    """Return why one of several tied kinds is the start, if that can be said in a word."""
    pick = record.strength.regularizer.kind
    if record.settings.prefer == "sparse" and pick == "l1":
        return f"; {short_label(pick)} is the sparsest"
    if all(KINDS.index(pick) < KINDS.index(kind) for kind in record.ties):
        return f"; {short_label(pick)} is the simplest"
    own = {} if record.evidence.scores is None else losses(record.evidence.scores)
    return (
        f"; {short_label(pick)} has the lowest loss" if own and pick == min(own, key=own.__getitem__) else ""
    )


def _toss_up(record: Record, scores: ScoreEvidence) -> tuple[str, ...]:
    """Return the verdict where no regularizer is as good as the pick, or is the pick itself and a tie."""
    pick = record.strength.regularizer.kind
    side = pick if pick != "none" else best_regularizer(scores)
    found = scores.comparison(side or "none", "none")
    is_open = found is None or found.low < 0 < found.high
    matter = "no measurable difference" if is_open else "no difference that matters"
    is_penalty = pick in ("l1", "l2", "elasticnet")
    is_harmless = is_penalty and (found is None or likely(found.p_worse) == "unlikely")
    harmless = ", and a mild penalty does no harm" if is_harmless else ""
    joint = ":" if pick == "none" else ";"
    how = "" if found is None else f"With {short_label(found.a)} the loss is {_between(found)}. "
    tied = [LABELS["none"] if kind == "none" else short_label(kind) for kind in record.ties]
    return (f"Use {use(record)}{joint} regularizing makes {matter}{harmless}.", f"{how}{_as_well(tied)}.")


def _none(record: Record, scores: ScoreEvidence) -> tuple[str, ...]:
    sure = support(main_claim(record))
    is_shown = sure != "unlikely"  # which would seem to deny the advice
    first = f"No regularizer needed: {sure}." if is_shown else "Use no regularizer: no kind is shown to help."
    best = best_regularizer(scores)
    found = None if best is None else scores.comparison(best, "none")
    if found is None:
        return (first,)
    name, gain = short_label(found.a), -found.difference
    if gain < -found.region and is_shown:
        own = losses(scores)
        raised = f"{part_of(found.difference, found.loss_b)} higher than without"
        if not raised.partition(" ")[0].endswith("%") and {found.a, "none"} <= set(own):
            raised = f"of {number(own[found.a])} against {number(own['none'])} without"
        return (first, f"Even the best one tried, {name}, has a held-out {scores.loss_name} {raised}.")
    last = record.walk.steps[-1] if record.walk.steps else None
    if last is not None and last.question == "Q10" and last.reply in ("no", "same"):
        return (
            first,
            f"The best one, {name}, gains {part_of(gain, found.loss_b)} on the sample; at the full size the "
            "gain does not survive.",
        )
    return (first, f"With the best one, {name}, the loss is {_between(found)}.")


def _between(found: Comparison) -> str:
    """Return a difference in words: between 1.2% lower and 2.1% higher than without (95% interval).

    It is the interval by which a difference is called open, or too small to matter.
    """
    return f"{between(found.low, found.high, found.loss_b)} than without ({INTERVAL:.0%} interval)"


def _as_well(kinds: list[str]) -> str:
    return f"{capital(joined(kinds))} {'does' if len(kinds) == 1 else 'do'} as well"


def _no_signal(record: Record) -> tuple[str, ...]:
    is_regression = record.settings.task == "regression" or (
        record.data is not None and record.data.task == "regression" and not record.data.class_columns
    )
    is_several = record.data is not None and record.data.n_targets > 1
    what = ("means" if is_several else "mean") if is_regression else "class shares"
    scores = record.evidence.scores
    has_own_loss = record.training is not None and record.training.has_own_loss
    if has_own_loss or (scores is not None and not _IS_OF_MEANS.match(scores.loss_name)):
        what = "best constant"
    claim = main_claim(record)
    is_sure = claim is None or claim.support is None or claim.support >= REPLY_MASS
    said = "Nothing predicts" if is_sure else "Nothing is shown to predict"
    sure = f": {support(claim)}" if is_sure else ""
    sentences = [f"{said} better than always guessing the {what}{sure}."]
    own = {} if scores is None else losses(scores)
    if scores is not None and own:
        lowest = min(own, key=own.__getitem__)
        best, constant = number(own[lowest]), number(scores.constant_loss)
        also = ", the same as guessing" if best == constant else f" against {constant} for guessing"
        is_lower = own[lowest] < scores.constant_loss and best != constant
        luck = "; the difference may be luck" if is_lower else ""
        reached = f"has a held-out {scores.loss_name} of {best}{also}{luck}"
        sentences.append(f"The best model ({short_label(lowest)}) {reached}.")
    sentences.append(f"If you train anyway, use {use(record)}.")
    return tuple(sentences)


def _untrained(record: Record) -> tuple[str, ...]:
    """Return the verdict of the prior branch: nothing was trained, so there is no confidence."""
    if record.strength.source == "none" and record.strength.regularizer.kind != "none":
        return (f"Use {record.strength.regularizer.label}.", "Its strength is unknown without data.")
    why = _gave_up(record)
    reason = "" if why is None else f" {sentence(why.answer.because)}"
    return (f"Use {use(record)}.", f"This is a rule of thumb, not a measurement.{reason}")


def _gave_up(record: Record) -> Step | None:
    """Return the step that sent the walk past training."""
    return next((step for step in record.walk.steps if step.to == "Q3"), None)


def _cant_tell(record: Record) -> tuple[str, ...]:
    until = f"Until then use {use(record)}."
    scores, sample = record.evidence.scores, record.evidence.sample
    for note in record.notes:
        if note.code in _UNSEEN:
            return (f"Can't tell yet: {_UNSEEN[note.code]}, and nothing beats a constant guess.", until)
    if scores is None or sample is None:
        why = _gave_up(record)
        reason = "the data are too few" if why is None else why.answer.because.rstrip(".")
        return (f"Can't tell yet: {reason[:1].lower()}{reason[1:]}{_needed(record)}.", until)
    if any(note.code == ONE_CLUSTER for note in record.notes):
        return ("Can't tell yet: in the time there was, only rows that belong together were tested.", until)
    if record.walk.outcome == "no signal":
        return ("Can't tell yet: there was time for one fold, in which nothing beat a constant guess.", until)
    widest = _open_comparison(record, scores)
    if widest is None:
        rows = counted(sample.n_rows, "row")
        return (f"Can't tell yet: the time was up before anything could be compared on {rows}.", until)
    # A deadline may have left some folds out: what is told rests on the rows that were tested.
    tested = "" if widest.n_rows >= sample.n_rows else f" of the {counted(widest.n_rows, 'row')} tested"
    kind = short_label(widest.a)
    what = f"With {kind} the loss{tested} is {_between(widest)}{_needed(record)}."
    others = [short_label(kind) for kind in record.ties if kind != "none"]
    return (
        f"Can't tell yet whether to regularize. {until}",
        what,
        *([f"{_as_well(others)}."] if others else []),
    )


def _needed(record: Record) -> str:
    """Return how many rows would decide it, as a clause."""
    if record.data is None or record.evidence.scores is None:
        return ""
    if any(note.code in FEW_RULE for note in record.notes):
        return ", as a few rows rule the loss"
    if record.rows_needed is None:
        is_open = _open_comparison(record, record.evidence.scores) is not None
        return "; it would take many more rows to decide it" if is_open else ""
    sample = record.evidence.sample
    if sample is not None and record.rows_needed <= sample.n_rows:
        is_cut = record.evidence.scores.cut is not None
        return "; testing the other rows as well, with more time, would decide it" if is_cut else ""
    if record.rows_needed <= record.data.n_rows:
        return f"; a sample of about {about(record.rows_needed)} rows would decide it"
    more = record.rows_needed - record.data.n_rows
    rows = agreed(more, "row", "rows")
    return f"; about {about(more)} {rows} more than these {record.data.n_rows:,} would decide it"


def _open_comparison(record: Record, scores: ScoreEvidence) -> Comparison | None:
    """Return the comparison with no regularizer that is left open."""
    pick = record.strength.regularizer.kind
    side = best_regularizer(scores) if pick == "none" else pick
    return scores.comparison(side or "none", "none")


def _cost(record: Record) -> tuple[str, ...]:
    timings, sample, data = record.timings, record.evidence.sample, record.data
    if not timings.total_s:
        return ()
    took = seconds(timings.total_s)
    if sample is None or data is None or record.evidence.scores is None:
        return (f"This took {took}.",)
    part = f"{sample.n_rows:,} of" if sample.n_rows < data.n_rows else "all"
    scores, folds = record.evidence.scores, record.settings.folds
    tested = f", on {scores.n_folds} of {folds} folds" if scores.cut and scores.n_folds < folds else ""
    how = {"time": ", forward in time", "group": ", with whole groups held out"}.get(sample.validation, "")
    return (f"Measured on {part} {data.n_rows:,} rows in {took}{how}{tested}{_reached(record, scores)}.",)


def _reached(record: Record, scores: ScoreEvidence) -> str:
    """Return how good the advised model is, as R² for numbers, else beside always guessing.

    No regularizer on all rows is not as bad as on few of them: if it was trained on all, that is told.
    """
    kind, growth = record.strength.regularizer.kind, record.evidence.growth
    own, constant, where = losses(scores).get(kind), scores.constant_loss, ""
    if kind == "none" and growth is not None and growth.source == "checked":
        own, where = growth.sizes[-1].loss_none, " on all rows"
    if own is None or record.walk.outcome == "no signal" or not 0 < constant < math.inf:
        return ""
    if scores.loss_name == "squared error" and scores.loss_scale.startswith("the variance"):
        left = own / constant
        digits = 4 if 1e-12 < left < 0.01 else 2
        return f"; held-out R² {math.floor(10**digits * (1.0 - left) + 1e-9) / 10**digits:.{digits}f}{where}"
    return f"; held-out {scores.loss_name} {number(own)}{where}, guessing {number(constant)}"


def flips(record: Record) -> tuple[str, ...]:
    """Return what would flip the verdict, the nearest first."""
    return tuple(
        f"The answer would become {short_label(flip.outcome)} if {flip.condition}." for flip in record.flips
    )

"""The sections of a report that are lists of sentences."""

from __future__ import annotations

import math

from regadvisor.records import (
    UNSEEN_SIGNAL,
    Claim,
    DataFacts,
    Record,
    SampleEvidence,
    ScoreEvidence,
    Training,
    ZeroedFeature,
)
from regadvisor.regularizer import KINDS, label
from regadvisor.report.phrases import (
    STRENGTH_NAMES,
    likely,
    of_loss,
    sentence,
    short_label,
    short_name,
    short_strengths,
    strengths,
    support,
)
from regadvisor.report.units import in_code, range_in_own_unit
from regadvisor.thresholds import (
    CLOSE_FEATURES,
    FEWEST_ROWS_TO_VALIDATE,
    HIGHEST_SUPPORT,
    SAME_REGION,
    TOSS_UP,
)
from regadvisor.words import agreed, capital, counted, joined, number

#: Times what was projected that a budget is named which would have been enough: projections err.
_MARGIN = 1.5
#: Targets named in a line.
_MOST_TARGETS = 6
#: Pairs of features named in a line.
_MOST_PAIRS = 3
_FOLDS = {
    "random": "random folds",
    "stratified": "stratified folds",
    "group": "folds by group",
    "time": "folds forward in time",
    "blocks": "blocks of rows, each with rows of its own to train on and to test on",
}
_IS_LIKE_THE_WHOLE = {
    "equivalent": "It has the distribution of the whole.",
    "inconclusive": "Whether it has the distribution of the whole stays open.",
    "different": "It differs from the whole.",
}
#: The note that says what a model lacks.
_LACKS = "kinds-of-model"
#: The same of a single fold.
_ONE_FOLD = {"time": "the rows that follow in time", "blocks": "one block of other rows"}
_STRENGTH_MEANS = {
    "loss": "mean loss + l1·Σ|w| + l2/2·Σw² on {features}",
    "decoupled": "weights shrink by lr·l2 of themselves and lr·l1 per step, as AdamW's weight_decay does",
}


def context(record: Record) -> str:
    """Return what the data and the settings are, on one line."""
    settings = record.settings
    training = record.training
    family = settings.model if training is None else model_name(training)
    parts = [
        *([] if record.data is None else _data(record.data)),
        *(
            []
            if record.data is None and record.training is None
            else [family if " " in family else f"{family} model"]
        ),
        *([] if record.walk.chart == "extended" else [f"{record.walk.chart} chart"]),
        *(["without data"] if record.data is None else []),
        *([f"seed {settings.random_state}"] if settings.random_state else []),
        *([] if record.data is None or warnings(record) else ["no warnings about the data"]),
    ]
    return " · ".join(parts)


def model_name(training: Training) -> str:
    """Return what is trained: our family, or the caller's own model."""
    is_itself = training.family == "fitted" and training.estimator is not None
    return training.module or (training.estimator if is_itself else None) or training.family


def _data(data: DataFacts) -> list[str]:
    n_levels = sum(column.kind == "categorical" for column in data.columns)
    shape = " × ".join(map(str, data.image_shape or ()))
    each = f" of {shape}" if shape else f" × {counted(data.n_features, 'feature')}"
    size = f"{counted(data.n_rows, 'row')}{each}"
    size += f" ({n_levels:,} categorical)" if n_levels else ""
    groups = [] if data.n_groups is None else [counted(data.n_groups, "group")]
    return [
        size,
        _target(data),
        *groups,
        *(["in time order"] * data.has_time),
        *(["weighted"] * data.has_weights),
    ]


def _target(data: DataFacts) -> str:
    """Return what the target is taken as, and how to have it otherwise where it could be something else."""
    if data.task == "regression":
        if data.other_task is not None:
            name = data.target_name or "target"
            return f"{name} taken as a number: task='{data.other_task}' takes it as classes"
        if data.class_columns:
            said = f"{len(data.class_columns)} columns of classes"
            names = [f"{own.name} ({len(own.classes)})" for own in data.class_columns]
            return f"{said}: {', '.join(_first(names))}"
        # Of 0 and 1 alone the variance is m·(1 − m); of anything else it is not.
        if data.targets and all(abs(own.sd**2 - own.mean * (1 - own.mean)) < 1e-9 for own in data.targets):
            return f"{targets(data).replace('target', 'label', 1)}, each 0 or 1"
        return f"regression on {targets(data)}" if targets(data) else "regression"
    counts, labels = data.class_counts or (), data.classes or ()
    classes = counted(len(labels or counts), "class", "classes")
    if data.other_task is not None and labels:
        name = data.target_name or "target"
        many = f"{name} taken as {classes} ({labels[0]} to {labels[-1]})"
        return f"{many}: task='{data.other_task}' takes it as a number"
    shares = f" ({' / '.join(f'{n:,}' for n in counts)})" if 0 < len(counts) <= 4 else ""
    of = "" if data.target_name is None else f" of {data.target_name}"
    return f"{classes}{of}{shares}"


def targets(data: DataFacts) -> str:
    """Return the name of the target, or how many there are and their names; empty if that is not known.

    >>> from regadvisor.records import TargetFacts
    >>> facts = tuple(TargetFacts(name=name, mean=0.0, sd=1.0) for name in ("fat", "water"))
    >>> targets(DataFacts(container="array", task="regression", n_rows=9, columns=(), targets=facts))
    '2 targets: fat, water'
    """
    if not data.targets:
        return data.target_name or ""
    said = counted(len(data.targets), "target")
    names = [facts.name for facts in data.targets if isinstance(facts.name, str)]
    return f"{said}: {', '.join(_first(names))}" if names else said


def _first(names: list[str]) -> list[str]:
    return [*names[:_MOST_TARGETS], *(["…"] if len(names) > _MOST_TARGETS else [])]


def claims(record: Record) -> tuple[str, ...]:
    """Return whether to regularize and which kind, each with its own support; strengths have their range."""
    own = [claim for claim in record.claims if claim.name != "strength"]
    measured = [claim for claim in own if claim.support is not None]
    if record.claims and not measured:
        return ("No confidence: nothing was measured.",)
    is_none = record.strength.regularizer.kind == "none"  # that none is needed, and the best, is one claim
    said = [claim for claim in measured if not (is_none and claim.name == "kind" and len(measured) > 1)]
    return tuple(_claimed(claim, record) for claim in said)


def _claimed(claim: Claim, record: Record) -> str:
    """Return a claim, advice such as "regularize" as a fact, and how sure it is.

    The gain pays for the luck in choosing the strength, which the losses at the best strengths do not. So a
    mass of harm is never told: of 60 draws in which that was likelier than not, 3 were worse on new rows.
    """
    kind, scores, least = record.strength.regularizer.kind, record.evidence.scores, f"{SAME_REGION:.1%}"
    name = short_label(kind)
    found = None if kind == "none" or scores is None else scores.comparison(kind, "none")
    if claim.statement == "Regularize." and scores is not None and found is not None:
        if not scores.none_exists and found.p_better < 0.5:  # which "unlikely" would seem to deny
            return "Regularizing is needed: without a penalty there is no best fit."
        claim = of_loss(claim, scores, found)
    sure = support(claim) + ("" if claim.support is None else f" ({_down(claim.support)})")
    if claim.name == "kind":
        return f"{capital(name)} is the best kind, or within {least} of it: {sure}."
    said = claim.statement.rstrip(".")
    is_unlikely = claim.support is not None and claim.support < TOSS_UP
    if found is not None and record.walk.outcome != "no signal" and (said == "Regularize" or is_unlikely):
        said = f"{capital(name)} lowers the loss by {least} or more"
        if claim.statement != "Regularize.":  # that nothing changes is unlikely, which reads as if it helped
            sure = f"{likely(found.p_better)} ({_down(found.p_better)})"
    return f"{said}: {sure}."


def _down(share: float) -> str:
    """Return a share rounded down: 0.797 is no 0.80, from which on a claim is "likely"; never above 0.99."""
    return f"{math.floor(100 * min(share, HIGHEST_SUPPORT) + 1e-9) / 100:.2f}"


def strength(record: Record) -> tuple[str, ...]:
    """Return how strong, where that comes from, and which strengths are not clearly worse."""
    facts = record.strength
    regularizer = facts.regularizer
    if regularizer.kind == "none" or not regularizer.has_strengths:
        return ()
    rows = "" if record.data is None else f" for all {counted(record.data.n_rows, 'row')}"
    typed = f": {code}" if (code := in_code(record)) else ""
    lines = [f"{capital(strengths(regularizer))}{rows}{typed}."]
    if facts.source == "default":
        lines = [f"{capital(strengths(regularizer))}: a documented default, not measured on these data."]
    if facts.on_sample is not None and facts.on_sample != regularizer:
        sample = record.evidence.sample
        where = "In the comparison" if sample is not None and sample.is_everything else "On the sample"
        lines.append(f"{where} {short_strengths(facts.on_sample)} was best.")
    lines += _tie_ranges(record)
    if facts.carried is not None:
        lines.append(sentence(facts.carried))
    if regularizer.kind != "dropout":
        training = record.training
        estimator = training.estimator if training is not None and training.steps else None
        features = f"the features that {estimator} gets" if estimator else "standardised features"
        lines.append(f"Its unit: {_STRENGTH_MEANS[regularizer.coupling].format(features=features)}.")
    return tuple(lines)


def _tie_ranges(record: Record) -> list[str]:
    """Return the strengths that are not clearly worse; they were measured on the sample."""
    facts = record.strength
    is_rescaled = facts.on_sample is not None and facts.on_sample != facts.regularizer
    there = " there" if is_rescaled else ""
    ranges = [
        f"Any {STRENGTH_NAMES[name]} from {number(low)} to {number(high)} may do as well{there}."
        for name, (low, high) in sorted(facts.ties.items())
        if low < high
    ]
    return [*ranges, *range_in_own_unit(record)]


def sample(record: Record) -> tuple[str, ...]:
    """Return which rows were validated on, why so many, whether they match the whole, and the risks."""
    facts = record.evidence.sample
    if facts is None:
        return ()
    scores = record.evidence.scores
    size = f"{facts.n_rows:,} of {counted(facts.n_source, 'row')}"
    is_said = facts.is_everything or size in facts.size_reason
    lines = [*([] if is_said else [f"{size}."]), sentence(facts.size_reason)]
    lines += [] if scores is None else [f"Validated on {_folds(facts.validation, scores)}."]
    if not facts.is_everything:
        lines.append(_IS_LIKE_THE_WHOLE[facts.verdict])
    lines += [line for line in _different(facts) if not facts.has_drift]
    return tuple(filter(None, lines))


def _folds(validation: str, scores: ScoreEvidence) -> str:
    """Return what the candidates were tested on."""
    if scores.n_parts is not None:
        enough = f"{scores.n_folds} of {scores.n_parts} {_FOLDS[validation]}"
        return f"{enough}: the others would hardly change the answer"
    if scores.n_folds == 1:
        return _ONE_FOLD.get(validation, f"1 {_FOLDS[validation].replace('folds', 'fold', 1)}")
    return f"{scores.n_folds} {_FOLDS[validation]}"


def _different(facts: SampleEvidence) -> tuple[str, ...]:
    return tuple(sentence(test.text) for test in facts.tests if test.verdict == "different" and test.text)


def features(record: Record) -> tuple[str, ...]:
    """Return how many independent features they are worth, and the closest pairs."""
    facts = record.features
    if facts is None:
        return ()
    part = "" if facts.n_seen == facts.n_features else f" of {facts.n_features:,}"
    worth = round(facts.effective_rank)
    independent = f"{worth:,} independent {agreed(worth, 'one', 'ones')}"
    lines = [f"{counted(facts.n_seen, 'feature')}{part} carry about as much as {independent}."]
    close = [pair for pair in facts.pairs if abs(pair.strength) >= CLOSE_FEATURES][:_MOST_PAIRS]
    if close:
        named = joined(
            f"{short_name(pair.a)} and {short_name(pair.b)} ({pair.strength:.2f})" for pair in close
        )
        lines.append(f"Closest: {named}.")
    return tuple(lines)


def fit(scores: ScoreEvidence, n_features: int | None) -> tuple[str, ...]:
    """Return over- and underfit, and what L1 zeroes; a category is several inputs."""
    ordered = sorted(scores.fit_facts, key=lambda facts: KINDS.index(facts.kind))
    lines = [sentence(facts.text) for facts in ordered]
    if scores.n_zeroed:
        names = joined(map(_zeroed, scores.zeroed), most=6)
        listing = f": {names}" if names else ""
        noun = "feature" if scores.n_encoded_features == n_features else "input"
        of = f" of {counted(scores.n_encoded_features, noun)}" if scores.n_encoded_features else ""
        lines.append(f"The advised model zeroes {scores.n_zeroed:,}{of}{listing}.")
    if scores.reported:
        own = {kind: scores.reported[kind] for kind in KINDS if kind in scores.reported}  # files sort names
        named = joined(f"{label(kind)} {number(value)}" for kind, value in own.items())
        lines.append(f"Your {scores.reported_name}, which decides nothing: {named}.")
    return tuple(lines)


def _zeroed(feature: ZeroedFeature) -> str:
    return feature.name if feature.share >= 1 else f"{feature.name} (in {feature.share:.0%} of the folds)"


def warnings(record: Record) -> tuple[str, ...]:
    """Return what is odd about the data and may change what the verdict is worth."""
    sample = record.evidence.sample
    drift = () if sample is None or not sample.has_drift else _different(sample)
    return tuple(dict.fromkeys((*drift, *(sentence(note.text) for note in record.notes if note.is_warning))))


def notes(record: Record) -> tuple[str, ...]:
    """Return what else the reader should know about the data and the run."""
    is_told = record.data is not None and record.data.other_task is not None  # under the verdict
    elsewhere = (_LACKS, "task-guessed") if is_told else (_LACKS,)
    lines = (note.text for note in record.notes if not note.is_warning and note.code not in elsewhere)
    return tuple(dict.fromkeys(map(sentence, lines)))


def untested(record: Record) -> tuple[str, ...]:
    """Return what was left out, by the model or the time."""
    scores = record.evidence.scores
    lines = [note.text for note in record.notes if note.code == _LACKS]
    lines += [] if scores is None or scores.cut is None else [scores.cut]
    return tuple(dict.fromkeys(map(sentence, lines)))


def next_steps(record: Record) -> tuple[str, ...]:
    """Return how to go on from here."""
    if not record.strength.regularizer.has_strengths:
        return ("regadvisor.advise(X, y) with data finds the strength.",)
    if record.training is None:
        return ("advice.apply(model) sets it on your own model; a copy, the original stays as it is.",)
    if record.training.family == "fitted" and record.training.estimator is None:
        own = f"so does {record.training.module}(advice.regularizer, X, y, seed)"
        if record.training.engine is not None:
            own = "advice.apply(model) is a copy of yours with the regularizer"
        return (f"advice.build().fit(X, y) trains the advised model on everything; {own}.", *missing(record))
    lines = ["advice.build().fit(X, y) trains the advised model on everything."]
    if record.training.family == "module":
        lines.append("advice.apply(module) and advice.optimizer(module, lr=, steps=) set up your own loop.")
    else:
        lines.append(f'advice.snippet("{record.training.library}") is the code.')
    return (*lines, *missing(record))


def missing(record: Record) -> tuple[str, ...]:
    """Return what would tell more, rows or time, whichever was short; nothing where that is not known."""
    sample, more_time = record.evidence.sample, _larger_budget(record)
    if any(note.code in UNSEEN_SIGNAL for note in record.notes):
        return ()
    if record.strength.source == "default" and record.data is not None:
        if more_time is not None:
            return (f"With more time ({more_time}), validation can replace the default.",)
        is_short = record.data.n_rows < FEWEST_ROWS_TO_VALIDATE
        few = f"With at least {FEWEST_ROWS_TO_VALIDATE} rows, validation can replace the default."
        return (few,) if is_short else ()
    if record.status != "cant_tell" or sample is None:
        return ()
    if sample.is_everything:
        is_cut = record.evidence.scores is not None and record.evidence.scores.cut is not None
        return (f"More time ({more_time}) would tell more.",) if more_time and is_cut else ()
    return (f"More time ({more_time}) allows a larger sample.",) if more_time else ()


def _larger_budget(record: Record) -> str | None:
    """Return the budget that would have been enough; None where time was not what was missing."""
    timings, resources = record.timings, record.evidence.resources
    if timings.budget_s == 0 and resources is not None and resources.budget_s == 0:
        return 'budget="auto"'
    if timings.budget_s is None or timings.projected_s is None or not math.isfinite(timings.projected_s):
        return None
    enough_s = math.ceil(_MARGIN * timings.projected_s)
    return f"budget={enough_s}" if enough_s > timings.budget_s else None

"""What a full run takes, and how the caller's own networks were trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from regadvisor.records import Record, Training
from regadvisor.report.phrases import sentence
from regadvisor.words import capital, seconds

#: Most names of parameters on one line.
_MOST_NAMES = 8


def cost(record: Record) -> tuple[str, ...]:
    """Return what one full run takes, and how the caller's networks were trained.

    What it took stands in the headline, and by stage in ``record.timings``; what bounded it, under Q2.
    """
    timings, training = record.timings, record.training
    if not timings.total_s:
        return ()
    lines = [] if timings.full_run_s is None else [f"One full run takes {seconds(timings.full_run_s)}."]
    # What workers did, or a run before this one, is not known of networks of another library.
    engine = None if training is None else training.engine
    is_known = engine not in ("keras", "skorch") or (
        training is not None and training.engine_reason is not None
    )
    if training is not None and engine is not None and (training.is_stacked or is_known):
        lines.append(_engine(training))
    if training is not None and (training.family == "module" or training.engine in ("keras", "skorch")):
        lines.append(_transform(training))
        if training.has_scaled_target:
            lines.append(
                f"{_name(training)} sees the target standardised; in your own loop, do the same: "
                "(y - y.mean()) / y.std()."
            )
        lines += _penalised(training)
    return tuple(lines)


def _engine(training: Training) -> str:
    """Return how the caller's own networks were trained, and why so."""
    how = {
        "fused": "all at once, layer by layer",
        "vmap": "all at once by torch.func.vmap",
        "loop": "one after the other",
        "keras": "one after the other, each by its own fit",
        "skorch": "one after the other, each by its own fit",
    }[training.engine or "loop"]
    if training.is_stacked:
        how = f"all at once by torch.func.vmap, with the layers, loss and optimizer of {training.library}"
    reason = "" if training.engine_reason is None else f": {training.engine_reason}"
    return sentence(f"networks of {training.module} were trained {how}{reason}")


def _transform(training: Training) -> str:
    """Return how features go into the caller's own networks, and how to do the same elsewhere."""
    if training.steps:
        return f"{_name(training)} gets what your steps make of the features."
    if training.transform == "none":
        return f"{_name(training)} gets the features as they are; in your own loop, do the same."
    return (
        f"{_name(training)} gets scaled features; in your own loop, scale them by "
        'advice.build()["preprocess"].fit_transform(X).'
    )


def _penalised(training: Training) -> list[str]:
    """Return which parameters penalties act on, which not and why, and what drops units."""
    lines = [f"Penalties act on {_some(training.penalised_names)}."] if training.penalised_names else []
    audit = training.audit
    if audit is None:
        return lines
    others = Counter(each.why.partition(";")[0] for each in audit.parameters if not each.is_penalised)
    if others:
        whys = (f"{why} ({n})" for why, n in others.most_common())
        lines.append(f"Not penalised: {', '.join(whys)}.")
    if audit.scale_invariant:
        lines.append(
            f"A norm layer follows {_some(audit.scale_invariant)}, so the size of these weights changes no "
            "output: L2 there changes only the size of the steps."
        )
    own = [f"{each.name} ({each.rate:g})" for each in audit.dropout if each.is_set and each.rate]
    if own:
        lines.append(f"The advice sets the rate of these dropout layers (yours in brackets): {_some(own)}.")
    kept = [
        f"dropout in {each.name}" + ("" if each.rate is None else f" ({each.rate:g})")
        for each in audit.dropout
        if not each.is_set
    ]
    if kept or audit.kept:
        lines.append(f"Left as it is: {_some([*kept, *audit.kept])}.")
    return lines


def _name(training: Training) -> str:
    return capital(training.module or "")


def _some(names: Sequence[str]) -> str:
    """Return names as a list, the rest counted."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"

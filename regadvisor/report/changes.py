"""What changed between two records, in words."""

from __future__ import annotations

from dataclasses import fields

from regadvisor.records import Record
from regadvisor.regularizer import Kind, label
from regadvisor.report.phrases import clean, sentence, short_label, signed_percent
from regadvisor.report.sections import model_name
from regadvisor.report.serial import gains
from regadvisor.report.verdict import losses, use
from regadvisor.words import counted, joined, number, seconds

#: Parts of the settings that say how an advice was asked for.
_ASKED = {"version": "regadvisor", "budget_s": "budget", "random_state": "seed"}


def changes(before: Record, after: Record) -> tuple[str, ...]:
    """Return what changed from one record to another, the answer first; one sentence where nothing did.

    >>> from regadvisor import advise_without_data
    >>> l2, l1 = (advise_without_data(correlated=c, whole_picture=False).record for c in (True, False))
    >>> changes(l2, l1)[0]
    'The answer changed from L2 to L1.'
    """
    found = (
        *_answer(before, after),
        *_data(before, after),
        *_asked(before, after),
        *_losses(before, after),
        *_replies(before, after),
        *_notes(before, after),
    )
    return tuple(clean(line) for line in found)


def _answer(before: Record, after: Record) -> list[str]:
    was, now = before.strength.regularizer.kind, after.strength.regularizer.kind
    lines = []
    if was != now:
        lines.append(f"The answer changed from {use(before)} to {use(after)}.")
    elif before.strength.regularizer == after.strength.regularizer:
        lines.append(f"The answer is the same: {use(after)}.")
    else:
        lines.append(f"The strength changed from {use(before)} to {use(after)}.")
    verdict_was, verdict_now = (
        _STATUS["tie" if record.ties and record.status == "advice" else record.status]
        for record in (before, after)
    )
    if verdict_was != verdict_now:
        lines.append(f"The verdict changed from {verdict_was} to {verdict_now}.")
    gain_was, gain_now = gains(before)[0], gains(after)[0]
    if gain_was is not None and gain_now is not None:
        was_text, now_text = signed_percent(gain_was), signed_percent(gain_now)
        if was_text != now_text:
            lines.append(f"The gain over no regularizer changed from {was_text} to {now_text}.")
    gone, new = set(before.ties) - set(after.ties), set(after.ties) - set(before.ties)
    if gone:
        lines.append(f"No longer as good: {joined(sorted(map(_tied, gone)))}.")
    if new:
        lines.append(f"As good now: {joined(sorted(map(_tied, new)))}.")
    return lines


def _tied(kind: Kind) -> str:
    return label(kind) if kind == "none" else short_label(kind)


_STATUS = {"advice": "one winner", "tie": "a tie", "no_signal": "no signal", "cant_tell": '"can\'t tell yet"'}


def _data(before: Record, after: Record) -> list[str]:
    was, now = before.data, after.data
    if was is None or now is None:
        return [] if was is now else ["One of the two was given without data."]
    if was.fingerprint == now.fingerprint:
        return []
    lines = ["The data are not the same."]
    if was.n_rows != now.n_rows:
        lines.append(f"{was.n_rows:,} rows became {counted(now.n_rows, 'row')}.")
    names_was, names_now = ({str(column.name) for column in facts.columns} for facts in (was, now))
    for said, names in (("Gone", names_was - names_now), ("New", names_now - names_was)):
        if names:
            lines.append(f"{said}: {counted(len(names), 'column')} ({joined(sorted(names), most=5)}).")
    if was.target_name != now.target_name:
        lines.append(f"The target changed from {was.target_name} to {now.target_name}.")
    return lines


def _asked(before: Record, after: Record) -> list[str]:
    was, now = (
        {each.name: _value(getattr(record.settings, each.name)) for each in fields(record.settings)}
        | {"model": record.settings.model if record.training is None else model_name(record.training)}
        | {"budget_s": "none" if (s := record.settings.budget_s) is None else seconds(s)}
        for record in (before, after)
    )
    differ = [
        f"{_ASKED.get(name, name.replace('_', ' '))} from {was[name]} to {now[name]}"
        for name in was
        if was[name] != now[name] and name != "effort_source"
    ]
    return [f"Settings changed: {joined(differ)}."] if differ else []


def _value(value: object) -> str:
    return "not given" if value is None else str(value)


def _losses(before: Record, after: Record) -> list[str]:
    """Return kinds whose loss changed by more than rounding shows."""
    was, now = (
        {} if record.evidence.scores is None else losses(record.evidence.scores) for record in (before, after)
    )
    differ = [
        f"{short_label(kind)} from {number(was[kind])} to {number(now[kind])}"
        for kind in was
        if kind in now and number(was[kind]) != number(now[kind])
    ]
    tried = sorted(short_label(kind) for kind in set(was) ^ set(now))
    lines = [f"Held-out losses changed: {joined(differ)}."] if differ else []
    return [*lines, f"Tried in one of the two only: {joined(tried)}."] if tried else lines


def _replies(before: Record, after: Record) -> list[str]:
    was = {step.question: step for step in before.walk.steps}
    return [
        f"{step.text} The reply changed from {was[step.question].reply} to {step.reply}."
        for step in after.walk.steps
        if step.question in was and was[step.question].reply != step.reply
    ]


def _notes(before: Record, after: Record) -> list[str]:
    was, now = ({note.text: note for note in record.notes} for record in (before, after))
    lines = [f"No longer said: {sentence(text)}" for text in was if text not in now]
    return lines + [f"New: {sentence(text)}" for text in now if text not in was]

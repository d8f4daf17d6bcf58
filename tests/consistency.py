"""Does a report contradict itself? Headline, table, chart, pictures, claims and JSON say one thing.

:func:`contradictions` looks at the finished texts beside the record that they are made of. The tests hold it
against the golden records, ``benchmarks/reports.py`` against advice on real data.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import TypeVar

import pytest

from regadvisor import thresholds
from regadvisor.advice import Advice
from regadvisor.errors import ParameterError
from regadvisor.flowchart.chart import PICK
from regadvisor.pictures.draw import chart_svg
from regadvisor.records import Record, ScoreEvidence
from regadvisor.regularizer import label
from regadvisor.report.phrases import short_label, signed_percent
from regadvisor.report.picture_data import kinds_picture, strength_picture
from regadvisor.report.serial import _portable
from regadvisor.report.units import in_code, parameters
from regadvisor.report.view import View, view
from regadvisor.words import number

_T = TypeVar("_T")
#: What stands where a number or a name was forgotten.
_HOLES = re.compile(r"\b(nan|None|inf)\b|\(\)|\[\]|  \S|\.\.(?!\.)|,,| ,| \.(?!\d)|\{|\}")


def contradictions(record: Record) -> list[str]:
    """Return what a report says in two ways, one sentence each."""
    shown, advice = view(record), Advice(record)
    found: list[str] = []
    for check in (_formats, _answer, _code, _ways, _flips, _holes, _figures, _hints, _sample):
        found += check(record, shown, advice)
    scores = record.evidence.scores
    if scores is not None and scores.scores:
        for measured in (_losses, _gains, _replies, _ties, _certainty, _pictures, _strength):
            found += measured(record, shown, scores)
    return found


def _formats(record: Record, shown: View, advice: Advice) -> Iterator[str]:
    """The same verdict everywhere."""
    plain = json.loads(advice.to_json())
    summary = json.loads(json.dumps(_portable(advice.summary)))
    if plain["summary"] != summary or summary["verdict"] != " ".join(shown.headline):
        yield "the JSON has another verdict or summary"
    page = advice.to_html()
    heading = re.search(r"<h1>(.*?)</h1>", page, re.S)
    if heading is None or unescape(heading[1]) != shown.headline[0]:
        yield f"the page is headed {heading and heading[1]!r}"
    text = " ".join(re.sub(r"[│╭╮╰╯─]", " ", advice.to_text(width=100)).split())
    for line in (*shown.headline, *shown.warnings):
        if " ".join(line.split()) not in text:
            yield f"the text lacks {line!r}"
    markdown = advice.to_markdown().replace("\\", "")
    if shown.headline[0].replace("\\", "") not in markdown:
        yield "the Markdown has another headline"


def _answer(record: Record, shown: View, advice: Advice) -> Iterator[str]:
    """What to use is one thing."""
    kind = record.strength.regularizer.kind
    if advice.summary["kind"] != kind or advice.regularizer.kind != kind:
        yield f"the summary advises {advice.summary['kind']}, the strength is of {kind}"
    said = next((line for line in shown.headline if re.search(r"\buse\b", line, re.I)), None)
    if said is not None and f"se {label(kind)}" not in said:
        yield f"the headline says {said!r}, the record {kind}"
    marked = [row.kind for row in shown.candidates if row.is_pick]
    if marked and marked != [short_label(kind)]:
        yield f"the table marks {marked}, the record says {kind}"
    code = in_code(record)
    if said is not None and kind != "none" and code not in said:
        yield f"the headline says {said!r}, the parameters are {code}"
    values = [value for own in parameters(record).values() for value in own.values()]
    values = values or (list(record.strength.regularizer.strengths().values()) if code else [])
    typed = [float(text) for text in re.findall(r"(?<!\blr)=([\d.e-]+)", code)]
    if kind != "none" and typed != pytest.approx(values, rel=0.5):
        yield f"{code} is told of {values}"


def _code(record: Record, shown: View, advice: Advice) -> Iterator[str]:
    """Code sets what the headline says, and the headline's number is in the range that does as well."""
    told = {key: value for own in parameters(record).values() for key, value in own.items()}
    training, data = record.training, record.data
    if training is None or training.is_own or training.family != "linear" or data is None:
        return
    if not data.has_weights and ("alpha" in told or "C" in told):
        code = re.sub(r"#.*", "", advice.snippet("sklearn")).rpartition("\nmodel = ")[2]
        for key, value in told.items():
            typed = [float(text) for text in re.findall(rf"\b{key}=([\d.e-]+)", code)]
            is_usual = not typed and value in (1.0, math.inf)  # what stands in the class is not written again
            if typed != [pytest.approx(value)] and not is_usual:
                yield f"the code has {key}={typed}, the summary {value}"
    for line in shown.strength:
        found = re.search(r"that is (C|alpha) from ([\d.e,-]+) to ([\d.e,-]+)\.$", line)
        if found is not None:
            low, high = (float(text.replace(",", "")) for text in found.groups()[1:])
            if not 0.94 * low <= float(told[found[1]]) <= 1.06 * high:
                yield f"{line!r}, and {told[found[1]]} is advised"


def _ways(record: Record, shown: View, advice: Advice) -> Iterator[str]:
    """The path ends where the record says, by the chart that is drawn."""
    last = record.walk.steps[-1] if record.walk.steps else None
    end = None if last is None else (last.pick_after or "none") if last.to == PICK else last.to
    if end is not None and (end != record.walk.outcome or shown.path[-1].pick != f"outcome: {label(end)}"):
        yield f"the path ends at {end}, the walk at {record.walk.outcome}"
    if record.status == "no_signal" and record.walk.outcome != "no signal":
        yield "no signal is said of another outcome"
    if record.walk.chart in ("classic", "extended"):
        try:
            drawn = chart_svg(record)
        except ParameterError:
            yield "the chart that was walked cannot be drawn"
        else:
            for step in record.walk.steps:
                if f">{step.reply}" not in drawn and step.reply not in drawn:
                    yield f"the drawn chart lacks the reply {step.reply}"
            filled = re.findall(r'<text[^>]*text-anchor="middle" fill="#111827">([^<]*)<', drawn)
            if last is not None and filled != [label(record.walk.outcome).partition(" (")[0]]:
                yield f"the drawn chart ends at {filled}, the walk at {record.walk.outcome}"


def _flips(record: Record, shown: View, advice: Advice) -> Iterator[str]:
    """What would flip the answer leads to another one, by a number that would have to move."""
    for flip in record.flips:
        if flip.outcome == record.walk.outcome:
            yield f"a flip leads to the outcome itself: {flip.condition}"
        needed, _, now = flip.condition.partition(" (now ")
        if now and now.split()[0].rstrip(")") in needed.split():
            yield f"a flip asks for the number that is there: {flip.condition}"
        shares = re.fullmatch(r".* at least ([\d.]+)% .*\(now ([\d.]+)%\)", flip.condition)
        if shares is not None and float(shares[2]) >= float(shares[1]):
            yield f"a flip asks for less than there is: {flip.condition}"


def _holes(record: Record, shown: View, advice: Advice) -> Iterator[str]:
    """No sentence has a hole."""
    lines = (*shown.headline, *shown.claims, *shown.flips, *shown.fit, *shown.sample, *shown.strength)
    reasons = tuple(row.because for row in shown.path)
    for line in (*lines, *reasons, *shown.features, *shown.cost):
        quoted = re.sub(r"'[^']*'|\"[^\"]*\"", "name", re.sub(r"\w\(\)", "call", line))
        if (hole := _HOLES.search(quoted)) is not None:
            yield f"{hole[0]!r} in {line!r}"
        if line and not line.endswith((".", "!", "?", ":")):
            yield f"no full stop: {line!r}"


def _figures(record: Record, shown: View, advice: Advice) -> Iterator[str]:
    """No number that cannot be: a loss lowered by more than all of it, a zero below zero, powers of ten."""
    reasons = tuple(row.because for row in shown.path)
    lines = (*shown.headline, *shown.claims, *shown.flips, *shown.fit, *shown.strength, *shown.sample)
    for line in (*lines, *shown.features, *shown.cost, *reasons):
        quoted = re.sub(r"'[^']*'", "name", line)
        if re.search(r"-0(\.0+)?%|\de\+\d", quoted):
            yield f"an odd number in {line!r}"
        if any(float(share.replace(",", "")) > 100 for share in re.findall(r"([\d.,]+)% lower", quoted)):
            yield f"more than all is gained in {line!r}"


def _hints(record: Record, shown: View, advice: Advice) -> Iterator[str]:
    """What is proposed works: a budget is larger than the one that was too small, a column exists."""
    budgets = re.findall(r"budget=(\d+)", " ".join((*shown.next_steps, *shown.notes)))
    enough = max(record.timings.projected_s or 0.0, record.timings.budget_s or 0.0)
    if any(float(budget) <= enough for budget in budgets):
        yield f"budget={budgets} is proposed where {enough} s were too little"
    columns = {column.name for column in record.data.columns} if record.data is not None else set()
    for name in re.findall(r"(?:time|groups)='([^']+)'", " ".join((*shown.warnings, *shown.notes))):
        if name not in columns:
            yield f"{name!r} is proposed, which is no column"


def _sample(record: Record, shown: View, advice: Advice) -> Iterator[str]:
    """The headline has the rows of the sample, and the bound of the summary."""
    said, facts = " ".join(shown.headline), record.evidence.sample
    measured = re.search(r"Measured on (?:all |([\d,]+) of )([\d,]+) rows", said)
    if measured is not None and facts is not None and record.data is not None:
        rows = [int(text.replace(",", "")) for text in measured.groups(default=measured[2])]
        if rows != [min(facts.n_rows, record.data.n_rows), record.data.n_rows]:
            yield f"measured on {rows}, the sample has {facts.n_rows} of {record.data.n_rows}"
    reached = re.search(r"held-out [^;(]*? (-?[\d.e-]+), guessing", said)
    marked = next((row.loss for row in shown.candidates if row.is_pick), None)
    if reached is not None and reached[1] != marked:
        yield f"the headline has a loss of {reached[1]}, the table {marked}"
    bound = re.search(r"costs at most ([\d.]+)% more", said)
    if bound is not None and float(bound[1]) != pytest.approx(
        max(100 * (record.most_lost or 0.0), 0.1), rel=0.05, abs=0.051
    ):
        yield f"{bound[0]!r}, and {record.most_lost} in the summary"


def _losses(record: Record, shown: View, scores: ScoreEvidence) -> Iterator[str]:
    """Every loss of a kind is that of its best fit."""
    largest = max(score.n_rows for score in scores.scores)
    best: dict[str, float] = {}
    for score in scores.scores:
        if score.n_rows == largest and score.converged and not score.is_stopped:
            best[score.kind] = min(best.get(score.kind, float("inf")), score.loss)
    seeds = {score.seed for score in scores.scores if score.kind == "none"}
    rows = {row.kind: row.loss for row in shown.candidates}
    for kind, loss in best.items():
        own = rows.get(short_label(kind))
        if (kind != "none" or len(seeds) == 1) and own != number(loss):
            yield f"{kind}: the table says {own}, the fits {number(loss)}"
    for facts in scores.fit_facts:
        loss = scores.lowest_losses.get(facts.kind, facts.held_out_loss)
        if facts.held_out_loss != pytest.approx(loss, rel=1e-6):
            yield f"{facts.kind}: the fit has {facts.held_out_loss}, the table {loss}"
    order = [scores.lowest_losses[kind] for kind in best if kind in scores.lowest_losses]
    first = shown.candidates[0]
    if order and scores.lowest_losses and first.loss != number(min(scores.lowest_losses.values())):
        yield f"the table begins with {first.kind}, which has not the lowest loss"
    advised = short_label(record.strength.regularizer.kind)
    is_other = first.kind != advised and first.loss != rows[advised]
    if is_other and record.walk.outcome != "no signal" and shown.disagreement is None:
        yield f"{first.kind} stands above {advised}, and nothing says why"


def _gains(record: Record, shown: View, scores: ScoreEvidence) -> Iterator[str]:
    """One gain in headline, table and summary, and an interval that fits the reply."""
    kind = record.strength.regularizer.kind
    found = scores.comparison(kind, "none")
    summary = Advice(record).summary
    if found is None or found.loss_b <= 0:
        return
    gain = signed_percent(min(-found.difference / found.loss_b, 1.0))
    row = next((row for row in shown.candidates if row.is_pick), None)
    if row is not None and not row.gain.startswith(f"{gain} ["):
        yield f"the table gains {row.gain}, the comparison {gain}"
    if signed_percent(min(summary["gain"], 1.0)) != gain:
        yield f"the summary gains {summary['gain']}, the comparison {gain}"
    helps = next((line for line in shown.headline if line.startswith("Regularizing helps")), None)
    is_percent = abs(found.difference) <= 9 * found.loss_b
    if (
        helps is not None
        and "the model does worse" not in helps
        and is_percent
        and f"{gain.lstrip('+')} lower" not in helps
    ):
        yield f"the headline says {helps!r}, the table {gain}"


def _replies(record: Record, shown: View, scores: ScoreEvidence) -> Iterator[str]:
    """An interval beside "better" or "worse" does not hold 0."""
    for found in scores.comparisons:
        if (found.reply == "better" and found.most >= 0) or (found.reply == "worse" and found.least <= 0):
            yield f"{found.a} is {found.reply} than {found.b} in [{found.least}, {found.most}]"
    for step in record.walk.steps:
        pair = step.answer.numbers.get("difference")
        if step.reply == "better" and isinstance(pair, float) and pair > 0:
            yield f"{step.question}: better, but the loss is higher"


def _ties(record: Record, shown: View, scores: ScoreEvidence) -> Iterator[str]:
    """What is called as good is what ties."""
    said = " ".join(shown.headline)
    is_said = "no measurable difference" in said or "no difference that matters" in said
    if "none" in record.ties and record.status == "tie" and not is_said:
        yield "no regularizer ties, and the headline does not say so"
    if "none" in record.ties and "Regularizing helps" in said:
        yield "no regularizer ties, and regularizing is said to help"
    for kind in record.ties:
        found = scores.comparison(kind, record.strength.regularizer.kind)
        if found is not None and found.reply in ("better", "worse"):
            yield f"{kind} ties, and is {found.reply}"
    if record.status == "tie" and not record.ties:
        yield "a tie with nothing"
    named = re.search(r"(?:^|\. )([A-Z][\w+, ]*?) do(?:es)? as well", said)
    is_no_signal = record.status == "no_signal" or record.walk.outcome == "no signal"
    ties = {kind for kind in record.ties if kind != "none" or record.status != "cant_tell"}
    if not is_no_signal and ties and named is None:
        yield f"{record.ties} tie, and the headline does not say so"
    if named is not None:
        kinds = {short_label(kind) if kind != "none" else "no regularizer" for kind in ties}
        words = {
            word[:1].lower() + word[1:] if word[:2] in ("No", "Dr") else word
            for word in re.split(r", | and ", named[1])
        }
        if words != kinds:
            yield f"as good are {kinds}, the headline says {words}"


def _certainty(record: Record, shown: View, scores: ScoreEvidence) -> Iterator[str]:
    """Nothing is said to be sure that is called open elsewhere."""
    said = " ".join((*shown.headline, *shown.claims))
    if record.status == "cant_tell" and not shown.headline[0].startswith("Can't tell"):
        yield f"can't tell, but the headline says {shown.headline[0]!r}"
    if record.status == "cant_tell" and "very likely" in said:
        yield "can't tell, and very likely"
    for line in shown.headline:
        if re.search(r"helps: (more likely than not|a toss-up)\..*\(likely", line):
            yield f"likely and not: {line!r}"
    for line in shown.claims:
        if line.startswith("Regularize: unlikely"):
            yield f"a penalty is advised, and {line!r}"
        if re.search(r"raises it so: (likely|very likely)", line):
            yield f"what is advised is harmful: {line!r}"
        if "Regularizing helps" in said and re.match(r"\S+ lowers the loss.*: unlikely", line):
            yield f"it helps, and {line!r}"
    found = scores.comparison(record.strength.regularizer.kind, "none")
    if found is not None and "Regularizing helps: very likely" in said and found.reply != "better":
        yield f"very likely to help, and {found.reply} in the table"
    supports = [claim.support for claim in record.claims if claim.support is not None]
    if any(not 0 <= support <= thresholds.HIGHEST_SUPPORT for support in supports):
        yield f"supports {supports}"


def _pictures(record: Record, shown: View, scores: ScoreEvidence) -> Iterator[str]:
    """What is drawn is what is told."""
    rows = {row.kind: row for row in shown.candidates}
    pick = short_label(record.strength.regularizer.kind)
    picture = _drawn(kinds_picture, record)
    for bar in () if picture is None else picture.rows:
        if bar.is_pick and bar.label != pick and pick in rows:
            yield f"the picture of kinds marks {bar.label}, the table {pick}"
    strengths = _drawn(strength_picture, record)
    if strengths is not None and strengths.pick is not None and pick in rows:
        loss = strengths.pick[2]
        if number(loss) != rows[pick].loss:
            yield f"the picture of strengths has the pick at {number(loss)}, the table at {rows[pick].loss}"


def _drawn(make: Callable[[Record], _T], record: Record) -> _T | None:
    try:
        return make(record)
    except ParameterError:
        return None


def _strength(record: Record, shown: View, scores: ScoreEvidence) -> Iterator[str]:
    """The strength that was picked is among those that are not clearly worse."""
    picked = record.strength.on_sample
    for name, (low, high) in record.strength.ties.items():
        value = getattr(picked, name) if picked is not None else None
        if value is not None and not low <= value <= high:
            yield f"{name} {value} was picked; {low} to {high} are called no worse"

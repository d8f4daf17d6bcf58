"""A record as JSON text: exact there and back, one text per record, and honest errors."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_builders import RECORDS, advice, network, no_signal
from rounding import without_timings

from regadvisor.advice import Advice
from regadvisor.errors import RecordError, RegadvisorError
from regadvisor.records import FORMAT, Answer, CandidateScore, Column, FeatureFacts, Flip, Note, Record
from regadvisor.regularizer import Regularizer
from regadvisor.report.serial import from_json, to_json
from regadvisor.report.view import view

# ------------------------------------------------------------------------------- a small vocabulary

ints = st.integers(min_value=-(2**63), max_value=2**63 - 1)
numbers = st.none() | st.booleans() | ints | st.floats() | st.text(max_size=8)
share = st.floats(min_value=0.0, max_value=0.9)
strength = st.none() | st.floats(min_value=0.0, allow_nan=False, allow_infinity=False)
regularizers = st.one_of(
    st.builds(Regularizer, l1=strength, l2=strength),
    st.builds(Regularizer, l2=strength, dropout=share, coupling=st.just("decoupled")),
)
scores = st.builds(
    CandidateScore,
    regularizer=regularizers,
    loss=st.floats(),
    fold_losses=st.lists(st.none() | st.floats(), max_size=5).map(tuple),
    train_loss=st.floats(),
    n_rows=st.integers(0, 10**9),
    seed=st.integers(0, 2**63),
    converged=st.booleans(),
    epochs=st.none() | st.floats(),
    sum_lr=st.none() | st.floats(),
    fit_s=st.floats(),
)
answers = st.builds(
    Answer,
    reply=st.sampled_from(["yes", "no", "better", "same", "worse", "unsure"]),
    because=st.text(max_size=20),
    numbers=st.dictionaries(st.text(max_size=8), numbers, max_size=4),
    flips_if=st.none() | st.text(max_size=8),
    distance=st.none() | st.floats(),
)
columns = st.builds(Column, name=ints | st.text(max_size=8), kind=st.just("numeric"))


@st.composite
def records(draw: st.DrawFn) -> Record:
    base = advice()
    measured = base.evidence.scores
    assert base.data is not None
    assert measured is not None
    step = replace(base.walk.steps[0], answer=draw(answers))
    return replace(
        base,
        data=replace(base.data, columns=tuple(draw(st.lists(columns, max_size=3)))),
        walk=replace(base.walk, steps=(step, *base.walk.steps[1:])),
        evidence=replace(
            base.evidence,
            scores=replace(
                measured,
                scores=tuple(draw(st.lists(scores, max_size=3))),
                honest_losses=draw(st.dictionaries(st.sampled_from(["l1", "l2"]), st.floats())),
            ),
        ),
        notes=tuple(draw(st.lists(st.builds(Note, code=st.just("x"), text=st.text()), max_size=2))),
    )


# ---------------------------------------------------------------------------------------- round trip


@settings(max_examples=60, deadline=None)
@given(record=records())
def test_a_record_comes_back_exactly(record: Record) -> None:
    text = to_json(record)
    back = from_json(text)
    # NaN is not equal to itself, so the representations are compared; of mappings, the members.
    assert _sorted_repr(back) == _sorted_repr(record)
    assert to_json(back) == text
    assert to_json(from_json(text.encode())) == text


def _sorted_repr(value: object) -> object:
    if isinstance(value, dict):
        return sorted((key, _sorted_repr(member)) for key, member in value.items())
    if isinstance(value, tuple):
        return [_sorted_repr(member) for member in value]
    if hasattr(value, "__dataclass_fields__"):
        return [(f.name, _sorted_repr(getattr(value, f.name))) for f in fields(value)]  # type: ignore[arg-type]
    return repr(value)


@pytest.mark.parametrize("name", RECORDS)
def test_every_sort_of_record_comes_back_and_reads_the_same(name: str) -> None:
    record = RECORDS[name]()
    back = from_json(to_json(record))
    assert _sorted_repr(back) == _sorted_repr(record)
    assert view(back) == view(record)


def test_the_text_is_json_with_the_summary_first_and_the_timings_last() -> None:
    plain = json.loads(to_json(advice()))
    assert list(plain)[:3] == ["schema", "format", "summary"]
    assert list(plain)[-1] == "timings"
    assert (plain["schema"], plain["format"]) == ("regadvisor/1", FORMAT)
    assert ["format", *list(plain)[3:]] == [field.name for field in fields(Record)]
    assert to_json(advice()).endswith("}\n")


def test_the_summary_says_what_a_program_wants_in_plain_fields() -> None:
    record = advice()
    assert record.data is not None
    own = json.loads(to_json(record))["summary"]
    assert own == Advice(record).summary
    assert own["verdict"].startswith("Use L2: LogisticRegression(C=0.57) on standardised features.")
    assert (own["kind"], own["l2"], own["status"]) == ("l2", 0.0031, "advice")
    assert own["parameters"]["LogisticRegression"]["C"] == pytest.approx(1 / (record.data.n_rows * 0.0031))
    found = record.evidence.scores.comparison("l2", "none")  # type: ignore[union-attr]
    assert found is not None
    assert own["gain"] == pytest.approx(-found.difference / found.loss_b)
    assert own["gain_low"] < own["gain"] < own["gain_high"]
    assert all(Advice(build()).summary["kind"] for build in RECORDS.values())


def test_a_record_without_the_summary_is_read_as_before() -> None:
    plain = json.loads(to_json(advice()))
    old = {key: value for key, value in plain.items() if key not in ("schema", "summary")}
    assert from_json(json.dumps(old)) == advice()


def test_of_equal_losses_a_loaded_advice_names_the_same_kind() -> None:
    found = no_signal()
    scores = found.evidence.scores
    assert scores is not None
    equal = dict.fromkeys(("none", "l2", "l1", "elasticnet"), 1.02)
    scores = replace(scores, lowest_losses=equal, honest_losses=equal)
    found = replace(found, evidence=replace(found.evidence, scores=scores))
    again = from_json(to_json(found))
    assert "The best model (none)" in Advice(found).verdict
    assert to_json(again) == to_json(found)


def test_infinite_losses_survive_and_are_valid_json() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    text = to_json(no_signal())
    plain = json.loads(text, parse_constant=refuse)
    assert plain["evidence"]["scores"]["scores"][0]["loss"] == {"$float": "inf"}
    scores = from_json(text).evidence.scores
    assert scores is not None
    assert scores.scores[0].loss == math.inf


def test_a_column_called_inf_stays_a_text() -> None:
    record = advice()
    assert record.data is not None
    record = replace(record, data=replace(record.data, columns=(Column(name="inf", kind="numeric"),)))
    back = from_json(to_json(record))
    assert back == record


def test_equal_records_give_equal_bytes() -> None:
    record = advice()
    scores = record.evidence.scores
    assert scores is not None
    turned_losses = dict(reversed(scores.honest_losses.items()))
    turned = replace(
        record, evidence=replace(record.evidence, scores=replace(scores, honest_losses=turned_losses))
    )
    as_int = replace(record, settings=replace(record.settings, budget_s=40))
    as_numpy = replace(record, settings=replace(record.settings, budget_s=np.float64(40.0)))
    assert turned == record == as_int == as_numpy
    assert to_json(turned) == to_json(record) == to_json(as_int) == to_json(as_numpy)


def test_lone_surrogates_do_not_break_the_text() -> None:
    record = replace(advice(), notes=(Note(code="name", text="caf\udce9"),))
    assert from_json(to_json(record)).notes[0].text == "caf\\udce9"


def test_a_value_of_a_wrong_type_is_reported_when_it_is_written() -> None:
    with pytest.raises(RecordError, match="report this as a bug"):
        to_json(replace(advice(), rows_needed=object()))
    with pytest.raises(RecordError, match="report this as a bug"):
        to_json(replace(advice(), rows_needed="many"))


# -------------------------------------------------------------------------------------------- errors


def _changed(**changes: object) -> str:
    return json.dumps({**json.loads(to_json(advice())), **changes})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be JSON"),
        ("not json", "must be JSON"),
        (to_json(advice())[:-200], "truncated"),
        ("[" * 100_000, "must be JSON"),
        (b"\xff\xfe{}", "must be JSON"),
        ("[]", "got list"),
        ("null", "got NoneType"),
        ('{"a": 1}', "format number"),
        (_changed(format="1"), "format number"),
        (_changed(format=True), "format number"),
        (_changed(format=0), "format 1 to"),
        (_changed(status="maybe"), r"\$.status"),
        (_changed(walk=None), r"\$.walk"),
        ('{"format": 1}', "missing required field"),
    ],
)
def test_what_is_no_advice_is_refused_with_what_to_do(text: str | bytes, says: str) -> None:
    with pytest.raises(RecordError, match=says) as error:
        from_json(text)
    assert "save it again" in str(error.value)


def test_a_newer_format_says_which_version_writes_it() -> None:
    newer = _changed(format=FORMAT + 1, settings={"version": "9.1.0"})
    with pytest.raises(RecordError, match=r"regadvisor 9\.1\.0.*pip install 'regadvisor>=9\.1\.0'"):
        from_json(newer)
    with pytest.raises(RecordError, match="--upgrade"):
        from_json(_changed(format=FORMAT + 1, settings=None))


def test_a_strength_out_of_its_rule_is_refused() -> None:
    text = to_json(advice()).replace('"l2": 0.0031,', '"l2": -1.0,')
    with pytest.raises(RecordError, match="l2 must be a finite number"):
        from_json(text)


def test_unknown_members_and_a_byte_order_mark_are_ignored() -> None:
    assert from_json(_changed(later="x")) == advice()
    assert from_json(b"\xef\xbb\xbf" + to_json(advice()).encode()) == advice()


# ------------------------------------------------------------------------------------------- timings


def test_without_timings_two_runs_are_equal_text() -> None:
    first = network()
    measured = first.evidence.scores
    assert measured is not None
    assert first.evidence.resources is not None
    step = first.walk.steps[1]
    slower = replace(
        first,
        timings=replace(first.timings, total_s=99.0),
        evidence=replace(
            first.evidence,
            resources=replace(first.evidence.resources, projected_s=77.0),
            scores=replace(measured, scores=tuple(replace(s, fit_s=s.fit_s * 3) for s in measured.scores)),
        ),
        walk=replace(
            first.walk,
            steps=(
                first.walk.steps[0],
                replace(step, answer=replace(step.answer, because="The walk is projected to take 77 s.")),
                *first.walk.steps[2:],
            ),
        ),
    )
    assert to_json(slower) != to_json(first)
    assert without_timings(to_json(slower)) == without_timings(to_json(first))


def test_without_timings_keeps_every_loss() -> None:
    first = network()
    measured = first.evidence.scores
    assert measured is not None
    other = replace(first.evidence, scores=replace(measured, constant_loss=0.7))
    changed = without_timings(to_json(replace(first, evidence=other)))
    assert changed != without_timings(to_json(first))


def test_without_timings_drops_the_flip_of_the_question_about_time() -> None:
    record = advice()
    step = record.walk.steps[1]
    timed = replace(step, answer=replace(step.answer, flips_if="the budget were 9 s"))
    steps = (record.walk.steps[0], timed, *record.walk.steps[2:])
    kept = Flip(outcome="l1", condition="x")
    record = replace(
        record,
        walk=replace(record.walk, steps=steps),
        flips=(Flip(outcome="l2", condition="the budget were 9 s"), kept),
    )
    assert json.loads(without_timings(to_json(record)))["flips"] == [{"outcome": "l1", "condition": "x"}]


def test_what_a_quarter_of_the_rows_showed_is_no_longer_part_of_a_record() -> None:
    plain = json.loads(to_json(network()))
    ends = {"gain": 0.1, "low": 0.0, "high": 0.2, "p_better": 0.9, "p_same": 0.1, "p_worse": 0.0}
    rows = {"n_sample": 100, "n_rows": 1_000, "sizes": []}
    plain["evidence"]["growth"] = {"kind": "l2", "source": "measured", "drift": 0.25, **rows, **ends}
    record = from_json(json.dumps(plain))
    assert record.evidence.growth is not None
    assert record.evidence.growth.source == "prior"


def test_no_penalty_of_a_regression_is_no_limit_in_records_that_said_so() -> None:
    plain = json.loads(to_json(advice()))
    assert not from_json(json.dumps(plain)).evidence.scores.none_exists
    plain["data"]["task"] = "regression"
    assert from_json(json.dumps(plain)).evidence.scores.none_exists


def test_a_record_of_the_first_format_is_read() -> None:
    """It knew nothing of the full size."""
    plain = json.loads(to_json(advice()))
    plain["format"] = 1
    for claim in plain["claims"]:
        claim |= {"is_calibrated": False, "probability": 0.91}  # of formats before today's
    del plain["evidence"]["growth"], plain["evidence"]["scores"]["lowest_losses"]
    record = from_json(json.dumps(plain))
    assert record.claims == advice().claims
    assert record.evidence.growth is None


def test_a_record_of_the_fourth_format_is_read() -> None:
    """It kept every comparison twice, by "a:b"; the file was written by that version."""
    old = (Path(__file__).parent / "old_records" / "format_4.json").read_text()
    read, now = from_json(old), network()
    assert read.format == FORMAT
    assert (read.data, read.strength, read.notes) == (now.data, now.strength, now.notes)
    assert [claim.statement for claim in read.claims] == [claim.statement for claim in now.claims]
    assert [flip.outcome for flip in read.flips] == [flip.outcome for flip in now.flips]
    was, scores = read.evidence.scores, now.evidence.scores
    assert was is not None
    assert scores is not None
    assert was.scores == scores.scores
    assert len(was.comparisons) == len(scores.comparisons)
    for found in scores.comparisons:
        same = was.comparison(found.a, found.b)
        assert same is not None
        assert (same.reply, same.difference, same.low) == (found.reply, found.difference, found.low)
        assert (same.least, same.most) == pytest.approx((found.least, found.most), rel=1e-3)


def test_a_squared_error_of_the_fourth_format_says_what_it_is_relative_to() -> None:
    plain = json.loads((Path(__file__).parent / "old_records" / "format_4.json").read_text())
    plain["evidence"]["scores"]["loss_name"] = "squared error / variance of the target, mean of 2 targets"
    scores = from_json(json.dumps(plain)).evidence.scores
    assert scores is not None
    assert (scores.loss_name, scores.loss_scale) == (
        "squared error",
        "the variance of the target, mean of 2 targets",
    )


# ---------------------------------------------------------------------- what a terminal and an editor do


@settings(deadline=None, max_examples=40)
@given(
    text=st.text(st.characters(), min_size=1, max_size=8)
    | st.text("\x7f\x9b\u2028\u202e\u2066\ufeffä語", min_size=1)
)
def test_nothing_in_the_text_moves_a_terminal_and_all_of_it_comes_back(text: str) -> None:
    record = replace(advice(), notes=(Note(code="named", text=text),))
    written = to_json(record)
    assert all(character.isprintable() for character in written.replace("\n", ""))
    whole = text.encode("utf-8", "backslashreplace").decode()
    assert from_json(written).notes[0].text == whole


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plain: plain["evidence"]["scores"]["comparisons"][0].update(a="l7"),
        lambda plain: plain["evidence"]["scores"]["honest_losses"].update(l7=1.0),
        lambda plain: plain["evidence"]["scores"]["carry_costs"].update(l7=1.0),
        lambda plain: plain["strength"]["ties"].update(l7=[0.0, 1.0]),
    ],
)
def test_kinds_and_strengths_nobody_knows_are_refused(spoil) -> None:
    plain = json.loads(to_json(advice()))
    spoil(plain)
    with pytest.raises(RecordError, match=r"must be one of .*, got 'l7'"):
        from_json(json.dumps(plain))


def test_an_edited_training_is_refused_where_it_is_used() -> None:
    record = network()
    assert record.training is not None
    unknown = Advice(replace(record, training=replace(record.training, schedule="soon")))
    without = Advice(replace(record, training=replace(record.training, lr=None)))
    for use in (lambda own: own.build(), lambda own: own.snippet("torch")):
        with pytest.raises(RegadvisorError, match="schedule must be one of"):
            use(unknown)
        with pytest.raises(RecordError, match="lr, batch_size and schedule for a network, got no lr"):
            use(without)


@pytest.mark.parametrize("value", [math.inf, math.nan, -0.1, 1.5])
def test_claims_have_shares(value: float) -> None:
    record = advice()
    claim = replace(record.claims[0], support=value)
    with pytest.raises(RecordError, match="must have a support from 0 to 1 of each claim"):
        from_json(to_json(replace(record, claims=(claim, *record.claims[1:]))))


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_an_endless_rank_is_refused_and_an_endless_projection_is_read(value: float) -> None:
    record = advice()
    facts = FeatureFacts(
        n_seen=3, n_rows=9, n_features=3, effective_rank=value, pairs=(), names=(), strengths=()
    )
    with pytest.raises(RecordError, match="must have a finite effective rank"):
        from_json(to_json(replace(record, features=facts)))
    endless = replace(record, timings=replace(record.timings, projected_s=value, budget_s=1.0))
    assert Advice(from_json(to_json(endless))).to_text()

"""What would tell more is said only if it would: rows where rows are short, time where time is."""

from dataclasses import replace

import pytest
from record_builders import cant_tell, prior

from regadvisor.records import FEW_RULE, HIDDEN_SIGNAL, UNLEARNED_SIGNAL, Note, ResourceEvidence, Timings
from regadvisor.report.sections import next_steps
from regadvisor.report.verdict import headline


def said(record, **changes):
    return " ".join(next_steps(replace(record, **changes))[2:])


def late(budget_s, projected_s):
    return Timings(total_s=1.0, projected_s=projected_s, budget_s=budget_s)


def with_budget(record, budget_s):
    found = ResourceEvidence(
        budget_s=budget_s, budget_source="given", effort="quick", can_validate=False, obstacle="No."
    )
    return replace(record.evidence, resources=found)


def test_too_few_rows_to_validate_ask_for_rows_and_never_for_time():
    assert said(prior()) == "With at least 20 rows, validation can replace the default."
    assert "time" not in said(prior(), timings=late(None, None))


def test_a_budget_that_was_too_small_is_named_with_one_that_would_do():
    record = replace(prior(), data=replace(prior().data, n_rows=900))
    assert said(record, timings=late(25.0, 237.0)) == (
        "With more time (budget=356), validation can replace the default."
    )
    assert not said(record, timings=late(600.0, 237.0))
    no_time = replace(record, evidence=with_budget(record, 0.0))
    assert 'budget="auto"' in said(no_time, timings=late(0.0, None))


def test_all_rows_ask_for_rows_and_for_time_only_if_time_cut_something():
    record = cant_tell()
    assert not said(record)  # the verdict names the rows
    assert not said(record, timings=late(5.0, 60.0))
    cut = replace(record.evidence.scores, cut="The deadline left out 3 fits.")
    record = replace(record, evidence=replace(record.evidence, scores=cut))
    assert said(record, timings=late(5.0, 60.0)) == "More time (budget=90) would tell more."


def test_a_sample_asks_for_time_to_use_more_of_the_rows():
    record = cant_tell()
    part = replace(record.evidence.sample, is_everything=False, n_source=900)
    record = replace(record, evidence=replace(record.evidence, sample=part))
    assert said(record, timings=late(5.0, 60.0)) == "More time (budget=90) allows a larger sample."
    assert not said(record)


def test_no_absurd_number_of_rows_is_named():
    many = replace(cant_tell(), rows_needed=None)
    assert headline(many)[1].endswith(
        "than without (95% interval); it would take many more rows to decide it."
    )


@pytest.mark.parametrize("code", FEW_RULE)
def test_where_few_rows_rule_the_loss_no_number_of_rows_is_named(code):
    ruled = replace(cant_tell(), notes=(Note(code=code, text="skewed", is_warning=True),))
    assert headline(ruled)[1].endswith("than without (95% interval), as a few rows rule the loss.")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (HIDDEN_SIGNAL, "extreme values rule the loss"),
        (UNLEARNED_SIGNAL, "the model learns less than a quick linear one"),
    ],
)
def test_a_signal_not_found_is_the_reason_and_asks_for_neither_rows_nor_time(code, reason):
    record = replace(cant_tell(), notes=(Note(code=code, text="ranks predict", is_warning=True),))
    assert headline(record)[0] == f"Can't tell yet: {reason}, and nothing beats a constant guess."
    assert not said(record, timings=late(5.0, 60.0))


def test_where_a_deadline_left_folds_out_more_time_would_decide() -> None:
    record = cant_tell()
    scores, sample = record.evidence.scores, record.evidence.sample
    assert scores is not None
    assert sample is not None
    comparisons = tuple(replace(each, n_rows=12) for each in scores.comparisons)
    part = replace(scores, comparisons=comparisons, cut="the time was up")
    record = replace(record, evidence=replace(record.evidence, scores=part), rows_needed=40)
    said = headline(record)[1]
    assert "the loss of the 12 rows tested is" in said
    assert said.endswith("; testing the other rows as well, with more time, would decide it.")
    # Forward in time the first rows are never tested.
    whole = replace(record, evidence=replace(record.evidence, scores=replace(part, cut=None)))
    assert "with more time" not in headline(whole)[1]

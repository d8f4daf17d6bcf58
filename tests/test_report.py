"""The words of a report, and their two renderings compared as text with golden files."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_builders import (
    EVERYTHING,
    GOLDEN,
    RECORDS,
    advice,
    cant_tell,
    comparison,
    exchanged,
    golden_reports,
    network,
    no_signal,
    none,
    prior,
    tie,
    without_data,
)

from regadvisor.advice import Advice
from regadvisor.records import Comparison, Note, Record, ScoreEvidence, ShiftTest, Timings, ZeroedFeature
from regadvisor.records.evidence import GrowthEvidence, SizePoint
from regadvisor.regularizer import KINDS, Regularizer
from regadvisor.report.text import to_markdown, to_text
from regadvisor.report.verdict import headline, main_claim
from regadvisor.report.view import view
from regadvisor.words import seconds

REPORTS = golden_reports()
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def scores_of(record: Record) -> ScoreEvidence:
    assert record.evidence.scores is not None
    return record.evidence.scores


def with_comparison(record: Record, found: Comparison) -> Record:
    """Exchange a comparison of a record in which a best fit without a penalty exists."""
    changed = exchanged(scores_of(record), found)
    changed = replace(changed, scores=tuple(replace(each, is_limit=False) for each in changed.scores))
    return replace(record, evidence=replace(record.evidence, scores=changed))


# ----------------------------------------------------------------------------------- whole reports


@pytest.mark.parametrize("name", REPORTS)
def test_the_report_is_the_golden_text(name: str) -> None:
    """If the change is meant: ``python tests/record_builders.py``, and read the difference."""
    assert REPORTS[name] == (GOLDEN / name).read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(REPORTS)


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("width", [20, 60, 88, 110])
def test_lines_fit_the_width_and_end_clean(name: str, width: int) -> None:
    lines = to_text(view(RECORDS[name]()), width=width).splitlines()
    assert all(len(line) <= max(width, 48) for line in lines)
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("name", RECORDS)
def test_colour_says_nothing_that_the_plain_text_does_not(name: str) -> None:
    words = view(RECORDS[name]())
    coloured = to_text(words, color=True)
    assert "\x1b[" in coloured
    plain = [line.rstrip() for line in ANSI.sub("", coloured).splitlines()]
    assert plain == to_text(words).splitlines()


def test_the_environment_does_not_change_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = to_text(view(advice()))
    for name, value in {"COLUMNS": "50", "FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    assert to_text(view(advice())) == expected


def test_a_normal_report_stays_short() -> None:
    assert len(to_text(view(advice())).splitlines()) <= 60


def test_verbose_adds_every_candidate_and_fold() -> None:
    record = network()
    text = to_text(view(record), verbose=True, width=160)
    for score in scores_of(record).scores:
        folds = [f"{loss:.3g}" for loss in score.fold_losses if loss is not None]
        assert " ".join(folds) in text
    assert text.startswith(to_text(view(record), width=160).split("Why")[0])


# -------------------------------------------------------------------------------------- the verdict


def test_advice_says_what_to_use_whether_it_helps_by_how_much_and_what_it_took() -> None:
    assert headline(advice()) == (
        "Use L2: LogisticRegression(C=0.57) on standardised features.",  # 1 / (569 * 0.0031)
        # 0.0491 of 0.1253; its standard deviation is 0.0382 / 3.92, of which 0.8416 is taken off.
        "Regularizing helps: very likely. Held-out log loss 39% lower than without (likely at least 33%).",
        "Measured on all 569 rows in 12 s; held-out log loss 0.0762, guessing 0.66.",
    )
    assert view(advice()).flips[0] == (
        "The answer would become L1+L2 if L2 were at least 0.7% worse than L1+L2 (now 0.4%)."
    )


def test_what_is_lost_at_most_is_said_where_other_kinds_do_not_tie() -> None:
    said = headline(replace(advice(), most_lost=0.0123))
    assert said[2] == "If another kind is the best, L2 costs at most 1.2% more (90% sure)."
    said = headline(replace(advice(), most_lost=2.54))
    assert said[2] == "If another kind is the best, L2 costs at most 3.5 times as much (90% sure)."
    every = tuple(kind for kind in KINDS if kind in scores_of(advice()).honest_losses and kind != "l2")
    assert "at most" not in " ".join(headline(replace(advice(), most_lost=0.0123, ties=every))[3:])
    # No penalty is a limit here: it is no kind that may be the best.
    penalties = tuple(kind for kind in every if kind != "none")
    assert "at most" not in " ".join(headline(replace(advice(), most_lost=0.0123, ties=penalties)))


def test_nothing_is_said_to_gain_more_than_all_of_the_loss() -> None:
    wide = comparison("l2", "none", 0.2, 0.4, "unsure", {"l2": 0.1, "none": 0.3})
    record = with_comparison(cant_tell(), wide)
    assert "between 100% lower and 67% higher" in headline(record)[1]
    (row,) = [row for row in view(record).candidates if row.kind == "L2"]
    assert row.gain == "+67% [+9.4%, +100%]"


def test_no_help_is_told_that_is_not_there() -> None:
    losses = {"l2": 0.102, "none": 0.1, "constant": 0.66}
    record = with_comparison(advice(), comparison("l2", "none", -0.002, 0.02, "unsure", losses))
    claim = replace(record.claims[0], support=0.3)
    said = headline(replace(record, claims=(claim, *record.claims[1:])))
    assert "Regularizing is not shown to help: the loss is between 18% lower and 22% higher" in said[1]
    assert said[1].endswith("; in doubt a penalty is safer.")  # why it is advised all the same


def test_that_no_fit_without_a_penalty_was_left_is_told() -> None:
    scores = scores_of(advice())
    own = {kind: loss for kind, loss in scores.lowest_losses.items() if kind != "none"}
    scores = replace(scores, comparisons=(), lowest_losses=own, honest_losses=own)
    claim = replace(advice().claims[0], support=None)
    record = replace(advice(), evidence=replace(advice().evidence, scores=scores), claims=(claim,))
    assert headline(record)[1] == "What it gains was not measured: without a penalty no fit finished."


def test_a_penalty_is_needed_where_nothing_else_has_a_best_fit() -> None:
    losses = {"l2": 0.109, "none": 0.1, "constant": 0.66}
    scores = exchanged(scores_of(advice()), comparison("l2", "none", -0.09, 0.04, "worse", losses))
    record = replace(advice(), evidence=replace(advice().evidence, scores=scores))
    assert headline(record)[1] == (
        "Regularizing is needed: without a penalty some weights grow without limit."
    )


@pytest.mark.parametrize(("lowest", "said"), [(0.0986, "1.4%"), (0.1, None), (0.1001, None), (0.09999, None)])
def test_what_is_not_shown_to_help_says_why_it_is_advised(lowest: float, said: str | None) -> None:
    losses = {"l2": 0.109, "none": 0.1, "constant": 0.66}
    record = with_comparison(advice(), comparison("l2", "none", -0.09, 0.04, "worse", losses))
    scores = record.evidence.scores
    assert scores is not None
    scores = replace(scores, lowest_losses={"l2": lowest, "none": 0.1})
    claim = replace(record.claims[0], support=0.05)
    record = replace(
        record, evidence=replace(record.evidence, scores=scores), claims=(claim, *record.claims[1:])
    )
    why = f"At the best strength tried it was {said} lower, which may be luck."
    assert (why in " ".join(headline(record))) == (said is not None)
    assert ("which may be luck" in " ".join(headline(record))) == (said is not None)


def test_a_gain_of_a_model_that_may_be_no_better_than_guessing_is_told_as_such() -> None:
    record = advice()
    claim = replace(record.claims[0], support=0.45)  # of a pair that is "better"
    said = headline(replace(record, claims=(claim, *record.claims[1:])))[1]
    assert said.startswith("Held-out log loss 39% lower than without (likely at least 33%), but")
    assert said.endswith("the model is not shown to do better than always guessing.")
    claim = replace(record.claims[0], support=0.7)  # "likely" would deny that it is no more than this
    said = headline(replace(record, claims=(claim, *record.claims[1:])))[1]
    assert said.endswith(
        "more likely than not. Held-out log loss 39% lower than without (60% interval: 33% to 46% lower)."
    )


def test_a_difference_that_rounds_to_nothing_has_two_directions() -> None:
    losses = {"l2": 0.1, "none": 0.1, "constant": 0.66}
    record = with_comparison(advice(), comparison("l2", "none", 0.00001, 0.00002, "same", losses))
    said = " ".join(headline(replace(record, status="tie", ties=("none",))))
    assert "With L2 the loss is at most 0.1% lower or higher than without (95% interval)." in said


def test_where_the_model_without_a_penalty_is_worse_than_guessing_no_share_of_its_loss_is_told() -> None:
    record = advice()
    scores = replace(scores_of(record), lowest_losses={"none": 0.702, "l2": 0.0842}, constant_loss=0.66)
    said = headline(replace(record, evidence=replace(record.evidence, scores=scores)))[1]
    assert said == (
        "Regularizing helps: very likely. Without a penalty the model does worse than always guessing "
        "(held-out log loss 0.702 against 0.66)."
    )


def test_a_model_that_is_worse_than_guessing_on_the_sample_alone_is_told_as_such() -> None:
    record = advice()
    assert record.data is not None
    scores = replace(scores_of(record), lowest_losses={"none": 0.702, "l2": 0.0842}, constant_loss=0.66)
    claim = replace(record.claims[0], support=0.79)
    part = replace(
        record,
        claims=(claim, *record.claims[1:]),
        data=replace(record.data, n_rows=20_000),
        evidence=replace(record.evidence, scores=scores),
    )
    assert headline(part)[1].startswith(
        "Regularizing helps on the sample and, more likely than not, on all 20,000 rows. Without a "
        "penalty the model does worse on the sample than always guessing (held-out"
    )


def test_losses_that_read_alike_are_not_held_against_each_other() -> None:
    losses = {"l2": 0.6930, "none": 0.6932, "constant": 0.6931}
    record = with_comparison(advice(), comparison("l2", "none", 0.0002, 0.0001, "better", losses))
    own = {kind: loss for kind, loss in losses.items() if kind != "constant"}
    scores = replace(scores_of(record), constant_loss=0.6931, honest_losses=own)
    said = headline(replace(record, evidence=replace(record.evidence, scores=scores)))[1]
    assert "always guessing" not in said


def test_what_helps_on_the_sample_and_may_not_on_all_rows_is_said_of_each() -> None:
    record = advice()
    assert record.data is not None
    weak = tuple(replace(claim, support=0.797) for claim in record.claims)
    large = replace(record, claims=weak, data=replace(record.data, n_rows=48_842))
    assert headline(large)[1].startswith(
        "Regularizing helps on the sample and, more likely than not, on all 48,842 rows. Held-out log "
    )
    assert view(large).claims[0] == "L2 lowers the loss by 0.5% or more: more likely than not (0.79)."


def test_a_tie_names_the_tied_kinds_and_the_simplest() -> None:
    assert headline(tie())[:3] == (
        "Use L2: LogisticRegression(C=0.57) on standardised features.",
        "Regularizing helps: very likely. Held-out log loss 39% lower than without (likely at least 33%).",
        "L1 and L1+L2 do as well; L2 is the simplest.",
    )


def test_a_tie_with_none_does_not_say_regularize() -> None:
    found = comparison("l2", "none", 0.0002, 0.001, "same", {"l2": 0.3119, "none": 0.3121})
    verdict = headline(with_comparison(replace(tie(), ties=("none", "l1")), found))
    assert verdict[:3] == (
        "Use L2: LogisticRegression(C=0.57) on standardised features; regularizing makes no measurable "
        "difference, and a mild penalty does no harm.",
        "With L2 the loss is between 0.4% lower and 0.3% higher than without (95% interval). No regularizer "
        "and L1 do as well.",
        "Measured on all 569 rows in 12 s; held-out log loss 0.0762, guessing 0.66.",
    )


def test_a_mild_penalty_that_may_well_harm_is_not_said_to_do_no_harm() -> None:
    found = comparison("l2", "none", -0.0002, 0.001, "same", {"l2": 0.3123, "none": 0.3121})
    verdict = headline(with_comparison(replace(tie(), ties=("none",)), replace(found, p_worse=0.51)))
    assert verdict[0].endswith("features; regularizing makes no measurable difference.")


@pytest.mark.parametrize("reply", ["better", "unsure"])
def test_that_a_penalty_is_needed_does_not_say_that_it_lowers_the_loss(reply: str) -> None:
    record = advice()
    found = comparison("l2", "none", 0.01, 0.005, reply, {"l2": 0.11, "none": 0.12})
    scores = exchanged(scores_of(record), replace(found, p_better=0.82))
    record = replace(record, evidence=replace(record.evidence, scores=scores))
    assert not scores.none_exists
    assert view(record).claims[0] == "L2 lowers the loss by 0.5% or more: likely (0.82)."
    said = "Regularizing helps: likely." if reply == "better" else "Regularizing is needed: without"
    assert headline(record)[1].startswith(said)
    scores = exchanged(scores, replace(found, p_better=0.08))
    record = replace(record, evidence=replace(record.evidence, scores=scores))
    assert view(record).claims[0] == "Regularizing is needed: without a penalty there is no best fit."


def _alone(record: Record, found: Comparison) -> Record:
    """Return a record with one comparison alone."""
    assert record.evidence.scores is not None
    scores = replace(record.evidence.scores, comparisons=(found,))
    return replace(record, evidence=replace(record.evidence, scores=scores))


def test_none_that_ties_with_the_best_penalty_is_called_a_toss_up() -> None:
    found = comparison("l2", "none", -0.0002, 0.001, "same", {"l2": 0.3123, "none": 0.3121})
    record = _alone(replace(none(), ties=("l2",)), found)
    assert headline(record)[:3] == (
        "Use no regularizer: regularizing makes no measurable difference.",
        "With L2 the loss is between 0.3% lower and 0.4% higher than without (95% interval). L2 does as "
        "well.",
        "Measured on all 569 rows in 12 s; held-out log loss 0.312, guessing 0.69.",
    )


def test_a_preference_for_sparse_is_not_called_the_simplest() -> None:
    record = tie()
    record = replace(
        record,
        ties=("l2",),
        settings=replace(record.settings, prefer="sparse"),
        strength=replace(record.strength, regularizer=Regularizer(l1=0.002)),
    )
    assert "L2 does as well; L1 is the sparsest." in headline(record)
    assert "L2 does as well." in headline(replace(record, settings=advice().settings))


def test_none_says_what_the_best_one_would_gain() -> None:
    assert headline(none())[:2] == (
        "No regularizer needed: very likely.",
        "With the best one, L2, the loss is between 1.6% lower and 1.0% higher than without (95% interval).",
    )


def test_none_that_was_trained_on_all_rows_is_as_good_as_there() -> None:
    few, every = (
        SizePoint(n_rows=n, share=n / 500, loss_none=none, loss=0.3, gain=0.0, se=0.1)
        for n, none in ((500, 1.05), (4_600, 0.241))
    )
    masses = {"p_better": 0.1, "p_same": 0.1, "p_worse": 0.8}
    known = {"gain": -0.04, "low": -0.1, "high": 0.02, **masses, "n_sample": 500, "n_rows": 4_600}
    record = none()
    for source, sizes, said in (
        ("checked", (few, every), "held-out log loss 0.241 on all rows, guessing 0.69."),
        ("prior", (few,), "held-out log loss 0.312, guessing 0.69."),
    ):
        growth = GrowthEvidence(kind="l2", source=source, sizes=sizes, **known)
        lines = headline(replace(record, evidence=replace(record.evidence, growth=growth)))
        assert any(line.endswith(said) for line in lines)


def test_none_does_not_deny_itself() -> None:
    claim = replace(none().claims[0], support=0.3)
    assert headline(replace(none(), claims=(claim,)))[0] == "Use no regularizer: no kind is shown to help."


def test_none_says_when_regularizing_costs() -> None:
    record = none()
    losses = {"l2": 0.33, "none": 0.3121}
    costs = _alone(record, comparison("l2", "none", -0.02, 0.01, "worse", losses))
    assert (
        headline(costs)[1] == "Even the best one tried, L2, has a held-out log loss 6.4% higher than without."
    )
    tiny = _alone(record, comparison("l2", "none", -0.02, 0.01, "worse", {"l2": 0.02, "none": 1e-9}))
    own = {row.kind: row.loss for row in view(tiny).candidates}
    said = (
        f"Even the best one tried, L2, has a held-out log loss of {own['L2']} against {own['none']} without."
    )
    assert headline(tiny)[1] == said


def test_none_says_when_the_gain_does_not_survive() -> None:
    record = with_comparison(
        none(), comparison("l2", "none", 0.02, 0.01, "better", {"l2": 0.29, "none": 0.3121})
    )
    last = record.walk.steps[-1]
    lost = replace(last, answer=replace(last.answer, reply="no"), to="none")
    record = replace(record, walk=replace(record.walk, steps=(*record.walk.steps[:-1], lost)))
    assert headline(record)[1].endswith("on the sample; at the full size the gain does not survive.")


def test_cant_tell_says_how_many_rows_would_decide_and_what_to_start_with() -> None:
    assert headline(cant_tell())[:2] == (
        "Can't tell yet whether to regularize. Until then use L2: LogisticRegression(C=0.33) on "
        "standardised features.",
        "With L2 the loss is between 45% lower and 27% higher than without (95% interval); about 400 rows "
        "more than these 60 would decide it.",
    )


def test_cant_tell_blames_no_few_rows_where_nothing_was_trained() -> None:
    few = Note(code="skewed-target", text="few rows rule", is_warning=True)
    record = replace(cant_tell(), notes=(few,))
    assert headline(record)[1].endswith("(95% interval), as a few rows rule the loss.")
    untrained = replace(record, evidence=replace(record.evidence, scores=None))
    assert "as a few rows rule the loss" not in " ".join(headline(untrained))


def test_cant_tell_asks_for_a_larger_sample_if_there_are_rows() -> None:
    record = cant_tell()
    assert record.data is not None
    record = replace(record, data=replace(record.data, n_rows=5000))
    assert "; a sample of about 460 rows would decide it." in headline(record)[1]


def test_cant_tell_after_one_fold_says_that_time_was_short() -> None:
    record = replace(RECORDS["no_signal"](), status="cant_tell")
    assert headline(record)[0] == (
        "Can't tell yet: there was time for one fold, in which nothing beat a constant guess."
    )


def test_cant_tell_without_training_gives_the_reason() -> None:
    record = replace(prior(), status="cant_tell")
    assert headline(record)[0] == "Can't tell yet: 12 rows cannot be split into folds."


@pytest.mark.parametrize(
    ("task", "loss", "what"),
    [
        ("regression", "squared error", "mean"),
        ("regression", "Poisson deviance", "mean"),
        ("regression", "pinball loss (quantile 0.5)", "best constant"),
        ("binary", "log loss", "class shares"),
        ("binary", "hinge loss", "best constant"),
        ("binary", "squared error of -1 and 1", "best constant"),
    ],
)
def test_no_signal_names_what_is_not_beaten(task: str, loss: str, what: str) -> None:
    record = no_signal()
    assert record.data is not None
    scores = replace(scores_of(record), loss_name=loss)
    evidence = replace(record.evidence, scores=scores)
    record = replace(record, data=replace(record.data, task=task), evidence=evidence)
    verdict = headline(record)
    assert verdict[0] == f"Nothing predicts better than always guessing the {what}: very likely."
    assert verdict[1].startswith("The best model (L2) has a held-out ")
    assert verdict[2].startswith("If you train anyway, use L2: ")
    doubted = replace(record, claims=(replace(record.claims[0], support=0.5),))
    assert headline(doubted)[0] == f"Nothing is shown to predict better than always guessing the {what}."


def test_the_prior_branch_has_a_default_strength_and_no_confidence() -> None:
    assert headline(prior())[:3] == (
        "Use L2: LogisticRegression(C=1) on standardised features, a default strength.",
        "This is a rule of thumb, not a measurement. 12 rows cannot be split into folds.",
        "This took 0.2 s.",
    )


def test_without_data_the_strength_is_unknown() -> None:
    assert headline(without_data()) == ("Use L1.", "Its strength is unknown without data.")
    assert view(without_data()).next_steps == ("regadvisor.advise(X, y) with data finds the strength.",)


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("none", "no regularizer"),
        ("l2", "L2, strength 0.2"),
        ("l1", "L1, strength 0.1"),
        ("elasticnet", "L1+L2 (elastic net), L1 strength 0.1 and L2 strength 0.2"),
        ("dropout", "dropout, rate 0.3"),
        ("dropout_l2", "dropout+L2, L2 strength 0.2 and dropout rate 0.3"),
        ("dropout_l1", "dropout+L1, L1 strength 0.1 and dropout rate 0.3"),
    ],
)
def test_every_kind_can_be_the_start(kind: str, how: str) -> None:
    values = {"l1": 0.1, "l2": 0.2, "dropout": 0.3}
    from regadvisor.regularizer import STRENGTHS

    regularizer = Regularizer(**{name: values[name] for name in STRENGTHS[kind]})  # type: ignore[index]
    record = cant_tell()
    record = replace(record, strength=replace(record.strength, regularizer=regularizer))
    record = replace(record, training=None)  # without it there is no unit of the caller's own
    assert any(line.endswith(f"Until then use {how}.") for line in headline(record))


def test_the_claim_behind_the_verdict() -> None:
    assert [main_claim(build()).name for build in (advice, tie, none)] == [  # type: ignore[union-attr]
        "kind",
        "regularize",
        "regularize",
    ]
    assert main_claim(replace(advice(), claims=())) is None


# ------------------------------------------------------------------------------------- its sections


def test_the_table_has_one_row_per_kind_ranked_by_honest_loss() -> None:
    record = network()
    rows = view(record).candidates
    honest = scores_of(record).honest_losses
    assert [row.loss for row in rows[:-1]] == [f"{loss:.3g}" for loss in sorted(honest.values())]
    assert rows[-1].kind == "always guess"
    assert [row.kind for row in rows if row.is_pick] == ["dropout"]
    assert len(rows) == len(set(honest)) + 1 <= len(KINDS) + 1


def test_gains_are_differences_with_their_sign_turned() -> None:
    rows = {row.kind: row for row in view(advice()).candidates}
    assert rows["L2"].gain == "+39% [+33%, +46%]"
    assert rows["L2"].reply == "better"
    assert rows["always guess"].gain == "-427% [-440%, -413%]"
    assert rows["none"].gain == ""


def test_strengths_of_smaller_samples_are_not_shown_as_the_best() -> None:
    rows = {row.kind: row for row in view(advice()).candidates}
    assert rows["L2"].tried == "2"
    assert rows["L1"].strength == "0.002"
    assert rows["L1"].remarks == "1 excluded"
    assert rows["none"].remarks == "no finite fit exists; a tiny penalty stands in"


def test_a_kind_whose_fits_all_failed_is_shown_without_a_loss() -> None:
    rows = {row.kind: row for row in view(no_signal()).candidates}
    assert rows["none"].loss == "–"
    assert rows["none"].remarks == "1 run exploded (loss far above guessing)"


def test_every_pair_is_compared_once_the_simpler_side_last() -> None:
    rows = view(advice()).comparisons
    pairs = scores_of(advice()).comparisons
    assert len(rows) == len(pairs)
    assert rows[0][0] == "none against always guessing"
    assert "L1+L2 against L2" in [row[0] for row in rows]


@pytest.mark.parametrize(
    ("reply", "words"),
    [("same", "the two tie"), ("unsure", "do not settle"), ("better", "the difference is clear")],
)
def test_where_the_chart_and_the_plain_best_differ_the_report_says_how_clearly(
    reply: str, words: str
) -> None:
    found = scores_of(advice()).comparison("elasticnet", "l2")
    assert found is not None
    record = with_comparison(advice(), replace(found, reply=reply))  # type: ignore[arg-type]
    said = view(record).disagreement
    assert said is not None
    assert words in said
    assert "(0.0759 against 0.0762 of L2; " in said


@pytest.mark.parametrize("mixed", [0.08, 0.0699999])
def test_where_they_agree_or_read_alike_nothing_is_said(mixed: float) -> None:
    record = advice()
    agreed = replace(scores_of(record), lowest_losses={"l2": 0.07, "elasticnet": mixed})
    assert view(replace(record, evidence=replace(record.evidence, scores=agreed))).disagreement is None
    assert view(no_signal()).disagreement is None


def test_the_path_names_the_picks_and_ends_with_the_outcome() -> None:
    rows = view(advice()).path
    assert [row.pick for row in rows if row.pick] == [
        "so far: no regularizer",
        "so far: L1+L2",
        "so far: L2",
        "outcome: L2",
    ]
    assert rows[-1].pick == "outcome: L2"
    assert rows[0].action == "generate a sub sample"


def test_a_gain_below_zero_beside_a_loss_that_is_no_higher_is_explained() -> None:
    record = tie()
    scores = scores_of(record)
    equal = replace(scores, lowest_losses=dict.fromkeys(scores.honest_losses, 0.25))
    assert view(replace(record, evidence=replace(record.evidence, scores=equal))).disagreement is None
    lost = comparison("l2", "none", -0.007, 0.02, "unsure", dict.fromkeys(("l2", "none"), 0.25))
    worse = replace(record, evidence=replace(record.evidence, scores=exchanged(equal, lost)))
    assert view(worse).disagreement == (
        "Gains allow for the luck of picking the best of several strengths; losses do not."
    )


def test_which_task_was_taken_is_told_once() -> None:
    guessed = replace(advice(), notes=(Note(code="task-guessed", text="taken as classes"),))
    assert guessed.data is not None
    assert view(guessed).notes == ("Taken as classes.",)
    under_the_verdict = replace(guessed, data=replace(guessed.data, other_task="regression"))
    assert not view(under_the_verdict).notes


def test_how_good_a_model_of_numbers_is_stands_on_the_first_screen() -> None:
    scores = replace(scores_of(advice()), loss_name="squared error", loss_scale="the variance of the target")
    record = replace(advice(), evidence=replace(advice().evidence, scores=scores))
    assert headline(record)[-1] == "Measured on all 569 rows in 12 s; held-out R² 0.88."
    for share, said in ((0.0051, "0.9949"), (1e-9, "0.9999"), (1e-15, "1.00")):  # never rounded up
        good = replace(scores, lowest_losses={"l2": share * scores.constant_loss})
        record = replace(advice(), evidence=replace(advice().evidence, scores=good))
        assert headline(record)[-1].endswith(f"held-out R² {said}.")


def test_images_are_told_by_their_shape() -> None:
    assert advice().data is not None
    images = replace(advice(), data=replace(advice().data, image_shape=(3, 8, 8)))
    assert view(images).context.startswith("569 rows of 3 × 8 × 8 · 2 classes")


def test_of_kinds_that_tie_the_report_says_why_one_is_the_start() -> None:
    scores = scores_of(advice())
    dear = replace(scores, lowest_losses={**scores.lowest_losses, "l1": 0.04, "l2": 0.05})
    record = replace(advice(), evidence=replace(advice().evidence, scores=dear), ties=("l2",))
    record = replace(record, strength=replace(record.strength, regularizer=Regularizer(l1=0.01)))
    assert "L2 does as well; L1 has the lowest loss." in headline(record)


def test_weights_groups_and_time_stand_under_the_verdict() -> None:
    record = advice()
    assert record.data is not None
    data = replace(record.data, n_groups=7, has_time=True, has_weights=True)
    assert "7 groups · in time order · weighted · " in view(replace(record, data=data)).context


def test_drift_is_odd_about_the_data_and_the_verdict_says_how_it_was_met() -> None:
    record = network()
    test = ShiftTest(what="blocks in time", verdict="different", text="1 of 30 columns drifts")
    sample = replace(EVERYTHING, has_drift=True, validation="time", tests=(test,))
    shown = view(replace(record, evidence=replace(record.evidence, sample=sample)))
    assert shown.warnings == ("1 of 30 columns drifts.",)
    assert "1 of 30 columns drifts." not in shown.sample
    assert "no warnings about the data" not in shown.context
    assert " s, forward in time; held-out log loss " in shown.headline[-1]


def test_a_run_that_was_cut_says_how_many_folds_were_tested() -> None:
    record = advice()
    assert record.evidence.scores is not None
    cut = replace(record.evidence.scores, cut="the time was up after 3 of 9 fits", n_folds=1)
    said = headline(replace(record, evidence=replace(record.evidence, scores=cut)))[-1]
    assert said.startswith("Measured on all 569 rows in 12 s, on 1 of 5 folds; ")


def test_cant_tell_names_what_does_as_well() -> None:
    assert "L1 and L1+L2 do as well." in headline(replace(cant_tell(), ties=("none", "l1", "elasticnet")))


def test_many_zeroed_features_are_counted_and_the_steadiest_named() -> None:
    record = network()
    zeroed = tuple(ZeroedFeature(name=f"z{i}", share=1.0 - i / 20) for i in range(12))
    scores = replace(scores_of(record), zeroed=zeroed, n_zeroed=12, n_encoded_features=64)
    line = view(replace(record, evidence=replace(record.evidence, scores=scores))).fit[-1]
    assert line.startswith("The advised model zeroes 12 of 64 inputs: z0, z1 (in 95% of the folds), ")
    assert line.endswith("and 6 more.")


def test_names_from_the_data_cannot_steer_the_terminal_or_the_markup() -> None:
    words = view(network())
    text = to_text(words)
    assert "\x1b" not in text
    assert "[red]x" in text
    assert "Column [bold]when[/bold] was read" in text
    markdown = to_markdown(words)
    assert "age\\_\\|in years" in markdown
    assert "\\[bold\\]when" in markdown


def test_markdown_tables_have_equally_many_cells_in_every_row() -> None:
    table = [line for line in to_markdown(view(network())).splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert len(table) == len(view(network()).candidates) + 2


def test_a_view_does_not_change_with_the_order_of_mappings() -> None:
    record = network()
    scores = scores_of(record)
    turned = replace(
        scores,
        honest_losses=dict(reversed(scores.honest_losses.items())),
        comparisons=tuple(reversed(scores.comparisons)),
    )
    record_turned = replace(
        record,
        evidence=replace(record.evidence, scores=turned),
        timings=replace(record.timings, stages=dict(reversed(record.timings.stages.items()))),
    )
    assert view(record_turned) == view(record)


def test_a_bare_record_is_rendered() -> None:
    record = replace(
        advice(),
        evidence=replace(advice().evidence, scores=None, sample=None),
        walk=replace(advice().walk, steps=()),
        claims=(),
        flips=(),
        timings=Timings(),
        training=None,
    )
    text = to_text(view(record))
    assert "Use L2, strength 0.0031." in text
    assert "This is a rule of thumb, not a measurement." in text


@given(st.floats(min_value=0.05, max_value=1e6))
def test_seconds_are_right_to_five_percent(value: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    parts = re.findall(r"([\d.,]+) (s|min|h)\b", seconds(value))
    said = sum(float(figure.replace(",", "")) * units[unit] for figure, unit in parts)
    # Rounding to a tenth of a second errs by half a tenth, exactly so at 0.75.
    assert math.isclose(said, value, rel_tol=0.05, abs_tol=0.05 + 1e-9)


# ------------------------------------------------------------------------------------------- weight


def test_rendering_a_record_imports_nothing_heavy() -> None:
    code = (
        "import sys, regadvisor.report.text, regadvisor.report.text, regadvisor.report.serial as s\n"
        "from regadvisor.report.view import view\n"
        "record = s.from_json(sys.stdin.buffer.read())\n"
        "regadvisor.report.text.to_text(view(record)); regadvisor.report.text.to_markdown(view(record))\n"
        "heavy = {'numpy', 'scipy', 'sklearn', 'pandas', 'torch', 'optuna'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    from regadvisor.report.serial import to_json

    done = subprocess.run(
        [sys.executable, "-c", code], input=to_json(network()).encode(), capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()


def test_a_warning_stands_below_the_verdict_in_every_form_and_not_among_the_notes() -> None:
    leak = Note(code="leak", text="'x3' determines the target", is_warning=True)
    record = replace(RECORDS["advice"](), notes=(leak,))
    advice, said = Advice(record), "'x3' determines the target."
    assert advice.warnings == (said,)
    assert f"! {said}" in repr(advice)
    text = advice.to_text()
    assert text.count(said) == 1
    assert text.index(said) < text.index("Why")
    markdown = advice.to_markdown()
    assert markdown.index(said) < markdown.index("## Why")


def test_folds_that_were_not_needed_are_said() -> None:
    record = advice()
    scores = record.evidence.scores
    assert scores is not None
    few = replace(scores, n_folds=2, n_parts=5)
    record = replace(record, evidence=replace(record.evidence, scores=few))
    said = "Validated on 2 of 5 stratified folds: the others would hardly change the answer."
    assert said in view(record).sample


def test_claims_do_not_read_as_the_opposite_of_the_verdict() -> None:
    record, same = advice(), "Regularizing or not changes the loss by less than 0.5%."
    tied = replace(record.claims[0], name="regularize", statement=same)
    sure, unsure = (replace(record, claims=(replace(tied, support=p),)) for p in (0.9, 0.37))
    assert view(sure).claims == (f"{same.rstrip('.')}: likely (0.90).",)
    assert view(unsure).claims == ("L2 lowers the loss by 0.5% or more: very likely (0.97).",)
    scores = record.evidence.scores
    assert scores is not None
    sides = tuple(replace(each, p_better=1.0, p_same=0.0, p_worse=0.0) for each in scores.comparisons)
    certain = replace(unsure, evidence=replace(unsure.evidence, scores=replace(scores, comparisons=sides)))
    assert view(certain).claims[0].endswith("very likely (0.99).")  # of resampled rows, not of new ones


def test_scores_of_the_caller_s_stand_in_the_order_of_the_kinds() -> None:
    record = advice()
    scores = record.evidence.scores
    assert scores is not None
    scores = replace(scores, reported={"l1": 0.9, "none": 0.8}, reported_name="roc_auc")  # as in a file
    lines = view(replace(record, evidence=replace(record.evidence, scores=scores))).fit
    assert "Your roc_auc, which decides nothing: no regularizer 0.8 and L1 0.9." in lines


def test_that_no_regularizer_is_needed_is_said_once() -> None:
    record = advice()
    needed = replace(record.claims[0], name="regularize", statement="No regularizer is needed.", support=0.9)
    claims = (needed, replace(needed, name="kind"))
    strength = replace(record.strength, regularizer=Regularizer())
    assert view(replace(record, strength=strength, claims=claims)).claims == (
        "No regularizer is needed: likely (0.90).",
    )

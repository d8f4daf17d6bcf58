"""Hand-made records of every sort, for tests of the report and the command line.

``python tests/record_builders.py`` writes the golden reports in ``tests/golden`` anew; read the difference
before committing it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from regadvisor.flowchart.chart import CLASSIC, EXTENDED, PICK, Chart, without
from regadvisor.flowchart.comparisons import comparison_text
from regadvisor.records import (
    FORMAT,
    Answer,
    CandidateScore,
    Claim,
    Column,
    Comparison,
    CorrelationEvidence,
    DataFacts,
    Evidence,
    FitFacts,
    Flip,
    Note,
    PriorEvidence,
    Record,
    Reply,
    ResourceEvidence,
    SampleEvidence,
    ScoreEvidence,
    Settings,
    ShiftTest,
    Step,
    Strength,
    Timings,
    Training,
    Walk,
    WholePictureEvidence,
    ZeroedFeature,
)
from regadvisor.regularizer import Kind, Regularizer

GOLDEN = Path(__file__).parent / "golden"
LINEAR = without(EXTENDED, "Q8", "Q9")
Said = dict[str, tuple[Reply, str]]

Q1_ALL: tuple[Reply, str] = ("yes", "All 569 rows are used.")
Q2_YES: tuple[Reply, str] = ("yes", "The walk is projected to take 9.8 s, the budget is 40.0 s (automatic).")


def walked(chart: Chart, said: Said, flips: dict[str, str] | None = None) -> Walk:
    """Return the walk along the chart's own edges that these replies give."""
    name, pick, steps = chart.start, None, []
    while name in chart.questions:
        reply, because = said[name]
        edge = chart.questions[name].edges[reply]
        after = edge.pick or pick
        answer = Answer(reply=reply, because=because, flips_if=(flips or {}).get(name))
        steps.append(
            Step(
                question=name,
                text=chart.questions[name].text,
                answer=answer,
                action=edge.action,
                to=edge.to,
                pick_before=pick,
                pick_after=after,
            )
        )
        name, pick = edge.to, after
    return Walk(chart=chart.name, steps=tuple(steps), outcome=(pick or "none") if name == PICK else name)


def comparison(
    a: str, b: str, gain: float, half: float, reply: Reply, losses: dict[str, float]
) -> Comparison:
    masses = {"better": (0.97, 0.02, 0.01), "same": (0.05, 0.9, 0.05), "worse": (0.01, 0.02, 0.97)}
    better, same, worse = masses.get(reply, (0.5, 0.3, 0.2))
    return Comparison(
        a=a,
        b=b,
        reply=reply,
        difference=-gain,
        low=-gain - half,
        high=-gain + half,
        least=-gain - 0.4294 * half,
        most=-gain + 0.4294 * half,
        region=0.0005,
        p_better=better,
        p_same=same,
        p_worse=worse,
        loss_a=losses[a],
        loss_b=losses[b],
        n_rows=569,
    )


def told(a: str, b: str, gain: float, half: float, *, of: float) -> str:
    """Return the reason that a comparison gives; `of` is the loss of `b`."""
    return comparison_text(comparison(a, b, gain, half, "unsure", {a: of - gain, b: of}), "unsure")


def exchanged(scores: ScoreEvidence, *found: Comparison) -> ScoreEvidence:
    """Return the scores with these comparisons in place of those of the same pairs."""
    pairs = [{each.a, each.b} for each in found]
    others = [each for each in scores.comparisons if {each.a, each.b} not in pairs]
    return replace(scores, comparisons=(*others, *found))


def score(regularizer: Regularizer, loss: float, *, n_rows: int = 569, **more: object) -> CandidateScore:
    values = {
        "regularizer": regularizer,
        "loss": loss,
        "fold_losses": tuple(round(loss + shift, 6) for shift in (-0.012, 0.004, 0.0, 0.011, -0.003)),
        "train_loss": loss * 0.8,
        "n_rows": n_rows,
        "seed": 0,
        "converged": True,
        "fit_s": 0.012,
    }
    return CandidateScore(**{**values, **more})  # type: ignore[arg-type]


DATA = DataFacts(
    container="frame",
    task="binary",
    n_rows=569,
    columns=tuple(Column(name=f"x{i}", kind="numeric") for i in range(30)),
    target_name="malignant",
    classes=(0, 1),
    class_counts=(357, 212),
    fingerprint="abc",
)
SETTINGS = Settings(
    model="auto",
    task="auto",
    chart="extended",
    effort="standard",
    effort_source="measured",
    budget_s=40.0,
    folds=5,
    random_state=0,
    version="0.2.0",
)
EVERYTHING = SampleEvidence(
    n_rows=569,
    n_source=569,
    is_everything=True,
    verdict="equivalent",
    size_reason="Uses all 569 rows (the limit is 5,000)",
    validation="stratified",
)
RESOURCES = ResourceEvidence(
    budget_s=40.0, budget_source="automatic", effort="standard", projected_s=9.8, full_run_s=40.2, n_rows=569
)
TIMINGS = Timings(
    total_s=12.04,
    stages={"train": 9.1, "sample": 0.42, "diagnose": 0.3, "walk": 0.02},
    projected_s=9.8,
    full_run_s=40.2,
    budget_s=40.0,
)
LOSSES = {"none": 0.1253, "l2": 0.0762, "l1": 0.0801, "elasticnet": 0.0759, "constant": 0.66}


def _linear_scores() -> ScoreEvidence:
    found = (
        comparison("l2", "none", 0.0491, 0.019, "better", LOSSES),
        comparison("l1", "none", 0.0452, 0.021, "better", LOSSES),
        comparison("elasticnet", "none", 0.0494, 0.019, "better", LOSSES),
        comparison("l1", "elasticnet", -0.0042, 0.0031, "worse", LOSSES),
        comparison("l2", "elasticnet", -0.0003, 0.0004, "same", LOSSES),
        comparison("constant", "none", -0.5347, 0.04, "worse", LOSSES),
    )
    return ScoreEvidence(
        loss_name="log loss",
        constant_loss=0.66,
        scores=(
            score(Regularizer(), 0.1253, is_limit=True, train_loss=0.001),
            score(Regularizer(l2=0.0031), 0.0762, train_loss=0.0582),
            score(Regularizer(l2=0.1), 0.0912),
            score(Regularizer(l2=0.0031), 0.09, n_rows=142),
            score(Regularizer(l1=0.002), 0.0801, share_zeroed=0.4),
            score(Regularizer(l1=0.2), 0.31, converged=False, share_zeroed=1.0),
            score(Regularizer(l1=3.05e-5, l2=0.003), 0.0759),
        ),
        honest_losses={k: v for k, v in LOSSES.items() if k != "constant"},
        best_kind="elasticnet",
        comparisons=found,
        n_excluded={"l1": 1},
        fit_facts=(
            FitFacts(
                kind="l2",
                train_loss=0.0582,
                held_out_loss=0.0762,
                gap=0.235,
                text="With L2 the model fits: train loss 0.0582, held out 0.0762.",
            ),
            FitFacts(
                kind="none",
                train_loss=0.001,
                held_out_loss=0.1253,
                gap=0.992,
                text="No regularizer: 0.001 in training, 0.125 held out.",
            ),
        ),
        n_encoded_features=30,
    )


def advice() -> Record:
    """L2 on a linear model, everything as it should be."""
    flips = (
        Flip(outcome="elasticnet", condition="L2 were at least 0.7% worse than L1+L2 (now 0.4%)"),
        Flip(outcome="l1", condition="L1 were less than 0.7% worse than L1+L2 (now 5.5%)"),
    )
    said: Said = {
        "Q1": Q1_ALL,
        "Q2": Q2_YES,
        "Q4s": ("better", told("any", "constant", 0.584, 0.035, of=0.66)),
        "Q4": ("better", told("elasticnet", "none", 0.0494, 0.019, of=0.1253)),
        "Q5": ("worse", told("l1", "elasticnet", -0.0042, 0.0031, of=0.0759)),
        "Q7": ("same", told("l2", "elasticnet", -0.0003, 0.0004, of=0.0759)),
        "Q9b": ("no", "With L1+L2 it is 0.4% lower, too little to count."),
        "Q10": ("yes", "The gain was measured on all rows, so there is nothing to extrapolate."),
    }
    return Record(
        format=FORMAT,
        status="advice",
        data=DATA,
        settings=SETTINGS,
        evidence=Evidence(sample=EVERYTHING, resources=RESOURCES, scores=_linear_scores()),
        walk=walked(LINEAR, said, {"Q7": flips[0].condition}),
        strength=Strength(
            regularizer=Regularizer(l2=0.0031),
            source="search",
            on_sample=Regularizer(l2=0.0031),
            ties={"l2": (0.0012, 0.0088)},
        ),
        training=Training(family="linear", seed=0),
        claims=(
            Claim(name="regularize", statement="Regularize.", support=0.99),
            Claim(name="kind", statement="Start with L2.", support=0.86),
            Claim(name="strength", statement="Its strength is within 0.5% of the best tried.", support=0.71),
        ),
        flips=flips,
        timings=TIMINGS,
    )


def tie() -> Record:
    """Three penalties tie; the simplest is the start."""
    record = advice()
    return replace(
        record,
        status="tie",
        ties=("l1", "elasticnet"),
        claims=(record.claims[0], replace(record.claims[1], support=0.4)),
    )


def none() -> Record:
    """Nothing gains by more than a tie."""
    losses = {"none": 0.3121, "l2": 0.3111, "l1": 0.315, "elasticnet": 0.3112, "constant": 0.69}
    said: Said = {
        "Q1": Q1_ALL,
        "Q2": Q2_YES,
        "Q4s": ("better", told("any", "constant", 0.379, 0.03, of=0.69)),
        "Q4": ("same", told("elasticnet", "none", 0.0009, 0.0039, of=0.3121)),
        "Q6": ("same", told("l2", "none", 0.001, 0.004, of=0.3121)),
        "Q9b": ("no", "With L1+L2 it is 0.4% lower, too little to count."),
        "Q10": ("yes", "There is no gain to lose."),
    }
    found = (
        replace(comparison("l2", "none", 0.001, 0.004, "same", losses), region=0.0016),
        comparison("l1", "none", -0.0029, 0.004, "unsure", losses),
        comparison("elasticnet", "none", 0.0009, 0.0039, "same", losses),
    )
    scores = replace(
        _linear_scores(),
        honest_losses={k: v for k, v in losses.items() if k != "constant"},
        constant_loss=0.69,
        best_kind="l2",
        scores=(
            score(Regularizer(), 0.3121),
            score(Regularizer(l2=0.0031), 0.3111),
            score(Regularizer(l1=0.002), 0.315),
            score(Regularizer(l1=3.05e-5, l2=0.003), 0.3112),
        ),
        comparisons=found,
        n_excluded={},
        fit_facts=(),
    )
    return replace(
        advice(),
        evidence=Evidence(sample=EVERYTHING, resources=RESOURCES, scores=scores),
        walk=walked(LINEAR, said),
        strength=Strength(regularizer=Regularizer(), source="search"),
        claims=(Claim(name="regularize", statement="No regularizer needed", support=0.95),),
        flips=(Flip(outcome="l2", condition="L2 were at least 0.2% better than no regularizer (now 0.1%)"),),
    )


def no_signal() -> Record:
    """A regression on noise."""
    said: Said = {
        "Q1": ("yes", "All 200 rows are used."),
        "Q2": ("yes", "Effort 'quick' was asked for, without a time limit."),
        "Q4s": ("same", told("any", "constant", 0, 0.001, of=1.0)),
    }
    scores = ScoreEvidence(
        loss_name="squared error",
        loss_scale="the variance of the target",
        constant_loss=1.004,
        scores=(
            score(Regularizer(), math.inf, exploded=True, converged=False, n_rows=200),
            score(Regularizer(l2=10.0), 1.0032, n_rows=200),
        ),
        honest_losses={"l2": 1.0032},
        best_kind="l2",
        comparisons=(),
    )
    data = DataFacts(
        container="array",
        task="regression",
        n_rows=200,
        columns=(Column(name=0, kind="numeric"),),
        target_mean=0.0,
        target_sd=1.0,
    )
    return Record(
        format=FORMAT,
        status="no_signal",
        data=data,
        settings=replace(SETTINGS, model="linear", effort="quick", effort_source="given", budget_s=None),
        evidence=Evidence(
            sample=replace(
                EVERYTHING, n_rows=200, n_source=200, size_reason="All 200 rows: few", validation="random"
            ),
            scores=scores,
        ),
        walk=walked(LINEAR, said),
        strength=Strength(regularizer=Regularizer(l2=10.0), source="search"),
        training=Training(family="linear", seed=0),
        claims=(Claim(name="kind", statement="No signal", support=0.97),),
        timings=Timings(total_s=0.8),
    )


def cant_tell() -> Record:
    """Sixty rows, an interval of 0.4."""
    losses = {**LOSSES, "l2": 0.5, "none": 0.55, "constant": 0.69}
    said: Said = {
        "Q1": ("yes", "All 60 rows are used."),
        "Q2": Q2_YES,
        "Q4s": ("unsure", told("any", "constant", 0.19, 0.24, of=0.69)),
        "Q4": ("unsure", told("elasticnet", "none", 0.04, 0.21, of=0.55)),
        "Q6": ("unsure", told("l2", "none", 0.05, 0.2, of=0.55)),
        "Q9b": ("no", "With L1+L2 it is 0.4% lower, too little to count."),
        "Q10": ("yes", "The gain was measured on all rows, so there is nothing to extrapolate."),
    }
    scores = replace(
        _linear_scores(),
        honest_losses={"none": 0.55, "l2": 0.5},
        constant_loss=0.69,
        best_kind="l2",
        comparisons=(comparison("l2", "none", 0.05, 0.2, "unsure", losses),),
        scores=(score(Regularizer(), 0.55, n_rows=60), score(Regularizer(l2=0.05), 0.5, n_rows=60)),
        n_excluded={},
        fit_facts=(),
    )
    return replace(
        advice(),
        status="cant_tell",
        data=replace(DATA, n_rows=60, class_counts=(32, 28)),
        evidence=Evidence(
            sample=replace(EVERYTHING, n_rows=60, n_source=60, size_reason="60 rows are all there are"),
            scores=scores,
        ),
        walk=walked(LINEAR, said),
        strength=Strength(regularizer=Regularizer(l2=0.05), source="search"),
        claims=(Claim(name="regularize", statement="Regularize.", support=0.55),),
        rows_needed=460,
        flips=(),
    )


def prior() -> Record:
    """Too few rows to validate: the prior branch with default strengths."""
    said: Said = {
        "Q1": ("yes", "All 12 rows are used."),
        "Q2": ("no", "12 rows cannot be split into folds."),
        "Q3": ("yes", "The features can be measured without training a model."),
        "Q3a": ("no", "No common factors; the largest variance inflation is 1.2 (x3)."),
        "Q3b": ("yes", "You said yes; the data say no. Your word counts."),
    }
    return Record(
        format=FORMAT,
        status="advice",
        data=replace(DATA, n_rows=12, class_counts=(7, 5)),
        settings=replace(SETTINGS, whole_picture=True),
        evidence=Evidence(
            sample=replace(EVERYTHING, n_rows=12, n_source=12, size_reason="12 rows are all there are"),
            resources=replace(
                RESOURCES, can_validate=False, obstacle="12 rows cannot be split into folds.", n_rows=12
            ),
            prior=PriorEvidence(whole_picture=True),
            correlation=CorrelationEvidence(measured="no", vif=1.2, vif_column="x3", explained=math.nan),
            whole_picture=WholePictureEvidence(measured="no", given=True),
        ),
        walk=walked(EXTENDED, said),
        strength=Strength(regularizer=Regularizer(l2=0.083), source="default"),
        training=Training(family="linear", seed=0),
        claims=(Claim(name="kind", statement="Start with L2.", support=None),),
        timings=Timings(total_s=0.2),
    )


def without_data(chart: Chart = EXTENDED, kind: Kind = "l1", said: Said | None = None) -> Record:
    """What ``regadvisor ask`` gives: an outcome and a path, no strengths."""
    said = said or {
        "Q3": ("yes", "You said something about the features."),
        "Q3a": ("no", "You said no."),
        "Q3b": ("no", "You said no."),
    }
    return Record(
        format=FORMAT,
        status="advice",
        data=None,
        settings=replace(SETTINGS, chart=chart.name, correlated=False, whole_picture=False),
        evidence=Evidence(prior=PriorEvidence(correlated=False, whole_picture=False, can_measure=False)),
        walk=walked(replace(chart, start="Q3"), said),
        strength=Strength(regularizer=Regularizer.unknown(kind), source="none"),
        training=None,
        claims=(Claim(name="kind", statement="Start with L1.", support=None),),
    )


def classic() -> Record:
    """The published chart."""
    said: Said = {
        "Q1": Q1_ALL,
        "Q2": Q2_YES,
        "Q4": ("better", told("elasticnet", "none", 0.0494, 0.019, of=0.1253)),
        "Q5": ("worse", told("l1", "elasticnet", -0.0042, 0.0031, of=0.0759)),
    }
    return replace(
        advice(),
        settings=replace(SETTINGS, chart="classic"),
        walk=walked(CLASSIC, said),
        strength=Strength(regularizer=Regularizer(l1=3.05e-5, l2=0.003), source="search"),
        claims=(Claim(name="kind", statement="L1+L2", support=0.62),),
        flips=(Flip(outcome="l1", condition="L1 were not worse than L1+L2 (now 5.5% worse)"),),
    )


def network() -> Record:
    """A network on a sample, with a cut, notes, zeroed features, risks and awkward names."""
    losses = {
        "none": 0.52,
        "l2": 0.47,
        "elasticnet": 0.471,
        "l1": 0.472,
        "dropout": 0.44,
        "dropout_l2": 0.439,
    }
    losses |= {"constant": 0.69}
    said: Said = {
        "Q1": ("unsure", "Early and late rows of like target differ; if their order is time, pass time=."),
        "Q2": Q2_YES,
        "Q4s": ("better", told("any", "constant", 0.25, 0.03, of=0.69)),
        "Q4": ("better", told("elasticnet", "none", 0.049, 0.019, of=0.52)),
        "Q5": ("unsure", told("l1", "elasticnet", -0.001, 0.003, of=0.471)),
        "Q7": ("same", told("l2", "elasticnet", 0.001, 0.002, of=0.471)),
        "Q8": ("better", told("dropout", "l2", 0.03, 0.02, of=0.47)),
        "Q9": ("same", told("dropout_l2", "dropout", 0.001, 0.002, of=0.44)),
        "Q9b": ("no", "With L1+L2 it is 0.4% lower, too little to count."),
        "Q10": ("unsure", "The gain was measured on 1,500 of 12,000 rows; more rows usually need less."),
    }
    l2 = Regularizer(l2=0.05, coupling="decoupled")
    both = Regularizer(l2=0.02, dropout=0.25, coupling="decoupled")
    drop = Regularizer(dropout=0.25, coupling="decoupled")
    none_ = Regularizer(coupling="decoupled")
    scores = ScoreEvidence(
        loss_name="log loss",
        constant_loss=0.69,
        scores=(
            score(none_, 0.52, n_rows=1500, epochs=8.4, sum_lr=1.6),
            score(none_, 7.5, n_rows=1500, seed=1, exploded=True, epochs=1.0),
            score(l2, 0.47, n_rows=1500, epochs=12.0, sum_lr=1.6),
            score(drop, 0.44, n_rows=1500, epochs=20.0, sum_lr=1.6),
            score(
                both, 0.439, n_rows=1500, epochs=21.0, sum_lr=1.6, fold_losses=(0.43, 0.44, None, None, None)
            ),
        ),
        honest_losses={k: v for k, v in losses.items() if k != "constant"},
        best_kind="dropout_l2",
        comparisons=(
            comparison("l2", "none", 0.05, 0.02, "better", losses),
            comparison("dropout", "none", 0.08, 0.02, "better", losses),
            comparison("dropout_l2", "none", 0.081, 0.02, "better", losses),
            comparison("dropout_l2", "dropout", 0.001, 0.002, "same", losses),
        ),
        zeroed=(
            ZeroedFeature(name="age_|in\nyears", share=1.0),
            ZeroedFeature(name="[red]x\x1b[31m", share=0.6),
        ),
        n_zeroed=2,
        n_encoded_features=64,
        cut="the time was up after 48 of 60 fits",
    )
    sample = SampleEvidence(
        n_rows=1500,
        n_source=12_000,
        is_everything=False,
        verdict="equivalent",
        size_reason="1,500 rows fit the budget",
        validation="stratified",
        worst_shift=0.031,
        worst_column="x3",
        is_drift_hint=True,
        n_duplicate_rows=12,
        rare_classes=(("2", 3),),
        tests=(ShiftTest(what="blocks", verdict="different", text="Blocks of rows differ (x3, p = 0.001)."),),
    )
    return replace(
        advice(),
        data=replace(
            DATA, n_rows=12_000, class_counts=(7_000, 4_997, 3), classes=("a", "b", "2"), task="multiclass"
        ),
        evidence=Evidence(sample=sample, resources=RESOURCES, scores=scores),
        walk=walked(EXTENDED, said),
        strength=Strength(
            regularizer=Regularizer(dropout=0.2, coupling="decoupled"),
            source="search",
            on_sample=drop,
            carried="Dropout of the sample times 0.8, by the trend over three sizes",
            ties={"dropout": (0.1, 0.4)},
        ),
        training=Training(
            family="mlp", seed=0, hidden=(128, 64), optimizer="adamw", lr=2e-3, batch_size=128, epochs=14
        ),
        claims=(
            Claim(name="regularize", statement="Regularize.", support=0.99),
            Claim(name="kind", statement="Dropout", support=0.74),
        ),
        flips=(Flip(outcome="l2", condition="dropout were less than 0.5% better than L2 (now 6.4%)"),),
        notes=(
            Note(code="duplicate-columns", text="Columns x3 and x9 are equal; x9 was dropped."),
            Note(code="dates", text="Column [bold]when[/bold] was read as a date"),
        ),
    )


RECORDS = {
    "advice": advice,
    "tie": tie,
    "none": none,
    "no_signal": no_signal,
    "cant_tell": cant_tell,
    "prior": prior,
    "without_data": without_data,
    "classic": classic,
    "network": network,
}


def golden_reports() -> dict[str, str]:
    """Return the golden reports by file name."""
    from regadvisor.report.text import to_markdown, to_text
    from regadvisor.report.view import view

    reports = {f"{name}.txt": to_text(view(build())) for name, build in RECORDS.items()}
    reports["network_verbose.txt"] = to_text(view(network()), verbose=True, width=100)
    reports["network.md"] = to_markdown(view(network()))
    return reports


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for file_name, report in golden_reports().items():
        (GOLDEN / file_name).write_text(report, encoding="utf-8")

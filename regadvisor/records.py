"""What was measured and what was decided, as plain frozen data.

Nothing in this file computes. Evidence is what a question reads; a :class:`Step` is one question
answered; the :class:`Record` is everything that happened, and can be saved as JSON and rendered later
without the data, torch or scikit-learn. Numbers are plain Python numbers, never NumPy's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from regadvisor.family_spec import spec_of
from regadvisor.regularizer import KINDS, Coupling, Kind, Regularizer

Task = Literal["binary", "multiclass", "regression"]
Reply = Literal["yes", "no", "better", "same", "worse", "unsure"]
Number = float | int | str | bool | None
Outcome = Kind | Literal["no signal"]

#: Version of the JSON form of a record. Raised when a field changes its meaning or goes away.
FORMAT = 5


def _check_kinds(names: Iterable[str], *, also: tuple[str, ...] = ()) -> None:
    """Raise ValueError unless all are kinds, or what else is compared: a file may have been edited."""
    for name in names:
        if name not in KINDS and name not in also:
            raise ValueError(f"a kind must be one of {', '.join(map(repr, (*KINDS, *also)))}, got {name!r}")


# --------------------------------------------------------------------------------------- the data


@dataclass(frozen=True, kw_only=True)
class Column:
    """One feature column as the preprocessing sees it.

    ``date`` columns become numbers (parts of the date); ``categorical`` ones are one-hot encoded.
    """

    name: str | int
    kind: Literal["numeric", "categorical", "date"]
    has_missing: bool = False
    #: Distinct values (categorical columns only).
    n_levels: int | None = None
    is_constant: bool = False
    #: How dates that came as text or as numbers (20240531) are read; None: they came as dates.
    date_order: Literal["ymd", "dmy", "mdy"] | None = None


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something about the data or the run that the reader should know, and what was done about it."""

    #: A stable name for programs, as in ``"duplicate-columns"``.
    code: str
    #: One sentence for people.
    text: str
    #: Whether the advice may be about something else than the reader thinks: a leak, rows that share a
    #: source, a target that was read as classes. Such notes stand right below the verdict.
    is_warning: bool = False


#: Codes of the notes that say why "no signal" is not said: extreme values hide one, the model missed it, or
#: training explodes.
HIDDEN_SIGNAL, UNLEARNED_SIGNAL, EXPLODED = "hidden-signal", "unlearned-signal", "training-explodes"
UNSEEN_SIGNAL = (HIDDEN_SIGNAL, UNLEARNED_SIGNAL, EXPLODED)
#: Code of the note on columns of sentences: steps of the caller's may read them.
FREE_TEXT = "free-text"
#: Code of the note that says that all rows tested belong together: a deadline came after one fold.
ONE_CLUSTER = "one-cluster"
#: Codes of the notes that say that a few rows rule the loss: how many more would decide cannot be told then.
FEW_RULE = ("extreme-features", "extreme-target", "skewed-target")


@dataclass(frozen=True, kw_only=True)
class TargetFacts:
    """One of several targets."""

    #: Its number, counted from 0, where the columns have no names.
    name: str | int
    mean: float
    sd: float


@dataclass(frozen=True, kw_only=True)
class InputFacts:
    """One of several arrays that a row is made of."""

    #: The argument of the module that it is for; None: arguments in order.
    name: str | None
    #: What one row of it holds.
    shape: tuple[int, ...]
    #: Whether it came as integers that may be numbers of an embedding.
    is_whole: bool = False


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What the data are: enough to build a pipeline and to recognise the same data again."""

    #: ``array``: a numeric 2-D array; ``sparse``: a SciPy sparse matrix; ``frame``: a data frame.
    container: Literal["array", "sparse", "frame"]
    task: Task
    n_rows: int
    columns: tuple[Column, ...]
    #: Of a single target, as are its mean and standard deviation (regression).
    target_name: str | None = None
    #: Class labels in the order of the codes (classification only), as text or numbers.
    classes: tuple[Number, ...] | None = None
    #: Rows of each class, in the order of `classes`.
    class_counts: tuple[int, ...] | None = None
    target_mean: float | None = None
    target_sd: float | None = None
    #: What the target could be as well: few whole numbers are read as classes or as a number, and nobody said
    #: which.
    other_task: Literal["classification", "regression"] | None = None
    #: Several targets, in the order of the columns (regression only); empty where there is one.
    targets: tuple[TargetFacts, ...] = ()
    n_groups: int | None = None
    has_time: bool = False
    has_weights: bool = False
    #: Mean weight of the rows, as they were given: of each class, or of all; empty without weights.
    mean_weights: tuple[float, ...] = ()
    #: (height, width) or (channels, height, width) if the rows are images; (steps, channels) of sequences.
    image_shape: tuple[int, ...] | None = None
    #: Columns whose weights no penalty acts on.
    unpenalised: tuple[str | int, ...] = ()
    #: The arrays of a tuple or dict, one after the other in a row; empty where X is one array or frame.
    inputs: tuple[InputFacts, ...] = ()
    #: Whether scikit-learn reads the numbers of X, or y, by itself. If not, what is fitted to these data
    #: reads them first, as advise() did: text, objects, nullable and sparse columns; rows without a target.
    is_plain_x: bool = True
    is_plain_y: bool = True
    #: Whether numbers of X are float32, in which scikit-learn would then keep the target, too.
    is_single: bool = False
    #: Hash over shapes, types and values; the same data give the same text on every machine.
    fingerprint: str = ""

    @property
    def n_features(self) -> int:
        """Feature columns before encoding."""
        return len(self.columns)

    @property
    def n_targets(self) -> int:
        """Columns of the target."""
        return max(1, len(self.targets))


# ------------------------------------------------------------------------- evidence, one per question


@dataclass(frozen=True, kw_only=True)
class ShiftTest:
    """One check of Q1 that can find a difference: what was compared, how large, how surprising."""

    #: As in ``"sample against complement"``, ``"blocks in time"``.
    what: str
    verdict: Literal["equivalent", "inconclusive", "different"]
    #: The column with the largest difference, if the check works by column.
    column: str | None = None
    #: Size of the difference in the unit named by `unit`.
    effect: float | None = None
    unit: str | None = None
    #: Smallest p-value after correction (Benjamini-Hochberg), if the check is a test.
    p_value: float | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class ColumnShift:
    """How far the sample's mean of one column is from the whole's, in standard deviations."""

    column: str
    shift: float


@dataclass(frozen=True, kw_only=True)
class SampleEvidence:
    """Read by Q1: which rows were drawn, whether they look like the whole, and the real risks."""

    n_rows: int
    n_source: int
    is_everything: bool
    verdict: Literal["equivalent", "inconclusive", "different"]
    #: Why the sample has its size, as one sentence.
    size_reason: str
    #: How the folds are made: the risks decide (drift: forward in time; groups: by group).
    validation: Literal["random", "stratified", "group", "time", "blocks"]
    #: Whether a sub sample can be taken at all (``sample=False`` says no).
    is_allowed: bool = True
    #: Largest absolute standardised mean difference to the whole, and its column.
    worst_shift: float | None = None
    worst_column: str | None = None
    #: Largest |log variance ratio| to the whole.
    worst_log_variance_ratio: float | None = None
    #: Real risks: each is a reason against a plain random draw.
    has_drift: bool = False
    #: The rows change along their order: a note, never a reply, for data are often sorted by something.
    is_drift_hint: bool = False
    has_groups: bool = False
    n_duplicate_rows: int = 0
    #: Classes with fewer rows than folds, by label: their rows.
    rare_classes: tuple[tuple[str, int], ...] = ()
    tests: tuple[ShiftTest, ...] = ()
    #: The columns whose means differ most, the largest first; the mean of a class or a level is its share.
    shifts: tuple[ColumnShift, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ResourceEvidence:
    """Read by Q2: what the walk is projected to cost against the budget."""

    #: Seconds; None: no limit.
    budget_s: float | None
    #: Where the budget comes from: given, or set by rows and full run.
    budget_source: Literal["given", "automatic", "effort"]
    effort: Literal["quick", "standard", "thorough"]
    projected_s: float | None = None
    full_run_s: float | None = None
    #: Rows of the sample; too few rows cannot be validated whatever the budget.
    n_rows: int = 0
    can_validate: bool = True
    #: Why not, if not.
    obstacle: str | None = None


@dataclass(frozen=True, kw_only=True)
class PriorEvidence:
    """Read by Q3: what the caller said and what can be measured."""

    correlated: bool | None = None
    whole_picture: bool | None = None
    can_measure: bool = True
    #: The caller's own reply to Q3 (``regadvisor ask``).
    is_known: bool | None = None


@dataclass(frozen=True, kw_only=True)
class CorrelationEvidence:
    """Read by Q3a. `given` is the caller's word and wins; the measured reply is shown beside it."""

    measured: Literal["yes", "no", "unsure"] | None = None
    given: bool | None = None
    #: Share of the variance that common factors explain (eigenvalues above the permutation edge).
    explained: float | None = None
    n_factors: int | None = None
    edge: float | None = None
    largest_eigenvalue: float | None = None
    #: Largest variance inflation factor; on a shrunk matrix when p ≥ n/2.
    vif: float | None = None
    vif_column: str | None = None
    is_shrunk: bool = False
    effective_rank: float | None = None
    n_columns: int | None = None
    #: Signed distance of the measured statistic to the threshold that decides (positive: yes).
    margin: float | None = None
    margin_unit: str | None = None


@dataclass(frozen=True, kw_only=True)
class WholePictureEvidence:
    """Read by Q3b. `given` is the caller's word and wins; the measured reply is shown beside it."""

    measured: Literal["yes", "no", "unsure"] | None = None
    given: bool | None = None
    #: Participation ratio of feature scores over p, in [0, 1]: 1 if all features carry equal signal.
    density: float | None = None
    #: Mean |correlation| of neighbouring columns minus that of shuffled columns.
    neighbour_excess: float | None = None
    #: What the format check saw: ``"columns"``, ``"8x8 grid"``, ``"image array"``.
    layout: str | None = None
    n_columns: int | None = None
    margin: float | None = None
    margin_unit: str | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Kind `a` against kind `b` on paired held-out rows; strengths are picked inside the comparison.

    `difference` is mean loss of `a` minus mean loss of `b`: negative means `a` is better.
    """

    a: str
    b: str
    reply: Literal["better", "same", "worse", "unsure"]
    difference: float
    #: Ends of the 95% interval of the difference.
    low: float
    high: float
    #: The same at the level of replies: the difference lies above the first, and below the second, with the
    #: probability ``thresholds.REPLY_MASS`` each. This interval is the one in reports.
    least: float
    most: float
    #: Half width of the region in which two kinds are called the same, in units of the loss.
    region: float
    p_better: float
    p_same: float
    p_worse: float
    #: Mean honest (out-of-bag) losses of both sides.
    loss_a: float
    loss_b: float
    n_rows: int

    def __post_init__(self) -> None:
        _check_kinds((self.a, self.b), also=("constant", "any"))

    @property
    def turned(self) -> Comparison:
        """The same comparison the other way round: `b` against `a`."""
        across: dict[str, Literal["better", "worse"]] = {"better": "worse", "worse": "better"}
        return replace(
            self,
            a=self.b,
            b=self.a,
            reply=across.get(self.reply, self.reply),
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
            least=-self.most,
            most=-self.least,
            p_better=self.p_worse,
            p_worse=self.p_better,
            loss_a=self.loss_b,
            loss_b=self.loss_a,
        )


@dataclass(frozen=True, kw_only=True)
class CandidateScore:
    """One trained candidate: its strengths and what they gave. One row of ``advice.scores``."""

    regularizer: Regularizer
    #: Mean held-out loss over rows.
    loss: float
    fold_losses: tuple[float | None, ...]
    train_loss: float
    n_rows: int
    seed: int
    converged: bool
    #: The baseline does not exist and is the limit of a vanishing penalty.
    is_limit: bool = False
    #: Held-out loss ended far above the constant's.
    exploded: bool = False
    #: Behind others of its kind on the first folds, so not trained on the rest: `loss` is of those folds.
    is_stopped: bool = False
    #: Mean epochs trained (networks).
    epochs: float | None = None
    #: Σ lr over the steps of one training (networks); strength × Σ lr is what transfers.
    sum_lr: float | None = None
    #: Share of the features (after encoding) whose weights were all zero, mean over folds.
    share_zeroed: float = 0.0
    fit_s: float = 0.0

    @property
    def kind(self) -> Kind:
        """The kind of the regularizer."""
        return self.regularizer.kind


@dataclass(frozen=True, kw_only=True)
class ZeroedFeature:
    """A feature whose weights the pick set to zero, and in which share of the folds."""

    name: str
    share: float


@dataclass(frozen=True, kw_only=True)
class FitFacts:
    """Over- or underfit of one kind: train and held-out loss of its best strength."""

    kind: Kind
    train_loss: float
    held_out_loss: float
    #: Relative gap (held-out − train) / held-out.
    gap: float
    text: str


@dataclass(frozen=True, kw_only=True)
class ScoreEvidence:
    """Read by Q4s to Q9b: every candidate trained, and every comparison that the charts can ask for."""

    #: ``"log loss"``, ``"squared error"`` or the name of the caller's own loss.
    loss_name: str
    constant_loss: float
    scores: tuple[CandidateScore, ...]
    #: Honest loss by kind (in-bag selection, out-of-bag scoring), and the best by that measure.
    honest_losses: dict[str, float]
    best_kind: Kind
    #: Every pair once; ``"constant"`` is a side, too. Read them by :meth:`comparison`.
    comparisons: tuple[Comparison, ...]
    #: By kind: the lowest mean held-out loss of its candidates, with the luck of the pick (read by Q9b).
    lowest_losses: dict[str, float] = field(default_factory=dict)
    #: By kind: what rescaling its strengths to all rows is expected to add, as a share of its loss (Q9b).
    carry_costs: dict[str, float] = field(default_factory=dict)
    #: Candidates that were excluded because they did not converge, by kind.
    n_excluded: dict[str, int] = field(default_factory=dict)
    fit_facts: tuple[FitFacts, ...] = ()
    zeroed: tuple[ZeroedFeature, ...] = ()
    n_zeroed: int = 0
    n_encoded_features: int = 0
    n_folds: int = 5
    #: What a deadline cut, if it did.
    cut: str | None = None
    #: The caller's own score of none and of the pick, by kind: reported, never deciding.
    reported: dict[str, float] = field(default_factory=dict)
    reported_name: str | None = None
    #: What a squared error is divided by, and how many targets it is the mean of.
    loss_scale: str = ""

    def comparison(self, a: str, b: str) -> Comparison | None:
        """Return side `a` against side `b`, or None if they were not compared."""
        for found in self.comparisons:
            if (found.a, found.b) == (a, b):
                return found
            if (found.a, found.b) == (b, a):
                return found.turned
        return None

    def __post_init__(self) -> None:
        for by_kind in (
            self.honest_losses,
            self.lowest_losses,
            self.carry_costs,
            self.n_excluded,
            self.reported,
        ):
            _check_kinds(by_kind)


@dataclass(frozen=True, kw_only=True)
class SizePoint:
    """What the pick gained over no regularization on one size of sample, scored on the same rows."""

    #: Rows that a model stands for, and the share of the sample's that they are.
    n_rows: int
    share: float
    loss_none: float
    loss: float
    #: As a share of the loss of none, with its standard error.
    gain: float
    se: float


@dataclass(frozen=True, kw_only=True)
class GrowthEvidence:
    """Read by Q10: what the pick's gain over no regularization is expected to be at the full size."""

    kind: Kind
    #: Rows that the fits stand for, and all rows.
    n_sample: int
    n_rows: int
    #: ``"measured"``: the strengths were tried on fewer rows as well; ``"checked"``: the gain was measured on
    #: all rows; ``"prior"``: all is known from the sample alone.
    source: Literal["measured", "checked", "prior"]
    sizes: tuple[SizePoint, ...]
    #: Gain at the full size as a share of the loss of none: its median and 95% interval.
    gain: float
    low: float
    high: float
    #: Mass of a gain above, within and below the region in which two losses are the same.
    p_better: float
    p_same: float
    p_worse: float
    #: What is added to the family's powers by which strengths fall with the rows.
    correction: float = 0.0
    #: Factor on the strengths that did best on all rows, if they were tried there.
    factor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that questions may read. It grows by replacement while the walk asks for more."""

    sample: SampleEvidence | None = None
    resources: ResourceEvidence | None = None
    prior: PriorEvidence | None = None
    correlation: CorrelationEvidence | None = None
    whole_picture: WholePictureEvidence | None = None
    scores: ScoreEvidence | None = None
    growth: GrowthEvidence | None = None


# -------------------------------------------------------------------------------------- the decision


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reply with its reason."""

    reply: Reply
    #: One sentence.
    because: str
    numbers: dict[str, Number] = field(default_factory=dict)
    #: The reply on the other side of the nearest threshold, and what would lead to it, as a clause after
    #: "if": "L2 were less than 0.5% better than none (now 3.2%)".
    flips_to: Reply | None = None
    flips_if: str | None = None
    #: Distance to the nearest threshold, in units of the threshold (0: on it). Small means fragile.
    distance: float | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One question answered: what was asked, the reply and what followed from it."""

    question: str
    text: str
    answer: Answer
    #: What the chart does next, as in "generate a sub sample".
    action: str | None
    #: Next question or outcome.
    to: str
    pick_before: Kind | None = None
    pick_after: Kind | None = None

    @property
    def reply(self) -> Reply:
        """The reply of the answer."""
        return self.answer.reply


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A whole way through a chart."""

    chart: str
    steps: tuple[Step, ...]
    #: A kind, or ``"no signal"``.
    outcome: Outcome

    @property
    def kind(self) -> Kind:
        """The kind to start with: the outcome, or L2 (at its strongest) where there is no signal."""
        return "l2" if self.outcome == "no signal" else self.outcome

    @property
    def questions(self) -> tuple[str, ...]:
        """The questions asked, in order."""
        return tuple(step.question for step in self.steps)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One thing the advice says, with its own support."""

    name: Literal["regularize", "kind", "strength"]
    statement: str
    #: Share of resamplings in which the claim holds, a tie counted as holding (no signal: of those that show
    #: none; regularize: probability of gaining more than a tie), in [0, 0.99]; None: not measured.
    support: float | None
    #: Probability that the claim is right, learned across data sets; None: no map to it can be trusted.
    probability: float | None = None


@dataclass(frozen=True, kw_only=True)
class FeaturePair:
    """How strongly two features go together."""

    a: str
    b: str
    #: Spearman's correlation of two numbers, in [-1, 1]; else a correlation ratio or Cramér's V, in [0, 1].
    strength: float


@dataclass(frozen=True, kw_only=True)
class FeatureFacts:
    """How the features go together, for the reader; no question reads it."""

    #: Features and rows that were looked at, and features that the data have.
    n_seen: int
    n_rows: int
    n_features: int
    #: How many independent features carry as much (exp of the entropy of the eigenvalues' shares).
    effective_rank: float
    #: The strongest pairs first.
    pairs: tuple[FeaturePair, ...]
    #: The features that go together most, those of a cluster side by side …
    names: tuple[str, ...]
    #: … and of each, how strongly it goes together with those before it.
    strengths: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Flip:
    """What would lead to another outcome."""

    outcome: Outcome
    #: As a clause after "if", with the number that would have to move.
    condition: str


@dataclass(frozen=True, kw_only=True)
class Strength:
    """How strong, where it comes from, and which strengths are not clearly worse."""

    #: For the full data.
    regularizer: Regularizer
    source: Literal["search", "default", "none"]
    #: As picked on the sample, before any rescaling to the full data.
    on_sample: Regularizer | None = None
    #: How the strength was rescaled from the sample to all rows, as one sentence.
    carried: str | None = None
    #: By strength name: lowest and highest strength that ties with the pick.
    ties: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.ties) - {"l1", "l2", "dropout"})
        if unknown:
            raise ValueError(f"a strength must be one of 'l1', 'l2', 'dropout', got {unknown[0]!r}")


@dataclass(frozen=True, kw_only=True)
class AuditedParameter:
    """One parameter of a module: whether penalties act on it, and why (not)."""

    name: str
    shape: tuple[int, ...]
    is_penalised: bool
    #: Why not, as in "bias"; of a penalised one what to know about it, or nothing.
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class AuditedDropout:
    """One place of a module that drops units."""

    name: str
    #: The rate that the module has by itself; None: unknown.
    rate: float | None
    #: Whether the search and ``apply()`` set its rate; else it stays as it is.
    is_set: bool


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What penalties and dropout act on in a module. ``print(audit)`` shows it as a table."""

    module: str
    parameters: tuple[AuditedParameter, ...]
    dropout: tuple[AuditedDropout, ...] = ()
    #: Regularization that is part of the module and stays, as in "weight_norm of conv".
    kept: tuple[str, ...] = ()
    #: Whether rows were run through the module to see which weights a norm layer makes scale-invariant.
    is_run: bool = False

    @property
    def penalised(self) -> tuple[str, ...]:
        """Names of the parameters that penalties act on."""
        return tuple(each.name for each in self.parameters if each.is_penalised)

    @property
    def scale_invariant(self) -> tuple[str, ...]:
        """Names of penalised weights whose size changes no output."""
        return tuple(each.name for each in self.parameters if each.why.startswith("scale-invariant"))

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("parameter", "shape", "penalty", "why")]
        rows += [
            (each.name, "×".join(map(str, each.shape)) or "1", "yes" if each.is_penalised else "no", each.why)
            for each in self.parameters
        ]
        places: list[tuple[str, ...]] = [("dropout", "own rate", "set by the advice")]
        places += [
            (each.name, "?" if each.rate is None else f"{each.rate:g}", "yes" if each.is_set else "no, stays")
            for each in self.dropout
        ]
        tables = [_aligned(rows), _aligned(places) if self.dropout else "No place drops units."]
        return "\n\n".join([*tables, *(["Stays: " + "; ".join(self.kept)] if self.kept else [])])


def _aligned(rows: list[tuple[str, ...]]) -> str:
    """Return rows of text as a table of aligned columns."""
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the advised model is to be trained on everything; plain numbers for ``build()``."""

    #: See ``family_spec.FAMILIES``.
    family: str
    seed: int
    #: Networks only.
    hidden: tuple[int, ...] = ()
    optimizer: str | None = None
    lr: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    schedule: str | None = None
    #: Networks only, as in ``Recipe``; the defaults are those of records that do not know them.
    momentum: float | None = None
    nesterov: bool = False
    betas: tuple[float, float] | None = None
    accumulate: int = 1
    warmup: float = 0.0
    lr_scale: tuple[tuple[str, float], ...] = ()
    towards_start: tuple[str, ...] = ()
    clip_norm: float | None = None
    coupling: Coupling = "decoupled"
    exempt: tuple[str, ...] = ()
    penalised: tuple[str, ...] | None = None
    transform: str = "standard"
    #: How rows enter the caller's own module, as in ``Recipe``; None: it was not looked at.
    layout: str | None = None
    #: Whether the caller's own loss function was trained; it cannot be part of a record.
    has_own_loss: bool = False
    #: Names of the recipe's other values that are functions of the caller's, likewise.
    own_functions: tuple[str, ...] = ()
    #: Which of the things that the caller's own module returns is the prediction, as in ``Recipe``.
    output: int | str | None = None
    #: The shape of that prediction for one row; None: it was not looked at.
    output_shape: tuple[int, ...] | None = None
    #: Whether the caller's own network sees a numeric target standardised.
    has_scaled_target: bool = False
    #: The caller's own module or fit function: its name (``"cnn"``: ours); it is not in the record.
    module: str | None = None
    #: How its networks were trained on the sample, and why so; None: nothing was trained, or no module.
    engine: Literal["fused", "vmap", "loop", "keras", "skorch"] | None = None
    engine_reason: str | None = None
    #: Whether networks of Keras or skorch were trained together, not each by its own ``fit``.
    is_stacked: bool = False
    #: The class of their optimizer, and Σ lr of one full run where it decouples weight decay from the loss.
    own_optimizer: str | None = None
    sum_lr: float | None = None
    #: The parameters of the caller's own module that penalties act on, once it was looked at.
    penalised_names: tuple[str, ...] = ()
    #: What penalties and dropout act on in the caller's own module, likewise.
    audit: Audit | None = None
    #: The caller's own scikit-learn estimator: its class, …
    estimator: str | None = None
    #: … the steps before it, in full, …
    steps: tuple[str, ...] = ()
    #: … its arguments that change what is minimised, …
    objective: tuple[str, ...] = ()
    #: … and whether some features that it gets are far larger than others.
    is_unequal: bool = False
    #: Of an estimator that was trained as itself: its parameters for all rows, by the name of its class.
    parameters: dict[str, dict[str, float | str]] = field(default_factory=dict)

    @property
    def is_own(self) -> bool:
        """Whether the model is the caller's own, which the record does not hold."""
        return spec_of(self.family).is_own or self.estimator is not None

    @property
    def library(self) -> str:
        """The library that its code is shown in first."""
        return self.engine if self.engine in ("keras", "skorch") else spec_of(self.family).library

    @property
    def has_code(self) -> bool:
        """Whether there is code for it: not for a function of the caller's."""
        return self.family != "fitted" or self.estimator is not None or self.engine is not None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the caller asked for, as resolved."""

    model: str
    task: str
    chart: str
    effort: str
    effort_source: Literal["given", "measured"]
    budget_s: float | None
    folds: int
    random_state: int
    prefer: str | None = None
    correlated: bool | None = None
    whole_picture: bool | None = None
    device: str = "cpu"
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Seconds, by stage and in all. The only part of a record that differs between equal runs."""

    total_s: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    projected_s: float | None = None
    full_run_s: float | None = None
    budget_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything that happened, as plain data."""

    format: int
    #: ``advice``: one kind stands out; ``tie``: several do equally well; ``no_signal``: nothing beats the
    #: constant; ``cant_tell``: the data are too few to say. Each still names what to start with.
    status: Literal["advice", "tie", "no_signal", "cant_tell"]
    data: DataFacts | None
    settings: Settings
    evidence: Evidence
    walk: Walk
    strength: Strength
    training: Training | None
    claims: tuple[Claim, ...]
    #: Kinds that tie with the outcome (the outcome's own kind left out).
    ties: tuple[Kind, ...] = ()
    #: If another kind than the advised one is the best: what it saves at most in 90% of the resamplings, as a
    #: share of the loss. None: nothing was compared.
    most_lost: float | None = None
    #: What would flip the advice, nearest first.
    flips: tuple[Flip, ...] = ()
    #: Rows that would decide it, if the reply is "can't tell".
    rows_needed: int | None = None
    notes: tuple[Note, ...] = ()
    #: None: fewer than two features vary, or there are no data.
    features: FeatureFacts | None = None
    #: Timings are kept last, so that the rest of two equal runs is equal text.
    timings: Timings = Timings()

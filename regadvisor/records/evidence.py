"""What the questions of a chart read: one class a question, and :class:`Evidence` with one field for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from regadvisor import thresholds
from regadvisor.regularizer import KINDS, Kind, Regularizer


def _check_kinds(names: Iterable[str], *, also: tuple[str, ...] = ()) -> None:
    """Raise ValueError unless all are kinds, or what else is compared: a file may have been edited."""
    for name in names:
        if name not in KINDS and name not in also:
            raise ValueError(f"a kind must be one of {', '.join(map(repr, (*KINDS, *also)))}, got {name!r}")


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
    #: Largest variance inflation factor; on a shrunk matrix when p ≥ n/2.
    vif: float | None = None
    vif_column: str | None = None
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
    def is_tie(self) -> bool:
        """Whether the two are the same, or their difference is small enough not to matter, whichever way."""
        widest = thresholds.TIE_WIDTH * min(abs(self.loss_a), abs(self.loss_b))
        is_narrow = max(-self.low, self.high) <= widest
        return self.reply == "same" or (self.reply == "unsure" and is_narrow)

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
    #: There is no best fit without a penalty (separable classes): a vanishing one stands in.
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
    #: Folds that were tested, and folds that there are, where fewer were enough to decide.
    n_folds: int = 5
    n_parts: int | None = None
    #: What a deadline cut, if it did.
    cut: str | None = None
    #: The caller's own score of none and of the pick, by kind: reported, never deciding.
    reported: dict[str, float] = field(default_factory=dict)
    reported_name: str | None = None
    #: What a squared error is divided by, and how many targets it is the mean of.
    loss_scale: str = ""

    @property
    def none_exists(self) -> bool:
        """Whether there is a best fit without a penalty: not where the classes can be told apart."""
        return not any(score.is_limit for score in self.scores if score.kind == "none")

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
class GainAtFull:
    """What is expected of a gain at the full size."""

    #: Median and 95% interval, as shares of the loss of none. The mean would be misleading:
    #: a few powers far below 0, at which gains grow without bound, would rule it.
    gain: float
    low: float
    high: float
    #: Mass of a gain above, within and below the region in which two losses are the same.
    p_better: float
    p_same: float
    p_worse: float


@dataclass(frozen=True, kw_only=True)
class GrowthEvidence(GainAtFull):
    """Read by Q10: what the pick's gain over no regularization is expected to be at the full size."""

    kind: Kind
    #: Rows that the fits stand for, and all rows.
    n_sample: int
    n_rows: int
    #: ``"checked"``: the gain was measured on all rows; ``"prior"``: all is known from the sample alone.
    source: Literal["checked", "prior"]
    sizes: tuple[SizePoint, ...]


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

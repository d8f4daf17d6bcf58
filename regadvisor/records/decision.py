"""The way through the chart, what the advice says (claims, strengths, flips), and how to train."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from regadvisor.family_spec import spec_of
from regadvisor.records.data import Number
from regadvisor.regularizer import Coupling, Kind, Regularizer

Reply = Literal["yes", "no", "better", "same", "worse", "unsure"]
Outcome = Kind | Literal["no signal"]


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
    #: Whether a network has a logit for each of several labels, and the mean of their log losses.
    has_label_loss: bool = False
    #: Classes of each of several columns, for which a network has a logit each: the mean of the columns' log
    #: losses was trained.
    block_sizes: tuple[int, ...] = ()
    #: Names of the recipe's other values that are functions of the caller's, likewise.
    own_functions: tuple[str, ...] = ()
    #: Which of the things that the caller's own module returns is the prediction, as in ``Recipe``.
    output: int | str | None = None
    #: The shape of that prediction for one row; None: it was not looked at.
    output_shape: tuple[int, ...] | None = None
    #: Whether a network sees a numeric target standardised; None: nobody looked.
    has_scaled_target: bool | None = None
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

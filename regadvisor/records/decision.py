"""The way through the chart, and what the advice says: claims, strengths, and what would flip it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from regadvisor.records.data import Number
from regadvisor.regularizer import Kind, Regularizer

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

"""What was measured and what was decided, as plain frozen data.

Nothing here computes. Evidence is what a question reads; a :class:`Step` is one question answered; the
:class:`Record` is everything that happened, and can be saved as JSON and rendered later without the data,
torch or scikit-learn. Numbers are plain Python numbers, never NumPy's.

``data.py``: what the data are. ``evidence.py``: what the questions read. ``decision.py``: the walk, what the
advice says, and how to train on everything. Here: all of it together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from regadvisor.records.data import *
from regadvisor.records.data import DataFacts, Note
from regadvisor.records.decision import *
from regadvisor.records.decision import Claim, Flip, Strength, Training, Walk
from regadvisor.records.evidence import *
from regadvisor.records.evidence import Evidence
from regadvisor.regularizer import Kind

#: Version of the JSON form of a record. Raised when a field changes its meaning or goes away.
FORMAT = 5


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

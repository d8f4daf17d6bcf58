"""The value at the centre of the library: a regularizer with its strengths."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from regadvisor.errors import ParameterError, StrengthError

Kind = Literal["none", "l2", "l1", "dropout", "elasticnet", "dropout_l2", "dropout_l1"]
Coupling = Literal["loss", "decoupled"]


@dataclass(frozen=True, kw_only=True)
class KindSpec:
    """What there is to know of a kind, wherever it is searched, compared, told or drawn."""

    #: As people write it.
    label: str
    #: The strengths that it has, by the name of the field of :class:`Regularizer`.
    strengths: tuple[str, ...] = ()
    #: Colour, dash (as matplotlib takes it) and marker in pictures.
    colour: str
    dash: str | tuple[int, tuple[int, ...]]
    marker: str

    @property
    def has_dropout(self) -> bool:
        """Whether only a network can use it."""
        return "dropout" in self.strengths


#: Every kind, simplest first: the order in which ties are broken (``prefer="sparse"`` puts l1 first).
KIND_SPECS: dict[Kind, KindSpec] = {
    "none": KindSpec(label="no regularizer", colour="#555555", dash="-", marker="o"),
    "l2": KindSpec(label="L2", strengths=("l2",), colour="#0072B2", dash="-", marker="o"),
    "l1": KindSpec(label="L1", strengths=("l1",), colour="#D55E00", dash="--", marker="s"),
    "dropout": KindSpec(label="dropout", strengths=("dropout",), colour="#CC79A7", dash="-.", marker="^"),
    "elasticnet": KindSpec(
        label="L1+L2 (elastic net)", strengths=("l1", "l2"), colour="#009E73", dash=":", marker="D"
    ),
    "dropout_l2": KindSpec(
        label="dropout+L2", strengths=("l2", "dropout"), colour="#56B4E9", dash=(0, (5, 1)), marker="v"
    ),
    "dropout_l1": KindSpec(
        label="dropout+L1", strengths=("l1", "dropout"), colour="#E69F00", dash=(0, (3, 1, 1, 1)), marker="P"
    ),
}

KINDS: tuple[Kind, ...] = tuple(KIND_SPECS)
#: Kinds that only a network can use.
DROPOUT_KINDS: tuple[Kind, ...] = tuple(kind for kind in KINDS if KIND_SPECS[kind].has_dropout)
LABELS: dict[Kind, str] = {kind: spec.label for kind, spec in KIND_SPECS.items()}
STRENGTHS: dict[Kind, tuple[str, ...]] = {kind: spec.strengths for kind, spec in KIND_SPECS.items()}


@dataclass(frozen=True, kw_only=True)
class Regularizer:
    """A regularizer and how strong it is.

    With ``coupling="loss"`` the strengths mean: minimise ``mean loss + l1·Σ|w| + (l2/2)·Σw²`` on
    standardised features (and a standardised target for regression, with half the squared error).
    With ``coupling="decoupled"`` (networks trained by AdamW) they mean, per step,
    ``w ← soft((1 − lr·l2)·w, lr·l1)``. The two are never converted into each other.

    Parameters
    ----------
    l1, l2 : float or None, default 0.0
        Strengths, at least 0. ``None``: present, but the strength is unknown (advice without data).
    dropout : float or None, default 0.0
        Share of hidden units dropped, in [0, 1).
    coupling : {"loss", "decoupled"}, default "loss"
        What the strengths mean; see above.

    Raises
    ------
    ParameterError
        If a strength is negative, not finite, or (dropout) at least 1.

    Examples
    --------
    >>> Regularizer(l2=3e-4).kind
    'l2'
    >>> Regularizer(l1=1e-3, l2=1e-3).label
    'L1+L2 (elastic net)'
    """

    l1: float | None = 0.0
    l2: float | None = 0.0
    dropout: float | None = 0.0
    coupling: Coupling = "loss"

    def __post_init__(self) -> None:
        for name in ("l1", "l2", "dropout"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ParameterError(f"{name} must be a finite number of at least 0 or None, got {value!r}")
        if self.dropout is not None and self.dropout >= 1:
            raise ParameterError(f"dropout must be below 1, got {self.dropout!r}")
        if self.coupling not in ("loss", "decoupled"):
            raise ParameterError(f"coupling must be 'loss' or 'decoupled', got {self.coupling!r}")
        present = {name for name in ("l1", "l2", "dropout") if getattr(self, name) != 0}
        if present not in [set(names) for names in STRENGTHS.values()]:
            raise ParameterError(f"the strengths must be those of one kind in {KINDS}, got {sorted(present)}")

    @classmethod
    def unknown(cls, kind: Kind, coupling: Coupling = "loss") -> Regularizer:
        """Return the regularizer of `kind` whose strengths are not known yet.

        Examples
        --------
        >>> Regularizer.unknown("l2")
        Regularizer(l1=0.0, l2=None, dropout=0.0, coupling='loss')
        """
        return cls(**dict.fromkeys(STRENGTHS[kind]), coupling=coupling)

    @property
    def kind(self) -> Kind:
        """The kind: which of the strengths are present."""
        present = {name for name in ("l1", "l2", "dropout") if getattr(self, name) != 0}
        return next(kind for kind, names in STRENGTHS.items() if set(names) == present)

    @property
    def label(self) -> str:
        """The kind as people write it, as in ``"dropout+L2"``."""
        return LABELS[self.kind]

    @property
    def has_strengths(self) -> bool:
        """Whether every strength is a number."""
        return None not in (self.l1, self.l2, self.dropout)

    def times(self, factor: float) -> Regularizer:
        """Return the regularizer with its penalties times a factor; dropout stays as it is.

        Examples
        --------
        >>> Regularizer(l2=0.5, dropout=0.1).times(2.0)
        Regularizer(l1=0.0, l2=1.0, dropout=0.1, coupling='loss')
        """
        return replace(self, l1=(self.l1 or 0.0) * factor, l2=(self.l2 or 0.0) * factor)

    def strengths(self) -> dict[str, float]:
        """Return the strengths of this kind by name.

        Raises
        ------
        StrengthError
            If a strength is unknown, because the advice was given without data.

        Examples
        --------
        >>> Regularizer(l2=0.5).strengths()
        {'l2': 0.5}
        """
        if not self.has_strengths:
            raise StrengthError(
                f"the strength of {self.label} is unknown: this advice was given without data. "
                "Call advise(X, y) with data, or give numbers: Regularizer(l1=..., l2=..., dropout=...)"
            )
        return {name: getattr(self, name) for name in STRENGTHS[self.kind]}

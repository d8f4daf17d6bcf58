"""The value at the centre of the library: a regularizer with its strengths."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from regadvisor.errors import ParameterError, StrengthError

Kind = Literal["none", "l2", "l1", "dropout", "elasticnet", "dropout_l2", "dropout_l1"]
Coupling = Literal["loss", "decoupled"]

#: Every kind, simplest first: the order in which ties are broken (``prefer="sparse"`` puts l1 first).
KINDS: tuple[Kind, ...] = ("none", "l2", "l1", "dropout", "elasticnet", "dropout_l2", "dropout_l1")

#: Kinds that only a network can use.
DROPOUT_KINDS: tuple[Kind, ...] = ("dropout", "dropout_l2", "dropout_l1")

LABELS: dict[Kind, str] = {
    "none": "no regularizer",
    "l2": "L2",
    "l1": "L1",
    "elasticnet": "L1+L2 (elastic net)",
    "dropout": "dropout",
    "dropout_l2": "dropout+L2",
    "dropout_l1": "dropout+L1",
}

#: Which strengths a kind has, by the name of the field of :class:`Regularizer`.
STRENGTHS: dict[Kind, tuple[str, ...]] = {
    "none": (),
    "l2": ("l2",),
    "l1": ("l1",),
    "elasticnet": ("l1", "l2"),
    "dropout": ("dropout",),
    "dropout_l2": ("l2", "dropout"),
    "dropout_l1": ("l1", "dropout"),
}


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

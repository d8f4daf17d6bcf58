"""What the rest of the program has to know of each family of models: one row a family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class FamilySpec:
    """What a family is, for all that is not inside it."""

    #: As in ``Training.family`` and ``Family.name``.
    name: str
    #: Whether features are encoded for a network, and a plain training loop can be written for it.
    is_network: bool = False
    #: Whose rows and fits it gets at each effort (``plan/effort.py``).
    effort: Literal["linear", "mlp"] = "linear"
    #: How gains and supports were found to go from a sample to all rows (``full_size.py``).
    laws: Literal["linear", "network"] = "linear"
    #: Whether its model is the caller's own, which no record holds.
    is_own: bool = False

    @property
    def library(self) -> Literal["sklearn", "torch"]:
        """The library that its code is shown in first."""
        return "torch" if self.is_network else "sklearn"


#: All families, by name.
FAMILIES: dict[str, FamilySpec] = {
    spec.name: spec
    for spec in (
        FamilySpec(name="linear"),
        FamilySpec(name="mlp", is_network=True, effort="mlp", laws="network"),
        FamilySpec(name="module", is_network=True, effort="mlp", laws="network", is_own=True),
        FamilySpec(name="fitted", effort="mlp", laws="network", is_own=True),
    )
}


def spec_of(name: str) -> FamilySpec:
    """Return what is known of a family; one that is not listed counts as a network, which costs the most.

    >>> spec_of("linear").library, spec_of("module").effort, spec_of("another").laws
    ('sklearn', 'mlp', 'network')
    """
    return FAMILIES.get(name, FamilySpec(name=name, is_network=True, effort="mlp", laws="network"))

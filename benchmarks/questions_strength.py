"""How the best strength falls with the number of rows, in simulation, against what the library carries it by.

Features are independent standard normal, so the excess risk of a fitted model is known without test rows:
``Σ(w − β)²`` for squared error; for the log loss the expectation over the score and the true score, which
are jointly normal, by Gauss–Hermite quadrature. The strengths' risks are averaged over repetitions, the best
strength of a size is the minimum of the averaged curve (a parabola through its lowest point and neighbours),
and the exponent is the slope of log strength over log rows; its interval is a bootstrap over repetitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from regadvisor.deadline import Deadline
from regadvisor.families.base import Fit, Job
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.linear.fit import solve
from regadvisor.families.linear.problem import Penalty, Problem
from regadvisor.full_size.rescale import Rescaling
from regadvisor.regularizer import Regularizer

Floats = NDArray[np.float64]
SIZES = (100, 200, 400, 800, 1600)
N_FEATURES = 40
#: Non-zero effects of a sparse truth.
N_SPARSE = 4
N_BOOT = 400
#: An exponent this far from theory is still called right.
TOLERANCE = 0.15
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(32)


@dataclass(frozen=True, kw_only=True)
class Law:
    """One model, penalty and truth, with the exponent that theory gives."""

    name: str
    penalty: Literal["l1", "l2"]
    is_classification: bool
    is_sparse: bool
    theory: float
    #: Strengths tried at every size.
    strengths: Floats


LAWS = (
    Law(
        name="ridge, dense truth",
        penalty="l2",
        is_classification=False,
        is_sparse=False,
        theory=-1.0,
        strengths=np.geomspace(1e-4, 3.0, 46),
    ),
    Law(
        name="lasso, sparse truth",
        penalty="l1",
        is_classification=False,
        is_sparse=True,
        theory=-0.5,
        strengths=np.geomspace(5e-3, 0.6, 30),
    ),
    Law(
        name="logistic L2, dense truth",
        penalty="l2",
        is_classification=True,
        is_sparse=False,
        theory=-1.0,
        strengths=np.geomspace(1e-4, 1.0, 31),
    ),
    Law(
        name="logistic L1, sparse truth",
        penalty="l1",
        is_classification=True,
        is_sparse=True,
        theory=-0.5,
        strengths=np.geomspace(2e-3, 0.2, 24),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Exponent:
    """An exponent measured, with the 95% interval of its bootstrap, beside theory and what is used."""

    law: Law
    slope: float
    low: float
    high: float
    used: float

    @property
    def holds(self) -> bool:
        """Whether the measured exponent is within 0.15 of theory."""
        return abs(self.slope - self.law.theory) <= TOLERANCE

    def line(self) -> str:
        """Return the row of the table."""
        right = "yes" if self.holds else "**no**"
        cells = [self.law.name, f"{self.slope:+.2f}", f"{self.low:+.2f} to {self.high:+.2f}"]
        return f"| {' | '.join([*cells, f'{self.law.theory:+.1f}', f'{self.used:+.1f}', right])} |"


HEADER = (
    "| model and truth | exponent | 95% interval | theory | used | within ±0.15 |\n|---|---|---|---|---|---|"
)


def draw_effects(law: Law, rng: np.random.Generator) -> Floats:
    """Return effects of a signal as large as the noise (regression) or of variance 4 (log odds)."""
    beta = rng.normal(size=N_FEATURES)
    if law.is_sparse:
        beta = np.where(np.arange(N_FEATURES) < N_SPARSE, rng.choice([-1.0, 1.0], size=N_FEATURES), 0.0)
    size = 2.0 if law.is_classification else 1.0
    return np.asarray(size * beta / np.linalg.norm(beta), dtype=np.float64)


def draw_problem(law: Law, beta: Floats, n: int, rng: np.random.Generator) -> Problem:
    """Return `n` rows; features are standardised by their law, so weights are in the units of `beta`."""
    X = rng.normal(size=(n, len(beta)))
    if law.is_classification:
        T = (rng.random(n) < expit(X @ beta)).astype(np.float64)
    else:
        T = X @ beta + rng.normal(size=n)
        T = T - T.mean()
    return Problem(
        X=X - X.mean(axis=0),
        T=T[:, None],
        weight=np.full(n, 1.0 / n),
        is_classification=law.is_classification,
    )


def excess_risk(law: Law, w: Floats, b: float, beta: Floats) -> float:
    """Return the expected loss of weights beyond that of the truth, up to a constant.

    Examples
    --------
    >>> excess_risk(LAWS[0], np.array([1.0, 0.0]), 0.0, np.array([0.0, 0.0]))
    1.0
    """
    if not law.is_classification:
        return float(np.sum((w - beta) ** 2))
    # Score s = b + |w|·u and true log odds m = ρ·|β|·u + √(1 − ρ²)·|β|·v with u, v standard normal.
    size, true_size = float(np.linalg.norm(w)), float(np.linalg.norm(beta))
    rho = 0.0 if size == 0.0 else float(w @ beta) / (size * true_size)
    share = WEIGHTS / WEIGHTS.sum()
    score = b + size * NODES
    log_odds = true_size * (rho * NODES[:, None] + np.sqrt(max(0.0, 1 - rho**2)) * NODES)
    chance = expit(log_odds) @ share
    return float(share @ (np.logaddexp(0.0, score) - chance * score))


def curves(law: Law, *, repeats: int, seed: int, sizes: tuple[int, ...] = SIZES) -> Floats:
    """Return the risk of every strength, shape (n_sizes, repeats, n_strengths)."""
    risks = np.empty((len(sizes), repeats, len(law.strengths)))
    penalties = [Penalty(**{law.penalty: strength}) for strength in law.strengths.tolist()]
    for number, child in enumerate(np.random.SeedSequence(seed).spawn(repeats)):
        rng = np.random.default_rng(child)
        beta = draw_effects(law, rng)
        for place, n in enumerate(sizes):
            problem = draw_problem(law, beta, n, rng)
            solutions = [solve(problem, penalty, deadline=Deadline.never()) for penalty in penalties]
            risks[place, number] = [excess_risk(law, s.W[:, 0], float(s.b[0]), beta) for s in solutions]
    return risks


def best_strength(strengths: Floats, risk: Floats) -> float:
    """Return the log of the strength at the minimum of a curve, by a parabola through three points.

    Examples
    --------
    >>> grid = np.exp(np.linspace(-3, 3, 13))
    >>> round(best_strength(grid, (np.log(grid) - 0.7) ** 2), 6)
    0.7
    """
    x, at = np.log(strengths), int(np.argmin(risk))
    if at in (0, len(x) - 1):
        return float(x[at])
    left, middle, right = risk[at - 1 : at + 2]
    step = x[at + 1] - x[at]
    return float(x[at] + 0.5 * step * (left - right) / (left - 2 * middle + right))


def slope(law: Law, risks: Floats, sizes: tuple[int, ...]) -> float:
    """Return the exponent of averaged curves, risks of shape (n_sizes, repeats, n_strengths)."""
    best = [best_strength(law.strengths, risk.mean(axis=0)) for risk in risks]
    return float(np.polyfit(np.log(sizes), best, 1)[0])


def used_exponent(law: Law) -> float:
    """Return the exponent by which the linear family carries the strength from a sample to all rows."""
    nothing = np.zeros(0)
    regularizer = Regularizer(**{law.penalty: 1.0})
    fit = Fit(
        job=Job(regularizer=regularizer), losses=nothing, train_losses=nothing, zeroed=nothing, converged=True
    )
    carried, _ = LinearFamily().at_full_size(fit, Rescaling(n_sample=100, n_rows=1000, n_features=1))
    return float(np.log10(getattr(carried, law.penalty)))


def measure(law: Law, *, repeats: int, seed: int, sizes: tuple[int, ...] = SIZES) -> Exponent:
    """Return the exponent of one law with its interval."""
    risks = curves(law, repeats=repeats, seed=seed, sizes=sizes)
    rng = np.random.default_rng(seed)
    draws = [slope(law, risks[:, rng.integers(repeats, size=repeats)], sizes) for _ in range(N_BOOT)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Exponent(
        law=law, slope=slope(law, risks, sizes), low=float(low), high=float(high), used=used_exponent(law)
    )


def all_exponents(*, repeats: int, seed: int) -> Iterator[Exponent]:
    """Yield the exponents of all laws."""
    for law in LAWS:
        yield measure(law, repeats=repeats, seed=seed)

"""What the lines of ``benchmarks/sizes.py`` say about one data set, and random effects over data sets."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sizes import SAMPLES, stored

from regadvisor.full_size.laws import PowerLaw, rescaled_loss
from regadvisor.regularizer import STRENGTHS, Kind
from regadvisor.thresholds import SAME_REGION

#: Powers by theory of the best strength per row of a linear model: ``sizes.py`` divides by the rows so.
THEORY = {"l2": 1.0, "l1": 0.5}
#: What `best strength` of a kind is about: the strengths that move together.
CURVES: dict[str, Kind] = {"l2": "l2", "l1": "l1", "l1 and l2 together": "elasticnet"}
#: A vertex is not known better than to this share of a grid step.
SHARPEST = 0.25
FEWEST_SIZES = 3

Model = Literal["linear", "network"]
Sets = Mapping[str, Sequence["Run"]]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One sample trained for one length.

    Attributes
    ----------
    rules : frozenset of str
        The rules that ask for this length; empty for linear models.
    configs : tuple of (kind, strengths)
        In the units of ``sizes.py``.
    losses : ndarray, shape (n_configs,)
        Mean test loss, over seeds as well; infinite where the training failed.
    constant : float
        Test loss of the constant.
    n_features : int
        Features after encoding.
    """

    ratio: int
    rows: int
    rules: frozenset[str]
    configs: tuple[tuple[Kind, tuple[float, ...]], ...]
    losses: Numbers
    constant: float
    n_features: int

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> Run:
        """Return a line as a run."""
        losses = np.array(line["losses"], dtype=np.float64).mean(axis=1)
        return cls(
            ratio=line["ratio"],
            rows=line["rows"],
            rules=frozenset(line["rules"]),
            configs=tuple((kind, tuple(values)) for kind, values in line["configs"]),
            losses=np.where(np.isfinite(losses), losses, np.inf),
            constant=line["constant"],
            n_features=line["n_features"],
        )

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that were tried, none first."""
        return tuple(dict.fromkeys(kind for kind, _ in self.configs))

    def curve(self, kind: Kind) -> tuple[Numbers, Numbers]:
        """Return log strengths (mean over the penalties of a combination), ascending, and their losses."""
        own = [at for at, (name, _) in enumerate(self.configs) if name == kind]
        logs = np.array([log_strength(kind, self.configs[at][1]) for at in own])
        order = np.argsort(logs, kind="stable")
        return logs[order], self.losses[own][order]

    def gain(self, kinds: Sequence[Kind]) -> float:
        """Return 1 − the lowest loss of some kinds / the loss of none."""
        best = min(loss for (kind, _), loss in zip(self.configs, self.losses, strict=True) if kind in kinds)
        return float(1.0 - best / self.losses[self.configs.index(("none", ()))])


def log_strength(kind: Kind, values: Sequence[float]) -> float:
    """Return the mean log of the penalties of a point; 0 if it has none.

    Examples
    --------
    >>> round(log_strength("dropout_l2", (math.e, 0.5)), 6), log_strength("dropout", (0.5,))
    (1.0, 0.0)
    """
    names = STRENGTHS[kind]
    logs = [math.log(value) for name, value in zip(names, values, strict=True) if name != "dropout"]
    return float(np.mean(logs)) if logs else 0.0


def best_at(log_strengths: Numbers, losses: Numbers) -> float:
    """Return the log strength with the lowest loss: the vertex of the parabola through three points.

    Never outside the grid; a minimum on its edge stays there.

    Examples
    --------
    >>> round(best_at(np.array([0.0, 1.0, 2.0]), np.exp(np.array([1.0, 0.0, 1.0]))), 6)
    1.0
    """
    at = int(np.argmin(losses))
    if at in (0, len(losses) - 1) or not np.isfinite(losses[at - 1 : at + 2]).all():
        return float(log_strengths[at])
    near = slice(at - 1, at + 2)
    curve, slope, _ = np.polyfit(log_strengths[near], np.log(losses[near]), 2)
    if curve <= 0:
        return float(log_strengths[at])
    return float(np.clip(-slope / (2 * curve), log_strengths[at - 1], log_strengths[at + 1]))


def rescaled_excess(
    run: Run,
    full: Run,
    powers: Mapping[str, float],
    *,
    costs: Mapping[Kind, float] | None = None,
    farthest: float = math.inf,
) -> float:
    """Return by how many % the best point of a sample, rescaled to N, is above the best point at N.

    Its strengths (in the units of ``sizes.py``) fall as (N/n)^-power; the loss there is read off the curve of
    its kind at N, a line in logs between points. Dropout stays as it is. With `costs` a kind's losses on the
    sample count as so much higher per ln²(N/n); strengths fall no further than to `farthest` times the rows.
    """
    log_ratio = math.log(full.rows / run.rows)
    expected = [
        rescaled_loss(loss, (costs or {}).get(kind, 0.0) * log_ratio**2, constant=run.constant)
        for (kind, _), loss in zip(run.configs, run.losses.tolist(), strict=True)
    ]
    kind, values = run.configs[int(np.argmin(expected))]
    at = full.configs.index((kind, values))
    names = [name for name in STRENGTHS[kind] if name != "dropout"]
    log_loss = float(np.log(full.losses[at]))
    if names:
        fall = float(np.mean([powers[name] for name in names])) * min(log_ratio, math.log(farthest))
        logs, losses = full.curve(kind)
        log_loss = float(np.interp(log_strength(kind, values) - fall, logs, np.log(losses)))
    return 100.0 * (math.exp(log_loss) / float(full.losses.min()) - 1.0)


def blur(log_strengths: Numbers, losses: Numbers) -> float:
    """Return how uncertain the best log strength is: half the width of what is the same as the best.

    The same: a loss within ``SAME_REGION`` of the lowest, between points by a line in logs. Never less than
    ``SHARPEST`` of a grid step.

    Examples
    --------
    >>> logs = np.array([0.0, 1.0, 2.0])
    >>> round(blur(logs, np.ones(3)), 6), blur(logs, np.array([9.0, 1.0, 9.0]))
    (1.0, 0.25)
    """
    between = np.linspace(log_strengths[0], log_strengths[-1], 401)
    logs = np.interp(between, log_strengths, np.log(losses))
    same = between[logs <= np.log(losses.min()) + SAME_REGION]
    return max(float(np.ptp(same)) / 2, SHARPEST * float(np.diff(log_strengths).mean()))


def power_of(log_rows: Numbers, log_strengths: Numbers, errors: Numbers) -> tuple[float, float]:
    """Return the power e of strength ∝ rows^-e by weighted least squares, and its standard error.

    The standard error is that of the given errors, or of the residuals if they are larger.

    Parameters
    ----------
    log_rows, log_strengths, errors : ndarray, shape (n_samples,)

    Examples
    --------
    >>> rows = np.log([100.0, 200.0, 400.0])
    >>> round(power_of(rows, 3.0 - 0.5 * rows, np.ones(3))[0], 6)
    0.5
    """
    weight = errors**-2.0
    spread = log_rows - np.average(log_rows, weights=weight)
    total = float(weight @ spread**2)
    slope = float((weight * spread) @ log_strengths) / total
    residual = log_strengths - np.average(log_strengths, weights=weight) - slope * spread
    excess = float(weight @ residual**2) / max(len(residual) - 2, 1)
    return -slope, math.sqrt(max(1.0, excess) / total)


@dataclass(frozen=True, kw_only=True)
class Effects:
    """A mean over sets with its standard error, and the sd between sets."""

    mean: float
    error: float
    sd: float


def random_effects(values: Numbers, errors: Numbers) -> Effects:
    """Return the random-effects mean and between-set sd (DerSimonian and Laird 1986).

    Examples
    --------
    >>> random_effects(np.array([1.0, 1.0, 1.0]), np.full(3, 0.1)).sd
    0.0
    """
    weight = errors**-2.0
    fixed = float(np.average(values, weights=weight))
    q = float(weight @ (values - fixed) ** 2)
    scale = float(weight.sum() - (weight @ weight) / weight.sum())
    variance = max(0.0, (q - len(values) + 1) / scale) if scale > 0 else 0.0
    weight = 1.0 / (errors**2 + variance)
    mean = float(np.average(values, weights=weight))
    return Effects(mean=mean, error=float(weight.sum() ** -0.5), sd=math.sqrt(variance))


# ------------------------------------------------------------------------------------- runs and sets


def read(path: Path, rule: str | None = None) -> dict[str, list[Run]]:
    """Return the runs of a file by set: those that are complete, with ``FEWEST_SIZES`` sizes or more.

    With `rule` only the runs of that rule. All runs of a set have the same points, those that all of them
    were trained with: points that were added later were trained for the library's own length alone.
    """
    found: dict[str, list[Run]] = defaultdict(list)
    for line in stored(path):
        found[line["set"]].append(Run.of(line))
    complete = {name: runs for name, runs in found.items() if is_complete(runs)}
    if rule is not None:
        complete = {name: by_rule(runs, rule) for name, runs in complete.items()}
    return {name: with_common_points(runs) for name, runs in complete.items()}


def with_common_points(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with the points that all of them have."""
    common = set.intersection(*(set(run.configs) for run in runs))
    return [chosen(run, [at for at, config in enumerate(run.configs) if config in common]) for run in runs]


def chosen(run: Run, points: Sequence[int]) -> Run:
    """Return a run with some of its points."""
    return replace(run, configs=tuple(run.configs[at] for at in points), losses=run.losses[list(points)])


def is_complete(runs: Sequence[Run]) -> bool:
    """Return whether a set has all samples of every size that was begun, and enough sizes."""
    made = Counter(run.ratio for run in by_rule(runs, "planned"))
    return len(made) >= FEWEST_SIZES and all(made[ratio] == SAMPLES[ratio] for ratio in made)


def by_rule(runs: Sequence[Run], rule: str) -> list[Run]:
    """Return the runs of a rule; all, of linear models."""
    return [run for run in runs if not run.rules or rule in run.rules]


def full_of(runs: Sequence[Run]) -> Run:
    """Return the run on all rows."""
    return next(run for run in runs if run.ratio == 1)


def only(run: Run, kind: Kind) -> Run:
    """Return a run with the points of one kind alone, and no rule."""
    own = [at for at, (name, _) in enumerate(run.configs) if name == kind]
    return replace(chosen(run, own), rules=frozenset())


@dataclass(frozen=True, kw_only=True)
class SetPower:
    """The power of one set, per row for linear models, with its standard error.

    `at_edge` is the share of samples whose best strength is the weakest or the strongest that was tried.
    """

    power: float
    error: float
    at_edge: float


def set_power(runs: Sequence[Run], name: str, model: Model) -> SetPower:
    """Return the power of one set for one of ``CURVES``."""
    curves = [run.curve(CURVES[name]) for run in runs]
    at = np.array([best_at(*curve) for curve in curves])
    logs = curves[0][0]
    errors = np.array([blur(*curve) for curve in curves])
    slope, error = power_of(np.log([run.rows for run in runs]), at, errors)
    divided_out = [THEORY[part] for part in name.split() if part in THEORY and model == "linear"]
    power = slope + (float(np.mean(divided_out)) if divided_out else 0.0)
    return SetPower(power=power, error=error, at_edge=float(np.isin(at, logs[[0, -1]]).mean()))


def powers(sets: Sets, model: Model, rule: str) -> dict[str, dict[str, SetPower]]:
    """Return the powers by curve and set."""
    return {
        name: {each: set_power(by_rule(runs, rule), name, model) for each, runs in sets.items()}
        for name in CURVES
    }


def law_of(sets: Sets, found: Mapping[str, SetPower]) -> PowerLaw:
    """Return the power as a line in the log of the features, by least squares over sets."""
    logs = np.log([full_of(sets[name]).n_features for name in found])
    values = np.array([each.power for each in found.values()])
    slope, intercept = np.polyfit(logs, values, 1)
    return PowerLaw(intercept=float(intercept), slope=float(slope))


def law_error(sets: Sets, found: Mapping[str, SetPower]) -> tuple[float, float]:
    """Return the root mean squared errors on sets left out: of the law, and of the mean of the others."""
    by_law, by_mean = [], []
    for name in found:
        others = {each: power for each, power in found.items() if each != name}
        law = law_of(sets, others)
        foretold = law.intercept + law.slope * math.log(full_of(sets[name]).n_features)
        by_law.append(found[name].power - foretold)
        by_mean.append(found[name].power - np.mean([each.power for each in others.values()]))
    return float(np.sqrt(np.mean(np.square(by_law)))), float(np.sqrt(np.mean(np.square(by_mean))))


def pooled(found: Mapping[str, SetPower]) -> Effects:
    """Return the random effects of the powers of one curve."""
    return random_effects(
        np.array([each.power for each in found.values()]), np.array([each.error for each in found.values()])
    )

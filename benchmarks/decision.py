"""Does walking the chart or taking the lowest expected loss leave less on the table? Which of them decides.

usage: python benchmarks/decision.py OUT [--family mlp|linear] [--sets A,B] [--write]

OUT/references holds what ``benchmarks/regret.py`` made: a dense grid by cross-validation on all training rows
and the test loss of every point. Every policy chooses a point by the cross-validation, once among all points
and once among few per kind, as in a short search; regret is in % of the loss of the oracle over all points.
Policies are compared on the same sets with the chart that the library walks (with Q9b). Without --family both
are studied. With --write the tables go into RESULTS.md.

A reference does not say which test rows belong together, so the halves of the oracle may cut through groups
and blocks of time. All policies of a set share its oracle, so differences between them keep their sign.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

from regret.figures import interval, percentile_90, share, winsorised
from regret.policies import (
    CEILING,
    CHART,
    NONE,
    WITHOUT_LOWEST,
    chart_walks,
    chosen_configs,
    cv_means,
    full_means,
    honest_of,
    tuned_configs,
)
from regret.references import Reference, load_reference
from regret.score import scores
from regret.splits import Split, halves
from results import write

from regadvisor.compare.claims import masses
from regadvisor.compare.honest import Honest, bootstrap_counts, counted_sums
from regadvisor.compare.paired import spread
from regadvisor.flowchart.chart import NO_SIGNAL
from regadvisor.thresholds import SAME_REGION

Grid = Literal["all", "few"]
GRIDS: dict[Grid, str] = {"all": "all points", "few": "few points"}
FAMILIES = {"mlp": "Networks", "linear": "Linear models"}
#: The few points of a network, by kind; a kind of which a coarser grid has none of them keeps all it has.
FEW: dict[str, tuple[tuple[float, ...], ...]] = {
    "none": ((),),
    "l2": ((1.0,), (4.0,), (16.0,)),
    "l1": ((0.02,), (0.12,), (0.5,)),
    "dropout": ((0.1,), (0.25,)),
    "elasticnet": ((0.06, 2.0), (0.25, 8.0), (0.01, 0.3)),
    "dropout_l2": ((4.0, 0.1), (1.0, 0.1), (8.0, 0.25)),
    "dropout_l1": ((0.06, 0.1), (0.06, 0.25)),
}
#: Linear strengths depend on the data, so the few are every third point of the grid.
EVERY = 3
MASSES = (0.7, 0.8, 0.9)
#: Q9b overrules the comparisons from ``thresholds.OVERRULED_FROM`` = 0.2% on, unless two penalties tie; the
#: rivals of that number overrule ties, too.
EDGES = (0.001, 0.005, 0.01)
#: With 500 the luck of the draws alone moved the choice on 4 of 36 sets; the mean regret by up to 1.7.
N_DRAWS = 4_000
#: Sets with fewer training rows than this are the small ones.
MANY_ROWS = 2_000

CLASSIC = "classic chart"
LOWEST = "lowest raw loss"
HONEST = "lowest honest loss"
EXPECTED = "minimum expected regret"
HEAD = (
    *("policy", "winsorised mean", "90th percentile", "within 0.5%", "against the chart: winsorised", "mean"),
    *(f"mean, < {MANY_ROWS:,} rows", f"mean, ≥ {MANY_ROWS:,} rows", "better / worse on"),
)

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One set: the regret in % of every policy, by the grid it chose from, mean over the set's splits."""

    set: str
    n_train: int
    regrets: Mapping[Grid, Mapping[str, float]]


# ------------------------------------------------------------------------------------------- choosing


def few(reference: Reference) -> Reference:
    """Return the reference with few points of every kind."""
    configs = reference.configs
    if reference.meta["family"] == "linear":
        kept = [k for k, config in enumerate(configs) if k % EVERY == 0 or config.kind == NONE]
    else:
        kept = [k for k, config in enumerate(configs) if config.values in FEW[config.kind]]
        there = {configs[k].kind for k in kept}
        kept = sorted(kept + [k for k, config in enumerate(configs) if config.kind not in there])
    return replace(
        reference,
        configs=tuple(configs[k] for k in kept),
        cv_losses=reference.cv_losses[kept],
        test_losses=reference.test_losses[kept],
        small_cv=None if reference.small_cv is None else reference.small_cv[kept],
    )


def choices(reference: Reference) -> dict[str, int]:
    """Return the point that every policy of the study chooses, by policy.

    The chart's own outcome "no signal" is overruled by nothing, as in the library. The others know no such
    outcome and choose a kind, no regularization included.
    """
    honest = honest_of(reference)
    by_name, tuned = chosen_configs(reference, honest), tuned_configs(reference)
    lowest, walked = by_name[CEILING], by_name[WITHOUT_LOWEST]
    found = {name: by_name[name] for name in (CHART, WITHOUT_LOWEST, CLASSIC)}
    found[LOWEST] = lowest
    found[HONEST] = tuned[honest.best_kind]
    found[EXPECTED] = tuned[least_regret(honest)]
    outcome = chart_walks(reference, honest)[WITHOUT_LOWEST].outcome
    means = cv_means(reference)
    best = honest.best_kind
    for mass in MASSES:
        is_sure = outcome not in (NO_SIGNAL, best) and mass_below(honest, best, outcome) >= mass
        found[f"chart, unless another is better with mass {mass}"] = tuned[best] if is_sure else walked
    for edge in EDGES:
        is_lower = outcome != NO_SIGNAL and means[walked] - means[lowest] > edge * means[walked]
        found[f"chart, unless another's lowest is {edge:.1%} lower"] = lowest if is_lower else walked
    return found


def least_regret(honest: Honest) -> str:
    """Return the kind with the least expected regret over resampled rows.

    Regret is the honest loss above the lowest in a draw, deviations stretched for overlapping training sets.
    The lowest is the same for all kinds, so up to the finite number of draws this is the lowest honest loss.
    """
    kinds, sides = honest.panel.kinds, honest.sides
    n_folds = honest.panel.n_folds
    stretch = math.sqrt(1.0 + n_folds / (n_folds - 1))
    panel = honest.panel
    counts = bootstrap_counts(panel.n_bundles, N_DRAWS, np.random.default_rng(0))
    sums = counted_sums(counts, panel.bundle_sums(honest.losses * panel.share))
    weights = counted_sums(counts, panel.bundle_sums(panel.share)[None])
    drawn = (sums / weights)[:, [sides.index(kind) for kind in kinds]]
    observed = np.array([honest.loss(kind) for kind in kinds])
    losses = observed + stretch * (drawn - observed)
    regret = (losses - losses.min(axis=1, keepdims=True)).mean(axis=0)
    return kinds[int(np.argmin(regret))]


def mass_below(honest: Honest, a: str, b: str) -> float:
    """Return the posterior mass of `a` having a lower honest loss than `b`, by however little."""
    measured = spread(honest.of(a) - honest.of(b), honest.panel)
    return masses(measured.mean, scale=math.sqrt(measured.variance), df=measured.df, region=0.0)[0]


def regrets(reference: Reference) -> dict[Grid, dict[str, float]]:
    """Return the regret of every policy in % of the oracle over all points, by grid."""
    n_test = reference.test_losses.shape[-1]
    split = Split(
        number=int(reference.meta["split"]), train=np.arange(0), test=np.arange(n_test), cluster=None
    )
    found: dict[Grid, dict[str, float]] = {}
    grids: dict[Grid, Reference] = {"all": reference, "few": few(reference)}
    for grid, own in grids.items():
        means, chosen = full_means(own), choices(own)
        losses = {name: means[number] for name, number in chosen.items()}
        # The judge wants these two as well; its oracle is over all points, whatever the policies chose from.
        judged = {**losses, NONE: means[tuned_configs(own)[NONE]], CEILING: losses[LOWEST]}
        scored = scores(reference, halves(split), None, judged)
        found[grid] = {name: scored[name].regret for name in losses}
    return found


def study(out: Path, family: str, only: Collection[str] = ()) -> list[Case]:
    """Return the cases of a family, by set; references without a held-out row are left out."""
    by_set: dict[str, list[tuple[int, dict[Grid, dict[str, float]]]]] = defaultdict(list)
    for path in sorted((out / "references").glob(f"*-{family}-*.npz")):
        if path.name.endswith(".partial.npz"):
            continue
        reference = load_reference(path)
        name = str(reference.meta["set"])
        if reference.meta["family"] == family and (not only or name in only) and (reference.fold >= 0).any():
            by_set[name].append((int(reference.meta["n_train"]), regrets(reference)))
    cases = []
    for name, found in by_set.items():
        mean: dict[Grid, dict[str, float]] = {
            grid: {
                policy: float(np.mean([r[grid][policy] for _, r in found])) for policy in found[0][1][grid]
            }
            for grid in GRIDS
        }
        cases.append(Case(set=name, n_train=found[0][0], regrets=mean))
    return cases


# ------------------------------------------------------------------------------------------- the tables


def table(cases: Sequence[Case], grid: Grid) -> str:
    """Return one line per policy as Markdown, the chart as it is first; differences are paired over sets."""
    own = {name: _values(cases, grid, name) for name in cases[0].regrets[grid]}
    is_small = np.array([case.n_train < MANY_ROWS for case in cases])
    groups = (np.ones_like(is_small), is_small, ~is_small)
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    for name, values in own.items():
        near = interval(np.where(values <= 100 * SAME_REGION, 100.0, 0.0), share).text(" %")
        cells = [name, interval(values, winsorised).text(), interval(values, percentile_90).text(), near]
        if name == CHART:
            cells += ["–"] * 5
        else:
            difference = values - own[CHART]
            cells += [_signed(difference, winsorised)]
            cells += [_signed(difference[some], share) for some in groups]
            cells.append(f"{int((difference < 0).sum())} / {int((difference > 0).sum())}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _values(cases: Sequence[Case], grid: Grid, policy: str) -> Values:
    return np.array([case.regrets[grid][policy] for case in cases])


def _signed(difference: Values, statistic: Callable[[Values], Values]) -> str:
    """Return a paired difference with its interval, to two digits: many are zero on most sets."""
    if not len(difference):
        return "–"
    figure = interval(difference, statistic)
    return f"{figure.value:+.2f} [{figure.low:+.2f}, {figure.high:+.2f}]"


def sections(cases: Sequence[Case], family: str) -> str:
    """Return the tables of a family as Markdown."""
    n_small = sum(case.n_train < MANY_ROWS for case in cases)
    parts = []
    for grid, words in GRIDS.items():
        title = (
            f"{FAMILIES[family]}, {words}: {len(cases)} sets, {n_small} below {MANY_ROWS:,} training rows."
        )
        parts += [title, table(cases, grid)]
    return "\n\n".join(parts)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--family", choices=list(FAMILIES))
    parser.add_argument("--sets", default="")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args(words)
    only = [name for name in arguments.sets.split(",") if name]
    parts = []
    for family in [arguments.family] if arguments.family else FAMILIES:
        cases = study(arguments.out, family, only)
        if cases:
            parts.append(sections(cases, family))
            print(parts[-1], flush=True)
    if not parts:
        raise SystemExit(f"No references of these in {arguments.out / 'references'}.")
    if arguments.write:
        write("decision", "\n\n".join(parts))


if __name__ == "__main__":
    main()

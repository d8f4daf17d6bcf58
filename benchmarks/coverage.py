"""Coverage of the comparisons: do the 95% intervals hold the true difference of expected losses?

Ridge regression on synthetic rows under real 5-fold cross-validation (training sets overlap, strengths are
picked by the data), many times over. The truth is not taken from the cross-validation: the risk of every
fold's model is known in closed form for Gaussian features, and the expected loss of a kind is the mean risk
of what it picks, over all repetitions.

``python benchmarks/coverage.py [--repeats 300]`` prints one line per scenario, size and pair.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regadvisor.compare.honest import honest_losses
from regadvisor.compare.paired import compare
from regadvisor.compare.panel import Panel

N_FOLDS = 5
N_BOOT = 200


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One data set with the law it was drawn from; features are standard normal and independent."""

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    beta: NDArray[np.float64]
    noise_variance: float
    fold: NDArray[np.intp]
    cluster: NDArray[np.intp] | None = None


@dataclass(frozen=True, kw_only=True)
class Config:
    """Ridge with a strength (per row) on the columns from the first number to before the second."""

    l2: float
    columns: tuple[int, int] = (0, 36)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How rows are drawn, which kinds compete, and which pairs are compared."""

    name: str
    draw: Callable[[int, np.random.Generator], Rows]
    kinds: dict[str, tuple[Config, ...]]
    pairs: tuple[tuple[str, str], ...]
    sizes: tuple[int, ...]


def draw_rows(n: int, rng: np.random.Generator, *, beta: NDArray[np.float64], noise: str = "normal") -> Rows:
    """Return independent rows with normal or heavy-tailed (Student t, 5 df) noise of variance 1."""
    X = rng.normal(size=(n, len(beta)))
    error = rng.normal(size=n) if noise == "normal" else rng.standard_t(5, size=n) / np.sqrt(5 / 3)
    fold = rng.permutation(np.arange(n) % N_FOLDS).astype(np.intp)
    return Rows(X=X, y=X @ beta + error, beta=beta, noise_variance=1.0, fold=fold)


def draw_groups(n: int, rng: np.random.Generator, *, beta: NDArray[np.float64], size: int = 10) -> Rows:
    """Return rows in groups that share half of the variance of features and noise; folds by group."""
    cluster = np.arange(n) // size
    n_groups = int(cluster.max()) + 1
    X = (rng.normal(size=(n_groups, len(beta)))[cluster] + rng.normal(size=(n, len(beta)))) / np.sqrt(2)
    error = (rng.normal(size=n_groups)[cluster] + rng.normal(size=n)) / np.sqrt(2)
    fold = rng.permutation(np.arange(n_groups) % N_FOLDS)[cluster].astype(np.intp)
    return Rows(X=X, y=X @ beta + error, beta=beta, noise_variance=1.0, fold=fold, cluster=cluster)


def cross_validate(
    rows: Rows, configs: tuple[Config, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the held-out losses (n_configs, n_rows) and the fold models' mean risks (n_configs,)."""
    losses = np.empty((len(configs), len(rows.y)))
    risks = np.zeros(len(configs))
    for fold in range(N_FOLDS):
        train, test = rows.fold != fold, rows.fold == fold
        centre, level = rows.X[train].mean(axis=0), rows.y[train].mean()
        X, y = rows.X[train] - centre, rows.y[train] - level
        for number, config in enumerate(configs):
            part = X[:, slice(*config.columns)]
            coef = np.zeros(len(rows.beta))
            gram = part.T @ part + len(y) * config.l2 * np.eye(part.shape[1])
            coef[slice(*config.columns)] = np.linalg.solve(gram, part.T @ y)
            intercept = level - centre @ coef
            losses[number, test] = (rows.y[test] - rows.X[test] @ coef - intercept) ** 2
            off = float(np.sum((coef - rows.beta) ** 2) + intercept**2 + rows.noise_variance)
            risks[number] += off / N_FOLDS
    return losses, risks


def constant_losses(rows: Rows) -> tuple[NDArray[np.float64], float]:
    """Return the held-out losses of the training mean, and its mean risk over folds."""
    losses, risk = np.empty(len(rows.y)), 0.0
    for fold in range(N_FOLDS):
        test = rows.fold == fold
        mean = float(rows.y[~test].mean())
        losses[test] = (rows.y[test] - mean) ** 2
        risk += float(mean**2 + rows.beta @ rows.beta + rows.noise_variance) / N_FOLDS
    return losses, risk


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one pair gave over all repetitions."""

    scenario: str
    n: int
    pair: tuple[str, str]
    truth: float
    estimate: float
    #: Difference of the winners' plain means, without honest selection.
    naive: float
    coverage: float
    replies: dict[str, float]
    #: Share of "better" and "worse" that point the wrong way or at a difference of zero.
    wrong: float


def simulate(scenario: Scenario, n: int, *, repeats: int, seed: int, clusters: bool = True) -> list[Line]:
    """Return one line per pair of a scenario at one size."""
    truths: dict[tuple[str, str], list[float]] = {pair: [] for pair in scenario.pairs}
    naive: dict[tuple[str, str], list[float]] = {pair: [] for pair in scenario.pairs}
    found: dict[tuple[str, str], list[tuple[float, float, float, str]]] = {
        pair: [] for pair in scenario.pairs
    }
    for child in np.random.SeedSequence(seed).spawn(repeats):
        rows = scenario.draw(n, np.random.default_rng(child))
        constant, constant_risk = constant_losses(rows)
        tried = {kind: cross_validate(rows, configs) for kind, configs in scenario.kinds.items()}
        panel = Panel(
            losses={kind: losses for kind, (losses, _) in tried.items()},
            constant=constant,
            fold=rows.fold,
            n_folds=N_FOLDS,
            cluster=rows.cluster if clusters else None,
        )
        honest = honest_losses(panel, seed=child.spawn(1)[0], n_boot=N_BOOT)
        risk = {kind: risks[honest.best_config(kind)] for kind, (_, risks) in tried.items()}
        seen = {kind: float(panel.mean_losses(kind).min()) for kind in tried}
        risk["constant"], seen["constant"] = constant_risk, float(constant.mean())
        for a, b in scenario.pairs:
            result = compare(honest, a, b)
            truths[a, b].append(risk[a] - risk[b])
            naive[a, b].append(seen[a] - seen[b])
            found[a, b].append((result.difference, result.low, result.high, result.reply))
    lines = []
    for pair in scenario.pairs:
        truth = 0.0 if scenario.name.startswith("equal") else float(np.mean(truths[pair]))
        replies = [reply for *_, reply in found[pair]]
        wrong = [reply for reply in replies if reply == ("better" if truth >= 0 else "worse")]
        lines.append(
            Line(
                scenario=scenario.name,
                n=n,
                pair=pair,
                truth=truth,
                estimate=float(np.mean([d for d, *_ in found[pair]])),
                naive=float(np.mean(naive[pair])),
                coverage=float(np.mean([low <= truth <= high for _, low, high, _ in found[pair]])),
                replies={r: replies.count(r) / repeats for r in ("better", "same", "worse", "unsure")},
                wrong=len(wrong) / repeats,
            )
        )
    return lines


L2_GRID = tuple(Config(l2=l2) for l2 in np.logspace(-3, 1, 9))
BARE = (Config(l2=1e-10),)
PARTS = tuple(Config(l2=1e-10, columns=(start, start + 4)) for start in range(0, 36, 4))
STRONG = np.full(20, 0.3)
WEAK = np.full(20, 0.1)
PAIRS = (("l2", "none"), ("l2", "constant"))
SIZES = (60, 200, 600, 2000)

SCENARIOS = (
    Scenario(
        name="weak signal",
        draw=lambda n, rng: draw_rows(n, rng, beta=WEAK),
        kinds={"none": BARE, "l2": L2_GRID},
        pairs=PAIRS,
        sizes=SIZES,
    ),
    Scenario(
        name="strong signal",
        draw=lambda n, rng: draw_rows(n, rng, beta=STRONG),
        kinds={"none": BARE, "l2": L2_GRID},
        pairs=PAIRS,
        sizes=SIZES,
    ),
    Scenario(
        name="heavy tails",
        draw=lambda n, rng: draw_rows(n, rng, beta=WEAK, noise="heavy"),
        kinds={"none": BARE, "l2": L2_GRID},
        pairs=PAIRS,
        sizes=SIZES,
    ),
    Scenario(
        name="groups of 10",
        draw=lambda n, rng: draw_groups(n, rng, beta=WEAK),
        kinds={"none": BARE, "l2": L2_GRID},
        pairs=PAIRS,
        sizes=(200, 600, 2000),
    ),
    Scenario(
        name="equal: 8 against 1",
        draw=lambda n, rng: draw_rows(n, rng, beta=np.full(36, 0.2)),
        kinds={"l1": PARTS[:1], "l2": PARTS[1:]},
        pairs=(("l2", "l1"), ("l1", "l2")),
        sizes=SIZES,
    ),
    Scenario(
        name="equal: 1 against 1",
        draw=lambda n, rng: draw_rows(n, rng, beta=np.full(36, 0.2)),
        kinds={"l1": PARTS[:1], "l2": PARTS[1:2]},
        pairs=(("l2", "l1"),),
        sizes=SIZES,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of the 95% intervals of comparisons.")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(
        f"{'scenario':<20}{'n':>6}  {'pair':<12}{'truth':>8}{'honest':>8}{'naive':>8}{'cover':>7}"
        f"{'better':>8}{'same':>6}{'worse':>7}{'unsure':>8}{'wrong':>7}"
    )
    for scenario in SCENARIOS:
        for n in scenario.sizes:
            for line in simulate(scenario, n, repeats=options.repeats, seed=options.seed):
                reply = line.replies
                print(
                    f"{line.scenario:<20}{n:>6}  {':'.join(line.pair):<12}{line.truth:>8.3f}"
                    f"{line.estimate:>8.3f}{line.naive:>8.3f}{line.coverage:>7.2f}{reply['better']:>8.2f}"
                    f"{reply['same']:>6.2f}{reply['worse']:>7.2f}{reply['unsure']:>8.2f}{line.wrong:>7.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()

"""How much to do: named efforts as data, what they are projected to cost, and which one fits a budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from regadvisor.regularizer import DROPOUT_KINDS, KINDS, STRENGTHS, Kind
from regadvisor.sampling.blocks import rows_for_blocks
from regadvisor.search.halving import share_of_fits
from regadvisor.search.sizes import WHOLE_JOBS
from regadvisor.thresholds import MEASURED_FROM_RATIO

EffortName = Literal["quick", "standard", "thorough"]

#: Rows from which on one fold tells losers from winners.
MANY_ROWS = 500
#: Combinations that lose this share of the loss when they are carried to all rows get one candidate.
ONE_CANDIDATE_FROM = 0.05
#: The smallest useful walk trains each of these once (the classic chart asks for no more).
SMALLEST_WALK: tuple[Kind, ...] = ("none", "l2", "l1", "elasticnet")


@dataclass(frozen=True, kw_only=True)
class Effort:
    """One rung of the ladder: how many rows, candidate fits and resamplings a run uses.

    The mappings are keyed by the name of the family; a family that is not listed (a network of the
    caller's own) counts as ``"mlp"``, since networks cost the most.
    """

    name: EffortName
    #: Largest sample, in rows.
    max_rows: Mapping[str, int]
    #: Candidate fits by family and kind. A fit is one set of strengths, trained on every fold.
    n_trials: Mapping[str, Mapping[Kind, int]]
    #: Seeds the baseline is trained with; it has no strengths to choose, only noise to average.
    baseline_seeds: Mapping[str, int]
    #: Bootstrap replicates of the comparisons.
    n_boot: int
    #: Resampled walks.
    n_draws: int
    #: How often one kind may widen the range of a strength whose optimum lies on the edge.
    n_widenings: int
    #: How often strengths between those tried are tried, next to the best of the kinds that may win.
    n_refinements: int = 0
    #: Most folds all candidates are trained on before the losers are stopped, by family; 0: none is stopped.
    n_first_folds: Mapping[str, int] = field(default_factory=lambda: {"linear": 0, "mlp": 2})
    #: Most folds with training rows of their own, where there are rows enough (``sampling/blocks.py``).
    most_blocks: int = 3
    #: Families whose combinations are also tried at a mix of what is best alone (``search/refining.py``).
    mixing: frozenset[str] = frozenset({"linear"})

    def rows(self, family_name: str, n_available: int) -> int:
        """Return the rows of the sample, given how many rows there are to draw from."""
        return min(self.max_rows_of(family_name), n_available)

    def max_rows_of(self, family_name: str) -> int:
        """Return the largest sample of a family."""
        return self.max_rows[_listed(family_name)]

    def first_folds(self, family_name: str, n_telling: float, *, in_blocks: bool = False) -> int:
        """Return the folds all candidates are trained on before the losers are stopped.

        One is enough if it is a block, tested on as many rows as it trains on, or if the sample has
        `MANY_ROWS` that tell (see :func:`telling_share`): on the references of ``benchmarks/regret.py``, what
        is then picked after all folds loses no more than after two first folds.
        """
        n_first = self.n_first_folds[_listed(family_name)]
        return min(n_first, 1) if in_blocks or n_telling >= MANY_ROWS else n_first

    def blocks(
        self, family_name: str, n_rows: int, *, n_folds: int, n_source: int, is_ordered: bool = False
    ) -> int | None:
        """Return how many folds get training rows of their own; None: the rows are cross-validated.

        A linear model is cheap enough to learn from all of the rows. Rows in order of time have one such fold
        at most: the past, tested on what came after.
        """
        n_blocks = min(n_folds, self.most_blocks)
        n_train = trained_rows(n_rows, n_folds)
        is_possible = rows_for_blocks(n_train, n_blocks, n_source) is not None
        if not is_possible or (is_ordered and n_blocks > 1) or _listed(family_name) == "linear":
            return None
        return n_blocks

    def sparing(self, family_name: str, carry_costs: Mapping[str, float]) -> Effort:
        """Return the effort with a single candidate of each combination that costs too much to carry.

        Such a kind is trained because the chart asks for it; only far ahead on the sample could it win. L2
        alone is still searched: where nothing else beats the constant it says whether there is a signal.
        """
        name = _listed(family_name)
        spared: set[Kind] = {
            kind
            for kind in self.n_trials[name]
            if carry_costs.get(kind, 0.0) >= ONE_CANDIDATE_FROM and len(STRENGTHS[kind]) > 1
        }
        n_trials = {kind: min(n, 1) if kind in spared else n for kind, n in self.n_trials[name].items()}
        return replace(self, n_trials={**self.n_trials, name: n_trials})

    def mixes(self, family_name: str, kind: Kind) -> bool:
        """Return whether a candidate of this kind is mixed from what is best of its parts alone."""
        return _listed(family_name) in self.mixing and len(STRENGTHS[kind]) > 1

    def trials(self, family_name: str, kind: Kind) -> int:
        """Return the candidate fits of one kind (for ``"none"``: its seeds)."""
        name = _listed(family_name)
        return self.baseline_seeds[name] if kind == "none" else self.n_trials[name][kind]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The effort and the sample a budget allows, with the projected cost in seconds."""

    effort: Effort
    #: Rows that the candidates learn from.
    n_rows: int
    projected_s: float
    #: Whether the projection is within the budget; if not, the deadline truncates the run.
    fits: bool


def trained_rows(n_rows: int, n_folds: int) -> int:
    """Return the rows that each fold of a cross-validation of `n_rows` rows trains on.

    Examples
    --------
    >>> trained_rows(1_000, 5)
    800
    """
    return n_rows - n_rows // n_folds


def telling_share(class_counts: Sequence[int] | None) -> float:
    """Return the share of rows that tell candidates apart: twice those outside the largest class, at most 1.

    A fold with five rows of a rare class says next to nothing, however many others it holds.

    Examples
    --------
    >>> [round(telling_share(counts), 2) for counts in ([50, 50], [96, 4], None)]
    [1.0, 0.08, 1.0]
    """
    if not class_counts:
        return 1.0
    return min(1.0, 2.0 * (1.0 - max(class_counts) / sum(class_counts)))


def _listed(family_name: str) -> str:
    """Return the family whose figures apply."""
    return "linear" if family_name == "linear" else "mlp"


def _counts(one: int, two: int, dropout: int, combined: int) -> dict[Kind, int]:
    """Return candidate fits by kind: one penalty, two penalties, dropout, and dropout with a penalty."""

    def count(kind: Kind) -> int:
        if kind in DROPOUT_KINDS:
            return dropout if kind == "dropout" else combined
        return one if len(STRENGTHS[kind]) == 1 else two

    return {kind: count(kind) for kind in KINDS if kind != "none"}


#: The ladder, cheapest first. Quick tries the beginning of every kind's portfolio, standard all of it,
#: thorough searches on from there. Dropout's useful range is narrow, so it needs few points.
EFFORTS: dict[str, Effort] = {
    "quick": Effort(
        name="quick",
        max_rows={"linear": 1_500, "mlp": 4_000},
        n_trials={"linear": _counts(5, 6, 3, 6), "mlp": _counts(3, 3, 2, 2)},
        baseline_seeds={"linear": 1, "mlp": 1},
        n_boot=200,
        n_refinements=2,
        most_blocks=1,
        n_draws=200,
        n_widenings=1,
    ),
    "standard": Effort(
        name="standard",
        max_rows={"linear": 5_000, "mlp": 8_000},
        n_trials={"linear": _counts(8, 12, 5, 12), "mlp": _counts(6, 8, 3, 8)},
        baseline_seeds={"linear": 1, "mlp": 3},
        n_boot=500,
        n_refinements=2,
        n_draws=500,
        n_widenings=2,
    ),
    "thorough": Effort(
        name="thorough",
        max_rows={"linear": 20_000, "mlp": 16_000},
        n_trials={"linear": _counts(16, 24, 8, 24), "mlp": _counts(16, 24, 6, 24)},
        baseline_seeds={"linear": 1, "mlp": 5},
        n_boot=1_000,
        n_draws=1_000,
        n_widenings=2,
    ),
}


#: Fits on all folds that one refinement amounts to: two points of two kinds, one or two of them on all folds.
REFINED_JOBS = 2.0
#: Samples between the efforts' own, in rows: the largest that the time allows is drawn.
SIZES = (500, 700, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000, 8_000, 12_000)


def n_whole_jobs(
    effort: Effort, family_name: str, kinds: Sequence[Kind], *, n_folds: int, n_first: int
) -> float:
    """Return how many fits on all folds the fits of an effort amount to: losers are stopped early.

    Examples
    --------
    >>> n_whole_jobs(EFFORTS["quick"], "linear", ("none", "l2"), n_folds=5, n_first=0)
    6.0
    """

    def whole(kind: Kind) -> float:
        n_trials = effort.trials(family_name, kind)
        if kind == "none":
            return n_trials
        share = share_of_fits(n_trials, n_folds=n_folds, n_first=n_first)
        return n_trials * share + effort.mixes(family_name, kind)

    return sum(map(whole, kinds))


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What a walk would train, and what that is projected to cost.

    Parameters
    ----------
    family_name : str
    kinds : sequence of str
        Kinds that will be trained, ``"none"`` among them.
    n_folds : int
    fit_s : callable
        Rows that a fold trains on in, seconds of one candidate fit on that fold out.
    overhead_s : callable
        Rows of the sample and number of folds in, seconds that do not depend on the number of fits out (what
        was spent already, preparation, comparisons).
    n_available : int
        Rows there are to draw a sample from.
    may_block : bool
        Whether folds may have training rows of their own: no groups, no rows that were asked for.
    is_ordered : bool
        Whether the rows have times.
    telling_share : float
        See :func:`telling_share`.
    carry_costs : callable
        Rows that fits stand for → what carrying the strengths of a kind to all rows costs, by kind.
    """

    family_name: str
    kinds: Sequence[Kind]
    n_folds: int
    fit_s: Callable[[int], float]
    overhead_s: Callable[[int, int], float]
    n_available: int
    may_block: bool = True
    is_ordered: bool = False
    telling_share: float = 1.0
    carry_costs: Callable[[int], Mapping[str, float]] = lambda n_learned: {}

    def projected_s(self, effort: Effort, n_rows: int) -> float:
        """Return the projected seconds of the whole walk on a sample of so many rows."""
        name = self.family_name
        blocks = effort.blocks(
            name, n_rows, n_folds=self.n_folds, n_source=self.n_available, is_ordered=self.is_ordered
        )
        in_blocks = blocks is not None and self.may_block
        n_folds = blocks if blocks is not None and self.may_block else self.n_folds
        n_first = effort.first_folds(name, self.telling_share * n_rows, in_blocks=in_blocks)
        n_learned = trained_rows(n_rows, self.n_folds) if in_blocks else n_rows
        effort = effort.sparing(name, self.carry_costs(n_learned))
        jobs = n_whole_jobs(effort, name, self.kinds, n_folds=n_folds, n_first=n_first)
        # On a single block all points that are tried are trained in full.
        jobs += (2 * REFINED_JOBS if n_folds == n_first else REFINED_JOBS) * effort.n_refinements
        if n_folds > 1 and self.n_available > MEASURED_FROM_RATIO * n_learned:
            jobs += WHOLE_JOBS
        return self.overhead_s(n_rows, n_folds) + jobs * n_folds * self.fit_s(
            trained_rows(n_rows, self.n_folds)
        )

    def sizes(self, effort: Effort) -> list[int]:
        """Return the samples to try at an effort, largest first, down to the effort below."""
        efforts = list(EFFORTS.values())
        most = effort.rows(self.family_name, self.n_available)
        below = efforts.index(effort) - 1
        least = efforts[below].rows(self.family_name, self.n_available) if below >= 0 else SIZES[0]
        return [most, *(size for size in reversed(SIZES) if least <= size < most)]

    def choose(self, budget_s: float, effort: Effort | None = None, *, is_automatic: bool = False) -> Choice:
        """Return the highest effort, with the largest sample, that is projected within the budget.

        Where nothing fits, the least sample of the lowest effort. With `effort` given, it is that effort
        on all its rows.

        Parameters
        ----------
        budget_s : float
            Seconds, may be infinite.
        effort : Effort, optional
        is_automatic : bool
            Whether nobody asked for the budget. Then the highest effort is taken for its rows alone: its
            candidates cost 1.3 to 1.4 times the standard ones and left the same loss
            (``benchmarks/regret.py``, linear models on 33 sets).

        Examples
        --------
        >>> walk = Walk(family_name="linear", kinds=("none", "l2", "l1", "elasticnet"), n_folds=5,
        ...             fit_s=lambda n: n * 2.5e-5, overhead_s=lambda n, folds: 1.0, n_available=9_000)
        >>> choice = walk.choose(30.0)
        >>> choice.effort.name, choice.n_rows, choice.projected_s
        ('standard', 5000, 18.0)
        >>> walk.choose(10.0).n_rows
        2000
        >>> from dataclasses import replace
        >>> small = replace(walk, n_available=800)
        >>> [small.choose(60.0, is_automatic=given).effort.name for given in (False, True)]
        ['thorough', 'standard']
        """
        if effort is not None:
            return self._choice(effort, effort.rows(self.family_name, self.n_available), budget_s)
        most_rows_below = EFFORTS["standard"].rows(self.family_name, self.n_available)
        for rung in reversed(EFFORTS.values()):
            for n_rows in self.sizes(rung):
                if is_automatic and rung.name == "thorough" and n_rows <= most_rows_below:
                    continue
                choice = self._choice(rung, n_rows, budget_s)
                if choice.fits:
                    return choice
        return self._choice(EFFORTS["quick"], self.sizes(EFFORTS["quick"])[-1], budget_s)

    def _choice(self, effort: Effort, n_rows: int, budget_s: float) -> Choice:
        seconds = self.projected_s(effort, n_rows)
        return Choice(effort=effort, n_rows=n_rows, projected_s=seconds, fits=seconds <= budget_s)

    def lowest_s(self, *, least_rows: int = 0) -> float:
        """Return the projected seconds of the lowest effort on its least sample, or on so many rows."""
        quick = EFFORTS["quick"]
        least = self.sizes(quick)[-1]
        return self.projected_s(quick, min(max(least, least_rows), quick.max_rows_of(self.family_name)))

    @property
    def smallest_s(self) -> float:
        """Projected seconds of the smallest useful walk: the chart's first fits, on one fold of few rows.

        Examples
        --------
        >>> walk = Walk(family_name="linear", kinds=("none", "l2", "l1", "elasticnet"), n_folds=5,
        ...             fit_s=lambda n: 0.1, overhead_s=lambda n, folds: 0.5, n_available=500)
        >>> walk.smallest_s
        0.9
        """
        n_rows = self.sizes(EFFORTS["quick"])[-1]
        needed = sum(kind in SMALLEST_WALK for kind in self.kinds)
        return self.overhead_s(n_rows, 1) + needed * self.fit_s(trained_rows(n_rows, self.n_folds))

"""Is a claim right as often as its probability says? Fits the support maps in ``compare/calibration.py``.

usage: python benchmarks/calibration.py OUT [--family linear,mlp] [--version NAME,..] [--write]

OUT holds the ``claims-<family>.jsonl`` that ``benchmarks/regret.py`` made: what every advice claimed, with
what support, and whether the test rows agreed. For each claim, of linear models and of networks, a line in
the log-odds of the support is fitted, or the base rate where a slope does not pay. All of it, the choice of
the form included, is tried on data sets left out in turn, with all their splits and in every family. A set
is worth one case per model, however many splits it has. Advice without a signal is left out: that nothing
beats the constant is another claim, which the files do not judge. With --write the table goes into
RESULTS.md and the maps that can be trusted into ``compare/calibration.py``.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from regret.figures import Figure
from scipy.special import expit, logit

from regadvisor.compare import calibration as support_maps
from regadvisor.compare.calibration import SupportMap, log_odds
from regadvisor.family_spec import spec_of
from regadvisor.thresholds import HIGHEST_SUPPORT, REPLY_MASS

CLAIMS = ("regularize", "kind", "strength")
MODELS = ("linear", "network")
#: The forms of a map; the line has to have a lower Brier score than the base rate on left-out sets.
FLAT, SLOPE = "flat", "slope"
#: Standard deviations of the normal priors: of the intercept around 0; of the difference between linear
#: models and networks that are fitted together, around 0; of the slope around 1, support at its word.
INTERCEPT_SD, MODEL_SD, SLOPE_SD = 2.0, 1.0, 0.5
#: A model with so many sets' worth of right and of wrong claims is fitted alone (10 of the rarer per slope:
#: Peduzzi et al. 1996, J. Clin. Epidemiol. 49:1373); others share a slope, and shrink towards each other.
FEWEST_ALONE = 10.0
#: With fewer sets' worth of right or of wrong claims of its own, no map of a model is trusted.
FEWEST_OF_EITHER = 5.0
#: A model with claims on fewer data sets gets no map at all.
FEWEST_SETS = 3
N_BINS, N_DRAWS = 5, 2_000
#: Keeps the calibration line finite where claims are separated; weak beside any other data.
WEAK_SD = 10.0
BEGIN, END = "# <calibration>\n", "# </calibration>\n"

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cases:
    """The judged claims of one name, arrays of shape (n_cases,); a set has one name in every family."""

    support: Numbers
    #: 1 for right, 0 for wrong.
    right: Numbers
    is_network: NDArray[np.bool_]
    set: NDArray[np.str_]

    @property
    def weight(self) -> Numbers:
        """What each claim counts: those of one set and model make 1 together."""
        labels = np.char.add(np.where(self.is_network, "network:", "linear:"), self.set)
        _, which, counts = np.unique(labels, return_inverse=True, return_counts=True)
        return 1.0 / counts[which]

    def is_of(self, model: str) -> NDArray[np.bool_]:
        """Return which claims are those of a model."""
        return np.asarray(self.is_network == (model == "network"))

    def of(self, chosen: NDArray[np.bool_]) -> Cases:
        """Return some of the claims."""
        return Cases(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})

    def rarer(self) -> float:
        """Return how many sets' worth of right or of wrong claims there are, whichever are fewer."""
        right = float(self.weight @ self.right)
        return min(right, float(self.weight.sum()) - right)


def read_claims(out: Path, families: Sequence[str], version: str | None) -> list[dict[str, Any]]:
    """Return the claims in the files of `out` (all files if no families are named), as they were written."""
    paths = [out / f"claims-{name}.jsonl" for name in families] or sorted(out.glob("claims-*.jsonl"))
    found = [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
    versions = sorted({claim["version"] for claim in found})
    if version is None and len(versions) > 1:
        raise SystemExit(
            f"--version must name one or more of {versions}: claims of different code are not one sample"
        )
    asked = versions if version is None else version.split(",")
    if not set(asked) <= set(versions) or not found:
        raise SystemExit(f"no claims of --version {version!r} in {out}: run benchmarks/regret.py first")
    return [claim for claim in found if claim["version"] in asked]


def cases_of(claims: Sequence[dict[str, Any]], name: str) -> Cases:
    """Return the judged claims of one name: there was a signal, a support and a verdict."""
    signalled = [claim for claim in claims if claim["status"] != "no_signal"]
    used = [claim for claim in signalled if None not in (claim["support"].get(name), claim["right"][name])]
    return Cases(
        support=np.array([claim["support"][name] for claim in used], dtype=np.float64),
        right=np.array([claim["right"][name] for claim in used], dtype=np.float64),
        is_network=np.array([spec_of(claim["family"]).laws == "network" for claim in used], dtype=np.bool_),
        set=np.array([claim["set"] for claim in used], dtype=np.str_),
    )


# ------------------------------------------------------------------------------------------- the fits


def fit_logistic(X: Numbers, right: Numbers, weights: Numbers, *, mean: Numbers, sd: Numbers) -> Numbers:
    """Return the most probable coefficients of logistic regressions with normal priors.

    Newton's method with halved steps, for all rows of weights together: leaving out and redrawing data sets
    takes 10⁵ small fits. Shapes: X (n_cases, n_columns), right (n_cases,), weights (n_fits, n_cases),
    mean and sd of the priors (n_columns,); returned are (n_fits, n_columns).
    """
    precision = sd**-2.0

    def loss(at: Numbers) -> Numbers:
        odds = at @ X.T
        surprise = np.logaddexp(0.0, odds) - right * odds
        return np.asarray((weights * surprise).sum(axis=1) + 0.5 * (at - mean) ** 2 @ precision)

    at = np.tile(mean, (len(weights), 1))
    for _ in range(100):
        p = expit(at @ X.T)
        slope = (weights * (p - right)) @ X + (at - mean) * precision
        curve = np.einsum("fc,ci,cj->fij", weights * p * (1 - p), X, X) + np.diag(precision)
        step, now = np.linalg.solve(curve, slope[..., None])[..., 0], loss(at)
        for _ in range(30):
            worse = loss(at - step) > now * (1 + 1e-12)  # beyond rounding
            step[worse] /= 2
            if not worse.any():
                break
        at = at - step
        if np.abs(step).max(initial=0.0) < 1e-9:
            break
    return at


def design(cases: Cases, form: str) -> tuple[Numbers, Numbers, Numbers]:
    """Return the columns of a form (intercept, model, log-odds), and the means and sds of their priors."""
    x = [log_odds(each) for each in cases.support]
    columns = np.stack([np.ones(len(x)), cases.is_network - 0.5, x], axis=1)
    mean, sd = np.array([0.0, 0.0, 1.0]), np.array([INTERCEPT_SD, MODEL_SD, SLOPE_SD])
    used = slice(3 if form == SLOPE else 2)
    return columns[:, used], mean[used], sd[used]


def fit(cases: Cases, form: str, weights: Numbers) -> Numbers:
    """Return intercept, model difference and slope ≥ 0 for every row of weights, shape (n_fits, 3).

    Of a convex problem with one bound, the solution is the free one or lies on the bound.
    """
    columns, mean, sd = design(cases, form)
    found = fit_logistic(columns, cases.right, weights, mean=mean, sd=sd)
    if form == FLAT:
        return np.column_stack([found, np.zeros(len(found))])
    below = found[:, 2] < 0
    if below.any():
        found[below] = fit(cases, FLAT, weights[below])
    return found


def left_out(cases: Cases, form: str) -> Numbers:
    """Return the probability of every claim by the map that was fitted without its data set, (n_cases,)."""
    sets, which = np.unique(cases.set, return_inverse=True)
    found = fit(cases, form, cases.weight * (cases.set != sets[:, None]))
    return np.asarray(expit((design(cases, SLOPE)[0] * found[which]).sum(axis=1)))


def best_form(cases: Cases) -> str:
    """Return the form with the lowest Brier score on sets left out in turn; the simpler one if they tie."""
    return min((FLAT, SLOPE), key=lambda form: brier(left_out(cases, form), cases.right, cases.weight))


def tried_out(cases: Cases) -> Numbers:
    """Return the probabilities of all claims by maps whose fit and form were made without their data set."""
    columns, p = design(cases, SLOPE)[0], np.empty(len(cases.right))
    for name in np.unique(cases.set):
        out = cases.set == name
        others = cases.of(~out)
        (found,) = fit(others, best_form(others), others.weight[None])
        p[out] = np.minimum(expit(columns[out] @ found), HIGHEST_SUPPORT)
    return p


def base_rate(cases: Cases) -> Numbers:
    """Return for every claim the share of right ones among the claims on other data sets, (n_cases,)."""
    others = cases.weight * (cases.set[:, None] != cases.set)
    return np.asarray(others @ cases.right / others.sum(axis=1))


# ----------------------------------------------------------------------------------------- the figures


def brier(p: Numbers, right: Numbers, weights: Numbers) -> float:
    """Return the weighted mean squared difference between probabilities and what happened."""
    return float(np.average((p - right) ** 2, weights=weights))


def calibration_error(p: Numbers, right: Numbers, weights: Numbers) -> Numbers:
    """Return the expected calibration error in bins of equal mass, for right of shape (..., n_cases).

    A case is in the bin that holds the middle of its weight; the bins depend on `p` alone.
    """
    order = np.argsort(p, kind="stable")
    middle = np.cumsum(weights[order]) - weights[order] / 2
    bins = np.minimum((N_BINS * middle / weights.sum()).astype(int), N_BINS - 1)
    gaps = (weights * (right - p))[..., order] @ (bins[:, None] == np.arange(N_BINS))
    return np.asarray(np.abs(gaps).sum(axis=-1) / weights.sum())[()]


def perfect_errors(p: Numbers, weights: Numbers) -> Numbers:
    """Return calibration errors as they are if every `p` is true and all cases are independent, (n_draws,).

    Splits of one set are alike, so a perfect forecaster would scatter more: the range is on the strict side.
    """
    right = np.random.default_rng(0).random((N_DRAWS, len(p))) < p
    return calibration_error(p, right.astype(np.float64), weights)


def redrawn_weights(cases: Cases) -> Numbers:
    """Return what the claims count when data sets are drawn with replacement, (n_draws, n_cases)."""
    sets, which = np.unique(cases.set, return_inverse=True)
    drawn = np.random.default_rng(0).multinomial(len(sets), np.full(len(sets), 1 / len(sets)), size=N_DRAWS)
    return np.asarray(cases.weight * drawn[:, which])


def calibration_line(p: Numbers, right: Numbers, weights: Numbers) -> Numbers:
    """Return intercept and slope of the logistic regression of right on the log-odds of `p`, (n_fits, 2).

    Rows of weights that leave only right or only wrong claims say nothing about a slope: they are left out.
    """
    has_both = (weights > 0) @ right * ((weights > 0) @ (1 - right)) > 0
    columns = np.column_stack([np.ones(len(p)), logit(p)])
    return fit_logistic(columns, right, weights[has_both], mean=np.zeros(2), sd=np.full(2, WEAK_SD))


def figure(value: float, draws: Numbers) -> Figure:
    """Return a value with the middle 95% of draws; everything if there are none."""
    low, high = np.quantile(draws, [0.025, 0.975]) if len(draws) else (-np.inf, np.inf)
    return Figure(value=float(value), low=float(low), high=float(high))


# ---------------------------------------------------------------------------------------- the verdicts


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How probabilities did that were given to claims on sets left out; 95% intervals are over sets."""

    brier: float
    base_brier: float
    raw_brier: float  # of the support as it is
    gain: Figure  # Brier score less the base rate's …
    wins: float  # … and the share of redrawn sets in which it is lower
    intercept: Figure  # of the calibration line; NaN if all claims were right, or all wrong
    slope: Figure
    error: Figure  # with the 95% range of a perfect forecaster's


def judge(cases: Cases, p: Numbers) -> Judged:
    """Return how probabilities did on the claims they were given to without knowing their data set."""
    right, weight, base = cases.right, cases.weight, base_rate(cases)
    redrawn = redrawn_weights(cases)
    score, base_score = brier(p, right, weight), brier(base, right, weight)
    gains = redrawn @ ((p - right) ** 2 - (base - right) ** 2) / redrawn.sum(axis=1)
    observed, lines = (calibration_line(p, right, each) for each in (weight[None], redrawn))
    intercept, slope = observed[0] if len(observed) else (np.nan, np.nan)
    return Judged(
        brier=score,
        base_brier=base_score,
        raw_brier=brier(cases.support, right, weight),
        gain=figure(score - base_score, gains),
        wins=float((gains < 0).mean()),
        intercept=figure(intercept, lines[:, 0]),
        slope=figure(slope, lines[:, 1]),
        error=figure(float(calibration_error(p, right, weight)), perfect_errors(p, weight)),
    )


def fault_of(cases: Cases, fitted_slope: float, judged: Judged) -> str | None:
    """Return why a map is not trusted; an error below a perfect forecaster's range is luck and no fault."""
    checks = {
        f"fewer than {FEWEST_OF_EITHER:.0f} right or wrong": cases.rarer() < FEWEST_OF_EITHER,
        "a slope does not pay": fitted_slope == 0,
        "Brier not below the base rate's": judged.brier >= judged.base_brier,
        f"below it in {judged.wins:.0%} of draws only": judged.wins < REPLY_MASS,
        "slope's interval misses 1": not judged.slope.low <= 1 <= judged.slope.high,
        "ECE above a perfect forecaster's": judged.error.value > judged.error.high,
    }
    return next((name for name, holds in checks.items() if holds), None)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A fitted map, why it is not trusted (None: it is), what it was fitted on, and its line of the table."""

    map: SupportMap
    fault: str | None
    fitted_on: str
    n_sets: int
    line: str


def tried_map(cases: Cases, claim: str, model: str) -> Tried:
    """Fit the map of one claim and model and try it on sets left out."""
    own = cases.of(cases.is_of(model))
    is_alone = len(own.right) == len(cases.right) or own.rarer() >= FEWEST_ALONE
    together = own if is_alone else cases
    judged = judge(own, tried_out(together)[together.is_of(model)])
    ((intercept, difference, slope),) = fit(together, best_form(together), together.weight[None])
    fault = fault_of(own, slope, judged)
    fitted = SupportMap(
        claim=claim,  # type: ignore[arg-type]
        model=model,  # type: ignore[arg-type]
        intercept=round(float(intercept + difference * (0.5 if model == "network" else -0.5)), 4),
        slope=round(float(slope), 4),
    )
    fitted_on, n_sets = model if is_alone else "both", len(np.unique(own.set))
    right, support = (float(np.average(each, weights=own.weight)) for each in (own.right, own.support))
    shown = [f"{n_sets} ({len(own.right)})", f"{right:.0%}, {support:.2f}", fitted_on]
    line = line_of(fitted, judged, shown, fault)
    return Tried(map=fitted, fault=fault, fitted_on=fitted_on, n_sets=n_sets, line=line)


def try_all(claims: Sequence[dict[str, Any]]) -> list[Tried]:
    """Return the maps of all claims and models that were judged on `FEWEST_SETS` data sets or more."""
    pairs = ((name, model, cases_of(claims, name)) for name in CLAIMS for model in MODELS)
    return [
        tried_map(cases, name, model)
        for name, model, cases in pairs
        if len(np.unique(cases.set[cases.is_of(model)])) >= FEWEST_SETS
    ]


# ------------------------------------------------------------------------------------------ the output

HEAD = (
    "claim | model | sets (claims) | right, support | map (fitted on) | Brier | base rate's | difference | "
)
HEAD += "support's | slope | intercept | ECE, perfect | calibrated"


def line_of(fitted: SupportMap, judged: Judged, shown: Sequence[str], fault: str | None) -> str:
    """Return a line of the table; `shown` are its sets and claims, its shares, and what it was fitted on."""
    sets, shares, fitted_on = shown
    line = f"{fitted.intercept:+.2f} {fitted.slope:+.2f}·x" if fitted.slope else f"{fitted.intercept:+.2f}"
    cells = [fitted.claim, fitted.model, sets, shares]
    cells += [f"{line} ({fitted_on})", f"{judged.brier:.3f}", f"{judged.base_brier:.3f}"]
    cells += [f"[{judged.gain.low:+.3f}, {judged.gain.high:+.3f}], {judged.wins:.0%} lower"]
    cells += [f"{judged.raw_brier:.3f}"]
    # Left out in turn, a base rate is lower where the claim was right: its line and its error show just that.
    figures = [judged.slope, judged.intercept, judged.error] if fitted.slope else []
    cells += [f"{each.value:.2f} [{each.low:.2f}, {each.high:.2f}]" for each in figures] or ["–"] * 3
    return f"| {' | '.join([*cells, 'yes' if fault is None else f'no: {fault}'])} |"


def source_of(claims: Sequence[dict[str, Any]]) -> str:
    """Return in one sentence which claims were used."""
    keys = ("policy", "family", "version")
    policies, families, versions = (", ".join(sorted({claim[key] for claim in claims})) for key in keys)
    n_sets, n_silent = len({c["set"] for c in claims}), sum(c["status"] == "no_signal" for c in claims)
    text = f"{len(claims)} runs of {policies} on {n_sets} data sets ({families}; code {versions}), "
    return text + f"{n_silent} without a signal and left out."


def rewritten(source: str, maps: Sequence[SupportMap], comment: str) -> str:
    """Return the source of ``compare/calibration.py`` with other maps between its markers."""
    before, rest = source.split(BEGIN)
    lines = [f"# {line}" for line in textwrap.wrap(comment, 108)]
    lines.append("SUPPORT_MAPS: tuple[SupportMap, ...] = (")
    for each in maps:
        # JSON writes strings as the formatter does, and Python writes the rest.
        values = {k: json.dumps(v) if isinstance(v, str) else repr(v) for k, v in asdict(each).items()}
        lines += ["    SupportMap(", *(f"        {k}={v}," for k, v in values.items()), "    ),"]
    return "".join([before, BEGIN, *(f"{line}\n" for line in lines), ")\n", END, rest.split(END)[1]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT")
    parser.add_argument("--family", default="", help="linear, mlp or both by comma; by default every file")
    parser.add_argument(
        "--version",
        help="names of the code that advised, if there are several: what one says must hold for all",
    )
    parser.add_argument("--write", action="store_true", help="write RESULTS.md and calibration.py")
    asked = parser.parse_args()
    families = [name for name in asked.family.split(",") if name]
    if asked.write and families:
        parser.error("--write replaces the maps of all families: leave --family out")
    claims = read_claims(asked.folder, families, asked.version)
    tried = try_all(claims)
    text = "\n".join(
        [source_of(claims), "", f"| {HEAD} |", f"|{'---|' * 13}", *(each.line for each in tried)]
    )
    print(text)
    if asked.write:
        from results import write

        write("calibration", text)
        path, maps = Path(str(support_maps.__file__)), [each.map for each in tried if each.fault is None]
        path.write_text(rewritten(path.read_text("utf-8"), maps, f"Fitted on {source_of(claims)}"), "utf-8")


if __name__ == "__main__":
    main()

"""How strengths, gains and the length of training move from a sample to all rows; fits ``laws.TRANSFER``.

usage: python benchmarks/transfer.py OUT [--write]

OUT holds the ``sizes-<family>.jsonl`` that ``benchmarks/sizes.py`` made. Four studies, all over data sets:

length     Which length of training on a sample predicts N rows best: by the loss at N of what was best on
           the sample, and by the gain over none.
strength   The power by which the best strength falls with the rows: a slope for every set, random effects.
rescaling   What a kind's loss is worth on a sample, given that its strengths have to be rescaled to N rows.
gain       The power by which the gain over none falls with the rows, and the scatter around that law.

With --write the tables go into RESULTS.md and the parameters into ``regadvisor/full_size/laws.py``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from regret.figures import interval, percentile_90, winsorised
from sizes import RULES
from transfer_costs import cost_table, rescaling_costs
from transfer_fits import (
    CURVES,
    THEORY,
    Model,
    Numbers,
    Run,
    Sets,
    by_rule,
    full_of,
    law_error,
    law_of,
    only,
    pooled,
    powers,
    read,
    rescaled_excess,
)
from transfer_gains import Foretold, GainLaw, Gains, all_foretold, best_share, fit_gain_law

from regadvisor.full_size.laws import STRENGTH_LAWS, TransferPrior
from regadvisor.full_size.rescale import exponent
from regadvisor.regularizer import Kind

#: Kinds whose gains are followed together: the best of a class is picked anew at every size.
CLASSES: dict[Model, dict[str, tuple[Kind, ...]]] = {
    "linear": {"penalties": ("l2", "l1", "elasticnet")},
    "network": {
        "penalties": ("l2", "l1", "elasticnet"),
        "dropout": ("dropout",),
        "dropout+L2": ("dropout_l2",),
        "any": ("l2", "l1", "elasticnet", "dropout", "dropout_l2"),
    },
}
#: The class whose law becomes the prior.
MAIN: dict[Model, str] = {"linear": "penalties", "network": "any"}
TRIED_POWERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
#: Powers of L2 and L1.
TRIED_PAIRS: dict[Model, tuple[tuple[float, float], ...]] = {
    "linear": ((1.0, 0.5), (1.0, 0.75), (1.0, 1.0), (1.5, 0.85), (1.5, 1.0)),
    "network": ((0.5, 0.25), (0.0, 0.0), (0.25, 0.0), (0.35, 0.0), (0.5, 0.0), (0.75, 0.0)),
}
#: Models with fewer sets are not reported.
FEWEST_SETS = 3
BEGIN, END = "# <transfer>\n", "# </transfer>\n"


def strength_table(sets: Mapping[Model, Sets]) -> str:
    """Return powers over sets as Markdown, and those of every set."""
    head = ["model", "strength", "sets", "power, mean ± se", "sd between sets", "theory", "best at an edge"]
    head += ["power by features", "error on sets left out", "of the mean"]
    lines = [_row(*head), _rule(len(head))]
    columns = {}
    for model, own in sets.items():
        assumed = THEORY if model == "linear" else {}
        for name, found in powers(own, model, "planned").items():
            columns[f"{model}: {name}"] = found
            mean, edge = pooled(found), np.mean([each.at_edge for each in found.values()])
            said = [f"{mean.mean:.2f} ± {mean.error:.2f}", f"{mean.sd:.2f}", str(assumed.get(name, "–"))]
            law, errors = law_of(own, found), law_error(own, found)
            line = f"{law.intercept:.2f} {law.slope:+.2f} ln p"
            said += [f"{edge:.0%}", line, *(f"{error:.2f}" for error in errors)]
            lines.append(_row(model, name, str(len(found)), *said))
    every = [_row("set", *columns), _rule(1 + len(columns))]
    for name in sorted({each for found in columns.values() for each in found}):
        own_powers = [found.get(name) for found in columns.values()]
        every.append(
            _row(name, *(f"{one.power:.2f} ± {one.error:.2f}" if one else "–" for one in own_powers))
        )
    return "\n".join(lines) + "\n\n" + "\n".join(every)


# --------------------------------------------------------------------------------------- length


def units(exponents: Mapping[str, float], model: Model) -> dict[str, float]:
    """Return powers in the units of ``sizes.py``: those of linear models have theory's divided out."""
    return {name: power - (THEORY[name] if model == "linear" else 0.0) for name, power in exponents.items()}


def used_exponents(sets: Sets, model: Model) -> dict[str, dict[str, float]]:
    """Return for every set the powers that the library uses, in the units of ``sizes.py``."""
    if model == "linear":
        linear = {name: law.intercept for name, law in STRENGTH_LAWS["linear"].items()}
        return dict.fromkeys(sets, units(linear, model))
    return {
        name: {
            each: exponent("decoupled", each, full_of(runs).n_features) for each in STRENGTH_LAWS["decoupled"]
        }
        for name, runs in sets.items()
    }


def own_exponents(sets: Sets, model: Model, rule: str) -> dict[str, dict[str, float]]:
    """Return for every set the mean powers of the other sets, trained by the same rule."""
    found = powers(sets, model, rule)
    return {
        left_out: {
            name: pooled({each: v for each, v in found[name].items() if each != left_out}).mean
            for name in THEORY
        }
        for left_out in sets
    }


def compared(runs: Sequence[Run], ratio: int, rule: str) -> list[Run]:
    """Return the runs of a rule at a size; of networks, as many samples as every rule has."""
    at = [run for run in runs if run.ratio == ratio]
    if not any(run.rules for run in at):
        return at
    fewest = min(len(by_rule(at, each)) for each in RULES)
    return by_rule(at, rule)[:fewest]


def excess(sets: Sets, rule: str, ratio: int, exponents: Mapping[str, Mapping[str, float]]) -> Numbers:
    """Return the mean excess of every set that has this size."""
    found = []
    for name, runs in sets.items():
        full, some = full_of(runs), compared(runs, ratio, rule)
        if some:
            found.append(np.mean([rescaled_excess(run, full, exponents[name]) for run in some]))
    return np.array(found)


def gain_error(sets: Sets, rule: str, ratio: int) -> Numbers:
    """Return the mean |gain at n − gain at N| over kinds and samples of every set, in % of none's loss."""
    found = []
    for runs in sets.values():
        full, some = full_of(runs), compared(runs, ratio, rule)
        kinds = full.kinds[1:]
        gaps = [abs(run.gain([kind]) - full.gain([kind])) for run in some for kind in kinds]
        if gaps:
            found.append(100.0 * float(np.mean(gaps)))
    return np.array(found)


def length_table(sets: Mapping[Model, Sets]) -> str:
    """Return the study of lengths as Markdown."""
    head = ["model", "N/n", "length", "sets", "excess, powers in use", "90th percentile"]
    lines = [_row(*head, "excess, own powers", "90th percentile", "error of the gain")]
    lines.append(_rule(len(head) + 3))
    for model, own in sets.items():
        rules = RULES if model == "network" else ("–",)
        fitted = {rule: own_exponents(own, model, rule) for rule in rules}
        used = used_exponents(own, model)
        for ratio, rule in itertools.product((2, 4, 16, 64), rules):
            theirs = {name: units(each, model) for name, each in fitted[rule].items()}
            figures = [excess(own, rule, ratio, each) for each in (used, theirs)]
            if len(figures[0]):
                cells = [_figure(each) for each in figures]
                said = [cells[0], f"{percentile_90(figures[0]):.1f}", cells[1]]
                said += [f"{percentile_90(figures[1]):.1f}", _figure(gain_error(own, rule, ratio))]
                lines.append(_row(model, str(ratio), rule, str(len(figures[0])), *said))
    return "\n".join(lines)


def paired_table(sets: Sets) -> str:
    """Return by how much other lengths are worse than the geometric mean, paired over sets, for networks."""
    if not sets:
        return ""
    lines = [_row("powers", "N/n", "length", "excess less the geometric mean's", "worse on sets"), _rule(5)]
    fitted = {rule: own_exponents(sets, "network", rule) for rule in RULES}
    used = used_exponents(sets, "network")
    for label, ratio, rule in itertools.product(("in use", "own"), (2, 4, 16, 64), ("epochs", "steps")):
        found = {
            each: excess(sets, each, ratio, used if label == "in use" else fitted[each])
            for each in (rule, "geometric")
        }
        if len(found[rule]):
            worse = found[rule] - found["geometric"]
            lines.append(
                _row(label, str(ratio), rule, _figure(worse), f"{(worse > 0).sum()} of {len(worse)}")
            )
    return "\n".join(lines)


def pair_table(sets: Mapping[Model, Sets]) -> str:
    """Return the excess of the best point of any kind by pairs of powers as Markdown."""
    ratios = (2, 4, 16, 64)
    lines = [_row("model", "L2, L1", *(f"N/n = {ratio}" for ratio in ratios)), _rule(2 + len(ratios))]
    for model, own in sets.items():
        for l2, l1 in TRIED_PAIRS[model]:
            exponents = dict.fromkeys(own, units({"l2": l2, "l1": l1}, model))
            found = [excess(own, "planned", ratio, exponents) for ratio in ratios]
            cells = [f"{winsorised(v):.2f}, {percentile_90(v):.1f}" if len(v) else "–" for v in found]
            lines.append(_row(model, f"{l2:g}, {l1:g}", *cells))
    return "\n".join(lines)


def power_table(sets: Mapping[Model, Sets]) -> str:
    """Return the excess by fixed powers as Markdown, for each kind alone: what a wrong power costs."""
    shown = [f"power {power:g}" for power in TRIED_POWERS]
    lines = [_row("model", "kind", "N/n", "sets", *shown), _rule(4 + len(shown))]
    for (model, own), name, ratio in itertools.product(sets.items(), ("l2", "l1"), (4, 16, 64)):
        alone = {
            each: [only(run, CURVES[name]) for run in by_rule(runs, "planned")] for each, runs in own.items()
        }
        figures = [
            excess(alone, "planned", ratio, dict.fromkeys(own, units({name: power}, model)))
            for power in TRIED_POWERS
        ]
        if len(figures[0]):
            said = [f"{winsorised(each):.2f}" for each in figures]
            lines.append(_row(model, name, str(ratio), str(len(figures[0])), *said))
    return "\n".join(lines)


# ----------------------------------------------------------------------------------------- gain


def gains_of(sets: Sets, kinds: Sequence[Kind]) -> dict[str, Gains]:
    """Return the gains of some kinds by set trained for the library's length."""
    found = {}
    for name, runs in sets.items():
        by_ratio: dict[int, list[float]] = defaultdict(list)
        for run in by_rule(runs, "planned"):
            by_ratio[run.ratio].append(run.gain(kinds))
        gains = Gains.of(by_ratio)
        if gains is not None:
            found[name] = gains
    return found


def foretold_table(model: str, found: Sequence[Foretold]) -> list[str]:
    """Return how gains at N were foretold by size: median errors, mean scores; not every share."""
    lines = []
    shown = sorted({0.0, best_share(found), 1.0})
    for ratio, share in itertools.product(sorted({each.ratio for each in found}), shown):
        own = any(each.has_smaller for each in found if each.ratio == ratio)
        chosen = [each for each in found if (each.ratio, each.share, each.has_smaller) == (ratio, share, own)]
        if chosen:
            cells = [str(ratio), str(len(chosen)), f"{share:g}", f"{np.mean([e.inside for e in chosen]):.0%}"]
            cells += [
                f"{np.median([e.error for e in chosen]):.1f}",
                f"{np.mean([e.score for e in chosen]):.0f}",
            ]
            lines.append(_row(model, *cells, f"{np.median([e.stays for e in chosen]):.1f}"))
    return lines


def gain_table(sets: Mapping[Model, Sets]) -> tuple[str, dict[Model, GainLaw]]:
    """Return the study of gains as Markdown, and the law of every model's main class."""
    lines = [_row("model", "kinds", "sets", "power, mean", "sd between sets", "drift sd"), _rule(6)]
    head = ["model", "N/n", "sets", "own sizes count", "inside 90%", "error", "interval score"]
    checks = [_row(*head, "error if the gain stays"), _rule(8)]
    laws: dict[Model, GainLaw] = {}
    for model, own in sets.items():
        for name, kinds in CLASSES[model].items():
            gains = gains_of(own, kinds)
            law = fit_gain_law(list(gains.values()))
            said = [f"{law.power:.2f}", f"{law.power_sd:.2f}", f"{law.gain_scatter:.4f}"]
            lines.append(_row(model, name, str(len(gains)), *said))
            if name == MAIN[model]:
                found = all_foretold(gains, law)
                laws[model] = law
                checks += foretold_table(model, found)
    return "\n".join(lines) + "\n\n" + "\n".join(checks), laws


def by_set_table(sets: Mapping[Model, Sets]) -> str:
    """Return the gains of the main classes by set and size as Markdown."""
    ratios = (64, 16, 4, 2, 1)
    lines = [_row("model", "set", "N", *(f"N/n = {ratio}" for ratio in ratios)), _rule(3 + len(ratios))]
    for model, own in sets.items():
        for name, runs in sorted(own.items()):
            cells = []
            for ratio in ratios:
                some = [
                    run.gain(CLASSES[model][MAIN[model]])
                    for run in by_rule(runs, "planned")
                    if run.ratio == ratio
                ]
                cells.append(f"{np.mean(some):.1%}" if some else "–")
            lines.append(_row(model, name, f"{full_of(runs).rows:,}", *cells))
    return "\n".join(lines)


# --------------------------------------------------------------------------------------- output


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(n: int) -> str:
    return f"|{'---|' * n}"


def _figure(values: Numbers) -> str:
    found = interval(values, winsorised)
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def priors(
    sets: Mapping[Model, Sets], laws: Mapping[Model, GainLaw], costs: Mapping[Model, Mapping[Kind, float]]
) -> list[TransferPrior]:
    """Return the parameters that the library uses."""
    found = []
    for model, own in sets.items():
        law = laws[model]
        found.append(
            TransferPrior(
                model=model,
                gain_power=(round(law.power, 3), round(law.power_sd, 3)),
                gain_scatter=round(law.gain_scatter, 5),
                rescaling_costs={**costs[model]},
                n_sets=len(own),
            )
        )
    return found


def rewritten(source: str, found: Sequence[TransferPrior], comment: str) -> str:
    """Return the source of ``laws.py`` with other parameters between its markers."""
    before, rest = source.split(BEGIN)
    after = rest.split(END)[1]
    lines = [f"# {line}" for line in textwrap.wrap(comment, 108)]
    lines.append("TRANSFER: tuple[TransferPrior, ...] = (")
    for each in found:
        lines += ["    TransferPrior(", f'        model="{each.model}",']
        lines += [f"        gain_power={each.gain_power},", f"        gain_scatter={each.gain_scatter},"]
        costs = [f'            "{kind}": {cost},' for kind, cost in each.rescaling_costs.items()]
        lines += (
            ["        rescaling_costs={", *costs, "        },"] if costs else ["        rescaling_costs={},"]
        )
        lines += [f"        n_sets={each.n_sets},", "    ),"]
    return f"{before}{BEGIN}{chr(10).join(lines)}\n)\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT")
    parser.add_argument("--write", action="store_true", help="put the results into RESULTS.md and laws.py")
    asked = parser.parse_args()
    files: dict[Model, str] = {"linear": "linear", "network": "mlp"}
    sets: dict[Model, Sets] = {
        model: read(asked.folder / f"sizes-{family}.jsonl") for model, family in files.items()
    }
    sets = {model: own for model, own in sets.items() if len(own) >= FEWEST_SETS}
    planned = {model: read(asked.folder / f"sizes-{files[model]}.jsonl", "planned") for model in sets}
    gain_text, laws = gain_table(sets)
    parts = {
        "Length of training on the sample": length_table(sets),
        "Other lengths against the geometric mean, networks": paired_table(sets.get("network", {})),
        "Powers of the best strength": strength_table(sets),
        "What a power costs, each kind alone": power_table(sets),
        "What a pair of powers costs, best of all kinds: winsorised mean, 90th percentile": pair_table(sets),
        "Excess by what rescaling costs, networks": cost_table(planned.get("network", {})),
        "Gains over none": gain_text,
        "Gains over none by set": by_set_table(sets),
    }
    text = "\n\n".join(f"**{title}**\n\n{part}" for title, part in parts.items() if part)
    print(text)
    if asked.write:
        from results import write

        write("transfer", text)
        path = Path(str(laws.__file__))
        names = "; ".join(f"{model}: {', '.join(sorted(own))}" for model, own in sets.items())
        comment = f"Fitted on {names}."
        found = priors(sets, laws, rescaling_costs(planned))
        path.write_text(rewritten(path.read_text("utf-8"), found, comment), "utf-8")


if __name__ == "__main__":
    main()

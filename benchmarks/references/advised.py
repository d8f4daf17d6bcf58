"""The library's advice on the sets that are kept: what it costs above the best point of their grids.

A call with the default budget, on the training rows that the reference had. The advised model is trained on
all of them as the grid was, and tested on the same rows. It may beat the grid, whose strengths lie apart.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from regret.advice import advised, train_and_test
from regret.cache import append_line, read_lines
from regret.data import DataSet
from regret.figures import Values, difference, interval, percentile_90, share, winsorised
from regret.references import N_FOLDS, Task
from regret.score import SMALLEST_SHARE
from regret.sklearn_cv import sklearn_policies
from regret.splits import make_split

from references.dense import variances
from references.kept import Reference, load_reference
from references.summary import FEWEST_FOR_FIGURES
from regadvisor.thresholds import SAME_REGION

HEAD = ("policy", "sets", "mean", "winsorised mean", "− dense CV's", "within 0.5%", "90th percentile", "harm")
HEAD = (*HEAD, "processor time / dense CV", "/ dense CV one by one")
#: With fewer training rows the luck of the test rows is most of a regret.
MANY_ROWS = 1_000
DENSE, ADVICE, NONE = "dense CV, one full run after it", "advise", "none"


def measure(data: DataSet, reference: Reference, *, sklearn: bool = True) -> dict[str, Any]:
    """Return what the default advice on a set is, costs and loses.

    Raises
    ------
    ValueError
        If the reference is of other rows.
    """
    model = reference.meta["model"]
    task = Task.of(data, make_split(data, 0), model)
    if data.fingerprint != reference.meta["fingerprint"]:
        raise ValueError(f"{data.name} must be the data of its reference, got other rows; make it again")
    advice, run = advised(task)
    losses, full_run_cpu_s = train_and_test(task, advice.regularizer)
    unit = variances(task, task.split.train)
    scale = 1.0 if model == "module" else float((variances(task, task.split.both) / unit).mean())
    others: dict[str, Any] = {}
    if model == "linear" and sklearn:
        table = data.table(task.split.both)
        found, seconds = sklearn_policies(table, n_train=len(task.split.train), seed=0)
        others = {name: [float(own.mean()) * scale, seconds[name]] for name, own in found.items()}
    return {
        "set": data.name,
        "model": model,
        "regularizer": asdict(advice.regularizer),
        "loss": float(losses.mean()) * scale,
        "full_run_cpu_s": full_run_cpu_s,
        "sklearn": others,
        **run,
    }


def keep(out: Path, data: DataSet, reference: Reference, *, version: str) -> str:
    """Measure a set unless this version has done so, add a line to `out`, and return what came of it."""
    wanted = (data.name, reference.meta["model"], version)
    if any((run["set"], run["model"], run["version"]) == wanted for run in read_lines(out)):
        return "kept"
    run = measure(data, reference) | {"version": version}
    append_line(out, run)
    return f"{run['outcome']}, {above(reference, run['loss']):.2f}%, {run['cpu_s']:.1f} CPU s"


def above(reference: Reference, loss: Any) -> Any:
    """Return losses as % above the lowest one of the grid, or above a thousandth of the constant's."""
    size = reference.sizes[0]
    best = float(np.nanmin(size.test_losses.mean(axis=1, dtype=np.float64)))
    constant = float(np.average(size.test_constant, weights=size.block_rows))
    return 100.0 * (np.asarray(loss) - best) / max(best, SMALLEST_SHARE * constant)


def summarise(out: Path, *, model: str, folder: Path) -> str:
    """Return tables of the last version measured: the advice, and what else was done on the same sets."""
    runs = [run for run in read_lines(out) if run["model"] == model]
    runs = [run for run in runs if run["version"] == runs[-1]["version"]]
    pairs = [(run, load_reference(folder / model / f"{run['set']}.npz")) for run in runs]
    many = [pair for pair in pairs if pair[1].sizes[0].n_rows >= MANY_ROWS]
    parts = [_table(pairs, model)]
    if FEWEST_FOR_FIGURES <= len(many) < len(pairs):
        parts += [f"Sets with {MANY_ROWS:,} training rows and more:", _table(many, model)]
    lost = _policies(pairs)[0]
    worst = sorted(zip(lost[ADVICE], lost[DENSE], runs, strict=True), key=lambda each: -each[0])[:10]
    said = [f"{run['set']} {run['kind']} {own:.1f} ({dense:.1f})" for own, dense, run in worst]
    return "\n\n".join([*parts, f"Worst, in brackets the dense CV: {'; '.join(said)}."])


def _table(pairs: list[tuple[dict[str, Any], Reference]], model: str) -> str:
    lost, spent, one_by_one = _policies(pairs)
    head = HEAD[:-1] if model == "linear" else HEAD
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, regret in lost.items():
        known = np.isfinite(regret)
        if not known.any():
            continue
        shares = [spent[name] / spent[DENSE], spent[name] / one_by_one]
        shares = shares if model != "linear" else shares[:1]
        cells = _cells(regret[known], lost[DENSE][known], lost[NONE][known])
        cells += [f"{np.nanmedian(own):.2g}" for own in shares]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _policies(
    pairs: list[tuple[dict[str, Any], Reference]],
) -> tuple[dict[str, Values], dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """Return regrets and processor seconds by policy, and the seconds of the dense grid one by one."""
    names = sorted({name for run, _ in pairs for name in run["sklearn"]})
    lost: dict[str, list[float]] = {name: [] for name in (ADVICE, DENSE, NONE, *names)}
    spent: dict[str, list[float]] = {name: [] for name in lost}
    one_by_one = []
    for run, reference in pairs:
        size, full_run_s = reference.sizes[0], run["full_run_cpu_s"]
        full = np.nan_to_num(size.test_losses.mean(axis=1, dtype=np.float64), nan=np.inf)
        dense_s = reference.meta["cpu_s"][f"cv {size.n_rows}"] + full_run_s
        found = {
            ADVICE: (run["loss"], run["cpu_s"] + full_run_s),
            DENSE: (full[int(np.nanargmin(size.cv_means))], dense_s),
            NONE: (full[0], full_run_s),
            **run["sklearn"],
        }
        for name in lost:
            loss, seconds = found.get(name, (np.nan, np.nan))
            lost[name].append(float(above(reference, loss)))
            spent[name].append(seconds)
        n_trained = len(reference.configs) * (N_FOLDS - 1)  # each fold has this share of the rows
        one_by_one.append(full_run_s * (1 + n_trained))
    return (
        {name: np.array(values) for name, values in lost.items()},
        {name: np.array(values) for name, values in spent.items()},
        np.array(one_by_one),
    )


def _cells(regret: Values, dense: Values, none: Values) -> list[str]:
    near = 100.0 * SAME_REGION
    harm = 100.0 * (1.0 + regret / 100.0 > (1.0 + SAME_REGION) * (1.0 + none / 100.0))
    return [
        str(len(regret)),
        f"{regret.mean():.1f}",
        interval(regret, winsorised).text(),
        difference(regret, dense, winsorised).text(),
        interval(100.0 * (regret <= near), share).text("%"),
        f"{float(percentile_90(regret)):.1f}",
        f"{harm.mean():.0f}%",
    ]

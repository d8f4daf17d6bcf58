"""What is kept, counted: sets by origin, kind, task and size; and what a dense cross-validation loses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from regret.figures import interval, share, winsorised

from references.kept import MODELS, Reference, references

#: Rows of the source: upper ends of the columns of the table.
SIZES = {"under 300 rows": 300, "300 to 2,999": 3_000, "3,000 and more": float("inf")}
#: Kinds of set that are tables whatever else they are; their names in index.csv.
KINDS = {"p>>n": "p ≫ n", "spectra": "series and spectra", "image": "images", "text": "text"}
#: Origins with fewer sets are counted together.
FEWEST_SETS = 3
OTHERS = "others"
#: Points of the grid within so many percent of the lowest test loss are as good.
SAME_PERCENT = 0.5
#: Figures over fewer sets say nothing.
FEWEST_FOR_FIGURES = 10
TASKS = ("two classes", "more classes", "regression")


def overview(folder: Path) -> pd.DataFrame:
    """Return a row for every file: set, model, origin, kind, task, size, sizes made and processor minutes."""
    found = []
    for reference in references(folder):
        meta = reference.meta
        is_class = meta["task"] == "classification"
        found.append(
            {
                "set": meta["set"],
                "model": meta["model"],
                "origin": meta["origin"],
                "kind": KINDS.get(meta["kind"], "tables"),
                "task": TASKS[0 if meta["n_classes"] == 2 else 1] if is_class else TASKS[2],
                "size": next(name for name, end in SIZES.items() if meta["n_source"] < end),
                "n_shares": len(reference.sizes),
                "minutes": sum(meta["cpu_s"].values()) / 60,
            }
        )
    return pd.DataFrame(found)


def regrets(folder: Path) -> pd.DataFrame:
    """Return what two choices cost at the full size, in % of the lowest test loss of the grid: never below 0.

    Columns ``model, share, set``; ``cv``: the point with the lowest held-out loss on a sample of that share,
    trained on all rows with the same strengths; ``none``: no regularization.
    """
    found = []
    for reference in references(folder):
        full = _full_losses(reference)
        about = {"model": reference.meta["model"], "set": reference.meta["set"]}
        above = 100 * (full / full.min() - 1)
        for part, size in zip(reference.meta["shares"], reference.sizes, strict=True):
            picked = int(np.nanargmin(size.cv_means))
            found.append({**about, "share": part, "cv": above[picked], "none": above[0]})
    return pd.DataFrame(found)


def _full_losses(reference: Reference) -> np.ndarray:
    return np.nan_to_num(reference.sizes[0].test_losses.mean(axis=1, dtype=np.float64), nan=np.inf)


def _lost(folder: Path) -> str:
    """Return the regrets as a table, on the sets that have the smaller sizes and on all."""
    found = regrets(folder)
    head = ["model", "rows of the sample", "sets", "lowest CV loss", "within 0.5%", "no regularization"]
    lines = []
    for (model, part), own in found.groupby(["model", "share"], sort=False):
        if len(own) < FEWEST_FOR_FIGURES:
            continue
        cv, none = own["cv"].to_numpy(), own["none"].to_numpy()
        good = interval(100.0 * (cv <= SAME_PERCENT), share).text("%")
        name = "all" if part == 1 else f"N/{round(1 / part)}"
        cells = [interval(cv, winsorised).text(), good, interval(none, winsorised).text()]
        lines.append([model, name, len(own), *cells])
    return _table(head, lines)


def summarise(folder: Path) -> str:
    """Return four tables as text: by kind, by origin, by model, and what a dense cross-validation loses."""
    files = overview(folder)
    sets = files.drop_duplicates("set")
    n_of_origin = sets.groupby("origin")["set"].transform("size")
    by_origin = sets.assign(origin=sets["origin"].where(n_of_origin >= FEWEST_SETS, OTHERS))
    origins = [name for name in by_origin["origin"].value_counts().index if name != OTHERS]
    counts = [
        _counted(sets, "kind", ["tables", *KINDS.values()]),
        _counted(by_origin, "origin", [*origins, OTHERS]),
    ]
    by_model = []
    for model in MODELS:
        own = files[files["model"] == model]
        shares = [int((own["n_shares"] > number).sum()) for number in range(3)]
        by_model.append([model, *shares, f"{own['minutes'].sum():.0f}"])
    head = ["model", "sets", "also at N/4", "also at N/16", "processor minutes"]
    return "\n\n".join([*counts, _table(head, by_model), _lost(folder)])


def _counted(sets: pd.DataFrame, by: str, order: list[str]) -> str:
    """Return sets by a column, by task and by size within each task, with the sums last."""
    rows = []
    for name in [*order, "all"]:
        own = sets if name == "all" else sets[sets[by] == name]
        cells = [
            " / ".join(str(((own["task"] == task) & (own["size"] == size)).sum()) for size in SIZES)
            for task in TASKS
        ]
        rows.append([name, len(own), *cells])
    return _table([by, "sets", *TASKS], rows)


def _table(head: list[str], rows: list[list[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)

"""How a network's best strength moves from a sample to all rows: fits ``thresholds.STRENGTH_EXPONENTS``.

usage: python benchmarks/transfer.py FOLDER [--write]

FOLDER holds the references that ``benchmarks/regret.py --only references`` made. Each has the cross-validated
loss of a dense grid on 1,500 rows, trained for the library's length on a sample, and the test loss of the
same grid trained on all rows. The best strength on the sample (the vertex of a parabola in its logarithm)
is multiplied by (rows of the sample / all rows) to a power, and the test loss there is held against the
best test loss of the kind. The power that loses least over sets is the prior; the spread is reported.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from verdicts import write

sys.path.insert(0, str(Path(__file__).parent))

from regret.figures import winsorised
from regret.references import SMALL_SAMPLE, load_reference

POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
KINDS = ("l2", "l1")

Numbers = NDArray[np.float64]


def best_at(log_strengths: Numbers, losses: Numbers) -> float:
    """Return the log strength with the lowest loss: the vertex of the parabola through three points.

    Examples
    --------
    >>> round(best_at(np.array([0.0, 1.0, 2.0]), np.exp(np.array([1.0, 0.0, 1.0]))), 6)
    1.0
    """
    at, logs = int(np.argmin(losses)), np.log(losses)
    if at in (0, len(logs) - 1):
        return float(log_strengths[at])
    near = slice(at - 1, at + 2)
    curve, slope, _ = np.polyfit(log_strengths[near], logs[near], 2)
    return float(np.clip(-slope / (2 * curve), log_strengths[at - 1], log_strengths[at + 1]))


def excess(reference_path: Path, kind: str) -> tuple[int, list[float]] | None:
    """Return the training rows, and the excess test loss in % by power; None: there is no sample."""
    reference = load_reference(reference_path)
    if reference.small_cv is None:
        return None
    chosen = [i for i, config in enumerate(reference.configs) if config.kind == kind]
    logs = np.log([reference.configs[i].values[0] for i in chosen])
    test = reference.test_losses.astype(np.float64).mean(axis=(1, 2))[chosen]
    n_rows = int(reference.meta["n_train"])
    on_sample = best_at(logs, reference.small_cv[chosen])
    shift = np.log(SMALL_SAMPLE / n_rows)
    losses = [float(np.interp(on_sample + power * shift, logs, test)) for power in POWERS]
    return n_rows, [100 * (loss / test.min() - 1) for loss in losses]


def table(folder: Path) -> str:
    """Return the excess by set and power as Markdown."""
    lines = ["| set | kind | rows | " + " | ".join(f"power {power:g}" for power in POWERS) + " |"]
    lines.append("|" + "---|" * (3 + len(POWERS)))
    for kind in KINDS:
        rows = []
        for path in sorted((folder / "references").glob("*-mlp-0-*.npz")):
            found = excess(path, kind)
            if found is not None:
                n_rows, values = found
                rows.append(values)
                name = path.name.split("-mlp-")[0]
                lines.append(
                    f"| {name} | {kind} | {n_rows:,} | " + " | ".join(f"{v:.2f}" for v in values) + " |"
                )
        for name, figures in (
            ("**mean**", np.mean(rows, axis=0)),
            ("winsorised", winsorised(np.array(rows).T)),
        ):
            lines.append(f"| {name} | {kind} | | " + " | ".join(f"{v:.2f}" for v in figures) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    text = table(arguments.folder)
    print(text)
    if arguments.write:
        write("transfer", text)


if __name__ == "__main__":
    main()

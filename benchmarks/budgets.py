"""What small budgets get: kinds measured, seconds used and the status, on real sets and on awkward settings.

usage: python benchmarks/budgets.py --data DIR [--busy 2] [--sets all|sets|settings|NAME,..]
       [--budgets 1,2,5,10,20] [--share 0.5] [--out FILE] [--write]

DIR is as for ``regret.py``. NAME is a set of DIR, asked about a linear model, or NAME:mlp, NAME:cnn,
NAME:module (a caller's network of two layers); or one of the settings below, which are asked once, with 5 s.
Every case is a process of its own. The imports come first and are timed apart; the budget has to cover
``advise()``. ``--busy`` loops keep the processor busy beside it. With ``--share`` seconds are processor
seconds over that share of a core, whatever else runs (but where a module only waits): 0.5 is what two busy
loops on two cores leave of each. A case keeps its budget if it takes at most 10% or 2 s more, whichever is
longer. ``--out`` keeps every line as JSON, and what is there already is not run again; with --write the table
replaces the one in RESULTS.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

#: Series, text, images, many classes, more columns than rows; one plain table. Models besides the linear one.
SETS = (
    *("phalanges_outlines", "medical_histograms", "gunpoint", "sms_spam", "newsgroup_pcmac", "cnae9"),
    *("sk_digits", "mnist_10k", "yale_faces", "breast_gravier", "srbct_khan", "spambase"),
    *("medical_histograms:mlp", "sk_digits:mlp", "sk_digits:cnn", "cnae9:mlp"),
)
BUDGETS = (1.0, 2.0, 5.0, 10.0, 20.0)
SETTING_BUDGET = 5.0
#: What a budget may be overrun by: a share, or seconds.
SLACK_SHARE, SLACK_S = 0.1, 2.0
#: A process that has not answered by then has hung.
GIVE_UP_S = 300.0
HEAD = ("case", "budget, s", "kinds measured", "fits", "took, s", "processor, s", "kept", "status")


# --------------------------------------------------------------------------------------------- the settings


def wide(model: str) -> dict[str, Any]:
    """Return 500 rows of 20,000 columns."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 20_000))
    return {"X": X, "y": X[:, :5].sum(axis=1) + rng.normal(size=500), "model": model}


def text(model: str) -> dict[str, Any]:
    """Return 5,000 documents of 30,000 words, sparse."""
    from scipy import sparse

    rng = np.random.default_rng(0)
    X = sparse.random_array((5_000, 30_000), density=0.002, rng=rng, format="csr")
    y = (np.asarray(X[:, :3_000].sum(axis=1)).ravel() + 0.5 * rng.normal(size=5_000) > 3.0).astype(int)
    return {"X": X, "y": y, "model": model}


def slow_module() -> dict[str, Any]:
    """Return 300 rows for a module that waits for half a second in every pass."""
    from torch import nn

    class Slow(nn.Module):
        def __init__(self, n_features: int, n_outputs: int) -> None:
            super().__init__()
            self.layer = nn.Linear(n_features, n_outputs)

        def forward(self, x: Any) -> Any:
            time.sleep(0.5)
            return self.layer(x)

    return {**_few_rows(), "model": Slow}


def large_module() -> dict[str, Any]:
    """Return 300 rows for a module that takes a gigabyte in every pass."""
    import torch
    from torch import nn

    class Large(nn.Module):
        def __init__(self, n_features: int, n_outputs: int) -> None:
            super().__init__()
            self.layer = nn.Linear(n_features, n_outputs)

        def forward(self, x: Any) -> Any:
            return self.layer(x) + torch.zeros(2**28).sum()

    return {**_few_rows(), "model": Large}


def small_module(n_features: int, n_outputs: int) -> Any:
    """Return a caller's network of two layers."""
    from torch import nn

    return nn.Sequential(nn.Linear(n_features, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, n_outputs))


def _few_rows() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 8))
    return {"X": X, "y": X[:, 0] + rng.normal(size=300)}


def many_targets() -> dict[str, Any]:
    """Return 2,000 targets at once."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_000, 30))
    Y = X @ rng.normal(size=(30, 2_000)) + rng.normal(size=(1_000, 2_000))
    return {"X": X, "y": Y, "model": "linear"}


def many_classes() -> dict[str, Any]:
    """Return 500 classes."""
    rng = np.random.default_rng(0)
    y = np.arange(10_000) % 500
    centres = rng.normal(size=(500, 20))
    return {"X": centres[y] + rng.normal(size=(10_000, 20)), "y": y, "model": "linear", "task": "multiclass"}


def long(model: str) -> dict[str, Any]:
    """Return two million rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2_000_000, 20)).astype(np.float32)
    return {"X": X, "y": X[:, 0] + rng.normal(size=len(X)).astype(np.float32), "model": model}


def file(model: str) -> dict[str, Any]:
    """Return the path of a Parquet file of three million rows."""
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        rng.normal(size=(3_000_000, 20)).astype(np.float32), columns=[f"x{j}" for j in range(20)]
    )
    frame["target"] = frame.x0 + rng.normal(size=len(frame)).astype(np.float32)
    path = Path(tempfile.mkdtemp()) / "rows.parquet"
    frame.to_parquet(path)
    return {"X": path, "y": "target", "model": model}


WAITING = "module that waits"
SETTINGS: dict[str, Callable[[], dict[str, Any]]] = {
    "500 x 20,000": lambda: wide("linear"),
    "500 x 20,000:mlp": lambda: wide("mlp"),
    "text 5,000 x 30,000": lambda: text("linear"),
    "text 5,000 x 30,000:mlp": lambda: text("mlp"),
    WAITING: slow_module,
    "module that takes 1 GB": large_module,
    "2,000 targets": many_targets,
    "500 classes": many_classes,
    "2M rows": lambda: long("linear"),
    "2M rows:mlp": lambda: long("mlp"),
    "3M rows by path": lambda: file("linear"),
    "3M rows by path:mlp": lambda: file("mlp"),
}


# ------------------------------------------------------------------------------------------------ one case


def arguments(case: str, folder: Path) -> dict[str, Any]:
    """Return what ``advise`` is called with, without the budget."""
    if case in SETTINGS:
        return SETTINGS[case]()
    from regret.data import choose_sets, load

    name, _, model = case.partition(":")
    (entry,) = choose_sets(folder, name)
    data = load(folder, entry, max_rows=10**9)
    given = {**data.arguments(np.arange(data.n_rows)), "model": model or "linear"}
    if model == "module":
        given["model"] = small_module
    if model == "cnn":
        side = round(given["X"].shape[1] ** 0.5)
        given["X"] = given["X"].reshape(-1, side, side)
    return given


def load_everything() -> None:
    """Import every module of the library, and what they import."""
    import regadvisor

    for module in pkgutil.walk_packages(regadvisor.__path__, "regadvisor."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


@contextmanager
def counted(share: float | None) -> Iterator[None]:
    """Let all clocks count processor seconds over `share` until the end of the block; None: leave them."""
    if share is None:
        yield
        return
    processor = time.process_time

    def clock() -> float:
        return processor() / share

    with patch.multiple(time, monotonic=clock, perf_counter=clock):
        yield


def measure(case: str, folder: Path, budget: float) -> dict[str, Any]:
    """Advise once, in this process; return what came of it."""
    start, start_cpu = time.perf_counter(), time.process_time()
    load_everything()
    imports_s, imports_cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    import regadvisor

    given = arguments(case, folder)
    start, start_cpu = time.perf_counter(), time.process_time()
    found: dict[str, Any] = {"case": case, "budget_s": budget, "imports_s": imports_s}
    found["imports_cpu_s"] = imports_cpu_s
    advice = regadvisor.advise(**given, budget=budget, device="cpu")
    found |= {"took_s": time.perf_counter() - start, "cpu_s": time.process_time() - start_cpu}
    scores = advice.record.evidence.scores
    fits = [] if scores is None else [each for each in scores.scores if np.isfinite(each.loss)]
    return {
        **found,
        "kinds": list(dict.fromkeys(each.kind for each in fits)),
        "n_fits": len(fits),
        "fit_s": {each.kind: each.fit_s for each in fits},
        "status": advice.status,
        "outcome": advice.record.walk.outcome,
        "cut": None if scores is None else scores.cut,
    }


def run(case: str, folder: Path, budget: float, *, share: float | None = None) -> dict[str, Any]:
    """Return :func:`measure` of a new process, or the last line that it left."""
    words = [sys.executable, __file__, "--data", str(folder), "--case", case, "--budgets", str(budget)]
    words += [] if share is None or case == WAITING else ["--share", str(share)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=GIVE_UP_S + budget, check=False)
    except subprocess.TimeoutExpired:
        return {"case": case, "budget_s": budget, "error": f"no answer after {GIVE_UP_S:.0f} s"}
    if done.returncode:
        return {"case": case, "budget_s": budget, "error": (done.stderr.strip() or "?").splitlines()[-1]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def busy_loops(n: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Keep `n` processes counting until the end of the block."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield loops
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


# ----------------------------------------------------------------------------------------------- the table


def is_kept(found: dict[str, Any]) -> bool:
    """Return whether a case kept its budget.

    Examples
    --------
    >>> is_kept({"took_s": 2.9, "budget_s": 1.0}), is_kept({"took_s": 23.0, "budget_s": 20.0})
    (True, False)
    """
    slack = max(SLACK_SHARE * found["budget_s"], SLACK_S)
    return bool(found.get("took_s", np.inf) <= found["budget_s"] + slack)


def is_measured(found: dict[str, Any]) -> bool:
    """Return whether none, L1+L2 and one of L1 and L2 were measured.

    Examples
    --------
    >>> is_measured({"kinds": ["none", "elasticnet", "l2"]}), is_measured({"kinds": ["none", "l2"]})
    (True, False)
    """
    kinds = set(found.get("kinds", ()))
    return {"none", "elasticnet"} <= kinds and bool(kinds & {"l1", "l2"})


def line(found: dict[str, Any]) -> str:
    """Return one row of the table."""
    cells = [found["case"], f"{found['budget_s']:g}"]
    if "error" in found:
        return f"| {' | '.join([*cells, '–', '–', '–', '–', 'no', found['error']])} |"
    cells += [", ".join(found["kinds"]) or "nothing", str(found["n_fits"])]
    cells += [f"{found['took_s']:.1f}", f"{found['cpu_s']:.1f}", "yes" if is_kept(found) else "**no**"]
    return f"| {' | '.join([*cells, found['status'].replace('_', ' ')])} |"


def summary(results: Sequence[dict[str, Any]], *, beside: str) -> str:
    """Return the table and what it comes to."""
    kept, measured = (sum(map(of, results)) for of in (is_kept, is_measured))
    nothing = sum(not found.get("kinds") for found in results)
    imports = [found["imports_cpu_s"] for found in results if "imports_cpu_s" in found]
    text = (
        f"{len(results)} runs {beside}: {kept} kept the budget, {measured} measured none, "
        f"L1+L2 and one of L1 and L2, {nothing} measured nothing."
    )
    if imports:
        text += f" Imports, not counted: {np.median(imports):.1f} processor seconds."
    return "\n".join(
        [text, "", f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}", *(line(found) for found in results)]
    )


def cases(asked: str, budgets: Sequence[float]) -> list[tuple[str, float]]:
    """Return the cases and their budgets.

    Examples
    --------
    >>> cases("2M rows,spambase", (1.0, 2.0))
    [('2M rows', 5.0), ('spambase', 1.0), ('spambase', 2.0)]
    """
    groups: dict[str, tuple[str, ...]] = {"sets": SETS, "settings": tuple(SETTINGS)}
    names = groups.get(asked) or ((*SETS, *SETTINGS) if asked == "all" else _split(asked))
    found: list[tuple[str, float]] = []
    for name in names:
        found += [(name, SETTING_BUDGET)] if name in SETTINGS else [(name, budget) for budget in budgets]
    return found


def _split(asked: str) -> tuple[str, ...]:
    """Return names parted by commas; those of settings hold commas themselves."""
    left, names = asked, []
    while left:
        known = [name for name in SETTINGS if left == name or left.startswith(name + ",")]
        name = max(known, key=len) if known else left.split(",")[0]
        names.append(name)
        left = left[len(name) + 1 :]
    return tuple(names)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--busy", type=int, default=2)
    parser.add_argument("--share", type=float)
    parser.add_argument("--sets", default="all")
    parser.add_argument("--budgets", default=",".join(f"{budget:g}" for budget in BUDGETS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    budgets = [float(budget) for budget in asked.budgets.split(",")]
    if asked.case:
        with counted(asked.share):
            print(json.dumps(measure(asked.case, asked.data, budgets[0])))
        return
    results = []
    kept = asked.out.read_text().splitlines() if asked.out and asked.out.exists() else []
    known = {(found["case"], found["budget_s"]): found for found in map(json.loads, kept)}
    with busy_loops(asked.busy):
        for case, budget in cases(asked.sets, budgets):
            found = known.get((case, budget)) or run(case, asked.data, budget, share=asked.share)
            results.append(found)
            print(line(found), flush=True)
            if asked.out and (case, budget) not in known:
                with asked.out.open("a") as kept_lines:
                    kept_lines.write(json.dumps(found) + "\n")
    beside = f"beside {asked.busy} busy loops" if asked.share is None else f"with {asked.share:g} of a core"
    shown = summary(results, beside=beside)
    print(shown)
    if asked.write:
        from results import write

        write("budgets", shown)


if __name__ == "__main__":
    main()

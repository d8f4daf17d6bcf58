"""The command line of the regret benchmark."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import regadvisor
from regret.advice import DEFAULT, is_done, run_advice, run_optuna, runs_path
from regret.cache import append_line, code_version, read_lines
from regret.data import choose_sets, load
from regret.references import Task, make_reference, path_of
from regret.splits import make_split, n_splits
from regret.summary import summarise

EFFORTS = (DEFAULT, "quick", "standard", "thorough")


def parser(description: str | None = None) -> argparse.ArgumentParser:
    """Return the arguments."""
    found = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--data", type=Path, required=True, help="folder with index.csv")
    found.add_argument("--family", choices=("linear", "mlp", "module"), default="mlp")
    found.add_argument(
        "--sets",
        default="core",
        help="core, all, rest (all but core), exchangeable (no time, no groups), or NAME,NAME",
    )
    found.add_argument("--splits", type=int, default=5, help="per set; at most 2 from 5,000 rows on")
    found.add_argument(
        "--max-rows", type=int, default=6_000, help="larger sets are cut to so many random rows"
    )
    found.add_argument(
        "--effort", default=DEFAULT, help="default, quick, standard, thorough, or several by comma"
    )
    found.add_argument("--out", type=Path, required=True, help="folder of references and results")
    found.add_argument("--only", choices=("references", "advice", "summary"), help="one stage of the three")
    found.add_argument("--optuna", action="store_true", help="also the plain Optuna loop at the same time")
    found.add_argument(
        "--clock",
        choices=("wall", "processor"),
        default="wall",
        help="what budgets count; processor: as on an idle machine, whatever else runs",
    )
    found.add_argument("--version", help="name of the code that advises; by default a hash of its source")
    found.add_argument("--write", action="store_true", help="put the summary into benchmarks/RESULTS.md")
    return found


def main(description: str | None = None, words: list[str] | None = None) -> None:
    """Run the stages that are asked for."""
    asked = parser(description).parse_args(words)
    unknown = set(asked.effort.split(",")) - set(EFFORTS)
    if unknown:
        raise SystemExit(f"--effort must be of {EFFORTS}, got {sorted(unknown)}")
    version = asked.version or _default_version(asked)
    if asked.only in (None, "references"):
        _each(asked, "reference", _reference)
    if asked.only in (None, "advice"):
        with budget_clock(asked.clock):
            _each(asked, "advice", lambda asked, task: _advice(asked, task, version))
    if asked.only in (None, "summary"):
        text = summarise(asked.out, list(_tasks(asked)), family=asked.family, version=version)
        print(text)
        if asked.write:
            from results import write

            write(f"regret-{asked.family}", text)


@contextmanager
def budget_clock(name: str) -> Iterator[None]:
    """Let the library's clocks count the processor's seconds, if asked for, until the end of the block."""
    if name == "wall":
        yield
        return
    with patch.multiple(time, monotonic=time.process_time, perf_counter=time.process_time):
        yield


def _default_version(asked: argparse.Namespace) -> str:
    """Return the hash of the library's source; for a summary alone, the version that advised last."""
    runs = [run["version"] for run in read_lines(runs_path(asked.out)) if run["family"] == asked.family]
    if asked.only == "summary" and runs:
        return str(runs[-1])
    return code_version(Path(regadvisor.__file__).parent)


def _tasks(asked: argparse.Namespace) -> Iterator[Task]:
    """Yield the tasks, all sets' first split before the second ones."""
    entries = choose_sets(asked.data, asked.sets)
    for number in range(asked.splits):
        for entry in entries:
            data = load(asked.data, entry, max_rows=asked.max_rows)
            if number < n_splits(data, asked.splits):
                yield Task.of(data, make_split(data, number), asked.family)


def _each(asked: argparse.Namespace, stage: str, work: Callable[[argparse.Namespace, Task], str]) -> None:
    """Do one stage for every task; what fails is said, kept in errors.jsonl, and passed over."""
    for task in _tasks(asked):
        start = perf_counter()
        try:
            said = work(asked, task)
        except KeyboardInterrupt:
            raise
        except Exception:  # one set that cannot be done must not end a night's run
            text = traceback.format_exc()
            append_line(asked.out / "errors.jsonl", {"stage": stage, "key": task.key, "error": text})
            said = f"FAILED: {text.strip().splitlines()[-1]}"
            print(text, file=sys.stderr, flush=True)
        print(f"{stage} {task.key}: {said} ({perf_counter() - start:.1f} s)", flush=True)


def _reference(asked: argparse.Namespace, task: Task) -> str:
    path = path_of(asked.out, task)
    if path.exists():
        return "kept"
    make_reference(task, path)
    return "made"


def _advice(asked: argparse.Namespace, task: Task, version: str) -> str:
    said = []
    for effort in asked.effort.split(","):
        policy = f"advise ({effort})"
        if not is_done(asked.out, task, policy=policy, version=version):
            run = run_advice(asked.out, task, effort=effort, version=version)
            said.append(f"{effort}: {run['outcome']}, {run['status']}, {run['cpu_s']:.1f} CPU s")
        if asked.optuna:
            said.append(_optuna(asked, task, policy, version))
    return "; ".join(said) or "kept"


def _optuna(asked: argparse.Namespace, task: Task, like: str, version: str) -> str:
    if is_done(asked.out, task, policy=f"Optuna, time of {like}", version=version):
        return "Optuna kept"
    wanted = (task.key, like, version)
    seconds = next(
        run["cpu_s"]
        for run in read_lines(runs_path(asked.out))
        if (run["key"], run["policy"], run["version"]) == wanted
    )
    run = run_optuna(asked.out, task, seconds=seconds, like=like, version=version)
    return f"Optuna: {run['kind']} of {run['n_trials']} trials"

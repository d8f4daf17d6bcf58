"""Is the first screen right? Its words and bounds against test rows that the advice never saw.

usage: python benchmarks/first_screen.py --data DIR [--model linear] [--train-rows 300] [--splits 3]
       [--out RUNS.jsonl] [--write]

Of every set a third of the rows is held out, or all but ``--train-rows``: with thousands of test rows their
own luck is next to nothing, so what errs is the advice. ``advise(effort="quick")`` sees the rest. Then each
kind is built with the best strength that the advice found for it, fitted on the same rows and scored on
those held out. So every sentence has an answer: does the advised penalty gain more than a tie (0.5%) over
none; are kinds that are called as good within 2%; is what the best other kind saves within the bound? (It
is the best on the test rows, so their luck counts against the bound.) What counts is how often they are
right at each word. Left out are sets whose rows are not all sampled, and kinds of data on which scikit-
learn's solvers take minutes. Groups and time are not passed.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from regret.data import DataSet, choose_sets, load
from results import write
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from regadvisor import advise
from regadvisor.advice import Advice
from regadvisor.errors import RegadvisorError
from regadvisor.records import Record
from regadvisor.regularizer import Kind, Regularizer
from regadvisor.report.phrases import likely
from regadvisor.thresholds import PROBABILITY_FLOOR, SAME_REGION

#: Kinds of data, as index.csv has them, on which SAGA takes minutes; ``build()`` has it for L1+L2 of classes.
SLOW = ("spectra", "image", "p>>n", "text")
#: Wider sets take minutes, and so do their solvers.
MOST_COLUMNS = 300
#: The first screen says no less than this share.
LEAST_LOST = 0.001
BOUND = "another kind, if it is the best, saves at most …"
HEAD = "| said | cases | right | share, 95% interval |"
RULE = "|---|--:|--:|---|"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One sentence and whether the test rows agree with it; `name` is of the set."""

    name: str
    said: str
    is_right: bool


@dataclass(frozen=True, kw_only=True)
class Run:
    """One advice and what the rows held out say: enough to try other bounds without training again.

    `extra` is by kind how much higher its mean test loss is than the pick's, as a share of the pick's, and
    the standard error that the test rows leave.
    """

    name: str
    split: int
    status: str
    pick: str
    extra: dict[str, tuple[float, float]]
    ties: tuple[str, ...]
    helps: float | None
    most_lost: float | None


def run(data: DataSet, split: int, *, model: str, train_rows: int | None) -> Run | None:
    """Ask for advice on a part of a set and score every kind on the rest; None where nothing is claimed."""
    splitter: Any = StratifiedShuffleSplit if data.task == "classification" else ShuffleSplit
    size: dict[str, Any] = {"test_size": 1 / 3} if train_rows is None else {"train_size": train_rows}
    train, test = next(splitter(1, random_state=split, **size).split(np.zeros(data.n_rows), data.y))
    advice = advise(data.features(train), data.y.iloc[train], model=model, effort="quick")
    record = advice.record
    if record.evidence.scores is None or record.status in ("no_signal", "cant_tell"):
        return None
    losses = {kind: _test_losses(record, each, data, train, test) for kind, each in _best(record).items()}
    pick = record.strength.regularizer.kind
    if pick not in losses or not all(np.isfinite(rows).all() for rows in losses.values()):
        return None
    own = losses[pick]
    claim = advice.confidence.get("regularize")
    return Run(
        name=data.name,
        split=split,
        status=record.status,
        pick=pick,
        extra={
            kind: (
                float((rows - own).mean() / own.mean()),
                float((rows - own).std(ddof=1) / np.sqrt(len(rows)) / own.mean()),
            )
            for kind, rows in losses.items()
        },
        ties=record.ties,
        helps=None if claim is None else claim.support,
        most_lost=record.most_lost,
    )


def cases(one: Run) -> Iterator[Case]:
    """Yield the sentences of one first screen and whether the test rows agree."""
    name, pick = one.name, one.pick
    if pick != "none" and one.helps is not None:
        gain = 1 - 1 / (1 + one.extra["none"][0])
        word = "no measurable difference" if "none" in one.ties else likely(one.helps)
        is_right = abs(gain) <= SAME_REGION if word == "no measurable difference" else gain > SAME_REGION
        yield Case(name=name, said=f"regularizing helps: {word}", is_right=is_right)
    for kind in one.ties:
        is_right = abs(one.extra[kind][0]) <= 4 * SAME_REGION
        yield Case(name=name, said="as good (within 2%)", is_right=is_right)
    if one.most_lost is not None:
        lowest = min(extra for extra, _ in one.extra.values())
        lost = 1 / (1 + lowest) - 1  # of the lowest loss, as the bound is
        is_right = lost <= max(one.most_lost, LEAST_LOST)
        yield Case(name=name, said=BOUND, is_right=is_right)


def _best(record: Record) -> dict[Kind, Regularizer]:
    """Return the best strength of each kind, as the pick's is carried: everything was sampled here."""
    scores = record.evidence.scores
    assert scores is not None
    most = max(score.n_rows for score in scores.scores)
    found: dict[Kind, Any] = {}
    for score in scores.scores:
        is_whole = score.n_rows == most and score.converged and not score.is_stopped
        if is_whole and (score.kind not in found or score.loss < found[score.kind].loss):
            found[score.kind] = score
    best = {kind: score.regularizer for kind, score in found.items()}
    return best | {record.strength.regularizer.kind: record.strength.regularizer}


def _test_losses(
    record: Record, regularizer: Regularizer, data: DataSet, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Return the loss of every test row."""
    own = Advice(replace(record, strength=replace(record.strength, regularizer=regularizer)))
    X, y = data.features(test), data.y.iloc[test]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of fits that do not converge
        model = own.build().fit(data.features(train), data.y.iloc[train])
        if data.task == "classification":
            place = {label: column for column, label in enumerate(model.classes_.tolist())}
            at = np.array([place.get(label, -1) for label in y.tolist()])
            known = np.flatnonzero(at >= 0)  # a rare class may be in the test rows alone
            chosen = model.predict_proba(X)[known, at[known]]
            rows: np.ndarray = -np.log(np.maximum(chosen, PROBABILITY_FLOOR))
            return rows
        return np.square(model.predict(X) - y.to_numpy(dtype=np.float64))


def table(found: list[Case]) -> list[str]:
    """Return how often each sentence was right; the interval redraws data sets."""
    by_said: dict[str, list[Case]] = defaultdict(list)
    for case in found:
        by_said[case.said].append(case)
    rng = np.random.default_rng(0)
    lines = [HEAD, RULE]
    for said, own in sorted(by_said.items()):
        names = sorted({case.name for case in own})
        n = np.array([sum(case.name == name for case in own) for name in names])
        right = np.array([sum(case.is_right for case in own if case.name == name) for name in names])
        drawn = rng.integers(len(names), size=(2_000, len(names)))
        shares = right[drawn].sum(axis=1) / n[drawn].sum(axis=1)
        low, high = np.quantile(shares, [0.025, 0.975])
        share = f"{right.sum() / n.sum():.0%} [{low:.0%}, {high:.0%}]"
        lines.append(f"| {said} | {n.sum()} | {right.sum()} | {share} |")
    return [*lines, "", f"{len({case.name for case in found})} sets, {len(found)} sentences."]


def runs(options: argparse.Namespace) -> Iterator[Run]:
    """Yield the runs of all sets, those of an earlier call from its file."""
    done: dict[tuple[str, int], Run | None] = {}
    if options.out is not None and options.out.exists():
        for line in options.out.read_text().splitlines():
            key, plain = json.loads(line)
            done[key[0], key[1]] = None if plain is None else _loaded(plain)
    for entry in choose_sets(options.data, options.sets, most_targets=1):
        fewest = 90 if options.train_rows is None else 4 * options.train_rows
        data = load(options.data, entry, max_rows=2_200 if options.train_rows is None else 20_000)
        width = 1 if data.X.ndim == 1 else data.X.shape[1]
        cells = width * (options.train_rows or data.n_rows)
        if data.n_rows < fewest or cells > options.most_cells or width > MOST_COLUMNS:
            continue
        if options.train_rows is None and data.kind in SLOW:
            continue
        for split in range(options.splits):
            key = (data.name, split)
            if key not in done:
                done[key] = _tried(data, split, options)
                if options.out is not None:
                    with options.out.open("a") as file:
                        found = done[key]
                        file.write(json.dumps([key, None if found is None else asdict(found)]) + "\n")
            found = done[key]
            if found is not None:
                yield found
        print(data.name, flush=True)


def _loaded(plain: dict[str, Any]) -> Run:
    extra = {kind: (float(value), float(error)) for kind, (value, error) in plain["extra"].items()}
    return Run(**{**plain, "extra": extra, "ties": tuple(plain["ties"])})


def _tried(data: DataSet, split: int, options: argparse.Namespace) -> Run | None:
    try:
        return run(data, split, model=options.model, train_rows=options.train_rows)
    except (RegadvisorError, ValueError) as error:
        print(f"{data.name}: {error}", flush=True)
        return None


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default="all")
    parser.add_argument("--model", default="linear")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--train-rows", type=int)
    parser.add_argument("--most-cells", type=int, default=300_000)
    parser.add_argument("--out", type=Path, help="where runs are kept, to go on from")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    found = [case for one in runs(options) for case in cases(one)]
    lines = table(found)
    print("\n".join(lines))
    if options.write:
        part = f"first-screen-{options.model}-{options.train_rows or 'two-thirds'}"
        write(part, "\n".join(lines))


if __name__ == "__main__":
    main()

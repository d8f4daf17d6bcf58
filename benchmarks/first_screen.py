"""Is the first screen right? Its words and bounds against test rows that the advice never saw.

usage: python benchmarks/first_screen.py --data DIR [--splits 3] [--most-cells 300000] [--write]

Of every set a third of the rows is held out. ``advise(model="linear", effort="quick")`` sees the rest. Then
each kind is built with the best strength that the advice found for it, fitted on the same rows and scored on
the rows held out. So every sentence has an answer: does the advised penalty gain more than a tie (0.5%) over
none; are kinds that are called as good within 2%; is what the best other kind saves within the bound? (It is
the best on the test rows, so their luck counts against the bound.) Test rows are few, so single answers err;
what counts is how often they are right at each word. Left out are sets whose rows are not all sampled, and
kinds of data on which scikit-learn's solvers take minutes. Groups and time are not passed.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from regret.data import DataSet, choose_sets, load
from sklearn.metrics import log_loss
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from verdicts import write

from regadvisor import advise
from regadvisor.advice import Advice
from regadvisor.errors import RegadvisorError
from regadvisor.records import Record
from regadvisor.regularizer import Kind, Regularizer
from regadvisor.report.phrases import likely
from regadvisor.thresholds import SAME_REGION

#: Kinds of data, as index.csv has them, on which SAGA takes minutes; ``build()`` has it for L1+L2 of classes.
SLOW = ("spectra", "image", "p>>n", "text")
HEAD = "| said | cases | right | share, 95% interval |"
RULE = "|---|--:|--:|---|"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One sentence and whether the test rows agree with it; `name` is of the set."""

    name: str
    said: str
    is_right: bool


def cases(data: DataSet, split: int) -> Iterator[Case]:
    """Yield what the first screen says of a part of a set, held against the rest."""
    splitter: Any = StratifiedShuffleSplit if data.task == "classification" else ShuffleSplit
    train, test = next(splitter(1, test_size=1 / 3, random_state=split).split(np.zeros(data.n_rows), data.y))
    advice = advise(data.features(train), data.y.iloc[train], model="linear", effort="quick")
    record = advice.record
    if record.evidence.scores is None or record.status in ("no_signal", "cant_tell"):
        return
    losses = {
        kind: _test_loss(record, regularizer, data, train, test)
        for kind, regularizer in _best(record).items()
    }
    pick = record.strength.regularizer.kind
    if pick not in losses or not np.isfinite(list(losses.values())).all():
        return
    gain = 1 - losses[pick] / losses["none"]
    claim = advice.confidence.get("regularize")
    if pick != "none" and claim is not None and claim.support is not None:
        word = "no measurable difference" if "none" in record.ties else likely(claim.support)
        is_right = abs(gain) <= SAME_REGION if word == "no measurable difference" else gain > SAME_REGION
        yield Case(name=data.name, said=f"regularizing helps: {word}", is_right=bool(is_right))
    for kind in record.ties:
        is_right = abs(losses[kind] / losses[pick] - 1) <= 4 * SAME_REGION
        yield Case(name=data.name, said="as good (within 2%)", is_right=bool(is_right))
    if record.most_lost is not None:
        lost = losses[pick] / min(losses.values()) - 1
        yield Case(
            name=data.name,
            said="another kind saves up to about …",
            is_right=bool(lost <= max(record.most_lost, 0.001)),
        )


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


def _test_loss(
    record: Record, regularizer: Regularizer, data: DataSet, train: np.ndarray, test: np.ndarray
) -> float:
    own = Advice(replace(record, strength=replace(record.strength, regularizer=regularizer)))
    X, y = data.features(test), data.y.iloc[test]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of fits that do not converge
        model = own.build().fit(data.features(train), data.y.iloc[train])
        if data.task == "classification":
            return float(log_loss(y, model.predict_proba(X), labels=model.classes_))
        return float(np.mean(np.square(model.predict(X) - y.to_numpy(dtype=np.float64))))


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


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--most-cells", type=int, default=300_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    found: list[Case] = []
    for entry in choose_sets(options.data, "all", most_targets=1):
        data = load(options.data, entry, max_rows=2_200)
        if data.kind in SLOW or data.n_rows < 90 or np.prod(data.X.shape) > options.most_cells:
            continue
        for split in range(options.splits):
            try:
                found += cases(data, split)
            except (RegadvisorError, ValueError) as error:
                print(f"{data.name}: {error}", flush=True)
        print(data.name, len(found), flush=True)
    lines = table(found)
    print("\n".join(lines))
    if options.write:
        write("first-screen", "\n".join(lines))


if __name__ == "__main__":
    main()

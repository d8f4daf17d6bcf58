"""From kept references and runs to tables: one line per policy, one per set, and the claims as JSON lines."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regadvisor.thresholds import SAME_REGION
from regret.advice import runs_path
from regret.cache import load_arrays, read_lines
from regret.figures import Figure, interval, median, percentile_90, share, winsorised
from regret.policies import CEILING, NONE, finite, policy_losses
from regret.references import Reference, Task, load_reference, path_of
from regret.score import Score, claims_right, scores
from regret.splits import halves

#: Column heads of the table of policies.
HEAD = (
    "policy",
    "sets",
    "median",
    "winsorised mean",
    "90th percentile",
    "to the best kind",
    "to dense CV",
    "within 0.5%",
    "harm",
    "CPU / dense CV",
    "CPU / full run",
)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One policy on one split of one set."""

    set: str
    split: int
    n_train: int
    policy: str
    score: Score
    #: Processor seconds as a share of the dense cross-validation's, and of one full run's; None: not timed.
    cpu_of_reference: float | None = None
    cpu_of_full_run: float | None = None


def summarise(out: Path, tasks: Sequence[Task], *, family: str, version: str) -> str:
    """Return the summary as Markdown; write it, every score and every claim to `out`.

    Sets without a reference are left out. Policies that have not run on every set are summarised over those
    they have run on, and come last; "to dense CV" is paired, so it can be read for them, too.
    """
    runs = [run for run in read_lines(runs_path(out)) if run["version"] == version]
    by_key: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        by_key[run["key"]].append(run)
    scored: list[Scored] = []
    claims: list[dict[str, Any]] = []
    for task in tasks:
        path = path_of(out, task)
        if path.exists():
            found, said = _score_task(out, task, load_reference(path), by_key[task.key])
            scored += found
            claims += said
    if not scored:
        return "No references yet."
    _write_lines(out / f"scores-{family}.jsonl", [asdict(each) for each in scored])
    _write_lines(out / f"claims-{family}.jsonl", claims)
    text = "\n\n".join(_sections(scored, claims, family=family, version=version))
    (out / f"summary-{family}.md").write_text(text + "\n", encoding="utf-8")
    return text


def _write_lines(path: Path, records: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def _score_task(
    out: Path, task: Task, reference: Reference, runs: Sequence[dict[str, Any]]
) -> tuple[list[Scored], list[dict[str, Any]]]:
    """Return the scores of all policies and runs of one task, and what its advice claimed."""
    losses = policy_losses(reference)
    for run in runs:
        stored = load_arrays(out / run["losses"])[1]["losses"]
        losses[run["policy"]] = finite(stored, reference.test_constant).mean(axis=0)
    masks = halves(task.split)
    found = scores(reference, masks, task.split.cluster, losses)
    cpu = {run["policy"]: (run["cpu_s"], run["full_run_cpu_s"]) for run in runs}
    cpu[CEILING] = (reference.cv_cpu_s, float(reference.meta["full_run_cpu_s"]))
    scored = []
    for policy, score in found.items():
        spent, full_run = cpu.get(policy, (None, None))
        scored.append(
            Scored(
                set=task.data.name,
                split=task.split.number,
                n_train=len(task.split.train),
                policy=policy,
                score=score,
                cpu_of_reference=None if spent is None else spent / reference.cv_cpu_s,
                cpu_of_full_run=None if spent is None or not full_run else spent / full_run,
            )
        )
    claims = []
    for run in runs:
        if "support" in run:
            right = claims_right(reference, masks, run["kind"], losses[run["policy"]])
            claims.append({**_claim(run), "right": right, "regret": found[run["policy"]].regret})
    return scored, claims


def _claim(run: dict[str, Any]) -> dict[str, Any]:
    """Return what an advice said."""
    names = ("set", "split", "n_train", "family", "policy", "version", "kind", "outcome", "status")
    return {name: run[name] for name in (*names, "source", "effort", "n_sample", "support")}


# ------------------------------------------------------------------------------------------- the tables


def _sections(
    scored: Sequence[Scored], claims: Sequence[dict[str, Any]], *, family: str, version: str
) -> list[str]:
    sets = {each.set for each in scored}
    splits = {(each.set, each.split) for each in scored}
    intro = (
        f"Family {family}, {len(sets)} sets, {len(splits)} splits, code `{version}`. Regret in % of the "
        "oracle's test loss (kind and strength picked on one half of the test rows, scored on the other); "
        "means over a set's splits first. To the best kind (picked the same way), to dense CV: winsorised "
        "mean of the loss above that choice's, in %. 95% intervals bootstrapped over sets."
    )
    sections = [intro, policy_table(scored)]
    large = [each for each in scored if each.n_train >= 2_250]
    if large and len(large) < len(scored):
        sections += ["Sets with at least 2,250 training rows:", policy_table(large)]
    return [*sections, *_claims_section(claims), set_table(scored)]


def policy_table(scored: Sequence[Scored]) -> str:
    """Return one line per policy, in order of the winsorised mean of its regret; partial ones last."""
    lines = [
        (-int(cells[0]), figures[1].value, f"| {policy} | {' | '.join(cells)} |")
        for policy, (figures, cells) in _policy_cells(scored).items()
    ]
    head = f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}"
    return "\n".join([head, *(line for *_, line in sorted(lines))])


def _policy_cells(scored: Sequence[Scored]) -> dict[str, tuple[list[Figure], list[str]]]:
    by_policy: dict[str, list[Scored]] = defaultdict(list)
    for each in scored:
        by_policy[each.policy].append(each)
    cells = {}
    for policy, found in by_policy.items():
        regret = _per_set(found, lambda each: each.score.regret)
        to_kind = _per_set(found, lambda each: each.score.regret_kind)
        to_ceiling = _per_set(found, lambda each: each.score.to_ceiling)
        within = _per_set(found, lambda each: 100.0 * (each.score.regret <= 100 * SAME_REGION))
        harm = _per_set(found, lambda each: 100.0 * each.score.is_harm)
        figures = [interval(regret, name) for name in (median, winsorised, percentile_90)]
        figures += [interval(values, winsorised) for values in (to_kind, to_ceiling)]
        shares = [interval(values, share).text(" %") for values in (within, harm)]
        cpu = [_median_cpu(found, name) for name in ("cpu_of_reference", "cpu_of_full_run")]
        cells[policy] = (figures, [str(len(regret)), *(f.text() for f in figures), *shares, *cpu])
    return cells


def _per_set(found: Sequence[Scored], value: Any) -> np.ndarray:
    """Return the mean over the splits of every set."""
    by_set: dict[str, list[float]] = defaultdict(list)
    for each in found:
        by_set[each.set].append(float(value(each)))
    return np.array([np.mean(values) for values in by_set.values()])


def _median_cpu(found: Sequence[Scored], name: str) -> str:
    values = [getattr(each, name) for each in found if getattr(each, name) is not None]
    return f"{np.median(values):.2g}" if values else "–"


def _claims_section(claims: Sequence[dict[str, Any]]) -> list[str]:
    """Return how often every claim was right beside its mean support, and how often nothing could be told."""
    lines = [
        "| advice | runs | can't tell | no signal | regularize | kind | strength |",
        "|---|---|---|---|---|---|---|",
    ]
    for policy in dict.fromkeys(claim["policy"] for claim in claims):
        own = [claim for claim in claims if claim["policy"] == policy]
        shares = [100 * np.mean([c["status"] == s for c in own]) for s in ("cant_tell", "no_signal")]
        cells = [f"{value:.0f} %" for value in shares]
        for name in ("regularize", "kind", "strength"):
            pairs = [
                (claim["support"].get(name), claim["right"][name])
                for claim in own
                if claim["support"].get(name) is not None and claim["right"][name] is not None
            ]
            said, right = np.mean(np.array(pairs, dtype=float), axis=0) if pairs else (np.nan, np.nan)
            cells.append(f"{100 * right:.0f} % right, support {said:.2f} ({len(pairs)})")
        lines.append(f"| {policy} | {len(own)} | {' | '.join(cells)} |")
    return ["Claims (right as defined in `benchmarks/regret/score.py`):", "\n".join(lines)] if claims else []


def set_table(scored: Sequence[Scored]) -> str:
    """Return one line per set: the regret of some policies, mean over its splits."""
    advised = [name for name in dict.fromkeys(each.policy for each in scored) if name.startswith("advise")]
    shown = [
        NONE,
        "L2, tuned",
        "L1, tuned",
        CEILING,
        "classic chart",
        "extended chart",
        "CV on 1,500 rows",
        *advised,
    ]
    value: dict[tuple[str, str], list[float]] = defaultdict(list)
    for each in scored:
        value[each.set, each.policy].append(each.score.regret)
    rows = {each.set: each.n_train for each in scored}
    head = ["set", "training rows", *shown]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, n_train in rows.items():
        found = [value.get((name, policy)) for policy in shown]
        cells = ["–" if each is None else f"{np.mean(each):.2f}" for each in found]
        lines.append(f"| {name} | {n_train:,} | {' | '.join(cells)} |")
    return "\n".join(lines)

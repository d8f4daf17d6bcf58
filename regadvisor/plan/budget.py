"""What ``budget="auto"`` spends: how much an answer is worth next to a full run of the model."""

from __future__ import annotations

from regadvisor import thresholds


def auto_budget(
    full_run_s: float,
    *,
    enough_s: float,
    lowest_s: float,
    smallest_s: float = 0.0,
    n_rows: int,
    is_linear: bool = False,
) -> tuple[float, float, float]:
    """Return what ``budget="auto"`` aims to spend, the deadline at which it is cut, and the latest one.

    Up to ``AUTO_SMALL_ROWS`` rows the aim is as much as the evidence needs, at most two minutes. Beyond, it
    is a number of full runs that falls with the rows: one at 50,000, a twentieth at a million; no less than
    some seconds or the lowest rung, and no more than a minute. Where a single full run takes longer than
    these two limits, it is the limit, up to ten minutes. The deadline leaves a margin for projections that
    were too low; from ``AUTO_CHEAP_ROWS`` rows on it is one full run at most, whatever the margin, or
    twice the smallest walk if that is longer. The latest is the upper limit of fewer rows: on a busy machine
    a full run takes longer, too.

    `full_run_s`, `enough_s`, `lowest_s`, `smallest_s`: projected seconds of one full run, of as much as the
    evidence needs, of the lowest rung and of the smallest walk. `n_rows`: rows of the data.

    >>> def aim(n_rows):
    ...     return auto_budget(n_rows * 4e-4, enough_s=30.0, lowest_s=1.0, n_rows=n_rows)[0]
    >>> [round(aim(n_rows), 1) for n_rows in (500, 5_000, 10_000, 50_000, 10**6)]
    [30.0, 30.0, 20.0, 16.0, 20.0]
    """
    low = thresholds.AUTO_LEAST_DEADLINE_S
    run_s = min(full_run_s, thresholds.AUTO_LONGEST_S)
    if n_rows <= thresholds.AUTO_SMALL_ROWS:
        latest = high = max(thresholds.AUTO_MOST_S, run_s)
        aim_s = min(enough_s, high)
    else:
        latest = high = max(thresholds.AUTO_MOST_S_OF_MANY, run_s)
        least_s = thresholds.AUTO_LEAST_LINEAR_S if is_linear else thresholds.AUTO_LEAST_S
        full_runs = thresholds.AUTO_FULL_RUNS * thresholds.AUTO_FULL_RUNS_ROWS / n_rows
        aim_s = min(max(full_runs * full_run_s, least_s, lowest_s), high)
        if n_rows >= thresholds.AUTO_CHEAP_ROWS:
            high = min(high, max(run_s, low, thresholds.SMALLEST_WALK_WITHIN * smallest_s))
            aim_s = min(aim_s, thresholds.AUTO_CHEAP_SHARE * high)
    return aim_s, min(max(low, thresholds.AUTO_BUDGET_MARGIN * aim_s), high), latest

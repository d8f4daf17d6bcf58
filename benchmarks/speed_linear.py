"""d) Linear `advise` against scikit-learn's own search on all rows.

``LogisticRegressionCV(l1_ratios=[0, .25, .5, .75, 1], Cs=20, solver="saga")`` and
``ElasticNetCV(l1_ratio=[.25, .5, .75, 1])``, on the features as the library encodes them (encoding not
counted for scikit-learn, counted for `advise`). scikit-learn's defaults otherwise: fits that do not converge
in its ``max_iter`` are cheaper than they ought to be, which is to its advantage here. Each side runs in
processes of its own, one after the other, and scikit-learn's may be cut.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import speed_data
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNetCV, LogisticRegressionCV
from speed_full_run import load
from speed_measure import Timing, clocked, in_process, seconds, side_by_side

from regadvisor import advise

SETS = ("adult", "caravan", "spambase", "phoneme", "mammography", "splice", "sk_breast_cancer", "titanic")
SETS += (
    "california_housing",
    "diamonds",
    "house_8L",
    "concrete",
    "sk_diabetes",
    "autos_price",
    "ad_biomarkers",
)
SIZES = (5_000, 50_000)
L1_RATIOS = [0.0, 0.25, 0.5, 0.75, 1.0]
TIMEOUT_S = 900.0

COLUMNS = (
    "data|rows × columns (encoded)|advise s|processor s|advice|scikit-learn s|processor s"
    "|fits that did not converge|scikit-learn / advise|repeats (ours, theirs)"
)


def advise_case(name: str, n: int | None, folder: str | None, repeats: int) -> dict[str, Any]:
    """Time the default advice on a linear model; called in a process of its own."""
    small = speed_data.synthetic(300, 5)
    advise(small.X, small.y, model="linear", effort="quick")
    data = load(name, n, folder)
    ask = partial(clocked, partial(advise, data.X, data.y, model="linear"))
    timing = side_by_side({"advise": ask}, repeats=repeats)["advise"]
    record = timing.result.record
    return {
        "wall_s": timing.wall_s,
        "cpu_s": timing.cpu_s,
        "repeats": timing.n_repeats,
        "shape": data.shape,
        "advice": f"{record.walk.outcome} ({record.status})",
    }


def sklearn_case(
    name: str, n: int | None, folder: str | None, repeats: int, limit_s: float = TIMEOUT_S / 2
) -> dict[str, Any]:
    """Time scikit-learn's search, again within `limit_s`; called in a process of its own."""
    encoded = speed_data.encode(load(name, n, folder), for_network=False)
    X = encoded.X.toarray() if hasattr(encoded.X, "toarray") else encoded.X

    def search() -> Timing:
        model = model_for(is_classification=encoded.is_classification)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            timing = clocked(partial(model.fit, X, encoded.y))
        missed = sum(issubclass(warning.category, ConvergenceWarning) for warning in caught)
        return Timing(wall_s=timing.wall_s, cpu_s=timing.cpu_s, result=missed)

    timing = side_by_side({"search": search}, repeats=repeats, limit_s=limit_s)["search"]
    return {
        "wall_s": timing.wall_s,
        "cpu_s": timing.cpu_s,
        "repeats": timing.n_repeats,
        "n_encoded": X.shape[1],
        "missed": timing.result,
    }


def model_for(*, is_classification: bool) -> Any:
    """Return scikit-learn's search of the task."""
    if not is_classification:
        return ElasticNetCV(l1_ratio=L1_RATIOS[1:], cv=5)
    return LogisticRegressionCV(
        l1_ratios=L1_RATIOS,
        Cs=20,
        cv=5,
        solver="saga",
        scoring="neg_log_loss",
        use_legacy_attributes=False,
        random_state=0,
    )


def lines(
    folder: Path | None,
    *,
    sizes: tuple[int, ...] = SIZES,
    names: tuple[str, ...] = SETS,
    repeats: int = 5,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[list[str]]:
    """Yield the rows of the table."""
    named: list[tuple[str, int | None]] = [(f"synthetic, n = {n:,}", n) for n in sizes]
    named += [(name, None) for name in (names if folder else ())]
    for name, n in named:
        which = {"name": name, "n": n, "folder": str(folder) if folder else None, "repeats": repeats}
        ours = in_process("speed_linear:advise_case", **which)
        # A repeat more is only begun where it will not run into the timeout.
        theirs = in_process("speed_linear:sklearn_case", timeout_s=timeout_s, limit_s=timeout_s / 2, **which)
        assert ours is not None  # no timeout was given
        yield _line(name, ours, theirs, timeout_s)


def _line(name: str, ours: dict[str, Any], theirs: dict[str, Any] | None, timeout_s: float) -> list[str]:
    cells = [name, ours["shape"], seconds(ours["wall_s"]), seconds(ours["cpu_s"]), ours["advice"]]
    if theirs is None:
        ratio = f"**> {timeout_s / ours['wall_s']:.1f}**"
        return [*cells, f"> {timeout_s:g}", "–", "–", ratio, f"{ours['repeats']}, cut"]
    cells[1] += f" ({theirs['n_encoded']})"
    ratio = f"**{theirs['wall_s'] / ours['wall_s']:.1f}**"
    cells += [seconds(theirs["wall_s"]), seconds(theirs["cpu_s"]), str(theirs["missed"]), ratio]
    return [*cells, f"{ours['repeats']}, {theirs['repeats']}"]

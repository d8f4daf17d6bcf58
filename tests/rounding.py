"""How far apart two float32 trainings of the same network may end, and assertions that allow no more.

The same network in another batch, on another thread or processor adds its sums in another order. So every
step errs anew by about the unit of rounding, ε = 2⁻²³, relative to the size s of its numbers. Errors of n
steps are as good as independent and add up to ε·√n·s. Later steps enlarge what earlier ones erred: Adam
divides by the size of a gradient, a unit that is nearly 0 may switch. That factor is GROWTH. Measured for
every optimizer, coupling and module of these tests, with AVX2 and with SSE4.2, it is up to 0.4 between
batches, and 0.6 where all starting values are off by ε. 10 leaves room for other processors, and is far below
what a fault gives in the same unit: a learning rate off by 0.1% 110 and more, a penalty off by 10% 450,
another seed a million (``test_neural_stack.py`` checks that such faults are found).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from regadvisor.families.base import Fit

EPSILON = float(np.finfo(np.float32).eps)
GROWTH = 10.0


def off_by(found: ArrayLike, expected: ArrayLike, *, n_steps: int) -> float:
    """Return the largest difference in units of ε·√n·s; up to GROWTH is rounding."""
    one, other = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    assert one.shape == other.shape
    is_known = ~np.isnan(other)
    np.testing.assert_array_equal(~np.isnan(one), is_known)
    size = np.abs(other[is_known]).max(initial=0.0)
    distance = np.abs(one[is_known] - other[is_known]).max(initial=0.0)
    return float(distance / (EPSILON * np.sqrt(n_steps) * size)) if distance else 0.0


def assert_same(found: ArrayLike, expected: ArrayLike, *, n_steps: int) -> None:
    """Numbers of two trainings of `n_steps` steps differ by no more than rounding."""
    assert off_by(found, expected, n_steps=n_steps) <= GROWTH


def assert_same_fits(found: Sequence[Fit], expected: Sequence[Fit], *, n_steps: int) -> None:
    """Two trainings of the same jobs, in the same order, differ by no more than rounding.

    Of the weights that L1 holds at 0 one may be off: it is on the edge of leaving.
    """
    for one, other in zip(found, expected, strict=True):
        assert (one.job, one.converged, one.folds) == (other.job, other.converged, other.folds)
        assert_same(one.losses, other.losses, n_steps=n_steps)
        assert_same(one.train_losses, other.train_losses, n_steps=n_steps)
        assert np.abs(one.zeroed - other.zeroed).sum() <= 1.0
        assert one.epochs is not None
        np.testing.assert_array_equal(one.epochs, other.epochs)
        assert one.sum_lr == other.sum_lr


#: Rounding after some thousand steps, relative to 1 or to the number in question.
RECORD = EPSILON * GROWTH * np.sqrt(10_000)


def assert_same_records(found: str, expected: str) -> None:
    """Two JSON records say the same: equal words and whole numbers, losses and strengths up to rounding."""
    differences = list(_differences(*(json.loads(without_timings(text)) for text in (found, expected))))
    assert not differences, "\n".join(differences)


def _differences(found: object, expected: object, place: str = "") -> Iterator[str]:
    """Yield where two decoded JSON values differ."""
    if isinstance(found, dict) and isinstance(expected, dict) and found.keys() == expected.keys():
        for name in found:
            yield from _differences(found[name], expected[name], f"{place}.{name}")
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for number, pair in enumerate(zip(found, expected, strict=True)):
            yield from _differences(*pair, f"{place}[{number}]")
    elif isinstance(found, float) and isinstance(expected, float):
        if not math.isclose(found, expected, rel_tol=RECORD, abs_tol=RECORD):
            yield f"{place}: {found} is not {expected}"
    elif isinstance(found, str) and isinstance(expected, str):
        # Numbers in sentences are those of other members, already rounded.
        if _NUMBER.sub("#", found) != _NUMBER.sub("#", expected):
            yield f"{place}: {found!r} is not {expected!r}"
    elif found != expected:
        yield f"{place}: {found!r} is not {expected!r}"


_NUMBER = re.compile(r"\d[\d.,]*(e[-+]?\d+)?")


def without_timings(text: str) -> str:
    """Return the JSON text of a record without what differs between two equal runs.

    Left out are the timings and the summary, which names one, every member whose name ends in ``_s``
    (seconds), and the reason of each answer
    that is about time (question Q2), together with the flips it gave.

    Examples
    --------
    >>> without_timings('{"loss": 0.5, "fit_s": 0.01}')
    '{\\n  "loss": 0.5\\n}\\n'
    """
    plain = _untimed(json.loads(text))
    steps = plain.get("walk", {}).get("steps", []) if isinstance(plain, dict) else []
    dropped = set()
    for step in steps:
        if step["question"] == "Q2":
            dropped.add(step["answer"].pop("flips_if"))
            for name in ("because", "distance"):
                step["answer"].pop(name)
    if isinstance(plain, dict) and "flips" in plain:
        plain["flips"] = [flip for flip in plain["flips"] if flip["condition"] not in dropped]
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _untimed(member)
            for key, member in value.items()
            if key not in ("timings", "summary") and not key.endswith("_s")
        }
    if isinstance(value, list):
        return [_untimed(member) for member in value]
    return value

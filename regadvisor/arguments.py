"""Checks of the arguments of ``advise()``: *name* must be *rule*, got *value*; what to do."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from regadvisor import rules
from regadvisor.errors import ParameterError
from regadvisor.plan.effort import EFFORTS
from regadvisor.records import Note
from regadvisor.rules import FLAG, Rule, choice, optional, whole
from regadvisor.thresholds import READ_SHARE
from regadvisor.words import agreed, joined, titled

if TYPE_CHECKING:
    from regadvisor.data.table import Table
    from regadvisor.progress import Progress
    from regadvisor.records import DataFacts

#: Stages that need random numbers; the order is part of "same seed, same answer".
STAGES = (
    "pilot",
    "sample",
    "correlation",
    "whole_picture",
    "folds",
    "search",
    "compare",
    "decide",
    "model",
    "growth",
    "traps",
    "scan",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Options:
    """What the caller asked for, checked; `seeds` has one seed a stage."""

    sample: Any = "auto"
    match: Table | None = None
    correlated: bool | None = None
    whole_picture: bool | None = None
    prefer: str | None = None
    budget: float | Literal["auto"] | None = "auto"
    effort: str | None = None
    device: str = "auto"
    scoring: Any = None
    folds: int = 5
    random_state: int = 0
    seeds: dict[str, int] = field(default_factory=dict)
    storage: Path | None = None
    progress: Progress | None = None

    @property
    def reading_s(self) -> float:
        """Seconds that reading may take: a share of a budget in seconds, if rows are free to be chosen."""
        if not isinstance(self.sample, str) or not isinstance(self.budget, float) or self.budget == 0:
            return math.inf
        return READ_SHARE * self.budget


def options_of(given: dict[str, Any]) -> Options:
    """Return the arguments of ``advise()`` that are no data and no model, checked."""
    chosen = {name: check(name, given[name]) for name in _RULES if name in Options.__dataclass_fields__}
    check("recipe", given["recipe"])
    budget, storage, seed = chosen["budget"], chosen["storage"], int(chosen["random_state"])
    if budget is not None and budget != "auto":
        budget = None if budget > sys.float_info.max else float(budget)
    chosen |= {"budget": budget, "folds": int(chosen["folds"]), "random_state": seed}
    return Options(
        **chosen | {"storage": None if storage is None else Path(storage)},
        sample=given["sample"],
        seeds=_seeds(seed),
    )


def _seeds(random_state: int) -> dict[str, int]:
    """Return one seed a stage, spawned from the caller's: stages never share random numbers."""
    import numpy as np

    children = np.random.SeedSequence(random_state).spawn(len(STAGES))
    return {name: int(child.generate_state(1)[0]) for name, child in zip(STAGES, children, strict=True)}


def _is_budget(value: Any) -> bool:
    is_one = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return value is None or (isinstance(value, str) and value == "auto") or (is_one and bool(value >= 0))


def _is_scoring(value: Any) -> bool:
    if not isinstance(value, str):
        return value is None or callable(value)
    from sklearn.metrics import get_scorer_names

    return value in get_scorer_names()


def _is_journal(value: Any) -> bool:
    """Whether a journal may be at a path: its folder must exist."""
    if not isinstance(value, str | Path):
        return value is None
    path = Path(value)
    try:
        return path.parent.is_dir() and not path.is_dir() and "\0" not in str(path)
    except OSError:  # too long a name
        return False


def _is_recipe(value: Any) -> bool:
    from regadvisor.families.neural.recipe import Recipe

    return value is None or isinstance(value, Recipe)


_RULES: dict[str, Rule] = {
    "recipe": Rule(_is_recipe, "a Recipe or None", "pass regadvisor.Recipe(lr=...)"),
    **dict.fromkeys(("correlated", "whole_picture", "prior_knowledge", "isolate"), optional(FLAG)),
    "prefer": optional(choice("sparse")),
    "budget": Rule(
        _is_budget, "a number of seconds of at least 0, 'auto' or None", "0 means that nothing may be trained"
    ),
    "effort": optional(choice(*EFFORTS)),
    "device": choice("auto", "cpu", "cuda"),
    "scoring": Rule(_is_scoring, "a callable, None or one of sklearn.metrics.get_scorer_names()"),
    "folds": whole(2, "an integer of at least 2"),
    "random_state": whole(0, "an integer of at least 0", "equal advice needs a fixed seed"),
    "storage": Rule(_is_journal, "a file in a folder that exists", "make the folder, or give another"),
    "progress": Rule(
        lambda value: value is None or isinstance(value, bool) or callable(value),
        "True, False, None or a callable of (stage, share_done)",
        "pass progress=True for a bar",
    ),
}


def check(name: str, value: Any) -> Any:
    """Return the value of an argument of ``advise()``, if it is by its rule."""
    return rules.check(_RULES, name, str(value) if isinstance(value, Path) else value)


def check_unpenalised(value: Any, facts: DataFacts) -> tuple[str | int, ...]:
    """Return the columns that no penalty is to act on, by name (frames) or number (arrays).

    >>> from regadvisor.records import Column, DataFacts
    >>> columns = (Column(name="age", kind="numeric"), Column(name="bmi", kind="numeric"))
    >>> facts = DataFacts(container="frame", task="binary", n_rows=9, columns=columns)
    >>> check_unpenalised(["age"], facts)
    ('age',)
    """
    if value is None:
        return ()
    names = [column.name for column in facts.columns]
    listed = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    # A shell has texts for the numbers of columns, too.
    by_text = {str(name): name for name in names} | {name: name for name in names}
    chosen = [by_text.get(name, name) if isinstance(name, str) else name for name in listed]
    if facts.image_shape is not None or facts.inputs:
        raise ParameterError("unpenalised must be None unless X is a table of columns")
    # True is 1 to Python: a mask of columns would be taken for numbers of columns.
    is_mask = any(type(name).__name__ in ("bool", "bool_") for name in listed)
    unknown = [name for name in chosen if not isinstance(name, Hashable) or name not in names]
    if is_mask or unknown or len(set(chosen)) >= len(names):
        shown = ", ".join(map(repr, names[:20])) + (", …" if len(names) > 20 else "")
        raise ParameterError(
            f"unpenalised must be a list of some of the features of X ({shown}), got {value!r}; leave at "
            "least one that a penalty acts on"
        )
    return tuple(name for name in names if name in chosen)


def about_free(columns: tuple[str | int, ...], facts: DataFacts) -> Note:
    """Return the note on columns that no penalty acts on.

    >>> from regadvisor.records import DataFacts
    >>> facts = DataFacts(container="frame", task="regression", n_rows=9, columns=())
    >>> about_free(("age",), facts).text[:30]
    'No penalty acts on age: in fro'
    """
    names = joined(map(titled, columns))
    text = (
        f"No penalty acts on {names}: in front of the model {agreed(len(columns), 'it is', 'they are')} "
        "multiplied by 10,000, so weights are that much smaller there."
    )
    return Note(code="unpenalised", text=text)

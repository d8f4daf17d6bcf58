"""All checks, in the order in which their warnings are shown."""

from __future__ import annotations

from regadvisor.data.table import Table
from regadvisor.records import Note
from regadvisor.traps.alone import coded, near_leaks
from regadvisor.traps.extremes import extreme_features, odd_target
from regadvisor.traps.identifiers import identifiers, notes_on_identifiers
from regadvisor.traps.leaks import leaks
from regadvisor.traps.made_of_target import made_of_target
from regadvisor.traps.made_rows import made_rows
from regadvisor.traps.no_values import for_missing
from regadvisor.traps.separable import separable
from regadvisor.traps.shared_rows import shared_rows
from regadvisor.traps.view import View


def find_traps(
    table: Table, *, seed: int, may_grow: bool = True, is_squared: bool = True
) -> tuple[Note, ...]:
    """Return warnings about the data, the worst first.

    `table`: all rows. `seed`: draws the rows that are looked at where there are too many. `may_grow`:
    whether a linear model with log loss is asked about. A network's training ends before weights grow for
    ever, and other losses have a lowest value, so nothing is said of separable classes. `is_squared`: whether
    it has a squared loss (of numbers).
    """
    view = View.of(table, seed=seed)
    numbered = identifiers(view)
    leaked = leaks(view, seed=seed, numbered=numbered)
    shared, source = shared_rows(view, seed=seed, numbered=numbered)
    no_values, stand_ins, is_in_target = for_missing(view)
    leaked = leaked or (() if is_in_target else made_of_target(view, seed=seed))
    if not leaked:
        leaked = near_leaks(view, seed=seed, told=(*source, *numbered))
    extremes = extreme_features(view, seed=seed, without=stand_ins)
    extremes += () if is_in_target else odd_target(view, is_squared=is_squared)
    return (
        *leaked,
        *shared,
        *made_rows(view, seed=seed),
        *notes_on_identifiers(view, numbered),
        *coded(view, told=source),
        *no_values,
        *extremes,
        *(separable(view, seed=seed) if may_grow else ()),
    )

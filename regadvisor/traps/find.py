"""All checks, in the order in which their warnings are shown."""

from __future__ import annotations

from regadvisor.data.table import Table
from regadvisor.records import Note
from regadvisor.traps.extremes import extreme_features, odd_target
from regadvisor.traps.identifiers import identifiers
from regadvisor.traps.leaks import leaks
from regadvisor.traps.separable import separable
from regadvisor.traps.shared_rows import shared_rows
from regadvisor.traps.view import View


def find_traps(table: Table, *, seed: int, is_linear: bool = True) -> tuple[Note, ...]:
    """Return warnings about the data, the worst first.

    Parameters
    ----------
    table : Table
        All rows.
    seed : int
        Draws the rows that are looked at where there are too many.
    is_linear : bool, default True
        Whether a linear model is asked about. A network's training ends before weights grow for ever, so
        nothing is said of separable classes.
    """
    view = View.of(table, seed=seed)
    return (
        *leaks(view, seed=seed),
        *shared_rows(view, seed=seed),
        *identifiers(view),
        *extreme_features(view, seed=seed),
        *odd_target(view),
        *(separable(view, seed=seed) if is_linear else ()),
    )

"""Silencing one kind of warning of a library, in any number of threads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ignoring(category: type[Warning]) -> Iterator[None]:
    """Ignore one category of warnings inside the block.

    ``warnings.catch_warnings`` swaps the list of filters for a copy and puts the old one back. Two threads
    that leave in the other order than they entered then leave the copy behind, with its "ignore" in it. This
    adds a filter to the list and removes it from the same list, which any order of threads survives.

    >>> before = list(warnings.filters)
    >>> with ignoring(UserWarning):
    ...     warnings.warn("not seen", UserWarning)
    >>> list(warnings.filters) == before
    True
    """
    # Typed as a sequence, but the documented functions insert into it as well.
    filters: list[object] = warnings.filters  # type: ignore[assignment]
    own = ("ignore", None, category, None, 0)
    filters.insert(0, own)
    try:
        yield
    finally:
        filters.remove(own)

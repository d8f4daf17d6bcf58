"""How names and counts are written in messages about data."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[object], *, limit: int = 5) -> str:
    """Return names as people list them, at most `limit` of them.

    Examples
    --------
    >>> listed(["age", "sex"])
    "'age' and 'sex'"
    >>> listed([3])
    '3'
    >>> listed(["a", "b", "c", "d"], limit=2)
    "'a', 'b' and 2 more"
    """
    shown = [repr(name) for name in names[:limit]]
    if len(names) > limit:
        return ", ".join(shown) + f" and {len(names) - limit} more"
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + f" and {shown[-1]}"


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> counted(1, "row"), counted(1200, "row"), counted(2, "class", "classes")
    ('1 row', '1,200 rows', '2 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"

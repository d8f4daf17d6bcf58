"""Numbers, counts and names as people write them, the same in every reason, report and error."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence

#: A loss that is higher by more times is not told in percent.
MOST_TIMES = 9.0
#: Characters of a name or value in a message.
_LONGEST = 80
#: Words that stand for a missing value more often than for a category, in small letters.
_MISSING_WORDS = {
    *("", "?", "-", "--", ".", "..", "\\n", "0000-00-00"),
    *("na", "n/a", "n.a.", "#n/a", "<na>", "nan", "nat", "none", "null", "(null)"),
    *("missing", "unknown", "not available", "k.a.", "keine angabe"),
    *("#value!", "#div/0!", "#ref!", "#name?", "#num!", "#null!"),  # of a spreadsheet
}


def number(value: float, digits: int = 3) -> str:
    """Return `value` with three significant digits, or as many as are asked for.

    >>> number(0.000312), number(0.0000305), number(1234.6), number(12.0), number(0)
    ('0.000312', '3.05e-5', '1,235', '12', '0')
    >>> number(21.4, 1), number(9.6, 1), number(214.0, 2)
    ('20', '10', '210')
    """
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.3g}".replace("e+0", "e").replace("e+", "e")
    text = f"{value:.{digits}g}"
    if "e+" in text:  # whole tens and hundreds, not a power of ten
        return f"{float(text):,.0f}"
    return text.replace("e-0", "e-")


def percent(share: float) -> str:
    """Return a share as a percentage of two digits, and of one decimal at most.

    >>> percent(0.2416), percent(0.0061), percent(0.00042), percent(3.2), percent(0.9968)
    ('24%', '0.6%', '0%', '320%', '99.6%')
    """
    value = 100.0 * abs(share)
    if 99.5 <= value < 100:  # not yet all of it
        return f"{math.floor(10 * value) / 10}%"
    if value >= 10:
        return f"{value:,.0f}%"
    return f"{value:.1f}%" if value >= 0.05 else "0%"


def part_of(difference: float, loss: float) -> str:
    """Return how much a difference of losses is of a loss, without its sign.

    As a percentage; the difference itself where the loss is below 0 or too small for one.

    >>> part_of(-0.05, 0.4), part_of(0.05, 0.0001), part_of(0.5, -2.0)
    ('12%', '0.05', '0.5')
    """
    if loss <= 0 or abs(difference) > MOST_TIMES * loss:
        return number(abs(difference))
    return percent(max(difference / loss, -1.0))  # no more than all of it can go


def between(low: float, high: float, loss: float, *, words: tuple[str, str] = ("lower", "higher")) -> str:
    """Return an interval of a difference of losses in words; negative is the first word.

    >>> between(-0.04, 0.02, 1.0), between(-0.04, -0.02, 1.0)
    ('between 4.0% lower and 2.0% higher', 'between 2.0% and 4.0% lower')
    >>> between(0.01, 0.02, 1.0, words=("better", "worse")), between(-0.0001, 0.02, 1.0)
    ('between 1.0% and 2.0% worse', 'at most 2.0% higher')
    >>> between(-0.0001, 0.0002, 1.0)
    'at most 0.1% lower or higher'
    """
    if max(-low, high) > MOST_TIMES * loss:  # both ends in one unit
        loss = 0.0
    first, last = part_of(low, loss), part_of(high, loss)
    if first == last == "0%":
        return f"at most 0.1% {words[0]} or {words[1]}"
    if "0%" in (first, last):  # as good as an end at 0
        is_lower = last == "0%"
        return f"at most {first if is_lower else last} {words[not is_lower]}"
    if (low < 0) != (high < 0):
        return f"between {first} {words[0]} and {last} {words[1]}"
    return f"between {last} and {first} {words[0]}" if low < 0 else f"between {first} and {last} {words[1]}"


def spread(difference: float, least: float, most: float, loss: float, *, mass: float) -> str:
    """Return how far a difference of losses may be from its mean; each end holds with `mass`.

    "Likely" is the report's word for that mass.

    >>> spread(-0.1, -0.16, -0.04, 1.0, mass=0.8), spread(0.03, 0.02, 0.04, 1.0, mass=0.8)
    ('likely at least 4.0%', 'likely at least 2.0%')
    >>> spread(-0.01, -0.04, 0.02, 1.0, mass=0.8)
    '60% interval: 4.0% lower to 2.0% higher'
    """
    nearest = most if difference < 0 else least
    if (nearest < 0) == (difference < 0) and part_of(nearest, loss) not in ("0", "0%"):
        return f"likely at least {part_of(nearest, loss)}"
    return interval(least, most, loss, mass=mass)


def interval(least: float, most: float, loss: float, *, mass: float) -> str:
    """Return an interval of a difference of losses, each end of which holds with `mass`.

    >>> interval(-0.04, -0.02, 1.0, mass=0.8)
    '60% interval: 2.0% to 4.0% lower'
    """
    said = between(least, most, loss).removeprefix("between ").replace(" and ", " to ")
    return f"{2 * mass - 1:.0%} interval: {said}"


def seconds(value: float) -> str:
    """Return a time in seconds as people say it.

    >>> seconds(0.004), seconds(3.21), seconds(12.4), seconds(200), seconds(3900)
    ('under 0.1 s', '3.2 s', '12 s', '3 min 20 s', '1 h 5 min')
    """
    if not math.isfinite(value):
        return "an unknown time"
    if value < 0.05:
        return "under 0.1 s" if value else "0 s"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def about(n: int) -> str:
    """Return a count that is only roughly known, with two digits.

    >>> about(3448), about(87), about(1_642_000)
    ('3,400', '87', '1,600,000')
    """
    digits = max(len(str(abs(n))) - 2, 0)
    return f"{round(n, -digits):,}"


def capital(text: str) -> str:
    """Return `text` with a capital first letter.

    >>> capital("dropout+L2 wins")
    'Dropout+L2 wins'
    """
    return text[:1].upper() + text[1:]


def shown(name: object) -> str:
    """Return one name or value as people write it: NumPy's numbers as plain ones.

    >>> import numpy as np
    >>> shown(np.int64(17)), shown("age")
    ('17', "'age'")
    """
    is_numpy = type(name).__module__ == "numpy" and getattr(name, "shape", None) == ()
    text = repr(name.item() if is_numpy else name)  # type: ignore[attr-defined]
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def titled(name: str | int) -> str:
    """Return the name of a column, of an array as scikit-learn has it.

    >>> titled("age"), titled(3)
    ('age', 'x3')
    """
    return name if isinstance(name, str) else f"x{name}"


def listed(names: Sequence[object], *, limit: int = 5) -> str:
    """Return names as people list them, at most `limit` of them.

    >>> listed(["age", "sex"])
    "'age' and 'sex'"
    >>> listed([3])
    '3'
    >>> listed(["a", "b", "c", "d"], limit=2)
    "'a', 'b' and 2 more"
    """
    return joined([shown(name) for name in names], most=limit)


def joined(texts: Iterable[str], *, most: int = 8) -> str:
    """Return texts as people list them; of more than `most` only the first are named.

    >>> joined(["L2", "L1", "dropout"]), joined("abcd", most=2)
    ('L2, L1 and dropout', 'a, b and 2 more')
    """
    items = list(texts)
    if len(items) > most:
        items = [*items[:most], f"{len(items) - most:,} more"]
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "class", "classes")
    ('1 row', '1,200 rows', '2 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def agreed(n: int, one: str, many: str) -> str:
    """Return the words that agree with a count.

    >>> agreed(1, "was", "were"), agreed(2, "it carries", "they carry")
    ('was', 'they carry')
    """
    return one if n == 1 else many


def level_text(value: object) -> str:
    """Return one category as text; whole floats lose their ``.0``.

    >>> level_text(3.0), level_text(3), level_text(2.5), level_text(b"male"), level_text(True)
    ('3', '3', '2.5', 'male', 'True')
    """
    if type(value) is str:  # of many levels nearly all
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    is_real = isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral)
    if is_real and (own := float(value)).is_integer():  # type: ignore[arg-type]
        return str(int(own))
    return str(value)


def means_missing(text: str) -> bool:
    """Whether a text probably stands for a missing value.

    >>> means_missing(" ? "), means_missing("N/A"), means_missing("no")
    (True, True, False)
    """
    return text.strip().casefold() in _MISSING_WORDS

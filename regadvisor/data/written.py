"""Numbers as people write them: ``"$1,234.50"``, ``"12.5%"``, ``"1.234,5"``, ``"72 kg"``, ``"1:30:00"``.

Texts of a column are numbers if every one is, in one way: the same sign of a currency, percent sign or unit
around all of them, the same decimal sign. ``"4 kg"`` beside ``"4 lb"`` are categories, as are codes: letters
in front of digits (``"Q1"``, ``"user17"``), leading zeros (``"0123"``), units behind a handful of values
(``"2WD"``, ``"4WD"``), and long groups of digits of one length (``"612 345 678"``). Only ``"950"``,
``"1.2K"`` and ``"3M"`` mean one thing together, as do degrees north and south.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regadvisor.thresholds import FEWEST_WITH_UNIT

DecimalSign: TypeAlias = Literal[".", ","]
#: A point before three digits may stand between thousands; beside a decimal comma it does.
THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?")

#: A sign, what stands in front, the number, and what stands behind: a unit (kg, m², km/h) or one sign.
_PARTS = re.compile(
    r"([-+\u2212]?) ?([A-Z]{3} |Rs\.? ?|[A-Z]{1,2}\$ ?|[^\w\s]?) ?([-+\u2212]?)(\d[\d.,' ]*|\.\d+) ?"
    r"((?:°?[^\W\d_]+[²³]?(?:/[^\W\d_]+[²³]?)?|[^\w\s])?)"
)
#: Without leading zeros, in groups of three or in none; the comma as decimal sign, or between groups.
_NUMBER: dict[DecimalSign, re.Pattern[str]] = {
    ".": re.compile(
        r"(?:0|[1-9]\d{0,2}(?:([,' ])\d{3})(?:\1\d{3})*|[1-9]\d?(?:,\d\d)+,\d{3}|[1-9]\d*)?(?:\.\d*)?"
    ),
    ",": re.compile(r"(?:0|[1-9]\d{0,2}(?:([.' ])\d{3})(?:\1\d{3})*|[1-9]\d*)(?:,\d*)?"),
}
#: Groups of digits with no sign that says that they are an amount.
_GROUPS = re.compile(r"\d+(?:[. ]\d+){2,}")
_PERCENT = "%‰"
#: Hours and minutes (or minutes and seconds) and what is smaller; days in front as pandas writes them.
_CLOCK = re.compile(r"(?:(\d+) days? (\+)?)?(\d{1,4}):([0-5]\d)(?::([0-5]\d(?:[.,]\d+)?))?")
_POWER_OF_TEN = re.compile(r"\s*[-+]?\d*[.,]?\d+[eE][-+]?\d+\s*")
#: Letters for powers of ten; they change from row to row with the size of the number.
_POWERS = {"": 1.0, "k": 1e3, "m": 1e6, "mn": 1e6, "mio": 1e6, "b": 1e9, "bn": 1e9, "mrd": 1e9}
#: Without thousands between them, these are metres and house numbers.
_NO_POWERS = ({"", "m"}, {"", "b"})
#: These are nothing else: a column of "950K" alone may meet "950" and "1.2M" later.
_ONLY_POWERS = {"k", "mn", "mio", "bn", "mrd"}
#: What stands behind numbers with such letters.
_SCALED = "K or M"
_SIDES = {"°n": 1.0, "°s": -1.0, "°e": 1.0, "°w": -1.0}
#: Three letters in front of a number are a currency if they are one of these; "SKU 1001" is a code.
_CURRENCIES = (
    *("USD", "EUR", "GBP", "JPY", "CNY", "CHF", "CAD", "AUD", "NZD", "INR", "BRL", "MXN", "ARS", "CLP"),
    *("COP", "KRW", "HKD", "SGD", "TWD", "THB", "IDR", "MYR", "PHP", "VND", "SEK", "NOK", "DKK", "PLN"),
    *("CZK", "HUF", "RON", "TRY", "RUB", "UAH", "ILS", "AED", "SAR", "EGP", "ZAR", "NGN", "KES"),
    *("Rs", "Rs."),
)
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009\u2007", " ") | {"\u2212": "-", "\u2019": "'"})


class Way(NamedTuple):
    """How the numbers of a column are written: what stands around them, and their decimal sign."""

    before: str = ""
    after: str = ""
    decimal: DecimalSign = "."

    @property
    def unit(self) -> str:
        """What stands around the numbers, as part of a sentence: ``" in kg"``; nothing where nothing does."""
        return f" in {self.before or self.after}" if self.before or self.after else ""


def written_numbers(
    texts: Sequence[object], way: Way | None = None, *, may_be_codes: bool = True
) -> tuple[NDArray[np.float64], Way] | None:
    """Return the numbers that texts are, and how they are written; None unless every one is written so.

    `way`: how, if it is known (of few texts the decimal sign may not show); then plain numbers are, too.
    `may_be_codes`: False where they are known to be numbers.

    >>> numbers, way = written_numbers(["$1,234.50", "-$3", "($20)"])
    >>> numbers.tolist(), way
    ([1234.5, -3.0, -20.0], Way(before='$', after='', decimal='.'))
    >>> written_numbers(["1.234,5 €", "3,25 €"])[0].tolist()
    [1234.5, 3.25]
    >>> written_numbers(["$7"], Way(before="€")), written_numbers(["7"], Way(before="€"))[0].tolist()
    (None, [7.0])
    >>> [written_numbers(column) for column in (["Q1", "Q2"], ["2WD", "4WD"], ["007", "12"], ["1-2", "3-4"])]
    [None, None, None, None]
    """
    split = [_split(text) for text in texts]
    if not split or not all(split):
        return None
    factors, befores, digits, afters = zip(*(parts for parts in split if parts), strict=True)
    is_scaled = len(set(afters)) > 1 or set(afters) <= _ONLY_POWERS if way is None else way.after == _SCALED
    if is_scaled:
        if not set(afters) <= _POWERS.keys() or (way is None and set(afters) in _NO_POWERS):
            return None
        factors = tuple(own * _POWERS[power] for own, power in zip(factors, afters, strict=True))
        afters = (_SCALED,) * len(afters)
    around = set(zip(befores, afters, strict=True))
    if way is None:
        if len(around) > 1 or not _is_unit(befores[0], afters[0]):
            return None
        if may_be_codes and _are_codes(digits, afters[0], is_bare=around == {("", "")}):
            return None
        decimal = next((sign for sign in _NUMBER if _all_are(digits, sign)), None)
        way = None if decimal is None else Way(befores[0], afters[0], decimal)
    elif not around <= {way[:2], ("", ""), ("", way.after)} or not _all_are(digits, way.decimal):
        return None
    if way is None:
        return None
    plain = "\n".join(digits)  # all at once: a call for each takes as long as reading them
    for sign in "' ," if way.decimal == "." else "' .":
        plain = plain.replace(sign, "")
    return np.array(factors) * [float(each) for each in plain.replace(",", ".").split("\n")], way


def written_around(text: str) -> tuple[str, str] | None:
    """Return what stands in front of a number and behind it; None if a text is none, or a code.

    >>> written_around("4.5 kg"), written_around("-3e5"), written_around("<5"), written_around("007")
    (('', 'kg'), ('', ''), None, None)
    """
    parts = _split(text)
    if parts is None:
        return ("", "") if _POWER_OF_TEN.fullmatch(text) else None
    _, before, digits, after = parts
    is_number = _is_unit(before, after) and any(_all_are([digits], sign) for sign in _NUMBER)
    return (before, after) if is_number else None


def _split(text: object) -> tuple[float, str, str, str] | None:
    """Return 1 or -1, what stands in front, the number as written, and what stands behind it."""
    if not isinstance(text, str):
        return None
    bare = (text if text.isascii() else text.translate(_SPACES)).strip()
    is_negative = bare.startswith("(") and bare.endswith(")")  # as accountants write it
    found = _PARTS.fullmatch(bare[1:-1] if is_negative else bare)
    if found is None:
        return _clock(bare)
    first, before, second, digits, after = found.groups()
    if bool(first) + bool(second) + (after == "-") > 1:
        return None
    after = after.casefold()
    sign = _SIDES.get(after, 1.0)
    if after in _SIDES or after == "-":  # "12-" is what SAP makes of -12
        after = "°" * (after != "-")
    if is_negative or "-" in (first, second, found[5]):
        sign = -sign
    # "3 years" and "1 year" are one unit.
    return sign, before.strip(), digits.strip(), after.removesuffix("s")


def _clock(bare: str) -> tuple[float, str, str, str] | None:
    """Return a time on a clock, or a duration, as a number in units of what its first part counts."""
    found = _CLOCK.fullmatch(bare.removeprefix("-")) if ":" in bare else None
    if found is None:
        return None
    days, _, first, second, third = ((part or "0").replace(",", ".") for part in found.groups())
    value = float(first) + float(second) / 60.0 + float(third) / 3600.0
    is_negative = bare.startswith("-")
    # "-1 days +23:00:00" is what pandas makes of -1:00:00.
    value = 24.0 * float(days) + (-value if is_negative and found[2] else value)
    is_negative ^= value < 0
    return -1.0 if is_negative else 1.0, "", f"{abs(value):.9f}", "h:mm:s" if found[5] else "h:mm"


def _is_unit(before: str, after: str) -> bool:
    """Return whether what stands around a number may be a currency, a percent sign or a unit."""
    if before and not (before in _CURRENCIES or _is_currency(before)):
        return False
    if not after or after in _PERCENT or _is_currency(after):
        return True
    return after[-1] in "°²³" or after[-1].isalpha()


def _are_codes(digits: Sequence[str], after: str, *, is_bare: bool) -> bool:
    """Return whether numbers in a known unit, or in none, are codes rather."""
    if after[-1:].isalpha() or after[-1:] in ("°", "²", "³"):
        return len(set(digits)) < FEWEST_WITH_UNIT
    # Phone numbers, addresses in a network, numbers of firms.
    if not is_bare or not all(map(_GROUPS.fullmatch, digits)):
        return False
    lengths = {sum(map(str.isdigit, each)) for each in digits}
    return len(lengths) == 1 and min(lengths) >= 9


def _is_currency(sign: str) -> bool:
    return sign != "" and unicodedata.category(sign[-1]) == "Sc" and (sign[:-1].isupper() or len(sign) == 1)


def _all_are(digits: Sequence[str], decimal: DecimalSign) -> bool:
    return all(each not in ("", ".") and _NUMBER[decimal].fullmatch(each) for each in digits)

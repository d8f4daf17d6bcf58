"""What is odd about columns and labels, and what was done about it, as notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.dates import FoundDates, find_dates
from regadvisor.data.levels import Label, Levels, alike
from regadvisor.data.written import written_around
from regadvisor.errors import DataError
from regadvisor.records import FREE_TEXT, Column, Note
from regadvisor.words import agreed, counted, listed, means_missing, shown

if TYPE_CHECKING:
    from regadvisor.data.frames import FrameColumn

Name = str | int
#: Columns and pairs that a note names.
_MOST_NAMED = 5
#: Rows by which a column that holds no numbers is told at once.
_N_PROBED = 200
#: Values whose words are counted.
_MOST_READ = 1_000


def notes_on_reading(names: Sequence[Name], read: Sequence[FrameColumn]) -> tuple[Note, ...]:
    """Return notes about columns that were read as something else than they came as."""
    notes = []
    numbers = [name for name, column in zip(names, read, strict=True) if column.doubt == "parsed-as-numbers"]
    if numbers:
        what = agreed(len(numbers), "holds numbers and is", "hold numbers and are")
        text = (
            f"{counted(len(numbers), 'column')} came as objects or text but {what} used as numbers: "
            f"{listed(numbers)}."
        )
        notes.append(Note(code="parsed-as-numbers", text=text))
    mixed = [name for name, column in zip(names, read, strict=True) if column.doubt == "mixed-types"]
    if mixed:
        mix, are = agreed(len(mixed), "mixes", "mix"), agreed(len(mixed), "is", "are")
        text = (
            f"{counted(len(mixed), 'column')} {mix} numbers, text or other types and {are} used as "
            f"categories: {listed(mixed)}."
        )
        notes.append(Note(code="mixed-types", text=text))
    return (*notes, *_notes_on_dates(names, read))


def _notes_on_dates(names: Sequence[Name], read: Sequence[FrameColumn]) -> list[Note]:
    found = [
        (name, column.dates) for name, column in zip(names, read, strict=True) if column.dates is not None
    ]
    if not found:
        return []
    orders = [f"{shown(name)}{_how(dates)}" for name, dates in found[:_MOST_NAMED]]
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    are_digits = any(dates.example.isdigit() for _, dates in found)
    text = (
        f"{counted(len(found), 'column')} of text or numbers {agreed(len(found), 'was', 'were')} read as "
        f"dates: {', '.join(orders)}{more}.{' Put a letter in front if these are codes.' * are_digits}"
    )
    notes = [Note(code="parsed-dates", text=text)]
    for name, dates in found:
        if dates.is_ambiguous:
            other = "yearfirst=False" if dates.order == "ymd" else f"dayfirst={dates.order == 'mdy'}"
            text = (
                f"the dates in {shown(name)}, such as {shown(dates.example)}, can be read in two ways and "
                f"are read {dates.words}; if that is wrong, write them as 2024-05-31, or pass "
                f"pandas.to_datetime(X[{shown(name)}], {other})."
            )
            notes.append(Note(code="ambiguous-dates", text=text))
        if dates.n_unread:
            text = (
                f"{counted(dates.n_unread, 'value')} in {shown(name)} {agreed(dates.n_unread, 'is', 'are')} "
                f"no date and {agreed(dates.n_unread, 'counts', 'count')} as missing, as in "
                f"{shown(dates.example)}."
            )
            notes.append(Note(code="unread-dates", text=text))
    return notes


def _how(dates: FoundDates) -> str:
    how = [dates.words] * dates.is_open + ["two-digit years as 1969 to 2068"] * dates.has_short_years
    return f" ({', '.join(how)})" if how else ""


def notes_on_columns(
    columns: Sequence[Column],
    levels: Mapping[Name, Levels],
    copies: Sequence[tuple[Name, Name]],
    missing: Sequence[Name],
) -> tuple[Note, ...]:
    """Return notes about columns that carry nothing, repeat others or have odd levels.

    `levels`: of the categorical columns. `missing`: columns without any value.
    """
    notes = []
    constant = [column.name for column in columns if column.is_constant and column.name not in set(missing)]
    for code, names, what in (
        ("all-missing-columns", missing, "no value at all"),
        ("constant-columns", constant, "a single value"),
    ):
        if names:
            carry = agreed(len(names), "it carries", "they carry")
            have = agreed(len(names), "has", "have")
            text = f"{counted(len(names), 'column')} {have} {what}: {listed(names)}; {carry} nothing."
            notes.append(Note(code=code, text=text))
    if copies:
        pairs = ", ".join(f"{copy!r} = {first!r}" for first, copy in copies[:_MOST_NAMED])
        more = f" and {len(copies) - _MOST_NAMED} more" if len(copies) > _MOST_NAMED else ""
        are = agreed(len(copies), "is", "are")
        text = f"{counted(len(copies), 'column')} {are} exactly equal to an earlier column: {pairs}{more}."
        notes.append(Note(code="duplicate-columns", text=text))
    almost = {name: told for name, level in levels.items() if (told := _almost_numbers(name, level))}
    if almost:
        also = f" So it is with {listed(list(almost)[1:])}." if len(almost) > 1 else ""
        text = next(iter(almost.values())) + also
        notes.append(Note(code="almost-numbers", text=text, is_warning=True))
    unlike = [name for name, level in levels.items() if name not in almost and _looks_like_id(level)]
    prose = [name for name in unlike if _is_prose(levels[name])]
    ids = [name for name in unlike if name not in prose]
    if ids:
        text = (
            f"almost every row has a value of its own in {listed(ids)}: an identifier teaches a model "
            "nothing about new rows; leave it out or turn it into features."
        )
        notes.append(Note(code="looks-like-id", text=text, is_warning=True))
    if prose:
        steps = f"make_column_transformer((TfidfVectorizer(), {prose[0]!r}), remainder='passthrough')"
        them = agreed(len(prose), "it out, or use its", "them out, or use their")
        text = (
            f"{listed(prose)} {agreed(len(prose), 'holds', 'hold')} names or sentences, and their words are "
            f"not read: as a whole they teach nothing about new rows. Leave {them} words with steps of your "
            f"own, such as model=make_pipeline({steps}, LogisticRegression()), or with Ridge() for a number."
        )
        notes.append(Note(code=FREE_TEXT, text=text, is_warning=True))
    return (*notes, *_odd_levels({name: level for name, level in levels.items() if name not in unlike}))


def _almost_numbers(name: Name, levels: Levels) -> str | None:
    """Return a warning about a column that a few texts keep from being one of numbers."""
    if len(levels.texts) < thresholds.ALMOST_DIFFERENT:
        return None
    present = levels.codes[levels.codes >= 0]
    probed = np.random.default_rng(0).integers(len(present), size=_N_PROBED)  # every so many may be alike
    some = levels.texts[present[probed]].tolist()
    if sum(written_around(text) is not None for text in some) < thresholds.ALMOST_NUMBERS / 2 * len(some):
        return None
    texts, rows = levels.texts.tolist(), np.bincount(present).tolist()
    around = [None if means_missing(text) else written_around(text) for text in texts]
    n_rows: Counter[tuple[str, str]] = Counter()
    for each, own in zip(around, rows, strict=True):
        if each is not None:
            n_rows[each] += own
    unit, n_numbers = n_rows.most_common(1)[0] if n_rows else (None, 0)
    others: dict[str | tuple[str, str], str] = {}  # of numbers in another unit one
    n_others = 0
    for text, each, own in zip(texts, around, rows, strict=True):
        if each != unit and not means_missing(text):
            others.setdefault(each or text, text)
            n_others += own
    n_all = n_numbers + n_others
    is_few = len(others) <= thresholds.ALMOST_MOST_TEXTS or n_others <= thresholds.ALMOST_MOST_ROWS * n_all
    is_mostly = n_rows.total() >= thresholds.ALMOST_NUMBERS * n_all
    if not others or not is_few or not is_mostly or around.count(unit) < thresholds.ALMOST_DIFFERENT:
        return None
    such = f" such as {shown(texts[around.index(unit)])}" if any(unit or ()) else ""
    do = "Write them all as numbers, in one unit, and None where one is missing."
    is_odd = [each != unit and not means_missing(text) for text, each in zip(texts, around, strict=True)]
    last = int(np.flatnonzero(np.array([*is_odd, False])[levels.codes])[-1])
    if last < thresholds.MOST_MORE_NAMES:
        do = f"Are they more names, or units? Leave the first {counted(last + 1, 'row')} out."
    elif any("total" in str(text).casefold() for text in others.values()):
        do = "Leave rows of totals out."
    return (
        f"{shown(name)} holds numbers{such} in {n_numbers:,} of {counted(n_all, 'row')}, but also "
        f"{listed(list(others.values()), limit=3)}, so each of its values is a category of its own. {do}"
    )


def _looks_like_id(levels: Levels) -> bool:
    n_present = int((levels.codes >= 0).sum())
    return len(levels.texts) > max(thresholds.FEWEST_LEVELS_OF_ID, thresholds.ID_LEVEL_SHARE * n_present)


def _is_prose(levels: Levels) -> bool:
    """Whether most values are of several words."""
    n_words = [len(str(text).split()) for text in levels.texts[:_MOST_READ]]
    return median(n_words) >= thresholds.FEWEST_WORDS_OF_PROSE


def _odd_levels(levels: Mapping[Name, Levels]) -> list[Note]:
    """Return notes about levels that may be one, and levels that may be missing values."""

    def told(found: Mapping[Name, list[str]]) -> str:
        shown_first = list(found.items())[:_MOST_NAMED]
        return "; ".join(f"{listed(texts)} in {shown(name)}" for name, texts in shown_first)

    notes = []
    same = {name: groups[0] for name, level in levels.items() if (groups := alike(level.texts.tolist()))}
    if same:
        text = (
            f"categories that differ only in how they are written: {told(same)}. Each is a category of its "
            "own; write them alike if they are one."
        )
        notes.append(Note(code="levels-alike", text=text))
    words = {name: _unknown(level.texts.tolist()) for name, level in levels.items()}
    words = {name: found for name, found in words.items() if found}
    if words:
        text = (
            f"categories that probably stand for missing values: {told(words)}. Each is a category of its "
            "own; pass None if the value is missing."
        )
        notes.append(Note(code="levels-missing", text=text))
    return notes


def _unknown(texts: Sequence[Label]) -> list[str]:
    """Return the texts that probably stand for missing values.

    "none" is a class of its own as often as not: no injury, no damage. So is "-" beside "+".

    >>> _unknown(["-", "a", "?"]), _unknown(["-", "+"]), _unknown(["none", "mild", 3])
    (['-', '?'], [], [])
    """
    plain = {text: text.strip().casefold() for text in texts if isinstance(text, str)}
    own = {"none", *("-" for text in plain.values() if text == "+")}
    return [text for text, word in plain.items() if means_missing(word) and word not in own]


def check_labels(classes: Sequence[Label], values: pd.Series[Any]) -> None:
    """Raise DataError if labels hardly repeat."""
    n_rows = len(values)
    if len(classes) <= max(thresholds.GUESS_MOST_CLASSES, n_rows / thresholds.FEWEST_ROWS_PER_CLASS):
        return
    if find_dates(values) is not None:
        raise DataError(
            f"y must be numbers or labels that repeat, got dates, as in {listed(classes[:2])}; predict a "
            "number instead, such as the days since a fixed date"
        )
    do = "convert y to numbers if it is a number, or pass task='classification'"
    if all(isinstance(label, str) and label.isdecimal() for label in classes):  # with leading zeros
        do = "pass task='regression' if it is a number, or task='classification'"
    raise DataError(
        f"y must be numbers or labels that repeat, got {len(classes):,} different labels in "
        f"{n_rows:,} rows, as in {listed(classes[:2])}; {do}"
    )


def notes_on_labels(classes: Sequence[Label], counts: NDArray[np.intp]) -> tuple[Note, ...]:
    """Return notes about labels that may be one, may be missing values, or have a single row.

    `counts` (n_classes,): rows of each.
    """
    return (*_odd_labels(classes, counts), *_rare(classes, counts))


def _odd_labels(classes: Sequence[Label], counts: NDArray[np.intp]) -> tuple[Note, ...]:
    """Return warnings about labels that may be one, and labels that may be missing values."""
    n_rows = dict(zip(classes, counts.tolist(), strict=True))

    def told(labels: Sequence[Label]) -> str:
        return ", ".join(f"{shown(label)} ({counted(n_rows[label], 'row')})" for label in labels)

    notes = []
    if groups := alike(classes):
        more = f", and {len(groups) - _MOST_NAMED} more of them" if len(groups) > _MOST_NAMED else ""
        text = (
            f"labels that differ only in how they are written: {'; '.join(map(told, groups[:_MOST_NAMED]))}"
            f"{more}. Each is a class of its own; write them alike if they are one."
        )
        # Typing errors do not come in equal numbers: such spellings were made on purpose.
        are_meant = all(len({n_rows[label] for label in own}) == 1 < n_rows[own[0]] - 1 for own in groups)
        notes.append(Note(code="labels-alike", text=text, is_warning=not are_meant))
    if unknown := _unknown(classes):
        text = (
            f"labels that probably stand for a missing target: {told(unknown)}. Such rows are a class of "
            "their own; pass None if the target is missing."
        )
        notes.append(Note(code="labels-missing", text=text, is_warning=True))
    return tuple(notes)


def _rare(classes: Sequence[Label], counts: NDArray[np.intp]) -> tuple[Note, ...]:
    n_outside = int(counts.sum() - counts.max())
    if n_outside < thresholds.FEWEST_OUTSIDE_LARGEST <= counts.max():
        rows = agreed(n_outside, "row is", "rows are")
        text = (
            f"only {n_outside} {rows} not of class {shown(classes[int(np.argmax(counts))])}: too few to tell "
            "what they have in common."
        )
        return (Note(code="rare-class", text=text, is_warning=True),)
    single = [label for label, count in zip(classes, counts, strict=True) if count == 1]
    if not single:
        return ()
    text = (
        f"{counted(len(single), 'class', 'classes')} with a single row: {listed(single)}; such a class "
        "cannot be both learned and checked."
    )
    return (Note(code="rare-class", text=text),)

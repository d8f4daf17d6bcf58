"""CSV and JSON lines as frames: separators, encodings and missing values."""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count, takewhile
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from regadvisor import thresholds
from regadvisor.data.written import THOUSANDS
from regadvisor.errors import DataError
from regadvisor.records import Note
from regadvisor.words import agreed, counted, listed

Parsed = tuple[pd.DataFrame, tuple[Note, ...]]

#: What stands for a missing value besides the words that pandas knows, and these words.
ALSO_MISSING = ("?",)
MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", *ALSO_MISSING),
)

_SEPARATORS = (",", ";", "\t", "|")
#: Lines by which the separator is found.
_N_SNIFFED_LINES = 50
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_DECIMAL_POINT = re.compile(r"-?\d+\.\d+")
_CODE = re.compile(r"\s*0\d+\s*")
_PLAIN_COMMA = re.compile(r"-?(?:0|[1-9]\d*)(?:,\d+)?")
#: The line above the header by which Excel is told the separator.
_SAID = re.compile(r'\s*"?sep=(.)"?\s*', re.IGNORECASE)


def parse_csv(content: bytes, name: str) -> Parsed:
    """Return the table in the bytes of a CSV file; `name` is what messages call the file.

    Raises DataError if the text is no table with a line of column names.

    >>> parse_csv(b"a\\tb\\n1\\t?\\n", "example")[0].isna().to_numpy().tolist()
    [[False, True]]
    """
    text, _, notes = _decoded(content, name)
    form = _form(text, name)
    separator, header, is_comma = form.separator, form.header, form.has_decimal_comma
    rows = io.StringIO(text)
    for _ in range(form.n_above):
        rows.readline()
    try:
        with warnings.catch_warnings():
            # Lines longer than the header are cut with no more than a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                rows,
                sep=separator,
                header=0,
                names=header,
                skiprows=range(1, form.n_below + 1),
                # By number: by name pandas means all columns that the file calls so.
                dtype={header.index(code): str for code in form.codes},
                decimal="," if is_comma else ".",
                na_values=[*ALSO_MISSING],
                skipinitialspace=True,
                index_col=False,
                low_memory=False,
                on_bad_lines="error",
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        reason = str(error).replace("Error tokenizing data. C error: ", "").strip()
        raise DataError(
            f"{name} must be a table with as many fields in every line as there are column names "
            f"({len(header)}), got: {reason}; check for a damaged line or unquoted {separator!r}"
        ) from error
    for name_of, column in frame.items():
        # pandas leaves missing values as texts where a whole number has too many digits.
        if not is_numeric_dtype(column.dtype) and (is_missing := column.isin(MISSING)).any():
            present = column.mask(is_missing)
            frame[name_of] = present if present.notna().any() else present.astype(float)
    if is_comma:
        for name_of, column in frame.items():
            if not is_numeric_dtype(column.dtype):
                frame[name_of] = _without_points(column)
        notes += (Note(code="decimal-comma", text="Numbers were read with a decimal comma."),)
    return frame, (*notes, *notes_on_more_names(form.n_below))


def notes_on_more_names(n_below: int) -> tuple[Note, ...]:
    """Return a warning that lines below the names of the columns were left out, if any were."""
    if not n_below:
        return ()
    text = (
        f"{counted(n_below, 'line')} of text {agreed(n_below, 'was', 'were')} left out below the names of "
        "the columns, as numbers follow: more names, or units?"
    )
    return (Note(code="more-names", text=text, is_warning=True),)


@dataclass(frozen=True, kw_only=True)
class CsvForm:
    """How a CSV file is written: its columns' names, and lines above and below them that are no rows."""

    header: list[str]
    separator: str
    has_decimal_comma: bool
    #: Columns of numbers with leading zeros, all of them equally long, which are codes and stay text.
    codes: tuple[str, ...] = ()
    encoding: str = "utf-8-sig"
    n_above: int = 0
    n_below: int = 0


def csv_form(head: bytes, name: str) -> CsvForm:
    """Return how a CSV file is written, from its first bytes (whole lines).

    A column without a name gets its number, as pandas has it; so do names of rows, for which R writes no name
    at all.

    >>> form = csv_form(b"a; b\\n1,5;x\\n", "example")
    >>> form.header, form.separator, form.has_decimal_comma
    (['a', 'b'], ';', True)
    >>> csv_form(b"a,b\\n1,0.5,x\\n2,0.7,y\\n", "example").header
    ['Unnamed: 0', 'a', 'b']
    """
    text, encoding, _ = _decoded(head, name)
    return replace(_form(text, name), encoding=encoding)


def _form(text: str, name: str) -> CsvForm:
    above = _above_header(text)
    lines = _first_lines(text[len(above) :])
    said = _SAID.fullmatch(lines[0]) if lines else None
    if said:
        lines = lines[1:]
    if not lines:
        raise DataError(f"{name} must hold a table, got only empty lines")
    try:
        separator = said[1] if said else _separator(lines)
        first, *rows = _fields(lines, separator)
        written = _names(first, rows)
        is_comma = separator != "," and _has_decimal_comma(rows)
        if len(first) == 1 and len(rows) > 1:
            _check_no_title(first[0], lines[1:], name)
    except csv.Error as error:
        raise DataError(f"{name} must be a table of fields, got {error}; check its first lines") from error
    _check_header(written, name)
    header: list[str] = []
    for each in written:  # as pandas does
        others = (other for k in count(1) if (other := f"{each}.{k}") not in [*written, *header])
        header.append(next(others) if each in header else each)
    n_above, n_below = above.count("\n") + (said is not None), _more_names(rows)
    return CsvForm(
        header=header,
        separator=separator,
        has_decimal_comma=is_comma,
        codes=tuple(
            name_of
            for name_of, column in zip(header, zip(*rows[n_below:], strict=False), strict=False)
            if any(map(_CODE.fullmatch, column)) and len({len(own.strip()) for own in column if own}) == 1
        ),
        n_above=n_above,
        n_below=n_below,
    )


def _more_names(rows: list[list[str]]) -> int:
    """Return how many of the first rows hold question texts or units, where two columns of numbers follow."""
    columns = zip(*rows[thresholds.MOST_MORE_NAMES :], strict=False)
    below = [[own for own in column if own not in MISSING] for column in columns]
    numbers = [j for j, own in enumerate(below) if len(own) > 1 and all(map(_is_number, own))]

    def is_text(row: list[str]) -> bool:
        texts = [own for own in (row[j] for j in numbers if j < len(row)) if own not in MISSING]
        return len(texts) > 1 and not any(map(_is_number, row))

    return len(list(takewhile(is_text, rows[: thresholds.MOST_MORE_NAMES])))


def _fields(lines: list[str], separator: str) -> list[list[str]]:
    return [row for row in csv.reader(lines, delimiter=separator, skipinitialspace=True) if row]


def _above_header(text: str) -> str:
    """Return the first lines that are empty or begin with "#"; the header may begin with it, too."""
    above = "".join(takewhile(lambda line: line[0] in "#\r\n", io.StringIO(text, newline="")))
    below, last = _first_lines(text[len(above) :]), above.rstrip("\r\n").rpartition("\n")[2]
    rows = _fields([last, below[0]], _separator(below)) if below else []
    is_header = len(rows) == 2 and len(rows[0]) == len(rows[1])
    return above[: above.rindex(last)] if is_header else above


def _names(first: list[str], rows: list[list[str]]) -> list[str]:
    """Return the names of columns by the first line; where all others have a field more, that one, too."""
    names = [each.strip() for each in first]
    if len(rows) > 1 and all(len(row) == len(first) + 1 for row in rows):
        of_rows = [row[0] for row in rows]
        if not any(row[-1].strip() for row in rows):  # every line ends with a separator
            names = [*names, ""]
        elif _are_consecutive(of_rows) or (
            len(set(of_rows)) == len(of_rows) and not any(map(_is_number, of_rows))
        ):
            names = ["", *names]
    again = {f"Unnamed: {j}": f"Unnamed: {j}.1" for j in range(len(names)) if f"Unnamed: {j}" in names}
    return [each or again.get(f"Unnamed: {j}", f"Unnamed: {j}") for j, each in enumerate(names)]


def _are_consecutive(texts: list[str]) -> bool:
    first = int(texts[0]) if texts[0].isdecimal() else 0
    return texts == [str(first + j) for j in range(len(texts))]


def _check_no_title(first: str, lines: list[str], name: str) -> None:
    if len(_fields(lines, _separator(lines))[0]) > 1:
        raise DataError(
            f"the first line of {name} must hold the column names, got {first[:80]!r} above a table; take "
            "out the lines above the names"
        )


def _decoded(content: bytes, name: str) -> tuple[str, str, tuple[Note, ...]]:
    """Return the text, its encoding as Python calls it, and what is worth saying of it."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16"), "utf-16", ()
        except UnicodeDecodeError as error:
            raise DataError(f"{name} must be text, got damaged UTF-16; save it as UTF-8") from error
    try:
        return content.decode("utf-8-sig"), "utf-8-sig", ()
    except UnicodeDecodeError:
        # Five bytes mean nothing in Windows-1252; they are kept as Latin-1 has them.
        try:
            text, encoding, called = content.decode("cp1252"), "cp1252", "Windows-1252"
        except UnicodeDecodeError:
            text, encoding, called = content.decode("latin-1"), "latin-1", "Latin-1"
    note = f"The file is not UTF-8 and was read as {called}; save it as UTF-8 if letters look wrong."
    return text, encoding, (Note(code="encoding-guessed", text=note),)


def _first_lines(text: str) -> list[str]:
    lines = []
    for line in io.StringIO(text, newline=None):  # a lone \r ends a line, too
        if line.strip():
            lines.append(line.rstrip("\r\n"))
        if len(lines) == _N_SNIFFED_LINES:
            break
    return lines


def _separator(lines: list[str]) -> str:
    """Return the separator that gives the most fields, the same number in (nearly) every line.

    A blank separates only where nothing else does.
    """

    def score(separator: str) -> tuple[float, int]:
        widths = [len(row) for row in _fields(lines, separator)]
        share = sum(width in (widths[0], widths[0] + 1) for width in widths) / len(widths)
        return (round(share, 1) if widths[0] > 1 else 0.0, widths[0])

    best = max(_SEPARATORS, key=score)
    is_blank = score(best)[0] == 0.0 and score(" ")[0] == 1.0
    return " " if is_blank else best


def _check_header(header: list[str], name: str) -> None:
    numbers = [column for column in header if _is_number(column)]
    if len(numbers) == len(header) or (numbers and len(set(header)) < len(header)):
        only = "only " * (len(numbers) == len(header))
        raise DataError(
            f"the first line of {name} must hold the column names, got {only}numbers "
            f"({listed(numbers, limit=3)}); add a line with names"
        )


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _has_decimal_comma(rows: list[list[str]]) -> bool:
    fields = [field.strip() for row in rows for field in row]
    has_comma = any(_DECIMAL_COMMA.fullmatch(field) for field in fields)
    return has_comma and not any(
        _DECIMAL_POINT.fullmatch(field) and not THOUSANDS.fullmatch(field) for field in fields
    )


def _without_points(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a text column of a file with decimal commas as numbers if points stand between thousands."""
    texts = column.dropna().astype(str).str.strip()
    if not all(THOUSANDS.fullmatch(text) or _PLAIN_COMMA.fullmatch(text) for text in texts):
        return column
    numbers = texts.str.replace(".", "").str.replace(",", ".").astype(float)
    return numbers.reindex(column.index)


def parse_json_lines(content: bytes, name: str) -> Parsed:
    """Return the table in the bytes of a file of JSON objects, one a line, or in one list.

    Raises DataError if a line is no JSON object.

    >>> parse_json_lines(b'{"a": 1}\\n{"a": 2, "b": "x"}\\n', "example")[0].shape
    (2, 2)
    """
    text, _, notes = _decoded(content, name)
    if text.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):  # told of the line below
            text = "\n".join(map(json.dumps, json.loads(text)))
    rows = []
    # Not splitlines(): it also splits at characters that JSON allows inside text.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # a number of too many digits, too many brackets
            reason = getattr(error, "msg", None) or str(error).partition(";")[0]
            raise DataError(
                f"every line of {name} must be a JSON object, got an error in line {number}: {reason}; "
                "the file may be cut off, or hold one object over several lines"
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f'every line of {name} must be a JSON object such as {{"age": 3}}, got {type(row).__name__} '
                f"in line {number}"
            )
        rows.append(row)
    try:
        frame = pd.DataFrame.from_records(rows)
    except UnicodeEncodeError as error:  # "\\ud800" is JSON, but no text
        raise DataError(
            f"text in {name} must be whole characters, got half of one ({error.object[error.start]!r}); "
            "write the file again as UTF-8"
        ) from error
    texts = frame.select_dtypes(include=["object", "string"]).columns
    nested = [column for column in texts if any(isinstance(value, list | dict) for value in frame[column])]
    if nested:
        raise DataError(
            f"values in {name} must be text, numbers or booleans, got lists or objects in {listed(nested)}; "
            "flatten them into columns with pandas.json_normalize, or write a frame with orient='records'"
        )
    for column in texts:
        values = frame[column]
        frame[column] = values.mask(values == "?").infer_objects()
    return frame, notes

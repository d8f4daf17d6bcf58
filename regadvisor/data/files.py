"""The door for files: CSV, Parquet and JSON lines, from a path or from standard input."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pandas as pd

from regadvisor.data.parsing import parse_csv, parse_json_lines
from regadvisor.errors import DataError, import_optional, reason_of
from regadvisor.records import Note
from regadvisor.words import listed

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]

#: What a name may end in (but for Parquet before an optional .gz), and how it is read.
FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_SUPPORTED = "CSV (.csv, .tsv, .txt), Parquet (.parquet) or JSON records (.json, .jsonl, .ndjson)"
#: How alike a name must be to be suggested for another, from 0 to 1: "income" is not for "nope" (0.6).
_CLOSE = 0.7
#: First bytes of files that are something else.
_FOREIGN = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"SQLite format 3": "an SQLite database",
    b"\x93NUMPY": "a NumPy array file",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"ARROW1": "an Arrow (Feather) file",
    b"\x89HDF": "an HDF5 file",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class FileData:
    """A file as a frame, and what was done to read it."""

    frame: pd.DataFrame
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """The columns of a frame by what they are for."""

    X: pd.DataFrame
    y: AnySeries | pd.DataFrame
    groups: AnySeries | None = None
    time: AnySeries | None = None


def read_frame(path: str | Path, *, stdin: IO[bytes] | IO[str] | None = None) -> FileData:
    """Read a table from a file.

    CSV: the separator (comma, semicolon, tab or bar) is found by itself, as is a decimal comma; text is
    UTF-8, with or without a byte order mark, UTF-16 with one, or else Windows-1252. Empty fields, the usual
    markers (NA, NaN, null, …) and ``?`` are missing values. Dates stay text: they are read where those of
    frames are.

    `path`: ends in .csv, .tsv, .txt, .json, .jsonl, .ndjson (each also with .gz) or .parquet; ``"-"`` reads
    standard input, whose format is found from its content. `stdin`: read instead of ``sys.stdin``.

    Raises DataError if there is no such file, or it is not a table in one of these formats;
    MissingDependencyError if it is Parquet and pyarrow is not installed.

    >>> read_frame("-", stdin=io.StringIO("a;b\\n1,5;x\\n2,5;?\\n")).frame["a"].tolist()
    [1.5, 2.5]
    """
    if str(path) == "-":
        name, expected = "standard input", None
        if sys.stdin is None and stdin is None:  # closed by the shell
            raise DataError("standard input must hold a table, got none: it is closed; name a file")
        piped = sys.stdin.buffer.read() if stdin is None else stdin.read()
        content = piped.encode("utf-8") if isinstance(piped, str) else piped
    else:
        _check_local(path)
        name, expected = repr(str(path)), _expected_format(Path(path))
        content = _read_file(Path(path))
    content = _unpacked(content, name)
    if not content.strip():
        raise DataError(f"{name} must hold a table, got an empty file")
    return parse_content(content, name, checked_format(content, name, expected))


def checked_format(content: bytes, name: str, expected: str | None) -> str:
    """Return the format of the bytes of a file, whose name says `expected`.

    Raises DataError if they are something else.
    """
    found = _sniffed(content, name)
    if expected == "parquet" and found != "parquet":
        raise DataError(
            f"{name} must be a Parquet file, got something else (it does not start with PAR1); rename it to "
            "what it is, such as .csv"
        )
    if expected in ("csv", "jsonl") and found == "parquet":
        raise DataError(f"{name} must be {expected.upper()}, got a Parquet file; rename it to .parquet")
    return expected or found


def parse_content(content: bytes, name: str, kind: str) -> FileData:
    """Return the table in the bytes of a file of a kind ("csv", "jsonl" or "parquet").

    Raises DataError if it is none; `name` is what messages call it.
    """
    notes: tuple[Note, ...] = ()
    if kind == "parquet":
        frame = _parse_parquet(content, name)
    elif kind == "jsonl":
        frame, notes = parse_json_lines(content, name)
    else:
        frame, notes = parse_csv(content, name)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"column names in {name} must be unique, got {listed(list(twice))} more than once")
    if len(frame) == 0:
        raise DataError(f"{name} must hold rows, got only column names: {listed(list(frame.columns))}")
    return FileData(frame=frame, notes=(*notes, *_index_note(frame)))


def _check_local(path: str | Path) -> None:
    """Raise for a URL. Only its host is repeated: a URL may hold a password."""
    if isinstance(path, str) and "://" in path:
        host = urlsplit(path).hostname or "elsewhere"
        raise DataError(
            f"path must name a file on this machine, got a URL at {host}; download the file first "
            "(curl -O URL), or pipe it in: curl URL | regadvisor advise - -t COLUMN"
        )
    try:
        Path(path).exists()
    except (OSError, ValueError) as error:
        raise DataError(
            f"path must name a file, got {str(path)[:80]!r} ({reason_of(error)}); read a table that is in a "
            "text with pandas first"
        ) from error


def format_of(path: Path) -> str | None:
    """Return the format that the name of a file says; None: none that is read.

    >>> format_of(Path("a.CSV.gz")), format_of(Path("a.zip"))
    ('csv', None)
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return FORMATS.get(suffixes[-1] if suffixes else "")


def _expected_format(path: Path) -> str:
    found = format_of(path)
    if path.is_dir() or not path.exists():
        return found or ""  # a better error follows when it is read
    if found is None:
        if ".json" in (suffix.lower() for suffix in path.suffixes):
            return "jsonl"
        raise DataError(
            f"path must name a file that is {_SUPPORTED}, each but Parquet also with .gz, got {str(path)!r}; "
            "convert it, or rename it if it is one of these"
        )
    return found


def _where(path: Path) -> str:
    try:
        folder = None if path.is_absolute() else Path.cwd()
    except FileNotFoundError:
        return "the folder that it is looked for in was removed"
    return "check the spelling" if folder is None else f"it is looked for in {str(folder)!r}"


def _read_file(path: Path) -> bytes:
    if path.is_dir():
        raise DataError(f"path must name a file, got the directory {str(path)!r}; name a file in it")
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"path must name an existing file, got {str(path)!r}; {_where(path)}") from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"path must name a readable file, got {str(path)!r}: {reason_of(error)}; check its name "
            "and rights"
        ) from error


def _unpacked(content: bytes, name: str) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{name} must be a whole gzip file, got a damaged or truncated one ({error}); copy it again"
        ) from error


def _sniffed(content: bytes, name: str) -> str:
    """Return the format that the first bytes show."""
    if content.startswith(b"PAR1"):
        return "parquet"
    for magic, what in _FOREIGN.items():
        if content.startswith(magic):
            raise DataError(f"{name} must be {_SUPPORTED}, got {what}; save the table as CSV")
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\0" in content[:65536] and not is_utf16:
        raise DataError(f"{name} must be {_SUPPORTED}, got a binary file; save the table as CSV")
    return "jsonl" if content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else "csv"


def _parse_parquet(content: bytes, name: str) -> pd.DataFrame:
    import_optional("pyarrow", extra="parquet", purpose="reading Parquet files")
    try:
        frame = pd.read_parquet(io.BytesIO(content), engine="pyarrow")
    except Exception as error:  # also what pandas makes of damaged notes on types
        raise DataError(
            f"{name} must be a whole Parquet file, got a damaged or truncated one ({reason_of(error)}); copy "
            "it again"
        ) from error
    frame.columns = frame.columns.map(str)
    return frame


def _index_note(frame: pd.DataFrame) -> tuple[Note, ...]:
    unnamed = [name for name in frame.columns if name.startswith("Unnamed: ") and frame[name].notna().any()]
    if not unnamed:
        return ()
    text = (
        f"a column without a name ({listed(unnamed)}) looks like saved row numbers; leave it out if it is: "
        f"--drop {unnamed[0]!r}."
    )
    return (Note(code="unnamed-column", text=text),)


def split_columns(
    frame: pd.DataFrame,
    *,
    target: str | Sequence[str] | None,
    drop: Sequence[str] = (),
    groups: str | None = None,
    time: str | None = None,
) -> Split:
    """Split a frame into features, target, groups and time; columns in `drop` are left out.

    `target`: name of the target column; several names give a frame of several targets; None: the target is
    elsewhere. `drop`: names of
    columns that are no features. `groups`, `time`: names of the columns with groups and times; they are no
    features either.

    Raises DataError if a name is no column (with similar names), is named twice or has two roles, or no
    feature is left.

    >>> frame = pd.DataFrame({"age": [1, 2], "id": [7, 8], "price": [3.0, 4.0]})
    >>> list(split_columns(frame, target="price", drop=["id"]).X)
    ['age']
    """
    targets = [] if target is None else _targets(frame, target)
    roles: dict[str, str] = {}
    named = [
        *(("target", name) for name in targets),
        ("groups", groups),
        ("time", time),
        *(("drop", name) for name in drop),
    ]
    for role, name in named:
        if name is None:
            continue
        _check_column(frame, name, role=role)
        if roles.setdefault(name, role) != role:
            raise DataError(
                f"column {name!r} must have one role, got it as {roles[name]} and as {role}; name it once"
            )
    features = [name for name in frame.columns if name not in roles]
    if not features:
        raise DataError(
            f"at least one feature column must be left, got none: every column "
            f"({listed(list(frame.columns))}) is target, groups, time or dropped"
        )
    return Split(
        X=frame[features],
        y=frame[targets[0]] if len(targets) == 1 else frame[targets],
        groups=None if groups is None else frame[groups],
        time=None if time is None else frame[time],
    )


def _targets(frame: pd.DataFrame, target: str | Sequence[str]) -> list[str]:
    """Return the names of the target columns."""
    names = [target] if isinstance(target, str) else list(target)
    names = [name if name in frame.columns else name.strip() for name in names]  # read from CSV without
    if not names:
        raise DataError("target must name at least one column, got none")
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DataError(f"target must name each column once, got {listed(twice)} more than once")
    for name in names:
        parts = [part.strip() for part in name.split(",")]
        if name not in frame.columns and len(parts) > 1 and all(part in frame.columns for part in parts):
            options = " ".join(f"--target {part}" for part in parts)
            raise DataError(
                f"target must name one column at a time, got {name!r}; for several targets repeat it: "
                f"{options} (in Python y={parts})"
            )
    return names


def _check_column(frame: pd.DataFrame, name: str, *, role: str) -> None:
    if name in frame.columns:
        return
    names = [str(column) for column in frame.columns]
    by_folded = {column.casefold().strip(): column for column in names}
    close = [by_folded[found] for found in get_close_matches(name.casefold().strip(), by_folded, 3, _CLOSE)]
    hint = f"did you mean {listed(close)}?" if close else f"the columns are {listed(names, limit=10)}"
    n_numbers = sum(column.replace(".", "", 1).isdigit() for column in names)
    if not close and 0 < n_numbers < len(names):
        hint += "; if that is a row of data, put a line with the names above it"
    raise DataError(f"{role} must name a column, got {name!r}; {hint}")

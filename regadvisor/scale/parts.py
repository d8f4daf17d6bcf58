"""Parts of files: each is read by itself, on whatever machine, a few megabytes at a time.

A part yields Arrow tables with the ids of their rows. Text is kept as it is written: the few rows that are
drawn are read in the end, by what reads small files, so a large file means what a small one of the same lines
would.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from regadvisor.data.files import FileData
from regadvisor.data.parsing import ALSO_MISSING, MISSING, csv_form, parse_json_lines
from regadvisor.errors import DataError, reason_of
from regadvisor.scale.sketch import Keys, Kind, Sketch, Spec, row_ids

if TYPE_CHECKING:
    from regadvisor.scale.workers import WorkerError, Workers

#: Rows of a Parquet file that are read together, and how many such batches ahead.
BATCH_ROWS = 131_072
_READ_AHEAD = 2
#: Bytes of text that are read together.
_BLOCK_BYTES = 1 << 23
#: Bytes by which the form of a file is known.
_HEAD_BYTES = 1 << 20
#: The column that holds a line of JSON as it is written.
LINE = "\0line"

Rows: TypeAlias = Iterator[tuple[Any, Keys]]


class Part(Protocol):
    """Some of the rows of a source; it can be sent to another process."""

    def rows(self, spec: Spec) -> Rows:
        """Yield Arrow tables or batches with the columns of `spec`, and the ids of their rows."""

    @property
    def called(self) -> str:
        """What messages call the part."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Rows that are read in parts."""

    #: The columns, and what is measured of each.
    kinds: Mapping[str, Kind]
    #: Whether numbers in text have a decimal comma.
    has_decimal_comma: bool = False
    #: Whether the parts can only be read in this process.
    is_local: ClassVar[bool] = False

    @property
    def kept(self) -> tuple[str, ...]:
        """What is kept of a row besides its targets; empty: all of it."""
        return ()

    def parts(self) -> list[Part]:
        """Return the parts, in an order that does not depend on the caller's."""
        raise NotImplementedError

    def sketches(
        self, spec: Spec, here: Workers, before: Sketch
    ) -> Iterator[tuple[float, Sketch | WorkerError]]:
        """Yield the sketch of every part in their order, with the share of the parts that are read then.

        `before`: the sketch of what was yielded so far; by it, a part that is read here keeps fewer rows.
        """
        parts = self.parts()
        read = partial(scan_part, spec=spec, before=before if here.is_here else None)
        for n_done, sketch in enumerate(here.run(read, parts), start=1):
            yield n_done / len(parts), sketch

    def read(self, rows: Any) -> FileData:
        """Return rows of the parts (an Arrow table) as a frame, as those of a small table would be."""
        return FileData(frame=rows.to_pandas(ignore_metadata=True))


def scan_part(part: Part, spec: Spec, before: Sketch | None = None) -> Sketch:
    """Return the sketch of one part; without rows that the parts `before` rule out.

    Raises DataError if it cannot be read; the message names the file.
    """
    import pyarrow as pa

    sketch = Sketch.of_nothing(spec, before=before)
    try:
        for rows, ids in part.rows(spec):
            sketch.add(rows, ids)
    except (pa.ArrowException, OSError, EOFError, UnicodeError, OverflowError) as error:
        raise DataError(
            f"{part.called} must be a whole, readable file like the others, got: {first_line(error)}; "
            "copy it again, or correct it"
        ) from error
    sketch.prune(always=True)
    sketch.before = None
    return sketch


def numbered(batches: Iterable[Any], file: int, first: int = 0) -> Rows:
    """Yield tables or batches with the ids of their rows, which stand in a file from its row `first` on."""
    for batch in batches:
        yield batch, row_ids(file, first, batch.num_rows)
        first += batch.num_rows


def first_line(error: BaseException) -> str:
    """Return the beginning of what a library says of an error."""
    reason = reason_of(error) if isinstance(error, OSError) else str(error)
    return reason.partition("\n")[0][:300] or type(error).__name__


@dataclass(frozen=True, kw_only=True)
class ParquetPart:
    """Row groups of a Parquet file, as a fragment of a dataset; `schema` is the dataset's."""

    fragment: Any
    schema: Any
    file: int
    first: int

    @property
    def called(self) -> str:
        """The path of the file."""
        return repr(str(self.fragment.path))

    def rows(self, spec: Spec) -> Rows:
        """Yield the rows; values of folders named ``key=value`` are columns."""
        scanner = self.fragment.scanner(
            schema=self.schema,
            columns=list(spec.kinds),
            batch_size=BATCH_ROWS,
            batch_readahead=_READ_AHEAD,
            fragment_readahead=1,
            use_threads=parent_process() is None,  # a worker has one core
        )
        return numbered(scanner.to_batches(), self.file, self.first)


@dataclass(frozen=True, kw_only=True)
class TextPart:
    """A text file; `constants` are the columns that its folders name."""

    path: Path
    file: int
    constants: tuple[tuple[str, str], ...] = ()

    @property
    def called(self) -> str:
        """The path of the file."""
        return repr(str(self.path))


class CsvPart(TextPart):
    """A CSV file. Every column is read as text."""

    def rows(self, spec: Spec) -> Rows:
        """Yield the rows, missing values as null."""
        import pyarrow as pa
        from pyarrow import csv

        form = csv_form(head_of(self.path), self.called)
        header = form.header
        constants = dict(self.constants)
        wanted = [name for name in spec.kinds if name not in constants]
        _check_columns(wanted, header, self.called)
        reader = csv.open_csv(
            self.path,
            read_options=csv.ReadOptions(
                block_size=_BLOCK_BYTES,
                column_names=header,
                skip_rows=1 + form.n_above,
                skip_rows_after_names=form.n_below,
                encoding="utf8" if form.encoding == "utf-8-sig" else form.encoding,
            ),
            parse_options=csv.ParseOptions(delimiter=form.separator, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                include_columns=wanted,
                null_values=[*MISSING],
                strings_can_be_null=True,
            ),
        )
        return numbered((with_constants(batch, spec, constants) for batch in reader), self.file)


class JsonPart(TextPart):
    """A file of JSON objects, one a line. The line itself is kept, and what is measured of it."""

    def rows(self, spec: Spec) -> Rows:
        """Yield the rows; targets as text, so that lines may write them in several ways."""
        constants, blocks = dict(self.constants), _blocks_of_lines(self.path)
        return numbered((read_lines(lines, spec, constants, self.called) for lines in blocks), self.file)


def arrow_kind(kind: Any) -> Kind:
    """Return what is measured of an Arrow column of a type."""
    import pyarrow as pa

    types = pa.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind):
        return "number"
    value = kind.value_type if types.is_dictionary(kind) else kind
    is_text = types.is_string(value) or types.is_large_string(value) or types.is_string_view(value)
    return "text" if is_text else "other"


@contextmanager
def open_text(path: Path) -> Iterator[io.BufferedIOBase]:
    """Open a file for reading, unpacked if it is packed by gzip."""
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not is_packed:
            yield file
            return
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(
                f"{str(path)!r} must be a whole gzip file, got a damaged or truncated one ({error}); copy it "
                "again"
            ) from error


def head_of(path: Path) -> bytes:
    """Return the first whole lines of a text file."""
    with open_text(path) as file:
        head = file.read(_HEAD_BYTES)
        if not file.read(1):
            return head
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head[: len(head) // 2 * 2]
    return head[: head.rfind(b"\n") + 1] or head


def _check_columns(wanted: list[str], header: list[str], called: str) -> None:
    missing = [name for name in wanted if name not in header]
    if missing:
        raise DataError(
            f"{called} must have the columns of the other files, got none named {missing[0]!r}; every file "
            "of a folder is a part of one table"
        )


def with_constants(rows: Any, spec: Spec, constants: dict[str, str]) -> Any:
    """Return the columns of `spec` in its order, those of folders added."""
    import pyarrow as pa

    n_rows = rows.num_rows
    columns = [
        pa.array([constants[name]] * n_rows, pa.string()) if name in constants else rows[name]
        for name in spec.kinds
    ]
    return pa.table(columns, names=list(spec.kinds))


def _blocks_of_lines(path: Path) -> Iterator[list[bytes]]:
    """Yield lines that are not empty, some megabytes of them at a time."""
    with open_text(path) as file:
        left = file.read(3).removeprefix(b"\xef\xbb\xbf")
        while block := file.read(_BLOCK_BYTES):
            *lines, left = (left + block).split(b"\n")
            if lines := [line for line in lines if line.strip()]:
                yield lines
    if left.strip():
        yield [left]


def read_lines(lines: list[bytes], spec: Spec, constants: dict[str, str], called: str) -> Any:
    """Return lines of JSON as a table: what is measured, and the lines themselves."""
    import pyarrow as pa
    from pyarrow import json

    content = b"\n".join(lines)
    try:
        table = json.read_json(
            io.BytesIO(content),
            read_options=json.ReadOptions(block_size=max(len(content) + 1, 1024), use_threads=False),
        )
        if table.num_rows != len(lines):
            raise pa.ArrowInvalid("a line is no object")
    except pa.ArrowInvalid:  # values of several types in one column; what is wrong is said here
        frame, _ = parse_json_lines(content, called)
        table = pa.table({str(name): _loose(frame[name]) for name in frame})
    columns = {}
    for name, kind in spec.kinds.items():
        if name in constants:
            columns[name] = pa.array([constants[name]] * len(lines), pa.string())
        elif name not in table.column_names:
            columns[name] = pa.nulls(len(lines), pa.string())
        elif name in spec.targets or kind == "text" or pa.types.is_string(table[name].type):
            columns[name] = _as_text(table[name])
        elif kind == "number":
            columns[name] = table[name]
    return pa.table({**columns, LINE: pa.array(lines, pa.binary())})


def _loose(column: Any) -> Any:
    """Return a column of objects as an Arrow array, as text if they are of several types."""
    import pyarrow as pa

    try:
        return pa.Array.from_pandas(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.Array.from_pandas(column.map(str, na_action="ignore"))


def _as_text(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    text = column.cast(pa.string())
    return pc.if_else(pc.equal(text, ALSO_MISSING[0]), None, text)

"""What can be read in parts: files and folders, DuckDB relations, polars lazy frames, Dask frames.

Each is a small adapter: which columns there are, the parts, and how rows that were drawn become the frame
that the rest of the package reads. There is no frame layer of our own between the parts and Arrow.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api import types as dtypes

from regadvisor.data.files import FORMATS, FileData, checked_format, format_of, parse_content, split_columns
from regadvisor.data.parsing import csv_form, notes_on_more_names
from regadvisor.errors import DataError, import_optional
from regadvisor.scale.engines import DaskFrame, DuckRelation, LazyPolars
from regadvisor.scale.parts import (
    LINE,
    CsvPart,
    JsonPart,
    ParquetPart,
    Part,
    Source,
    arrow_kind,
    first_line,
    head_of,
)
from regadvisor.scale.sketch import Kind
from regadvisor.words import listed

#: A file of more bytes (in memory, as far as that is known) is read in parts.
SCAN_BYTES = 1 << 30
#: What a byte of a file may take in memory: text by itself, and packed.
_EXPANSION = {"csv": 3, "jsonl": 3, "gz": 15}
#: Rows of a part of a Parquet file, at least.
_PART_ROWS = 1 << 20


def find_source(X: Any) -> Source | None:
    """Return what is to be read in parts; None: X is in memory, or a file that fits there.

    `X`: a folder; a file of more than a gigabyte in memory; a Parquet dataset of pyarrow; a DuckDB
    relation; a polars lazy frame; a Dask data frame.

    Raises DataError if a folder holds no table, or files of several kinds; MissingDependencyError if
    pyarrow is not installed.
    """
    if isinstance(X, Source):
        return X
    if isinstance(X, str | Path):
        return _files_in_parts(Path(X)) if "://" not in str(X) and str(X) != "-" else None
    package = type(X).__module__.partition(".")[0].removeprefix("_")
    if package == "duckdb" and hasattr(X, "project"):
        return DuckRelation.of(X)
    if package == "polars" and type(X).__name__ == "LazyFrame":
        return LazyPolars.of(X)
    if package == "pyarrow" and hasattr(X, "get_fragments"):
        return ParquetFiles.on(X)
    if package.startswith("dask") and hasattr(X, "to_delayed"):
        return DaskFrame.of(X)
    return None


def _files_in_parts(path: Path) -> Source | None:
    """Return the files of a folder, or a large file; None: it is read whole, or there is no such file."""
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError):  # a name that is none; the error comes when it is read
        return None
    if is_folder:
        return _files(path, _listed(path))
    if not is_file or format_of(path) is None or _bytes_in_memory(path) <= SCAN_BYTES:
        return None
    return _files(path.parent, [path])


def _bytes_in_memory(path: Path) -> int:
    size = path.stat().st_size
    if format_of(path) != "parquet":
        return size * _EXPANSION["gz" if path.suffix.lower() == ".gz" else format_of(path) or "csv"]
    if size <= SCAN_BYTES >> 10:  # packed a thousandfold it would still fit
        return 0
    parquet = import_optional("pyarrow.parquet", extra="parquet", purpose="reading Parquet files")
    try:
        known = parquet.ParquetFile(path).metadata
    except (OSError, ValueError):  # the error comes when it is read
        return size
    columns = known.num_columns * known.num_rows * 8
    whole = sum(known.row_group(i).total_byte_size for i in range(known.num_row_groups))
    return int(max(columns, whole))


def _listed(folder: Path) -> list[Path]:
    """Return the tables in a folder and its folders, in the order of their names; hidden files are none."""
    found = [
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part[0] in "._" for part in path.relative_to(folder).parts)
    ]
    tables = [path for path in found if format_of(path) is not None]
    if not tables:
        raise DataError(
            f"X must be a folder of tables ({', '.join(FORMATS)}), got {str(folder)!r} with "
            f"{listed([path.name for path in found], limit=3) if found else 'no file'}; name another folder"
        )
    kinds = {format_of(path) for path in tables}
    if len(kinds) > 1:
        raise DataError(
            f"X must be a folder of files of one kind, got {listed(sorted(str(kind) for kind in kinds))} in "
            f"{str(folder)!r}; move the others elsewhere"
        )
    return sorted(tables, key=lambda path: path.relative_to(folder).as_posix())


def _files(root: Path, paths: list[Path]) -> Source:
    import_optional("pyarrow", extra="parquet", purpose="reading files in parts")
    if format_of(paths[0]) == "parquet":
        return ParquetFiles.of(root, paths)
    return TextFiles.of(root, paths)


@dataclass(frozen=True, kw_only=True)
class ParquetFiles(Source):
    """Parquet files that are one table."""

    dataset: Any

    @classmethod
    def of(cls, root: Path, paths: list[Path]) -> ParquetFiles:
        """Read the schema."""
        import pyarrow as pa
        from pyarrow import dataset

        hive = dataset.partitioning(flavor="hive")
        try:
            files = dataset.dataset(
                [str(path) for path in paths],
                format="parquet",
                partitioning=hive,
                partition_base_dir=str(root),
            )
            files.count_rows()  # reads the end of every file: what is cut off is told now
            return cls.on(files)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{str(root)!r} must hold whole Parquet files, got a damaged one ({first_line(error)}); copy "
                "it again"
            ) from error

    @classmethod
    def on(cls, files: Any) -> ParquetFiles:
        """Read the schema of a dataset of pyarrow, on whatever file system it has.

        Raises DataError if its files are no Parquet, or only some of their rows are meant.
        """
        form = getattr(files, "format", None)
        try:
            files.get_fragments()
            is_whole = form is not None and form.default_extname == "parquet"
        except ValueError:  # of a dataset with a filter, whose parts would be read without it
            is_whole = False
        if not is_whole:
            raise DataError(
                "X must be a dataset of whole Parquet files, got one of other files or with a filter; write "
                "the rows that you mean as Parquet, or pass a DuckDB relation or a polars lazy frame"
            )
        meant = (files.schema.pandas_metadata or {}).get("index_columns", [])
        index = {name for name in meant if isinstance(name, str)}
        kinds = {each.name: arrow_kind(each.type) for each in files.schema if each.name not in index}
        return cls(dataset=files, kinds=kinds)

    def parts(self) -> list[Part]:
        """Return about a million rows at a time."""
        parts: list[Part] = []
        ordered = sorted(self.dataset.get_fragments(), key=lambda fragment: str(fragment.path))
        for file, fragment in enumerate(ordered):
            first, groups = 0, []
            n_rows = 0
            for group in fragment.row_groups:
                groups.append(group.id)
                n_rows += group.num_rows
                if n_rows >= _PART_ROWS or group.id == fragment.row_groups[-1].id:
                    parts.append(
                        ParquetPart(
                            fragment=fragment.subset(row_group_ids=groups),
                            schema=self.dataset.schema,
                            file=file,
                            first=first,
                        )
                    )
                    first, n_rows, groups = first + n_rows, 0, []
        return parts


@dataclass(frozen=True, kw_only=True)
class TextFiles(Source):
    """CSV files or files of JSON lines that are one table."""

    root: Path
    paths: tuple[Path, ...]
    separator: str = ","
    #: Lines of text below the names of the first file, which are no rows.
    n_below: int = 0

    @property
    def kept(self) -> tuple[str, ...]:
        """Of JSON the lines as they are written, and what folders say."""
        constants = [name for name, _ in _constants(self.root, self.paths[0]) if name in self.kinds]
        return (LINE, *constants) if format_of(self.paths[0]) == "jsonl" else ()

    @classmethod
    def of(cls, root: Path, paths: list[Path]) -> TextFiles:
        """Read the first lines of the first file: they say what the columns are."""
        first, called = paths[0], repr(str(paths[0]))
        head = head_of(first)
        if not head.strip():
            raise DataError(f"{called} must hold a table, got an empty file")
        frame = parse_content(head, called, checked_format(head, called, format_of(first))).frame
        kinds: dict[str, Kind] = {str(name): _text_kind(frame[name].dtype) for name in frame}
        kinds |= {name: "text" for name, _ in _constants(root, first)}
        if format_of(first) == "jsonl":
            return cls(root=root, paths=tuple(paths), kinds=kinds)
        form = csv_form(head, called)
        if form.header != [str(name) for name in frame]:
            raise DataError(
                f"the first line of {called} must hold the column names, got {listed(form.header, limit=3)} "
                f"where its table has {listed(list(frame), limit=3)}; take out what stands before the names"
            )
        return cls(
            root=root,
            paths=tuple(paths),
            kinds={name: kinds[name] for name in dict.fromkeys([*form.header, *kinds])},
            separator=form.separator,
            has_decimal_comma=form.has_decimal_comma,
            n_below=form.n_below,
        )

    def parts(self) -> list[Part]:
        """Return one part a file."""
        kind = CsvPart if format_of(self.paths[0]) == "csv" else JsonPart
        return [
            kind(path=path, file=file, constants=_constants(self.root, path))
            for file, path in enumerate(self.paths)
        ]

    def read(self, rows: Any) -> FileData:
        """Return drawn rows as a frame: as a small file of these lines is read."""
        if LINE in rows.column_names:
            content = b"\n".join(rows[LINE].to_pylist())
            read = parse_content(content, "X", "jsonl")
            frame = read.frame.assign(**{name: rows[name].to_pandas() for name in self.kept if name != LINE})
            return FileData(frame=frame.reindex(columns=list(self.kinds)), notes=read.notes)
        text = io.StringIO()
        rows.to_pandas().to_csv(text, index=False, sep=self.separator)
        read = parse_content(text.getvalue().encode(), "X", "csv")
        return replace(read, notes=(*read.notes, *notes_on_more_names(self.n_below)))


def _text_kind(dtype: Any) -> Kind:
    return "number" if dtypes.is_numeric_dtype(dtype) and not dtypes.is_bool_dtype(dtype) else "text"


def _constants(root: Path, path: Path) -> tuple[tuple[str, str], ...]:
    """Return what the folders of a file say: ``year=2024`` is a column and its value."""
    pairs = [part.partition("=") for part in path.relative_to(root).parts[:-1]]
    return tuple((name, value) for name, sign, value in pairs if sign and name)


def without(source: Source, dropped: Iterable[str]) -> Source:
    """Return a source without some of its columns.

    Raises DataError if one of them is no column.
    """
    names = list(dropped)
    if not names or not isinstance(source, Source):
        return source
    columns = pd.DataFrame(columns=list(source.kinds))
    split_columns(columns, target=[name for name in source.kinds if name not in names][:1], drop=names)
    return replace(source, kinds={name: kind for name, kind in source.kinds.items() if name not in names})

"""Engines that read by themselves: DuckDB relations and polars lazy frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from regadvisor.data.files import FileData
from regadvisor.errors import DataError, import_optional
from regadvisor.scale.parts import BATCH_ROWS, Part, Rows, Source, arrow_kind, numbered, scan_part
from regadvisor.scale.sketch import ROW_BITS, Keys, Sketch, Spec

#: Columns by which DuckDB says where a row stands.
_FILE, _FILE_ROW = "filename", "file_row_number"


@dataclass(frozen=True, kw_only=True)
class _Stream:
    """All rows of an engine in one part, in the order in which it gives them."""

    batches: Any
    called: str
    files: Mapping[str, int] = field(default_factory=dict)

    def rows(self, spec: Spec) -> Rows:
        if not self.files:
            yield from numbered(self.batches(spec), 0)
            return
        for batch in self.batches(spec):
            yield batch.select(list(spec.kinds)), ids_by_file(batch, self.files)


def ids_by_file(rows: Any, files: Mapping[str, int]) -> Keys:
    """Return the ids of rows that say in which file they stand, and where."""
    names = rows[_FILE].dictionary_encode()
    numbers = np.array([files[name] for name in names.dictionary.to_pylist()], dtype=np.uint64)
    places = rows[_FILE_ROW].to_numpy(zero_copy_only=False).astype(np.uint64)
    ids: Keys = (numbers[names.indices.to_numpy()] << np.uint64(ROW_BITS)) + places
    return ids


@dataclass(frozen=True, kw_only=True)
class DuckRelation(Source):
    """A DuckDB relation. Columns ``filename`` and ``file_row_number``, if there, say where a row stands."""

    relation: Any
    files: Mapping[str, int]
    is_local: ClassVar[bool] = True

    @classmethod
    def of(cls, relation: Any) -> DuckRelation:
        """Ask for the columns and the files."""
        has_places = {_FILE, _FILE_ROW} <= set(relation.columns)
        files: Iterable[str] = ()
        if has_places:
            found = [name for (name,) in relation.project(_FILE).distinct().fetchall()]
            files = sorted(found)
        schema = _reader(relation.limit(0)).schema
        kinds = {
            each.name: arrow_kind(each.type)
            for each in schema
            if not has_places or each.name not in (_FILE, _FILE_ROW)
        }
        return cls(relation=relation, kinds=kinds, files={name: number for number, name in enumerate(files)})

    def parts(self) -> list[Part]:
        """Return the only part: DuckDB reads with threads of its own."""
        return [_Stream(batches=self._batches, called="the DuckDB relation", files=self.files)]

    def _batches(self, spec: Spec) -> Any:
        names = [*spec.kinds, *((_FILE, _FILE_ROW) if self.files else ())]
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        return _reader(self.relation.project(quoted))


def _reader(relation: Any) -> Any:
    """Return the rows of a relation as Arrow batches; newer versions have another name for it."""
    read = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
    return read(BATCH_ROWS)


@dataclass(frozen=True, kw_only=True)
class LazyPolars(Source):
    """A polars lazy frame, run by its streaming engine."""

    lazy: Any
    is_local: ClassVar[bool] = True

    @classmethod
    def of(cls, lazy: Any) -> LazyPolars:
        """Ask for the columns."""
        import_optional("pyarrow", extra="polars", purpose="reading polars frames")
        if not hasattr(lazy, "collect_batches"):
            raise DataError(
                "X must be a frame in memory with this version of polars, got a lazy one; call "
                "X.collect() first, or update polars"
            )
        empty = lazy.limit(0).collect().to_arrow()
        return cls(lazy=lazy, kinds={each.name: arrow_kind(each.type) for each in empty.schema})

    def parts(self) -> list[Part]:
        """Return the only part: polars reads with threads of its own."""
        return [_Stream(batches=self._batches, called="the polars lazy frame")]

    def _batches(self, spec: Spec) -> Any:
        chosen = self.lazy.select(list(spec.kinds))
        for frame in chosen.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
            yield from frame.to_arrow().to_batches(max_chunksize=BATCH_ROWS)

    def read(self, rows: Any) -> FileData:
        """Return drawn rows as a frame, as polars itself makes it."""
        import polars

        return FileData(frame=pd.DataFrame(polars.from_arrow(rows).to_pandas()))


@dataclass(frozen=True, kw_only=True)
class FramePart:
    """A pandas frame in memory: a partition. Its rows are known by the number of the partition."""

    frame: Any
    file: int

    @property
    def called(self) -> str:
        """The partition."""
        return f"partition {self.file} of the Dask frame"

    def rows(self, spec: Spec) -> Rows:
        """Yield the rows some thousands at a time."""
        import pyarrow as pa

        table = pa.Table.from_pandas(self.frame[list(spec.kinds)], preserve_index=False)
        return numbered(table.to_batches(max_chunksize=BATCH_ROWS), self.file)


@dataclass(frozen=True, kw_only=True)
class DaskFrame(Source):
    """A Dask data frame. Other partitions give another sample: they say where a row stands."""

    frame: Any

    @classmethod
    def of(cls, frame: Any) -> DaskFrame:
        """Ask for the columns; their types are those of Dask's own example of the frame."""
        pa = import_optional("pyarrow", extra="dask", purpose="reading Dask frames")
        odd = [name for name in frame.columns if not isinstance(name, str)]
        if odd:
            raise DataError(
                f"column names of X must be text, got {odd[0]!r}; rename them: X = X.rename(columns=str)"
            )
        schema = pa.Schema.from_pandas(frame._meta, preserve_index=False)
        return cls(frame=frame, kinds={each.name: arrow_kind(each.type) for each in schema})

    def sketches(self, spec: Spec, here: Any, before: Sketch) -> Iterator[tuple[float, Sketch]]:
        """Yield the sketch of all partitions; `here` may be workers of Dask; else it chooses."""
        dask = import_optional("dask", extra="dask", purpose="reading Dask frames")
        own, merged = dask.delayed(_sketched, pure=False), dask.delayed(_merged, pure=False)
        layer = [own(part, file, spec) for file, part in enumerate(self.frame.to_delayed())]
        while len(layer) > 1:
            layer = [merged(layer[i : i + 2]) for i in range(0, len(layer), 2)]
        client = getattr(here, "client", None)
        found = dask.compute(layer[0])[0] if client is None else client.compute(layer[0]).result()
        yield 1.0, found


def _sketched(frame: Any, file: int, spec: Spec) -> Sketch:
    return scan_part(FramePart(frame=frame, file=file), spec)


def _merged(sketches: list[Sketch]) -> Sketch:
    total = Sketch.of_nothing(sketches[0].spec)
    for sketch in sketches:
        total.merge(sketch)
    total.prune(always=True)
    return total

"""Dask data frames: partitions are sketched where they lie, and the sketches are merged there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from regadvisor.errors import DataError, import_optional
from regadvisor.scale.parts import BATCH_ROWS, Rows, Source, arrow_kind, numbered, scan_part
from regadvisor.scale.sketch import Sketch, Spec


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

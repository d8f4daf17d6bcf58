"""One pass over a source, part by part, wherever the parts are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from regadvisor.progress import Progress
from regadvisor.scale.dask_frame import DaskFrame
from regadvisor.scale.parts import Part, Source, scan_part
from regadvisor.scale.sketch import LEAST_OF_CLASS, Sketch, Spec
from regadvisor.scale.workers import WorkerError, workers

#: How many more rows are kept when a pass has kept too few, which happens once in some hundred thousands.
_MORE = 4.0


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A part and what is wanted of it, as it is sent to a worker."""

    part: Part
    spec: Spec

    def __call__(self) -> Sketch:
        return scan_part(self.part, self.spec)


def _done(work: _Work) -> Sketch:
    return work()


def scan(source: Source, spec: Spec, *, executor: Any = None, progress: Progress | None = None) -> Sketch:
    """Read every row of a source once, and return the sketch of them all.

    The parts are merged in their order, whoever has read them, so the result is the same to the last bit for
    any executor. Where too few rows of a class were kept to draw from, the source is read a second time with
    the counts of the first.

    Parameters
    ----------
    source : Source
    spec : Spec
    executor : see :func:`regadvisor.scale.workers.workers`
        Engines that read with threads of their own, DuckDB and polars, are read in this process.
    progress : callable, optional
        Called with "scan" and the share of the parts that are read.

    Raises
    ------
    DataError
        If a part cannot be read.
    WorkerError
        If a part ends every worker.
    """
    spec = replace(spec, least_rows=max(spec.least_rows, source.known_rows))
    sketch = _scanned(source, spec, executor, progress)
    while not has_enough(sketch):
        # Rows without a target were counted in, or luck of 8 standard deviations.
        spec = replace(spec, least_rows=0 if spec.least_rows else sketch.n_rows, spare=_MORE * spec.spare)
        sketch = _scanned(source, spec, executor, progress)
    return sketch


def _scanned(source: Source, spec: Spec, executor: Any, progress: Progress | None) -> Sketch:
    if isinstance(source, DaskFrame):
        with workers(executor) as here:
            return source.sketch(spec, here)
    total = Sketch.of_nothing(spec)
    own = None if source.is_local else executor
    parts = source.parts(use_threads=own is None)
    with workers(own) as here:
        for n_done, sketch in enumerate(here.run(_done, [_Work(part=part, spec=spec) for part in parts])):
            if progress is not None:
                progress("scan", (n_done + 1) / len(parts))
            if isinstance(sketch, WorkerError):
                raise sketch
            total.merge(sketch)
    total.prune(always=True)
    return total


def has_enough(sketch: Sketch) -> bool:
    """Return whether the rows kept hold every row that may be drawn.

    Rows with keys below the final limit were never thrown away; are there as many of them as are to be drawn?
    """
    spec, n = sketch.spec, sketch.n_rows
    if sketch.sample is None or sketch.reference is None or not n:
        return True
    if len(sketch.reference.ids) < min(spec.n_reference, n):
        return False
    if sketch.counts is None:
        return len(sketch.sample.ids) >= min(spec.n_rows, n)
    codes, labels = sketch.codes(sketch.sample.rows)
    kept = dict(zip(labels, np.bincount(codes, minlength=len(labels)).tolist(), strict=True))
    return all(
        kept.get(label, 0) >= min(size, max(LEAST_OF_CLASS, int(np.ceil(spec.n_rows * size / n)) + 1))
        for label, size in sketch.counts.items()
    )

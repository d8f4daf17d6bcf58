"""One pass over a source, part by part, wherever the parts are read."""

from __future__ import annotations

from typing import Any

from regadvisor.progress import Progress
from regadvisor.scale.parts import Source
from regadvisor.scale.sketch import Sketch, Spec
from regadvisor.scale.workers import WorkerError, workers


def scan(source: Source, spec: Spec, *, executor: Any = None, progress: Progress | None = None) -> Sketch:
    """Read every row of a source once, and return the sketch of them all.

    The parts are merged in their order, whoever has read them, so the result is the same to the last bit for
    any executor.

    `executor`: engines that read with threads of their own, DuckDB and polars, are read in this process.
    `progress`: called with "scan" and the share of the parts that are read.

    Raises DataError if a part cannot be read; WorkerError if a part ends every worker.
    """
    total = Sketch.of_nothing(spec)
    with workers(None if source.is_local else executor) as here:
        for share, sketch in source.sketches(spec, here):
            if progress is not None:
                progress("scan", share)
            if isinstance(sketch, WorkerError):
                raise sketch
            total.merge(sketch)
    total.prune(always=True)
    return total

"""Optuna's studies: an empty one for a search."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import optuna
from optuna.distributions import FloatDistribution

from regadvisor.candidates import Range


def new_study(name: str, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """Return an empty study in memory."""
    with quiet():
        storage = optuna.storages.InMemoryStorage()
        return optuna.create_study(storage=storage, study_name=name, sampler=sampler, direction="minimize")


def distribution(span: Range, points: Sequence[float] = ()) -> FloatDistribution:
    """Return all that may be searched of a strength as Optuna's distribution; it holds the given points."""
    low, high = span.limits
    return FloatDistribution(min(low, *points, high), max(high, *points, low), log=span.is_log)


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what Optuna logs on creating a study, in this thread; nobody's log levels are touched."""
    thread = threading.get_ident()

    def is_wanted(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or threading.get_ident() != thread

    sources = (optuna.storages.InMemoryStorage, optuna.Study)
    loggers = [logging.getLogger(source.__module__) for source in sources]
    for logger in loggers:
        logger.addFilter(is_wanted)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_wanted)

"""Work on other processes and machines: one function, many items, results in the order of the items.

Few items are under way at a time, so results wait for each other in little memory. An item whose worker dies
is given out again, at most three times: then it is the item that kills its workers, and an error that names
it comes in place of its result.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from multiprocessing.connection import wait as wait_for
from numbers import Integral
from typing import Any, TypeVar

from regadvisor.errors import ParameterError, RegadvisorError, import_optional

Item = TypeVar("Item")
Result = TypeVar("Result")

#: How often an item is given out.
_TRIES = 3
#: Items under way for every worker.
_AHEAD = 2


class WorkerError(RegadvisorError):
    """A piece of work ended every worker that it was given to."""


class Workers:
    """Somewhere to work."""

    n_workers: int
    #: Whether that is this process, one item after the other.
    is_here = False

    def begin(self, function: Callable[[Item], object], item: Item) -> Callable[[], bool]:
        """Have a first item worked on; return what tells whether it is done, and workers have started."""
        raise NotImplementedError

    def run(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[Result | WorkerError]:
        """Yield the results in the order of the items; for one that kills its workers, the error."""
        raise NotImplementedError


def check_executor(executor: Any) -> Any:
    """Return the caller's ``executor=``.

    Raises ParameterError if it is none of what :func:`workers` takes.
    """
    is_count = type(executor) is not bool and isinstance(executor, Integral) and int(executor) >= 1
    is_known = executor is None or is_count or isinstance(executor, Executor) or executor == "ray"
    is_dask = type(executor).__module__.startswith("distributed.") and hasattr(executor, "submit")
    if not is_known and not is_dask:
        raise ParameterError(
            "executor must be None, a number of processes, an executor of concurrent.futures, a "
            f"dask.distributed Client or 'ray', got {executor!r}; leave it out to work in this process"
        )
    return executor


def workers(executor: Any) -> AbstractContextManager[Workers]:
    """Return where to work; what is started for it ends with the context.

    `executor`: as for ``advise()``, or what an outer call has returned.

    >>> with workers(None) as here:
    ...     list(here.run(abs, [-1, 2]))
    [1, 2]
    """
    if isinstance(executor, Workers):
        return nullcontext(executor)
    check_executor(executor)
    if executor is None or executor == 1:
        return nullcontext(_Here())
    if isinstance(executor, Integral):
        check_may_start("a number of processes as executor")
        return closing(_Pool(int(executor)))
    if isinstance(executor, Executor):
        return closing(_Pool(int(getattr(executor, "_max_workers", 4)), executor))
    return _ray() if executor == "ray" else nullcontext(_Dask(executor))


def check_may_start(arguments: str) -> None:
    """Raise ParameterError where Python cannot start a process: in one that may not, and in no folder.

    `arguments`: those of the caller that need another process.
    """
    if multiprocessing.current_process().daemon:
        raise ParameterError(
            f"{arguments} must be left out in a daemon process (of a multiprocessing.Pool, say), which may "
            "start no others; work in threads, or in processes of concurrent.futures"
        )
    try:
        os.getcwd()
    except OSError as error:
        raise ParameterError(
            f"{arguments} must be left out in a current folder that was removed, in which no process can "
            "start; call os.chdir() to a folder that is there first"
        ) from error


class _Here(Workers):
    """This process."""

    n_workers = 1
    is_here = True

    def begin(self, function: Callable[[Item], object], item: Item) -> Callable[[], bool]:
        return lambda: True

    def run(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[Result | WorkerError]:
        return map(function, items)


class _Pool(Workers):
    """The caller's executor of concurrent.futures, or processes; where it breaks, others are started."""

    def __init__(self, n_workers: int, given: Executor | None = None) -> None:
        self.n_workers = n_workers
        self._is_own = given is None
        self._pool = self._new() if given is None else given
        #: Whether work under way is of no more use.
        self._must_end = False
        #: Whether a worker ever answered; why none ever will.
        self._has_answered = False
        self._hopeless: WorkerError | None = None

    def begin(self, function: Callable[[Item], object], item: Item) -> Callable[[], bool]:
        return self._submit(function, item).done

    def run(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[Result | WorkerError]:
        if self._hopeless is not None:
            raise self._hopeless
        tries = [0] * len(items)
        under_way: dict[int, Future[Result]] = {}
        done: dict[int, Result | WorkerError] = {}
        following, wanted = 0, 0
        # After a break items go out one by one until each of them is through: so the one that breaks is
        # known.
        suspects: list[int] = []
        try:
            while wanted < len(items):
                most = 1 if suspects else _AHEAD * self.n_workers
                queue = suspects or range(following, len(items))
                for i in queue:
                    if len(under_way) >= most or i - wanted > 2 * _AHEAD * self.n_workers:
                        break
                    if i not in under_way:
                        under_way[i] = self._submit(function, items[i])
                        following = max(following, i + 1)
                wait(under_way.values(), return_when=FIRST_COMPLETED)
                for i in [i for i, future in under_way.items() if future.done()]:
                    try:
                        done[i] = under_way.pop(i).result()
                        self._has_answered = True
                    except BrokenExecutor as error:
                        under_way[i] = Future()  # it is counted below
                        lost = sorted(under_way)
                        for each in lost:
                            tries[each] += 1
                        if len(lost) == 1 and tries[lost[0]] >= _TRIES:
                            done[lost.pop()] = _killer(items[i], error)
                        under_way.clear()
                        # A second break must not forget the others.
                        suspects = sorted({*suspects, *lost} - done.keys())
                        self._replace()
                        self._check_start()
                        break
                    suspects = [each for each in suspects if each != i]
                while wanted in done:
                    yield done.pop(wanted)
                    wanted += 1
        except KeyboardInterrupt:
            # What was finished still counts; whoever asks for more gets the interrupt.
            self._must_end = True
            yield from (done[i] for i in sorted(done))
            yield from (each.result() for each in under_way.values() if each.done() and not each.exception())
            raise

    def _submit(self, function: Callable[[Item], Result], item: Item) -> Future[Result]:
        try:
            return self._pool.submit(function, item)
        except BrokenExecutor:
            self._replace()
            return self._pool.submit(function, item)
        except RuntimeError as error:
            if "shutdown" not in str(error):
                raise
            raise ParameterError(
                "executor must be open, got one that was shut down; call advise() within its with statement"
            ) from error

    def _check_start(self) -> None:
        """Raise WorkerError if a worker dies that has nothing to do: all others would, too."""
        try:
            self._has_answered = self._has_answered or not self._submit(int, "0").result()
        except BrokenExecutor as error:
            self._hopeless = _killer("its start", error, n=1)
            raise self._hopeless from error

    def _replace(self) -> None:
        if self._is_own:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool, self._is_own = self._new(), True

    def _new(self) -> Executor:
        # Spawned, not forked: a fork in a process with threads, as torch and Arrow have, may hang.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.n_workers, mp_context=context, initializer=_begin)

    def close(self) -> None:
        """End the processes that were started here."""
        if self._is_own:
            # Nobody waits for workers that never had anything to do.
            if self._must_end or not self._has_answered:  # Python 3.14 has another way to end them
                for process in list((getattr(self._pool, "_processes", None) or {}).values()):
                    process.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)


def _killer(item: Any, error: BaseException, *, n: int = _TRIES) -> WorkerError:
    called = item if isinstance(item, str) else getattr(item, "called", repr(item))
    found = WorkerError(
        f"a worker must survive its work, got {n} that died at {called}; look for their end in the "
        "logs (too little memory? a script without if __name__ == '__main__':?), give workers more memory, "
        "or use fewer of them"
    )
    found.__cause__ = error
    return found


def _begin() -> None:
    """Leave Ctrl-C to the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """End this process when the one that started it is gone; a killed parent tells nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            wait_for([parent.sentinel])
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


class _Cluster(Workers):
    """Workers of a library that gives work out again by itself when a worker dies."""

    #: What is raised where an item has killed its workers.
    killed: type[Exception]

    def submit(self, function: Callable[[Item], Result], item: Item) -> Any:
        """Have an item worked on."""
        raise NotImplementedError

    def result(self, future: Any) -> Any:
        """Wait for what :meth:`submit` returned."""
        return future.result()

    def begin(self, function: Callable[[Item], object], item: Item) -> Callable[[], bool]:
        done: Callable[[], bool] = self.submit(function, item).done
        return done

    def run(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[Result | WorkerError]:
        under_way: dict[int, Any] = {}
        for wanted in range(len(items)):
            for i in range(wanted, min(len(items), wanted + _AHEAD * self.n_workers)):
                if i not in under_way:
                    under_way[i] = self.submit(function, items[i])
            try:
                yield self.result(under_way.pop(wanted))
            except self.killed as error:
                yield _killer(items[wanted], error)


class _Dask(_Cluster):
    """A cluster of Dask."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.n_workers = max(1, len(client.scheduler_info()["workers"]))
        self.killed = import_optional("distributed", extra="dask", purpose="a Dask client").KilledWorker

    def submit(self, function: Callable[[Item], Result], item: Item) -> Any:
        return self.client.submit(function, item, pure=False, retries=0)


class _Ray(_Cluster):
    """Tasks of Ray, on its cluster or on this machine."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._task = ray.remote(max_retries=_TRIES - 1)(_apply)
        self.n_workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self.killed = ray.exceptions.WorkerCrashedError

    def submit(self, function: Callable[[Item], Result], item: Item) -> Any:
        return self._task.remote(function, item)

    def begin(self, function: Callable[[Item], object], item: Item) -> Callable[[], bool]:
        own = self.submit(function, item)
        return lambda: bool(self._ray.wait([own], timeout=0)[0])

    def result(self, future: Any) -> Any:
        try:
            return self._ray.get(future)
        except self._ray.exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, RegadvisorError) else error) from None


def _apply(function: Callable[[Item], Result], item: Item) -> Result:
    return function(item)


@contextmanager
def _ray() -> Iterator[Workers]:
    ray = import_optional("ray", extra="ray", purpose="executor='ray'")
    was_running = ray.is_initialized()
    if not was_running:
        ray.init(log_to_driver=False, configure_logging=False, include_dashboard=False)
    try:
        yield _Ray(ray)
    finally:
        if not was_running:
            ray.shutdown()

"""Whether the networks of a Keras model or a skorch net can be trained together, and training them so.

One place decides. What is known to differ is asked first; then a few rows are trained for three steps both
ways, without dropout: by the library's own ``fit``, and stacked. Only if both predict the same are networks
stacked.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from regadvisor.deadline import NEVER, Deadline, OutOfTimeError
from regadvisor.families.base import Costs, Job
from regadvisor.families.fitted.learner import Call, Trained
from regadvisor.families.fitted.library import first_line
from regadvisor.families.fitted.stacked import Network, numbers_saved, train
from regadvisor.families.neural.threads import one_thread
from regadvisor.global_state import RANDOMNESS
from regadvisor.regularizer import Regularizer

if TYPE_CHECKING:
    from regadvisor.families.fitted.keras_fit import KerasFit
    from regadvisor.families.fitted.skorch_fit import SkorchFit

#: Rows and steps of the trial, and how far predictions may lie apart, in shares of the largest; and how far
#: if those of the library's own fit lie so far apart when its rows come in another order.
_TRIED_ROWS, _TRIED_STEPS, _SAME, _ROUNDED = 24, 3, 1e-3, 0.1
#: Networks of one stack, and the bytes that they may take.
MOST_NETWORKS, STACK_BYTES = 64, 300_000_000
#: Floats that a row leaves behind from which on convolutions gain nothing by stacking (measured on a CPU:
#: small ones cost a fifth, others as much as one by one, or half as much again).
MOST_CONVOLVED = 5_000
#: Share of the time left that a stack may take.
STACK_SHARE = 0.25
#: Jobs of the stack whose steps are timed, and how many steps of each.
_PRICED_JOBS, _TIMED_STEPS = 4, 12
#: Seconds that steps of the library's own fit are timed for.
_TIMED_S = 0.5
#: Steps that recording one takes as long as, at most; and the share of the time left that it may take.
_RECORDING_STEPS, _RECORDED_SHARE = 50, 0.3


class Together:
    """Networks of a library, trained together if they can be.

    `read`: a model that predicts → what the family reads.

    `why_not`: why each is trained by its own ``fit``, once it was tried; None: they are stacked.
    """

    def __init__(self, library: KerasFit | SkorchFit, read: Callable[[Any], Trained]) -> None:
        self._library, self._read = library, read
        self._network: Network | None = None
        self._floats = 0
        #: Seconds of a step of the stack that was timed, and of recording one; inf: recording was not tried.
        self._step_s, self._recording_s = 0.0, math.inf
        self.is_tried = False
        self.why_not: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs: it tries for itself."""
        return {**self.__dict__, "_network": None, "is_tried": False, "why_not": None}

    def try_with(self, call: Call, deadline: Deadline = NEVER) -> bool:
        """Return whether networks can be stacked; it is tried once, with rows of this call.

        A trial that a deadline cuts is tried again in the next call.
        """
        if not self.is_tried and not deadline.expired():
            with RANDOMNESS, one_thread(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # Torch warns where it has no batching rule and runs the networks one by one.
                warnings.filterwarnings("error", message="There is a performance drop")
                try:
                    self.why_not = (
                        self._library.why_not(call.X)
                        or self._differs(call, deadline)
                        or self._too_large(call)
                    )
                except OutOfTimeError:
                    return False
                except Exception as error:  # whatever cannot be batched; what is wrong its own fit says
                    self.why_not = f"they cannot be stacked ({first_line(error)})"
            self.is_tried = True
        return self.is_tried and self.why_not is None

    def _differs(self, call: Call, deadline: Deadline) -> str | None:
        """Train a few rows both ways; return what to say if the predictions differ."""
        # Some of each class are among them.
        _, first = np.unique(np.asarray(call.y).reshape(len(call.y), -1)[:, 0], return_index=True)
        rows = np.concatenate([first[:_TRIED_ROWS], np.arange(min(len(call.y), _TRIED_ROWS))])
        few, coupling = call.some(np.unique(rows)), self._library.coupling
        tried = Regularizer(coupling=coupling), Regularizer(l1=0.1, l2=0.1, coupling=coupling)
        calls = [replace(few, regularizer=each) for each in tried]
        network = self._library.network(calls[0], steps=_TRIED_STEPS)
        found = self._tried(network, calls, deadline)
        for own, mine in zip(calls, found, strict=True):
            deadline.check()
            theirs = self._library.alone(own, steps=_TRIED_STEPS)
            gap = _gap(mine, theirs, own.X)
            if gap > _SAME:
                # Rounding alone moves some numbers, such as biases in front of a norm: by how much?
                turned = own.some(np.arange(len(own.y))[::-1])
                again = self._library.alone(turned, steps=_TRIED_STEPS)
                if gap > min(_ROUNDED, 4.0 * _gap(again, theirs, own.X)):
                    return "stacked, they differ from what its own fit trains"
        return None

    def _tried(self, network: Network, calls: Sequence[Call], deadline: Deadline) -> list[Any]:
        """Return stacked models after the steps of the trial, which are recorded if there is time."""
        at: list[float] = []

        def should_stop() -> bool:
            at.append(time.perf_counter())
            deadline.check()
            return False

        found = None
        if deadline.is_finite:
            found = self._trained(network, calls, should_stop, False)
        if found is None or _RECORDING_STEPS * (at[-1] - at[-2]) < _RECORDED_SHARE * deadline.left_s:
            began = time.perf_counter()
            found = self._trained(network, calls, should_stop, True)
            self._recording_s = time.perf_counter() - began if deadline.is_finite else 0.0
        return found or []

    def _too_large(self, call: Call) -> str | None:
        """Make the network; return what to say if stacking it gains nothing."""
        self._network = self._library.network(call)
        saved = self._saved(self._network, call)
        if self._network.is_convolutional and saved > MOST_CONVOLVED:
            return "convolutions of this size are as fast one network at a time"
        own = sum(value.numel() for value in self._network.start(call.seed)[0])
        self._floats = 6 * own + 2 * saved * min(self._network.batch, len(call.y))
        return None if self.n_at_once > 1 else "one takes too much memory"

    def _saved(self, network: Network, call: Call) -> int:
        """Return the floats that one row leaves behind in a forward pass."""
        run, _ = network.run(call)
        few = min(len(run.x), network.batch, 8)
        trained, kept = network.start(call.seed)
        leaves = [value.clone().requires_grad_() for value in trained]
        weight = None if run.weight is None else run.weight[:few]
        own = sum(value.numel() for value in trained)
        saved = numbers_saved(lambda: network.loss(leaves, kept, run.x[:few], run.y[:few], weight, []))
        return max(0, saved - own) // few

    @property
    def n_at_once(self) -> int:
        """Networks of one stack."""
        return int(min(MOST_NETWORKS, STACK_BYTES // (4 * max(1, self._floats))))

    def n_jobs(self, n_folds: int, *, n_rows: int, left_s: float) -> int:
        """Return how many jobs make a stack, at least 1: what a deadline finds unfinished is lost."""
        most = self.n_at_once // n_folds
        if math.isfinite(left_s) and self._step_s > 0:
            # A stack of any size takes about half of what the timed one does; the rest is for its networks.
            half_s = self._n_steps(n_rows) * self._step_s / 2
            most = min(most, int(_PRICED_JOBS * (STACK_SHARE * left_s - half_s) / half_s))
        return max(1, most)

    def costs(
        self, call: Callable[[Job], Call], *, n_folds: int, share: float, deadline: Deadline
    ) -> Costs | None:
        """Return what jobs cost, and a full run by the library's own fit, from a few steps of each.

        `share`: of the rows that a fold trains on. None: networks are trained by their own fit, and there is
        time for a whole one, which tells more.
        """
        job = Job(regularizer=Regularizer(l1=0.01, l2=0.01, coupling=self._library.coupling))
        own = call(job)
        try:
            first_s, step_s = self._alone_s(own, deadline)
        except Exception:  # a whole fit says what is wrong, or that only this was
            return None

        def alone_s(n_rows: float) -> float:
            return first_s + (self._n_steps(n_rows) - 1) * step_s

        if self.try_with(own, deadline):
            n_jobs = min(_PRICED_JOBS, max(1, self.n_at_once // n_folds))
            stack_s = self._timed_step([own] * (n_jobs * n_folds), deadline)
            self._step_s = stack_s * _PRICED_JOBS / n_jobs
            return Costs(
                job_s=lambda n_rows: self._n_steps(share * n_rows) * stack_s / n_jobs, full_run_s=alone_s
            )
        if alone_s(len(own.y)) < deadline.left_s:
            return None
        return Costs(job_s=lambda n_rows: n_folds * alone_s(share * n_rows), full_run_s=alone_s)

    def _n_steps(self, n_rows: float) -> int:
        library = self._library
        return library.epochs * math.ceil(n_rows * library.share / library.batch)

    def _timed_step(self, calls: Sequence[Call], deadline: Deadline) -> float:
        """Return the seconds of one step of a stack."""
        at: list[float] = []

        def is_enough() -> bool:
            at.append(time.perf_counter())
            return len(at) > _TIMED_STEPS or (len(at) > 1 and deadline.expired())

        self.fit(calls, should_stop=is_enough, left_s=deadline.left_s)
        seconds = np.diff(at if len(at) > 1 else [*at, time.perf_counter()])
        return float(np.median(seconds[len(seconds) // 2 :]))  # the first ones load and record

    def _alone_s(self, call: Call, deadline: Deadline) -> tuple[float, float]:
        """Return the seconds of the library's own fit of one step, and of each step more."""
        few = call.some(np.arange(min(self._library.batch, len(call.y))))

        def seconds(steps: int) -> float:
            start = time.perf_counter()
            self._library.alone(few, steps=steps)
            return time.perf_counter() - start

        first_s = seconds(1)  # it loads what the first one loads
        if deadline.expired():
            return first_s, first_s
        first_s = min(first_s, seconds(1))
        n_more = int(np.clip(_TIMED_S / first_s, 1, _TIMED_STEPS))
        if deadline.expired():
            return first_s, first_s
        return first_s, max(seconds(1 + n_more) - first_s, 0.01 * first_s) / n_more

    def fit(
        self, calls: Sequence[Call], *, should_stop: Callable[[], bool], left_s: float = math.inf
    ) -> list[Trained] | None:
        """Return trained models in the order of the calls; None if it was stopped.

        Steps are recorded only if that ends in the time left: nothing stops it.
        """
        assert self._network is not None
        records = None if self._recording_s < _RECORDED_SHARE * left_s else False
        with RANDOMNESS, one_thread():
            models = self._trained(self._network, calls, should_stop, records)
        return None if models is None else [self._read(model) for model in models]

    def _trained(
        self, network: Network, calls: Sequence[Call], should_stop: Callable[[], bool], records: bool | None
    ) -> list[Any] | None:
        # Rows that several calls share are made to tensors once: runs of a fold are known by them.
        made: dict[tuple[int, int], Any] = {}
        for call in calls:
            key = id(call.X), id(call.y)
            if key not in made:
                made[key] = network.run(call)
        runs = [
            replace(made[id(call.X), id(call.y)][0], regularizer=call.regularizer, seed=call.seed)
            for call in calls
        ]
        found = train(network, runs, should_stop=should_stop, records=records)
        if found is None:
            return None
        return [made[id(call.X), id(call.y)][1](*numbers) for call, numbers in zip(calls, found, strict=True)]


def _gap(first: Any, second: Any, X: Any) -> float:
    """Return how far the predictions of two models lie apart, in shares of the largest."""
    name = "predict_proba" if second.classes_ else "predict"
    a, b = (np.asarray(getattr(each, name)(X)) for each in (first, second))
    return float(np.abs(a - b).max()) / max(1e-6, float(np.abs(b).max())) if np.isfinite(a).all() else np.inf

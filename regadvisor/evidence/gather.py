"""Evidence on demand: the walk names a field, and only then is it measured.

The heavy intermediate objects (the sample, the prepared folds, the fits) stay in the :class:`Gatherer`; what
goes into the evidence is plain data.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, cast

from regadvisor import __version__
from regadvisor.arguments import Options
from regadvisor.data.table import MOST_CELLS, Table
from regadvisor.deadline import Deadline
from regadvisor.errors import StorageError
from regadvisor.evidence.correlation import map_features, measure_correlation
from regadvisor.evidence.full_size import Growing
from regadvisor.evidence.resources import Ladder, Rung, situation_of
from regadvisor.evidence.scores import Trained, measure_scores
from regadvisor.evidence.whole_picture import measure_whole_picture
from regadvisor.families.base import Family, folds_in_order
from regadvisor.families.estimator.encoder import as_seen
from regadvisor.plan.plan import Plan, Situation
from regadvisor.records import (
    ONE_CLUSTER,
    Evidence,
    FeatureFacts,
    GrowthEvidence,
    Note,
    PriorEvidence,
    ResourceEvidence,
    ScoreEvidence,
    Settings,
    Timings,
)
from regadvisor.regularizer import Kind
from regadvisor.sampling.blocks import in_blocks
from regadvisor.sampling.draw import Drawn, draw_sample
from regadvisor.scale.apart import memory_bytes
from regadvisor.thresholds import LONGER_PAYS

_ONE_CLUSTER = Note(
    code=ONE_CLUSTER,
    text="All rows tested are of one group or one stretch of time; on others the kinds may differ. More time "
    "tests more of them.",
)
_OUT_OF_MEMORY = Note(
    code="memory",
    text="Memory ran out with many networks at once: fewer were trained at a time, with the same numbers.",
)


_NOT_LOOKED = Note(
    code="not-looked",
    text="The time was up before leaks, copied rows, identifiers and extreme values could be looked for.",
)


class Gatherer:
    """Measures fields of the evidence when the walk needs them, each once.

    `table`: all rows. `started_s`: when the advice began, on the monotonic clock: its budget runs from there.
    `scan_s`: seconds of these that a source took to be read in parts. An automatic budget runs from there on:
    it is set against a full run, which reads the data, too. `read_s`: seconds that reading from memory took.

    `rung`: the plan as chosen, and what it is projected to cost; see :meth:`choose_rung`. `plan`: the plan,
    made again for the sample that was drawn. `deadline`: for the whole advice; training ends early enough to
    leave time for the comparisons.
    """

    def __init__(
        self,
        *,
        table: Table,
        family: Family,
        request: Options,
        started_s: float,
        scan_s: float = 0.0,
        read_s: float = 0.0,
    ) -> None:
        self.table = table
        self.family = family
        self.request = request
        self._scan_s = scan_s if request.budget == "auto" else 0.0
        self._read_s = read_s
        self.started_s = started_s + self._scan_s
        self.stages: dict[str, float] = {"scan": scan_s} if scan_s else {}
        self.situation = situation_of(
            table,
            family,
            folds=request.folds,
            may_choose=isinstance(request.sample, str) and request.match is None,
            most_rows=most_rows(table.facts.n_features),
        )
        self.rung: Rung
        self.plan: Plan
        self.deadline = Deadline.never()
        self.trained: Trained | None = None
        self._failures: list[Exception] = []
        self._drawn: Drawn | None = None
        self._seen: Table | None = None
        self._measured: dict[str, Any] = {}
        self._measure: dict[str, Callable[[Evidence, Kind | None], Any]] = {
            "sample": lambda *_: self.drawn.evidence,
            "resources": self._resources,
            "prior": self._prior,
            "correlation": lambda *_: replace(
                measure_correlation(self._features, seed=request.seeds["correlation"]),
                given=request.correlated,
            ),
            "whole_picture": lambda *_: replace(
                measure_whole_picture(self._features, seed=request.seeds["whole_picture"]),
                given=request.whole_picture,
            ),
            "scores": self._scores,
            "growth": self._growth,
        }

    def choose_rung(self) -> None:
        """Choose the effort, the rows and the deadline; with a budget a pilot is trained and timed."""
        request = self.request
        with self.stage("pilot"):
            self.rung = Ladder(
                table=self.table,
                family=self.family,
                situation=self.situation,
                seed=request.seeds["pilot"],
                budget=request.budget,
                effort=request.effort,
                storage=request.storage,
                started_s=self.started_s,
                read_s=self._read_s,
            ).choose()
        if self.rung.longer > 1:
            self.family = cast(Any, self.family).with_length(self.rung.longer)
        self.plan = self.rung.plan
        if self.rung.budget_s is not None:
            self.deadline = self.rung.deadline(self.started_s)

    def __call__(self, evidence: Evidence, needs: tuple[str, ...], pick: Kind | None = None) -> Evidence:
        """Return the evidence with the named fields measured; `pick` is what the walk carries."""
        for name in needs:
            if getattr(evidence, name) is None:
                if name not in self._measured:
                    with self.stage(name):
                        self._measured[name] = self._measure[name](evidence, pick)
                evidence = replace(evidence, **{name: self._measured[name]})
        return evidence

    def with_measured(self, evidence: Evidence) -> Evidence:
        """Return the evidence of a walk with what walks to other replies have measured besides."""
        missing = [name for name in self._measured if getattr(evidence, name) is None]
        return replace(evidence, **{name: self._measured[name] for name in missing})

    @property
    def drawn(self) -> Drawn:
        """The sample, drawn on first use as planned; then the plan is made again for what was drawn."""
        if self._drawn is None:
            self._drawn, self.plan = draw_as_planned(self.table, self.rung, self.situation, self.request)
        return self._drawn

    @property
    def training_deadline(self) -> Deadline:
        """When training has to end, to leave time for the comparisons and the decision."""
        return self.deadline.earlier(self.rung.reserve_s)

    @cached_property
    def may_look(self) -> bool:
        """Whether there is time to look for what is odd about the data: there is where they are read fast."""
        return self._read_s <= self.request.reading_s or not self.deadline.expired()

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is worth saying of the model, the sample and of how the run ended."""
        drawn = () if self._drawn is None else self._drawn.notes
        failed = tuple(
            Note(
                code="failed",
                text=f"Training on fewer rows failed ({type(error).__name__}: {error}): what becomes of the "
                "gain on all rows is taken from other data sets.",
            )
            for error in self._failures
        )
        interrupted = Note(
            code="interrupted", text="The run was interrupted: this is the best of what was known then."
        )
        longer = Note(
            code="longer-runs",
            text=f"Networks were trained {self.rung.longer} times as long as usual: on a few rows, each "
            f"doubling lowered the held-out loss by more than {LONGER_PAYS:.0%}.",
        )
        of_family: tuple[Note, ...] = getattr(self.family, "notes", ())
        observed = {} if self.trained is None else getattr(self.trained.prepared, "observed", {})
        said = (
            (longer, self.rung.longer > 1),
            (_OUT_OF_MEMORY, "halved" in observed),
            (_ONE_CLUSTER, self.trained is not None and self.trained.panel.is_one_cluster),
            (interrupted, self.is_interrupted),
            (_NOT_LOOKED, not self.may_look),
        )
        return (*of_family, *drawn, *failed, *(note for note, is_so in said if is_so))

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C ended the training, or came after it."""
        return self.deadline.is_cancelled and not self._failures

    def without_growth(self, evidence: Evidence, needs: tuple[str, ...], pick: Kind | None) -> Evidence:
        """Return the same for a walk to other replies: what becomes of a gain is known for the first pick."""
        return self(evidence, tuple(name for name in needs if name != "growth"), pick)

    def features(self) -> FeatureFacts | None:
        """Return how the features go together; None where the time is up."""
        if self.deadline.expired():
            return None
        return map_features(self._features, seed=self.request.seeds["correlation"])

    def timings(self) -> Timings:
        """Return the seconds by stage, with the projections they are held against."""
        return Timings(
            total_s=time.monotonic() - self.started_s + self._scan_s,
            stages=dict(self.stages),
            projected_s=self.rung.projected_s,
            full_run_s=self.rung.full_run_s,
            budget_s=self.rung.budget_s,
        )

    def settings(self, chart: str) -> Settings:
        """Return what was asked, and the effort that it came to; `chart`: the name of the one walked."""
        asked = ("folds", "random_state", "prefer", "correlated", "whole_picture", "device")
        return Settings(
            model=self.family.name,
            task=self.table.facts.task,
            chart=chart,
            effort=self.rung.effort.name,
            effort_source=self.rung.effort_source,
            budget_s=self.rung.budget_s,
            version=__version__,
            **{name: getattr(self.request, name) for name in asked},
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, without the stages inside it, and tell the caller's progress that it begins."""
        start, others = time.perf_counter(), sum(self.stages.values())
        self._say(name, 0.0)
        yield
        inside = sum(self.stages.values()) - others
        self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - start - inside

    def _say(self, stage: str, share: float) -> None:
        if self.request.progress is not None:
            self.request.progress(stage, share)

    def _resources(self, evidence: Evidence, pick: Kind | None) -> ResourceEvidence:
        found = self.rung.resources(n_sample=self.drawn.table.n_rows)
        if self.drawn.folds or not found.can_validate:
            return found
        return replace(
            found, can_validate=False, obstacle="The rows cannot be split into folds to validate on."
        )

    def _prior(self, evidence: Evidence, pick: Kind | None) -> PriorEvidence:
        return PriorEvidence(
            correlated=self.request.correlated,
            whole_picture=self.request.whole_picture,
            can_measure=self._features.facts.n_features > 1,
        )

    @property
    def _features(self) -> Table:
        """The rows that features are measured on: the sample, or all rows where none may be drawn."""
        if self._seen is None:
            self._seen = as_seen(self.drawn.table if self.drawn.table.n_rows > 0 else self.table)
        return self._seen

    def _growth(self, evidence: Evidence, pick: Kind | None) -> GrowthEvidence | None:
        """Measure what becomes of the pick's gain on all rows; None where there is nothing to extrapolate."""
        trained, drawn = self.trained, self.drawn
        kinds = {} if trained is None else trained.results.by_kind
        if trained is None or pick in (None, "none") or not {"none", pick} <= set(kinds):
            return None
        if trained.prepared.n_learned >= self.table.facts.n_rows:
            return None
        assert pick is not None
        is_given = isinstance(self.request.budget, int | float)
        growing = Growing(
            table=self.table,
            drawn=drawn,
            family=self.family,
            prepared=trained.prepared,
            honest=trained.honest,
            seed=self.request.seeds["growth"],
            deadline=self.training_deadline,
            full_run_s=self.rung.full_run_s if is_given else None,
            storage=self.request.storage,
            plan=self.plan,
        )
        picked = kinds[pick][trained.honest.best_config(pick)]
        try:
            return growing.measure(pick, picked)
        except StorageError:  # a full disk is no fault of the training
            raise
        except KeyboardInterrupt:
            self.deadline.cancel()
        except Exception as error:  # whatever a caller's own module may raise
            self._failures.append(error)
            self.deadline.cancel()
        return growing.measure(pick, picked)  # the time is up: from the sample alone

    def _scores(self, evidence: Evidence, pick: Kind | None) -> ScoreEvidence:
        drawn = self.drawn  # then the plan is that of what was drawn
        found, self.trained = measure_scores(
            self.table,
            drawn,
            self.family,
            self.plan,
            self.request,
            deadline=self.training_deadline,
            say=self._say,
        )
        return found


#: The fewest rows that folds make sense of, however wide the table.
_FEWEST_ROWS = 200


def most_rows(n_features: int) -> int:
    """Return the rows of the largest sample: where memory is limited, five folds take a third of it."""
    limit = memory_bytes()
    cells = MOST_CELLS if math.isinf(limit) else min(MOST_CELLS, int(limit / (3 * 5 * 8)))
    return max(cells // max(n_features, 1), _FEWEST_ROWS)


def draw_as_planned(table: Table, rung: Rung, situation: Situation, request: Options) -> tuple[Drawn, Plan]:
    """Return the sample that a rung plans, and its plan: another one where the sample turns out to be."""
    plan, effort = rung.plan, rung.effort

    def draw(n_rows: int, *, folds: int) -> Drawn:
        if n_rows >= table.n_rows:  # everything: say how many rows were wanted, not how many there are
            n_rows = max(n_rows, effort.max_rows_of(situation.family_name))
        return draw_sample(
            table,
            n_rows=n_rows,
            sample=request.sample,
            match=request.match,
            folds=folds,
            seed=request.seeds["sample"],
            size_reason=rung.size_reason,
        )

    drawn = None
    if plan.in_blocks:  # folds that share no training row; None if a class would be missing from one
        drawn = in_blocks(
            draw(plan.n_drawn, folds=max(plan.n_folds, 2)),
            n_train=plan.n_train,
            seed=request.seeds["sample"],
            is_single=plan.n_folds == 1,
        )
    if drawn is None:
        drawn = draw(plan.n_rows, folds=request.folds)
        plan = replace(situation, may_block=False).plan(effort, drawn.table.n_rows)
    drawn = _on_one_fold(drawn) if rung.is_smallest else drawn
    return drawn, replace(plan, n_folds=len(drawn.folds))


def _on_one_fold(drawn: Drawn) -> Drawn:
    """Return the sample with a single fold, the first that would be trained: all that there is time for."""
    if len(drawn.folds) < 2:
        return drawn
    number = folds_in_order([len(fold.train) for fold in drawn.folds])[0]
    return replace(drawn, folds=(drawn.folds[number],))

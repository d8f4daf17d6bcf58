"""Evidence on demand: the walk names a field, and only then is it measured.

The heavy intermediate objects (the sample, the prepared folds, the fits) stay in the :class:`Gatherer`; what
goes into the evidence is plain data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from regadvisor.compare.honest import Honest, honest_losses
from regadvisor.compare.paired import compare_all
from regadvisor.compare.panel import Panel
from regadvisor.data.table import Table
from regadvisor.deadline import Deadline
from regadvisor.errors import StorageError
from regadvisor.evidence.correlation import measure_correlation
from regadvisor.evidence.full_size import Growing
from regadvisor.evidence.resources import Rung, carry_costs_of, choose_rung
from regadvisor.evidence.whole_picture import measure_whole_picture
from regadvisor.families.base import Family, Prepared, folds_in_order
from regadvisor.families.estimator.encoder import as_seen
from regadvisor.flowchart.walk import Gather
from regadvisor.plan.cost_model import SIZES
from regadvisor.plan.effort import Effort, telling_share, trained_rows
from regadvisor.progress import Progress
from regadvisor.records import (
    CorrelationEvidence,
    Evidence,
    GrowthEvidence,
    Note,
    PriorEvidence,
    ResourceEvidence,
    SampleEvidence,
    ScoreEvidence,
    Timings,
    WholePictureEvidence,
)
from regadvisor.regularizer import Kind
from regadvisor.sampling.blocks import in_blocks, rows_for_blocks
from regadvisor.sampling.draw import Drawn, draw_sample
from regadvisor.search.results import panel_arrays, to_scores
from regadvisor.search.tune import Tuned, tune

#: Numbers in the sample (rows × columns). Folds are held in memory side by side: five of them take 1 GB at
#: this size. A wide table gets fewer rows, down to the fewest that folds make sense of.
MOST_CELLS = 25_000_000
FEWEST_ROWS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Options:
    """What the caller asked for, checked; `seeds` has one seed a stage."""

    sample: Any = "auto"
    match: Table | None = None
    correlated: bool | None = None
    whole_picture: bool | None = None
    prefer: str | None = None
    budget: float | Literal["auto"] | None = "auto"
    effort: str | None = None
    device: str = "auto"
    scoring: Any = None
    folds: int = 5
    random_state: int = 0
    seeds: dict[str, int] = field(default_factory=dict)
    storage: Path | None = None
    progress: Progress | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What training gave, for the decision: kept out of the evidence because it is large."""

    prepared: Prepared
    tuned: Tuned
    panel: Panel
    honest: Honest


class Gatherer:
    """Measures fields of the evidence when the walk needs them, each once.

    Parameters
    ----------
    table : Table
        All rows.
    family : Family
    request : Options
    started_s : float
        When the advice began, on the monotonic clock: its budget runs from there.

    Attributes
    ----------
    rung : Rung
        The effort and what it is projected to cost.
    deadline : Deadline
        For the whole advice; training ends early enough to leave time for the comparisons.
    """

    def __init__(self, *, table: Table, family: Family, request: Options, started_s: float) -> None:
        self.table = table
        self.family = family
        self.request = request
        self.started_s = started_s
        self.stages: dict[str, float] = {}
        with self.stage("pilot"):
            self.rung = self._choose_rung()
        budget_s = self.rung.budget_s
        self.deadline = Deadline.never() if budget_s is None else Deadline(at_s=started_s + budget_s)
        self.trained: Trained | None = None
        self._failures: list[Exception] = []
        self._drawn: Drawn | None = None
        self._seen: Table | None = None
        self._measured: dict[str, Any] = {}
        self._measure: dict[str, Callable[[Evidence, Kind | None], Any]] = {
            "sample": self._sample,
            "resources": self._resources,
            "prior": self._prior,
            "correlation": self._correlation,
            "whole_picture": self._whole_picture,
            "scores": self._scores,
            "growth": self._growth,
        }

    def __call__(self, evidence: Evidence, needs: tuple[str, ...], pick: Kind | None = None) -> Evidence:
        """Return the evidence with the named fields measured; `pick` is what the walk carries."""
        for name in needs:
            if getattr(evidence, name) is None:
                with self.stage(name):
                    self._measured[name] = self._measure[name](evidence, pick)
                evidence = replace(evidence, **{name: self._measured[name]})
        return evidence

    def with_measured(self, evidence: Evidence) -> Evidence:
        """Return the evidence of a walk with what walks on resampled rows have measured besides."""
        missing = [name for name in self._measured if getattr(evidence, name) is None]
        return replace(evidence, **{name: self._measured[name] for name in missing})

    @property
    def effort(self) -> Effort:
        """The effort that the budget or the caller chose."""
        return self.rung.effort

    @property
    def drawn(self) -> Drawn:
        """The sample, drawn on first use."""
        if self._drawn is None:
            n_rows = min(self.rung.n_rows, self._most_rows)
            drawn = self._draw_blocks(n_rows) or self._draw(n_rows)
            self._drawn = _on_one_fold(drawn) if self.rung.is_smallest else drawn
        return self._drawn

    def _draw(self, n_rows: int, *, folds: int | None = None) -> Drawn:
        if n_rows >= self.table.n_rows:  # everything: say how many rows were wanted, not how many there are
            n_rows = max(n_rows, self.effort.max_rows_of(self.family.name))
        return draw_sample(
            self.table,
            n_rows=n_rows,
            sample=self.request.sample,
            match=self.request.match,
            folds=folds or self.request.folds,
            seed=self.request.seeds["sample"],
            size_reason=self.rung.size_reason,
        )

    def _draw_blocks(self, n_rows: int) -> Drawn | None:
        """Return a sample whose folds share no training row, where networks have the rows for it."""
        request, n_source = self.request, self.table.n_rows
        n_blocks = self.effort.blocks(
            self.family.name,
            n_rows,
            n_folds=request.folds,
            n_source=n_source,
            is_ordered=self.table.time is not None,
        )
        if n_blocks is None or not self._may_block:
            return None
        n_train = trained_rows(n_rows, request.folds)
        n_drawn = rows_for_blocks(n_train, n_blocks, n_source)
        if n_drawn is None or n_drawn > self._most_rows:
            return None
        drawn = self._draw(n_drawn, folds=max(n_blocks, 2))
        return in_blocks(drawn, n_train=n_train, seed=request.seeds["sample"], is_single=n_blocks == 1)

    @property
    def _may_block(self) -> bool:
        """Whether rows are free to be put into blocks: no groups, no rows that were asked for.

        And every class is large enough to have rows in the smallest block.
        """
        is_asked = not isinstance(self.request.sample, str) or self.request.match is not None
        counts = self.table.facts.class_counts
        smallest = trained_rows(SIZES[0], self.request.folds)
        is_rare = counts is not None and min(counts, default=1) * smallest < sum(counts)
        return not is_asked and not is_rare and self.table.groups is None

    @property
    def training_deadline(self) -> Deadline:
        """When training has to end, to leave time for the comparisons and the decision."""
        return self.deadline.earlier(self.rung.reserve_s)

    @property
    def _most_rows(self) -> int:
        """Rows whose encoded folds fit into memory, with room for one-hot columns."""
        return max(MOST_CELLS // max(self.table.facts.n_features, 1), FEWEST_ROWS)

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
            code="interrupted",
            text="The run was interrupted: this is the best of what was known then.",
        )
        of_family: tuple[Note, ...] = getattr(self.family, "notes", ())
        return (*of_family, *drawn, *failed, *((interrupted,) if self.is_interrupted else ()))

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C ended the training."""
        return self.deadline.is_cancelled and not self._failures

    def remember(self, evidence: Evidence) -> Gather:
        """Return a gatherer for walks that start from `evidence` again and again: each field once.

        It trains nothing: what becomes of a gain at the full size is known for the pick of the first walk.
        """
        known = evidence

        def gather(current: Evidence, needs: tuple[str, ...], pick: Kind | None) -> Evidence:
            nonlocal known
            missing = [name for name in needs if name != "growth" and getattr(current, name) is None]
            if not missing:
                return current
            known = self(known, tuple(missing), pick)
            return replace(current, **{name: getattr(known, name) for name in missing})

        return gather

    def _choose_rung(self) -> Rung:
        request = self.request
        return choose_rung(
            self.table,
            self.family,
            folds=request.folds,
            seed=request.seeds["pilot"],
            budget=request.budget,
            effort=request.effort,
            storage=request.storage,
            may_block=self._may_block,
            started_s=self.started_s,
        )

    def timings(self) -> Timings:
        """Return the seconds by stage, with the projections they are held against."""
        return Timings(
            total_s=time.monotonic() - self.started_s,
            stages=dict(self.stages),
            projected_s=self.rung.projected_s,
            full_run_s=self.rung.full_run_s,
            budget_s=self.rung.budget_s,
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

    # ------------------------------------------------------------------------ one method a field

    def _sample(self, evidence: Evidence, pick: Kind | None) -> SampleEvidence:
        return self.drawn.evidence

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

    def _correlation(self, evidence: Evidence, pick: Kind | None) -> CorrelationEvidence:
        measured = measure_correlation(self._features, seed=self.request.seeds["correlation"])
        return replace(measured, given=self.request.correlated)

    def _whole_picture(self, evidence: Evidence, pick: Kind | None) -> WholePictureEvidence:
        measured = measure_whole_picture(self._features, seed=self.request.seeds["whole_picture"])
        return replace(measured, given=self.request.whole_picture)

    @property
    def _features(self) -> Table:
        """The rows that features are measured on: the sample, or all rows where none may be drawn."""
        if self._seen is None:
            self._seen = as_seen(self.drawn.table if self.drawn.table.n_rows > 0 else self.table)
        return self._seen

    def _growth(self, evidence: Evidence, pick: Kind | None) -> GrowthEvidence | None:
        """Measure what becomes of the pick's gain on all rows; None where there is nothing to extrapolate."""
        trained, drawn = self.trained, self.drawn
        kinds = {} if trained is None else trained.tuned.results.by_kind
        if trained is None or pick in (None, "none") or not {"none", pick} <= set(kinds):
            return None
        if trained.prepared.n_learned >= self.table.n_rows:
            return None
        assert pick is not None
        is_given = isinstance(self.request.budget, int | float)
        growing = Growing(
            table=self.table,
            drawn=drawn,
            family=self.family,
            prepared=trained.prepared,
            panel=trained.panel,
            seed=self.request.seeds["growth"],
            deadline=self.training_deadline,
            full_run_s=self.rung.full_run_s if is_given else None,
            storage=self.request.storage,
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
        drawn, seeds = self.drawn, self.request.seeds
        prepared = self.family.prepare(drawn.table, drawn.folds, seed=seeds["folds"])
        tuned = tune(
            self.family,
            prepared,
            self.effort,
            seed=seeds["search"],
            deadline=self.training_deadline,
            storage=self.request.storage,
            fingerprint=self.table.facts.fingerprint,
            weight=drawn.table.weight,
            in_blocks=drawn.evidence.validation == "blocks",
            n_telling=telling_share(self.table.facts.class_counts) * drawn.table.n_rows,
            carry_costs=self._carry_costs(prepared),
            progress=self.request.progress,
        )
        self._say("compare", 0.0)
        if not tuned.results.by_kind:
            return self._nothing_finished(tuned)
        panel = Panel(
            losses={**panel_arrays(tuned.results)},
            constant=prepared.constant_losses,
            fold=tuned.results.fold_labels(drawn.fold_of_row),
            weight=drawn.table.weight,
            cluster=drawn.cluster_of_row,
            n_folds=max(2, tuned.results.n_folds),
        )
        honest = honest_losses(panel, seed=seeds["compare"], n_boot=self.effort.n_boot)
        self.trained = Trained(prepared=prepared, tuned=tuned, panel=panel, honest=honest)
        return self._score_evidence(self.trained)

    def _carry_costs(self, prepared: Prepared) -> dict[str, float]:
        return carry_costs_of(self.family, n_from=prepared.n_learned, n_to=self.table.n_rows)

    def _nothing_finished(self, tuned: Tuned) -> ScoreEvidence:
        """Return the evidence of a search that the deadline ended before its first fit."""
        return ScoreEvidence(
            loss_name=self._loss_name,
            constant_loss=tuned.results.constant_loss,
            scores=(),
            honest_losses={},
            best_kind="none",
            comparisons={},
            n_folds=len(self.drawn.folds),
            cut=tuned.cut,
        )

    @property
    def _loss_name(self) -> str:
        own: str | None = getattr(self.family, "loss_name", None)
        if own is not None:
            return own
        if self.table.is_classification:
            return "log loss"
        n_targets = self.table.n_targets
        several = f", mean of {n_targets} targets" if n_targets > 1 else ""
        return f"squared error / variance of the target{several}"

    def _score_evidence(self, trained: Trained) -> ScoreEvidence:
        results, honest = trained.tuned.results, trained.honest
        kinds = tuple(results.by_kind)
        honest_by_kind: dict[str, float] = {kind: honest.loss(kind) for kind in kinds}
        return ScoreEvidence(
            loss_name=self._loss_name,
            constant_loss=honest.loss("constant"),
            scores=to_scores(results),
            honest_losses=honest_by_kind,
            best_kind=min(kinds, key=lambda kind: honest_by_kind[kind]),
            lowest_losses={kind: float(trained.panel.mean_losses(kind).min()) for kind in kinds},
            carry_costs={
                kind: cost for kind, cost in self._carry_costs(trained.prepared).items() if kind in kinds
            },
            comparisons=compare_all(honest),
            n_excluded={**results.n_excluded},
            n_folds=results.n_folds,
            n_encoded_features=trained.prepared.n_features,
            cut=trained.tuned.cut,
        )


def _on_one_fold(drawn: Drawn) -> Drawn:
    """Return the sample with a single fold, the first that would be trained: all that there is time for."""
    if len(drawn.folds) < 2:
        return drawn
    number = folds_in_order([len(fold.train) for fold in drawn.folds])[0]
    is_tested = drawn.fold_of_row == number
    fold_of_row = np.where(is_tested, 0, -1).astype(np.intp)
    return replace(drawn, folds=(drawn.folds[number],), fold_of_row=fold_of_row)

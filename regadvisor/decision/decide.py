"""From a finished walk to a decision: the status, the claims, the strength, what would flip it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from regadvisor import thresholds
from regadvisor.compare import claims
from regadvisor.compare.panel import ANY, CONSTANT
from regadvisor.compare.resampled import no_signal, resampled, strength_ties
from regadvisor.compare.summary import fit_facts, still_learning, zeroed_features
from regadvisor.evidence.scores import Scoring, Trained, name_of, reported_scores
from regadvisor.families.base import Family, Fit
from regadvisor.flowchart.chart import NO_SIGNAL, Chart
from regadvisor.flowchart.walk import Gather, walk
from regadvisor.full_size import Rescaling
from regadvisor.records import (
    Claim,
    Comparison,
    Evidence,
    Flip,
    Note,
    ScoreEvidence,
    Strength,
    Training,
    Walk,
)
from regadvisor.regularizer import KINDS, LABELS, Kind, Regularizer
from regadvisor.sampling.draw import Drawn

Status = Literal["advice", "tie", "no_signal", "cant_tell"]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a record says beyond the evidence and the walk."""

    status: Status
    strength: Strength
    training: Training | None
    claims: tuple[Claim, ...]
    ties: tuple[Kind, ...] = ()
    most_lost: float | None = None
    flips: tuple[Flip, ...] = ()
    rows_needed: int | None = None
    #: The scores, with what is said about the fits of the pick.
    scores: ScoreEvidence | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Decider:
    """Everything a decision reads; see :meth:`decide`."""

    chart: Chart
    walk: Walk
    evidence: Evidence
    gather: Gather
    family: Family
    n_rows: int
    n_features: int
    seeds: dict[str, int]
    n_draws: int
    trained: Trained | None = None
    #: The sample, and the caller's own score to report on it.
    sample: Drawn | None = None
    scoring: Scoring | None = None
    #: Whether extreme values hide a signal from the loss (``traps.hidden``): then "no signal" is not said.
    is_signal_hidden: bool = False

    def decide(self) -> Decision:
        """Return the decision of this walk."""
        if self.trained is None or self.evidence.scores is None:
            return self._without_training()
        if self._kind not in self.trained.results.by_kind:
            return self._without_training()  # the deadline left out every fit of the outcome
        if self.walk.outcome == NO_SIGNAL:
            return self._no_signal(self.trained, self.evidence.scores)
        return self._by_evidence(self.trained, self.evidence.scores, self._kind)

    @property
    def _kind(self) -> Kind:
        """The kind to start with; without a signal the first penalty that the model has, at its strongest."""
        penalties = [kind for kind in self.family.kinds if kind != "none"]
        return self.walk.kind if self.walk.kind in self.family.kinds else penalties[0]

    def _without_training(self) -> Decision:
        """Decide without fits of the outcome: documented default strengths, no support."""
        kind, resources = self._kind, self.evidence.resources
        # Whether the data themselves cannot be validated on, whatever the budget.
        is_hopeless = resources is not None and resources.obstacle is not None and resources.budget_s != 0
        regularizer = self.family.defaults(kind, n_rows=self.n_rows, n_features=self.n_features)
        return Decision(
            status="cant_tell" if self.evidence.scores is not None or is_hopeless else "advice",
            strength=Strength(regularizer=regularizer, source="default"),
            training=self.family.training(
                None, n_sample=self.n_rows, n_rows=self.n_rows, seed=self.seeds["model"]
            ),
            claims=(
                Claim(name="regularize", statement=claims.regularize(self.walk.outcome), support=None),
                Claim(name="kind", statement=f"Start with {LABELS[kind]}.", support=None),
                Claim(name="strength", statement="A documented default, not measured.", support=None),
            ),
            flips=self._flips(),
            scores=self.evidence.scores,
        )

    def _no_signal(self, trained: Trained, scores: ScoreEvidence) -> Decision:
        """Nothing beats the constant: build the penalised candidate that came nearest to it."""
        losses = scores.lowest_losses
        penalised: list[Kind] = [kind for kind in KINDS if kind in losses and kind != "none"]
        nearest: Kind = min(penalised, key=losses.__getitem__, default="none")
        support = claims.capped(no_signal(trained.honest))
        nothing = Claim(name="regularize", statement="Nothing beats always guessing.", support=support)
        # One fold of several is what a deadline left: too little to say that there is nothing.
        is_open = (
            self.is_signal_hidden
            or scores.n_folds < 2 <= len(trained.prepared.folds)
            or trained.panel.is_one_cluster
        )
        described, notes = self._described(trained, scores, nearest)
        return Decision(
            status="cant_tell" if is_open else "no_signal",
            strength=self._strength(trained, nearest),
            training=self._training(trained, nearest),
            claims=() if is_open else (nothing,),
            flips=self._flips(),
            scores=described,
            notes=(*notes, *self._notes(trained, nearest, scores)),
        )

    def _by_evidence(self, trained: Trained, scores: ScoreEvidence, outcome: Kind) -> Decision:
        draws = resampled(
            trained.honest,
            n_draws=self.n_draws,
            seed=self.seeds["decide"],
            rescaling_costs=scores.carry_costs,
        )
        against_none = scores.comparison(outcome, "none")
        if outcome != "none" and not scores.none_exists:
            draws, against_none = draws.without("none"), None
        ties = claims.ties(outcome, scores)
        ratio = self.n_rows / trained.prepared.n_learned
        status = "cant_tell" if trained.panel.is_one_cluster else self._status(outcome, ties, against_none)
        described, notes = self._described(trained, scores, outcome)
        return Decision(
            status=status,
            strength=self._strength(trained, outcome),
            training=self._training(trained, outcome),
            claims=self._lasting(
                claims.claims(
                    outcome,
                    draws,
                    scores,
                    signal=self._signal(scores),
                    discount=next(factor for upto, factor in thresholds.SUB_SAMPLE_DISCOUNT if ratio <= upto),
                )
            ),
            ties=ties,
            most_lost=claims.most_lost(draws, outcome),
            flips=self._flips(),
            rows_needed=self._rows_needed(scores, outcome) if status == "cant_tell" else None,
            scores=described,
            notes=(*notes, *self._notes(trained, outcome, scores)),
        )

    def _status(self, outcome: Kind, ties: tuple[Kind, ...], against_none: Comparison | None) -> Status:
        assert self.evidence.scores is not None
        if len(self.evidence.scores.honest_losses) < 2:
            return "cant_tell"  # a deadline left one kind, which is compared with nothing
        decided = any(
            step.reply in ("better", "same", "worse")
            for step in self.walk.steps
            if self.chart.questions[step.question].compares not in (None, (ANY, CONSTANT))
            and step.answer.numbers
        )
        if not decided and self.chart.comparisons == "interval" and claims.is_wide(against_none):
            return "cant_tell"
        return "tie" if outcome != "none" and ties else "advice"

    def _strength(self, trained: Trained, outcome: Kind) -> Strength:
        fit, fits, best = self._picked(trained, outcome)
        on_sample = fit.job.regularizer
        sample = self.evidence.sample
        by = Rescaling(
            n_sample=trained.prepared.n_learned,
            n_rows=self.n_rows,
            n_features=trained.prepared.n_features,
            is_forward=sample is not None and sample.validation == "time",
        )
        regularizer, said = self.family.at_full_size(fit, by)
        strengths = [each.job.regularizer.strengths() for each in fits]
        ties = strength_ties(trained.panel, outcome, strengths, best) if outcome != "none" else {}
        return Strength(
            regularizer=regularizer,
            source="none" if outcome == "none" else "search",
            on_sample=on_sample,
            carried=said,
            ties=ties,
        )

    def _picked(self, trained: Trained, kind: Kind) -> tuple[Fit, tuple[Fit, ...], int]:
        fits = trained.results.by_kind[kind]
        best = trained.honest.best_config(kind)  # of none's seeds, one configuration in the panel, the first
        return fits[best], fits, best

    def _training(self, trained: Trained, kind: Kind) -> Training:
        fit = self._picked(trained, kind)[0]
        return self.family.training(
            fit, n_sample=trained.prepared.n_learned, n_rows=self.n_rows, seed=self.seeds["model"]
        )

    def _notes(self, trained: Trained, kind: Kind, scores: ScoreEvidence) -> tuple[Note, ...]:
        """Return whether training ends too early. On fewer rows than there are, it is shorter anyway."""
        fit = self._picked(trained, kind)[0]
        if fit.halfway is None or fit.epochs is None or trained.prepared.n_learned < self.n_rows:
            return ()
        note = still_learning(
            (float(fit.halfway[0]), float(fit.halfway[1])),
            (fit.train_loss, float(trained.panel.mean_losses(kind).min())),
            scores.constant_loss,
            epochs=float(np.nanmean(fit.epochs)),
        )
        return () if note is None else (note,)

    def _lasting(self, found: tuple[Claim, ...]) -> tuple[Claim, ...]:
        """Return claims that rest on the full size where the gain was not shown to last there."""
        growth, last = self.evidence.growth, self.walk.steps[-1]
        if growth is None or last.question != "Q10" or last.reply not in ("no", "same"):
            return found
        support = claims.capped(1.0 - growth.p_better)
        return tuple(each if each.name == "strength" else replace(each, support=support) for each in found)

    def _signal(self, scores: ScoreEvidence) -> float:
        """Return the probability that anything beats the constant, where the chart asks for it.

        Without a signal the outcome would be another, whatever the candidates' order: it bounds both claims.
        """
        asked = any(step.question == "Q4s" for step in self.walk.steps)
        against_constant = scores.comparison(ANY, CONSTANT)
        return against_constant.p_better if asked and against_constant is not None else 1.0

    def _flips(self) -> tuple[Flip, ...]:
        """Return what would lead to another outcome, nearest threshold first."""
        found: list[tuple[float, Flip]] = []
        for step in self.walk.steps:
            answer, edges = step.answer, self.chart.questions[step.question].edges
            is_near = answer.distance is None or answer.distance <= thresholds.FARTHEST_FLIP
            if answer.flips_if is None or answer.flips_to not in edges or not is_near:
                continue
            forced = {step.question: answer.flips_to}
            instead = walk(self.chart, self.evidence, self.gather, forced=forced)[0].outcome
            if instead != self.walk.outcome:
                distance = float("inf") if answer.distance is None else answer.distance
                found.append((distance, Flip(outcome=instead, condition=answer.flips_if)))
        return tuple(flip for _, flip in sorted(found, key=lambda pair: pair[0]))

    def _described(
        self, trained: Trained, scores: ScoreEvidence, kind: Kind
    ) -> tuple[ScoreEvidence, tuple[Note, ...]]:
        """Add over- and underfit of none and of `kind`, features that `kind` zeroed, the caller's score."""
        facts = []
        for each in dict.fromkeys(("none", kind)):
            if each not in trained.results.by_kind:
                continue
            fit = self._picked(trained, each)[0]
            facts.append(
                fit_facts(
                    each,
                    train_loss=fit.train_loss,
                    held_out_loss=float(trained.panel.mean_losses(each).min()),
                    constant_loss=scores.constant_loss,
                )
            )
        fit = self._picked(trained, kind)[0]  # without L1 only columns of a single value have weights of 0
        shares = fit.zeroed * bool(fit.job.regularizer.l1)
        zeroed = zeroed_features(trained.prepared.feature_names, shares)
        described = replace(scores, fit_facts=tuple(facts), zeroed=zeroed, n_zeroed=len(zeroed))
        if self.scoring is None or self.sample is None:
            return described, ()
        reported, notes = self._reported(trained, kind)
        return replace(described, reported=reported, reported_name=name_of(self.scoring)), notes

    def _reported(self, trained: Trained, kind: Kind) -> tuple[dict[str, float], tuple[Note, ...]]:
        assert self.sample is not None
        assert self.scoring is not None
        n_sample = trained.prepared.n_learned
        models: dict[Kind, tuple[Regularizer, Training]] = {}
        for each in dict.fromkeys(("none", kind)):
            if each in trained.results.by_kind:
                fit = self._picked(trained, each)[0]
                training = self.family.training(
                    fit, n_sample=n_sample, n_rows=n_sample, seed=self.seeds["model"]
                )
                models[each] = (fit.job.regularizer, training)
        return reported_scores(
            self.sample.table,
            self.sample.folds,
            models,
            self.scoring,
            module=getattr(self.family, "model", None),
            recipe=getattr(self.family, "recipe", None),
        )

    def _rows_needed(self, scores: ScoreEvidence, outcome: Kind) -> int | None:
        against = "l2" if outcome == "none" else outcome
        comparison = scores.comparison(against, "none")
        if comparison is None:
            return None
        # Forward in time the first rows are never tested; a deadline leaves rows that may be.
        sample, n_rows = self.evidence.sample, comparison.n_rows
        if sample is not None and sample.validation == "time" and scores.cut is None:
            n_rows = sample.n_rows
        return claims.rows_needed(comparison, n_rows)

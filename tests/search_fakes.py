"""A family whose fits are instant: ridge by its closed form, the other kinds made up from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from regadvisor.candidates import Candidate, Range
from regadvisor.deadline import Deadline
from regadvisor.families.base import Fit, Fold, Job, Prepared
from regadvisor.plan.effort import Effort
from regadvisor.plan.plan import Plan, Situation
from regadvisor.regularizer import Kind, Regularizer

N_ROWS, N_FEATURES, N_FOLDS = 60, 12, 3
PENALTY = Range(low=1e-3, high=1e1, hard_low=1e-4, hard_high=1e3)
ONE = (0.1, 0.01, 1.0, 0.003, 5.0)
TWO = ((0.1, 0.1), (0.01, 0.01), (1.0, 1.0), (0.01, 1.0), (1.0, 0.01), (0.1, 1.0))


def make_effort(one: int = 5, two: int = 6, seeds: int = 3, n_rounds: int = 1) -> Effort:
    trials: dict[Kind, int] = {"l2": one, "l1": one, "elasticnet": two, "dropout": 3, "dropout_l2": two}
    return Effort(
        name="quick",
        max_rows={"mlp": 100},
        n_trials={"mlp": trials},
        baseline_seeds={"mlp": seeds},
        n_boot=10,
        n_rounds=n_rounds,
    )


def planned(family: RidgeFamily, effort: Effort) -> Plan:
    """Return the plan of an effort for a family's sample."""
    prepared = family.prepared()
    situation = Situation(
        family_name=family.name,
        kinds=family.kinds,
        n_folds=len(prepared.folds),
        n_available=prepared.n_rows,
        may_block=False,
    )
    return situation.plan(effort, prepared.n_rows)


class RidgeFamily:
    """Counts what it trains; the loss of a row is its squared error."""

    name = "fake"
    coupling = "loss"
    kinds: tuple[Kind, ...] = ("none", "l2", "l1", "elasticnet")

    def __init__(
        self,
        *,
        noise: float = 1.0,
        penalty: Range = PENALTY,
        failing: Callable[[Job], bool] = lambda job: False,
        n_at_most: int | None = None,
        pause_s: float = 0.0,
        done: Path | None = None,
        uses_callback: bool = True,
    ) -> None:
        rng = np.random.default_rng(7)
        self.X = rng.standard_normal((N_ROWS, N_FEATURES))
        self.y = self.X[:, 0] + noise * rng.standard_normal(N_ROWS)
        self.penalty = penalty
        self.failing = failing
        self.n_at_most = n_at_most
        self.pause_s = pause_s
        self.done = done
        self.uses_callback = uses_callback
        self.calls: list[list[Job]] = []

    @property
    def trained(self) -> list[Job]:
        return [job for jobs in self.calls for job in jobs]

    def prepared(self) -> Prepared:
        rows = np.arange(N_ROWS)
        folds = tuple(
            Fold(train=np.flatnonzero(rows % N_FOLDS != k), test=np.flatnonzero(rows % N_FOLDS == k))
            for k in range(N_FOLDS)
        )
        constant = np.empty(N_ROWS)
        for fold in folds:
            constant[fold.test] = (self.y[fold.test] - self.y[fold.train].mean()) ** 2
        names = tuple(f"x{i}" for i in range(N_FEATURES))
        return Prepared(
            folds=folds, n_rows=N_ROWS, n_features=N_FEATURES, feature_names=names, constant_losses=constant
        )

    def candidates(self, prepared: Prepared) -> Mapping[Kind, Candidate]:
        drop = Range(low=0.1, high=0.5, is_log=False, hard_low=0.05, hard_high=0.8)
        two = tuple({"l1": l1, "l2": l2} for l1, l2 in TWO)
        mixed = tuple({"l2": l2, "dropout": 0.1 * (i + 1)} for i, (_, l2) in enumerate(TWO[:4]))
        ranges = {"l1": self.penalty, "l2": self.penalty}
        made = [
            Candidate(kind="none", coupling="loss"),
            Candidate(kind="l2", coupling="loss", ranges={"l2": self.penalty}, portfolio=_points("l2")),
            Candidate(kind="l1", coupling="loss", ranges={"l1": self.penalty}, portfolio=_points("l1")),
            Candidate(kind="elasticnet", coupling="loss", ranges=ranges, portfolio=two),
            Candidate(
                kind="dropout",
                coupling="loss",
                ranges={"dropout": drop},
                portfolio=({"dropout": 0.25}, {"dropout": 0.1}, {"dropout": 0.5}),
            ),
            Candidate(
                kind="dropout_l2",
                coupling="loss",
                ranges={"l2": self.penalty, "dropout": drop},
                portfolio=mixed,
            ),
        ]
        return {candidate.kind: candidate for candidate in made if candidate.kind in self.kinds}

    def train(
        self,
        prepared: Prepared,
        jobs: Sequence[Job],
        *,
        deadline: Deadline,
        on_fit: Callable[[Fit], None] | None = None,
        known: Collection[Job] = (),
    ) -> list[Fit]:
        self.calls.append([])
        fits: list[Fit] = []
        for job in [job for job in jobs if job not in known][: self.n_at_most]:
            if deadline.expired():
                break
            time.sleep(self.pause_s)
            fit = self._fit(prepared, job)
            self.calls[-1].append(job)
            if on_fit is not None and self.uses_callback:
                on_fit(fit)
            if self.done is not None:  # only now is the fit certainly in the journal
                with self.done.open("a") as file:
                    file.write(f"{job!r}\n")
            fits.append(fit)
        return fits

    def _fit(self, prepared: Prepared, job: Job) -> Fit:
        losses, train_losses = np.full(N_ROWS, np.nan), np.empty(N_FOLDS)
        for k, fold in enumerate(prepared.folds):
            w = self._weights(fold, job.regularizer)
            if job.regularizer.kind == "none":
                w = w + 1e-3 * np.random.default_rng(job.seed).standard_normal(N_FEATURES)
            errors = (self.y - self.X @ w) ** 2
            losses[fold.test], train_losses[k] = errors[fold.test], errors[fold.train].mean()
        is_bad = self.failing(job)
        return Fit(
            job=job,
            losses=np.full(N_ROWS, np.inf) if is_bad else losses,
            train_losses=train_losses,
            zeroed=np.linspace(0, 1, N_FEATURES) if job.regularizer.l1 else np.zeros(N_FEATURES),
            converged=not is_bad,
            epochs=np.arange(1.0, N_FOLDS + 1),
            sum_lr=0.1 + 1e-17 * job.seed,
            fit_s=1 / 3,
        )

    def _weights(self, fold: Fold, regularizer: Regularizer) -> np.ndarray:
        strength = sum(regularizer.strengths().values())
        X, y = self.X[fold.train], self.y[fold.train]
        return np.linalg.solve(X.T @ X + len(y) * strength * np.eye(N_FEATURES), X.T @ y)


class StagedFamily(RidgeFamily):
    """Trains on the folds it is told to; `raising` says what is raised in place of a fit."""

    n_folds = 5

    def __init__(
        self, *, raising: Callable[[Job], BaseException | None] = lambda job: None, **options: object
    ) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.raising = raising
        self.fold_fits = 0
        self.legs: list[tuple[tuple[int, ...], list[Kind]]] = []

    def prepared(self) -> Prepared:
        rows = np.arange(N_ROWS)
        folds = tuple(
            Fold(
                train=np.flatnonzero(rows % self.n_folds != k), test=np.flatnonzero(rows % self.n_folds == k)
            )
            for k in range(self.n_folds)
        )
        constant = (self.y - self.y.mean()) ** 2
        names = tuple(f"x{i}" for i in range(N_FEATURES))
        return Prepared(
            folds=folds, n_rows=N_ROWS, n_features=N_FEATURES, feature_names=names, constant_losses=constant
        )

    def train(  # type: ignore[override]
        self,
        prepared: Prepared,
        jobs: Sequence[Job],
        *,
        deadline: Deadline,
        on_fit: Callable[[Fit], None] | None = None,
        folds: Sequence[int] | None = None,
        known: Collection[Job] = (),
    ) -> list[Fit]:
        fits = []
        chosen = range(self.n_folds) if folds is None else folds
        self.legs.append((tuple(chosen), [job.regularizer.kind for job in jobs]))
        for job in [job for job in jobs if job not in known][: self.n_at_most]:
            if deadline.expired():
                break
            error = self.raising(job)
            if error is not None:
                raise error
            time.sleep(self.pause_s * len(chosen))
            self.fold_fits += len(chosen)
            losses = np.full(N_ROWS, np.nan)
            train_losses, epochs = np.full(self.n_folds, np.nan), np.full(self.n_folds, np.nan)
            for k in chosen:
                fold = prepared.folds[k]
                weights = self._weights(fold, job.regularizer)
                errors = (self.y - self.X @ weights) ** 2
                losses[fold.test], train_losses[k] = errors[fold.test], errors[fold.train].mean()
                epochs[k] = 10 * k
            fit = Fit(
                job=job,
                losses=losses,
                train_losses=train_losses,
                zeroed=np.full(N_FEATURES, float(np.mean(list(chosen)))),
                converged=not self.failing(job),
                epochs=epochs,
                sum_lr=float(np.mean(list(chosen))),
                fit_s=self.pause_s * len(chosen),
            )
            fits.append(fit)
            if on_fit is not None:
                on_fit(fit)
        return fits


class NetworkFamily(RidgeFamily):
    """The same with dropout's kinds."""

    kinds: tuple[Kind, ...] = ("none", "l2", "l1", "dropout", "elasticnet", "dropout_l2")


def _points(name: str) -> tuple[dict[str, float], ...]:
    return tuple({name: value} for value in ONE)

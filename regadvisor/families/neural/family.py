"""The mlp family: multilayer perceptrons, all candidates and folds trained together."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Self, cast

import numpy as np
import torch
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from regadvisor.candidates import Candidate
from regadvisor.data.table import Table
from regadvisor.deadline import NEVER, Deadline
from regadvisor.errors import ParameterError
from regadvisor.families.base import Costs, Fit, Fold, Job, OnOtherRows, Prepared, n_trained, rows_learned
from regadvisor.families.neural import cost
from regadvisor.families.neural.architecture import Architecture
from regadvisor.families.neural.batches import n_jobs_at_once, train_batch
from regadvisor.families.neural.encoded import (
    NetworkPrepared,
    check_first_loss,
    encode_folds,
    encode_target,
    network_preprocessor,
    row_weight,
    stacked_rows,
)
from regadvisor.families.neural.losses import BCEWithLogitsLoss, ColumnsLoss
from regadvisor.families.neural.nets import NetArchitecture
from regadvisor.families.neural.own_loss import name_of_loss, sees_raw
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import full_run_rates, planned_epochs, rescaled_epochs, sample_plan
from regadvisor.families.neural.strengths import candidate, default_regularizer
from regadvisor.families.neural.threads import n_workers, one_thread, side_by_side, speed_up
from regadvisor.full_size import Rescaling
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import KINDS, Coupling, Kind, Regularizer
from regadvisor.thresholds import LONGER_OF_CONSTANT, LONGER_PAYS, LONGEST_RUNS


def resolve_device(device: str) -> torch.device:
    """Return the torch device of a name; ``"auto"`` is CUDA where there is one, else the CPU.

    Raises ParameterError if there is no such device.
    """
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        resolved = torch.device(name)
        torch.zeros(1, device=resolved)
    except (RuntimeError, AssertionError) as error:
        raise ParameterError(
            f"device must be 'auto', 'cpu' or a torch device of this machine, got {device!r}"
        ) from error
    return resolved


class MLPFamily(OnOtherRows):
    """Multilayer perceptrons, and what families of other networks inherit.

    `recipe`: how one full run trains; the same for all candidates. By default AdamW with decoupled penalties.
    `device`: a torch device, or "auto".

    All runs on the sample have one length and one schedule. Where the recipe names no epochs, each fold is
    scored at an epoch that the other folds choose (the fewest within 0.5% of the best). The full run makes
    as many epochs as :func:`~regadvisor.families.neural.schedule.rescaled_epochs` says, with the schedule
    compressed to them: a run that stops early on the sample has seen little of the schedule's falling half,
    the full run sees all of it. So the full run tends to end somewhat better than its score.
    """

    name: str = "mlp"
    coupling: Coupling
    kinds: tuple[Kind, ...] = KINDS
    #: How many times the planned length a run lasts whose epochs nobody gave; see `length_that_pays`.
    longer: int = 1
    #: Whether numeric targets are taken as they are, or standardised; None: not known before `prepare`.
    _is_raw: bool = False
    _is_scaled: bool | None = None

    def __init__(self, recipe: Recipe | None = None, device: str = "cpu") -> None:
        self.recipe = recipe or Recipe()
        own = [name for name in ("layout", "output") if getattr(self.recipe, name) is not None]
        if own and self.name == "mlp":
            raise ParameterError(
                f"{own[0]} must be None for a network of ours, got {getattr(self.recipe, own[0])!r}; it is "
                "for a module of your own"
            )
        self.coupling = self.recipe.coupling
        self.device = resolve_device(device)

    @property
    def _transform(self) -> str:
        """How features go in: "standard" or "none"."""
        return self.recipe.transform or "standard"

    @property
    def loss_name(self) -> str | None:
        """How people call the caller's own loss; None if there is none."""
        return None if self.recipe.loss is None else name_of_loss(self.recipe.loss)

    def architecture(self, sample: Table, x: torch.Tensor, names: Sequence[str]) -> Architecture:
        """Return the network to train on encoded rows `x` of a sample, whose features have these names."""
        n_outputs = sample.n_classes if sample.is_classification else sample.n_targets
        return NetArchitecture.of(self.recipe, len(names), n_outputs)

    def preprocessor(self, facts: DataFacts) -> Pipeline | ColumnTransformer:
        """Return the unfitted preprocessing in front of the network."""
        return network_preprocessor(facts, self._transform)

    def prepare(self, sample: Table, folds: Sequence[Fold], *, seed: int) -> NetworkPrepared:
        """Fit the preprocessing inside each fold and keep the encoded folds.

        Raises DataError if the encoded folds would take more than 2 GB; ParameterError if the caller's
        module or loss does not fit the encoded rows.
        """
        table, names = encode_folds(sample, folds, lambda: self.preprocessor(sample.facts))
        x = torch.from_numpy(table.reshape(len(folds) * sample.n_rows, -1)).to(self.device)
        loss = None if sample.is_classification else self.recipe.loss
        self._is_raw = loss is not None and sees_raw(loss, sample.targets)
        self._is_scaled = not (sample.is_classification or self._is_raw)
        architecture = self.architecture(sample, x, names)  # first: a loss is called as a module needs it
        target, loss_scale, constant_losses = encode_target(sample, folds, self.recipe.loss)
        n_train = n_trained(folds)
        n_learned = rows_learned(folds, sample.n_rows)
        plan = sample_plan(
            self.recipe, n_train=n_train, n_sample=n_learned, n_source=sample.facts.n_rows, longer=self.longer
        )
        prepared = NetworkPrepared(
            folds=tuple(folds),
            n_rows=sample.n_rows,
            n_features=len(names),
            feature_names=names,
            constant_losses=constant_losses,
            rows=stacked_rows(x, target, sample, folds),
            loss_scale=loss_scale,
            weight=row_weight(sample),
            recipe=self.recipe,
            plan=plan,
            architecture=architecture,
            seed=seed,
            n_source=sample.facts.n_rows,
            longer=self.longer,
        )
        if self.recipe.loss is not None and (sample.is_classification or self.name == "module"):
            check_first_loss(prepared, self.recipe.loss)
        return prepared

    def candidates(self, prepared: Prepared) -> Mapping[Kind, Candidate]:
        """Return the search range and portfolio of every kind.

        Decoupled strengths in units of this run's Σ lr, those of the loss as they are.
        """
        sum_lr = None if self.coupling == "loss" else cast(NetworkPrepared, prepared).plan.sum_lr()
        return {kind: candidate(kind, sum_lr) for kind in self.kinds}

    def train(
        self,
        prepared: Prepared,
        jobs: Sequence[Job],
        *,
        deadline: Deadline,
        on_fit: Callable[[Fit], None] | None = None,
        folds: Sequence[int] | None = None,
        known: Collection[Job] = (),
    ) -> list[Fit]:
        """Train all jobs on all folds, in batches and in the given order; see :meth:`~.base.Family.train`.

        Equal calls on one machine make equal batches, and so give equal fits; with a deadline they need not,
        since batches fit the time left. Fits from other batches are equal up to rounding. There are at least
        as many batches as workers, so they depend on the processors. A number that suits every machine would
        cost time: a network takes 1.15 to 1.4 times as long in a batch of 6 as in one of 12 (measured with
        128 and 64 units, 128 and 32 rows), and two large batches leave most of many processors idle.

        Of `folds`, only those choose the epochs, where the recipe has none. A batch of nothing but `known`
        jobs is not trained.
        """
        data = cast(NetworkPrepared, prepared)
        chosen = tuple(range(data.n_folds) if folds is None else folds)
        # A GPU is kept busy by one large batch; processors by as many batches as workers.
        workers = 1 if self.device.type == "cuda" else n_workers()
        size = n_jobs_at_once(
            data, left_s=deadline.left_s, n_folds=len(chosen), network_s=data.observed.get("network_s")
        )
        size = max(1, min(size, math.ceil(len(jobs) / workers)))
        batches = [list(jobs[start : start + size]) for start in range(0, len(jobs), size)]
        batches = [batch for batch in batches if not all(job in known for job in batch)]
        fits: list[Fit] = []

        def train(batch: list[Job]) -> list[Fit]:
            return train_batch(data, batch, deadline, chosen) or []

        is_cuda = self.device.type == "cuda"
        results = map(train, batches) if is_cuda else side_by_side(train, batches, stop=deadline.cancel)
        for trained in results:
            if trained:
                data.observed["network_s"] = trained[0].fit_s / len(chosen)
            for fit in (fit for fit in trained if fit.job not in known):
                fits.append(fit)
                if on_fit is not None:
                    on_fit(fit)
        return fits

    def with_length(self, longer: int) -> Self:
        """Return the same family with runs so many times as long, where nobody gave the epochs."""
        own = copy.copy(self)
        own.longer = longer
        return own

    def length_that_pays(self, prepared: Prepared, *, deadline: Deadline = NEVER) -> int:
        """Return how many times the planned length runs should last: 1, or a power of 2.

        Three networks, without a penalty and with the default L2 and L1, are trained for the planned length,
        and for twice that as long as the lowest held-out loss falls by ``LONGER_PAYS``, and by
        ``LONGER_OF_CONSTANT`` of the constant's, up to ``LONGEST_RUNS``. Nothing is tried where the recipe
        names the epochs, and nothing longer than there is time for.
        """
        data = cast(NetworkPrepared, prepared)
        if self.recipe.epochs is not None:
            return 1
        constant = float(np.nanmean(np.abs(data.constant_losses)))
        longer, best = 1, math.nan
        while True:
            began = time.monotonic()
            loss = self.with_length(longer)._lowest_loss(data, deadline)
            if loss is None or best - loss < max(LONGER_PAYS * abs(best), LONGER_OF_CONSTANT * constant):
                return max(1, longer // 2)
            if longer == LONGEST_RUNS or 2 * (time.monotonic() - began) > deadline.left_s:
                return longer
            longer, best = 2 * longer, loss

    def _lowest_loss(self, pilot: NetworkPrepared, deadline: Deadline) -> float | None:
        """Return the lowest mean held-out loss of three networks; None if the deadline cut them."""
        n_train = n_trained(pilot.folds)
        plan = sample_plan(
            self.recipe, n_train=n_train, n_sample=n_train, n_source=n_train, longer=self.longer
        )
        data = replace(pilot, plan=plan, longer=self.longer, observed={})
        kinds = [kind for kind in ("none", "l2", "l1") if kind in self.kinds]
        sum_lr = None if self.coupling == "loss" else plan.sum_lr()
        jobs = [Job(regularizer=default_regularizer(kind, n_rows=n_train, sum_lr=sum_lr)) for kind in kinds]
        fits = self.train(data, jobs, deadline=deadline)
        tested = np.concatenate([fold.test for fold in pilot.folds])
        losses = [float(np.average(fit.losses[tested], weights=pilot.weight[tested])) for fit in fits]
        finite = [loss for loss in losses if math.isfinite(loss)]
        return min(finite) if len(fits) == len(jobs) and finite else None

    def probe(self, prepared: Prepared, *, deadline: Deadline = NEVER) -> Costs:
        """Time some steps, for at most about 1 s, and project from them; of a slow network one or two.

        Without epochs in the recipe a full run has the planned length, not that of an early stop. No step
        begins after the deadline: what was not timed is estimated.
        """
        own = cast(NetworkPrepared, prepared)
        with one_thread():
            step_s = cost.seconds_per_step(own, deadline)
            full_step_s = cost.full_run_seconds_per_step(own, deadline, step_s=step_s)
            one_worker_s = cost.job_projection(own, deadline, step_s=step_s)
        gain = speed_up()

        def full_run_s(n_rows: int) -> float:
            rates = full_run_rates(self.recipe, n_rows=n_rows, epochs=self._full_epochs(n_rows))
            return full_step_s * len(rates)

        return Costs(job_s=lambda n_rows: one_worker_s(n_rows) / gain, full_run_s=full_run_s)

    def _full_run(self, picked: Fit, by: Rescaling) -> tuple[float, int | None]:
        epochs = self._epochs_for(picked, n_sample=by.n_sample, n_rows=by.n_rows)
        return float(full_run_rates(self.recipe, n_rows=by.n_rows, epochs=epochs).sum()), epochs

    def training(self, picked: Fit | None, *, n_sample: int, n_rows: int, seed: int) -> Training:
        """Return how the advised network is to be trained on everything."""
        recorded = {each.name for each in fields(Training)}
        given = vars(self.recipe)
        loss = self.recipe.loss
        is_label_loss = isinstance(loss, BCEWithLogitsLoss)
        functions = tuple(name for name, value in given.items() if callable(value) and name != "loss")
        recipe = {name: value for name, value in given.items() if name in recorded and name not in functions}
        recipe |= {
            "epochs": self._epochs_for(picked, n_sample=n_sample, n_rows=n_rows),
            "momentum": self.recipe.momentum if self.recipe.optimizer == "sgd" else None,
            "towards_start": self.recipe.start_patterns,
            "transform": self._transform,
        }
        return Training(
            family="mlp",
            seed=seed,
            has_own_loss=not (loss is None or is_label_loss or isinstance(loss, ColumnsLoss)),
            has_label_loss=is_label_loss,
            block_sizes=loss.sizes if isinstance(loss, ColumnsLoss) else (),
            own_functions=functions,
            has_scaled_target=self._is_scaled,
            **recipe,
        )

    def defaults(self, kind: Kind, *, n_rows: int, n_features: int) -> Regularizer:
        """Return documented default strengths for one run of the recipe on `n_rows` rows."""
        rates = full_run_rates(self.recipe, n_rows=n_rows, epochs=self._full_epochs(n_rows))
        sum_lr = None if self.coupling == "loss" else float(rates.sum())
        return default_regularizer(kind, n_rows=n_rows, sum_lr=sum_lr)

    def _full_epochs(self, n_rows: int) -> int:
        """Return the epochs of a full run that no sample has told the length of."""
        return self.recipe.epochs or planned_epochs(n_rows, self.recipe.rows_per_step, longer=self.longer)

    def _epochs_for(self, picked: Fit | None, *, n_sample: int, n_rows: int) -> int:
        """Return the epochs of the full run: the recipe's, or those that the sample's stand for."""
        is_given = self.recipe.epochs is not None and not self.recipe.early_stopping
        if is_given or picked is None or picked.epochs is None:
            return self._full_epochs(n_rows)
        found = rescaled_epochs(float(np.nanmean(picked.epochs)), n_from=n_sample, n_to=n_rows)
        return min(found, self.recipe.epochs or found)

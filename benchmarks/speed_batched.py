"""a) Networks trained together against one after another in plain torch: the same recipe, the same results.

The library's side is what a search calls: ``family.train`` on folds, held-out scores included. The other side
is ``nn.Module`` and ``torch.optim.AdamW``, one network at a time, scored on the same rows; it is made for a
few of the networks and counted per network. Jobs are a mix of all kinds, as in a search. Every network that
both sides trained has to have the same held-out loss, up to the rounding that training amplifies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import speed_data
import speed_plain
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from speed_measure import clocked, in_process, seconds, side_by_side
from torch import nn

from regadvisor.data.source import make_table
from regadvisor.data.table import Table
from regadvisor.deadline import Deadline
from regadvisor.families.base import Family, Fit, Job
from regadvisor.families.neural.batches import member_seed
from regadvisor.families.neural.encoded import NetworkPrepared
from regadvisor.families.neural.family import MLPFamily
from regadvisor.families.neural.module.family import ModuleFamily
from regadvisor.families.neural.nets import cnn
from regadvisor.families.neural.recipe import Recipe
from regadvisor.regularizer import Regularizer
from regadvisor.sampling.folds import make_folds

Model = Literal["mlp", "module", "cnn"]
#: Folds, so that jobs × folds are the wanted networks; rows that give each fold 12 batches of 128.
N_FOLDS, N_ROWS = 4, 2_048
#: Networks trained one after another: one of each of the first jobs.
N_PLAIN = 16
#: Largest difference of two held-out mean losses, as a share of predicting the class shares.
TOLERANCE = 1e-3
CASES: tuple[tuple[Model, int], ...] = (("mlp", 64), ("mlp", 256), ("module", 64), ("cnn", 64))
NAMES = {
    "mlp": "MLP 128-64, p = 30",
    "module": "a caller's module (LayerNorm, dropout), p = 30",
    "cnn": "small CNN on 8 × 8 digits",
}
EPOCHS = {"mlp": 15, "module": 10, "cnn": 5}

COLUMNS = (
    "networks|trained|threads|steps each|batched: processor ms per network (wall)"
    "|one by one: processor ms (wall)|one by one / batched, processor|wall|largest loss difference|repeats"
)


def callers_module(n_features: int, n_outputs: int) -> nn.Module:
    """Return a network as somebody might bring it: two blocks with LayerNorm, GELU and dropout."""
    layers: list[nn.Module] = []
    for n_in, n_out in ((n_features, 64), (64, 64)):
        layers += [nn.Linear(n_in, n_out), nn.LayerNorm(n_out), nn.GELU(), nn.Dropout(0.1)]
    return nn.Sequential(*layers, nn.Linear(64, n_outputs))


def table_of(model: Model, n_rows: int) -> Table:
    """Return the rows that a model is trained on."""
    if model == "cnn":
        X, y = load_digits(return_X_y=True)
        return make_table(X[:n_rows].reshape(-1, 8, 8), y[:n_rows])
    data = speed_data.synthetic(n_rows, 30)
    return make_table(data.X, data.y)


def family_of(model: Model, table: Table, recipe: Recipe, device: str) -> MLPFamily:
    """Return the family as `advise` makes it."""
    if model == "mlp":
        return MLPFamily(recipe=recipe, device=device)
    return ModuleFamily(
        "cnn" if model == "cnn" else callers_module, table.facts, recipe=recipe, device=device
    )


def mixed_jobs(family: Family, prepared: Any, n_jobs: int) -> list[Job]:
    """Return so many jobs, all kinds in turn, with strengths around those tried first."""
    candidates = list(family.candidates(prepared).values())
    jobs = []
    for number in range(n_jobs):
        candidate = candidates[number % len(candidates)]
        turn = number // len(candidates)
        point = candidate.regularizer(candidate.portfolio[turn % len(candidate.portfolio)])
        # Strengths that were not tried yet: the portfolio again, each time a little weaker.
        factor = 0.9 ** (turn // len(candidate.portfolio))
        scaled = {name: value * factor for name, value in point.strengths().items()}
        jobs.append(Job(regularizer=Regularizer(**scaled, coupling=family.coupling)))
    return jobs


# --------------------------------------------------------------------------------------- one by one


def drawn(
    model: Model, prepared: NetworkPrepared, recipe: Recipe, job: Job, fold: int
) -> tuple[nn.Module, torch.Generator]:
    """Return the untrained network of a job and fold, with the generator that goes on to shuffle its rows."""
    seed = member_seed(prepared.seed, job.seed, fold)
    dropout = job.regularizer.strengths().get("dropout", 0.0)
    n_features, n_outputs = prepared.rows.x.shape[1], prepared.rows.target.shape[1]
    if model == "mlp":
        return speed_plain.mlp(n_features, n_outputs, recipe.hidden, seed=seed, dropout=dropout)
    generator = torch.Generator().manual_seed(seed)
    # As ``module_stack.ModuleArchitecture.initial`` draws them.
    own, _ = torch.randint(2**24, (2,), generator=generator).tolist()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(own)
        network = cnn(n_outputs, (1, 8, 8)) if model == "cnn" else callers_module(n_features, n_outputs)
    noise = torch.Generator().manual_seed(seed + speed_plain.DROPOUT_SEED_OFFSET)
    for name, layer in list(network.named_children()):
        if isinstance(layer, nn.Dropout):
            setattr(network, name, speed_plain.SeededDropout(dropout, noise) if dropout else nn.Identity())
    return network, generator


def one_by_one(
    model: Model, prepared: NetworkPrepared, recipe: Recipe, jobs: list[Job]
) -> list[NDArray[np.float64]]:
    """Train one network of each job, each on a fold of its own turn; return the losses of its test rows."""
    found = []
    for number, job in enumerate(jobs):
        place = number % N_FOLDS
        fold = prepared.folds[place]
        network, generator = drawn(model, prepared, recipe, job, place)
        network = network.to(prepared.rows.x.device)
        rows = _rows(model, prepared, prepared.rows.parts[place])
        assert recipe.epochs is not None  # all cases give them
        speed_plain.train(network, rows, job.regularizer, recipe, epochs=recipe.epochs, generator=generator)
        test = torch.from_numpy(fold.test.astype(np.int64)) + place * prepared.n_rows
        found.append(speed_plain.row_losses(network, _rows(model, prepared, test)))
        # The library also takes the training loss, on as many rows.
        speed_plain.row_losses(network, rows.take(torch.arange(min(len(test), len(rows.x)))))
    return found


def _rows(model: Model, prepared: NetworkPrepared, rows: torch.Tensor) -> speed_plain.Rows:
    own = prepared.rows
    at = rows.to(own.x.device)
    x = own.x[at].view(-1, 1, 8, 8) if model == "cnn" else own.x[at]
    return speed_plain.Rows(x=x, target=own.target[at], is_classification=own.is_classification)


def largest_difference(prepared: NetworkPrepared, fits: list[Fit], plain: list[NDArray[np.float64]]) -> float:
    """Return the largest difference of held-out mean losses, as a share of the constant's loss."""
    constant = float(np.nanmean(prepared.constant_losses))
    differences = [
        abs(float(fits[number].losses[prepared.folds[number % N_FOLDS].test].mean() - losses.mean()))
        for number, losses in enumerate(plain)
    ]
    return max(differences) / constant


# ----------------------------------------------------------------------------------------- measuring


def case(
    model: Model,
    n_models: int,
    device: str,
    repeats: int,
    limit_s: float,
    n_rows: int = N_ROWS,
    epochs: int | None = None,
    n_plain: int = N_PLAIN,
) -> dict[str, Any]:
    """Measure one architecture; called in a process of its own.

    Raises
    ------
    RuntimeError
        If the two sides do not end with the same losses.
    """
    recipe = Recipe(epochs=epochs or EPOCHS[model])
    table = table_of(model, n_rows)
    family = family_of(model, table, recipe, device)
    prepared = family.prepare(table, make_folds(table, folds=N_FOLDS).folds, seed=0)
    jobs = mixed_jobs(family, prepared, n_models // N_FOLDS)
    few = jobs[:n_plain]
    sides: dict[str, Callable[[], Any]] = {
        "batched": lambda: family.train(prepared, jobs, deadline=Deadline.never()),
        "plain": lambda: one_by_one(model, prepared, recipe, few),
    }
    family.train(prepared, few[:1], deadline=Deadline.never())
    one_by_one(model, prepared, recipe, few[:1])
    timings = side_by_side(
        {name: (lambda work=work: clocked(work)) for name, work in sides.items()},
        repeats=repeats,
        limit_s=limit_s,
    )
    difference = largest_difference(prepared, timings["batched"].result, timings["plain"].result)
    if not difference <= TOLERANCE:
        raise RuntimeError(f"{model}: held-out losses differ by {difference:.2g} of the constant's loss")
    counts = {"batched": len(jobs) * N_FOLDS, "plain": len(few)}
    return {
        "cpu_ms": {name: 1e3 * timing.cpu_s / counts[name] for name, timing in timings.items()},
        "wall_ms": {name: 1e3 * timing.wall_s / counts[name] for name, timing in timings.items()},
        "steps": len(prepared.plan.rates),
        "engine": getattr(prepared.architecture, "engine", "baddbmm"),
        "difference": difference,
        "repeats": timings["plain"].n_repeats,
    }


def lines(
    *,
    device: str = "cpu",
    threads: tuple[int, ...] = (1, 2),
    cases: tuple[tuple[Model, int], ...] = CASES,
    repeats: int = 5,
    limit_s: float = 240.0,
) -> Iterator[list[str]]:
    """Yield the rows of the table."""
    for model, n_models in cases:
        for count in threads:
            found = in_process(
                "speed_batched:case",
                threads=count,
                model=model,
                n_models=n_models,
                device=device,
                repeats=repeats,
                limit_s=limit_s,
            )
            assert found is not None  # no timeout was given
            yield _line(model, n_models, count, found, device)


def _line(model: Model, n_models: int, threads: int, found: dict[str, Any], device: str) -> list[str]:
    cpu, wall = found["cpu_ms"], found["wall_ms"]
    ratios = [cpu["plain"] / cpu["batched"], wall["plain"] / wall["batched"]]
    # On a GPU the processor only queues work: there the wall time counts.
    shown = [f"{ratio:.1f}×" for ratio in ratios]
    decides = 0 if device == "cpu" else 1
    shown[decides] = f"**{shown[decides]}**"
    return [
        f"{NAMES[model]} ({found['engine']})",
        str(n_models),
        str(threads),
        str(found["steps"]),
        f"{seconds(cpu['batched'])} ({seconds(wall['batched'])})",
        f"{seconds(cpu['plain'])} ({seconds(wall['plain'])})",
        *shown,
        f"{found['difference']:.1g}",
        str(found["repeats"]),
    ]

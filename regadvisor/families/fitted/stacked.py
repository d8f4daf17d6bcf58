"""Networks of another library, many at once: its own layers, loss and optimizer, batched by ``torch.func``.

The ``fit`` of Keras and skorch trains one network at a time, and a small network takes most of that time in
Python. A network is a function of its numbers, though: ``vmap`` runs that function for all candidates and
folds in one step, and an optimizer that moves each number by itself moves all of them in one tensor.

An epoch is cut into as few equal batches as the batch size allows; the rows that remain (fewer than there are
steps) are others in each epoch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from regadvisor.families.neural.module.dropout import DRY_ROWS, Feed, Place, places_of
from regadvisor.families.neural.penalties import Penalty, StackStrengths
from regadvisor.families.neural.trainer import DROPOUT_SEED_OFFSET
from regadvisor.regularizer import Regularizer

if TYPE_CHECKING:
    from regadvisor.families.fitted.learner import Call
    from regadvisor.families.fitted.library import Fitted, Library

#: From so many steps on, a step is recorded once and then replayed without the Python of its layers.
#: Recording takes 50 to 100 times as long as a step, a replayed step a half of one (measured).
RECORDED_STEPS = 150
#: Rows of one pass when a network predicts.
_ROWS_AT_ONCE = 4096

Numbers = Sequence[Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One network to train."""

    regularizer: Regularizer
    #: `x`, `y` (n_rows, ...): rows to train on, and the target as the loss takes it. Runs of one fold share
    #: these objects.
    x: Tensor
    y: Tensor
    #: (n_rows,).
    weight: Tensor | None
    seed: int


class Mover(NamedTuple):
    """One tensor, and an optimizer of a library that moves each of its numbers by itself."""

    values: Tensor
    #: Returns the learning rate of the next step.
    rate: Callable[[], float]
    #: Makes one step along a gradient, without any decay.
    step: Callable[[Tensor], object]


class Network(ABC):
    """A network as a function of its numbers: those that are trained, and those that it keeps.

    Made from a library's fit and a call with some rows; with `steps`, for so many steps of all rows.

    `batch`, `epochs`: most rows of a step, and passes over the rows. `shuffles`: whether rows come in another
    order in each epoch. `factor`: what strengths of the loss are multiplied with: 2 where the squared error
    has no ½. `penalised`: whether penalties act, for each trained tensor. `places`: calls of dropout layers.
    `model`: what the library has of it, for its settings.
    """

    model: Any
    penalised: Sequence[bool]
    is_convolutional: bool
    shuffles: bool = True
    factor: float = 1.0
    places: tuple[Place, ...] = ()
    device = torch.device("cpu")

    def __init__(self, library: Library, call: Call, *, steps: int | None) -> None:
        self._library, self.coupling = library, library.coupling
        self.batch, self.epochs = (len(call.y), steps) if steps else (library.batch, library.epochs)
        self._starts: dict[int, tuple[Numbers, Numbers]] = {}

    def run(self, call: Call) -> tuple[Run, Callable[[Numbers, Numbers], Fitted]]:
        """Return what a network is trained on, and what makes a model that predicts of its numbers."""
        x, y, *unit = self._tensors(call)
        weight = None
        if call.weight is not None:
            weight = torch.as_tensor(call.weight, dtype=torch.float32).to(self.device)
        run = Run(regularizer=call.regularizer, x=x, y=y, weight=weight, seed=call.seed)

        def fitted(trained: Numbers, kept: Numbers) -> Fitted:
            library = self._library
            return library.fitted(NetworkModel(self, trained, kept), library.facts.classes, *unit)

        return run, fitted

    @abstractmethod
    def _tensors(self, call: Call) -> tuple[Any, ...]:
        """Return rows and target as the network takes them, and the center and scale of the target."""

    def start(self, seed: int) -> tuple[Numbers, Numbers]:
        """Return the numbers that training starts from: trained ones, and others."""
        if seed not in self._starts:
            self._starts[seed] = self._drawn(seed)
        return self._starts[seed]

    @abstractmethod
    def _drawn(self, seed: int) -> tuple[Numbers, Numbers]:
        """Return the numbers of a network that the library makes from this seed."""

    @abstractmethod
    def loss(
        self, trained: Numbers, kept: Numbers, x: Tensor, y: Tensor, weight: Tensor | None, masks: Numbers
    ) -> tuple[Tensor, Numbers]:
        """Return the loss of a batch in training, and the other numbers after it."""

    @abstractmethod
    def outputs(self, trained: Numbers, kept: Numbers, x: Tensor) -> Tensor:
        """Return what the network returns for rows."""

    @abstractmethod
    def mover(self, flat: Tensor) -> Mover:
        """Return a tensor of these values with the optimizer that moves it."""

    def predicted(self, outputs: Tensor) -> Tensor:
        """Return what the library's model predicts from outputs."""
        return outputs

    def _fed(self, feed: Feed, run: Callable[[int], Tensor]) -> Tensor:
        """Note the calls of dropout layers in passes of two numbers of rows; return the last outputs."""
        seen = []
        for n in DRY_ROWS:
            feed.start(None)
            outputs = run(n)
            seen.append(feed.seen)
        self.places = feed.places = tuple(places_of(seen[0], seen[1], DRY_ROWS))
        return outputs


class NetworkModel:
    """A trained network as a model of its library: it predicts, and has that one's settings."""

    def __init__(self, network: Network, trained: Numbers, kept: Numbers) -> None:
        self._network, self._trained, self._kept = network, trained, kept

    def forward(self, X: NDArray[Any]) -> Tensor:
        """Return what the network returns."""
        parts = torch.split(torch.as_tensor(X).to(self._network.device), _ROWS_AT_ONCE)
        return torch.cat([self._network.outputs(self._trained, self._kept, part) for part in parts])

    def predict(self, X: NDArray[Any], **options: Any) -> NDArray[Any]:
        """Return what the library's model predicts."""
        return np.asarray(self._network.predicted(self.forward(X)).cpu())

    predict_proba = predict  # of a net, where these are probabilities

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network.model, name)


def train(
    network: Network, runs: Sequence[Run], *, should_stop: Callable[[], bool], records: bool | None = None
) -> list[tuple[Numbers, Numbers]] | None:
    """Return the numbers of the trained networks; None if it was stopped, which is asked before each step.

    `records`: whether steps are recorded; None: if there are many.
    """
    found: list[Any] = [None] * len(runs)
    for numbers, n_steps, batch in _groups(network, runs):
        stack = _Stack(network, [runs[number] for number in numbers], n_steps=n_steps, batch=batch)
        is_long = network.epochs * n_steps >= RECORDED_STEPS
        if not stack.run(should_stop, records=is_long if records is None else records):
            return None
        for place, number in enumerate(numbers):
            found[number] = stack.numbers(place)
    return found


def _groups(network: Network, runs: Sequence[Run]) -> Iterator[tuple[list[int], int, int]]:
    """Yield the numbers of runs with equal steps in an epoch and equal rows in a step, and these two."""
    groups: dict[tuple[int, int], list[int]] = {}
    for number, run in enumerate(runs):
        n_steps = math.ceil(len(run.x) / network.batch)
        groups.setdefault((n_steps, len(run.x) // n_steps), []).append(number)
    for (n_steps, batch), numbers in groups.items():
        yield numbers, n_steps, batch


class _Stack:
    """Networks whose batches have equal sizes: the trained numbers of each are a row of one tensor."""

    def __init__(self, network: Network, runs: Sequence[Run], *, n_steps: int, batch: int) -> None:
        self.network, self.n_steps, self.batch = network, n_steps, batch
        self._tables = list({id(run.x): run for run in runs}.values())
        self._x, self._y = (torch.cat([getattr(run, name) for run in self._tables]) for name in "xy")
        weights = [run.weight for run in self._tables if run.weight is not None]
        self._weight = torch.cat(weights) if weights else None
        self._seeds = list(dict.fromkeys(run.seed for run in runs))
        self._seed_of = torch.tensor([self._seeds.index(run.seed) for run in runs])
        found = StackStrengths.of([run.regularizer for run in runs])
        factor = network.factor if network.coupling == "loss" else 1.0
        strengths = StackStrengths(l1=factor * found.l1, l2=factor * found.l2, dropout=found.dropout)
        self._rates = torch.as_tensor(found.dropout, dtype=torch.float32)
        self._drops = bool((self._rates > 0).any())
        starts = [network.start(seed) for seed in self._seeds]
        # What is penalised lies side by side.
        order = sorted(range(len(network.penalised)), key=lambda number: not network.penalised[number])
        flat = torch.stack([torch.cat([trained[i].flatten() for i in order]) for trained, _ in starts])
        self._mover = network.mover(flat[self._seed_of])
        self._flat = self._mover.values
        self._gradient = torch.zeros_like(self._flat)
        shapes = [starts[0][0][i].shape for i in order]
        self._trained, self._slopes = (_views(each, shapes, order) for each in (self._flat, self._gradient))
        n_penalised = sum(
            shape.numel() for shape, i in zip(shapes, order, strict=True) if network.penalised[i]
        )
        self._penalty = Penalty(self._flat, self._gradient, n_penalised, strengths)
        self._kept: Numbers = [
            torch.stack(each)[self._seed_of] for each in zip(*(kept for _, kept in starts), strict=True)
        ]
        self._orders = {(run.seed, id(run.x)): torch.Generator().manual_seed(run.seed) for run in runs}
        self._order_of = [(run.seed, id(run.x)) for run in runs]
        self._noise = [torch.Generator().manual_seed(seed + DROPOUT_SEED_OFFSET) for seed in self._seeds]

    def run(self, should_stop: Callable[[], bool], *, records: bool) -> bool:
        """Train; return whether it came to the end."""
        step, is_decoupled = self._step, self.network.coupling == "decoupled"
        for epoch in range(self.network.epochs):
            order = self._order()
            for number in range(self.n_steps):
                if should_stop():
                    return False
                arguments = self._arguments(order[:, number])
                if records and epoch == number == 0:
                    step = _recorded(step, arguments)
                with torch.no_grad():
                    self._apply(*step(*arguments), is_decoupled=is_decoupled)
        return True

    def numbers(self, place: int) -> tuple[Numbers, Numbers]:
        """Return copies of the numbers of one network."""
        return (
            [value[place].detach().clone() for value in self._trained],
            [value[place].detach().clone() for value in self._kept],
        )

    def _order(self) -> Tensor:
        """Return the rows of the next epoch's batches, shape (n_models, n_steps, batch)."""
        starts = np.cumsum([0, *(len(run.x) for run in self._tables)])
        found = {}
        for table, start in zip(self._tables, starts, strict=False):
            for key in [key for key in self._orders if key[1] == id(table.x)]:
                rows = torch.randperm(len(table.x), generator=self._orders[key])
                rows = rows[: self.n_steps * self.batch]
                rows = rows if self.network.shuffles else rows.sort().values
                found[key] = rows.view(self.n_steps, self.batch) + int(start)
        return torch.stack([found[key] for key in self._order_of])

    def _arguments(self, rows: Tensor) -> tuple[Any, ...]:
        flat = rows.reshape(-1).to(self._x.device)
        x, y, weight = (
            None if each is None else each[flat].view(*rows.shape, *each.shape[1:])
            for each in (self._x, self._y, self._weight)
        )
        return [value.detach() for value in self._trained], self._kept, x, y, weight, self._masks()

    def _masks(self) -> list[Tensor]:
        """Return for each place that drops 0 for a dropped unit, else 1 / (1 - rate)."""
        found = []
        for place in self.network.places if self._drops else ():
            noise = torch.stack([torch.rand(self.batch, *place.shape, generator=own) for own in self._noise])
            rates = self._rates.view(-1, *[1] * (noise.ndim - 1))
            found.append(((noise[self._seed_of] >= rates) / (1.0 - rates)).to(self._x.device))
        return found

    def _step(
        self, trained: Numbers, kept: Numbers, x: Tensor, y: Tensor, weight: Tensor | None, masks: Numbers
    ) -> tuple[Numbers, Numbers]:
        """Return the gradients of all networks, and the numbers that they keep."""
        dims = (0, 0, 0, 0, None if weight is None else 0, 0)
        with torch.enable_grad():
            leaves = [value.detach().requires_grad_() for value in trained]
            losses, after = vmap(self.network.loss, in_dims=dims, randomness="error")(
                leaves, [value.clone() for value in kept], x, y, weight, masks
            )
            slopes = torch.autograd.grad(losses.sum(), leaves, allow_unused=True, materialize_grads=True)
        return slopes, [value.detach() for value in after]

    def _apply(self, slopes: Numbers, kept: Numbers, *, is_decoupled: bool) -> None:
        """Move all networks."""
        self._kept = kept
        for own, slope in zip(self._slopes, slopes, strict=True):
            own.copy_(slope)
        rate = self._mover.rate() if is_decoupled else 0.0
        if is_decoupled:
            self._penalty.decay(rate)
        else:
            self._penalty.add_gradient()
        self._mover.step(self._gradient)
        if is_decoupled:
            self._penalty.soften(rate)


def _views(flat: Tensor, shapes: Sequence[torch.Size], order: Sequence[int]) -> list[Tensor]:
    """Return the columns of each tensor in its shape; `order` says which tensor comes where in the row."""
    parts = torch.split(flat.detach(), [shape.numel() for shape in shapes], dim=1)
    views = {i: part.view(-1, *shape) for i, part, shape in zip(order, parts, shapes, strict=True)}
    return [views[number] for number in range(len(order))]


def _recorded(step: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """Return the step as the operations of torch that it makes for arguments of these shapes."""
    from torch.fx.experimental.proxy_tensor import make_fx

    def plain(trained: Any, kept: Any, x: Any, y: Any, weight: Any, masks: Any) -> Any:  # tracing counts self
        return step(trained, kept, x, y, weight, masks)

    graph = make_fx(plain)(*arguments)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def numbers_saved(run: Callable[[], object]) -> int:
    """Return how many numbers a pass leaves behind for the way back."""
    total = 0

    def count(value: Tensor) -> Tensor:
        nonlocal total
        total += value.numel()
        return value

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda value: value):
        run()
    return total

"""The pilot of a caller's module: few passes of a slow one, none after the deadline."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regadvisor.data.source import make_table
from regadvisor.data.table import Table
from regadvisor.deadline import Deadline
from regadvisor.families.base import Costs, Fold
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.neural import cost
from regadvisor.families.neural.encoded import NetworkPrepared
from regadvisor.families.neural.module import trial as module_trial
from regadvisor.families.neural.module.family import ModuleFamily
from regadvisor.families.neural.module.inputs import Inputs
from regadvisor.families.neural.module.source import ModuleSource
from regadvisor.families.neural.recipe import Recipe

FOLDS = [
    Fold(train=np.arange(40, 120), test=np.arange(40)),
    Fold(train=np.arange(80), test=np.arange(80, 120)),
]


def table() -> Table:
    rng = np.random.default_rng(0)
    return make_table(rng.normal(size=(120, 6)), rng.integers(0, 2, 120).astype(str))


class Counted(nn.Module):
    """Counts its passes; an addition makes it no plain chain."""

    n_passes = 0

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.first, self.drop = nn.Linear(n_features, n_features), nn.Dropout()
        self.last = nn.Linear(n_features, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        Counted.n_passes += 1
        return self.last(self.drop(self.first(x).relu()) + x)


class CountedNoise(Counted):
    """Has to run one network at a time."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(super().forward(x), 0.1, training=self.training)


def passes(model: type[nn.Module], deadline: Deadline) -> tuple[int, int, Costs, NetworkPrepared]:
    """Return the passes of preparing and of probing, what they cost, and what was prepared."""
    Counted.n_passes = 0
    family = ModuleFamily(model, table().facts, recipe=Recipe(epochs=3))
    prepared = family.prepare(table(), FOLDS, seed=0)
    looked = Counted.n_passes
    costs = family.probe(prepared, deadline=deadline)
    probed = Counted.n_passes - looked
    family.prepare(table(), FOLDS, seed=0)
    assert Counted.n_passes == looked + probed  # it is known by then
    return looked, probed, costs, prepared


@pytest.fixture
def _everything_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_trial, "SLOW_S", 0.0)
    monkeypatch.setattr(cost, "SLOW_STEP_S", 0.0)


@pytest.mark.usefixtures("_everything_is_slow")
@pytest.mark.parametrize(
    ("model", "engine", "most"), [(Counted, "vmap", (7, 4)), (CountedNoise, "loop", (4, 2))]
)
def test_a_slow_module_is_run_a_few_times_only(
    model: type[nn.Module], engine: str, most: tuple[int, int]
) -> None:
    looked, probed, costs, prepared = passes(model, Deadline.never())
    assert prepared.architecture.engine == engine  # type: ignore[attr-defined]
    assert (looked, probed) == most
    assert costs.job_s(1_200) > costs.job_s(120) > 0
    assert costs.full_run_s(12_000) > costs.full_run_s(120) > 0


def test_a_fast_module_is_timed_in_many_steps() -> None:
    assert passes(Counted, Deadline.never())[1] > 20


@pytest.mark.parametrize("model", [Counted, CountedNoise, lambda n_features: nn.Linear(n_features, 2)])
def test_after_the_deadline_nothing_is_timed_and_costs_are_estimated(model: type[nn.Module]) -> None:
    _, probed, costs, prepared = passes(model, Deadline.after(0.0))
    assert probed == 0
    assert costs.full_run_s(12_000) > costs.full_run_s(120) > 0
    if model is Counted:
        # A step is a pass at least.
        n_steps = 3 * 94
        assert costs.full_run_s(12_000) >= n_steps * prepared.architecture.pass_s  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_everything_is_slow")
def test_jobs_of_one_network_at_a_time_cost_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "time_steps", lambda trainer, deadline: 2.0 * len(trainer.stack.flat))
    costs = {model: passes(model, Deadline.never())[2] for model in (Counted, CountedNoise)}
    assert costs[Counted].job_s(120) == pytest.approx(costs[CountedNoise].job_s(120))


def test_the_linear_family_takes_a_deadline_too() -> None:
    linear = LinearFamily()
    assert linear.probe(linear.prepare(table(), FOLDS, seed=0), deadline=Deadline.after(60.0)).job_s(120) > 0


def test_looking_leaves_the_random_numbers_of_torch_alone() -> None:
    before = torch.random.get_rng_state()
    passes(CountedNoise, Deadline.after(0.0))
    assert torch.equal(before, torch.random.get_rng_state())


# ------------------------------------------------------------------------------------ pixels in memory


class Convolutional(nn.Module):
    """Flattens its pixels by a copy, or by a view that the fast order of pixels does not allow."""

    strides: tuple[int, ...] = ()

    def __init__(self, *, views: bool = False, n_channels: int = 1) -> None:
        super().__init__()
        self.first, self.pool, self.last = nn.Conv2d(n_channels, 4, 3), nn.MaxPool2d(2), nn.Linear(16, 2)
        self.views = views

    def forward(self, x: Tensor) -> Tensor:
        Convolutional.strides = x.stride()
        hidden = self.pool(self.first(x))
        return self.last(hidden.view(len(x), -1) if self.views else hidden.flatten(1))


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("views", [False, True])
def test_pixels_lie_as_convolutions_are_fast_and_nothing_else_changes(n_channels: int, views: bool) -> None:
    def make() -> nn.Module:
        return Convolutional(views=views, n_channels=n_channels)

    source = ModuleSource(
        model=make,
        inputs=Inputs(layout="image", shape=(n_channels, 6, 6), n_flat=36 * n_channels),
        n_outputs=2,
    )
    # Rows that do not lie side by side, as those of a table with other columns.
    x = torch.randn(20, n_channels * 36 + 5, generator=torch.Generator().manual_seed(0))[:, : n_channels * 36]
    looked_at = module_trial.examine(source, x, recipe=Recipe(), is_classification=True)
    assert looked_at.source.is_channels_last is not views
    assert Convolutional.strides[1:] == ((36, 6, 1) if views else (1, 6 * n_channels, n_channels))
    torch.testing.assert_close(looked_at.source.arguments(x)[0][0], x.reshape(20, n_channels, 6, 6))
    initial = looked_at.initial(torch.Generator().manual_seed(0))
    stack = looked_at.stack(initial, batch=20, loss="log")
    target = nn.functional.one_hot(torch.arange(20) % 2, 2).float()
    stack.compute_gradient(x[None], target[None])
    plain = make()
    looked_at.layout.unpack(initial[0], plain)
    outputs = plain(x.reshape(20, n_channels, 6, 6).contiguous())
    nn.functional.cross_entropy(outputs, target).backward()
    for entry in looked_at.layout.trained:
        torch.testing.assert_close(entry.view(stack.gradient)[0], plain.get_parameter(entry.name).grad)
    torch.testing.assert_close(stack.outputs(slice(0, 1), x)[0], outputs.detach())

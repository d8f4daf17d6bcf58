"""Networks of the caller's own modules: vmap, the loop and plain torch are one and the same training."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from rounding import assert_same
from torch import Tensor, nn
from torch.nn import functional

from regadvisor.families.neural.losses import Loss
from regadvisor.families.neural.module.dropout import with_fed_dropout
from regadvisor.families.neural.module.inputs import Inputs
from regadvisor.families.neural.module.source import ModuleSource
from regadvisor.families.neural.module.stack import Engine, ModuleArchitecture
from regadvisor.families.neural.module.trial import examine
from regadvisor.families.neural.penalties import StackStrengths
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import RunPlan
from regadvisor.families.neural.trainer import Member, StackTrainer, Stream, TrainingRows
from regadvisor.regularizer import Regularizer

N_ROWS, N_CLASSES = 60, 3
ENGINES: tuple[Engine, ...] = ("vmap", "loop")


class Masked(nn.Module):
    """Multiplies with a given mask: dropout whose luck is known."""

    def __init__(self) -> None:
        super().__init__()
        self.mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        return x if self.mask is None or not self.training else x * self.mask


def perceptron(drop: Callable[[], nn.Module] = nn.Dropout) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), drop(), nn.Linear(12, N_CLASSES))


def normalised(drop: Callable[[], nn.Module] = nn.Dropout) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 12), nn.LayerNorm(12), nn.GELU(), drop(), nn.Linear(12, N_CLASSES))


def batch_normalised(drop: Callable[[], nn.Module] = nn.Dropout) -> nn.Module:
    # No bias in front of the norm: its gradient is rounding error, which Adam blows up to full steps.
    first = nn.Linear(8, 12, bias=False)
    return nn.Sequential(first, nn.BatchNorm1d(12), nn.ReLU(), drop(), nn.Linear(12, N_CLASSES))


def convolutional(drop: Callable[[], nn.Module] = nn.Dropout2d) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        drop(),
        nn.Flatten(),
        nn.Linear(16, N_CLASSES),
    )


NETS = {
    "perceptron": (perceptron, (8,)),
    "layer norm": (normalised, (8,)),
    "batch norm": (batch_normalised, (8,)),
    "convolutional": (convolutional, (1, 4, 4)),
}
STRENGTHS = {
    "none": Regularizer(coupling="decoupled"),
    "l2": Regularizer(l2=2.0, coupling="decoupled"),
    "l1": Regularizer(l1=0.5, coupling="decoupled"),
    "both": Regularizer(l1=0.2, l2=1.0, coupling="decoupled"),
    "dropout": Regularizer(dropout=0.4, coupling="decoupled"),
    "dropout_l2": Regularizer(dropout=0.25, l2=1.0, coupling="decoupled"),
}


def rows_of(shape: tuple[int, ...], seed: int = 0) -> TrainingRows:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(N_CLASSES, (N_ROWS,), generator=generator)
    return TrainingRows(
        x=torch.randn(N_ROWS, int(np.prod(shape)), generator=generator),
        target=functional.one_hot(codes, N_CLASSES).float(),
        weight=None,
        parts=(torch.arange(N_ROWS), torch.arange(0, N_ROWS, 2)),
        is_classification=True,
    )


def laid_out(shape: tuple[int, ...]) -> Inputs:
    n_flat = int(np.prod(shape))
    return Inputs(n_flat=n_flat) if len(shape) == 1 else Inputs(layout="image", shape=shape, n_flat=n_flat)


def architecture_of(
    make: Callable[[], nn.Module] | nn.Module, shape: tuple[int, ...] = (8,), engine: Engine | None = None
) -> ModuleArchitecture:
    source = ModuleSource(model=make, inputs=laid_out(shape), n_outputs=N_CLASSES)
    return examine(source, rows_of(shape).x, recipe=Recipe(), is_classification=True, engine=engine)


def trained(
    architecture: ModuleArchitecture,
    shape: tuple[int, ...],
    regularizers: list[Regularizer],
    members: list[Member] | None = None,
    recipe: Recipe | None = None,
) -> StackTrainer:
    recipe = recipe or Recipe(batch_size=20, epochs=6, lr=5e-3)
    trainer = StackTrainer(
        rows_of(shape),
        members or [Member(seed=3)] * len(regularizers),
        StackStrengths.of(regularizers),
        plan=RunPlan.of(recipe, n_rows=N_ROWS, epochs=6),
        architecture=architecture,
        recipe=recipe,
    )
    assert trainer.run()
    return trainer


def plainly_trained(
    architecture: ModuleArchitecture, make: Callable[..., nn.Module], shape: tuple[int, ...], how: Regularizer
) -> nn.Module:
    """Train the same network by hand: torch's autograd and AdamW, masks and rows from the same stream."""
    rows, recipe = rows_of(shape), Recipe(batch_size=20, epochs=6, lr=5e-3)
    plan = RunPlan.of(recipe, n_rows=N_ROWS, epochs=6)
    stream = Stream(Member(seed=3), architecture, rows.parts[0])
    net = make(Masked).train()
    architecture.layout.unpack(stream.initial[0], net)
    masked = next(part for part in net.modules() if isinstance(part, Masked))
    decayed = {name for name, value in net.named_parameters() if value.ndim >= 2}
    groups = [
        {
            "params": [v for n, v in net.named_parameters() if n in decayed],
            "weight_decay": float(how.l2 or 0),
        },
        {"params": [v for n, v in net.named_parameters() if n not in decayed], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups)
    for epoch in range(6):
        for step, chosen in enumerate(stream.epoch(plan.n_steps, plan.batch)):
            rate, dropout = float(plan.rates[epoch * plan.n_steps + step]), float(how.dropout or 0)
            if dropout:
                noise = stream.noise(plan.batch, *architecture.places[0].shape)
                masked.mask = (noise >= dropout) / (1 - dropout)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            outputs = net(rows.x[chosen].view(-1, *shape))
            functional.cross_entropy(outputs, rows.target[chosen].argmax(1)).backward()
            optimizer.step()
            with torch.no_grad():
                for name, value in net.named_parameters():
                    if name in decayed:
                        limit = rate * float(how.l1 or 0)
                        value.sub_(value.clamp(-limit, limit))
    return net.eval()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("net", NETS)
def test_every_candidate_is_trained_as_a_plain_torch_loop_does(net: str, engine: Engine) -> None:
    make, shape = NETS[net]
    architecture = architecture_of(make, shape, engine)
    stack = trained(architecture, shape, list(STRENGTHS.values())).stack
    x = rows_of(shape, seed=1).x
    outputs = stack.outputs(slice(None), x)
    for number, how in enumerate(STRENGTHS.values()):
        plain = plainly_trained(architecture, make, shape, how)
        torch.testing.assert_close(
            stack.flat[number], architecture.layout.pack(plain)[0], rtol=2e-3, atol=2e-5, msg=how.kind
        )
        with torch.no_grad():
            expected = plain(x.view(-1, *shape))
        torch.testing.assert_close(outputs[number], expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("net", NETS)
def test_both_engines_give_the_same_gradients(net: str) -> None:
    make, shape = NETS[net]
    generator, found = torch.Generator().manual_seed(0), []
    x, target = torch.randn(4, 20, int(np.prod(shape))), torch.rand(4, 20, N_CLASSES)
    weight = torch.rand(4, 20)
    architecture = architecture_of(make, shape, "vmap")
    initial = torch.cat([architecture.initial(generator) for _ in range(4)])
    keep = [2.0 * (torch.rand(2, 20, *place.shape) < 0.5).float() for place in architecture.places]
    for engine in ENGINES:
        stack = architecture_of(make, shape, engine).stack(initial.clone(), batch=20, loss="log")
        stack.compute_gradient(x, target, weight=weight, masks=(slice(1, 3), keep))
        found.append((stack.gradient, stack.flat, stack.outputs(slice(0, 4, 2), x[0])))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("loss", ["squared", lambda out, target: (out - target).abs().sum(-1)])
def test_any_loss_is_the_one_of_autograd(loss: Loss) -> None:
    architecture = architecture_of(perceptron, engine="vmap")
    initial = architecture.initial(torch.Generator().manual_seed(0))
    stack = architecture.stack(initial.clone(), batch=20, loss=loss)
    x, target = torch.randn(1, 20, 8), torch.rand(1, 20, N_CLASSES)
    stack.compute_gradient(x, target)
    net = perceptron(Masked)
    architecture.layout.unpack(initial[0], net)
    outputs = net(x[0])
    value = (
        0.5 * (outputs - target[0]).square().mean() if loss == "squared" else loss(outputs, target[0]).mean()
    )
    value.backward()
    for entry in architecture.layout.trained:
        expected = net.get_parameter(entry.name).grad
        torch.testing.assert_close(entry.view(stack.gradient)[0], expected)


# ------------------------------------------------------------------------------------ company and luck


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("net", NETS)
def test_a_network_is_the_same_up_to_rounding_whatever_it_is_trained_beside(net: str, engine: Engine) -> None:
    make, shape = NETS[net]
    architecture = architecture_of(make, shape, engine)
    together = trained(
        architecture,
        shape,
        list(STRENGTHS.values()),
        [Member(seed=k % 2, part=k % 2) for k in range(len(STRENGTHS))],
    ).stack.flat
    n_trained = architecture.layout.trained[-1].stop
    for number, (how, part) in enumerate(zip(STRENGTHS.values(), [0, 1] * 3, strict=True)):
        alone = trained(architecture, shape, [how], [Member(seed=part, part=part)])
        n_steps = len(alone.plan.rates)
        assert_same(alone.stack.flat[0, :n_trained], together[number, :n_trained], n_steps=n_steps)
        torch.testing.assert_close(alone.stack.flat[0], together[number])  # running statistics, too


class Noisy(nn.Module):
    """Functional dropout, which nobody can see."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(8, 12), nn.Dropout(), nn.Linear(12, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.dropout(self.first(x).relu(), 0.5, training=self.training)
        return self.last(self.drop(hidden))


def test_random_numbers_of_a_module_belong_to_the_network_and_to_nobody_else() -> None:
    architecture = architecture_of(Noisy)
    assert architecture.engine == "loop"
    assert "random numbers of its own" in architecture.engine_reason
    hows = [STRENGTHS["none"], STRENGTHS["l2"], STRENGTHS["dropout"]]
    members = [Member(seed=k) for k in range(3)]
    before = torch.random.get_rng_state()
    together = trained(architecture, (8,), hows, members).stack.flat
    assert torch.equal(before, torch.random.get_rng_state())
    alone = trained(architecture, (8,), hows[1:2], members[1:2])
    assert_same(alone.stack.flat[0], together[1], n_steps=len(alone.plan.rates))
    assert not torch.equal(together[0], trained(architecture, (8,), hows[:1], members[2:]).stack.flat[0])


class Branching(nn.Module):
    """What it computes depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum() > 0 else self.layer(-x)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.drop = nn.LSTM(4, 6, batch_first=True), nn.Dropout()
        self.last = nn.Linear(6, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(self.cell(x.view(len(x), 2, 4))[0].transpose(0, 1))[-1])


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(1, 8), nn.Linear(8, N_CLASSES)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(self.first(x.unsqueeze(-1))).mean(1))


@pytest.mark.parametrize(
    ("make", "engine", "reason"),
    [
        (perceptron, "fused", "plain chain of layers"),
        (batch_normalised, "vmap", "one network at a time"),
        (Branching, "loop", "control flow"),
        (Recurrent, "loop", "cannot run the module"),
        (Attentive, "loop", "random numbers of its own"),
    ],
)
def test_the_engine_is_found_by_trying(make: Callable[[], nn.Module], engine: str, reason: str) -> None:
    architecture = architecture_of(make)
    assert architecture.engine == engine
    assert reason in architecture.engine_reason
    flat = trained(architecture, (8,), [STRENGTHS["none"], STRENGTHS["l2"]]).stack.flat
    assert bool(torch.isfinite(flat).all())
    assert not torch.equal(flat[0], flat[1])


def test_convolutions_on_a_processor_run_one_network_at_a_time() -> None:
    assert architecture_of(convolutional, (1, 4, 4)).engine == "loop"


# ------------------------------------------------------------------------------------- what is where


def test_a_module_is_copied_and_never_changed() -> None:
    module = batch_normalised()
    before = copy.deepcopy(module.state_dict())
    module.eval()
    architecture = architecture_of(module)
    stack = trained(architecture, (8,), [STRENGTHS["l2"], STRENGTHS["dropout"]]).stack
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not module.training
    assert isinstance(module[3], nn.Dropout)
    generator = torch.Generator().manual_seed(5)
    assert torch.equal(architecture.initial(generator), architecture.initial(generator))
    assert not torch.equal(stack.flat[0], stack.flat[1])


def test_a_factory_draws_anew_for_every_seed_and_leaves_the_luck_of_others_alone() -> None:
    architecture, before = architecture_of(perceptron), torch.random.get_rng_state()
    starts = [architecture.initial(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])
    assert torch.equal(before, torch.random.get_rng_state())


def test_penalties_spare_biases_norms_and_what_the_patterns_say() -> None:
    source = ModuleSource(model=normalised, inputs=Inputs(n_flat=8), n_outputs=N_CLASSES)
    penalised = {}
    for name, recipe in {
        "usual": Recipe(),
        "exempt": Recipe(exempt=("4.*",)),
        "only": Recipe(penalised=("*.bias",)),
    }.items():
        architecture = examine(source, rows_of((8,)).x, recipe=recipe, is_classification=True)
        stack = architecture.stack(torch.zeros(1, architecture.n_parameters), batch=2, loss="log")
        inside = range(architecture.n_parameters)[: stack.n_penalised]
        penalised[name] = {entry.name for entry in architecture.layout.entries if entry.start in inside}
    assert penalised == {
        "usual": {"0.weight", "4.weight"},
        "exempt": {"0.weight"},
        "only": {"0.bias", "1.bias", "4.bias"},
    }


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.Linear(8, 8), nn.Linear(8, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + self.inner(x))


def test_a_feature_is_zeroed_only_where_nothing_of_it_gets_through() -> None:
    architecture = architecture_of(perceptron)
    stack = architecture.stack(architecture.initial(torch.Generator()), batch=2, loss="log")
    assert not stack.zeroed().any()
    architecture.layout.entries[0].view(stack.flat)[0, :, 5] = 0.0
    assert stack.zeroed().tolist() == [[feature == 5 for feature in range(8)]]
    assert architecture_of(Residual).first_weights == ()


def test_frozen_weights_stay_and_random_buffers_are_each_network_s_own() -> None:
    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("directions", torch.randn(8, 16))
            self.frozen, self.last = nn.Linear(16, 16).requires_grad_(False), nn.Linear(16, N_CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.frozen((x @ self.directions).cos()))

    architecture = architecture_of(Features)
    carried = {entry.name for entry in architecture.layout.untrained}
    assert carried == {"directions", "frozen.weight", "frozen.bias"}
    members = [Member(seed=0), Member(seed=1)]
    trainer = trained(architecture, (8,), [STRENGTHS["both"]] * 2, members)
    for member, row in zip(members, trainer.stack.flat, strict=True):
        start = Stream(member, architecture, torch.arange(2)).initial[0]
        for entry in architecture.layout.untrained:
            assert torch.equal(row[entry.start : entry.stop], start[entry.start : entry.stop])


@pytest.mark.parametrize("layer", [nn.AlphaDropout, nn.Dropout1d])
def test_fed_layers_are_torch_s_own_on_average(layer: type[nn.Module]) -> None:
    torch.manual_seed(0)
    x = torch.randn(200, 50, 4)
    fed, feed = with_fed_dropout(nn.Sequential(layer(0.3)))
    feed.start(None)
    assert torch.equal(fed(x), x)
    from regadvisor.families.neural.module.dropout import Place

    shape = (50, 1) if layer is nn.Dropout1d else (50, 4)
    feed.places = (Place(shape=shape, axis=0),)
    feed.start([(torch.rand(200, *shape) >= 0.3) / 0.7])
    ours, theirs = fed(x), layer(0.3)(x)
    assert ours.mean().item() == pytest.approx(theirs.mean().item(), abs=0.03)
    assert ours.std().item() == pytest.approx(theirs.std().item(), abs=0.05)
    if layer is nn.Dropout1d:
        assert set((ours == 0).sum(-1).unique().tolist()) == {0, 4}

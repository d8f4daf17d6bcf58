"""Recipes: optimizers, schedules, passes, augmentation and fine-tuning, held against plain loops of torch."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from regadvisor import ParameterError, Recipe, Regularizer, advise
from regadvisor.families.neural.module.estimator import ModuleClassifier
from regadvisor.families.neural.module.inputs import Inputs
from regadvisor.families.neural.module.source import ModuleSource
from regadvisor.families.neural.module.trial import examine
from regadvisor.families.neural.penalties import StackStrengths
from regadvisor.families.neural.proximal import make_optimizer
from regadvisor.families.neural.schedule import RunPlan, learning_rates, sample_plan
from regadvisor.families.neural.trainer import Member, StackTrainer, Stream, TrainingRows

N_ROWS = 60
START = torch.Generator().manual_seed(0)
X = torch.randn(N_ROWS, 8, generator=START)
Y = torch.randint(3, (N_ROWS,), generator=START)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 10), nn.Tanh(), nn.Linear(10, 3))


def rows() -> TrainingRows:
    return TrainingRows(
        x=X,
        target=functional.one_hot(Y, 3).float(),
        weight=None,
        parts=(torch.arange(N_ROWS),),
        is_classification=True,
    )


def trained(recipe: Recipe, regularizer: Regularizer, model: Any = network, n: int = 1) -> StackTrainer:
    source = ModuleSource(model=model, inputs=Inputs(n_flat=8), n_outputs=3)
    architecture = examine(source, X, recipe=recipe, is_classification=True)
    trainer = StackTrainer(
        rows(),
        [Member(seed=3)] * n,
        StackStrengths.of([regularizer] * n),
        plan=RunPlan.of(recipe, n_rows=N_ROWS, epochs=recipe.epochs or 1),
        architecture=architecture,
        recipe=recipe,
    )
    trainer.run()
    return trainer


def by_hand(recipe: Recipe, regularizer: Regularizer) -> tuple[nn.Module, dict[str, Tensor]]:
    """The same run as a plain loop around the optimizer that the caller gets."""
    source = ModuleSource(model=network, inputs=Inputs(n_flat=8), n_outputs=3)
    architecture = examine(source, X, recipe=recipe, is_classification=True)
    plan = RunPlan.of(recipe, n_rows=N_ROWS, epochs=recipe.epochs or 1)
    stream = Stream(Member(seed=3), architecture, torch.arange(N_ROWS))
    module = network()
    architecture.layout.unpack(stream.initial[0], module)
    start = {name: value.detach().clone() for name, value in module.named_parameters()}
    optimizer = make_optimizer(
        module, recipe, l1=regularizer.l1 or 0.0, l2=regularizer.l2 or 0.0, rates=plan.rates.tolist()
    )
    for _ in range(plan.epochs):
        for batch in stream.epoch(plan.n_steps, plan.batch * plan.passes):
            optimizer.zero_grad()
            functional.cross_entropy(module(X[batch]), Y[batch]).backward()
            optimizer.step()
    return module, start


def falling(done: float) -> float:
    return 1.0 - done


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam"},
        {"optimizer": "adamw", "betas": (0.8, 0.95)},
        {"optimizer": "sgd", "nesterov": True, "lr": 0.05},
        {"optimizer": "sgd", "nesterov": True, "lr": 0.05, "coupling": "loss"},
        {"schedule": "one-cycle", "warmup": 0.2},
        {"schedule": falling},
        {"accumulate": 3, "batch_size": 5},
        {"lr_scale": {"0.*": 0.1, "0.bias": 0.0}},
        {"lr_scale": {"0.*": 0.1}, "optimizer": "sgd", "lr": 0.05, "coupling": "loss"},
        {"towards_start": True},
        {"towards_start": ("0.*",), "coupling": "loss"},
        {"towards_start": ("0.*",), "lr_scale": {"0.*": 0.3}},
    ],
    ids=lambda options: re.sub(r" at 0x[0-9a-f]+", "", str(options)),
)
@pytest.mark.parametrize("strengths", [{"l1": 0.02, "l2": 0.5}, {"l2": 0.5}])
def test_a_run_is_that_of_a_plain_loop(options: dict[str, Any], strengths: dict[str, float]) -> None:
    recipe = Recipe(**{"lr": 0.01, "batch_size": 15, "epochs": 4} | options)
    regularizer = Regularizer(**strengths, coupling=recipe.coupling)
    stack = trained(recipe, regularizer, n=2).stack
    module, _ = by_hand(recipe, regularizer)
    architecture: Any = stack.architecture if hasattr(stack, "architecture") else None
    layout = examine(
        ModuleSource(model=network, inputs=Inputs(n_flat=8), n_outputs=3),
        X,
        recipe=recipe,
        is_classification=True,
    ).layout
    assert architecture is None  # a plain chain: trained by the fused engine
    for own in stack.flat:
        torch.testing.assert_close(own[None], layout.pack(module), rtol=1e-3, atol=1e-5)


def test_penalties_that_pull_towards_the_start_end_there() -> None:
    recipe = Recipe(epochs=3, batch_size=15, towards_start=("0.*",), lr=0.01)
    module, start = by_hand(recipe, Regularizer(l1=50.0, l2=0.0, coupling="decoupled"))
    torch.testing.assert_close(module[0].weight, start["0.weight"], rtol=0, atol=1e-6)  # type: ignore[index]
    assert bool((module[2].weight == 0).all())  # type: ignore[index]  # not among the patterns


def test_a_run_that_is_loaded_goes_on_towards_the_same_start() -> None:
    def optimizer_of(module: nn.Module) -> Any:
        return make_optimizer(module, Recipe(towards_start=True), l1=0.0, l2=1.0, rates=[0.1] * 9)

    module = network()
    start, first = module[0].weight.detach().clone(), optimizer_of(module)  # type: ignore[index]
    module(X).sum().backward()
    first.step()
    again = optimizer_of(module)  # the weights have moved: its own start would be another
    again.load_state_dict(first.state_dict())
    kept = again.param_groups[0]["start"][0]
    torch.testing.assert_close(kept, start, rtol=0, atol=0)


def test_schedules_are_those_of_torch() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=50)
    rates = []
    for _ in range(50):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    ours = learning_rates(50, lr=0.3, schedule="one-cycle")
    np.testing.assert_allclose(ours, rates, rtol=1e-6, atol=1e-9)
    warm = learning_rates(10, lr=1.0, schedule="constant", warmup=0.4)
    np.testing.assert_allclose(warm, [0.2, 0.4, 0.6, 0.8, *[1.0] * 6])
    np.testing.assert_allclose(learning_rates(4, lr=2.0, schedule=lambda done: done), [0, 0.5, 1.0, 1.5])
    with pytest.raises(ParameterError, match="schedule must give factors"):
        learning_rates(4, lr=2.0, schedule=lambda done: -1.0)
    with pytest.raises(ParameterError, match="ZeroDivisionError"):
        learning_rates(4, lr=2.0, schedule=lambda done: 1 / done)


def test_early_stopping_chooses_among_the_epochs_given() -> None:
    plain, early = (
        sample_plan(Recipe(epochs=20, early_stopping=early), n_train=800, n_sample=1000, n_source=1000)
        for early in (False, True)
    )
    assert plain.epochs == early.epochs == 20
    assert plain.checkpoints == (10, 20)
    assert not plain.is_choosing
    assert early.is_choosing
    assert len(early.checkpoints) > 5
    assert early.checkpoints[-1] == 20


def test_augmentation_sees_what_the_module_gets_and_is_the_same_for_all_candidates() -> None:
    seen: list[Tensor] = []

    def noisy(x: Tensor) -> Tensor:
        seen.append(x.clone())
        return x + torch.randn_like(x)

    recipe = Recipe(epochs=2, batch_size=20, augment=noisy)
    trainer = trained(recipe, Regularizer(coupling="decoupled"), n=3)
    assert {tuple(x.shape) for x in seen} == {(20, 8)}
    flat = trainer.stack.flat
    torch.testing.assert_close(flat[0], flat[2])
    again = trained(recipe, Regularizer(coupling="decoupled")).stack.flat
    torch.testing.assert_close(flat[:1], again)
    plain = trained(Recipe(epochs=2, batch_size=20), Regularizer(coupling="decoupled")).stack.flat
    assert not torch.allclose(plain, again, atol=1e-3)
    torch.testing.assert_close(rows().x, X)  # the data stay as they are
    with pytest.raises(ParameterError, match=r"of the shape that it gets, \(20, 8\), got \(20, 4\)"):
        trained(Recipe(epochs=1, batch_size=20, augment=lambda x: x[:, :4]), Regularizer())


def test_augmented_images_are_images() -> None:
    images, y = load_digits(return_X_y=True)
    images, y = images[:200].reshape(-1, 8, 8), y[:200]
    seen: list[tuple[int, ...]] = []

    def flipped(x: Tensor) -> Tensor:
        seen.append(tuple(x.shape[1:]))
        return x.flip(3)

    advice = advise(images, y, model="cnn", recipe=Recipe(epochs=1, augment=flipped), budget=0)
    assert advice.record.training is not None
    assert advice.record.training.own_functions == ("augment",)
    advice.build().fit(images, y)
    assert set(seen) == {(1, 8, 8)}
    loaded = type(advice)(advice.record)
    with pytest.raises(ParameterError, match=r"augment must be the function .* recipe=\.\.\."):
        loaded.build()
    loaded.build(recipe=Recipe(augment=flipped)).fit(images, y)
    assert "augment = ...  # a batch" in advice.snippet("torch")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nesterov": True}, "nesterov must be False unless optimizer='sgd'"),
        ({"betas": (0.9, 1.0)}, "betas must be two numbers"),
        ({"betas": (0.9, 0.99), "optimizer": "sgd"}, "set momentum instead"),
        ({"warmup": 500}, "write warmup=0.05"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"early_stopping": True}, "without epochs"),
        ({"augment": "flip"}, "augment must be a callable"),
        ({"lr_scale": {"a": -1}}, "lr_scale must map"),
        ({"lr_scale": 0.1}, "lr_scale must map"),
        ({"towards_start": "backbone.*"}, "write towards_start="),
        ({"loss": nn.Linear(2, 1)}, "loss must have no parameters to train, got Linear with 'weight'"),
        ({"schedule": "exponential"}, "or a function of the share that is done, .*: 1 - share"),
        ({"schedule": torch.optim.lr_scheduler.StepLR}, "or a function of the share that is done"),
        ({"optimizer": "RMSprop"}, r"one of 'adamw', 'adam', 'sgd', got 'rmsprop'; take the nearest, or"),
        ({"output": True}, "output must be a number"),
    ],
)
def test_what_no_recipe_has(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Recipe(**options)


def test_names_and_classes_of_torch_and_numbers_of_numpy_are_taken() -> None:
    for given, known in (("AdamW", "adamw"), (torch.optim.SGD, "sgd"), ("Adam", "adam")):
        assert Recipe(optimizer=given).optimizer == known
    assert type(Recipe(lr=np.float32(0.01)).lr) is float


def test_names_that_fit_no_parameter_are_refused() -> None:
    for options in ({"lr_scale": {"body.*": 0.1}}, {"towards_start": ("body.*",)}):
        with pytest.raises(ParameterError, match="fits none of"):
            trained(Recipe(epochs=1, **options), Regularizer())  # type: ignore[arg-type]


def test_adam_has_the_penalty_in_the_loss() -> None:
    assert (Recipe(optimizer="adam").coupling, Recipe().coupling) == ("loss", "decoupled")
    recipe = Recipe(optimizer="adam", epochs=3, batch_size=15, lr=0.01)
    module, start = by_hand(recipe, Regularizer(l2=0.3, coupling="loss"))
    plain = network()
    plain.load_state_dict(start)
    named = dict(plain.named_parameters())
    optimizer = torch.optim.Adam(
        [
            {"params": [own for name, own in named.items() if "weight" in name], "weight_decay": 0.3},
            {"params": [own for name, own in named.items() if "bias" in name]},
        ]
    )
    plan = RunPlan.of(recipe, n_rows=N_ROWS, epochs=3)
    source = ModuleSource(model=network, inputs=Inputs(n_flat=8), n_outputs=3)
    architecture = examine(source, X, recipe=recipe, is_classification=True)
    stream = Stream(Member(seed=3), architecture, torch.arange(N_ROWS))
    steps = [batch for _ in range(3) for batch in stream.epoch(plan.n_steps, plan.batch)]
    for rate, batch in zip(plan.rates, steps, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        optimizer.zero_grad()
        functional.cross_entropy(plain(X[batch]), Y[batch]).backward()
        optimizer.step()
    for name, value in module.named_parameters():
        torch.testing.assert_close(value, named[name], rtol=1e-4, atol=1e-6)


def test_fine_tuning_keeps_frozen_parts_and_stays_near_the_start() -> None:
    digits, y = load_digits(n_class=4, return_X_y=True)
    digits = (digits / 16.0).astype(np.float32)
    torch.manual_seed(0)
    body, frozen = nn.Linear(64, 32), nn.Linear(32, 32)
    frozen.requires_grad_(False)
    pretrained = nn.Sequential(body, nn.ReLU(), frozen, nn.ReLU(), nn.Linear(32, 4))
    weights = {name: value.detach().clone() for name, value in pretrained.named_parameters()}
    recipe = Recipe(epochs=10, lr=5e-3, towards_start=("0.*",), lr_scale={"0.*": 0.5})
    moved = []
    for l2 in (0.0, 20.0):
        model = ModuleClassifier(pretrained, recipe=recipe, l2=l2, random_state=0).fit(digits, y)
        assert model.score(digits, y) > 0.8
        torch.testing.assert_close(model.module_[2].weight, weights["2.weight"], rtol=0, atol=0)
        moved.append(float((model.module_[0].weight.detach() - weights["0.weight"]).norm()))
    assert moved[1] < 0.5 * moved[0]
    for name, value in pretrained.named_parameters():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=0)


def test_what_is_for_modules_is_refused_for_our_network() -> None:
    rows, y = load_digits(n_class=2, return_X_y=True)
    with pytest.raises(ParameterError, match="layout must be None for a network of ours, got 'tokens'"):
        advise(rows, y, model="mlp", recipe=Recipe(layout="tokens"))

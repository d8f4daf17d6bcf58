"""What a caller holds still stays so: parts in evaluation mode, weights that get no gradient."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regadvisor import Recipe
from regadvisor.families.neural.module.estimator import ModuleClassifier
from regadvisor.families.neural.parameters import keep_in_eval, set_mode

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(80, 4)) + 2.0).astype(np.float32)
Y = (X[:, 0] > 2.0).astype(int)
RECIPE = Recipe(epochs=3, batch_size=16, lr=0.01)


def with_norm() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.ReLU(), nn.Linear(5, 2))


def fitted(module: nn.Module, **strengths: float) -> nn.Module:
    model = ModuleClassifier(module, recipe=RECIPE, random_state=0, **strengths).fit(X, Y)
    found: nn.Module = model.module_
    return found


def same(a: nn.Module, b: nn.Module) -> bool:
    state = b.state_dict()
    return all(torch.equal(value, state[name]) for name, value in a.state_dict().items())


def test_a_norm_in_evaluation_mode_keeps_its_statistics() -> None:
    moving, still = with_norm(), with_norm()
    still[1].eval()
    assert not same(fitted(moving)[1], moving[1])
    after = fitted(still)
    assert torch.equal(after[1].running_mean, still[1].running_mean)
    assert not torch.equal(after[1].weight, still[1].weight)  # it is not frozen


def test_a_whole_module_in_evaluation_mode_is_trained_but_for_frozen_norms() -> None:
    loaded, tuned = with_norm().eval(), with_norm().eval()
    tuned[1].requires_grad_(False)
    assert not torch.equal(fitted(loaded)[1].running_mean, loaded[1].running_mean)
    assert same(fitted(tuned)[1], tuned[1])


def test_dropout_in_evaluation_mode_drops_nothing() -> None:
    dropping, still = with_norm(), with_norm()
    still[2].eval()
    assert not same(fitted(dropping, dropout=0.5), fitted(dropping))
    assert same(fitted(still, dropout=0.5), fitted(still))


def test_modes_of_the_caller_s_module_are_not_touched() -> None:
    module = with_norm()
    module[1].eval()
    before = [(part.training, dict(vars(part))) for part in module.modules()]
    fitted(module)
    assert [(part.training, dict(vars(part))) for part in module.modules()] == before
    marked = set_mode(keep_in_eval(copy.deepcopy(module)), is_training=True)
    assert [part.training for part in marked] == [True, False, True, True, True]


# --------------------------------------------------------------------------------- without a gradient


class HeldStill(nn.Module):
    """A backbone without gradients, a head that is not used, and two experts that take turns."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone, self.idle = nn.Linear(4, 5), nn.Linear(4, 5)
        self.used = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.backbone(x).relu()
        return self.used(features)


@pytest.mark.parametrize("strengths", [{"l1": 0.5}, {"l2": 0.5}, {"l1": 0.1, "l2": 0.5}])
@pytest.mark.parametrize("coupling", ["decoupled", "loss"])
def test_weights_without_a_gradient_are_left_alone(strengths: dict[str, float], coupling: str) -> None:
    module = HeldStill()
    recipe = Recipe(epochs=3, batch_size=16, lr=0.01, coupling=coupling, clip_norm=0.5)  # type: ignore[arg-type]
    after = ModuleClassifier(module, recipe=recipe, random_state=0, **strengths).fit(X, Y).module_
    assert same(after.backbone, module.backbone)
    assert same(after.idle, module.idle)
    assert not same(after.used, module.used)


def test_the_clipped_length_is_that_of_what_moves() -> None:
    """As with torch's own optimizer: a penalty on weights without a gradient is no part of the gradient."""
    module, smaller = HeldStill(), HeldStill()
    smaller.idle.requires_grad_(False)
    smaller.backbone.requires_grad_(False)
    recipe = Recipe(epochs=2, batch_size=16, lr=0.01, coupling="loss", clip_norm=0.1, optimizer="sgd")
    trained = [
        ModuleClassifier(own, recipe=recipe, random_state=0, l2=0.5).fit(X, Y).module_.used.weight
        for own in (module, smaller)
    ]
    torch.testing.assert_close(trained[0], trained[1])


# torch.compile itself, when it is imported, calls what torch deprecates.
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
@pytest.mark.parametrize("where", ["whole", "part", "factory", "parallel"])
def test_a_compiled_module_is_trained_as_it_was_written(where: str) -> None:
    plain = with_norm()
    if where == "part":
        given: object = nn.Sequential(torch.compile(nn.Sequential(*plain[:4])), plain[4])
        expected = nn.Sequential(nn.Sequential(*plain[:4]), plain[4])
    elif where == "parallel":
        given, expected = nn.DataParallel(plain), plain
    else:
        given = torch.compile(plain) if where == "whole" else (lambda: torch.compile(with_norm()))
        expected = plain
    compiler = torch._dynamo.utils.counters
    compiler.clear()
    got = ModuleClassifier(given, recipe=RECIPE, random_state=0).fit(X, Y)
    want = ModuleClassifier(expected if where != "factory" else with_norm, recipe=RECIPE, random_state=0)
    assert np.allclose(got.predict_proba(X), want.fit(X, Y).predict_proba(X), atol=1e-5)
    assert not compiler["frames"]
    if where == "part":
        assert hasattr(given[0], "_orig_mod")  # the caller's own is as it was

"""The advised optimizer in a LightningModule: steps, schedule, and a run that goes on from a checkpoint."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from regadvisor import Advice, Recipe, advise

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Lightning's own imports
    lightning = pytest.importorskip("lightning", reason="Lightning is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning", "ignore::FutureWarning")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5)).astype(np.float32)
CODES = (X[:, 0] + 0.5 * RNG.normal(size=60) > 0).astype(np.int64)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2))


@pytest.fixture(scope="module")
def advice() -> Advice:
    recipe = Recipe(epochs=4, batch_size=20, lr=0.01, schedule="cosine")
    return advise(X, CODES, model=network, recipe=recipe, budget=0)


class Module(lightning.LightningModule):
    def __init__(self, advice: Advice) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net, self.advice = network(), advice
        self.rates: list[float] = []

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.advice.optimizer(self.net, lr=0.01, steps=12, schedule="cosine")


def run(advice: Advice, folder: Path, epochs: int, *, path: Path | None = None) -> tuple[Module, Any]:
    module = Module(advice)
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    rows = TensorDataset(torch.as_tensor(X), torch.as_tensor(CODES))
    trainer.fit(module, DataLoader(rows, batch_size=20), ckpt_path=path, weights_only=False)
    return module, trainer


def test_it_trains_as_a_plain_loop(advice: Advice, tmp_path: Path) -> None:
    module, _ = run(advice, tmp_path, 4)
    torch.manual_seed(0)
    ours = network()
    step = advice.optimizer(ours, lr=0.01, steps=12, schedule="cosine")
    for _ in range(4):
        for begin in (0, 20, 40):
            rows, target = torch.as_tensor(X[begin : begin + 20]), torch.as_tensor(CODES[begin : begin + 20])
            step.zero_grad()
            nn.functional.cross_entropy(ours(rows), target).backward()
            step.step()
    for mine, theirs in zip(ours.parameters(), module.net.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


def test_a_checkpoint_goes_on_in_the_schedule(advice: Advice, tmp_path: Path) -> None:
    whole, _ = run(advice, tmp_path, 4)
    _, trainer = run(advice, tmp_path, 2)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    resumed, after = run(advice, tmp_path, 4, path=tmp_path / "half.ckpt")
    assert after.global_step == 12
    for mine, theirs in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)

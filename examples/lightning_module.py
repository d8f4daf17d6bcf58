"""
Lightning: the advised optimizer in ``configure_optimizers``
============================================================

The advice is about the module; Lightning trains it. Schedule and penalties are in the optimizer, so nothing
else changes.
"""

import logging
import tempfile
import warnings

import lightning
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

import regadvisor

EPOCHS, ROWS_PER_STEP = 5, 64


def network() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(30, 16), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(16, 2)
    )


X, y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X)
recipe = regadvisor.Recipe(epochs=EPOCHS, batch_size=ROWS_PER_STEP, lr=2e-3)
advice = regadvisor.advise(X, y, model=network, recipe=recipe, effort="quick")
print(advice.verdict)


class Classifier(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = advice.apply(network())  # the advised dropout

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        rows, target = batch
        return torch.nn.functional.cross_entropy(self.net(rows), target)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        # The advised penalties and the recipe's schedule; a checkpoint goes on where it was.
        return advice.optimizer(self.net, lr=2e-3, steps=int(self.trainer.estimated_stepping_batches))


logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")  # the loader has no workers, on purpose
rows = TensorDataset(torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y))
with tempfile.TemporaryDirectory() as folder:
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    module = Classifier()
    trainer.fit(module, DataLoader(rows, batch_size=ROWS_PER_STEP, shuffle=True))
right = module.net.eval()(rows.tensors[0]).argmax(dim=1) == rows.tensors[1]
print(f"right on the training rows: {right.float().mean():.0%}")
